import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, getRouteApi, useNavigate, useParams } from "@tanstack/react-router";
import { useWho } from "../api/who";
import { type Application, ApplicationService } from "../gen/penstock/v1/application_pb";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { kindName, shortId } from "../logic/kinds";
import { deploymentLooks, look, syncLooks } from "../logic/status";
import { toDate } from "../logic/time";
import { Banner, CommitRef, Empty, Fact, Failure, Id, Loading, Section, Versions, Why } from "../ui/bits";
import { useTitle } from "../ui/hooks";
import { Status, StatusPill } from "../ui/status";
import { Ago } from "../ui/time";
import { ApplicationActions } from "./application-actions";
import { AppHealth } from "./applications";
import { ApplicationCopyMenu } from "./deployment-copy";
import { DeploymentTable } from "./deployment-table";
import { DriftBanner } from "./drift";
import { ResourcePanel } from "./resource-panel";
import { ResourceTable } from "./resources";
import { TrafficPanel } from "./traffic";

const route = getRouteApi("/app/applications/$id");

/** One application: what is declared, what is live, and what was deployed. */
export function ApplicationPage() {
  const { i18n } = useLingui();
  const { id } = useParams({ from: "/app/applications/$id" });
  const got = useQuery(ApplicationService.method.getApplication, { application: id });
  const app = got.data?.application;
  useTitle(app && i18n._(look(syncLooks, app.syncState).label), app?.name ?? id);
  if (got.isPending) return <Loading lines={8} />;
  if (got.error) return <Failure error={got.error} retry={() => void got.refetch()} />;
  return app ? <Content app={app} /> : null;
}

function Content({ app }: { app: Application }) {
  const who = useWho();
  const live = useQuery(ApplicationService.method.getLiveState, { applicationId: app.id });
  const current = useQuery(
    DeploymentService.method.getDeployment,
    { deploymentId: app.currentDeploymentId },
    { enabled: app.currentDeploymentId !== "" },
  );
  const state = live.data?.liveState;
  const { resource } = route.useSearch();
  const navigate = useNavigate({ from: "/applications/$id" });
  const set = (id: string | undefined) => void navigate({ search: (old) => ({ ...old, resource: id }), replace: true, resetScroll: false });
  const show = (id: string) => set(id);
  const close = () => {
    // The focus goes back to where the panel was opened from.
    [...document.querySelectorAll<HTMLElement>("[data-resource]")].find((e) => e.dataset["resource"] === resource)?.focus();
    set(undefined);
  };
  return (
    <div className="lg:flex lg:items-start lg:gap-4">
      <div className="min-w-0 flex-1 space-y-4">
        <header className="flex flex-wrap items-center gap-x-4 gap-y-2">
          <h1 className="text-xl font-semibold break-all">{app.name}</h1>
          <StatusPill look={look(syncLooks, app.syncState)} />
          <AppHealth app={app} />
          <span className="text-muted">{kindName(app.kind)}</span>
          <div className="ml-auto flex flex-wrap items-center gap-2">
            <ApplicationActions app={app} who={who} />
            <ApplicationCopyMenu app={app} />
          </div>
          {app.description && <p className="text-muted basis-full whitespace-pre-wrap">{app.description}</p>}
        </header>
        <Banners app={app} />
        <Running app={app} />
        <Facts app={app} />
        {state && state.traffic.length > 0 && (
          <TrafficPanel live={state} samples={live.data?.traffic} deployment={current.data?.deployment} />
        )}
        <Section title={<Trans>Live state</Trans>} aside={state && <Seen app={app} />}>
          {live.isPending ? (
            <Loading />
          ) : live.error ? (
            <div className="p-4">
              <Failure error={live.error} retry={() => void live.refetch()} />
            </div>
          ) : state && state.resources.length > 0 ? (
            <ResourceTable resources={state.resources} truncated={state.truncated} chosen={resource} onChoose={show} />
          ) : (
            <Empty>
              <Trans>No agent has observed this application yet.</Trans>
            </Empty>
          )}
        </Section>
        <History app={app} />
      </div>
      {resource && state && <ResourcePanel key={resource} app={app} resources={state.resources} id={resource} onShow={show} onClose={close} />}
    </div>
  );
}

function Seen({ app }: { app: Application }) {
  return (
    <span className="text-muted text-xs">
      {app.agentOnline ? (
        <Trans>
          observed <Ago at={app.liveAt} />
        </Trans>
      ) : (
        <Trans>
          state unknown since <Ago at={app.liveAt} />
        </Trans>
      )}
    </span>
  );
}

/** Why git is ahead, why nothing will happen, or why what is shown is old. */
function Banners({ app }: { app: Application }) {
  const { hold } = app;
  return (
    <>
      {hold && (
        <Banner
          tone="warn"
          title={<Trans>Git is ahead, and this application is held</Trans>}
          actions={
            <Link to="/deployments/$id" params={{ id: hold.deploymentId }} className="link">
              <Trans>The deployment that went back</Trans>
            </Link>
          }
        >
          <Why reason={hold.reason} />
          <div className="text-muted mt-1">
            <CommitRef commit={hold.commit} /> · <Ago at={hold.at} />
          </div>
          <Trans>A commit that declares something else goes out by itself; to try this one again, sync by hand.</Trans>
        </Banner>
      )}
      <DriftBanner app={app} />
      {app.invalidDetail && (
        <Banner tone="bad" title={<Trans>The application file at the newest commit cannot be used</Trans>}>
          <pre className="font-mono text-xs whitespace-pre-wrap">{app.invalidDetail}</pre>
        </Banner>
      )}
      {app.disabled && (
        <Banner tone="info" title={<Trans>Disabled: commits are recorded and nothing is deployed</Trans>} />
      )}
      {!app.agentOnline && (
        <Banner
          tone="warn"
          title={
            toDate(app.liveAt) ? (
              <Trans>
                No agent is connected: the state is unknown since <Ago at={app.liveAt} />
              </Trans>
            ) : (
              <Trans>No agent is connected</Trans>
            )
          }
        >
          <Trans>Nothing is deployed and nothing is observed until the agent is back. Traffic stays as it is.</Trans>
        </Banner>
      )}
    </>
  );
}

function Running({ app }: { app: Application }) {
  if (!app.currentDeploymentId && app.queue.length === 0) return null;
  return (
    <div className="panel border-l-run flex flex-wrap items-center gap-x-4 gap-y-1 border-l-4 px-4 py-2.5">
      {app.currentDeploymentId && (
        <Link to="/deployments/$id" params={{ id: app.currentDeploymentId }} className="inline-flex items-center gap-2 hover:underline">
          <Status look={look(deploymentLooks, "RUNNING")} />
          <span className="link">
            <Trans>Look at the deployment</Trans>
          </span>
        </Link>
      )}
      {app.queue.map((id) => (
        <Link key={id} to="/deployments/$id" params={{ id }} className="link">
          <Trans>queued: {shortId(id)}</Trans>
        </Link>
      ))}
    </div>
  );
}

function Facts({ app }: { app: Application }) {
  return (
    <section className="panel p-4">
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(14rem,1fr))] gap-x-6 gap-y-3">
        <Fact name={<Trans>Last good version</Trans>}>
          <Versions versions={app.lastGood?.versions ?? []} />
        </Fact>
        <Fact name={<Trans>Last good commit</Trans>}>
          {app.lastGood ? (
            <>
              <CommitRef commit={app.lastGood.commit} /> <span className="text-muted">·</span> <Ago at={app.lastGood.at} />
            </>
          ) : (
            "–"
          )}
        </Fact>
        <Fact name={<Trans>Newest commit</Trans>}>
          <CommitRef commit={app.head} />
        </Fact>
        <Fact name={<Trans>Last deployment</Trans>}>
          {app.lastDeploymentId ? (
            <Link to="/deployments/$id" params={{ id: app.lastDeploymentId }} className="hover:underline">
              <Status look={look(deploymentLooks, app.lastDeploymentDisplay)} />
            </Link>
          ) : (
            "–"
          )}
        </Fact>
        <Fact name={<Trans>File</Trans>}>
          <span className="font-mono text-xs break-all">
            {app.path ? `${app.path}/` : ""}
            {app.configFile}
          </span>
        </Fact>
        <Fact name={<Trans>Repository</Trans>}>
          <span title={app.remoteUrl}>
            {app.repoId} @ {app.branch}
          </span>
        </Fact>
        <Fact name={<Trans>Agent and provider</Trans>}>
          {app.agentName || shortId(app.agentId)} · {app.provider}
        </Fact>
        <Fact name={<Trans>Account</Trans>}>{app.account || "–"}</Fact>
        <Fact name={<Trans>Labels</Trans>}>
          {Object.entries(app.labels)
            .map(([k, v]) => `${k}=${v}`)
            .join(", ") || "–"}
        </Fact>
        <Fact name={<Trans>Registered</Trans>}>
          <Ago at={app.registeredAt} />
        </Fact>
        <Fact name="ID">
          <Id id={app.id} />
        </Fact>
      </dl>
    </section>
  );
}

function History({ app }: { app: Application }) {
  const list = useQuery(DeploymentService.method.listDeployments, { applicationId: app.id, page: { pageSize: 20 } });
  return (
    <Section
      title={<Trans>Deployments</Trans>}
      aside={
        <Link to="/deployments" search={{ q: app.name }} className="link text-xs">
          <Trans>all</Trans>
        </Link>
      }
      className="overflow-x-auto"
    >
      {list.isPending ? (
        <Loading />
      ) : list.error ? (
        <div className="p-4">
          <Failure error={list.error} retry={() => void list.refetch()} />
        </div>
      ) : list.data.deployments.length > 0 ? (
        <DeploymentTable deployments={list.data.deployments} ofOne />
      ) : (
        <Empty>
          <Trans>Nothing was deployed yet.</Trans>
        </Empty>
      )}
    </Section>
  );
}
