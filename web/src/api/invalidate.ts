import type { DescMethodUnary } from "@bufbuild/protobuf";
import { createConnectQueryKey } from "@connectrpc/connect-query";
import type { QueryClient } from "@tanstack/react-query";
import { ApplicationService } from "../gen/penstock/v1/application_pb";
import { DecisionService } from "../gen/penstock/v1/decision_pb";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { type Change, ProjectService } from "../gen/penstock/v1/project_pb";

/** Answers that a change makes old: those of a method, all of them or those asked with an input. */
export interface Stale {
  method: DescMethodUnary;
  input?: Readonly<Record<string, string>>;
}

type Changed = Pick<Change, "streamKind" | "streamId" | "type" | "applicationId">;

/** Which answers a change makes old. LOG changes none: logs have a stream of their own. */
export function staleAfter(c: Changed): Stale[] {
  const { getApplication, getDrift, listApplications, getLiveState, listDiscoveredApplications } = ApplicationService.method;
  switch (c.streamKind) {
    case "deployment":
      if (c.type === "LOG") return [];
      if (c.type === "WAITING") return [{ method: DeploymentService.method.getDeployment, input: { deploymentId: c.streamId } }];
      return [
        { method: DeploymentService.method.getDeployment, input: { deploymentId: c.streamId } },
        { method: DeploymentService.method.getChanges, input: { deploymentId: c.streamId } },
        { method: DeploymentService.method.listEvents, input: { streamId: c.streamId } },
        { method: DeploymentService.method.listDeployments },
        { method: DecisionService.method.listCommands },
        { method: getApplication },
        { method: listApplications },
      ];
    case "application":
      return [
        { method: getApplication },
        { method: listApplications },
        ...(c.type === "LIVE"
          ? [{ method: getLiveState, input: { applicationId: c.applicationId || c.streamId } }]
          : [{ method: getDrift, input: { application: c.streamId } }, { method: DecisionService.method.listCommands }, { method: listDiscoveredApplications }, { method: DeploymentService.method.listEvents, input: { streamId: c.streamId } }]),
      ];
    case "agent":
      return [{ method: ProjectService.method.listAgents }, { method: DecisionService.method.listCommands }, { method: listDiscoveredApplications }, { method: getApplication }, { method: listApplications }];
    case "project":
      return [{ method: ProjectService.method.getProject }, { method: listDiscoveredApplications }];
    default:
      return [];
  }
}

const nameOf = (s: Stale) => `${s.method.parent.typeName}/${s.method.name}?${JSON.stringify(s.input ?? {})}`;

/**
 * Makes answers old in rounds, however many changes come: the first change is acted on at once, those that follow together
 * when its answers are there and the window is over. A round never takes the place of one that is under way, so a slow
 * server is asked less often and its answers are shown.
 */
export class Invalidator {
  private waiting = new Map<string, Stale>();
  private timer?: ReturnType<typeof setTimeout> | undefined;
  private round = 0;

  /**
   * @param windowMs shortest time between two rounds, in milliseconds
   * @param patienceMs how long a round is waited for
   */
  constructor(
    private readonly queries: Pick<QueryClient, "invalidateQueries">,
    private readonly windowMs = 100,
    private readonly patienceMs = 5_000,
  ) {}

  changes(changes: readonly Changed[]): void {
    for (const s of changes.flatMap(staleAfter)) this.waiting.set(nameOf(s), s);
    if (this.timer === undefined) this.flush();
  }

  /** Everything may be old. */
  everything(): void {
    this.waiting.clear();
    void this.queries.invalidateQueries();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.round++;
    this.waiting.clear();
  }

  private flush(): void {
    if (this.waiting.size === 0) {
      this.timer = undefined;
      return;
    }
    const old = [...this.waiting.values()];
    this.waiting = new Map();
    const round = ++this.round;
    const read = old.map((s) => this.queries.invalidateQueries({ queryKey: createConnectQueryKey({ schema: s.method, cardinality: undefined, ...(s.input ? { input: s.input } : {}) }) }));
    const next = (inMs: number) => {
      if (round !== this.round) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.flush(), inMs);
    };
    const from = Date.now();
    next(this.patienceMs);
    void Promise.allSettled(read).then(() => next(Math.max(0, this.windowMs - (Date.now() - from))));
  }
}
