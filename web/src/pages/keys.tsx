import { useMutation, useQuery } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useWho } from "../api/who";
import { type APIKey, type CreateAPIKeyResponse, ProjectService } from "../gen/penstock/v1/project_pb";
import { requestId } from "../logic/kinds";
import { has, mayWriteKeys } from "../logic/may";
import { toDate } from "../logic/time";
import { Banner, Empty, Failure, Loading } from "../ui/bits";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog, DialogButtons } from "../ui/dialog";
import { useTitle } from "../ui/hooks";
import { useNotice } from "../ui/notices";
import { Ago } from "../ui/time";

/** The keys of scripts: what there is, for how long, and when it was used. */
export function KeysPage() {
  const { t, i18n } = useLingui();
  useTitle(t`API keys`);
  const who = useWho();
  const may = has(who, "key:read");
  const [adding, setAdding] = useState(false);
  const list = useQuery(ProjectService.method.listAPIKeys, {}, { enabled: may.ok });
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>API keys</Trans>
        </h1>
        <Button kind="primary" verdict={mayWriteKeys(who)} onClick={() => setAdding(true)}>
          <Plus aria-hidden size={15} />
          <Trans>Make a key</Trans>
        </Button>
      </div>
      <p className="text-muted">
        <Trans>A key lets a script act with a role of its own. Whoever makes it sees it once.</Trans>
      </p>
      {!may.ok ? (
        <Banner tone="info" title={i18n._(may.why)} />
      ) : list.isPending ? (
        <section className="panel">
          <Loading lines={4} />
        </section>
      ) : list.error ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : (
        <section aria-label={t`API keys`} className="panel overflow-x-auto">
          {list.data.keys.length === 0 ? (
            <Empty>
              <Trans>No key was made yet.</Trans>
            </Empty>
          ) : (
            <Table keys={list.data.keys} />
          )}
        </section>
      )}
      {adding && <MakeKey onClose={() => setAdding(false)} />}
    </div>
  );
}

function Table({ keys }: { keys: readonly APIKey[] }) {
  return (
    <table className="w-full border-collapse">
      <thead>
        <tr>
          <th scope="col" className="th">
            <Trans>Name</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Role</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Made</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Last used</Trans>
          </th>
          <th scope="col" className="th">
            <Trans>Ends</Trans>
          </th>
          <th scope="col" className="th text-right">
            <Trans>Actions</Trans>
          </th>
        </tr>
      </thead>
      <tbody>
        {keys.map((k) => (
          <tr key={k.id} className="last:[&>td]:border-b-0">
            <td className="td">
              <span className="font-medium break-all">{k.name}</span>
              <div className="text-muted font-mono text-xs">{k.id}</div>
            </td>
            <td className="td">{k.role}</td>
            <td className="td">
              <Ago at={k.createdAt} />
            </td>
            <td className="td">{toDate(k.lastUsedAt) ? <Ago at={k.lastUsedAt} /> : <Trans>never</Trans>}</td>
            <td className="td">
              <Ago at={k.expiresAt} />
              {k.expired && (
                <span className="text-bad ml-2">
                  <Trans>expired</Trans>
                </span>
              )}
            </td>
            <td className="td text-right">
              <Revoke apiKey={k} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Revoke({ apiKey }: { apiKey: APIKey }) {
  const { t } = useLingui();
  const who = useWho();
  const queries = useQueryClient();
  const notice = useNotice();
  const [request, setRequest] = useState<string>();
  const { name } = apiKey;
  const close = () => setRequest(undefined);
  const revoke = useMutation(ProjectService.method.revokeAPIKey, {
    onSuccess: async () => {
      close();
      notice(t`The key ${name} is revoked`);
      await queries.invalidateQueries();
    },
  });
  return (
    <>
      <Button kind="quiet" verdict={mayWriteKeys(who)} onClick={() => setRequest(requestId())} aria-label={t`Revoke ${name}`}>
        <Trans>Revoke</Trans>
      </Button>
      {request && (
        <Dialog title={t`Revoke ${name}?`} onClose={close}>
          <p>
            <Trans>Scripts that use it are refused from now on. It cannot be had back.</Trans>
          </p>
          {revoke.error && <Failure error={revoke.error} />}
          <DialogButtons>
            <Button data-autofocus="" onClick={close}>
              <Trans>Keep it</Trans>
            </Button>
            <Button kind="danger" busy={revoke.isPending} onClick={() => revoke.mutate({ requestId: request, keyId: apiKey.id })}>
              <Trans>Revoke</Trans>
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}

const roles = ["viewer", "operator", "admin"] as const;

function MakeKey({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [request] = useState(requestId);
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("viewer");
  const [days, setDays] = useState(90);
  const make = useMutation(ProjectService.method.createAPIKey, { onSuccess: () => queries.invalidateQueries() });
  const effects: Readonly<Record<string, string>> = { viewer: t`reads everything, changes nothing`, operator: t`syncs, approves, cancels, retries`, admin: t`everything, agents and keys too` };
  if (make.data) return <KeyOnce made={make.data} onClose={onClose} />;
  return (
    <Dialog title={t`Make a key`} onClose={onClose}>
      <form
        className="space-y-3"
        onSubmit={(e) => {
          e.preventDefault();
          make.mutate({ requestId: request, name: name.trim(), role, days });
        }}
      >
        <label className="block">
          <span className="mb-1 block font-medium">
            <Trans>Name</Trans>
          </span>
          <input value={name} onChange={(e) => setName(e.target.value)} required maxLength={100} placeholder="ci" data-autofocus="" className="field w-full" />
        </label>
        <fieldset>
          <legend className="mb-1 font-medium">
            <Trans>Role</Trans>
          </legend>
          {roles.map((r) => (
            <label key={r} className="flex gap-2">
              <input type="radio" name="role" checked={role === r} onChange={() => setRole(r)} />
              <span>
                {r} <span className="text-muted">{effects[r]}</span>
              </span>
            </label>
          ))}
        </fieldset>
        <label className="block">
          <span className="mb-1 block font-medium">
            <Trans>Days</Trans>
          </span>
          <input type="number" min={1} max={3650} value={days} onChange={(e) => setDays(Number(e.target.value))} required className="field w-28" />
        </label>
        {make.error && <Failure error={make.error} />}
        <DialogButtons>
          <Button onClick={onClose}>
            <Trans>Close</Trans>
          </Button>
          <Button kind="primary" type="submit" busy={make.isPending}>
            <Trans>Make a key</Trans>
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}

function KeyOnce({ made, onClose }: { made: CreateAPIKeyResponse; onClose: () => void }) {
  const { t } = useLingui();
  const line = `export PENSTOCK_SERVER=${window.location.origin} PENSTOCK_TOKEN=${made.key}`;
  return (
    <Dialog title={t`The key`} onClose={onClose} wide>
      <Banner tone="warn" title={<Trans>The key is shown once. Keep it now, in a secret store.</Trans>} />
      <p className="mt-3 flex items-center gap-2">
        <code className="bg-sunken rounded-sm px-2 py-1 font-mono break-all">{made.key}</code>
        <CopyButton text={made.key} label={t`Copy the key`} />
      </p>
      <p className="mt-3 flex items-center gap-2">
        <code className="bg-sunken rounded-sm px-2 py-1 font-mono text-xs break-all">{line}</code>
        <CopyButton text={line} label={t`Copy the line for the CLI`} />
      </p>
      <DialogButtons>
        <Button kind="primary" onClick={onClose}>
          <Trans>I have kept the key</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}
