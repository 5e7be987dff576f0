import { useMutation } from "@connectrpc/connect-query";
import { Trans, useLingui } from "@lingui/react/macro";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useWho } from "../api/who";
import { type Agent, ProjectService } from "../gen/penstock/v1/project_pb";
import { requestId } from "../logic/kinds";
import { type Place, installCommands, places } from "../logic/install";
import { type Who, mayRotate, mayWriteAgents } from "../logic/may";
import { pipedFile } from "../logic/piped";
import { Banner, Failure } from "../ui/bits";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy";
import { Dialog, DialogButtons } from "../ui/dialog";
import { useNotice } from "../ui/notices";
import { Ago } from "../ui/time";

/** Makes an identity and shows its key once. */
export function RegisterAgent({ onClose }: { onClose: () => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [name, setName] = useState("");
  const [request] = useState(requestId);
  const register = useMutation(ProjectService.method.registerAgent, { onSuccess: () => queries.invalidateQueries() });
  if (register.data) return <KeyOnce agentId={register.data.agent?.id ?? ""} keyText={register.data.key} onClose={onClose} />;
  return (
    <Dialog title={t`Register an agent`} onClose={onClose}>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          register.mutate({ requestId: request, name: name.trim() });
        }}
      >
        <label className="block">
          <span className="mb-1 block font-medium">
            <Trans>Name</Trans>
          </span>
          <input value={name} onChange={(e) => setName(e.target.value)} required maxLength={100} placeholder="production-tokyo" className="field w-full" />
        </label>
        <p className="text-muted mt-2">
          <Trans>One identity may run as several processes; they share its work and take over from each other.</Trans>
        </p>
        {register.error && <Failure error={register.error} />}
        <DialogButtons>
          <Button onClick={onClose}>
            <Trans>Close</Trans>
          </Button>
          <Button kind="primary" type="submit" busy={register.isPending}>
            <Trans>Register</Trans>
          </Button>
        </DialogButtons>
      </form>
    </Dialog>
  );
}

/** The key, and what starts an agent with it; neither can be seen again. */
function KeyOnce({ agentId, keyText, onClose }: { agentId: string; keyText: string; onClose: () => void }) {
  const { t } = useLingui();
  const { projectId, serverVersion } = useWho();
  const [place, setPlace] = useState<Place | "file">("vm");
  const file = pipedFile({ projectId, agentId, key: keyText, origin: window.location.origin });
  const shown = place === "file" ? file : installCommands(place, file, serverVersion);
  const names: Readonly<Record<Place | "file", string>> = { vm: t`On a VM`, ecs: t`On Amazon ECS`, kubernetes: t`On Kubernetes`, file: t`The file alone` };
  return (
    <Dialog title={t`The key of the agent`} onClose={onClose} wide>
      <Banner tone="warn" title={<Trans>The key is shown once. Keep it now, in a secret store.</Trans>} />
      <p className="mt-3 flex items-center gap-2">
        <code className="bg-sunken rounded-sm px-2 py-1 font-mono break-all">{keyText}</code>
        <CopyButton text={keyText} label={t`Copy the key`} />
      </p>
      <p className="mt-4">
        <Trans>Paste this into a shell. Name your repositories and your platform in the file first; only you know them.</Trans>
      </p>
      <div className="mt-2 mb-1 flex flex-wrap items-center justify-between gap-2">
        <div role="radiogroup" aria-label={t`Where the agent runs`} className="choices flex-wrap">
          {([...places, "file"] as const).map((p) => (
            <button key={p} type="button" role="radio" aria-checked={place === p} onClick={() => setPlace(p)} className="choice">
              {names[p]}
            </button>
          ))}
        </div>
        <CopyButton text={shown} label={t`Copy all of it`} />
      </div>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reachable by keyboard */}
      <pre tabIndex={0} className="bg-sunken border-line max-h-80 overflow-auto rounded-md border p-3 font-mono text-xs">
        {shown}
      </pre>
      <DialogButtons>
        <Button kind="primary" onClick={onClose}>
          <Trans>I have kept the key</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

/** The keys of an identity: a second one can be made before the first is removed. */
export function AgentKeys({ agent, who }: { agent: Agent; who: Who }) {
  const { t } = useLingui();
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button verdict={mayWriteAgents(who)} onClick={() => setOpen(true)}>
        <Trans>Keys</Trans>
      </Button>
      {open && (
        <KeysDialog title={t`Keys of ${agent.name}`} agent={agent} onClose={() => setOpen(false)} />
      )}
    </>
  );
}

function KeysDialog({ title, agent, onClose }: { title: string; agent: Agent; onClose: () => void }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const notice = useNotice();
  const [removing, setRemoving] = useState<string>();
  const add = useMutation(ProjectService.method.addAgentKey, { onSuccess: () => queries.invalidateQueries() });
  const remove = useMutation(ProjectService.method.removeAgentKey, {
    onSuccess: async () => {
      setRemoving(undefined);
      notice(t`The key is removed`);
      await queries.invalidateQueries();
    },
  });
  if (add.data) return <KeyOnce agentId={agent.id} keyText={add.data.key} onClose={onClose} />;
  return (
    <Dialog title={title} onClose={onClose} wide>
      <p className="text-muted mb-2">
        <Trans>To change a key: make another one, start the processes with it, then remove the old one. Do it while no deployment of this agent runs: a plan is sealed with the key it was made with.</Trans>
      </p>
      <ul className="divide-line divide-y">
        {agent.keys.map((k) => (
          <li key={k.id} className="flex flex-wrap items-center gap-x-4 gap-y-1 py-2">
            <code className="font-mono text-xs">{k.id}</code>
            <span className="text-muted">
              <Trans>
                made <Ago at={k.createdAt} />, last used <Ago at={k.lastUsedAt} />
              </Trans>
            </span>
            <span className="ml-auto flex items-center gap-2">
              {removing === k.id ? (
                <>
                  <span className="text-bad">
                    <Trans>Processes that use it are cut off.</Trans>
                  </span>
                  <Button onClick={() => setRemoving(undefined)}>
                    <Trans>Keep it</Trans>
                  </Button>
                  <Button kind="danger" busy={remove.isPending} onClick={() => remove.mutate({ requestId: requestId(), agentId: agent.id, keyId: k.id })}>
                    <Trans>Remove the key</Trans>
                  </Button>
                </>
              ) : (
                <Button kind="quiet" onClick={() => setRemoving(k.id)}>
                  <Trans>Remove</Trans>
                </Button>
              )}
            </span>
          </li>
        ))}
      </ul>
      {(add.error ?? remove.error) && <Failure error={add.error ?? remove.error} />}
      <DialogButtons>
        <Button data-autofocus="" onClick={onClose}>
          <Trans>Close</Trans>
        </Button>
        <Button kind="primary" verdict={mayRotate(agent)} busy={add.isPending} onClick={() => add.mutate({ requestId: requestId(), agentId: agent.id })}>
          <Trans>Make another key</Trans>
        </Button>
      </DialogButtons>
    </Dialog>
  );
}

/** Enables or disables an identity, with the effect in words. */
export function EnableAgent({ agent, who }: { agent: Agent; who: Who }) {
  const { t } = useLingui();
  const queries = useQueryClient();
  const [open, setOpen] = useState(false);
  const [request, setRequest] = useState(requestId);
  const { name } = agent;
  const set = useMutation(ProjectService.method.setAgentEnabled, {
    onSuccess: async () => {
      setOpen(false);
      await queries.invalidateQueries();
    },
  });
  const ask = () => {
    setRequest(requestId());
    setOpen(true);
  };
  return (
    <>
      <Button kind="quiet" verdict={mayWriteAgents(who)} onClick={ask}>
        {agent.disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
      </Button>
      {open && (
        <Dialog title={agent.disabled ? t`Enable ${name}?` : t`Disable ${name}?`} onClose={() => setOpen(false)}>
          <p>
            {agent.disabled ? (
              <Trans>Its processes may connect again and take up their work.</Trans>
            ) : (
              <Trans>Its processes are cut off: they write nothing more, deployments they hold stay where they are, and nothing is observed.</Trans>
            )}
          </p>
          {set.error && <Failure error={set.error} />}
          <DialogButtons>
            <Button data-autofocus="" onClick={() => setOpen(false)}>
              <Trans>Close</Trans>
            </Button>
            <Button
              kind={agent.disabled ? "primary" : "danger"}
              busy={set.isPending}
              onClick={() => set.mutate({ requestId: request, agentId: agent.id, enabled: agent.disabled })}
            >
              {agent.disabled ? <Trans>Enable</Trans> : <Trans>Disable</Trans>}
            </Button>
          </DialogButtons>
        </Dialog>
      )}
    </>
  );
}
