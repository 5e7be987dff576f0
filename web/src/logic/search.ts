import { terminal } from "./status";

/** What the URL of the list of applications says. */
export interface ApplicationsSearch {
  q?: string;
  sync?: string;
  kind?: string;
  result?: string;
  /** Labels as name=value, separated by commas. */
  label?: string;
  /** Token of the page that is shown; none for the first. */
  after?: string;
}

export interface DeploymentsSearch {
  q?: string;
  status?: string;
  kind?: string;
  after?: string;
}

export interface DeploymentSearch {
  /** The stage whose log is shown; none follows the deployment. */
  stage?: string;
  attempt?: number;
  tab?: DeploymentTab;
  /** How the pipeline is drawn; none is the graph. */
  view?: PipelineView;
  /** Line of the log that a link points at. */
  line?: number;
}

export type PipelineView = "time";

export const deploymentTabs = ["changes", "plan", "ledger", "events"] as const;
export type DeploymentTab = (typeof deploymentTabs)[number];

type Raw = Record<string, unknown>;

function text(raw: Raw, key: string): string | undefined {
  const v = raw[key];
  if (typeof v !== "string" && typeof v !== "number") return undefined;
  return String(v).normalize("NFKC") || undefined;
}

/** Leaves out what is not set, so that URLs stay short. */
function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

export function applicationsSearch(raw: Raw): ApplicationsSearch {
  return compact({
    q: text(raw, "q"),
    sync: text(raw, "sync"),
    kind: text(raw, "kind"),
    result: text(raw, "result"),
    label: text(raw, "label"),
    after: text(raw, "after"),
  });
}

export function deploymentsSearch(raw: Raw): DeploymentsSearch {
  return compact({ q: text(raw, "q"), status: text(raw, "status"), kind: text(raw, "kind"), after: text(raw, "after") });
}

export function deploymentSearch(raw: Raw): DeploymentSearch {
  return compact({
    stage: text(raw, "stage"),
    attempt: positive(raw["attempt"]),
    line: positive(raw["line"]),
    view: raw["view"] === "time" ? "time" : undefined,
    tab: deploymentTabs.find((t) => t === raw["tab"]),
  });
}

function positive(v: unknown): number | undefined {
  const n = Number(v);
  return Number.isInteger(n) && n > 0 ? n : undefined;
}

/** Only a path of this page is gone to after signing in: never another site, never the login itself. */
export function returnPath(raw: unknown): string {
  if (typeof raw !== "string" || !/^\/(?![/\\])/.test(raw) || raw.startsWith("/login")) return "/applications";
  return raw;
}

/** Labels of a filter such as `env=prod, team=web`; parts without a name are left out. */
export function labelsOf(filter: string | undefined): Record<string, string> {
  const pairs = (filter ?? "").split(",").map((p) => p.split("="));
  return Object.fromEntries(pairs.map(([k, ...v]) => [k?.trim() ?? "", v.join("=").trim()]).filter(([k, v]) => k && v));
}

/** The title of the browser's tab: what happened, then to what. */
export function titleOf(...parts: (string | undefined)[]): string {
  return [...parts.filter(Boolean), "Penstock"].join(" · ");
}

/** The icon of the browser's tab for a state of a deployment. */
export function faviconOf(display: string, status: string): "run" | "ok" | "bad" | "idle" {
  if (status === "SUCCESS") return "ok";
  if (display === "NEEDS_ATTENTION" || display === "ROLLED_BACK" || status === "FAILURE" || status === "ROLLING_BACK") return "bad";
  return terminal(status) ? "idle" : "run";
}
