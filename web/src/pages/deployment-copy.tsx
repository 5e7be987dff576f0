import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { Trans, useLingui } from "@lingui/react/macro";
import { Braces, Link2, Terminal } from "lucide-react";
import { useState } from "react";
import { type Application, ApplicationSchema } from "../gen/penstock/v1/application_pb";
import { type Deployment, DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog, DialogButtons } from "../ui/dialog";

/** The deployment for other tools: its id, its address, the same on the command line, and all of it as JSON. */
export function CopyMenu({ d }: { d: Deployment }) {
  return <ToolsMenu id={d.id} path={`/deployments/${d.id}`} command={commandOf(d)} all={`penstock deployment get ${d.id} -o json`} schema={DeploymentSchema} message={d} />;
}

/** The same of an application. */
export function ApplicationCopyMenu({ app }: { app: Application }) {
  return <ToolsMenu id={app.id} path={`/applications/${app.id}`} command={`penstock app get ${app.id}`} all={`penstock app get ${app.id} -o json`} schema={ApplicationSchema} message={app} />;
}

interface MenuProps<D extends DescMessage> {
  id: string;
  path: string;
  command: string;
  all: string;
  schema: D;
  message: MessageShape<D>;
}

function ToolsMenu<D extends DescMessage>({ id, path, command, all, schema, message }: MenuProps<D>) {
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
