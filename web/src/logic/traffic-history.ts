import type { Traffic, TrafficSample } from "../gen/penstock/v1/application_pb";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { terminal } from "./status";
import { toDate } from "./time";
import { wishedShare } from "./timeline";
import { routeViews } from "./traffic";

/** The observed share of the new version over a span, in percent. */
export interface Observed {
  from: number;
  to: number;
  percent: number;
}

/** The wished share over a span: a stage may be meant to move it from one to another. */
export interface Wished {
  from: number;
  to: number;
  low: number;
  high: number;
}

/** A stage on the axis of the picture. */
export interface Band {
  from: number;
  to: number;
  stageId: string;
  name: string;
  word: string;
  rollback: boolean;
}

/** Real and wished traffic of a deployment over time; times are milliseconds since the epoch. */
export interface Picture {
  from: number;
  to: number;
  observed: Observed[];
  wished: Wished[];
  bands: Band[];
  /** Some of the time was not observed, or is not kept any more. */
  gaps: boolean;
}

/** Longest silence that is drawn as if somebody had looked, in milliseconds: agents look every quarter of a minute. */
const silence = 45_000;

/** What is drawn of a deployment at an instant; undefined when nothing was observed in its time. */
export function trafficPicture(d: Deployment, samples: readonly TrafficSample[], now: Date): Picture | undefined {
  const begun = toDate(d.startedAt ?? d.triggeredAt)?.getTime();
  if (begun === undefined) return undefined;
  const end = (toDate(d.finishedAt) ?? now).getTime();
  // A little of the time after the end shows that it stays.
  const to = terminal(d.status) ? Math.min(now.getTime(), end + Math.max(2000, (end - begun) * 0.04)) : end;
  const observed = observedIn(d, samples, begun, to, terminal(d.status));
  if (observed.length === 0) return undefined;
  const first = observed[0]?.from ?? begun;
  return { from: begun, to: Math.max(to, begun + 1000), observed, wished: wishedOver(d, begun, end), bands: bandsOf(d, end), gaps: first > begun + silence || holes(observed) };
}

function observedIn(d: Deployment, samples: readonly TrafficSample[], begun: number, to: number, over: boolean): Observed[] {
  const out: Observed[] = [];
  samples.forEach((s, i) => {
    const at = toDate(s.at)?.getTime();
    const until = toDate(s.until)?.getTime();
    if (at === undefined || until === undefined) return;
    const next = toDate(samples[i + 1]?.at)?.getTime() ?? (over ? until : Math.max(until, to));
    // What was seen holds until it was seen otherwise, unless nobody looked for long.
    const span = { from: Math.max(begun, at), to: Math.min(to, next - until > silence ? until : next) };
    if (span.to > span.from) out.push({ ...span, percent: shareOf(s.traffic, d) });
  });
  return out;
}

const holes = (list: readonly Observed[]) => list.some((o, i) => i > 0 && o.from - (list[i - 1]?.to ?? o.from) > silence);

/** The share of the new version over all routes: their mean, because nobody counts the requests of each. */
export function shareOf(traffic: readonly Traffic[], d: Deployment | undefined): number {
  const routes = routeViews(traffic, d?.plan);
  return routes.length === 0 ? 0 : routes.reduce((n, r) => n + r.newShare, 0) / routes.length;
}

function wishedOver(d: Deployment, begun: number, end: number): Wished[] {
  const out: Wished[] = [];
  let level = 0;
  let at = begun;
  const flat = (to: number) => {
    if (to > at) out.push({ from: at, to, low: level, high: level });
    at = Math.max(at, to);
  };
  for (const s of d.stages.filter((x) => !x.rollback)) {
    const from = toDate(s.startedAt)?.getTime();
    if (from === undefined || !s.exposure) continue;
    flat(from);
    const to = toDate(s.endedAt)?.getTime() ?? end;
    const { from: a, to: b } = s.exposure;
    out.push({ from, to, low: Math.min(a, b), high: Math.max(a, b) });
    at = to;
    if (s.status === "SUCCESS" || s.status === "SKIPPED" || s.status === "EXITED") level = b;
  }
  const back = toDate(d.rollbackAt)?.getTime();
  if (back !== undefined) {
    flat(back);
    level = 0;
  }
  flat(end);
  return out.filter((w) => w.to > w.from);
}

function bandsOf(d: Deployment, end: number): Band[] {
  return d.stages.flatMap((s) => {
    const from = toDate(s.startedAt)?.getTime();
    if (from === undefined) return [];
    return [{ from, to: toDate(s.endedAt)?.getTime() ?? end, stageId: s.id, name: s.name, word: s.status === "RUNNING" && s.type !== "PLATFORM" ? "WAITING" : s.status, rollback: s.rollback }];
  });
}

/** Why what is real is not what is wished. */
export type Gap = "none" | "unknown" | "old" | "waiting" | "writing" | "back" | "foreign";

/** How far apart two shares may be and still count as the same, in percentage points. */
const tolerance = 1;

/** Explains the distance between the wished and the real share. `seenAt` is when the real one was observed. */
export function gapOf(d: Deployment, real: number | undefined, seenAt: Date | undefined): Gap {
  const wished = wishedShare(d);
  if (!wished || real === undefined) return "unknown";
  const low = Math.min(wished.from, wished.to) - tolerance;
  const high = Math.max(wished.from, wished.to) + tolerance;
  if (real >= low && real <= high) return "none";
  const running = d.stages.find((s) => s.status === "RUNNING");
  const begun = toDate(running?.startedAt ?? d.finishedAt);
  if (begun && seenAt && seenAt < begun) return "old";
  if (d.status === "ROLLING_BACK") return "back";
  if (running?.type === "PLATFORM") return running.waiting?.code ? "waiting" : "writing";
  return "foreign";
}

/** How one version stands: its share of requests and who answers for it. */
export interface VersionState {
  version: string;
  fresh: boolean;
  percent: number;
  targets: number;
}

/** Share and healthy targets of each version over all routes, the new ones first. */
export function versionStates(traffic: readonly Traffic[], d: Deployment | undefined): VersionState[] {
  const old = new Set((d?.plan?.from ?? []).map((v) => v.version));
  const planned = new Set((d?.plan?.versions ?? []).map((v) => v.version));
  const states = new Map<string, VersionState>();
  for (const route of traffic) {
    for (const g of route.groups) {
      const all = Object.values(g.versions).reduce((n, v) => n + v, 0);
      for (const [version, targets] of Object.entries(g.versions)) {
        const s = states.get(version) ?? { version, fresh: planned.has(version) && !old.has(version), percent: 0, targets: 0 };
        s.percent += all > 0 ? (g.percent * targets) / all / traffic.length : 0;
        s.targets = Math.max(s.targets, targets);
        states.set(version, s);
      }
    }
  }
  return [...states.values()].toSorted((a, b) => Number(b.fresh) - Number(a.fresh) || a.version.localeCompare(b.version));
}
