import { useQuery } from "@connectrpc/connect-query";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type Deployment, DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import { holderOf } from "../logic/agents";
import { commitsSince, compareUrl, requestOf } from "../logic/commits";
import { previousOf } from "../logic/compare";
import { pastOf } from "../logic/expected";
import { shortId } from "../logic/kinds";
import type { Who } from "../logic/may";
import { deploymentLooks, look, terminal } from "../logic/status";
import { spent } from "../logic/timeline";
import { toDate } from "../logic/time";
import { Banner, CommitRef, Fact, Why } from "../ui/bits";
import { StatusPill } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { DeploymentActions } from "./deployment-actions";
import { CopyMenu } from "./deployment-copy";
import { StrategyName, TriggerName, VersionChange } from "./deployment-words";

/** What happened to what; then what is pressing; then who, why, and how long. */
export function DeploymentHeader({ d, who, children }: { d: Deployment; who: Who; children: ReactNode }) {
  const { i18n } = useLingui();
  const state = look(deploymentLooks, d.display);
  return (
    <header className="space-y-4">
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
        <span className="text-lg">
          <VersionChange plan={d.plan} />
        </span>
        <div className="ml-auto flex flex-wrap items-center gap-2">
          <DeploymentActions d={d} who={who} />
          <CopyMenu d={d} />
        </div>
      </div>
      {d.parked && (
        <Banner tone="warn" title={<Trans>Parked: the record holds an event of type {d.parked} that this server does not know</Trans>}>
          <Trans>A newer server wrote it. Upgrade this one; until then nothing is done and nothing can be decided.</Trans>
        </Banner>
      )}
      {children}
      <section className="panel px-4 py-3">
        <dl className="grid grid-cols-[repeat(auto-fit,minmax(min(100%,13rem),1fr))] gap-x-8 gap-y-3">
          <Fact name={<Trans>Who</Trans>}>
            {d.trigger?.by || d.trigger?.commit?.author || "–"} <span className="text-muted">·</span> <TriggerName trigger={d.trigger} />
            <Second>
              <Ago at={d.triggeredAt} />
              {d.trigger?.why?.code && (
                <>
                  {" · "}
                  <Why reason={d.trigger.why} />
                </>
              )}
              {d.trigger?.retryOf && (
                <Link to="/deployments/$id" params={{ id: d.trigger.retryOf }} className="link block">
                  <Trans>retry of {shortId(d.trigger.retryOf)}</Trans>
                </Link>
              )}
            </Second>
          </Fact>
          <Fact name={<Trans>What</Trans>}>
            <CommitRef commit={d.trigger?.commit} />
            <Brings d={d} />
          </Fact>
          <Fact name={<Trans>Why this way</Trans>}>
            <StrategyName strategy={d.plan?.strategy ?? ""} />
            <Second>
              <Why reason={d.plan?.why} />
            </Second>
          </Fact>
          <Times d={d} />
          <AgentFact d={d} />
        </dl>
      </section>
    </header>
  );
}

const Second = ({ children }: { children: ReactNode }) => <div className="text-muted text-xs">{children}</div>;

/** What comes with it besides its own commit, and where all of it can be read. */
function Brings({ d }: { d: Deployment }) {
  const commit = d.trigger?.commit;
  const list = useQuery(DeploymentService.method.listDeployments, pastOf(d), { staleTime: Infinity });
  const more = commitsSince(d, list.data?.deployments ?? []);
  const request = requestOf(commit);
  const before = previousOf(d, list.data?.deployments ?? []);
  const url = compareUrl(commit?.url ?? "", d.plan?.runningCommit ?? "", commit?.hash ?? "");
  return (
    <Second>
      {[commit?.author, d.trigger?.branch].filter(Boolean).join(" · ")}
      {more.map((c) => (
        <div key={c.hash}>
          + <CommitRef commit={c} /> {c.author && `· ${c.author}`}
        </div>
      ))}
      {request && (
        <a href={request.url} rel="noreferrer" className="link block w-fit">
          <Trans>Pull request {request.name}</Trans>
        </a>
      )}
      {before && (
        <Link to="/compare" search={{ a: before.id, b: d.id }} className="link block w-fit">
          <Trans>Compare with the deployment before</Trans>
        </Link>
      )}
      {url && (
        <a href={url} rel="noreferrer" className="link block w-fit">
          <Trans>all commits since the last success</Trans>
        </a>
      )}
    </Second>
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
    <Fact name={<Trans>How long</Trans>}>
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

/** Which process carries it, and of which version that is. */
function AgentFact({ d }: { d: Deployment }) {
  const agents = useQuery(ProjectService.method.listAgents, {}, { enabled: d.holder !== "" });
  const found = holderOf(d.holder, agents.data?.agents ?? []);
  return (
    <Fact name={<Trans>Agent process</Trans>}>
      {d.holder ? <code className="font-mono text-xs break-all">{d.holder}</code> : <span className="text-muted">–</span>}
      <Second>
        {found && (
          <>
            {found.agent} · {found.version}
            {!found.online && (
              <>
                {" · "}
                <span className="text-warn">
                  <Trans>not connected</Trans>
                </span>
              </>
            )}
          </>
        )}
        {d.epoch > 1n && (
          <div>
            <Plural value={Number(d.epoch - 1n)} one="taken over once" other="taken over # times" />
          </div>
        )}
      </Second>
    </Fact>
  );
}
