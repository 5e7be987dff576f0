import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Deployment } from "../gen/penstock/v1/deployment_pb";
import { shortId } from "../logic/kinds";
import type { Who } from "../logic/may";
import { deploymentLooks, look, terminal } from "../logic/status";
import { spent } from "../logic/timeline";
import { toDate } from "../logic/time";
import { Banner, CommitRef, Fact, Id, Why } from "../ui/bits";
import { StatusPill } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { DeploymentActions } from "./deployment-actions";
import { StrategyName, TriggerName, VersionChange } from "./deployment-words";

/** What happened to what; then what is pressing; then who, why, and how long. */
export function DeploymentHeader({ d, who, children }: { d: Deployment; who: Who; children: ReactNode }) {
  const { i18n } = useLingui();
  const state = look(deploymentLooks, d.display);
  return (
    <header className="space-y-3">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <StatusPill look={state} />
        {/* Says a change of the state once, in words, to those who do not see it. */}
        <span aria-live="polite" className="sr-only">
          {i18n._(state.label)}
        </span>
        <h1 className="text-xl font-semibold">
          <Link to="/applications/$id" params={{ id: d.applicationId }} className="break-all hover:underline">
            {d.applicationName}
          </Link>
        </h1>
        <span className="text-base">
          <VersionChange plan={d.plan} />
        </span>
        <div className="ml-auto">
          <DeploymentActions d={d} who={who} />
        </div>
      </div>
      {d.parked && (
        <Banner tone="warn" title={<Trans>Parked: the record holds an event of type {d.parked} that this server does not know</Trans>}>
          <Trans>A newer server wrote it. Upgrade this one; until then nothing is done and nothing can be decided.</Trans>
        </Banner>
      )}
      {children}
      <section className="panel p-4">
        <dl className="grid grid-cols-[repeat(auto-fill,minmax(12.5rem,1fr))] gap-x-6 gap-y-3">
          <Fact name={<Trans>Trigger</Trans>}>
            <TriggerName trigger={d.trigger} />
            {(d.trigger?.by || d.trigger?.commit?.author) && (
              <>
                {" "}
                <span className="text-muted">·</span> {d.trigger?.by || d.trigger?.commit?.author}
              </>
            )}
            <div className="text-muted text-xs">
              <Ago at={d.triggeredAt} />
              {d.trigger?.why?.code && (
                <>
                  {" · "}
                  <Why reason={d.trigger.why} />
                </>
              )}
            </div>
          </Fact>
          <Fact name={<Trans>Commit</Trans>}>
            <CommitRef commit={d.trigger?.commit} />
            <div className="text-muted text-xs">{d.trigger?.branch}</div>
          </Fact>
          <Fact name={<Trans>Strategy</Trans>}>
            <StrategyName strategy={d.plan?.strategy ?? ""} />
            <div className="text-muted text-xs">
              <Why reason={d.plan?.why} />
            </div>
          </Fact>
          <Times d={d} />
          <Fact name={<Trans>Agent process</Trans>}>
            {d.holder ? <code className="font-mono text-xs break-all">{d.holder}</code> : <span className="text-muted">–</span>}
            {d.epoch > 1n && (
              <div className="text-muted text-xs">
                <Plural value={Number(d.epoch - 1n)} one="taken over once" other="taken over # times" />
              </div>
            )}
          </Fact>
          <Fact name="ID">
            <Id id={d.id} />
            {d.trigger?.retryOf && (
              <Link to="/deployments/$id" params={{ id: d.trigger.retryOf }} className="link block text-xs">
                <Trans>retry of {shortId(d.trigger.retryOf)}</Trans>
              </Link>
            )}
          </Fact>
        </dl>
      </section>
    </header>
  );
}

function Times({ d }: { d: Deployment }) {
  const now = useNow(!terminal(d.status));
  const s = spent(d, now);
  const part = (name: ReactNode, ms: number | undefined) =>
    ms !== undefined && (
      <span className="whitespace-nowrap">
        {name} <Span ms={ms} />
      </span>
    );
  return (
    <Fact name={<Trans>Duration</Trans>}>
      <span className="font-medium">
        <Span ms={s.total} />
      </span>
      <div className="text-muted flex flex-wrap gap-x-2 text-xs">
        {part(<Trans>queued</Trans>, s.queued)}
        {part(<Trans>planning</Trans>, s.planning)}
        {part(<Trans>pipeline</Trans>, s.running)}
        {part(<Trans>way back</Trans>, s.back)}
        {!terminal(d.status) && toDate(d.deadline) && (
          <span className="whitespace-nowrap">
            <Trans>
              deadline <Ago at={d.deadline} />
            </Trans>
          </span>
        )}
      </div>
    </Fact>
  );
}
