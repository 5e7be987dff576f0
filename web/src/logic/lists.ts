import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ListApplicationsRequestSchema } from "../gen/penstock/v1/application_pb";
import type { ListDeploymentsRequestSchema } from "../gen/penstock/v1/deployment_pb";
import { type ApplicationsSearch, type DeploymentsSearch, applicationsSearch, labelsOf } from "./search";

/** Rows of a page of a list. */
export const pageSize = 50;

/** The choices of a filter in the URL. */
export function choicesOf(value: string | undefined): string[] {
  return (value ?? "").split(",").filter(Boolean);
}

/** The same for the URL; none means that the filter is not there. */
export function choicesText(choices: readonly string[]): string | undefined {
  return choices.join(",") || undefined;
}

/** Adds a choice, or removes it. Of labels of one name only one holds, because an application has one value of it. */
export function toggled(choices: readonly string[], choice: string, labels = false): string[] {
  if (choices.includes(choice)) return choices.filter((c) => c !== choice);
  const name = choice.split("=")[0];
  return [...(labels ? choices.filter((c) => c.split("=")[0] !== name) : choices), choice];
}

/** What to ask for the page of applications that a URL names. */
export function applicationsRequest(s: ApplicationsSearch): Exclude<MessageInitShape<typeof ListApplicationsRequestSchema>, { $typeName: string }> {
  return {
    page: { pageSize, pageToken: s.after ?? "" },
    query: s.q ?? "",
    kinds: choicesOf(s.kind),
    syncStates: choicesOf(s.sync),
    healths: choicesOf(s.health),
    displays: choicesOf(s.result),
    agentIds: choicesOf(s.agent),
    providers: choicesOf(s.provider),
    labels: labelsOf(s.label),
    enabled: s.enabled && s.enabled === "yes",
    favourites: s.star === "yes",
    sort: s.sort ?? "",
    facets: true,
  };
}

/** What to ask for the page of deployments that a URL names. */
export function deploymentsRequest(s: DeploymentsSearch): Exclude<MessageInitShape<typeof ListDeploymentsRequestSchema>, { $typeName: string }> {
  return {
    page: { pageSize, pageToken: s.after ?? "" },
    query: s.q ?? "",
    statuses: choicesOf(s.status),
    kinds: choicesOf(s.kind),
    triggers: choicesOf(s.trigger),
    agentIds: choicesOf(s.agent),
    providers: choicesOf(s.provider),
    labels: labelsOf(s.label),
    mine: s.mine === "yes",
    sort: s.sort ?? "",
    facets: true,
  };
}

/** A list as one word of another URL, and back; what it does not know is dropped. */
export function listText(s: ApplicationsSearch): string {
  return new URLSearchParams(Object.entries(s).filter((e): e is [string, string] => typeof e[1] === "string")).toString();
}

export function listOf(text: string | undefined): ApplicationsSearch | undefined {
  return text === undefined ? undefined : applicationsSearch(Object.fromEntries(new URLSearchParams(text)));
}

/** Whether a filter is set, so that an empty list can say why it is empty. */
export function filtered(s: ApplicationsSearch | DeploymentsSearch): boolean {
  return Object.keys(s).some((k) => k !== "sort" && k !== "after");
}

/**
 * Rows in the order in which the reader has them: what is pushed changes a row where it stands. A row that is new stands
 * behind its neighbour of the server's order.
 */
export function steady<T extends { id: string }>(known: readonly string[], rows: readonly T[]): T[] {
  const place = new Map(known.map((id, i) => [id, i]));
  const out = rows.filter((r) => place.has(r.id)).toSorted((a, b) => (place.get(a.id) ?? 0) - (place.get(b.id) ?? 0));
  rows.forEach((row, i) => {
    if (place.has(row.id)) return;
    const before = rows[i - 1];
    out.splice(before ? out.findIndex((r) => r.id === before.id) + 1 : 0, 0, row);
  });
  return out;
}

/** Whether two lists of the same rows differ in their order. */
export function reordered(a: readonly { id: string }[], b: readonly { id: string }[]): boolean {
  return a.some((row, i) => row.id !== b[i]?.id);
}

/** The sort that a press on a column's head asks for: by it, the other way round, and by name again. */
export function nextSort<S extends string>(now: string | undefined, column: S, first: S | `-${S}` = column): S | `-${S}` | undefined {
  const other = first === column ? (`-${column}` as const) : column;
  if (now === first) return other;
  return now === other ? undefined : first;
}

/** The direction in which a column is sorted, as a table says it. */
export function sortOf(now: string | undefined, column: string): "ascending" | "descending" | undefined {
  return now === column ? "ascending" : now === `-${column}` ? "descending" : undefined;
}
