import { equals } from "@bufbuild/protobuf";
import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate, useRouterState } from "@tanstack/react-router";
import { type ReactNode, memo, useCallback, useMemo, useState } from "react";
import { usePreferences } from "../api/preferences";
import { type Application, ApplicationSchema, ApplicationService } from "../gen/penstock/v1/application_pb";
import type { Facet } from "../gen/penstock/v1/common_pb";
import { kindName } from "../logic/kinds";
import { applicationsRequest, choicesOf, choicesText, filtered, listText, nextSort, reordered, steady, toggled } from "../logic/lists";
import type { ApplicationSort, ApplicationsSearch } from "../logic/search";
import { deploymentLooks, healthLooks, look, syncLooks } from "../logic/status";
import { toDate } from "../logic/time";
import { Empty, Failure, Loading, Versions } from "../ui/bits";
import { Button } from "../ui/button";
import { FacetFilter, TextFilter, ToggleFilter } from "../ui/filters";
import { useTitle } from "../ui/hooks";
import { Pager } from "../ui/pager";
import { RowLink } from "../ui/row-link";
import { SortHead } from "../ui/sort-head";
import { Glyph, Status } from "../ui/status";
import { Ago } from "../ui/time";
import { Discovered } from "./discovered";
import { facetChoices } from "./facets";
import { ViewsMenu } from "./views-menu";

const route = getRouteApi("/app/applications");

type Set = (change: Partial<ApplicationsSearch>) => void;

/** The list of applications: a page of the server's; filters, order and page are in the URL. */
export function ApplicationsPage() {
  const { t } = useLingui();
  useTitle(t`Applications`);
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/applications" });
  const href = useRouterState({ select: (s) => s.location.href });
  const set: Set = useCallback(
    (change) => void navigate({ search: (old) => ({ ...old, after: undefined, ...change }), replace: !("after" in change), resetScroll: "after" in change }),
    [navigate],
  );
  const request = applicationsRequest(search);
  const list = useQuery(ApplicationService.method.listApplications, request, { placeholderData: keepPreviousData });
  const fresh = list.data !== undefined && !list.isPlaceholderData;
  const [shown, setShown] = useState(search);
  if (fresh && listText(shown) !== listText(search)) setShown(search);
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>Applications</Trans> {list.data && <span className="text-muted text-base font-normal tabular-nums">{list.data.total}</span>}
        </h1>
        <ViewsMenu path={href} />
      </div>
      <Discovered />
      <Filters search={search} set={set} counted={list.data?.facets ?? []} />
      {list.isPending ? (
        <section className="panel">
          <Loading lines={6} />
        </section>
      ) : list.error ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : (
        <section aria-label={t`Applications`} aria-busy={list.isPlaceholderData} className="panel">
          <Rows search={search} set={set} applications={list.data.applications} shown={shown} fresh={fresh} />
          <Pager first={!search.after} next={list.data.page?.nextPageToken ?? ""} go={(after) => set({ after })} />
        </section>
      )}
    </div>
  );
}

const facets = [
  { name: "sync_state", key: "sync" },
  { name: "health", key: "health" },
  { name: "display", key: "result" },
  { name: "kind", key: "kind" },
  { name: "label", key: "label" },
  { name: "provider", key: "provider" },
  { name: "agent_id", key: "agent" },
  { name: "enabled", key: "enabled" },
] as const;

function Filters({ search, set, counted }: { search: ApplicationsSearch; set: Set; counted: readonly Facet[] }) {
  const { t, i18n } = useLingui();
  const setQuery = useCallback((q: string) => set({ q: q || undefined }), [set]);
  const names = { sync_state: t`Sync`, health: t`Health`, display: t`Last deployment`, kind: t`Kind`, label: t`Labels`, provider: t`Provider`, agent_id: t`Agent`, enabled: t`Enabled` };
  const choose = (key: (typeof facets)[number]["key"], chosen: readonly string[]) => {
    if (key === "enabled") set({ enabled: chosen.length === 1 ? (chosen[0] === "yes" ? "yes" : "no") : undefined });
    else set({ [key]: choicesText(chosen) });
  };
  return (
    <search className="flex flex-wrap items-center gap-2">
      <TextFilter label={t`Name, path or label`} placeholder={t`Name, path or label (press /)`} value={search.q ?? ""} onChange={setQuery} />
      {facets.map(({ name, key }) => {
        const chosen = choicesOf(search[key]);
        return (
          <FacetFilter
            key={name}
            label={names[name]}
            choices={facetChoices(counted, name, (m) => i18n._(m))}
            chosen={chosen}
            onToggle={(v) => choose(key, toggled(chosen, v, key === "label"))}
            onClear={() => choose(key, [])}
          />
        );
      })}
      <ToggleFilter label={t`Favourites`} on={search.star === "yes"} onChange={(on) => set({ star: on ? "yes" : undefined })} />
      <ToggleFilter label={t`Problems first`} on={search.sort === "attention"} onChange={(on) => set({ sort: on ? "attention" : undefined })} />
      {filtered(search) && (
        <Button kind="quiet" onClick={() => set({ q: undefined, sync: undefined, health: undefined, result: undefined, kind: undefined, label: undefined, provider: undefined, agent: undefined, enabled: undefined, star: undefined })}>
          <Trans>Clear all filters</Trans>
        </Button>
      )}
    </search>
  );
}

interface RowsProps {
  search: ApplicationsSearch;
  set: Set;
  applications: readonly Application[];
  /** Whose rows are on the page: until the answer to the next URL is there they stay as they are. */
  shown: ApplicationsSearch;
  /** They are the answer to this URL, not to the one before. */
  fresh: boolean;
}

/** The rows of one URL, in the order in which they were first shown. */
function Rows({ search, set, applications, shown, fresh }: RowsProps) {
  const from = listText(shown);
  const [known, setKnown] = useState<{ from?: string; ids: readonly string[] }>({ ids: [] });
  const settle = () => setKnown({ from, ids: applications.map((a) => a.id) });
  if (fresh && known.from !== from) settle();
  const rows = useMemo(() => steady(known.ids, applications), [known, applications]);
  const { favourites, star } = usePreferences();
  const { mutate } = star;
  const onStar = useCallback((app: Application, favourite: boolean) => mutate({ applicationId: app.id, favourite }), [mutate]);
  const pinned = useQuery(
    ApplicationService.method.listApplications,
    { ...applicationsRequest({ ...search, after: undefined, star: "yes" }), page: { pageSize: 200 }, facets: false },
    { enabled: !search.after && favourites.length > 0, placeholderData: keepPreviousData },
  );
  const { after } = shown;
  const apart = !shown.star && (after !== undefined || pinned.data !== undefined);
  const starred = useMemo(() => (apart && !after ? (pinned.data?.applications ?? []).filter((a) => favourites.includes(a.id)) : []), [apart, after, pinned.data, favourites]);
  const others = useMemo(() => (apart ? rows.filter((a) => !favourites.includes(a.id)) : rows), [apart, rows, favourites]);
  const slots = useMemo(() => new Map(known.ids.map((id, i) => [id, i])), [known]);
  if (rows.length === 0 && starred.length === 0) {
    return (
      <Empty>
        {filtered(search) ? (
          <Trans>No application matches these filters.</Trans>
        ) : (
          <Trans>No application is registered. An agent finds application files in the repositories of its configuration and offers them here.</Trans>
        )}
      </Empty>
    );
  }
  return (
    <>
      {fresh && reordered(rows, applications) && (
        <p className="border-line text-muted flex flex-wrap items-center gap-3 border-b px-3 py-1.5">
          <Trans>Rows changed while you were reading; they stand where they were.</Trans>
          <Button kind="quiet" onClick={settle}>
            <Trans>Sort again</Trans>
          </Button>
        </p>
      )}
      <Table search={search} set={set}>
        <Bodies starred={starred} others={others} favourites={favourites} slots={slots} from={from} onStar={onStar} />
      </Table>
    </>
  );
}

type OnStar = (app: Application, favourite: boolean) => void;

function Table({ search, set, children }: { search: ApplicationsSearch; set: Set; children: ReactNode }) {
  const { t } = useLingui();
  const head = (column: Exclude<ApplicationSort, `-${string}`>, name: string, first: ApplicationSort = column) => (
    <SortHead sort={search.sort ?? "name"} column={column} onSort={() => set({ sort: nextSort(search.sort ?? "name", column, first as typeof column) })}>
      {name}
    </SortHead>
  );
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            {head("name", t`Application`)}
            {head("sync_state", t`Sync`)}
            {head("health", t`Health`)}
            <th scope="col" className="th">
              <Trans>Version</Trans>
            </th>
            {head("last_deployment", t`Last deployment`, "-last_deployment")}
            {head("kind", t`Kind`)}
          </tr>
        </thead>
        {children}
      </table>
    </div>
  );
}

interface BodiesProps {
  starred: readonly Application[];
  others: readonly Application[];
  favourites: readonly string[];
  /** Where an application stood when its URL was first shown. */
  slots: ReadonlyMap<string, number>;
  from: string;
  onStar: OnStar;
}

const Bodies = memo(function Bodies({ starred, others, favourites, slots, from, onStar }: BodiesProps) {
  const { t } = useLingui();
  return (
    <>
      {starred.length > 0 && (
        <tbody aria-label={t`Favourites`} className="border-line border-b-2">
          {starred.map((a) => (
            <Row key={a.id} app={a} from={from} starred onStar={onStar} />
          ))}
        </tbody>
      )}
      <tbody>
        {others.map((a) => (
          // By its place, which nothing changes while a URL is shown: the rows of the next page are written over these, which costs half of making them.
          <Row key={slots.get(a.id) ?? a.id} app={a} from={from} starred={favourites.includes(a.id)} onStar={onStar} />
        ))}
      </tbody>
    </>
  );
});

interface RowProps {
  app: Application;
  from: string;
  starred: boolean;
  onStar: OnStar;
}

/** A row is drawn again when its application changed, not with every answer. */
const Row = memo(ApplicationRow, (a, b) => a.from === b.from && a.starred === b.starred && a.onStar === b.onStar && (a.app === b.app || equals(ApplicationSchema, a.app, b.app)));

function ApplicationRow({ app, from, starred, onStar }: RowProps) {
  const { t } = useLingui();
  return (
    <tr className="hover:bg-sunken focus-within:bg-sunken">
      <td className="td max-w-96 min-w-56">
        <div className="flex items-start gap-1.5">
          <StarButton app={app} on={starred} onStar={onStar} />
          <div className="min-w-0">
            <RowLink leadsTo={{ to: "/applications/$id", params: { id: app.id }, search: { from } }} data-row="" className="link font-semibold break-all">
              {app.name}
            </RowLink>
            {app.disabled && (
              <span className="bg-idle-soft text-idle ml-2 rounded-sm px-1.5 py-0.5 text-xs">
                <Trans>disabled</Trans>
              </span>
            )}
            <div className="text-muted mt-0.5 flex flex-wrap gap-x-2 text-xs">
              <span className="font-mono break-all">{app.path || "/"}</span>
              {Object.entries(app.labels)
                .toSorted(([a], [b]) => a.localeCompare(b))
                .map(([k, v]) => (
                  <span key={k} className="bg-sunken rounded-sm px-1">
                    {k}={v}
                  </span>
                ))}
            </div>
          </div>
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
      <td className="td">
        <Versions versions={app.lastGood?.versions ?? []} />
      </td>
      <td className="td">
        {app.lastDeploymentId ? (
          <>
            <RowLink leadsTo={{ to: "/deployments/$id", params: { id: app.lastDeploymentId } }} aria-label={t`Last deployment of ${app.name}`} className="inline-block hover:underline">
              <Status look={look(deploymentLooks, app.lastDeploymentDisplay)} />
            </RowLink>
            <div className="text-muted text-xs">
              <Ago at={app.lastDeploymentAt ?? app.lastGood?.at} />
            </div>
          </>
        ) : (
          <span className="text-muted">–</span>
        )}
      </td>
      <td className="td whitespace-nowrap">{kindName(app.kind)}</td>
    </tr>
  );
}

/** Makes an application the reader's favourite, which stands first in every list. */
function StarButton({ app, on, onStar }: { app: Application; on: boolean; onStar: OnStar }) {
  const { t } = useLingui();
  const { name } = app;
  const label = on ? t`Remove ${name} from the favourites` : t`Make ${name} a favourite`;
  return (
    <button type="button" className="tool -mt-0.5" aria-pressed={on} aria-label={label} title={label} onClick={() => onStar(app, !on)}>
      <Glyph shape="star" size={14} className={on ? "fill-current" : ""} />
    </button>
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
          no agent; state unknown since <Ago at={app.liveAt} />
        </Trans>
      </div>
    </div>
  );
}
