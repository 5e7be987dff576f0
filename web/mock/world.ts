import { clone, create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Application, ApplicationSchema, type LiveState, type TrafficSample, TrafficSampleSchema } from "../src/gen/penstock/v1/application_pb.ts";
import { ErrorDetailSchema, type Event, EventSchema } from "../src/gen/penstock/v1/common_pb.ts";
import type { Deployment, Stage } from "../src/gen/penstock/v1/deployment_pb.ts";
import { type Change, ChangeSchema } from "../src/gen/penstock/v1/project_pb.ts";
import { type Seed, at, liveOf, seed } from "./seed.ts";

/** Refuses as the server does: with code, reason and object in a detail. */
export function refuse(code: Code, message: string, reason = "", object = ""): ConnectError {
  const word = code === Code.NotFound ? "not_found" : code === Code.PermissionDenied ? "denied" : "refused";
  return new ConnectError(message, code, undefined, [{ desc: ErrorDetailSchema, value: { code: word, reason, object } }]);
}

const over = (status: string) => status === "SUCCESS" || status === "FAILURE" || status === "CANCELLED";

/** A control plane in memory: what it holds, what moves it, and who listens. */
export class World {
  readonly data: Seed;
  signedIn = true;
  /** Answers of agents wait for this. */
  answering: Promise<void> = Promise.resolve();
  role = "admin";
  /** Of webhooks; empty for none. */
  webhookSecret = "";
  favourites: string[] = [];
  views: { name: string; path: string }[] = [];
  keys: { id: string; name: string; role: string; createdAt: Event["at"]; expiresAt: Event["at"]; expired: boolean }[] = [];
  private readonly logs = new Map<string, Uint8Array>();
  private readonly listeners = new Set<(c: Change) => void>();
  private position = 0;
  private readonly changes: Change[] = [];

  constructor(private readonly clock: () => Date = () => new Date()) {
    this.data = seed(clock());
    for (const d of this.data.deployments) for (const s of d.stages) if (s.attempt > 0 && s.type === "PLATFORM") this.history(d, s);
  }

  now(seconds = 0) {
    return at(this.clock(), seconds);
  }

  application(idOrName: string): Application {
    const a = this.data.applications.find((x) => x.id === idOrName || x.name === idOrName);
    if (!a) throw refuse(Code.NotFound, `${idOrName}: there is no application of this id or name`, "", idOrName);
    return a;
  }

  deployment(id: string): Deployment {
    const d = this.data.deployments.find((x) => x.id === id);
    if (!d) throw refuse(Code.NotFound, `${id}: there is no such deployment`, "", id);
    return d;
  }

  stage(d: Deployment, id: string): Stage {
    const s = d.stages.find((x) => x.id === id);
    if (!s) throw refuse(Code.NotFound, `${id}: the deployment has no such stage`, "", id);
    return s;
  }

  get cursor(): string {
    return `mock.${this.position}`;
  }

  /** Changes behind a cursor. */
  since(cursor: string): Change[] {
    const from = Number(cursor.split(".")[1] ?? this.position);
    return this.changes.slice(Number.isFinite(from) ? from : this.position);
  }

  tell(kind: string, id: string, type: string, applicationId = ""): void {
    const change = create(ChangeSchema, { streamKind: kind, streamId: id, type, applicationId, at: this.now() });
    this.position++;
    this.changes.push(change);
    for (const l of this.listeners) l(change);
  }

  /** Resolves with true at the next change, with false when the signal is raised or the time is up. */
  next(signal: AbortSignal, within?: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (changed: boolean) => {
        clearTimeout(limit);
        this.listeners.delete(onChange);
        signal.removeEventListener("abort", onEnd);
        resolve(changed);
      };
      const onChange = () => end(true);
      const onEnd = () => end(false);
      const limit = within === undefined ? undefined : setTimeout(onEnd, within);
      this.listeners.add(onChange);
      signal.addEventListener("abort", onEnd);
      if (signal.aborted) onEnd();
    });
  }

  log(deploymentId: string, stageId: string, attempt: number): Uint8Array {
    return this.logs.get(`${deploymentId}/${stageId}/${attempt}`) ?? new Uint8Array();
  }

  write(d: Deployment, s: Stage, level: string, message: string, when: Date = this.clock(), group?: string): void {
    const key = `${d.id}/${s.id}/${s.attempt}`;
    const line = new TextEncoder().encode(`${JSON.stringify({ t: when.toISOString(), l: level, m: message, ...(group ? { g: group } : {}) })}\n`);
    const old = this.logs.get(key) ?? new Uint8Array();
    const all = new Uint8Array(old.length + line.length);
    all.set(old);
    all.set(line, old.length);
    this.logs.set(key, all);
    this.tell("deployment", d.id, "LOG", d.applicationId);
  }

  /** Makes the log of a stage as long as asked for, at once. */
  fill(deploymentId: string, stageId: string, lines: number): void {
    const d = this.deployment(deploymentId);
    const s = this.stage(d, stageId);
    const from = Number(s.startedAt?.seconds ?? 0n) * 1000;
    const text = Array.from({ length: lines }, (_, i) => {
      const group = i % 5000 === 0 ? { g: `part ${i / 5000 + 1}` } : {};
      return JSON.stringify({ t: new Date(from + i).toISOString(), l: i % 97 === 96 ? "WARN" : "INFO", m: `task ${i} of ${lines} answers its health check`, ...group });
    }).join("\n");
    this.logs.set(`${d.id}/${s.id}/${s.attempt}`, new TextEncoder().encode(`${text}\n`));
  }

  /** Marks a deployment changed after it was edited in place; readers get a copy with every answer. */
  changed(d: Deployment, type: string): void {
    d.seq += 1n;
    const app = this.data.applications.find((a) => a.id === d.applicationId);
    if (app && app.lastDeploymentId === d.id) app.lastDeploymentDisplay = d.display;
    if (app && over(d.status) && app.currentDeploymentId === d.id) {
      app.currentDeploymentId = "";
      app.syncState = d.status === "SUCCESS" ? "SYNCED" : "OUT_OF_SYNC";
    }
    this.tell("deployment", d.id, type, d.applicationId);
  }

  start(d: Deployment, s: Stage): void {
    s.status = "RUNNING";
    s.attempt += 1;
    s.step = 0;
    s.startedAt = this.now();
    if (s.type === "WAIT") s.until = this.now(Number(s.wait?.seconds ?? 30n));
    this.changed(d, "STAGE_STARTED");
  }

  /** Ends the stage that runs and goes on, or finishes. */
  end(d: Deployment, s: Stage, status: string): void {
    s.status = status;
    s.endedAt = this.now();
    s.waiting = undefined;
    this.changed(d, "STAGE_ENDED");
    const back = d.status === "ROLLING_BACK";
    const next = d.stages.find((x) => x.rollback === back && x.status === "NOT_STARTED_YET");
    if (next) {
      this.start(d, next);
      return;
    }
    d.status = back ? (d.cancel ? "CANCELLED" : "FAILURE") : "SUCCESS";
    d.end = back ? "SNAPSHOT" : "DECLARED";
    d.display = back ? "ROLLED_BACK" : "SUCCESS";
    d.finishedAt = this.now();
    this.changed(d, "FINISHED");
  }

  /** Turns a deployment back. */
  turnBack(d: Deployment, failed: Deployment["failed"]): void {
    d.failed = failed;
    const back = d.stages.find((x) => x.rollback);
    d.rollbackAt = this.now();
    d.status = d.display = "ROLLING_BACK";
    this.changed(d, "ROLLBACK_STARTED");
    if (back) this.start(d, back);
  }

  /** One second of the running deployment: lines of log, steps, stages, weights. */
  tick(): void {
    const now = this.clock().getTime();
    for (const d of this.data.deployments.filter((x) => x.status === "RUNNING" || x.status === "ROLLING_BACK")) {
      const s = d.stages.find((x) => x.status === "RUNNING");
      if (!s) continue;
      if (s.type === "WAIT" && s.until && Number(s.until.seconds) * 1000 <= now) this.end(d, s, "SUCCESS");
      if (s.type === "PLATFORM") this.step(d, s, now);
    }
  }

  private step(d: Deployment, s: Stage, now: number): void {
    const age = Math.floor((now - Number(s.startedAt?.seconds ?? 0n) * 1000) / 1000);
    this.write(d, s, age % 7 === 6 ? "WARN" : "INFO", age % 7 === 6 ? "throttled by the API, asking again in 1.2s" : `${s.steps[s.step] ?? s.name}: ${age % 4} of 4 tasks run`);
    const step = Math.min(s.steps.length, Math.floor(age / 6));
    if (step > s.step) {
      s.step = Math.min(step, s.steps.length - 1);
      const name = s.steps[s.step] ?? "";
      if (step < s.steps.length) this.write(d, s, "INFO", `step ${s.step + 1} of ${s.steps.length}: ${name}`, this.clock(), name);
      this.changed(d, "STEP_DONE");
    } else if (age % 3 === 0) {
      s.waiting = { $typeName: "penstock.v1.Reason", code: "ECS_TARGETS_STARTING", args: { group: "checkout-primary", healthy: String(age % 4), needed: "4" }, text: "" };
      s.waitingSince = s.startedAt;
      this.tell("deployment", d.id, "WAITING", d.applicationId);
    }
    if (step < s.steps.length) return;
    this.end(d, s, "SUCCESS");
    const [from, to] = [d.plan?.from[0]?.version ?? "", d.plan?.versions[0]?.version ?? ""];
    const canary = d.status === "ROLLING_BACK" || s.id === "s5" || s.id === "s6" ? 0 : 20;
    this.observe(d.applicationId, liveOf(this.clock(), d.applicationName, canary, s.id >= "s4" && s.id < "t" ? to : from, to));
  }

  /** An agent looked: what it saw is the live state, and a sample of the record when the routes do something else. */
  observe(applicationId: string, live: LiveState): void {
    const list = this.data.traffic.get(applicationId) ?? [];
    const before = this.data.live.get(applicationId);
    const last = list[list.length - 1];
    if (last && before?.at) last.until = before.at;
    this.data.live.set(applicationId, live);
    this.data.traffic.set(applicationId, [...list, create(TrafficSampleSchema, { at: live.at, until: live.at, traffic: live.traffic })]);
    this.tell("application", applicationId, "LIVE", applicationId);
  }

  trafficSince(applicationId: string, since: Timestamp): TrafficSample[] {
    const list = (this.data.traffic.get(applicationId) ?? []).map((x) => clone(TrafficSampleSchema, x));
    const last = list[list.length - 1];
    const live = this.data.live.get(applicationId);
    if (last && live?.at && live.at.seconds > (last.until?.seconds ?? 0n)) last.until = live.at;
    return list.filter((x) => (x.until?.seconds ?? 0n) > since.seconds);
  }

  private history(d: Deployment, s: Stage): void {
    const from = Number(s.startedAt?.seconds ?? 0n) * 1000;
    const say = (i: number, level: string, m: string, group?: string) => this.write(d, s, level, m, new Date(from + i * 500), group);
    s.steps.forEach((step, k) => {
      say(k * 13, "INFO", `step ${k + 1} of ${s.steps.length}: ${step}`, step);
      say(k * 13 + 1, "DEBUG", "DescribeTaskSets 200 in 41ms");
      for (let i = 0; i < 11; i++) say(k * 13 + 2 + i, i % 9 === 8 ? "WARN" : "INFO", i % 9 === 8 ? "throttled by the API, asking again in 800ms" : `waiting for steady state: ${Math.min(4, i >> 1)} of 4 tasks run`);
    });
    if (s.status === "FAILURE") {
      say(40, "ERROR", "task 7f3a stopped: Essential container in task exited (container ledger, exit code 1)");
      say(41, "ERROR", "panic: open /etc/ledger/rules.json: no such file or directory");
    } else say(40, "INFO", "done");
  }

  /** The recorded facts of a deployment, made from its stages. */
  events(id: string): Event[] {
    const d = this.data.deployments.find((x) => x.id === id);
    if (!d) return [];
    const list: Event[] = [];
    const add = (type: string, when: Event["at"], actor: string, data: object = {}, reason?: Event["reason"]) => {
      if (when) list.push(create(EventSchema, { id: `${id}-${type}-${list.length}`, type, schema: 1, at: when, actor, data: JSON.stringify(data), reason, streamKind: "deployment", streamId: id }));
    };
    add("TRIGGERED", d.triggeredAt, "server", {}, d.trigger?.why);
    add("ADMITTED", d.admittedAt, "server");
    add("ASSIGNED", d.admittedAt, "server", { holder: d.holder });
    add("PLANNED", d.plannedAt, `agent:${d.holder}`, {}, d.plan?.why);
    for (const s of d.stages) {
      add("STAGE_STARTED", s.startedAt, "server", { stage: s.id, attempt: s.attempt });
      for (const g of s.given) add("APPROVED", g.at, `user:${g.by}`, { stage: s.id, by: g.by, note: g.note });
      add("STAGE_ENDED", s.endedAt, "server", { stage: s.id, status: s.status }, s.reason);
    }
    add("ROLLBACK_STARTED", d.rollbackAt, "server", {}, d.failed);
    add("FINISHED", d.finishedAt, "server", { status: d.status, end: d.end });
    const sorted = list.toSorted((a, b) => Number(a.at?.seconds ?? 0n) - Number(b.at?.seconds ?? 0n));
    sorted.forEach((e, i) => (e.seq = BigInt(i + 1)));
    return sorted;
  }

  register(name: string, init: Partial<Application>): Application {
    const a = create(ApplicationSchema, { id: `app-${name}`, name, syncState: "UNKNOWN", health: "UNKNOWN", registeredAt: this.now(), agentOnline: true, branch: "main" });
    Object.assign(a, init);
    this.data.applications.push(a);
    this.tell("application", a.id, "APP_REGISTERED", a.id);
    return a;
  }
}
