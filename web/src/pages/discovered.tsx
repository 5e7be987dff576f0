import { useMutation, useQuery } from "@connectrpc/connect-query";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { FolderGit2 } from "lucide-react";
import { useState } from "react";
import { useWho } from "../api/who";
import { ApplicationService, type DiscoveredApplication } from "../gen/penstock/v1/application_pb";
import { kindName, requestId } from "../logic/kinds";
import { mayRegister } from "../logic/may";
import { Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { useNotice } from "../ui/notices";

/** Application files that agents found in git and nobody registered yet. */
export function Discovered() {
  const found = useQuery(ApplicationService.method.listDiscoveredApplications, { page: { pageSize: 100 } });
  const list = found.data?.applications ?? [];
  if (list.length === 0) return null;
  return (
    <details className="panel group" open={list.length <= 3}>
      <summary className="flex items-center gap-2 px-4 py-2.5 font-medium">
        <FolderGit2 aria-hidden size={16} className="text-accent" />
        <Plural value={list.length} one="# application file in git is not registered yet" other="# application files in git are not registered yet" />
      </summary>
      <ul className="border-line border-t">
        {list.map((d) => (
          <Offer key={`${d.agentId}/${d.repoId}/${d.path}/${d.configFile}`} offer={d} />
        ))}
      </ul>
    </details>
  );
}

function Offer({ offer }: { offer: DiscoveredApplication }) {
  const { t } = useLingui();
  const who = useWho();
  const notice = useNotice();
  const queries = useQueryClient();
  const [provider, setProvider] = useState(offer.providers[0] ?? "");
  const { name } = offer;
  const add = useMutation(ApplicationService.method.addApplication, {
    onSuccess: async () => {
      notice(t`${name} is registered`);
      await queries.invalidateQueries();
    },
  });
  const register = () =>
    add.mutate({ requestId: requestId(), agentId: offer.agentId, repoId: offer.repoId, path: offer.path, configFile: offer.configFile, provider, name, kind: offer.kind });
  return (
    <li className="border-line flex flex-wrap items-center gap-x-4 gap-y-2 border-b px-4 py-2 last:border-b-0">
      <div className="min-w-0 flex-1 basis-64">
        <span className="font-semibold">{name || offer.path}</span> <span className="text-muted">{kindName(offer.kind)}</span>
        <div className="text-muted font-mono text-xs break-all">
          {offer.repoId}@{offer.branch}: {offer.path ? `${offer.path}/` : ""}
          {offer.configFile}
        </div>
        {offer.invalidDetail && <pre className="text-bad mt-1 text-xs whitespace-pre-wrap">{offer.invalidDetail}</pre>}
        {add.error && <Failure error={add.error} />}
      </div>
      {offer.providers.length > 1 && (
        <label className="inline-flex items-center gap-1.5">
          <span className="text-muted text-xs">
            <Trans>Provider</Trans>
          </span>
          <select value={provider} onChange={(e) => setProvider(e.target.value)} className="field">
            {offer.providers.map((p) => (
              <option key={p}>{p}</option>
            ))}
          </select>
        </label>
      )}
      {!offer.invalidDetail && (
        <Button kind="primary" verdict={mayRegister(who)} busy={add.isPending} onClick={register} aria-label={t`Register ${name}`}>
          <Trans>Register</Trans>
        </Button>
      )}
    </li>
  );
}
