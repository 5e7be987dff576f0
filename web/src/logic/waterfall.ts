import type { Event } from "../gen/penstock/v1/common_pb";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { terminal } from "./status";
import { toDate } from "./time";
import type { StageView, Timeline } from "./timeline";

/** A bar on the axis of time, in milliseconds since the trigger. */
export interface Bar {
  /** What the time went into. */
  kind: "queue" | "planning" | "stage";
  view?: StageView;
  /** Undefined while it has not begun and nobody can say when it will. */
  from?: number;
  to?: number;
  /** Where it is expected to end, when it is not over. */
  expected?: number;
  /** Ends of the steps within it, with their names. */
  steps: { at: number; name: string }[];
}

export interface Waterfall {
  bars: Bar[];
  /** Length of the axis in milliseconds, with what is expected. */
  total: number;
  /** Where now is; undefined when all is over. */
  now?: number;
}

/** Where the time of a deployment goes: one bar below the other. */
export function waterfall(d: Deployment, t: Timeline, now: Date, expected: ReadonlyMap<string, number>, events: readonly Event[] = []): Waterfall {
  const zero = toDate(d.triggeredAt)?.getTime() ?? now.getTime();
  const since = (x: Date | undefined) => (x ? Math.max(0, x.getTime() - zero) : undefined);
  const end = since(toDate(d.finishedAt) ?? now) ?? 0;
  const admitted = since(toDate(d.admittedAt));
  const bars: Bar[] = [{ kind: "queue", from: 0, to: admitted ?? end, steps: [] }];
  if (admitted !== undefined) bars.push({ kind: "planning", from: admitted, to: since(toDate(d.plannedAt)) ?? end, steps: [] });
  const steps = stepEnds(d, events, zero);
  let cursor: number | undefined = end;
  for (const view of [...t.forward, ...(t.turned ? t.back : [])]) {
    const bar = stageBar(view, { since, now: end, cursor, expected, over: terminal(d.status) });
    bars.push({ ...bar, steps: steps.get(view.stage.id) ?? [] });
    // Behind a stage whose end nobody can say, nobody can say where the next one begins.
    if (view.stage.status === "RUNNING" || (view.startedAt === undefined && bar.from !== undefined)) cursor = bar.expected;
    else if (view.startedAt === undefined) cursor = undefined;
  }
  const total = Math.max(1000, end, ...bars.map((b) => Math.max(b.to ?? 0, b.expected ?? 0)));
  return { bars, total, now: terminal(d.status) ? undefined : end };
}

interface Scale {
  since: (x: Date | undefined) => number | undefined;
  now: number;
  /** Where the next stage is expected to begin. */
  cursor: number | undefined;
  expected: ReadonlyMap<string, number>;
  over: boolean;
}

function stageBar(view: StageView, s: Scale): Omit<Bar, "steps"> {
  const from = s.since(view.startedAt);
  const ms = s.expected.get(view.stage.id);
  if (from !== undefined) {
    const ended = s.since(toDate(view.stage.endedAt));
    const until = s.since(view.until) ?? (ms === undefined ? undefined : Math.max(from + ms, s.now));
    return { kind: "stage", view, from, to: ended ?? s.now, ...(ended === undefined ? { expected: until } : {}) };
  }
  if (s.over || s.cursor === undefined || ms === undefined || view.word === "NOT_REACHED") return { kind: "stage", view };
  return { kind: "stage", view, from: s.cursor, to: s.cursor, expected: s.cursor + ms };
}

/** When the steps of the newest attempt of each stage ended, from the record. */
function stepEnds(d: Deployment, events: readonly Event[], zero: number): Map<string, Bar["steps"]> {
  const out = new Map<string, Bar["steps"]>();
  for (const e of events) {
    if (e.type !== "STEP_DONE" && e.type !== "STAGE_STARTED") continue;
    const data = read(e.data);
    const stage = d.stages.find((s) => s.id === data.stage);
    const at = toDate(e.at)?.getTime();
    if (!stage || at === undefined) continue;
    if (e.type === "STAGE_STARTED") out.set(stage.id, []);
    else out.set(stage.id, [...(out.get(stage.id) ?? []), { at: at - zero, name: stage.steps[data.step] ?? "" }]);
  }
  return out;
}

function read(data: string): { stage: string; step: number } {
  try {
    const v: unknown = JSON.parse(data);
    if (typeof v !== "object" || v === null) return { stage: "", step: 0 };
    return { stage: "stage" in v ? String(v.stage) : "", step: "step" in v ? Number(v.step) : 0 };
  } catch {
    return { stage: "", step: 0 };
  }
}

const nice = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400].map((s) => s * 1000);

/** Marks of an axis from 0 in round times, at most `most` of them behind the first. */
export function ticks(totalMs: number, most: number): number[] {
  const step = nice.find((n) => totalMs / n <= most) ?? Math.ceil(totalMs / most / 86_400_000) * 86_400_000;
  return Array.from({ length: Math.floor(totalMs / step) + 1 }, (_, i) => i * step);
}
