import { useMutation, useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { useWho } from "../api/who";
import { type GetWebhooksResponse, ProjectService, type WebhookDelivery } from "../gen/penstock/v1/project_pb";
import { requestId } from "../logic/kinds";
import { mayWriteProject } from "../logic/may";
import { deliveryTold, hostOf, newSecret } from "../logic/webhooks";
import { Banner, Failure, Loading } from "../ui/bits";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog, DialogButtons } from "../ui/dialog";
import { useTitle } from "../ui/hooks";
import { toneText } from "../ui/status";
import { Ago } from "../ui/time";

/** Where git hosts send pushes to, with which secret, and what came of the last ones. */
export function WebhooksPage() {
  const { t } = useLingui();
  useTitle(t`Webhooks`);
  const who = useWho();
  const [making, setMaking] = useState(false);
  const got = useQuery(ProjectService.method.getWebhooks, {}, { staleTime: 0 });
  const set = got.data?.secretSet ?? false;
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>Webhooks</Trans>
        </h1>
        <span className="flex flex-wrap gap-2">
          <Button busy={got.isFetching} onClick={() => void got.refetch()}>
            <Trans>Look again</Trans>
          </Button>
          <Button kind="primary" verdict={mayWriteProject(who)} onClick={() => setMaking(true)}>
            <KeyRound aria-hidden size={15} />
            {set ? <Trans>Change the secret</Trans> : <Trans>Make a secret</Trans>}
          </Button>
        </span>
      </div>
      <p className="text-muted">
        <Trans>Agents ask git every ten seconds. A webhook makes that at once: paste the URL and the secret into the settings of the repository, or of its group or organisation, for push events as application/json.</Trans>
      </p>
      {got.isPending ? (
        <section className="panel">
          <Loading lines={5} />
        </section>
      ) : got.error ? (
        <Failure error={got.error} retry={() => void got.refetch()} />
      ) : (
        <>
          {!set && <Banner tone="info" title={<Trans>No secret is set, so every delivery is refused</Trans>} />}
          <Table webhooks={got.data} />
        </>
      )}
      {making && <MakeSecret replaces={set} onClose={() => setMaking(false)} />}
    </div>
  );
}

function Table({ webhooks }: { webhooks: GetWebhooksResponse }) {
  const { t } = useLingui();
  return (
    <>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <section tabIndex={0} aria-label={t`Webhooks`} className="panel overflow-x-auto">
        <table className="w-full border-collapse">
          <thead>
            <tr>
              <th scope="col" className="th">
                <Trans>Git host</Trans>
              </th>
              <th scope="col" className="th">
                <Trans>URL to paste</Trans>
              </th>
              <th scope="col" className="th">
                <Trans>Last delivery</Trans>
              </th>
              <th scope="col" className="th">
                <Trans>Last refused</Trans>
              </th>
            </tr>
          </thead>
          <tbody>
            {webhooks.webhooks.map(({ host, path, last, refused }) => {
              const { name, secret } = hostOf(host);
              const url = window.location.origin + path;
              return (
                <tr key={host} className="last:[&>td]:border-b-0">
                  <td className="td">
                    <span className="font-medium">{name}</span>
                    <div className="text-muted text-xs">
                      <Trans>secret: the field “{secret}”</Trans>
                    </div>
                  </td>
                  <td className="td min-w-64">
                    <code className="font-mono text-xs break-all">{url}</code> <CopyButton text={url} label={t`Copy the URL for ${name}`} />
                  </td>
                  <td className="td min-w-40">
                    <Delivery d={last} />
                  </td>
                  <td className="td min-w-40">
                    <Delivery d={refused} />
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </section>
      <p className="text-muted text-xs">
        <Trans>
          Deliveries are remembered since the start of the server (<Ago at={webhooks.since} />
          ). Anybody can send one that is refused.
        </Trans>
      </p>
    </>
  );
}

function Delivery({ d }: { d: WebhookDelivery | undefined }) {
  const { i18n } = useLingui();
  if (!d) return <span className="text-muted">–</span>;
  const { tone, text } = deliveryTold(d);
  return (
    <>
      <Ago at={d.at} /> <code className="text-muted font-mono text-xs">{d.status}</code>
      <div className={`text-xs ${toneText[tone]}`}>{i18n._(text)}</div>
    </>
  );
}

function MakeSecret({ replaces, onClose }: { replaces: boolean; onClose: () => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [request] = useState(requestId);
  const [secret] = useState(newSecret);
  const save = useMutation(ProjectService.method.updateProject, { onSuccess: () => queries.invalidateQueries() });
  if (save.data) return <SecretOnce secret={secret} onClose={onClose} />;
  return (
    <Dialog title={replaces ? t`Change the secret?` : t`Make a secret?`} onClose={onClose}>
      <p>
        {replaces ? (
          <Trans>The former secret is refused from now on. Until the git hosts have the new one, agents see commits every ten seconds.</Trans>
        ) : (
          <Trans>There is one secret for the project, for all git hosts. It is shown once.</Trans>
        )}
      </p>
      {save.error && <Failure error={save.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button kind={replaces ? "danger" : "primary"} busy={save.isPending} onClick={() => save.mutate({ requestId: request, webhookSecret: secret })}>
          {replaces ? <Trans>Change the secret</Trans> : <Trans>Make a secret</Trans>}
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

function SecretOnce({ secret, onClose }: { secret: string; onClose: () => void }) {
  const { t } = useLingui();
  return (
    <Dialog title={t`The secret`} onClose={onClose}>
      <Banner tone="warn" title={<Trans>The secret is shown once. Give it to your git hosts now.</Trans>} />
      <p className="mt-3 flex items-center gap-2">
        <code className="bg-sunken rounded-sm px-2 py-1 font-mono break-all">{secret}</code>
        <CopyButton text={secret} label={t`Copy the secret`} />
      </p>
      <DialogButtons>
        <Button kind="primary" onClick={onClose}>
          <Trans>The git hosts have it</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
