import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { type ReactNode, useState } from "react";
import { type Deployment, DeploymentService, type Stage } from "../gen/penstock/v1/deployment_pb";
import { requestId } from "../logic/kinds";
import { type Who, maySkip } from "../logic/may";
import { look, stageLooks, terminal } from "../logic/status";
import { type StageView, timeline } from "../logic/timeline";
import { exact, toDate } from "../logic/time";
import { Empty, Failure, Section, Why } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { NoteField } from "../ui/note";
import { useNotice } from "../ui/notices";
import { Status, StatusIcon } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { Asked } from "./deployment-approval";

interface Props {
  d: Deployment;
  who: Who;
  selected: string | undefined;
  onSelect: (s: Stage) => void;
}

/** The stages in order, as they run; the way back stands apart. */
export function Pipeline({ d, who, selected, onSelect }: Props) {
  const { t } = useLingui();
  const now = useNow(!terminal(d.status));
  const { forward, back, turned } = timeline(d, now);
  const item = (v: StageView) => <Item key={v.stage.id} v={v} d={d} who={who} selected={v.stage.id === selected} onSelect={onSelect} />;
  return (
    <Section title={<Trans>Pipeline</Trans>}>
      {forward.length === 0 ? (
        <Empty>{terminal(d.status) ? <Trans>It ended before it was planned.</Trans> : <Waiting d={d} />}</Empty>
      ) : (
        <ol aria-label={t`Stages`} className="py-1">
          {forward.map(item)}
        </ol>
      )}
      {back.length > 0 && (turned || !terminal(d.status)) && (
        <div className={`border-line border-t-2 border-dashed ${turned ? "bg-warn-soft" : ""}`}>
          <h3 className={`px-4 pt-2.5 text-xs font-semibold ${turned ? "text-warn" : "text-muted"}`}>
            {turned ? <Trans>The way back</Trans> : <Trans>The way back, only if needed</Trans>}
          </h3>
          <ol aria-label={t`Stages of the way back`} className="py-1">
            {back.map(item)}
          </ol>
        </div>
      )}
    </Section>
  );
}

function Waiting({ d }: { d: Deployment }) {
  if (!toDate(d.admittedAt)) return <Trans>It waits in the queue of its application.</Trans>;
  if (!d.holder) return <Trans>It waits for an agent that takes it.</Trans>;
  return <Trans>The agent is planning it.</Trans>;
}

function Item({ v, d, who, selected, onSelect }: { v: StageView; d: Deployment; who: Who; selected: boolean; onSelect: (s: Stage) => void }) {
  const { i18n } = useLingui();
  const { stage } = v;
  const l = look(stageLooks, v.word);
  const faint = v.word === "NOT_REACHED" || v.word === "STANDBY";
  return (
    <li className={`relative px-4 py-2 ${selected ? "bg-accent-soft" : ""}`} aria-current={stage.status === "RUNNING" ? "step" : undefined}>
      <div className="flex gap-3">
        <span className={`mt-0.5 flex h-5 w-5 shrink-0 items-center justify-center ${faint ? "opacity-60" : ""}`}>
          <StatusIcon look={l} size={17} />
        </span>
        <div className="min-w-0 flex-1">
          <div className="flex flex-wrap items-baseline gap-x-2">
            <button
              type="button"
              data-row=""
              aria-pressed={selected}
              onClick={() => onSelect(stage)}
              className={`text-left font-medium break-all hover:underline ${faint ? "text-muted" : ""} ${v.word === "NOT_REACHED" ? "line-through" : ""}`}
            >
              <span className="text-muted mr-1 tabular-nums">{v.position}.</span>
              {stage.name}
            </button>
            <span className="ml-auto flex items-baseline gap-2 text-xs">
              {v.elapsedMs !== undefined && <Span ms={v.elapsedMs} />}
              <span className="text-muted">{i18n._(l.label)}</span>
            </span>
          </div>
          {stage.display && <Line>{stage.display}</Line>}
          {stage.desc && stage.desc !== stage.display && <Line>{stage.desc}</Line>}
          {stage.reason?.code && (
            <p className={`text-xs break-words ${stage.status === "FAILURE" ? "text-bad font-medium" : "text-muted"}`}>
              <Why reason={stage.reason} />
            </p>
          )}
          <Exposed stage={stage} />
          <Progress v={v} d={d} who={who} />
        </div>
      </div>
    </li>
  );
}

const Line = ({ children }: { children: ReactNode }) => <p className="text-muted text-xs break-words">{children}</p>;

/** What the stage is doing now, and what it waits for. */
function Progress({ v, d, who }: { v: StageView; d: Deployment; who: Who }) {
  const { stage } = v;
  if (stage.status !== "RUNNING") return null;
  return (
    <div className="mt-1 space-y-1 text-xs">
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
  const text = e.from === e.to ? `${e.to} %` : `${e.from} % → ${e.to} %`;
  return (
    <p className="text-muted text-xs">
      <Trans>users on the new version: {text}</Trans>
    </p>
  );
}

function Skip({ d, stage, who }: { d: Deployment; stage: Stage; who: Who }) {
  const { t } = useLingui();
  const notice = useNotice();
  const [open, setOpen] = useState(false);
  const [note, setNote] = useState("");
  const [request] = useState(requestId);
  const skip = useMutation(DeploymentService.method.skipStage, {
    onSuccess: () => {
      notice(t`${stage.name} is skipped`);
      setOpen(false);
    },
  });
  return (
    <>
      <Button verdict={maySkip(who, d, stage)} onClick={() => setOpen(true)} className="h-7 text-xs">
        <Trans>Skip</Trans>
      </Button>
      {open && (
        <Dialog title={t`Skip ${stage.name}?`} onClose={() => setOpen(false)}>
          <Status look={look(stageLooks, "WAITING")} />
          <p className="mt-2">
            {stage.type === "APPROVAL" ? (
              <Trans>The pipeline goes on without the approval that it asks for.</Trans>
            ) : (
              <Trans>The pipeline goes on at once instead of waiting to the end.</Trans>
            )}
          </p>
          <NoteField value={note} onChange={setNote} />
          {skip.error && <Failure error={skip.error} />}
          <DialogButtons>
            <Button data-autofocus="" onClick={() => setOpen(false)}>
              <Trans>Close</Trans>
            </Button>
            <Button kind="danger" busy={skip.isPending} onClick={() => skip.mutate({ requestId: request, deploymentId: d.id, stageId: stage.id, note, seenSeq: d.seq })}>
              <Trans>Skip</Trans>
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}
