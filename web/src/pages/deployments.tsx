import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { keepPreviousData } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";
import { DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { kinds } from "../logic/kinds";
import type { DeploymentsSearch } from "../logic/search";
import { deploymentLooks } from "../logic/status";
import { Empty, Failure, Loading } from "../ui/bits";
import { SelectFilter, TextFilter } from "../ui/filters";
import { useTitle } from "../ui/hooks";
import { Pager } from "../ui/pager";
import { DeploymentTable } from "./deployment-table";

const route = getRouteApi("/app/deployments");

/** The list of deployments, newest first. */
export function DeploymentsPage() {
  const { t, i18n } = useLingui();
  useTitle(t`Deployments`);
  const search = route.useSearch();
  const navigate = useNavigate({ from: "/deployments" });
  const set = useCallback(
    (change: Partial<DeploymentsSearch>) => void navigate({ search: (old) => ({ ...old, after: undefined, ...change }), replace: !("after" in change) }),
    [navigate],
  );
  const setQuery = useCallback((q: string) => set({ q: q || undefined }), [set]);
  const list = useQuery(
    DeploymentService.method.listDeployments,
    {
      page: { pageSize: 50, pageToken: search.after ?? "" },
      query: search.q ?? "",
      statuses: search.status ? [search.status] : [],
      kinds: search.kind ? [search.kind] : [],
    },
    { placeholderData: keepPreviousData },
  );
  return (
    <div className="space-y-4">
      <h1 className="text-xl font-semibold">
        <Trans>Deployments</Trans>
      </h1>
      <search className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <TextFilter main label={t`Application`} placeholder={t`Application (press /)`} value={search.q ?? ""} onChange={setQuery} />
        <SelectFilter
          label={t`Status`}
          value={search.status ?? ""}
          choices={Object.entries(deploymentLooks).map(([value, l]) => ({ value, label: i18n._(l.label) }))}
          onChange={(v) => set({ status: v || undefined })}
        />
        <SelectFilter
          label={t`Kind`}
          value={search.kind ?? ""}
          choices={kinds.map((k) => ({ value: k.kind, label: k.name }))}
          onChange={(v) => set({ kind: v || undefined })}
        />
      </search>
      <section aria-label={t`Deployments`} className="panel overflow-x-auto">
        {list.isPending ? (
          <Loading lines={6} />
        ) : list.error ? (
          <div className="p-4">
            <Failure error={list.error} retry={() => void list.refetch()} />
          </div>
        ) : list.data.deployments.length === 0 ? (
          <Empty>
            <Trans>No deployment matches. A commit that touches a registered application starts one.</Trans>
          </Empty>
        ) : (
          <>
            <DeploymentTable deployments={list.data.deployments} />
            <Pager first={!search.after} next={list.data.page?.nextPageToken ?? ""} go={(after) => set({ after })} />
          </>
        )}
      </section>
    </div>
  );
}
