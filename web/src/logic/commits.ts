import type { Commit } from "../gen/penstock/v1/common_pb";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { toDate } from "./time";

/** Commits that this deployment brings besides its own: those of deployments since the last one that succeeded, newest first. */
export function commitsSince(d: Deployment, history: readonly Deployment[]): Commit[] {
  const at = (x: Deployment) => toDate(x.triggeredAt)?.getTime() ?? 0;
  const before = history.filter((x) => x.id !== d.id && at(x) < at(d)).toSorted((a, b) => at(b) - at(a));
  const good = before.findIndex((x) => x.status === "SUCCESS");
  const seen = new Set([d.trigger?.commit?.hash]);
  return (good < 0 ? [] : before.slice(0, good)).flatMap((x) => {
    const c = x.trigger?.commit;
    if (!c?.hash || seen.has(c.hash)) return [];
    seen.add(c.hash);
    return [c];
  });
}

/** Where the code host shows all between two commits; undefined when its address is of a form that is not known. */
export function compareUrl(commitUrl: string, from: string, to: string): string | undefined {
  if (!from || !to || from === to) return undefined;
  const m = /^(https?:\/\/.+?)\/(-\/)?commit\/[0-9a-f]+$/.exec(commitUrl);
  return m ? `${m[1]}/${m[2] ?? ""}compare/${from}...${to}` : undefined;
}

/** The pull or merge request of a commit, as its subject names it: `(#12)`, `Merge pull request #12`, `(!12)`. */
export function requestOf(commit: Pick<Commit, "subject" | "url"> | undefined): { name: string; url: string } | undefined {
  const base = /^(https?:\/\/.+?)\/(-\/)?commits?\/[0-9a-f]+$/.exec(commit?.url ?? "");
  const named = /(?:\((?<in>[#!]\d+)\)\s*$|^Merge pull request (?<merge>#\d+))/.exec(commit?.subject ?? "");
  const name = named?.groups?.["in"] ?? named?.groups?.["merge"];
  if (!base || !name) return undefined;
  // GitLab has /-/ before what belongs to a project, and ! before its merge requests; elsewhere it is a pull request.
  const gitlab = base[2] !== undefined;
  if (gitlab !== name.startsWith("!")) return undefined;
  return { name, url: gitlab ? `${base[1]}/-/merge_requests/${name.slice(1)}` : `${base[1]}/pull/${name.slice(1)}` };
}
