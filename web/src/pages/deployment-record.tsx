import { useInfiniteQuery, useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { type KeyboardEvent, type ReactNode, useRef } from "react";
import type { Event } from "../gen/penstock/v1/common_pb";
import { type Deployment, DeploymentService, type LedgerObject } from "../gen/penstock/v1/deployment_pb";
import { eventFacts, eventName } from "../logic/events";
import { type DeploymentTab, deploymentTabs } from "../logic/search";
import { ledgerLooks, look } from "../logic/status";
import { exact, formatDuration, toDate, toMs } from "../logic/time";
import { Empty, Fact, Failure, Loading, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { Difference } from "../ui/diff";
import { Status } from "../ui/status";

interface Props {
  d: Deployment;
  ledger: readonly LedgerObject[];
  tab: DeploymentTab | undefined;
  onTab: (tab: DeploymentTab) => void;
}

/** What was planned, what was created, and what happened. */
export function RecordTabs({ d, ledger, tab = "changes", onTab }: Props) {
  const { t } = useLingui();
  const list = useRef<HTMLDivElement>(null);
  const names: Readonly<Record<DeploymentTab, string>> = { changes: t`Changes`, plan: t`Plan`, ledger: t`Ledger`, events: t`Events` };
  const move = (e: KeyboardEvent) => {
    const by = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (by === 0) return;
    const next = deploymentTabs[(deploymentTabs.indexOf(tab) + by + deploymentTabs.length) % deploymentTabs.length];
    if (!next) return;
    onTab(next);
    list.current?.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  };
  return (
    <section className="panel">
      <div ref={list} role="tablist" aria-label={t`Record`} className="border-line flex flex-wrap gap-1 border-b px-2">
        {deploymentTabs.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="record"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => onTab(name)}
            onKeyDown={move}
            className="text-muted hover:text-fg aria-selected:border-accent aria-selected:text-fg -mb-px border-b-2 border-transparent px-3 py-2 font-medium"
          >
            {names[name]}
            {name === "ledger" && ledger.length > 0 && <span className="text-muted ml-1 tabular-nums">{ledger.length}</span>}
            {name === "plan" && d.plan && d.plan.notes.length > 0 && <span className="text-muted ml-1 tabular-nums">{d.plan.notes.length}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="record" aria-labelledby={`tab-${tab}`} className="p-4">
        {tab === "changes" && <Changes d={d} />}
        {tab === "plan" && <PlanTab d={d} />}
        {tab === "ledger" && <Ledger ledger={ledger} />}
        {tab === "events" && <Events d={d} />}
      </div>
    </section>
  );
}

function Changes({ d }: { d: Deployment }) {
  const changes = useQuery(DeploymentService.method.getChanges, { deploymentId: d.id }, { enabled: d.plan !== undefined });
  if (!d.plan) {
    return (
      <Empty>
        <Trans>No plan was made yet.</Trans>
      </Empty>
    );
  }
  if (changes.isPending) return <Loading />;
  return changes.error ? <Failure error={changes.error} retry={() => void changes.refetch()} /> : <Difference of={changes.data} name={d.applicationName} />;
}

function PlanTab({ d }: { d: Deployment }) {
  const { i18n } = useLingui();
  const { plan } = d;
  if (!plan) {
    return (
      <Empty>
        <Trans>No plan was made yet.</Trans>
      </Empty>
    );
  }
  const digest = (text: string) => (text ? <code className="font-mono text-xs break-all">{text.slice(0, 19)}</code> : "–");
  const span = (ms: number): ReactNode => (ms > 0 ? formatDuration(ms, i18n.locale) : "–");
  return (
    <div className="space-y-4">
      {plan.notes.length > 0 && (
        <ul className="list-disc space-y-1 pl-5">
          {plan.notes.map((n) => (
            <li key={`${n.code}${n.text}`}>
              <Why reason={n} />
            </li>
          ))}
        </ul>
      )}
      <dl className="grid grid-cols-[repeat(auto-fill,minmax(13rem,1fr))] gap-x-6 gap-y-3">
        <Fact name={<Trans>Way back by itself</Trans>}>{plan.autoRollback ? <Trans>yes</Trans> : <Trans>no</Trans>}</Fact>
        <Fact name={<Trans>Time limit</Trans>}>{span(toMs(plan.timeout))}</Fact>
        <Fact name={<Trans>Time for routes to settle</Trans>}>{span(toMs(plan.settleTime))}</Fact>
        <Fact name={<Trans>Account</Trans>}>{plan.account || "–"}</Fact>
        <Fact name={<Trans>Commit that was live</Trans>}>{plan.runningCommit ? <code className="font-mono">{plan.runningCommit.slice(0, 7)}</code> : "–"}</Fact>
        <Fact name={<Trans>Declared state</Trans>}>{digest(plan.desiredDigest)}</Fact>
        <Fact name={<Trans>Live state before</Trans>}>{plan.firstDeploy ? <Trans>nothing was live</Trans> : digest(plan.liveDigest)}</Fact>
      </dl>
      {plan.claims.length > 0 && (
        <div>
          <h3 className="text-muted mb-1 text-xs">
            <Trans>What it writes, and nobody else while it runs</Trans>
          </h3>
          <ul className="space-y-0.5">
            {plan.claims.map((c) => (
              <li key={`${c.kind}/${c.key}`} className="break-all">
                <span className="text-muted">{c.kind}</span> <code className="font-mono text-xs">{c.key}</code>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function Ledger({ ledger }: { ledger: readonly LedgerObject[] }) {
  if (ledger.length === 0) {
    return (
      <Empty>
        <Trans>It created nothing.</Trans>
      </Empty>
    );
  }
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            <th scope="col" className="th">
              <Trans>State</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Object</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Identity</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Note</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {ledger.map((o) => (
            <tr key={`${o.type}/${o.token}/${o.id}`} className="last:[&>td]:border-b-0">
              <td className="td">
                <Status look={look(ledgerLooks, o.state)} />
              </td>
              <td className="td">{o.type}</td>
              <td className="td font-mono text-xs break-all">{o.id || o.token}</td>
              <td className="td">{o.note || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Events({ d }: { d: Deployment }) {
  const list = useInfiniteQuery(
    DeploymentService.method.listEvents,
    { streamKind: "deployment", streamId: d.id, page: { pageSize: 200, pageToken: "" } },
    {
      pageParamKey: "page",
      getNextPageParam: (last) => (last.page?.nextPageToken ? { pageSize: 200, pageToken: last.page.nextPageToken } : undefined),
    },
  );
  if (list.isPending) return <Loading />;
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />;
  return (
    <div className="space-y-2 overflow-x-auto">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            <th scope="col" className="th">
              #
            </th>
            <th scope="col" className="th">
              <Trans>Time</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Event</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>By</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {list.data.pages
            .flatMap((p) => p.events)
            .map((e) => (
              <EventRow key={e.id} e={e} d={d} />
            ))}
        </tbody>
      </table>
      {list.hasNextPage && (
        <Button busy={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
          <Trans>More</Trans>
        </Button>
      )}
    </div>
  );
}

function EventRow({ e, d }: { e: Event; d: Deployment }) {
  const { i18n } = useLingui();
  const at = toDate(e.at);
  const { stage, detail } = eventFacts(e);
  const name = d.stages.find((s) => s.id === stage)?.name ?? stage;
  return (
    <tr className="last:[&>td]:border-b-0">
      <td className="td text-muted tabular-nums">{String(e.seq)}</td>
      <td className="td whitespace-nowrap tabular-nums">{at && <span title={exact(at, i18n.locale)}>{exact(at, i18n.locale).split(" · ")[0]}</span>}</td>
      <td className="td break-words">
        {i18n._(eventName(e.type))}
        {name && <span className="font-medium"> {name}</span>}
        {detail && <span className="text-muted"> {detail}</span>}
        {e.reason?.code && (
          <div className="text-muted text-xs">
            <Why reason={e.reason} />
          </div>
        )}
      </td>
      <td className="td text-muted text-xs break-all">{e.actor}</td>
    </tr>
  );
}
