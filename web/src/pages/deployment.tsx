import { useQuery } from "@connectrpc/connect-query";
import { useLingui } from "@lingui/react/macro";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { useWho } from "../api/who";
import { ApplicationService } from "../gen/penstock/v1/application_pb";
import { type Deployment, DeploymentService, type LedgerObject, type Stage } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import { type DeploymentSearch, faviconOf } from "../logic/search";
import { deploymentLooks, look, terminal } from "../logic/status";
import { focusStage, waitingApproval } from "../logic/timeline";
import { Failure, Loading } from "../ui/bits";
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
  if (got.isPending) return <Loading lines={10} />;
  if (got.error) return <Failure error={got.error} retry={() => void got.refetch()} />;
  return d ? <Content d={d} ledger={got.data.ledger} /> : null;
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
  const select = (s: Stage) => set({ stage: s.id, attempt: undefined });
  return (
    <div className="space-y-4">
      <DeploymentHeader d={d} who={who}>
        <CausePanel d={d} onShow={select} />
        {approval && <ApprovalPanel d={d} stage={approval} who={who} />}
      </DeploymentHeader>
      <div className="grid items-start gap-4 lg:grid-cols-[minmax(20rem,26rem)_minmax(0,1fr)]">
        <Pipeline d={d} who={who} selected={stage?.id} onSelect={select} />
        <div className="min-w-0 space-y-4">
          <LiveTraffic d={d} />
          {stage && <LogPanel deployment={d} stage={stage} attempt={search.attempt} onAttempt={(attempt) => set({ stage: stage.id, attempt })} />}
        </div>
      </div>
      <RecordTabs d={d} ledger={ledger} tab={search.tab} onTab={(tab) => set({ tab })} />
    </div>
  );
}

/** Traffic is the application's: it is shown as long as no later deployment moves it. */
function LiveTraffic({ d }: { d: Deployment }) {
  const app = useQuery(ApplicationService.method.getApplication, { application: d.applicationId });
  const live = useQuery(ApplicationService.method.getLiveState, { applicationId: d.applicationId });
  const state = live.data?.liveState;
  const ours = !terminal(d.status) || app.data?.application?.lastDeploymentId === d.id;
  if (!state || state.traffic.length === 0 || !ours) return null;
  return <TrafficPanel traffic={state.traffic} at={state.at} deployment={d} />;
}
