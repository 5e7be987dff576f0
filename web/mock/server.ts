import { clone, create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, type HandlerContext, type Transport, createRouterTransport } from "@connectrpc/connect";
import { ApplicationSchema, ApplicationService, type ListApplicationsRequest, LiveStateSchema } from "../src/gen/penstock/v1/application_pb.ts";
import { CommandSchema, DecisionService } from "../src/gen/penstock/v1/decision_pb.ts";
import { DeploymentSchema, DeploymentService, LedgerObjectSchema, type ListDeploymentsRequest } from "../src/gen/penstock/v1/deployment_pb.ts";
import { AgentSchema, ProjectSchema, ProjectService, WatchService } from "../src/gen/penstock/v1/project_pb.ts";
import { applicationFacets, deploymentFacets, listed, listedDeployments, page } from "./lists.ts";
import { personHandlers } from "./person.ts";
import { canaryStages, sidesOf } from "./seed.ts";
import { type World, refuse } from "./world.ts";

const rights = {
  viewer: ["agent:read", "application:read", "deployment:read", "preference:write", "project:read"],
  operator: ["application:sync", "deployment:approve", "deployment:cancel", "deployment:retry", "deployment:skip"],
  admin: ["agent:write", "application:write", "key:read", "key:write", "project:write"],
};

/** Rights of a role as the server gives them. */
export function rightsOf(role: string): string[] {
  const all = [...rights.viewer, ...(role === "viewer" ? [] : rights.operator), ...(role === "admin" ? rights.admin : [])];
  return all.toSorted((a, b) => a.localeCompare(b));
}

/** Milliseconds after which a silent stream says that it is there. */
const beat = 5000;

/** The page's API over a world in memory: the same contract, no network. */
export function mockTransport(world: World): Transport {
  const guard = () => {
    if (!world.signedIn) throw refuse(Code.Unauthenticated, "sign in first");
  };
  const may = (right: string) => {
    guard();
    if (!rightsOf(world.role).includes(right)) throw refuse(Code.PermissionDenied, `the role ${world.role} lacks the right ${right}`, right);
  };
  return createRouterTransport((router) => {
    router.service(ProjectService, { ...projectHandlers(world, guard, may), ...personHandlers(world, guard, may) });
    router.service(ApplicationService, applicationHandlers(world, guard, may));
    router.service(DeploymentService, deploymentHandlers(world, guard, may));
    router.service(DecisionService, decisionHandlers(world, guard));
    router.service(WatchService, {
      async *watch(req, ctx: HandlerContext) {
        guard();
        let cursor = req.cursor || world.cursor;
        yield { cursor };
        while (!ctx.signal.aborted) {
          const changes = world.since(cursor);
          cursor = world.cursor;
          if (changes.length > 0) yield { cursor, changes };
          else if (!(await world.next(ctx.signal, beat))) yield { cursor };
        }
      },
    });
  });
}

type Guard = () => void;
type May = (right: string) => void;

function projectHandlers(world: World, guard: Guard, may: May) {
  const agent = (id: string) => {
    const a = world.data.agents.find((x) => x.id === id);
    if (!a) throw refuse(Code.NotFound, `${id}: there is no such agent`);
    return a;
  };
  return {
    login(req: { username: string; password: string }) {
      if (req.password === "wrong") throw refuse(Code.Unauthenticated, "wrong user name or password");
      world.signedIn = true;
      world.role = req.username === "viewer" ? "viewer" : "admin";
      return { token: "pss_mock" };
    },
    logout() {
      world.signedIn = false;
      return {};
    },
    whoAmI() {
      guard();
      return { name: world.role, role: world.role, projectId: "demo", rights: rightsOf(world.role), serverVersion: "0.1.0" };
    },
    getWebhooks() {
      guard();
      const webhooks = ["github", "gitlab", "bitbucket", "gitea", "forgejo"].map((host) => ({ host, path: `/webhooks/${host}/demo` }));
      const delivered = { last: { at: world.now(), status: 202, woken: 1 }, refused: { at: world.now(), status: 401 } };
      return { secretSet: world.webhookSecret !== "", since: world.now(), webhooks: webhooks.map((w) => (w.host === "github" ? { ...w, ...delivered } : w)) };
    },
    updateProject(req: { webhookSecret?: string; badges?: boolean }) {
      may("project:write");
      for (const a of world.data.applications) if (req.badges !== undefined) a.badgePath = req.badges ? `/badges/demo/${a.id}/token.svg` : "";
      world.webhookSecret = req.webhookSecret ?? world.webhookSecret;
      return { project: create(ProjectSchema, { id: "demo", name: "demo", webhookSecretSet: world.webhookSecret !== "" }) };
    },
    getProject: () => ({ project: create(ProjectSchema, { id: "demo", name: "demo" }) }),
    listAgents() {
      guard();
      return { agents: world.data.agents.map((a) => clone(AgentSchema, a)), page: {} };
    },
    registerAgent(req: { name: string }) {
      may("agent:write");
      const a = create(AgentSchema, { id: `agent-${world.data.agents.length + 1}`, name: req.name, registeredAt: world.now(), keys: [{ id: "key-n", createdAt: world.now() }] });
      world.data.agents.push(a);
      world.tell("agent", a.id, "AGENT_REGISTERED");
      return { agent: clone(AgentSchema, a), key: "psa_Jq7Vw0XnE1kTz4RmY8bC5dF2gH6sL9pA" };
    },
    addAgentKey(req: { agentId: string }) {
      may("agent:write");
      const a = agent(req.agentId);
      a.keys.push({ $typeName: "penstock.v1.AgentKey", id: `key-${a.keys.length + 1}x`, createdAt: world.now() });
      world.tell("agent", a.id, "AGENT_KEY_ADDED");
      return { agent: clone(AgentSchema, a), key: "psa_N3wK3yN3wK3yN3wK3yN3wK3yN3wK3y00" };
    },
    removeAgentKey(req: { agentId: string; keyId: string }) {
      may("agent:write");
      const a = agent(req.agentId);
      a.keys = a.keys.filter((k) => k.id !== req.keyId);
      world.tell("agent", a.id, "AGENT_KEY_REMOVED");
      return { agent: clone(AgentSchema, a) };
    },
    setAgentEnabled(req: { agentId: string; enabled: boolean }) {
      may("agent:write");
      const a = agent(req.agentId);
      a.disabled = !req.enabled;
      world.tell("agent", a.id, req.enabled ? "AGENT_ENABLED" : "AGENT_DISABLED");
      return { agent: clone(AgentSchema, a) };
    },
  };
}

function applicationHandlers(world: World, guard: Guard, may: May) {
  const copy = (idOrName: string) => clone(ApplicationSchema, world.application(idOrName));
  return {
    listApplications(req: ListApplicationsRequest) {
      guard();
      const all = listed(world, req);
      const { rows, next } = page(all, req.page);
      const facets = req.facets ? applicationFacets(world, req) : [];
      return { applications: rows.map((a) => clone(ApplicationSchema, a)), page: { nextPageToken: next }, total: all.length, cursor: world.cursor, facets };
    },
    getApplication(req: { application: string }) {
      guard();
      return { application: copy(req.application), cursor: world.cursor };
    },
    getLiveState(req: { applicationId: string; trafficSince?: Timestamp }) {
      guard();
      const live = world.data.live.get(req.applicationId);
      if (!live) return {};
      return { liveState: clone(LiveStateSchema, live), traffic: req.trafficSince ? world.trafficSince(req.applicationId, req.trafficSince) : [] };
    },
    getDrift(req: { application: string }) {
      guard();
      const { drift, lastGood } = world.application(req.application);
      return { drift, goodDeploymentId: lastGood?.deploymentId ?? "", text: drift ? "~ traffic: none → 30 % to the canary group\n" : "" };
    },
    listDiscoveredApplications() {
      guard();
      return { applications: [...world.data.discovered], page: {} };
    },
    addApplication(req: { path: string; name: string; agentId: string; repoId: string; provider: string; configFile: string; kind: string }) {
      may("application:write");
      world.data.discovered = world.data.discovered.filter((d) => d.path !== req.path);
      const { name, agentId, repoId, path, provider, configFile, kind } = req;
      return { application: clone(ApplicationSchema, world.register(name, { agentId, repoId, path, provider, configFile, kind })) };
    },
    setApplicationEnabled(req: { applicationId: string; enabled: boolean }) {
      may("application:write");
      const a = world.application(req.applicationId);
      a.disabled = !req.enabled;
      world.tell("application", a.id, req.enabled ? "APP_ENABLED" : "APP_DISABLED", a.id);
      return { application: copy(a.id) };
    },
    deleteApplication(req: { applicationId: string }) {
      may("application:write");
      world.data.applications = world.data.applications.filter((a) => a.id !== req.applicationId);
      world.tell("application", req.applicationId, "APP_DELETED", req.applicationId);
      return {};
    },
    syncApplication(req: { applicationId: string; strategy: string }) {
      may("application:sync");
      const a = world.application(req.applicationId);
      return { deploymentId: begin(world, a.lastDeploymentId, a.id, req.strategy) };
    },
  };
}

/** Starts a deployment like another one. */
function begin(world: World, like: string, applicationId: string, strategy: string): string {
  const old = world.data.deployments.find((d) => d.id === like) ?? world.data.deployments[0];
  const a = world.application(applicationId);
  const d = old ? clone(DeploymentSchema, old) : create(DeploymentSchema);
  Object.assign(d, { id: `d-${a.name}-${world.data.deployments.length}`, applicationId: a.id, applicationName: a.name });
  const fresh = create(DeploymentSchema, { stages: canaryStages() });
  Object.assign(d, { stages: fresh.stages, status: "RUNNING", display: "RUNNING", end: "", failed: undefined, reason: undefined, rollbackAt: undefined, finishedAt: undefined, cancel: undefined });
  Object.assign(d, { triggeredAt: world.now(), admittedAt: world.now(), plannedAt: world.now(1), startedAt: world.now(1), deadline: world.now(3600) });
  if (d.trigger) Object.assign(d.trigger, { kind: "ON_COMMAND", by: world.role, strategy, why: { $typeName: "penstock.v1.Reason", code: "USER_COMMAND", args: { by: world.role }, text: "" } });
  if (d.plan && strategy === "QUICK_SYNC") d.plan.strategy = strategy;
  world.data.deployments.unshift(d);
  Object.assign(a, { currentDeploymentId: d.id, lastDeploymentId: d.id, lastDeploymentDisplay: "RUNNING", syncState: "DEPLOYING", hold: undefined });
  const first = d.stages[0];
  if (first) world.start(d, first);
  return d.id;
}

function deploymentHandlers(world: World, guard: Guard, may: May) {
  const copy = (id: string) => clone(DeploymentSchema, world.deployment(id));
  const decide = (req: { deploymentId: string; stageId: string; seenSeq: bigint }) => {
    const d = world.deployment(req.deploymentId);
    const s = world.stage(d, req.stageId);
    if (req.seenSeq !== 0n && req.seenSeq !== d.seq) throw refuse(Code.FailedPrecondition, "the deployment has moved on since the page was read", "STALE_VIEW", d.id);
    if (s.status !== "RUNNING") throw refuse(Code.FailedPrecondition, `stage ${s.name} is ${s.status}`, "WRONG_STATE", s.id);
    return { d, s };
  };
  return {
    listDeployments(req: ListDeploymentsRequest) {
      guard();
      const all = listedDeployments(world, req);
      const { rows, next } = page(all, req.page);
      const facets = req.facets ? deploymentFacets(world, req) : [];
      return { deployments: rows.map((d) => clone(DeploymentSchema, d)), page: { nextPageToken: next }, total: all.length, cursor: world.cursor, facets };
    },
    getDeployment(req: { deploymentId: string }) {
      guard();
      const begun = world.deployment(req.deploymentId).stages.some((s) => s.attempt > 0);
      const ledger = begun
        ? [
            create(LedgerObjectSchema, { type: "task definition", token: "t-1", id: "arn:aws:ecs:ap-northeast-1:012345678901:task-definition/checkout:42", state: "CREATED" }),
            create(LedgerObjectSchema, { type: "task set", token: "t-2", id: "ecs-svc/9223370478", state: "CREATED", note: "canary" }),
          ]
        : [];
      return { deployment: copy(req.deploymentId), ledger, cursor: world.cursor };
    },
    listEvents(req: { streamId: string }) {
      guard();
      return { events: world.events(req.streamId), page: {} };
    },
    getChanges(req: { deploymentId: string }) {
      guard();
      return { text: world.data.changes.get(req.deploymentId) ?? "", json: "{}", digest: `sha256:${req.deploymentId}`, ...sidesOf(world.data.deployments.find((d) => d.id === req.deploymentId)) };
    },
    cancelDeployment(req: { deploymentId: string; choice: string; note: string }) {
      may("deployment:cancel");
      const d = world.deployment(req.deploymentId);
      const s = d.stages.find((x) => x.status === "RUNNING");
      d.cancel = { $typeName: "penstock.v1.Cancel", by: world.role, note: req.note, choice: req.choice, at: world.now() };
      const why = { $typeName: "penstock.v1.Reason" as const, code: "CANCELLED", args: { by: world.role, note: req.note }, text: "" };
      if (s) Object.assign(s, { status: "CANCELLED", endedAt: world.now(), reason: why });
      if (req.choice === "NEVER") Object.assign(d, { status: "CANCELLED", display: "NEEDS_ATTENTION", end: "NEEDS_ATTENTION", failed: why, finishedAt: world.now() });
      else world.turnBack(d, why);
      world.changed(d, "CANCEL_REQUESTED");
      return { deployment: copy(d.id) };
    },
    approveStage(req: { deploymentId: string; stageId: string; note: string; seenSeq: bigint; seenDigest: string }) {
      may("deployment:approve");
      const { d, s } = decide(req);
      s.given.push({ $typeName: "penstock.v1.Approval", by: world.role, note: req.note, at: world.now(), seenDigest: req.seenDigest });
      world.changed(d, "APPROVED");
      if (s.given.length >= s.approvals) world.end(d, s, "SUCCESS");
      return { deployment: copy(d.id) };
    },
    rejectStage(req: { deploymentId: string; stageId: string; note: string; seenSeq: bigint }) {
      may("deployment:approve");
      const { d, s } = decide(req);
      const why = { $typeName: "penstock.v1.Reason" as const, code: "REJECTED", args: { by: world.role, note: req.note }, text: "" };
      Object.assign(s, { status: "FAILURE", endedAt: world.now(), reason: why });
      world.turnBack(d, why);
      return { deployment: copy(d.id) };
    },
    skipStage(req: { deploymentId: string; stageId: string; note: string; seenSeq: bigint }) {
      may("deployment:skip");
      const { d, s } = decide(req);
      s.reason = { $typeName: "penstock.v1.Reason", code: "SKIPPED_BY_PERSON", args: { by: world.role, note: req.note }, text: "" };
      world.end(d, s, "SKIPPED");
      return { deployment: copy(d.id) };
    },
    retryDeployment(req: { deploymentId: string }) {
      may("deployment:retry");
      const d = world.deployment(req.deploymentId);
      return { deploymentId: begin(world, d.id, d.applicationId, d.plan?.strategy ?? "AUTO") };
    },
    rollBackTo(req: { deploymentId: string; note: string }) {
      may("application:sync");
      const d = world.deployment(req.deploymentId);
      if (!req.note) throw refuse(Code.InvalidArgument, "rolling back to an earlier deployment needs a note that says why");
      const id = begin(world, d.id, d.applicationId, "AUTO");
      Object.assign(world.deployment(id).trigger ?? {}, { rollbackTo: d.id, note: req.note });
      return { deploymentId: id };
    },
    async *readStageLog(req: { deploymentId: string; stageId: string; attempt: number; offset: bigint; follow: boolean }, ctx: HandlerContext) {
      guard();
      let offset = Number(req.offset);
      while (!ctx.signal.aborted) {
        const s = world.stage(world.deployment(req.deploymentId), req.stageId);
        const attempt = req.attempt || s.attempt;
        const data = world.log(req.deploymentId, req.stageId, attempt).slice(offset);
        offset += data.length;
        const over = s.status !== "RUNNING" || attempt < s.attempt;
        if (data.length > 0 || over || !req.follow) yield { data, nextOffset: BigInt(offset), attempt, completed: over };
        if (over || !req.follow) return;
        await world.next(ctx.signal);
      }
    },
  };
}

/** What would happen and what became of it. An application without an agent answers nothing, with the reason. */
function decisionHandlers(world: World, guard: Guard) {
  return {
    async ask(req: { application: string; commit: string; kind: string; strategy: string }) {
      guard();
      await world.answering;
      const a = world.application(req.application);
      const asked = { questionId: "q-1", askedAt: world.now(), answeredAt: world.now(), commit: a.head };
      if (!a.agentOnline) return { ...asked, refused: { code: "NO_AGENT", args: {}, text: "" } };
      const like = world.data.deployments.find((d) => d.applicationId === a.id && d.trigger?.commit?.hash === (req.commit || a.head?.hash)) ?? world.data.deployments[0];
      return {
        ...asked,
        commit: like?.trigger?.commit,
        digest: "sha256:answer",
        text: world.data.changes.get(like?.id ?? "") ?? "~ image: v1 → v2\n",
        ...sidesOf(like),
        plan: like?.plan && { ...like.plan, strategy: req.strategy === "QUICK_SYNC" ? "QUICK_SYNC" : like.plan.strategy },
        stages: canaryStages(),
      };
    },
    listCommands() {
      guard();
      const commands = world.data.deployments
        .filter((d) => d.trigger?.kind === "ON_COMMAND")
        .map((d) =>
          create(CommandSchema, {
            id: `c-${d.id}`,
            kind: d.trigger?.rollbackTo ? "ROLL_BACK_TO" : "SYNC",
            actor: `user:${d.trigger?.by ?? ""}`,
            at: d.triggeredAt,
            applicationId: d.applicationId,
            applicationName: d.applicationName,
            deploymentId: d.id,
            note: d.trigger?.note,
            state: d.status === "SUCCESS" ? "FINISHED" : d.status === "FAILURE" || d.status === "CANCELLED" ? "FAILED" : "RUNNING",
            reason: d.failed,
            endedAt: d.finishedAt,
          }),
        );
      return { commands, page: {}, cursor: world.cursor };
    },
  };
}
