import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { RotateCw, Square, Undo2 } from "lucide-react";
import { useState } from "react";
import { type Deployment, DeploymentService } from "../gen/penstock/v1/deployment_pb";
import { requestId } from "../logic/kinds";
import { type Who, mayCancel, mayRetry, mayRollBackTo, noted } from "../logic/may";
import { terminal } from "../logic/status";
import { Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { NoteField } from "../ui/note";
import { useNotice } from "../ui/notices";
import { useForesight } from "./foresight";

/** What a person can do with the deployment as a whole. */
export function DeploymentActions({ d, who }: { d: Deployment; who: Who }) {
  const [open, setOpen] = useState<"cancel" | "retry" | "back">();
  const close = () => setOpen(undefined);
  return (
    <div className="flex flex-wrap gap-2">
      {d.end === "DECLARED" && (
        <Button verdict={mayRollBackTo(who)} onClick={() => setOpen("back")}>
          <Undo2 aria-hidden size={14} />
          <Trans>Roll back to this</Trans>
        </Button>
      )}
      {terminal(d.status) ? (
        <Button verdict={mayRetry(who, d)} onClick={() => setOpen("retry")}>
          <RotateCw aria-hidden size={14} />
          <Trans>Retry</Trans>
        </Button>
      ) : (
        <Button kind="danger" verdict={mayCancel(who, d)} onClick={() => setOpen("cancel")}>
          <Square aria-hidden size={13} />
          <Trans>Cancel</Trans>
        </Button>
      )}
      {open === "cancel" && <CancelDialog d={d} onClose={close} />}
      {open === "back" && <RollBackDialog d={d} onClose={close} />}
      {open === "retry" && <RetryDialog d={d} onClose={close} />}
    </div>
  );
}

type Choice = "AUTO" | "FORCE" | "NEVER";

function CancelDialog({ d, onClose }: { d: Deployment; onClose: () => void }) {
  const { t } = useLingui();
  const notice = useNotice();
  const [choice, setChoice] = useState<Choice>("AUTO");
  const [note, setNote] = useState("");
  const [request] = useState(requestId);
  const cancel = useMutation(DeploymentService.method.cancelDeployment, {
    onSuccess: () => {
      notice(t`The deployment is cancelled`);
      onClose();
    },
  });
  const begun = d.stages.some((s) => s.type === "PLATFORM" && !s.rollback && s.status !== "NOT_STARTED_YET");
  const choices: { value: Choice; name: string; effect: string }[] = [
    {
      value: "AUTO",
      name: t`As the file says`,
      effect: d.plan?.autoRollback === false ? t`autoRollback is off: everything stays where it is now` : t`traffic and tasks go back to what was live before`,
    },
    { value: "FORCE", name: t`Take the way back`, effect: t`traffic and tasks go back to what was live before, whatever the file says` },
    { value: "NEVER", name: t`Stay here`, effect: t`nothing more is written: traffic stays split as it is now, and a person has to look after it` },
  ];
  return (
    <Dialog title={t`Cancel this deployment of ${d.applicationName}?`} onClose={onClose}>
      {begun ? (
        <fieldset className="space-y-2">
          <legend className="mb-1 font-medium">
            <Trans>What becomes of what was done so far</Trans>
          </legend>
          {choices.map((c) => (
            <label key={c.value} className="flex gap-2">
              <input type="radio" name="choice" checked={choice === c.value} onChange={() => setChoice(c.value)} className="mt-1" />
              <span>
                <span className="font-medium">{c.name}</span>
                <span className="text-muted block">{c.effect}</span>
              </span>
            </label>
          ))}
        </fieldset>
      ) : (
        <p>
          <Trans>Nothing was written yet: it ends without any effect.</Trans>
        </p>
      )}
      <NoteField value={note} onChange={setNote} />
      {cancel.error && <Failure error={cancel.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Let it run</Trans>
        </Button>
        <Button kind="danger" busy={cancel.isPending} onClick={() => cancel.mutate({ requestId: request, deploymentId: d.id, choice, note })}>
          <Trans>Cancel the deployment</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

function RetryDialog({ d, onClose }: { d: Deployment; onClose: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const notice = useNotice();
  const [note, setNote] = useState("");
  const [request] = useState(requestId);
  const foresight = useForesight({ application: d.applicationId, commit: d.trigger?.commit?.hash, strategy: d.trigger?.strategy || "AUTO" });
  const retry = useMutation(DeploymentService.method.retryDeployment, {
    onSuccess: async ({ deploymentId }) => {
      notice(t`The deployment is accepted; this page shows what becomes of it`);
      onClose();
      await navigate({ to: "/deployments/$id", params: { id: deploymentId } });
    },
  });
  return (
    <Dialog title={t`Deploy the same commit again?`} onClose={onClose} wide>
      <p>
        <Trans>A new deployment of the same commit is planned against what is live then. This one stays as it is in the record.</Trans>
      </p>
      <div className="mt-3">{foresight.view}</div>
      <NoteField value={note} onChange={setNote} />
      {retry.error && <Failure error={retry.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button kind="primary" busy={retry.isPending} verdict={foresight.verdict} onClick={() => retry.mutate({ requestId: request, deploymentId: d.id, note })}>
          <Trans>Retry</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

/** Goes back to the commit of an earlier deployment that was good. */
function RollBackDialog({ d, onClose }: { d: Deployment; onClose: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const notice = useNotice();
  const [note, setNote] = useState("");
  const [request] = useState(requestId);
  const foresight = useForesight({ application: d.applicationId, commit: d.trigger?.commit?.hash });
  const back = useMutation(DeploymentService.method.rollBackTo, {
    onSuccess: async ({ deploymentId }) => {
      notice(t`The deployment is accepted; this page shows what becomes of it`);
      onClose();
      await navigate({ to: "/deployments/$id", params: { id: deploymentId } });
    },
  });
  return (
    <Dialog title={t`Roll ${d.applicationName} back to this deployment?`} onClose={onClose} wide>
      <div className="space-y-3">
        <p>
          <Trans>
            A new deployment of this commit is planned, queued and carried out like any other. Afterwards git is ahead and the application is held: only a commit that
            declares something else, or a sync by hand, goes forward again.
          </Trans>
        </p>
        {foresight.view}
      </div>
      <NoteField value={note} onChange={setNote} required />
      {back.error && <Failure error={back.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button
          kind="danger"
          busy={back.isPending}
          verdict={foresight.verdict.ok ? noted(note) : foresight.verdict}
          onClick={() => back.mutate({ requestId: request, deploymentId: d.id, note: note.trim() })}
        >
          <Trans>Roll back</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
