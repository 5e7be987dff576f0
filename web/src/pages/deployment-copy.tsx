import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Braces, Link2, Terminal } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useWho } from "../api/who";
import { type Application, ApplicationSchema } from "../gen/penstock/v1/application_pb";
import { type Deployment, DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { ProjectService } from "../gen/penstock/v1/project_pb";
import { requestId } from "../logic/kinds";
import { mayWriteProject } from "../logic/may";
import { Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog, DialogButtons } from "../ui/dialog";

/** The deployment for other tools: its id, its address, the same on the command line, and all of it as JSON. */
export function CopyMenu({ d }: { d: Deployment }) {
  return <ToolsMenu id={d.id} path={`/deployments/${d.id}`} command={commandOf(d)} all={`penstock deployment get ${d.id} -o json`} schema={DeploymentSchema} message={d} />;
}

/** The same of an application. */
export function ApplicationCopyMenu({ app }: { app: Application }) {
  return (
    <ToolsMenu id={app.id} path={`/applications/${app.id}`} command={`penstock app get ${app.id}`} all={`penstock app get ${app.id} -o json`} schema={ApplicationSchema} message={app}>
      <Badge app={app} />
    </ToolsMenu>
  );
}

interface MenuProps<D extends DescMessage> {
  id: string;
  path: string;
  command: string;
  all: string;
  schema: D;
  message: MessageShape<D>;
  children?: ReactNode;
}

function ToolsMenu<D extends DescMessage>({ id, path, command, all, schema, message, children }: MenuProps<D>) {
  const { t } = useLingui();
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button onClick={() => setOpen(true)} aria-label={t`For other tools`} title={t`For other tools`}>
        <Braces aria-hidden size={15} />
      </Button>
      {open && (
        <Dialog title={t`For other tools`} onClose={() => setOpen(false)} wide>
          <dl className="grid grid-cols-[max-content_minmax(0,1fr)] items-center gap-x-4 gap-y-2">
            <Row name="ID" text={id} />
            <Row name={<Trans>Permanent link</Trans>} icon={<Link2 aria-hidden size={14} />} text={`${window.location.origin}${path}`} />
            <Row name={<Trans>On the command line</Trans>} icon={<Terminal aria-hidden size={14} />} text={command} />
            <Row name={<Trans>Everything</Trans>} text={all} />
          </dl>
          {children}
          <Json text={JSON.stringify(toJson(schema, message), null, 2)} />
          <DialogButtons>
            <Button data-autofocus="" onClick={() => setOpen(false)}>
              <Trans>Close</Trans>
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}

/** An image of the application's state that needs no login, and the admin's way to have such images or not. */
function Badge({ app }: { app: Application }) {
  const { t, i18n } = useLingui();
  const who = useWho();
  const queries = useQueryClient();
  const [request] = useState(requestId);
  const set = useMutation(ProjectService.method.updateProject, { onSuccess: () => queries.invalidateQueries() });
  const { name } = app;
  const on = app.badgePath !== "";
  const image = `${app.badgePath}?lang=${i18n.locale}`;
  const page = `${window.location.origin}/applications/${app.id}`;
  return (
    <section aria-label={t`Badge`} className="border-line mt-4 space-y-2 border-t pt-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        {on ? <img src={image} alt={t`Badge of ${name}`} height={20} /> : <Trans>The project has no badges.</Trans>}
        {!on && (
          <Button verdict={mayWriteProject(who)} busy={set.isPending} onClick={() => set.mutate({ requestId: request, badges: true })}>
            <Trans>Turn on badges</Trans>
          </Button>
        )}
      </div>
      {on ? (
        <dl className="grid grid-cols-[max-content_minmax(0,1fr)] items-center gap-x-4 gap-y-2">
          <Row name={<Trans>Badge</Trans>} text={window.location.origin + image} />
          <Row name="Markdown" text={`[![${name}](${window.location.origin}${image})](${page})`} />
        </dl>
      ) : (
        <p className="text-muted">
          <Trans>A badge shows name, state and version of an application to whoever has its address, without a login.</Trans>
        </p>
      )}
      {on && (
        <p className="text-muted text-xs">
          <Trans>
            Whoever has the address sees it. An admin ends the addresses of all applications with <code className="font-mono">penstock project badges --off</code>.
          </Trans>
        </p>
      )}
      {set.error && <Failure error={set.error} />}
    </section>
  );
}

/** What a person at this page would type: to follow what runs, to look at what is over. */
export function commandOf(d: Deployment): string {
  const over = d.status === "SUCCESS" || d.status === "FAILURE" || d.status === "CANCELLED";
  return `penstock deployment ${over ? "get" : "follow"} ${d.id}`;
}

function Row({ name, icon, text }: { name: React.ReactNode; icon?: React.ReactNode; text: string }) {
  return (
    <>
      <dt className="text-muted inline-flex items-center gap-1.5">
        {icon}
        {name}
      </dt>
      <dd className="flex min-w-0 items-center gap-1">
        <code className="font-mono text-xs break-all">{text}</code>
        <CopyButton text={text} />
      </dd>
    </>
  );
}

function Json({ text }: { text: string }) {
  return (
    <details className="mt-4">
      <summary className="text-muted">JSON</summary>
      <div className="mt-2 flex justify-end">
        <CopyButton text={text} />
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} className="bg-sunken border-line max-h-80 overflow-auto rounded-md border p-2 font-mono text-xs">
        {text}
      </pre>
    </details>
  );
}
