import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { Link, getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { type Application, ApplicationService } from "../gen/penstock/v1/application_pb";
import { kindName, kinds } from "../logic/kinds";
import { type ApplicationsSearch, labelsOf } from "../logic/search";
import { deploymentLooks, healthLooks, look, syncLooks } from "../logic/status";
import { toDate } from "../logic/time";
import { Ago } from "../ui/time";
import { Empty, Failure, Loading, Versions } from "../ui/bits";
import { SelectFilter, TextFilter } from "../ui/filters";
import { useTitle } from "../ui/hooks";
import { Pager } from "../ui/pager";
import { Status } from "../ui/status";
import { Discovered } from "./discovered";

const route = getRouteApi("/app/applications");

/** The list of applications: a page of the server's, the filters in the URL. */
export function ApplicationsPage() {
  const { t } = useLingui();
  useTitle(t`Applications`);
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/applications" });
  const set = useCallback(
    (change: Partial<ApplicationsSearch>) => void navigate({ search: (old) => ({ ...old, after: undefined, ...change }), replace: !("after" in change) }),
    [navigate],
  );
  const list = useQuery(
    ApplicationService.method.listApplications,
    {
      page: { pageSize: 50, pageToken: search.after ?? "" },
      query: search.q ?? "",
      kinds: search.kind ? [search.kind] : [],
      syncStates: search.sync ? [search.sync] : [],
      displays: search.result ? [search.result] : [],
      labels: labelsOf(search.label),
    },
    { placeholderData: keepPreviousData },
  );
  const total = list.data?.total ?? 0;
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-baseline justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>Applications</Trans> {list.data && <span className="text-muted text-base font-normal tabular-nums">{total}</span>}
        </h1>
      </div>
      <Discovered />
      <Filters search={search} set={set} />
      <section aria-label={t`Applications`} className="panel overflow-x-auto">
        {list.isPending ? (
          <Loading lines={6} />
        ) : list.error ? (
          <div className="p-4">
            <Failure error={list.error} retry={() => void list.refetch()} />
          </div>
        ) : (
          <>
            <Table applications={list.data.applications} />
            <Pager first={!search.after} next={list.data.page?.nextPageToken ?? ""} go={(after) => set({ after })} />
          </>
        )}
      </section>
    </div>
  );
}

function Filters({ search, set }: { search: ApplicationsSearch; set: (change: Partial<ApplicationsSearch>) => void }) {
  const { t, i18n } = useLingui();
  const words = (looks: typeof syncLooks) => Object.entries(looks).map(([value, l]) => ({ value, label: i18n._(l.label) }));
  const setQuery = useCallback((q: string) => set({ q: q || undefined }), [set]);
  const setLabel = useCallback((label: string) => set({ label: label || undefined }), [set]);
  return (
    <search className="flex flex-wrap items-center gap-x-4 gap-y-2">
      <TextFilter main label={t`Name`} placeholder={t`Name (press /)`} value={search.q ?? ""} onChange={setQuery} />
      <TextFilter label={t`Labels`} placeholder="env=prod, team=web" value={search.label ?? ""} onChange={setLabel} />
      <SelectFilter label={t`Sync`} value={search.sync ?? ""} choices={words(syncLooks)} onChange={(v) => set({ sync: v || undefined })} />
      <SelectFilter
        label={t`Kind`}
        value={search.kind ?? ""}
        choices={kinds.map((k) => ({ value: k.kind, label: k.name }))}
        onChange={(v) => set({ kind: v || undefined })}
      />
      <SelectFilter
        label={t`Last deployment`}
        value={search.result ?? ""}
        choices={words(deploymentLooks)}
        onChange={(v) => set({ result: v || undefined })}
      />
    </search>
  );
}

function Table({ applications }: { applications: readonly Application[] }) {
  if (applications.length === 0) {
    return (
      <Empty>
        <Trans>No application matches. An agent finds application files in the repositories of its configuration and offers them here.</Trans>
      </Empty>
    );
  }
  return (
    <table className="w-full border-collapse">
      <thead>
        <tr>
          <th scope="col" className="th">
            <Trans>Application</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Sync</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Health</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Kind</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Version</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Last deployment</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Last good</Trans>
          </th>
        </tr>
      </thead>
      <tbody>
        {applications.map((a) => (
          <Row key={a.id} app={a} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ app }: { app: Application }) {
  const { t } = useLingui();
  return (
    <tr className="hover:bg-sunken last:[&>td]:border-b-0">
      <td className="td max-w-96 min-w-56">
        <Link to="/applications/$id" params={{ id: app.id }} data-row="" className="link font-semibold">
          {app.name}
        </Link>
        {app.disabled && (
          <span className="bg-idle-soft text-idle ml-2 rounded px-1.5 py-0.5 text-xs">
            <Trans>disabled</Trans>
          </span>
        )}
        <div className="text-muted mt-0.5 flex flex-wrap gap-x-2 text-xs">
          <span className="font-mono">{app.path || "/"}</span>
          {Object.entries(app.labels)
            .toSorted(([a], [b]) => a.localeCompare(b))
            .map(([k, v]) => (
              <span key={k} className="bg-sunken rounded px-1">
                {k}={v}
              </span>
            ))}
        </div>
      </td>
      <td className="td">
        <Status look={look(syncLooks, app.syncState)} />
        {app.hold && (
          <div className="text-muted text-xs">
            <Trans>held after a rollback</Trans>
          </div>
        )}
      </td>
      <td className="td">
        <AppHealth app={app} />
      </td>
      <td className="td whitespace-nowrap">{kindName(app.kind)}</td>
      <td className="td">
        <Versions versions={app.lastGood?.versions ?? []} />
      </td>
      <td className="td">
        {app.lastDeploymentId ? (
          <Link
            to="/deployments/$id"
            params={{ id: app.lastDeploymentId }}
            aria-label={t`Last deployment of ${app.name}`}
            className="inline-block hover:underline"
          >
            <Status look={look(deploymentLooks, app.lastDeploymentDisplay)} />
          </Link>
        ) : (
          <span className="text-muted">–</span>
        )}
      </td>
      <td className="td">
        <Ago at={app.lastGood?.at} />
      </td>
    </tr>
  );
}

/** Health as it was reported; without an agent nobody knows how it is now. */
export function AppHealth({ app }: { app: Application }) {
  if (!toDate(app.liveAt)) return <Status look={look(healthLooks, "UNKNOWN")} />;
  if (app.agentOnline) return <Status look={look(healthLooks, app.health)} />;
  return (
    <div>
      <Status look={look(healthLooks, "UNKNOWN")} />
      <div className="text-muted text-xs">
        <Trans>
          no agent; last seen <Ago at={app.liveAt} />
        </Trans>
      </div>
    </div>
  );
}
