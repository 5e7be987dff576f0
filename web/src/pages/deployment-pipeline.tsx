import { useMutation, useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { ChartNoAxesGantt, Undo2, Workflow } from "lucide-react";
import { Fragment, type ReactNode, useMemo, useRef, useState } from "react";
import { type Deployment, DeploymentService, type Stage } from "../gen/penstock/v1/deployment_pb";
import { expectedRest, expectedTimes, pastOf } from "../logic/expected";
import { requestId } from "../logic/kinds";
import { type Who, answerNoted, maySkip } from "../logic/may";
import type { PipelineView } from "../logic/search";
import { type Node, columnsFor, stageGraph } from "../logic/stage-graph";
import { look, stageLooks, terminal } from "../logic/status";
import { type StageView, type Timeline, stageAfter, timeline } from "../logic/timeline";
import { exact, toDate } from "../logic/time";
import { waterfall } from "../logic/waterfall";
import { Bar } from "../ui/bar";
import { Empty, Failure, Section, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { useWidth } from "../ui/hooks";
import { NoteField } from "../ui/note";
import { useNotice } from "../ui/notices";
import { Status, StatusIcon, toneText } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { useApprovalRules } from "./approval-rules";
import { Asked } from "./deployment-approval";
import { WaterfallChart } from "./deployment-waterfall";

interface Props {
  d: Deployment;
  who: Who;
  selected: string | undefined;
  onSelect: (s: Stage) => void;
  view: PipelineView | undefined;
  onView: (v: PipelineView | undefined) => void;
}

const none: readonly Deployment[] = [];

/** Runs of the application before this one, from which times are expected. */
function usePast(d: Deployment): readonly Deployment[] {
  const past = useQuery(DeploymentService.method.listDeployments, pastOf(d), { staleTime: Infinity });
  return past.data?.deployments ?? none;
}

/** The stages as a graph, or as bars on an axis of time; the way back stands apart. */
export function Pipeline({ d, who, selected, onSelect, view, onView }: Props) {
  const now = useNow(!terminal(d.status));
  const past = usePast(d);
  const expected = useMemo(() => expectedTimes(d, past), [d, past]);
  const t = timeline(d, now);
  const rest = expectedRest(d, expected, now);
  return (
    <Section
      title={<Trans>Pipeline</Trans>}
      aside={
        <span className="flex flex-wrap items-center gap-3">
          {rest !== undefined && (
            <span className="text-muted text-xs">
              <Trans>
                expected to end in about <Span ms={Math.round(rest / 1000) * 1000} />
              </Trans>
            </span>
          )}
          {t.forward.length > 0 && <Views view={view} onView={onView} />}
        </span>
      }
    >
      {t.forward.length === 0 ? (
        <Empty>{terminal(d.status) ? <Trans>It ended before it was planned.</Trans> : <Waiting d={d} />}</Empty>
      ) : view === "time" ? (
        <Falling d={d} t={t} now={now} expected={expected} selected={selected} onSelect={onSelect} />
      ) : (
        <StageGraph d={d} who={who} t={t} expected={expected} selected={selected} onSelect={onSelect} />
      )}
    </Section>
  );
}

function Views({ view, onView }: Pick<Props, "view" | "onView">) {
  const { t } = useLingui();
  return (
    <div role="radiogroup" aria-label={t`View`} className="choices">
      <button type="button" role="radio" aria-checked={view !== "time"} onClick={() => onView(undefined)} className="choice">
        <Workflow aria-hidden size={13} />
        <Trans>Graph</Trans>
      </button>
      <button type="button" role="radio" aria-checked={view === "time"} onClick={() => onView("time")} className="choice">
        <ChartNoAxesGantt aria-hidden size={13} />
        <Trans>Time</Trans>
      </button>
    </div>
  );
}

interface Drawn extends Pick<Props, "d" | "selected" | "onSelect"> {
  t: Timeline;
  expected: ReadonlyMap<string, number>;
}

function Falling({ d, t, now, expected, selected, onSelect }: Drawn & { now: Date }) {
  const events = useQuery(DeploymentService.method.listEvents, { streamKind: "deployment", streamId: d.id, page: { pageSize: 200 } });
  return <WaterfallChart fall={waterfall(d, t, now, expected, events.data?.events)} selected={selected} onSelect={onSelect} />;
}

function StageGraph({ d, who, t, expected, selected, onSelect }: Drawn & { who: Who }) {
  const { t: say } = useLingui();
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box, 1200);
  const graph = stageGraph(t, columnsFor(width), t.turned || !terminal(d.status));
  const forward = graph.nodes.filter((n) => !n.view.stage.rollback);
  const back = graph.nodes.filter((n) => n.view.stage.rollback);
  const grid = { gridTemplateColumns: `repeat(${graph.columns}, minmax(0, 1fr))` };
  const item = (n: Node, top: number) => (
    <Item key={n.view.stage.id} node={n} row={n.row - top} d={d} who={who} expected={expected.get(n.view.stage.id)} selected={n.view.stage.id === selected} onSelect={onSelect} />
  );
  const first = graph.turnedAt?.stage.name ?? "";
  return (
    <div className="p-4">
      <div ref={box}>
        <ol aria-label={say`Stages`} className="grid gap-7" style={grid}>
          {forward.map((n) => item(n, 0))}
        </ol>
      </div>
      {back.length > 0 && (
        <div className={`mt-5 border-t-2 border-dashed pt-2 ${t.turned ? "border-warn" : "border-line"}`}>
          <h3 className={`mb-2 flex items-center gap-1.5 text-xs font-semibold ${t.turned ? "text-warn" : "text-muted"}`}>
            <Undo2 aria-hidden size={14} />
            {!t.turned ? <Trans>The way back, only if needed</Trans> : first ? <Trans>The way back, from {first}</Trans> : <Trans>The way back</Trans>}
          </h3>
          <ol aria-label={say`Stages of the way back`} className="grid gap-7" style={grid}>
            {back.map((n) => item(n, graph.backRow ?? 0))}
          </ol>
        </div>
      )}
    </div>
  );
}

function Waiting({ d }: { d: Deployment }) {
  if (!toDate(d.admittedAt)) return <Trans>It waits in the queue of its application.</Trans>;
  if (!d.holder) return <Trans>It waits for an agent that takes it.</Trans>;
  return <Trans>The agent is planning it.</Trans>;
}

/** The border tells states apart in shape: plain, thick, dashed, dotted. */
const borders: Readonly<Record<string, string>> = {
  RUNNING: "border-run bg-run-soft border-l-4",
  WAITING: "border-wait bg-wait-soft border-l-4",
  SUCCESS: "border-ok/50",
  EXITED: "border-ok/50",
  FAILURE: "border-bad bg-bad-soft border-2",
  CANCELLED: "border-edge bg-idle-soft border-2",
  SKIPPED: "border-edge border-dashed",
  NOT_STARTED_YET: "border-line border-dashed",
  STANDBY: "border-line border-dotted",
  NOT_REACHED: "border-line border-dotted",
};

interface ItemProps extends Pick<Props, "d" | "who" | "onSelect"> {
  node: Node;
  row: number;
  expected: number | undefined;
  selected: boolean;
}

function Item({ node, row, d, who, expected, selected, onSelect }: ItemProps) {
  const { i18n } = useLingui();
  const v = node.view;
  const { stage } = v;
  const l = look(stageLooks, v.word);
  const faint = v.word === "NOT_REACHED" || v.word === "STANDBY" || v.word === "NOT_STARTED_YET";
  return (
    <li
      className={`bg-panel relative rounded-md border px-3 py-2 text-sm ${borders[v.word] ?? "border-line"} ${selected ? "outline-accent outline-2 outline-offset-2" : ""}`}
      style={{ gridColumn: node.column + 1, gridRow: row + 1 }}
      aria-current={stage.status === "RUNNING" ? "step" : undefined}
    >
      <Arrow node={node} />
      <div className="flex items-center gap-1.5 text-xs">
        <StatusIcon look={l} size={16} />
        <span className={`font-medium ${toneText[l.tone]}`}>{i18n._(l.label)}</span>
        {stage.attempt > 1 && (
          <span className="text-muted">
            <Trans>attempt {stage.attempt}</Trans>
          </span>
        )}
        <span className="ml-auto">{v.elapsedMs !== undefined && <Span ms={v.elapsedMs} />}</span>
      </div>
      <button
        type="button"
        data-row=""
        aria-pressed={selected}
        onClick={() => onSelect(stage)}
        className={`mt-1 block w-full text-left leading-snug font-semibold break-words after:absolute after:inset-0 after:content-[''] hover:underline ${faint ? "text-muted" : ""} ${v.word === "NOT_REACHED" ? "line-through" : ""}`}
      >
        <span className="text-muted mr-1 font-normal tabular-nums">{v.position}.</span>
        <Breakable name={stage.name} />
      </button>
      {stage.display && <Line>{stage.display.replaceAll(" %", "\u00a0%")}</Line>}
      <Exposed stage={stage} />
      {stage.reason?.code && (
        <p className={`mt-1 text-xs break-words ${stage.status === "FAILURE" ? "text-bad font-medium" : "text-muted"}`}>
          <Why reason={stage.reason} />
        </p>
      )}
      {expected !== undefined && stage.status === "RUNNING" && !v.until && <Expected elapsed={v.elapsedMs ?? 0} expected={expected} />}
      {expected !== undefined && v.word === "NOT_STARTED_YET" && (
        <p className="text-muted text-xs">
          <Trans>
            usually <Span ms={expected} />
          </Trans>
        </p>
      )}
      <Progress v={v} d={d} who={who} />
    </li>
  );
}

/** A name may break behind its underscores only, so that what tells it apart stays whole. */
function Breakable({ name }: { name: string }) {
  return name.split("_").map((part, i) => (
    <Fragment key={`${i}${part}`}>
      {i > 0 && (
        <>
          _<wbr />
        </>
      )}
      {part}
    </Fragment>
  ));
}

/** How one gets here: walked ways are full, those ahead are dashed. The heading of the way back says where it turned. */
function Arrow({ node }: { node: Node }) {
  const style = `stroke-2 ${node.walked ? "text-fg" : "text-edge"}`;
  const dash = node.walked ? undefined : "3 3";
  if (node.edge === "along") {
    return (
      <svg aria-hidden viewBox="0 0 26 12" className={`absolute top-3 -left-[1.7rem] h-3 w-6.5 ${style}`} fill="none" stroke="currentColor">
        <path d="M0 6H22" strokeDasharray={dash} />
        <path d="M18 2l5 4-5 4" />
      </svg>
    );
  }
  if (node.edge !== "down") return null;
  return (
    <svg aria-hidden viewBox="0 0 12 22" className={`absolute -top-[1.45rem] left-4 h-5.5 w-3 ${style}`} fill="none" stroke="currentColor">
      <path d="M6 0V18" strokeDasharray={dash} />
      <path d="M2 14l4 5 4-5" />
    </svg>
  );
}

/** How far a stage is of the time that it usually takes. */
function Expected({ elapsed, expected }: { elapsed: number; expected: number }) {
  const { t } = useLingui();
  return (
    <div className="mt-1.5 space-y-0.5 text-xs">
      <Bar label={t`of the usual time`} percent={(elapsed / expected) * 100} tone={elapsed > expected * 1.5 ? "warn" : "run"} />
      <p className="text-muted">
        <Trans>
          usually <Span ms={expected} />
        </Trans>
      </p>
    </div>
  );
}

const Line = ({ children }: { children: ReactNode }) => <p className="text-muted text-xs break-words">{children}</p>;

/** What the stage is doing now, and what it waits for. */
function Progress({ v, d, who }: { v: StageView; d: Deployment; who: Who }) {
  const { stage } = v;
  if (stage.status !== "RUNNING") return null;
  return (
    <div className="relative z-10 mt-1 space-y-1 text-xs">
      {v.step && (
        <p>
          <Trans>
            step {v.step.position} of {v.step.count}: {v.step.name}
          </Trans>
        </p>
      )}
      {stage.waiting?.code && (
        <p className="text-wait">
          <Why reason={stage.waiting} /> <Since stage={stage} />
        </p>
      )}
      {v.until && (
        <p className="text-wait">
          <Left until={v.until} />
        </p>
      )}
      {stage.type === "APPROVAL" && <Asked stage={stage} />}
      {stage.type !== "APPROVAL" && v.deadline && (
        <p className="text-muted">
          <Trans>
            deadline <Ago at={stage.deadline} />
          </Trans>
        </p>
      )}
      {stage.type !== "PLATFORM" && <Skip d={d} stage={stage} who={who} />}
    </div>
  );
}

function Left({ until }: { until: Date }) {
  const { i18n } = useLingui();
  const ms = Math.max(0, until.getTime() - useNow().getTime());
  return (
    <span title={exact(until, i18n.locale)}>
      <Trans>
        goes on in <Span ms={Math.round(ms / 1000) * 1000} />
      </Trans>
    </span>
  );
}

function Since({ stage }: { stage: Stage }) {
  const now = useNow();
  const at = toDate(stage.waitingSince);
  return at ? (
    <span className="text-muted">
      (<Span ms={Math.max(0, now.getTime() - at.getTime())} />)
    </span>
  ) : null;
}

/** The share of users that the stage is meant to bring to the new version. */
function Exposed({ stage }: { stage: Stage }) {
  const e = stage.exposure;
  if (!e || stage.rollback || (e.from === e.to && e.to === 0)) return null;
  const text = e.from === e.to ? `${e.to}\u00a0%` : `${e.from}\u00a0% →\u00a0${e.to}\u00a0%`;
  return (
    <p className="text-muted text-xs">
      <Trans>users on the new version: {text}</Trans>
    </p>
  );
}

/** What begins at once when a wait is cut short, and what it does to the share of users. */
function ComesNext({ stage }: { stage: Stage | undefined }) {
  if (!stage) return null;
  const { from = 0, to = 0 } = stage.exposure ?? {};
  return (
    <p className="mt-2">
      <Trans>
        Next: <strong>{stage.name}</strong>
      </Trans>{" "}
      <span className="text-muted">{stage.display}</span>
      {stage.exposure && (
        <span className="block">
          {from === to ? (
            <Trans>The share of users on the new version stays at {to} %.</Trans>
          ) : (
            <Trans>
              The share of users on the new version goes from {from} % to {to} %.
            </Trans>
          )}
        </span>
      )}
    </p>
  );
}

function Skip({ d, stage, who }: { d: Deployment; stage: Stage; who: Who }) {
  const { t } = useLingui();
  const notice = useNotice();
  const [open, setOpen] = useState(false);
  const [note, setNote] = useState("");
  const project = useApprovalRules();
  const rules = stage.type === "APPROVAL" ? project : undefined;
  const [request] = useState(requestId);
  const skip = useMutation(DeploymentService.method.skipStage, {
    onSuccess: () => {
      notice(t`${stage.name} is skipped`);
      setOpen(false);
    },
  });
  return (
    <>
      <Button verdict={maySkip(who, d, stage, rules)} onClick={() => setOpen(true)} className="h-7 text-xs">
        {stage.type === "APPROVAL" ? <Trans>Skip</Trans> : <Trans>Go on now</Trans>}
      </Button>
      {open && (
        <Dialog title={stage.type === "APPROVAL" ? t`Skip ${stage.name}?` : t`Go on now, without the rest of ${stage.name}?`} onClose={() => setOpen(false)}>
          <Status look={look(stageLooks, "WAITING")} />
          <p className="mt-2">
            {stage.type === "APPROVAL" ? (
              <Trans>The pipeline goes on without the approval that it asks for.</Trans>
            ) : (
              <Trans>The pipeline goes on at once instead of waiting to the end.</Trans>
            )}
          </p>
          <ComesNext stage={stageAfter(d, stage)} />
          <NoteField value={note} onChange={setNote} required={rules?.approvalNeedsNote ?? false} />
          {skip.error && <Failure error={skip.error} />}
          <DialogButtons>
            <Button data-autofocus="" onClick={() => setOpen(false)}>
              <Trans>Close</Trans>
            </Button>
            <Button kind="danger" busy={skip.isPending} verdict={answerNoted(note, rules)} onClick={() => skip.mutate({ requestId: request, deploymentId: d.id, stageId: stage.id, note, seenSeq: d.seq })}>
              {stage.type === "APPROVAL" ? <Trans>Skip</Trans> : <Trans>Go on now</Trans>}
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}
