import type { Resource } from "../gen/penstock/v1/application_pb";
import { treeRows } from "./resource-tree";

/** Facts of a resource that belong together: those whose names begin with the same word and a slash. */
export interface FactGroup {
  /** Empty for the facts that stand alone; they come first. */
  name: string;
  facts: { name: string; value: string }[];
}

export function factGroups(fields: Readonly<Record<string, string>>): FactGroup[] {
  const groups = new Map<string, FactGroup["facts"]>([["", []]]);
  for (const [key, value] of Object.entries(fields).toSorted(([a], [b]) => a.localeCompare(b))) {
    const slash = key.indexOf("/");
    const group = slash < 0 ? "" : key.slice(0, slash);
    groups.set(group, [...(groups.get(group) ?? []), { name: key.slice(slash + 1), value }]);
  }
  return [...groups].filter(([, facts]) => facts.length > 0).map(([name, facts]) => ({ name, facts }));
}

/** What a panel shows besides the resource itself. */
export interface Around {
  owner?: Resource;
  /** What it owns, problems first. */
  parts: Resource[];
  /** The neighbours in the tree as it is drawn. */
  previous?: Resource;
  next?: Resource;
}

export function around(resources: readonly Resource[], id: string): Around {
  const rows = treeRows(resources).map((r) => r.resource);
  const at = rows.findIndex((r) => r.id === id);
  const [self, previous, next] = [rows[at], rows[at - 1], rows[at + 1]];
  const owner = rows.find((r) => r.id === self?.parent && r.id !== id);
  return {
    parts: rows.filter((r) => r.parent === id && r.id !== id),
    ...(owner && { owner }),
    ...(at >= 0 && previous && { previous }),
    ...(at >= 0 && next && { next }),
  };
}
