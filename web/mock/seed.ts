import { type DescMessage, type MessageInitShape, create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Application,
  ApplicationSchema,
  type DiscoveredApplication,
  DiscoveredApplicationSchema,
  DriftSchema,
  type LiveState,
  LiveStateSchema,
  type TrafficSample,
  TrafficSampleSchema,
} from "../src/gen/penstock/v1/application_pb.ts";
import type { ReasonSchema } from "../src/gen/penstock/v1/common_pb.ts";
import { type Deployment, DeploymentSchema, type StageSchema } from "../src/gen/penstock/v1/deployment_pb.ts";
import { type Agent, AgentSchema } from "../src/gen/penstock/v1/project_pb.ts";

/** What a message is made of, without the message itself: that can be spread. */
type Init<T extends DescMessage> = Exclude<MessageInitShape<T>, { $typeName: string }>;
type StageInit = Init<typeof StageSchema>;
type ReasonInit = Init<typeof ReasonSchema>;

/** An instant some seconds from another. */
export const at = (now: Date, seconds: number) => timestampFromDate(new Date(now.getTime() + seconds * 1000));

const arn = (rest: string) => `arn:aws:elasticloadbalancing:ap-northeast-1:012345678901:${rest}`;
export const groups = {
  primary: arn("targetgroup/checkout-primary/6d0ecf831eec9f09"),
  canary: arn("targetgroup/checkout-canary/73e2d6bc24d8a067"),
  rule: arn("listener-rule/app/edge/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"),
};

const hash = (seed: string) => [...`${seed}-commit-hash-for-tests-0123456789`].map((c) => (c.charCodeAt(0) % 16).toString(16)).join("").padEnd(40, "a").slice(0, 40);

export function commit(subject: string, author: string, now: Date, seconds: number) {
  const h = hash(subject);
  return { hash: h, subject, author, time: at(now, seconds), url: `https://git.example.com/team/deploy/commit/${h}` };
}

export const image = (version: string, name = "checkout") => ({ kind: "CONTAINER_IMAGE", name, version, url: "" });

const minutes = (n: number) => durationFromMs(n * 60_000);

/** The six stages of the canary pipeline and its way back, none begun. */
export function canaryStages(): StageInit[] {
  const stage = (id: string, name: string, display: string, steps: string[], from: number, to: number): StageInit => ({
    id,
    name,
    display,
    type: "PLATFORM",
    steps,
    status: "NOT_STARTED_YET",
    timeout: minutes(30),
    exposure: { from, to },
  });
  return [
    stage("s1", "ECS_CANARY_ROLLOUT", "canary at 30 % of the capacity", ["register the revision", "create the task set", "wait for steady state"], 0, 0),
    stage("s2", "ECS_TRAFFIC_ROUTING", "canary 20 %, primary 80 %", ["check targets", "write weights", "settle"], 0, 20),
    { ...stage("s3", "WAIT", "150 s", [], 20, 20), type: "WAIT", wait: durationFromMs(150_000), desc: "Look at the error rate of checkout before it goes on." },
    stage("s4", "ECS_PRIMARY_ROLLOUT", "the new version becomes primary", ["create the task set", "wait for steady state", "scale the former to 0"], 20, 100),
    stage("s5", "ECS_TRAFFIC_ROUTING", "primary 100 %", ["write weights", "settle"], 100, 100),
    stage("s6", "ECS_CANARY_CLEAN", "remove the canary", ["read weights", "delete the task set"], 100, 100),
    { ...stage("r1", "ROLLBACK", "weights and task sets as they were", ["restore capacity", "restore weights", "settle", "remove the new version"], 0, 0), rollback: true },
  ];
}

/** Ends stages one after the other, `seconds` each, and gives the list with the moment the last one ended. */
export function run(stages: StageInit[], now: Date, from: number, seconds: number, count: number): StageInit[] {
  return stages.map((s, i) =>
    i < count
      ? { ...s, status: "SUCCESS", attempt: 1, startedAt: at(now, from + i * seconds), endedAt: at(now, from + (i + 1) * seconds - 0.1) }
      : s,
  );
}

function patch(stages: StageInit[], id: string, change: StageInit): StageInit[] {
  return stages.map((s) => (s.id === id ? { ...s, ...change } : s));
}

interface Spec {
  id: string;
  app: Application;
  from: string;
  to: string;
  subject: string;
  author: string;
  /** Seconds from now, negative for the past. */
  triggered: number;
  stages: StageInit[];
  status: string;
  more?: Init<typeof DeploymentSchema>;
}

function deployment(now: Date, s: Spec): Deployment {
  const c = commit(s.subject, s.author, now, s.triggered - 20);
  return create(DeploymentSchema, {
    id: s.id,
    projectId: "demo",
    applicationId: s.app.id,
    applicationName: s.app.name,
    kind: s.app.kind,
    status: s.status,
    display: s.status,
    trigger: { kind: "ON_COMMIT", commit: c, branch: "main", why: { code: "COMMIT", args: { path: `${s.app.path}/taskdef.yaml` }, text: "" } },
    plan: {
      strategy: "PIPELINE",
      why: { code: "VERSION_CHANGE", args: { from: s.from, to: s.to }, text: "" },
      versions: [image(s.to, s.app.name)],
      from: [image(s.from, s.app.name)],
      autoRollback: true,
      timeout: minutes(60),
      settleTime: durationFromMs(30_000),
      desiredDigest: "sha256:9f2c41aa07d9",
      liveDigest: "sha256:1b77e0c2d313",
      account: "012345678901/ap-northeast-1",
      claims: [
        { kind: "ecs-service", key: `arn:aws:ecs:ap-northeast-1:012345678901:service/shop/${s.app.name}` },
        { kind: "listener-rule", key: groups.rule },
      ],
      notes: [
        { code: "ECS_RULES", args: { rules: "edge:443/checkout" }, text: "" },
        { code: "ECS_EXPOSURE_RISES", args: { weights: "80/20" }, text: "" },
      ],
      runningCommit: hash("before"),
      hasChanges: true,
      hasRollback: true,
    },
    stages: s.stages,
    holder: "ip-10-0-3-17/4711",
    epoch: 1n,
    triggeredAt: at(now, s.triggered),
    admittedAt: at(now, s.triggered + 0.2),
    plannedAt: at(now, s.triggered + 1.4),
    startedAt: at(now, s.triggered + 1.4),
    deadline: at(now, s.triggered + 3600),
    seq: 12n,
    repoId: "deploy",
    path: s.app.path,
    ...s.more,
  });
}

export interface Seed {
  applications: Application[];
  deployments: Deployment[];
  live: Map<string, LiveState>;
  /** What routes were observed to do, oldest first. */
  traffic: Map<string, TrafficSample[]>;
  discovered: DiscoveredApplication[];
  agents: Agent[];
  changes: Map<string, string>;
}

function application(now: Date, name: string, change: Init<typeof ApplicationSchema> = {}): Application {
  return create(ApplicationSchema, {
    id: `app-${name}`,
    name,
    kind: "ECSApp",
    agentId: "agent-1",
    agentName: "production-tokyo",
    agentOnline: true,
    provider: "ecs-tokyo",
    repoId: "deploy",
    branch: "main",
    path: `ecs/${name}`,
    configFile: "app.pipecd.yaml",
    labels: { env: "prod", team: "shop" },
    syncState: "SYNCED",
    health: "HEALTHY",
    registeredAt: at(now, -86400 * 90),
    liveAt: at(now, -4),
    account: "012345678901/ap-northeast-1",
    projectId: "demo",
    remoteUrl: "https://git.example.com/team/deploy.git",
    head: commit(`${name}: raise memory to 512 MiB`, "mori", now, -86400 * 2),
    lastGood: { deploymentId: `old-${name}`, commit: commit(`${name}: raise memory to 512 MiB`, "mori", now, -86400 * 2), versions: [image("v1.8.2", name)], at: at(now, -86400 * 2 + 300) },
    lastDeploymentId: `old-${name}`,
    lastDeploymentDisplay: "SUCCESS",
    ...change,
  });
}

/** A live state as ECS gives it: a service, two task sets with tasks, and one route. */
export function liveOf(now: Date, name: string, canaryPercent: number, from: string, to: string): LiveState {
  const service = `arn:aws:ecs:ap-northeast-1:012345678901:service/shop/${name}`;
  const set = (variant: string, version: string, count: number) => [
    { id: `${service}/${variant}`, parent: service, kind: "TaskSet", name: `ecs-svc/${variant}-${version}`, health: "HEALTHY", status: "STEADY_STATE", variant, version, fields: { running: String(count), desired: String(count) }, created: at(now, -3600) },
    ...Array.from({ length: count }, (_, i) => ({
      id: `${service}/${variant}/${i}`,
      parent: `${service}/${variant}`,
      kind: "Task",
      name: `${variant}-${(i * 7919 + 4096).toString(16)}`,
      health: "HEALTHY",
      status: "RUNNING",
      variant,
      version,
      fields: { address: `10.0.${variant === "canary" ? 8 : 3}.${20 + i}` },
      created: at(now, -3600 + i * 30),
    })),
  ];
  const canary = canaryPercent > 0;
  return create(LiveStateSchema, {
    at: at(now, -3),
    health: "HEALTHY",
    digest: "sha256:1b77e0c2d313",
    resources: [
      { id: service, kind: "Service", name, health: "HEALTHY", status: "ACTIVE", version: from, fields: { cluster: "shop", controller: "EXTERNAL" }, events: [{ at: at(now, -30), text: `(service ${name}) has reached a steady state.` }], url: `https://ap-northeast-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/${name}/health?region=ap-northeast-1`, created: at(now, -86400 * 90) },
      ...set("primary", from, 4),
      ...(canary ? set("canary", to, 2) : []),
    ],
    traffic: [
      {
        route: groups.rule,
        groups: [
          { group: groups.primary, variant: "primary", percent: 100 - canaryPercent, healthy: 4, total: 4, versions: { [from]: 4 } },
          { group: groups.canary, variant: "canary", percent: canaryPercent, healthy: canary ? 2 : 0, total: canary ? 2 : 0, versions: canary ? { [to]: 2 } : {} },
        ],
      },
    ],
  });
}

const diff = (name: string, from: string, to: string) => `~ taskDefinition.containerDefinitions[${name}].image: 012345678901.dkr.ecr.ap-northeast-1.amazonaws.com/${name}:${from} → 012345678901.dkr.ecr.ap-northeast-1.amazonaws.com/${name}:${to}
~ taskDefinition.containerDefinitions[${name}].environment[CACHE_TTL]: changed (value hidden)
+ taskDefinition.containerDefinitions[${name}].environment[FEATURE_ONE_PAGE]: added ******
- taskDefinition.containerDefinitions[${name}].ulimits: removed nofile=1024
`;

const breach: ReasonInit = {
  code: "ECS_UNHEALTHY_VERSION",
  args: { healthy: "0", group: "search-canary", share: "20", needed: "1", detail: "Health checks failed with these codes: [503]" },
  text: "",
};

/** Everything the mock server knows at first, as of an instant. */
export function seed(now: Date): Seed {
  const checkout = application(now, "checkout", { syncState: "DEPLOYING", health: "PROGRESSING", currentDeploymentId: "d-checkout", lastDeploymentId: "d-checkout", lastDeploymentDisplay: "RUNNING", head: commit("checkout: one-page checkout behind a flag", "tanaka", now, -140), description: "Takes an order from basket to payment." });
  const payments = application(now, "payments", { syncState: "DEPLOYING", currentDeploymentId: "d-payments", lastDeploymentId: "d-payments", lastDeploymentDisplay: "RUNNING" });
  const search = application(now, "search", {
    syncState: "OUT_OF_SYNC",
    lastDeploymentId: "d-search",
    lastDeploymentDisplay: "ROLLED_BACK",
    head: commit("search: new ranking", "suzuki", now, -7200),
    hold: { deploymentId: "d-search", commit: commit("search: new ranking", "suzuki", now, -7200), reason: breach, at: at(now, -6900) },
  });
  const reports = application(now, "reports", { syncState: "INVALID_CONFIG", invalidDetail: "ecs/reports/app.pipecd.yaml:14:9: unknown field \"sacle\" in ECS_CANARY_ROLLOUT; did you mean scale?" });
  const mailer = application(now, "mailer", { agentId: "agent-2", agentName: "", agentOnline: false, liveAt: at(now, -5400), labels: { env: "prod", team: "crm" } });
  const tools = application(now, "back-office", { disabled: true, labels: { env: "stage", team: "ops" } });
  const ledger = application(now, "ledger", { health: "UNHEALTHY", lastDeploymentId: "d-ledger", lastDeploymentDisplay: "NEEDS_ATTENTION", syncState: "OUT_OF_SYNC" });
  ledger.drift = create(DriftSchema, { count: 1, summary: "traffic: none → 30 % to the canary group", at: at(now, -900) });
  const others = ["basket", "catalogue", "gateway", "images", "inventory", "loyalty", "pricing", "profile", "ratings", "recommend", "returns", "shipping", "tax"].map((n, i) =>
    application(now, n, { labels: { env: i % 3 === 0 ? "stage" : "prod", team: i % 2 ? "shop" : "logistics" } }),
  );
  const applications = [checkout, payments, search, reports, mailer, tools, ledger, ...others];

  const running = patch(run(canaryStages(), now, -118, 25, 2), "s3", { status: "RUNNING", attempt: 1, startedAt: at(now, -60), until: at(now, 90), deadline: at(now, 1740) });
  const approval: StageInit = {
    id: "a1",
    name: "WAIT_APPROVAL",
    type: "APPROVAL",
    display: "2 approvals",
    desc: "Compare the payment error rate of canary and primary for ten minutes, then decide.",
    status: "RUNNING",
    attempt: 1,
    approvals: 2,
    approvers: ["admin", "mori", "tanaka"],
    given: [{ by: "mori", note: "error rate unchanged", at: at(now, -240) }],
    startedAt: at(now, -600),
    deadline: at(now, 5400),
    timeout: minutes(100),
    exposure: { from: 20, to: 20 },
  };
  const asked = run(canaryStages(), now, -680, 40, 2).map((s) => (s.id === "s3" ? approval : s));
  const failed = patch(
    patch(run(canaryStages(), now, -7100, 30, 2), "s3", { status: "FAILURE", attempt: 1, startedAt: at(now, -7040), endedAt: at(now, -6990), reason: breach }),
    "r1",
    { status: "SUCCESS", attempt: 1, startedAt: at(now, -6990), endedAt: at(now, -6962) },
  );
  const exit: ReasonInit = { code: "ECS_TASKS_FAILING", args: { count: "3", set: "ecs-svc/0417", reason: "Essential container in task exited", container: "ledger", exitCode: "1" }, text: "" };
  const stuck = patch(
    patch(canaryStages(), "s1", { status: "FAILURE", attempt: 2, step: 2, startedAt: at(now, -90000), endedAt: at(now, -89700), reason: exit }),
    "r1",
    { status: "FAILURE", attempt: 1, startedAt: at(now, -89700), endedAt: at(now, -89400), reason: { code: "ROLLBACK_TIMEOUT", args: { timeout: "5m0s" }, text: "" } },
  );

  const deployments = [
    deployment(now, { id: "d-checkout", app: checkout, from: "v1.8.2", to: "v1.9.0", subject: "checkout: one-page checkout behind a flag", author: "tanaka", triggered: -120, stages: running, status: "RUNNING" }),
    deployment(now, { id: "d-payments", app: payments, from: "v4.0.1", to: "v4.1.0", subject: "payments: retry declined cards once", author: "sato", triggered: -700, stages: asked, status: "RUNNING" }),
    deployment(now, { id: "d-search", app: search, from: "v3.3.0", to: "v3.4.0", subject: "search: new ranking", author: "suzuki", triggered: -7120, stages: failed, status: "FAILURE", more: { end: "SNAPSHOT", display: "ROLLED_BACK", failed: breach, reason: breach, rollbackAt: at(now, -6990), finishedAt: at(now, -6962) } }),
    deployment(now, { id: "d-ledger", app: ledger, from: "v2.0.0", to: "v2.1.0", subject: "ledger: double entry for refunds", author: "ito", triggered: -90010, stages: stuck, status: "FAILURE", more: { end: "NEEDS_ATTENTION", display: "NEEDS_ATTENTION", failed: exit, rollbackAt: at(now, -89700), finishedAt: at(now, -89400), epoch: 2n } }),
    ...others.map((a, i) =>
      deployment(now, { id: `old-${a.name}`, app: a, from: "v1.8.1", to: "v1.8.2", subject: `${a.name}: raise memory to 512 MiB`, author: "mori", triggered: -86400 * 2 - i * 600, stages: run(canaryStages(), now, -86400 * 2 - i * 600 + 2, 45, 6), status: "SUCCESS", more: { end: "DECLARED", finishedAt: at(now, -86400 * 2 - i * 600 + 275) } }),
    ),
  ];

  const live = new Map<string, LiveState>([
    [checkout.id, liveOf(now, "checkout", 20, "v1.8.2", "v1.9.0")],
    [payments.id, liveOf(now, "payments", 20, "v4.0.1", "v4.1.0")],
    ...[search, reports, mailer, tools, ledger, ...others].map((a) => [a.id, liveOf(now, a.name, 0, "v1.8.2", "v1.8.3")] as const),
  ]);

  const seen = (name: string, from: string, to: string, ...steps: [seconds: number, percent: number][]) =>
    steps.map(([seconds, percent], i) => {
      const next = steps[i + 1];
      return create(TrafficSampleSchema, { at: at(now, seconds), until: at(now, next ? next[0] - 2 : -3), traffic: liveOf(now, name, percent, from, to).traffic });
    });
  const traffic = new Map([
    [checkout.id, seen("checkout", "v1.8.2", "v1.9.0", [-600, 0], [-80, 12], [-73, 20])],
    [payments.id, seen("payments", "v4.0.1", "v4.1.0", [-900, 0], [-618, 20])],
    [search.id, seen("search", "v3.3.0", "v3.4.0", [-8000, 0], [-7052, 20], [-6974, 0])],
  ]);

  const discovered = [
    create(DiscoveredApplicationSchema, { agentId: "agent-1", repoId: "deploy", branch: "main", path: "ecs/wishlist", configFile: "app.pipecd.yaml", name: "wishlist", kind: "ECSApp", providers: ["ecs-tokyo", "ecs-osaka"] }),
    create(DiscoveredApplicationSchema, { agentId: "agent-1", repoId: "deploy", branch: "main", path: "ecs/vouchers", configFile: "app.pipecd.yaml", name: "vouchers", kind: "ECSApp", providers: ["ecs-tokyo"], invalidDetail: "ecs/vouchers/app.pipecd.yaml:6:5: spec.input.taskDefinitionFile: taskdef.yaml is not in the repository" }),
  ];

  const agents = [
    create(AgentSchema, {
      id: "agent-1",
      name: "production-tokyo",
      registeredAt: at(now, -86400 * 90),
      keys: [{ id: "key-1", createdAt: at(now, -86400 * 90), lastUsedAt: at(now, -2) }],
      processes: [
        { id: "4711", host: "ip-10-0-3-17", version: "0.1.0", startedAt: at(now, -86400 * 3), lastSeenAt: at(now, -2), leaseUntil: at(now, 7), online: true, deployments: ["d-checkout", "d-payments"], applications: applications.map((a) => a.id) },
        { id: "4690", host: "ip-10-0-8-44", version: "0.1.0", startedAt: at(now, -86400 * 3), lastSeenAt: at(now, -1), leaseUntil: at(now, 8), online: true },
      ],
      repositories: [{ id: "deploy", remote: "https://git.example.com/team/deploy.git", branch: "main", head: hash("head") }],
      providers: [{ name: "ecs-tokyo", kind: "ECS" }, { name: "ecs-osaka", kind: "ECS" }],
    }),
    create(AgentSchema, {
      id: "agent-2",
      name: "crm",
      registeredAt: at(now, -86400 * 30),
      keys: [{ id: "key-2", createdAt: at(now, -86400 * 30), lastUsedAt: at(now, -5400) }],
      processes: [{ id: "812", host: "crm-bastion", version: "0.1.0", startedAt: at(now, -86400), lastSeenAt: at(now, -5400), leaseUntil: at(now, -5390) }],
      repositories: [{ id: "crm", remote: "ssh://git.example.com/crm/deploy.git", branch: "main", error: "read heads: ssh: the host key of git.example.com is not the known one" }],
      providers: [{ name: "ecs-crm", kind: "ECS" }],
    }),
  ];
  return {
    applications,
    deployments,
    live,
    traffic,
    discovered,
    agents,
    changes: new Map(deployments.map((d) => [d.id, diff(d.applicationName, d.plan?.from[0]?.version ?? "", d.plan?.versions[0]?.version ?? "")])),
  };
}

/** What was live before a deployment and what it declares, as an agent renders them. */
export function sidesOf(d: Deployment | undefined) {
  if (!d?.plan) return {};
  const task = (version: string) =>
    [
      "service:",
      "  tags:",
      "    team: shop",
      "taskDefinition:",
      "  containerDefinitions:",
      "    - name: web",
      "      environment:",
      "        - name: DATABASE",
      "          value: ••••",
      ...Array.from({ length: 12 }, (_, i) => `        - name: FLAG_${i}\n          value: ••••`),
      `      image: ${d.applicationName}:${version}`,
      "      portMappings:",
      "        - containerPort: 8080",
      "  cpu: 256",
      `  memory: ${version.endsWith("0") ? 512 : 256}`,
      "",
    ].join("\n");
  const filled = ["filledIn:", "  service:", "    runningCount: 3", "    status: ACTIVE", ""].join("\n");
  return {
    before: { text: filled + task(d.plan.from[0]?.version ?? ""), noise: [0, 1, 2, 3] },
    after: { text: task(d.plan.versions[0]?.version ?? ""), noise: [] },
  };
}
