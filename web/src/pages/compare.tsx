import { useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { Link, getRouteApi } from "@tanstack/react-router";
import { ArrowLeftRight, Equal, EqualNot } from "lucide-react";
import type { ReactNode } from "react";
import { type Deployment, DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { compareUrl } from "../logic/commits";
import { type StagePair, deploymentTook, pairStages, stageTook, stageWords } from "../logic/compare";
import { shortId } from "../logic/kinds";
import { deploymentLooks, look, stageLooks } from "../logic/status";
import { formatDuration } from "../logic/time";
import { CommitRef, Empty, Failure, Loading, Section, Versions, Why } from "../ui/bits";
import { useTitle } from "../ui/hooks";
import { Status } from "../ui/status";
import { TextDiff } from "../ui/text-diff";
import { Ago, Span, useNow } from "../ui/time";
import { StrategyName, TriggerName } from "./deployment-words";

const route = getRouteApi("/app/compare");

/** Two deployments of an application: in what they differ, and what each came to. */
export function ComparePage() {
  const { t } = useLingui();
  const { a, b } = route.useSearch();
  const first = useQuery(DeploymentService.method.getDeployment, { deploymentId: a }, { enabled: a !== "" });
  const second = useQuery(DeploymentService.method.getDeployment, { deploymentId: b }, { enabled: b !== "" });
  const [x, y] = [first.data?.deployment, second.data?.deployment];
  useTitle(t`Comparison`, x?.applicationName);
  if (a === "" || b === "") {
    return (
      <Empty>
        <Trans>
          Choose two deployments in the <Link to="/deployments" className="link">list</Link> to compare them.
        </Trans>
      </Empty>
    );
  }
  const failed = [first, second].find((q) => q.error);
  if (failed) return <Failure error={failed.error} retry={() => void failed.refetch()} />;
  if (!x || !y) return <Loading lines={10} />;
  return <Content a={x} b={y} />;
}

function Content({ a, b }: { a: Deployment; b: Deployment }) {
  const url = compareUrl(b.trigger?.commit?.url ?? "", a.trigger?.commit?.hash ?? "", b.trigger?.commit?.hash ?? "");
  return (
    <div className="space-y-4">
      <header className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <h1 className="text-xl font-semibold">
          <Trans>
            Two deployments of{" "}
            <Link to="/applications/$id" params={{ id: b.applicationId }} className="break-all hover:underline">
              {b.applicationName}
            </Link>
          </Trans>
        </h1>
        <Link to="/compare" search={{ a: b.id, b: a.id }} replace className="link ml-auto inline-flex items-center gap-1.5">
          <ArrowLeftRight aria-hidden size={14} />
          <Trans>Swap sides</Trans>
        </Link>
      </header>
      {a.applicationId !== b.applicationId && (
        <p className="text-warn">
          <Trans>These are deployments of two applications: {a.applicationName} and {b.applicationName}.</Trans>
        </p>
      )}
      <Facts a={a} b={b} commits={url} />
      <Stages a={a} b={b} />
      <Declared a={a} b={b} />
    </div>
  );
}

interface Both {
  a: Deployment;
  b: Deployment;
}

/** A row of facts: what says the same on both sides steps back. */
function Row({ name, same, children: [left, right] }: { name: ReactNode; same: boolean; children: [ReactNode, ReactNode] }) {
  const { t } = useLingui();
  const cell = `td break-words ${same ? "text-muted" : ""}`;
  return (
    <tr className="last:[&>*]:border-b-0">
      <th scope="row" className="td text-muted text-left text-xs font-normal">
        {name}
      </th>
      <td className={cell}>{left}</td>
      <td className="td w-6 px-0 text-center">
        {same ? <Equal size={14} className="text-muted inline" aria-label={t`the same`} /> : <EqualNot size={14} className="text-accent inline" aria-label={t`differs`} />}
      </td>
      <td className={cell}>{right}</td>
    </tr>
  );
}

const versionsText = (d: Deployment) => (d.plan?.versions ?? []).map((v) => `${v.name} ${v.version}`).join();

function Facts({ a, b, commits }: Both & { commits: string | undefined }) {
  const { t } = useLingui();
  const equal = (says: (d: Deployment) => unknown) => says(a) === says(b);
  return (
    <Section title={<Trans>What, who, and what came of it</Trans>}>
      <div className="overflow-x-auto">
        <table className="w-full min-w-120 table-fixed border-collapse">
          <thead>
            <tr>
              <th scope="col" className="th w-24 sm:w-36">
                <Trans>Fact</Trans>
              </th>
              <Head d={a} />
              <th scope="col" className="th w-6 px-0" aria-label={t`the same?`} />
              <Head d={b} />
            </tr>
          </thead>
          <tbody>
            <Row name={<Trans>Outcome</Trans>} same={equal((d) => d.display)}>
              <Outcome d={a} />
              <Outcome d={b} />
            </Row>
            <Row name={<Trans>Commit</Trans>} same={equal((d) => d.trigger?.commit?.hash)}>
              <CommitCell d={a} />
              <CommitCell d={b} />
            </Row>
            <Row name={<Trans>Version</Trans>} same={equal(versionsText)}>
              <Versions versions={a.plan?.versions ?? []} />
              <Versions versions={b.plan?.versions ?? []} />
            </Row>
            <Row name={<Trans>Started by</Trans>} same={equal((d) => `${starter(d)} ${d.trigger?.kind}`)}>
              <Starter d={a} />
              <Starter d={b} />
            </Row>
            <Row name={<Trans>Strategy</Trans>} same={equal((d) => `${d.plan?.strategy} ${d.plan?.why?.code}`)}>
              <Strategy d={a} />
              <Strategy d={b} />
            </Row>
            <Row name={<Trans>Way back by itself</Trans>} same={equal((d) => d.plan?.autoRollback)}>
              <YesNo yes={a.plan?.autoRollback} />
              <YesNo yes={b.plan?.autoRollback} />
            </Row>
            <Row name={<Trans>Duration</Trans>} same={equal((d) => Math.round((deploymentTook(d) ?? -1) / 1000))}>
              <Took d={a} />
              <Took d={b} />
            </Row>
          </tbody>
        </table>
      </div>
      {commits && (
        <p className="border-line border-t px-4 py-2">
          <a href={commits} rel="noreferrer" className="link">
            <Trans>Files and commits between the two, at the code host</Trans>
          </a>
        </p>
      )}
    </Section>
  );
}

const starter = (d: Deployment) => d.trigger?.by || d.trigger?.commit?.author || "–";

function CommitCell({ d }: { d: Deployment }) {
  return (
    <>
      <CommitRef commit={d.trigger?.commit} />
      <div className="text-muted text-xs">{d.trigger?.commit?.author}</div>
    </>
  );
}

function Starter({ d }: { d: Deployment }) {
  return (
    <>
      {starter(d)} <span className="text-muted">·</span> <TriggerName trigger={d.trigger} />
    </>
  );
}

function Strategy({ d }: { d: Deployment }) {
  return (
    <>
      <StrategyName strategy={d.plan?.strategy ?? ""} />
      <div className="text-muted text-xs">
        <Why reason={d.plan?.why} />
      </div>
    </>
  );
}

function YesNo({ yes }: { yes: boolean | undefined }) {
  if (yes === undefined) return <>–</>;
  return yes ? <Trans>yes</Trans> : <Trans>no</Trans>;
}

function Took({ d }: { d: Deployment }) {
  const ms = deploymentTook(d);
  return ms === undefined ? <>–</> : <Span ms={ms} />;
}

function Head({ d }: { d: Deployment }) {
  return (
    <th scope="col" className="th">
      <Link to="/deployments/$id" params={{ id: d.id }} className="link font-mono">
        {shortId(d.id)}
      </Link>{" "}
      · <Ago at={d.triggeredAt} />
    </th>
  );
}

function Outcome({ d }: { d: Deployment }) {
  return (
    <>
      <Status look={look(deploymentLooks, d.display)} />
      {(d.failed?.code || d.status === "CANCELLED") && (
        <div className="text-muted text-xs">
          <Why reason={d.failed?.code ? d.failed : d.reason} />
        </div>
      )}
    </>
  );
}

/** Each stage once, with its time on both sides on one scale. */
function Stages({ a, b }: Both) {
  const { i18n } = useLingui();
  const pairs = pairStages(a, b);
  const now = useNow(false);
  const [left, right] = [stageWords(a, now), stageWords(b, now)];
  const longest = Math.max(1, ...pairs.flatMap((p) => [stageTook(p.older) ?? 0, stageTook(p.newer) ?? 0]));
  const change = (p: StagePair) => {
    const [x, y] = [stageTook(p.older), stageTook(p.newer)];
    if (x === undefined || y === undefined) return "";
    const by = y - x;
    return Math.abs(by) < 1000 ? "±0" : `${by > 0 ? "+" : "−"}${formatDuration(Math.abs(by), i18n.locale)}`;
  };
  return (
    <Section title={<Trans>Stages</Trans>}>
      {pairs.length === 0 ? (
        <Empty>
          <Trans>Neither of them has a stage.</Trans>
        </Empty>
      ) : (
        <div className="overflow-x-auto">
          <table className="w-full min-w-120 table-fixed border-collapse">
            <thead>
              <tr>
                <th scope="col" className="th w-36 sm:w-60">
                  <Trans>Stage</Trans>
                </th>
                <Head d={a} />
                <Head d={b} />
                <th scope="col" className="th w-24 text-right">
                  <Trans>Change</Trans>
                </th>
              </tr>
            </thead>
            <tbody>
              {pairs.map((p) => (
                <tr key={`${p.older?.id ?? ""}/${p.newer?.id ?? ""}`} className="last:[&>*]:border-b-0">
                  <th scope="row" className="td text-left font-medium break-words">
                    {p.name}
                    <Display pair={p} />
                  </th>
                  <StageCell stage={p.older} word={left.get(p.older?.id ?? "")} longest={longest} side="old" />
                  <StageCell stage={p.newer} word={right.get(p.newer?.id ?? "")} longest={longest} side="new" />
                  <td className="td text-right tabular-nums">{change(p)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

/** What the stage was told to do, where the two were told differently. */
function Display({ pair: { older, newer } }: { pair: StagePair }) {
  if (!older || !newer) return <div className="text-muted text-xs font-normal">{(older ?? newer)?.display}</div>;
  if (older.display === newer.display) return <div className="text-muted text-xs font-normal">{newer.display}</div>;
  return (
    <div className="text-xs font-normal">
      {older.display} → {newer.display}
    </div>
  );
}

interface CellProps {
  stage: StagePair["older"];
  /** What became of it, as the page of the deployment says it. */
  word: string | undefined;
  longest: number;
  side: "old" | "new";
}

function StageCell({ stage, word = "", longest, side }: CellProps) {
  if (!stage) {
    return (
      <td className="td text-muted">
        <Trans>has no such stage</Trans>
      </td>
    );
  }
  const ms = stageTook(stage);
  return (
    <td className="td">
      <div className="flex flex-wrap items-center justify-between gap-x-3">
        <Status look={look(stageLooks, word)} />
        <span className="tabular-nums">{ms === undefined ? "–" : <Span ms={ms} />}</span>
      </div>
      <svg aria-hidden viewBox="0 0 100 4" preserveAspectRatio="none" className={`mt-1 h-1 w-full ${side === "new" ? "text-new" : "text-old"}`}>
        <rect width={Math.max(ms ? 1 : 0, ((ms ?? 0) / longest) * 100)} height="4" rx="1" fill="currentColor" />
      </svg>
      {stage.reason?.code && (
        <div className="text-muted text-xs">
          <Why reason={stage.reason} />
        </div>
      )}
    </td>
  );
}

/** What each of them declared, against each other. */
function Declared({ a, b }: Both) {
  const first = useQuery(DeploymentService.method.getChanges, { deploymentId: a.id });
  const second = useQuery(DeploymentService.method.getChanges, { deploymentId: b.id });
  const failed = [first, second].find((q) => q.error);
  const [x, y] = [first.data?.after, second.data?.after];
  return (
    <Section title={<Trans>What they declare</Trans>}>
      <div className="p-4">
        {failed ? (
          <Failure error={failed.error} retry={() => void failed.refetch()} />
        ) : first.isPending || second.isPending ? (
          <Loading />
        ) : x && y ? (
          <TextDiff before={x} after={y} name={`${shortId(a.id)}-${shortId(b.id)}`} tall />
        ) : (
          <Missing ids={[x ? "" : a.id, y ? "" : b.id].filter(Boolean)} />
        )}
      </div>
    </Section>
  );
}

function Missing({ ids }: { ids: readonly string[] }) {
  const names = ids.map(shortId).join(", ");
  return (
    <p className="text-muted">
      <Trans>What {names} declares was not recorded: it found nothing to change, was never planned, or was planned by an older agent. Its commit is above.</Trans>
    </p>
  );
}
