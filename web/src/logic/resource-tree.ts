import type { Resource } from "../gen/penstock/v1/application_pb";

export interface Row {
  resource: Resource;
  /** 0 for a root. */
  depth: number;
  children: number;
}

const rank: Readonly<Record<string, number>> = { UNHEALTHY: 0, PROGRESSING: 1, UNKNOWN: 2, HEALTHY: 3 };
const rankOf = (r: Resource) => rank[r.health] ?? 2;

/**
 * The rows of a resource tree from the top, problems first among siblings. A resource whose owner is not in the report is
 * a root, and so is the first of a ring: nothing that was reported is left out.
 */
export function treeRows(resources: readonly Resource[]): Row[] {
  const ids = new Set(resources.map((r) => r.id));
  const below = new Map<string, Resource[]>();
  for (const r of resources) {
    const parent = r.parent !== r.id && ids.has(r.parent) ? r.parent : "";
    below.set(parent, [...(below.get(parent) ?? []), r]);
  }
  const rows: Row[] = [];
  const seen = new Set<string>();
  const visit = (r: Resource, depth: number) => {
    if (seen.has(r.id)) return;
    seen.add(r.id);
    const children = below.get(r.id) ?? [];
    rows.push({ resource: r, depth, children: children.length });
    for (const c of sorted(children)) visit(c, depth + 1);
  };
  for (const r of sorted(below.get("") ?? [])) visit(r, 0);
  for (const r of resources) visit(r, 0);
  return rows;
}

function sorted(list: Resource[]): Resource[] {
  return list.toSorted((a, b) => rankOf(a) - rankOf(b) || a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name));
}
