import { diffArrays } from "diff";
import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import { stageKeys } from "./expected";
import { terminal } from "./status";
import { timeline } from "./timeline";
import { between, toDate } from "./time";

/** One stage of two deployments, side by side; one that only one of them has stands alone. */
export interface StagePair {
  name: string;
  rollback: boolean;
  older?: Stage;
  newer?: Stage;
}

/** The stages of both in one order: those of the same name, and the same place among those of that name, stand together. */
export function pairStages(older: Deployment, newer: Deployment): StagePair[] {
  const [a, b] = [stageKeys(older), stageKeys(newer)];
  let [i, j] = [0, 0];
  return diffArrays(a, b).flatMap((part) =>
    part.value.map((): StagePair => {
      const left = part.added ? undefined : older.stages[i++];
      const right = part.removed ? undefined : newer.stages[j++];
      const named = left ?? right;
      return { name: named?.name ?? "", rollback: named?.rollback ?? false, ...(left && { older: left }), ...(right && { newer: right }) };
    }),
  );
}

/** Milliseconds that a stage took; undefined when it did not begin, or is not over. */
export function stageTook(s: Stage | undefined): number | undefined {
  return between(toDate(s?.startedAt), toDate(s?.endedAt));
}

/** Milliseconds from the trigger to the end; undefined when it is not over. */
export function deploymentTook(d: Deployment): number | undefined {
  return terminal(d.status) ? between(toDate(d.triggeredAt), toDate(d.finishedAt)) : undefined;
}

/** The older one first, whatever the order in which they were chosen. */
export function inOrder<T extends Pick<Deployment, "triggeredAt">>(a: T, b: T): [T, T] {
  const at = (d: T) => toDate(d.triggeredAt)?.getTime() ?? 0;
  return at(a) <= at(b) ? [a, b] : [b, a];
}

/** The choice after one more press: two at most, and the one that was chosen first makes room for a third. */
export function picked(ids: readonly string[], id: string): string[] {
  return ids.includes(id) ? ids.filter((x) => x !== id) : [...ids, id].slice(-2);
}

/** The deployment of the same application before this one; undefined when none is known. */
export function previousOf(d: Deployment, history: readonly Deployment[]): Deployment | undefined {
  const at = (x: Deployment) => toDate(x.triggeredAt)?.getTime() ?? 0;
  return history.filter((x) => x.id !== d.id && at(x) < at(d)).toSorted((a, b) => at(b) - at(a))[0];
}

/** What became of each stage, by its id, in the words of the page of a deployment. */
export function stageWords(of: Deployment, now: Date): ReadonlyMap<string, string> {
  const { forward, back } = timeline(of, now);
  return new Map([...forward, ...back].map((v) => [v.stage.id, v.word]));
}
