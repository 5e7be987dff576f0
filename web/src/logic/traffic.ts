import type { Share, Traffic } from "../gen/penstock/v1/application_pb";
import type { Plan } from "../gen/penstock/v1/deployment_pb";

/** One group of a route as the page draws it. */
export interface GroupView {
  group: string;
  /** The last part of an identity such as an ARN: what tells it from its neighbours. */
  short: string;
  variant: string;
  percent: number;
  healthy: number;
  total: number;
  versions: { version: string; targets: number }[];
  /** Part of the group's healthy targets that run the new version, 0 to 1. */
  newPart: number;
  /** It is given requests and nobody is there to answer them. */
  starved: boolean;
}

export interface RouteView {
  route: string;
  short: string;
  groups: GroupView[];
  /** Share of requests on the new version in percent, from weights and healthy targets. */
  newShare: number;
}

/** What the routes do now, seen from a plan (without one, the canary is the new version). */
export function routeViews(traffic: readonly Traffic[], plan?: Pick<Plan, "versions" | "from">): RouteView[] {
  const isNew = newVersion(plan);
  return traffic.map((t) => {
    const groups = t.groups.map((g) => groupView(g, isNew));
    const newShare = groups.reduce((sum, g) => sum + g.percent * g.newPart, 0);
    return { route: t.route, short: shortName(t.route), groups, newShare: Math.round(newShare * 10) / 10 };
  });
}

function groupView(g: Share, isNew: ((version: string) => boolean) | undefined): GroupView {
  const versions = Object.entries(g.versions)
    .map(([version, targets]) => ({ version, targets }))
    .toSorted((a, b) => a.version.localeCompare(b.version));
  const all = versions.reduce((n, v) => n + v.targets, 0);
  const fresh = isNew ? versions.filter((v) => isNew(v.version)).reduce((n, v) => n + v.targets, 0) : 0;
  const known = isNew !== undefined && all > 0;
  return {
    group: g.group,
    short: shortName(g.group),
    variant: g.variant,
    percent: g.percent,
    healthy: g.healthy,
    total: g.total,
    versions,
    newPart: known ? fresh / all : g.variant === "canary" ? 1 : 0,
    starved: g.percent > 0 && g.healthy === 0,
  };
}

/** Tells the new version from the running one; undefined when the plan cannot (a change of options only). */
function newVersion(plan?: Pick<Plan, "versions" | "from">): ((version: string) => boolean) | undefined {
  const old = new Set((plan?.from ?? []).map((v) => v.version));
  const fresh = new Set((plan?.versions ?? []).map((v) => v.version).filter((v) => !old.has(v)));
  return fresh.size > 0 ? (v) => fresh.has(v) : undefined;
}

/** The part of an ARN or path that people know it by. */
export function shortName(identity: string): string {
  const resource = identity.startsWith("arn:") ? identity.split(":").slice(5).join(":") : identity;
  const parts = resource.split("/").filter(Boolean);
  // arn:…:targetgroup/NAME/0123456789abcdef: the hash at the end tells people nothing.
  const named = parts.filter((p) => !/^[0-9a-f]{16}$/.test(p));
  return named[named.length - 1] ?? identity;
}
