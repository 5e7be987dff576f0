import { useMutation, useQuery } from "@connectrpc/connect-query";
import { msg } from "@lingui/core/macro";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Hand } from "lucide-react";
import { useState } from "react";
import { type Deployment, DeploymentService, type Stage } from "../gen/penstock/v1/deployment_pb";
import { requestId } from "../logic/kinds";
import { type Verdict, type Who, answerNoted, mayApprove, mayReject } from "../logic/may";
import { look, stageLooks } from "../logic/status";
import { timeline } from "../logic/timeline";
import { toDate } from "../logic/time";
import { Banner, Failure, Loading } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { Difference } from "../ui/diff";
import { NoteField } from "../ui/note";
import { useNotice } from "../ui/notices";
import { Status } from "../ui/status";
import { Ago, Span, useNow } from "../ui/time";
import { useApprovalRules } from "./approval-rules";

/** The deployment waits for people: who, how many, until when, and the two answers. */
export function ApprovalPanel({ d, stage, who }: { d: Deployment; stage: Stage; who: Who }) {
  const [answer, setAnswer] = useState<"approve" | "reject">();
  const rules = useApprovalRules();
  return (
    <section aria-labelledby="approval" className="border-wait bg-wait-soft flex flex-wrap items-start gap-x-4 gap-y-3 rounded-lg border-l-4 px-4 py-3">
      <Hand aria-hidden size={18} className="text-wait mt-0.5 shrink-0" />
      <div className="min-w-0 flex-1 basis-72">
        <h2 id="approval" className="text-wait font-semibold">
          <Trans>Waiting for an approval</Trans>
        </h2>
        {stage.desc && <p className="mt-0.5 whitespace-pre-wrap">{stage.desc}</p>}
        <Asked stage={stage} />
      </div>
      <div className="flex flex-wrap gap-2">
        <Button kind="primary" verdict={mayApprove(who, d, stage, rules)} onClick={() => setAnswer("approve")}>
          <Trans>Approve</Trans>
        </Button>
        <Button kind="danger" verdict={mayReject(who, d, stage)} onClick={() => setAnswer("reject")}>
          <Trans>Reject</Trans>
        </Button>
      </div>
      {answer && <AnswerDialog d={d} stage={stage} answer={answer} onClose={() => setAnswer(undefined)} />}
    </section>
  );
}

/** Who may answer, who has, and by when. */
export function Asked({ stage }: { stage: Stage }) {
  const needed = Math.max(1, stage.approvals);
  const rules = useApprovalRules();
  const given = stage.given.length;
  return (
    <div className="mt-1 space-y-0.5">
      <p>
        <Trans>
          {given} of {needed} given
        </Trans>
        {" · "}
        {stage.approvers.length > 0 ? (
          <Trans>may approve: {stage.approvers.join(", ")}</Trans>
        ) : (
          <Trans>everybody with the right deployment:approve may approve</Trans>
        )}
        {rules?.approvalNotByAuthor && (
          <>
            {" · "}
            <Trans>not by the author of the change</Trans>
          </>
        )}
        {rules?.approvalNeedsNote && (
          <>
            {" · "}
            <Trans>every answer needs a note</Trans>
          </>
        )}
        {toDate(stage.deadline) && (
          <>
            {" · "}
            <Trans>
              deadline <Ago at={stage.deadline} />
            </Trans>
          </>
        )}
      </p>
      {stage.given.map((g) => (
        <p key={g.by} className="text-muted">
          <Trans>
            {g.by} approved <Ago at={g.at} />
          </Trans>
          {g.note && <>: {g.note}</>}
        </p>
      ))}
    </div>
  );
}

function AnswerDialog({ d, stage, answer, onClose }: { d: Deployment; stage: Stage; answer: "approve" | "reject"; onClose: () => void }) {
  const { t } = useLingui();
  const notice = useNotice();
  const [note, setNote] = useState("");
  const rules = useApprovalRules();
  const [request, setRequest] = useState(requestId);
  // The answer is to what was on the screen when the dialog opened.
  const [seen, setSeen] = useState(d.seq);
  const changes = useChanges(d);
  const done = () => {
    notice(answer === "approve" ? t`Your approval is recorded` : t`Your rejection is recorded`);
    onClose();
  };
  const approve = useMutation(DeploymentService.method.approveStage, { onSuccess: done });
  const reject = useMutation(DeploymentService.method.rejectStage, { onSuccess: done });
  const call = answer === "approve" ? approve : reject;
  const said = answerNoted(note, rules);
  const moved = seen !== d.seq;
  const look = () => {
    setSeen(d.seq);
    setRequest(requestId());
  };
  return (
    <Dialog title={answer === "approve" ? t`Approve ${stage.name} of ${d.applicationName}` : t`Reject ${stage.name} of ${d.applicationName}`} onClose={onClose} wide>
      <div className="space-y-4">
        <p>
          {answer === "approve" ? (
            <Trans>With enough approvals the pipeline goes on with its next stage.</Trans>
          ) : (
            <Trans>The deployment goes back to what was live before.</Trans>
          )}
        </p>
        <Asked stage={stage} />
        <SoFar d={d} />
        {changes.view}
      </div>
      <NoteField value={note} onChange={setNote} required={rules?.approvalNeedsNote ?? false} />
      {moved && (
        <div className="mt-3">
          <Banner
            tone="warn"
            title={<Trans>The deployment moved on while this was open</Trans>}
            actions={
              <Button onClick={look}>
                <Trans>I have looked again</Trans>
              </Button>
            }
          />
        </div>
      )}
      {call.error && (
        <div className="mt-3">
          <Failure error={call.error} />
        </div>
      )}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button
          kind={answer === "approve" ? "primary" : "danger"}
          busy={call.isPending || moved}
          verdict={answer === "approve" && !changes.verdict.ok ? changes.verdict : said}
          onClick={() => {
            const words = { requestId: request, deploymentId: d.id, stageId: stage.id, note, seenSeq: seen };
            if (answer === "approve") approve.mutate({ ...words, seenDigest: changes.digest });
            else reject.mutate(words);
          }}
        >
          {answer === "approve" ? <Trans>Approve</Trans> : <Trans>Reject</Trans>}
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

function SoFar({ d }: { d: Deployment }) {
  const now = useNow();
  const over = timeline(d, now).forward.filter((v) => v.startedAt && v.stage.status !== "RUNNING");
  if (over.length === 0) return null;
  return (
    <div>
      <h3 className="mb-1 font-medium">
        <Plural value={over.length} one="One stage so far" other="# stages so far" />
      </h3>
      <ul className="space-y-0.5">
        {over.map((v) => (
          <li key={v.stage.id} className="flex flex-wrap items-center gap-x-2">
            <Status look={look(stageLooks, v.word)} />
            {v.stage.name} <span className="text-muted">{v.stage.display}</span> <Span ms={v.elapsedMs} />
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The changes that are decided about; a person who cannot see them says that they go on without. */
function useChanges(d: Deployment) {
  const [waived, setWaived] = useState(false);
  const changes = useQuery(DeploymentService.method.getChanges, { deploymentId: d.id });
  const verdict: Verdict = changes.data || waived ? { ok: true } : { ok: false, why: msg`Wait until the changes are shown, or go on without them` };
  const view = (
    <div>
      <h3 className="mb-1 font-medium">
        <Trans>Changes</Trans>
      </h3>
      {changes.data ? (
        <Difference of={changes.data} name={d.applicationName} />
      ) : (
        <>
          {changes.error ? <Failure error={changes.error} retry={() => void changes.refetch()} /> : <Loading lines={2} />}
          {!waived && (
            <Button onClick={() => setWaived(true)}>
              <Trans>Go on without</Trans>
            </Button>
          )}
        </>
      )}
    </div>
  );
  return { view, verdict, digest: changes.data?.digest ?? "" };
}
