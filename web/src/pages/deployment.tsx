import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useRef } from "react";
import { useWho } from "../api/who";
import { ApplicationService } from "../gen/penstock/v1/application_pb";
import { type Deployment, DeploymentService, type LedgerObject, type Stage } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import { type DeploymentSearch, faviconOf } from "../logic/search";
import { deploymentLooks, look, terminal } from "../logic/status";
import { focusStage, waitingApproval } from "../logic/timeline";
import { Failure, Section } from "../ui/bits";
import { useFavicon, useTitle } from "../ui/hooks";
import { ApprovalPanel } from "./deployment-approval";
import { CausePanel } from "./deployment-cause";
import { DeploymentHeader } from "./deployment-header";
import { LogPanel } from "./deployment-log";
import { Pipeline } from "./deployment-pipeline";
import { RecordTabs } from "./deployment-record";
import { TrafficPanel } from "./traffic";

const route = getRouteApi("/app/deployments/$id");

/** One deployment: what happens, why, what it waits for, and what can be done about it. */
export function DeploymentPage() {
  const { i18n } = useLingui();
  const { id } = route.useParams();
  const got = useQuery(DeploymentService.method.getDeployment, { deploymentId: id });
  const d = got.data?.deployment;
  useTitle(d && i18n._(look(deploymentLooks, d.display).label), d?.applicationName ?? shortId(id));
  useFavicon(d && faviconOf(d.display, d.status));
  if (got.isPending) return <Skeleton />;
  if (got.error) return <Failure error={got.error} retry={() => void got.refetch()} />;
  return d ? <Content d={d} ledger={got.data.ledger} /> : null;
}

/** Grey blocks in the shape of what comes. */
function Skeleton() {
  const block = (size: string) => <div className={`bg-line animate-pulse rounded-lg ${size}`} />;
  return (
    <div role="status" className="space-y-4">
      <span className="sr-only">
        <Trans>Loading</Trans>
      </span>
      {block("h-9 w-80 max-w-full")}
      {block("h-24")}
      {block("h-36")}
      {block("h-64")}
    </div>
  );
}

function Content({ d, ledger }: { d: Deployment; ledger: readonly LedgerObject[] }) {
  const who = useWho();
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/deployments/$id" });
  const set = useCallback(
    (change: DeploymentSearch) => void navigate({ search: (old) => ({ ...old, ...change }), replace: true, resetScroll: false }),
    [navigate],
  );
  const chosen = d.stages.find((s) => s.id === search.stage);
  const stage = chosen ?? focusStage(d);
  const approval = waitingApproval(d);
  const log = useRef<HTMLDivElement>(null);
  const select = (s: Stage) => set({ stage: s.id, attempt: undefined, line: undefined });
  const show = (s: Stage) => {
    select(s);
    log.current?.scrollIntoView({ block: "start" });
    log.current?.focus({ preventScroll: true });
  };
  return (
    <div className="space-y-4">
      <DeploymentHeader d={d} who={who}>
        <CausePanel d={d} onShow={show} />
        {approval && <ApprovalPanel d={d} stage={approval} who={who} />}
      </DeploymentHeader>
      <Pipeline d={d} who={who} selected={stage?.id} onSelect={select} view={search.view} onView={(view) => set({ view })} />
      <LiveTraffic d={d} />
      <div ref={log} tabIndex={-1} className="scroll-mt-4 outline-none">
        {stage && (
          <LogPanel
            deployment={d}
            stage={stage}
            attempt={search.attempt}
            onAttempt={(attempt) => set({ stage: stage.id, attempt, line: undefined })}
            line={search.line}
            onLine={(line) => set({ stage: stage.id, attempt: search.attempt ?? stage.attempt, line })}
          />
        )}
      </div>
      <RecordTabs d={d} ledger={ledger} tab={search.tab} onTab={(tab) => set({ tab })} />
    </div>
  );
}

/** Traffic now is shown as long as no later deployment moves it; what was observed in its time stays. */
function LiveTraffic({ d }: { d: Deployment }) {
  const app = useQuery(ApplicationService.method.getApplication, { application: d.applicationId });
  const live = useQuery(
    ApplicationService.method.getLiveState,
    { applicationId: d.applicationId, trafficSince: d.triggeredAt },
    { placeholderData: keepPreviousData },
  );
  const state = live.data?.liveState;
  const ours = !terminal(d.status) || app.data?.application?.lastDeploymentId === d.id;
  if (live.error) {
    return (
      <Section title={<Trans>Traffic</Trans>}>
        <div className="p-4">
          <Failure error={live.error} retry={() => void live.refetch()} />
        </div>
      </Section>
    );
  }
  if (!state || (state.traffic.length === 0 && live.data?.traffic.length === 0)) return null;
  return <TrafficPanel live={state} samples={live.data?.traffic} deployment={d} ours={ours && state.traffic.length > 0} />;
}
