import type { SearchHit } from "../gen/penstock/v1/project_pb";

/** Something the switcher can open or do. */
export interface Target {
  id: string;
  kind: "application" | "deployment" | "agent" | "action";
  name: string;
  /** What tells it from others of its name: project, environment, provider, directory. */
  apart: string;
}

/** What can be done from anywhere, as the words of the reader. */
export interface Action {
  id: string;
  name: string;
  /** Other words by which it is found. */
  also?: string;
}

const folded = (text: string) => text.normalize("NFKC").toLowerCase();

/** Actions in which every word of the query is found. */
export function matching(actions: readonly Action[], query: string): Action[] {
  const words = folded(query).split(/\s+/).filter(Boolean);
  return actions.filter((a) => {
    const text = folded(`${a.name} ${a.also ?? ""}`);
    return words.every((w) => text.includes(w));
  });
}

/** One list to choose from: what the server found, then actions. */
export function targets(hits: readonly SearchHit[], actions: readonly Action[], query: string): Target[] {
  const found = hits.flatMap((h): Target[] => {
    const kind = (["application", "deployment", "agent"] as const).find((k) => k === h.kind);
    if (!kind) return [];
    const apart = [h.projectId, h.environment, h.provider, h.detail].filter(Boolean).join(" · ");
    return [{ id: h.id, kind, name: h.name, apart }];
  });
  return [...found, ...matching(actions, query).map((a): Target => ({ id: a.id, kind: "action", name: a.name, apart: "" }))];
}

/** The place that an arrow key moves to: round at the ends. */
export function around(current: number, by: 1 | -1, count: number): number {
  return count === 0 ? 0 : (current + by + count) % count;
}
