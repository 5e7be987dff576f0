import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useNavigate } from "@tanstack/react-router";
import { Power, RefreshCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { type Application, ApplicationService } from "../gen/penstock/v1/application_pb";
import { requestId } from "../logic/kinds";
import { type Who, mayDelete, maySetEnabled, maySync, typedName } from "../logic/may";
import { CommitRef, Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { Dialog, DialogButtons } from "../ui/dialog";
import { NoteField } from "../ui/note";
import { useNotice } from "../ui/notices";
import { useForesight } from "./foresight";

type Open = "AUTO" | "QUICK_SYNC" | "PIPELINE" | "enabled" | "delete" | undefined;

/** What a person can do with an application; the friction grows with what it may cost. */
export function ApplicationActions({ app, who }: { app: Application; who: Who }) {
  const [open, setOpen] = useState<Open>();
  const close = () => setOpen(undefined);
  const sync = maySync(who, app);
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button kind="primary" verdict={sync} onClick={() => setOpen("AUTO")}>
        <RefreshCw aria-hidden size={14} />
        <Trans>Sync</Trans>
      </Button>
      <Button verdict={sync} onClick={() => setOpen("QUICK_SYNC")}>
        <Trans>Quick sync</Trans>
      </Button>
      <Button verdict={sync} onClick={() => setOpen("PIPELINE")}>
        <Trans>Pipeline sync</Trans>
      </Button>
      <Button kind="quiet" verdict={maySetEnabled(who)} onClick={() => setOpen("enabled")}>
        <Power aria-hidden size={14} />
        {app.disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
      </Button>
      <Button kind="quiet" verdict={mayDelete(who, app)} onClick={() => setOpen("delete")}>
        <Trash2 aria-hidden size={14} />
        <Trans>Delete</Trans>
      </Button>
      {(open === "AUTO" || open === "QUICK_SYNC" || open === "PIPELINE") && <SyncDialog app={app} strategy={open} onClose={close} />}
      {open === "enabled" && <EnabledDialog app={app} onClose={close} />}
      {open === "delete" && <DeleteDialog app={app} onClose={close} />}
    </div>
  );
}

function SyncDialog({ app, strategy, onClose }: { app: Application; strategy: "AUTO" | "QUICK_SYNC" | "PIPELINE"; onClose: () => void }) {
  const { t } = useLingui();
  const navigate = useNavigate();
  const notice = useNotice();
  const [note, setNote] = useState("");
  const [request] = useState(requestId);
  const foresight = useForesight({ application: app.id, strategy });
  const sync = useMutation(ApplicationService.method.syncApplication, {
    onSuccess: async ({ deploymentId }) => {
      notice(t`The deployment is accepted; this page shows what becomes of it`);
      await navigate({ to: "/deployments/$id", params: { id: deploymentId } });
    },
  });
  const title = { AUTO: t`Sync ${app.name}`, QUICK_SYNC: t`Quick sync ${app.name}`, PIPELINE: t`Sync ${app.name} by its pipeline` }[strategy];
  return (
    <Dialog title={title} onClose={onClose} wide>
      <div className="space-y-3">
        <p>
          {strategy === "QUICK_SYNC" ? (
            <Trans>Everything goes out at once, without the stages of the pipeline: all users see the new version as soon as it is up.</Trans>
          ) : strategy === "PIPELINE" ? (
            <Trans>The stages of the pipeline are carried out even when a quick sync would do.</Trans>
          ) : (
            <Trans>The planner chooses between quick sync and pipeline, and says why.</Trans>
          )}
        </p>
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
          <dt className="text-muted">
            <Trans>from</Trans>
          </dt>
          <dd>
            <CommitRef commit={app.lastGood?.commit} />
          </dd>
          <dt className="text-muted">
            <Trans>to</Trans>
          </dt>
          <dd>
            <CommitRef commit={app.head} />
          </dd>
        </dl>
        {foresight.view}
        <NoteField value={note} onChange={setNote} />
        {sync.error && <Failure error={sync.error} />}
      </div>
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button kind="primary" busy={sync.isPending} verdict={foresight.verdict} onClick={() => sync.mutate({ requestId: request, applicationId: app.id, strategy, note })}>
          <Trans>Sync</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

function EnabledDialog({ app, onClose }: { app: Application; onClose: () => void }) {
  const { t } = useLingui();
  const notice = useNotice();
  const { name } = app;
  const [request] = useState(requestId);
  const set = useMutation(ApplicationService.method.setApplicationEnabled, {
    onSuccess: () => {
      notice(app.disabled ? t`${name} is enabled` : t`${name} is disabled`);
      onClose();
    },
  });
  return (
    <Dialog title={app.disabled ? t`Enable ${name}?` : t`Disable ${name}?`} onClose={onClose}>
      <p>
        {app.disabled ? (
          <Trans>Commits that touch it start deployments again. What was committed meanwhile goes out with the next commit or a sync.</Trans>
        ) : (
          <Trans>Commits are recorded and start nothing, and nobody can sync it. What is live stays as it is; a deployment that runs goes on to its end.</Trans>
        )}
      </p>
      {set.error && <Failure error={set.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button
          kind={app.disabled ? "primary" : "danger"}
          busy={set.isPending}
          onClick={() => set.mutate({ requestId: request, applicationId: app.id, enabled: app.disabled })}
        >
          {app.disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

function DeleteDialog({ app, onClose }: { app: Application; onClose: () => void }) {
  const { t } = useLingui();
  const notice = useNotice();
  const navigate = useNavigate();
  const { name } = app;
  const [typed, setTyped] = useState("");
  const [request] = useState(requestId);
  const remove = useMutation(ApplicationService.method.deleteApplication, {
    onSuccess: async () => {
      notice(t`${name} is deleted`);
      await navigate({ to: "/applications" });
    },
  });
  return (
    <Dialog title={t`Delete ${name}?`} onClose={onClose}>
      <ul className="list-disc space-y-1 pl-5">
        <li>
          <Trans>The record of the application goes, and commits deploy it no more.</Trans>
        </li>
        <li>
          <Trans>What runs in the cloud stays: services, tasks, target groups and rules are not touched.</Trans>
        </li>
        <li>
          <Trans>Its file in git stays and is offered for registration again.</Trans>
        </li>
      </ul>
      <label className="mt-4 block">
        <span className="mb-1 block">
          <Trans>
            Type <strong>{name}</strong> to go on
          </Trans>
        </span>
        <input value={typed} onChange={(e) => setTyped(e.target.value)} autoComplete="off" className="field w-full" />
      </label>
      {remove.error && <Failure error={remove.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button
          kind="danger"
          busy={remove.isPending}
          verdict={typedName(typed, name)}
          onClick={() => remove.mutate({ requestId: request, applicationId: app.id })}
        >
          <Trans>Delete</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
