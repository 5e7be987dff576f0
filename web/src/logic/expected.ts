import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { between, toDate } from "./time";

/** What is asked of the list to know the runs before a deployment: the same from every part of the page, so that it is asked once. */
export function pastOf(d: Deployment) {
  return { applicationId: d.applicationId, page: { pageSize: 20, pageToken: "" } };
}

/** How many runs must be known before a time is expected of a stage. */
const enough = 3;

/** What a stage is the same in from run to run: its name and how many of that name come before it. */
export function stageKeys(d: Deployment): string[] {
  const seen = new Map<string, number>();
  return d.stages.map((s) => {
    const name = `${s.rollback ? "back" : "on"}/${s.name}`;
    const n = seen.get(name) ?? 0;
    seen.set(name, n + 1);
    return `${name}/${n}`;
  });
}

/** Expected milliseconds by stage id: the median of what the same stage took in the runs before that succeeded. */
export function expectedTimes(d: Deployment, past: readonly Deployment[]): ReadonlyMap<string, number> {
  const took = new Map<string, number[]>();
  for (const p of past) {
    if (p.id === d.id || p.status !== "SUCCESS") continue;
    const keys = stageKeys(p);
    p.stages.forEach((s, i) => {
      const ms = s.status === "SUCCESS" ? between(toDate(s.startedAt), toDate(s.endedAt)) : undefined;
      const key = keys[i];
      if (ms !== undefined && key !== undefined) took.set(key, [...(took.get(key) ?? []), ms]);
    });
  }
  const keys = stageKeys(d);
  return new Map(
    d.stages.flatMap((s, i) => {
      const list = took.get(keys[i] ?? "") ?? [];
      return list.length >= enough ? [[s.id, median(list)] as const] : [];
    }),
  );
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  const mid = Math.floor(sorted.length / 2);
  const at = (i: number) => sorted[i] ?? 0;
  return sorted.length % 2 === 1 ? at(mid) : (at(mid - 1) + at(mid)) / 2;
}

/** Milliseconds that the rest of the way is expected to take; undefined when one of its stages is not known. */
export function expectedRest(d: Deployment, expected: ReadonlyMap<string, number>, now: Date): number | undefined {
  if (d.status !== "RUNNING") return undefined;
  let rest = 0;
  for (const s of d.stages.filter((x) => !x.rollback && (x.status === "NOT_STARTED_YET" || x.status === "RUNNING"))) {
    const until = toDate(s.until);
    const ms = expected.get(s.id);
    if (s.status === "RUNNING" && until) rest += Math.max(0, until.getTime() - now.getTime());
    else if (ms === undefined) return undefined;
    else rest += s.status === "RUNNING" ? Math.max(0, ms - (between(toDate(s.startedAt), now) ?? 0)) : ms;
  }
  return rest;
}
