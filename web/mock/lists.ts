import type { Application, ListApplicationsRequest } from "../src/gen/penstock/v1/application_pb.ts";
import type { PageRequest } from "../src/gen/penstock/v1/common_pb.ts";
import type { Deployment, ListDeploymentsRequest } from "../src/gen/penstock/v1/deployment_pb.ts";
import type { World } from "./world.ts";

// The mock's pages are small, so that its few rows fill more than one.
const smallPage = 15;

/** A page of rows, and the token of the next. */
export function page<T>(all: readonly T[], req: PageRequest | undefined): { rows: T[]; next: string } {
  const from = Number(req?.pageToken || 0);
  const to = from + Math.min(req?.pageSize || 50, smallPage);
  return { rows: all.slice(from, to), next: to < all.length ? `${to}` : "" };
}

const wants = (list: readonly string[], ...values: string[]) => list.length === 0 || values.some((v) => list.includes(v));

const words = (query: string, ...texts: string[]) =>
  query
    .toLowerCase()
    .split(/\s+/)
    .every((w) => texts.join(" ").toLowerCase().includes(w));

const labelTexts = (labels: Readonly<Record<string, string>>) => Object.entries(labels).map(([k, v]) => `${k}=${v}`);

type AppFilter = Pick<ListApplicationsRequest, "query" | "kinds" | "syncStates" | "displays" | "healths" | "agentIds" | "providers" | "labels" | "enabled" | "favourites">;

function filterApplications(world: World, req: AppFilter): Application[] {
  return world.data.applications
    .filter((a) => words(req.query, a.name, a.path, ...labelTexts(a.labels)))
    .filter((a) => wants(req.kinds, a.kind) && wants(req.syncStates, a.syncState) && wants(req.displays, a.lastDeploymentDisplay) && wants(req.healths, a.health))
    .filter((a) => wants(req.agentIds, a.agentId) && wants(req.providers, a.provider))
    .filter((a) => (req.enabled ?? !a.disabled) === !a.disabled && (!req.favourites || world.favourites.includes(a.id)))
    .filter((a) => Object.entries(req.labels).every(([k, v]) => a.labels[k] === v));
}

const pressing = (a: Application) => (a.syncState === "INVALID_CONFIG" || a.health === "UNHEALTHY" || a.syncState === "OUT_OF_SYNC" || a.lastDeploymentDisplay === "NEEDS_ATTENTION" ? 0 : 1);

const orders: Readonly<Record<string, (a: Application) => string>> = {
  attention: (a) => `${pressing(a)}`,
  health: (a) => a.health,
  sync_state: (a) => a.syncState,
  display: (a) => a.lastDeploymentDisplay,
  kind: (a) => a.kind,
  last_deployment: (a) => `${a.lastDeploymentAt?.seconds ?? a.lastGood?.at?.seconds ?? 0n}`.padStart(12, "0"),
};

/** The applications of a request, in its order. */
export function listed(world: World, req: ListApplicationsRequest): Application[] {
  const [column, way] = req.sort.startsWith("-") ? [req.sort.slice(1), -1] : [req.sort, 1];
  const by = orders[column] ?? (() => "");
  return filterApplications(world, req).toSorted((a, b) => way * (by(a).localeCompare(by(b)) || a.name.localeCompare(b.name)));
}

function count(name: string, values: readonly string[], titles: ReadonlyMap<string, string> = new Map()) {
  const counts = new Map<string, number>();
  for (const v of values.filter(Boolean)) counts.set(v, (counts.get(v) ?? 0) + 1);
  const sorted = [...counts].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  return { name, values: sorted.map(([value, n]) => ({ value, count: n, title: titles.get(value) ?? "" })) };
}

const agentNames = (world: World) => new Map(world.data.agents.map((a) => [a.id, a.name]));

/** The choices of each filter, counted among what the other filters let through. */
export function applicationFacets(world: World, req: ListApplicationsRequest) {
  const rows = (without: Partial<AppFilter>) => filterApplications(world, { ...req, ...without });
  return [
    count("kind", rows({ kinds: [] }).map((a) => a.kind)),
    count("sync_state", rows({ syncStates: [] }).map((a) => a.syncState)),
    count("display", rows({ displays: [] }).map((a) => a.lastDeploymentDisplay)),
    count("health", rows({ healths: [] }).map((a) => a.health)),
    count("agent_id", rows({ agentIds: [] }).map((a) => a.agentId), agentNames(world)),
    count("provider", rows({ providers: [] }).map((a) => a.provider)),
    count("enabled", rows({ enabled: undefined }).map((a) => `${!a.disabled}`)),
    count("label", rows({ labels: {} }).flatMap((a) => labelTexts(a.labels))),
  ];
}

type DeployFilter = Pick<ListDeploymentsRequest, "applicationId" | "query" | "statuses" | "kinds" | "triggers" | "agentIds" | "providers" | "mine">;

function filterDeployments(world: World, req: DeployFilter): Deployment[] {
  const app = (d: Deployment) => world.data.applications.find((a) => a.id === d.applicationId);
  const mine = (d: Deployment) => [d.trigger?.by, d.trigger?.commit?.author, ...d.stages.filter((s) => s.status === "RUNNING").flatMap((s) => s.approvers)].includes(world.role);
  return world.data.deployments
    .filter((d) => !req.applicationId || d.applicationId === req.applicationId)
    .filter((d) => wants(req.statuses, d.status, d.display) && wants(req.kinds, d.kind) && wants(req.triggers, d.trigger?.kind ?? ""))
    .filter((d) => wants(req.agentIds, app(d)?.agentId ?? "") && wants(req.providers, app(d)?.provider ?? ""))
    .filter((d) => words(req.query, d.applicationName, d.path) && (!req.mine || mine(d)));
}

/** The deployments of a request, newest first unless it wants the oldest. */
export function listedDeployments(world: World, req: ListDeploymentsRequest): Deployment[] {
  const way = req.sort === "oldest" ? -1 : 1;
  return filterDeployments(world, req).toSorted((a, b) => way * Number((b.triggeredAt?.seconds ?? 0n) - (a.triggeredAt?.seconds ?? 0n)));
}

export function deploymentFacets(world: World, req: ListDeploymentsRequest) {
  const rows = (without: Partial<DeployFilter>) => filterDeployments(world, { ...req, ...without });
  const app = (d: Deployment) => world.data.applications.find((a) => a.id === d.applicationId);
  return [
    count("status", rows({ statuses: [] }).map((d) => d.display)),
    count("kind", rows({ kinds: [] }).map((d) => d.kind)),
    count("trigger", rows({ triggers: [] }).map((d) => d.trigger?.kind ?? "")),
    count("agent_id", rows({ agentIds: [] }).map((d) => app(d)?.agentId ?? ""), agentNames(world)),
    count("provider", rows({ providers: [] }).map((d) => app(d)?.provider ?? "")),
  ];
}
