import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate, useRouterState } from "@tanstack/react-router";
import { useCallback } from "react";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import type { Facet } from "../gen/penstock/v1/common_pb";
import { choicesOf, choicesText, deploymentsRequest, filtered, toggled } from "../logic/lists";
import type { DeploymentsSearch } from "../logic/search";
import { Empty, Failure, Loading } from "../ui/bits";
import { Button } from "../ui/button";
import { FacetFilter, TextFilter, ToggleFilter } from "../ui/filters";
import { useTitle } from "../ui/hooks";
import { Pager } from "../ui/pager";
import { DeploymentTable } from "./deployment-table";
import { facetChoices } from "./facets";
import { ViewsMenu } from "./views-menu";

const route = getRouteApi("/app/deployments");

type Set = (change: Partial<DeploymentsSearch>) => void;

/** The list of deployments, newest first. */
export function DeploymentsPage() {
  const { t } = useLingui();
  useTitle(t`Deployments`);
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/deployments" });
  const href = useRouterState({ select: (s) => s.location.href });
  const set: Set = useCallback(
    (change) => void navigate({ search: (old) => ({ ...old, after: undefined, ...change }), replace: !("after" in change), resetScroll: "after" in change }),
    [navigate],
  );
  const list = useQuery(DeploymentService.method.listDeployments, deploymentsRequest(search), { placeholderData: keepPreviousData });
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>Deployments</Trans> {list.data && <span className="text-muted text-base font-normal tabular-nums">{list.data.total}</span>}
        </h1>
        <ViewsMenu path={href} />
      </div>
      <Filters search={search} set={set} counted={list.data?.facets ?? []} />
      {list.isPending ? (
        <section className="panel">
          <Loading lines={6} />
        </section>
      ) : list.error ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : (
        <section aria-label={t`Deployments`} aria-busy={list.isPlaceholderData} className="panel">
          {list.data.deployments.length === 0 ? (
            <Empty>
              {filtered(search) ? (
                <Trans>No deployment matches these filters.</Trans>
              ) : (
                <Trans>Nothing was deployed yet. A commit that touches a registered application starts a deployment.</Trans>
              )}
            </Empty>
          ) : (
            <div className="overflow-x-auto">
              <DeploymentTable deployments={list.data.deployments} />
            </div>
          )}
          <Pager first={!search.after} next={list.data.page?.nextPageToken ?? ""} go={(after) => set({ after })} />
        </section>
      )}
    </div>
  );
}

const facets = [
  { name: "status", key: "status" },
  { name: "kind", key: "kind" },
  { name: "trigger", key: "trigger" },
  { name: "provider", key: "provider" },
  { name: "agent_id", key: "agent" },
] as const;

function Filters({ search, set, counted }: { search: DeploymentsSearch; set: Set; counted: readonly Facet[] }) {
  const { t, i18n } = useLingui();
  const setQuery = useCallback((q: string) => set({ q: q || undefined }), [set]);
  const names = { status: t`Status`, kind: t`Kind`, trigger: t`Trigger`, provider: t`Provider`, agent_id: t`Agent` };
  return (
    <search className="flex flex-wrap items-center gap-2">
      <TextFilter label={t`Application`} placeholder={t`Application (press /)`} value={search.q ?? ""} onChange={setQuery} />
      <ToggleFilter label={t`Mine`} on={search.mine === "yes"} onChange={(on) => set({ mine: on ? "yes" : undefined })} />
      {facets.map(({ name, key }) => {
        const chosen = choicesOf(search[key]);
        return (
          <FacetFilter
            key={name}
            label={names[name]}
            choices={facetChoices(counted, name, (m) => i18n._(m))}
            chosen={chosen}
            onToggle={(v) => set({ [key]: choicesText(toggled(chosen, v)) })}
            onClear={() => set({ [key]: undefined })}
          />
        );
      })}
      <ToggleFilter label={t`Oldest first`} on={search.sort === "oldest"} onChange={(on) => set({ sort: on ? "oldest" : undefined })} />
      {filtered(search) && (
        <Button kind="quiet" onClick={() => set({ q: undefined, status: undefined, kind: undefined, trigger: undefined, provider: undefined, agent: undefined, label: undefined, mine: undefined })}>
          <Trans>Clear all filters</Trans>
        </Button>
      )}
    </search>
  );
}
