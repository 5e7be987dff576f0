import { useQuery } from "@connectrpc/connect-query";
import { Plural, Trans, useLingui } from "@lingui/react/macro";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useWho } from "../api/who";
import { ApplicationService } from "../gen/penstock/v1/application_pb";
import { type Agent, type AgentProcess, ProjectService } from "../gen/penstock/v1/project_pb";
import { shortId } from "../logic/kinds";
import { type Who, mayWriteAgents } from "../logic/may";
import type { Look } from "../logic/status";
import { agentLook, processLook } from "../logic/agents";
import { Banner, Empty, Failure, Id, Loading } from "../ui/bits";
import { Button } from "../ui/button";
import { useTitle } from "../ui/hooks";
import { Status } from "../ui/status";
import { Ago } from "../ui/time";
import { AgentKeys, EnableAgent, RegisterAgent } from "./agent-dialogs";

/** The agents: who is there, what they hold, and what they cannot read. */
export function AgentsPage() {
  const { t } = useLingui();
  useTitle(t`Agents`);
  const who = useWho();
  const [adding, setAdding] = useState(false);
  const list = useQuery(ProjectService.method.listAgents, { page: { pageSize: 200 } });
  return (
    <div className="space-y-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-xl font-semibold">
          <Trans>Agents</Trans>
        </h1>
        <Button kind="primary" verdict={mayWriteAgents(who)} onClick={() => setAdding(true)}>
          <Plus aria-hidden size={15} />
          <Trans>Register an agent</Trans>
        </Button>
      </div>
      {list.isPending ? (
        <Loading lines={6} />
      ) : list.error ? (
        <Failure error={list.error} retry={() => void list.refetch()} />
      ) : list.data.agents.length === 0 ? (
        <section className="panel">
          <Empty>
            <Trans>No agent is registered. An agent runs beside your workloads, reads git and carries deployments out; it needs outbound connections only.</Trans>
          </Empty>
        </section>
      ) : (
        list.data.agents.map((a) => <AgentCard key={a.id} agent={a} who={who} />)
      )}
      {adding && <RegisterAgent onClose={() => setAdding(false)} />}
    </div>
  );
}

function AgentCard({ agent, who }: { agent: Agent; who: Who }) {
  const l: Look = agentLook(agent);
  const broken = agent.repositories.filter((r) => r.error);
  return (
    <section aria-label={agent.name} className="panel">
      <header className="border-line flex flex-wrap items-center gap-x-4 gap-y-2 border-b px-4 py-2.5">
        <h2 className="text-base font-semibold">
          <a href={`#${agent.id}`} id={agent.id} data-row="" className="hover:underline">
            {agent.name}
          </a>
        </h2>
        <Status look={l} />
        <Id id={agent.id} />
        <div className="ml-auto flex flex-wrap gap-2">
          <AgentKeys agent={agent} who={who} />
          <EnableAgent agent={agent} who={who} />
        </div>
      </header>
      <div className="space-y-4 p-4">
        {broken.map((r) => (
          <Banner key={r.id} tone="bad" title={<Trans>Repository {r.id} cannot be read</Trans>}>
            {r.error}
            <div className="text-muted font-mono text-xs break-all">{r.remote}</div>
          </Banner>
        ))}
        <Processes processes={agent.processes} />
        <Repositories agent={agent} />
      </div>
    </section>
  );
}

function Processes({ processes }: { processes: readonly AgentProcess[] }) {
  if (processes.length === 0) {
    return (
      <p className="text-muted">
        <Trans>No process has connected with the keys of this agent.</Trans>
      </p>
    );
  }
  return (
    <div className="overflow-x-auto">
      <table className="w-full border-collapse">
        <thead>
          <tr>
            <th scope="col" className="th">
              <Trans>Process</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>State</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Version</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Started</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Last seen</Trans>
            </th>
            <th scope="col" className="th">
              <Trans>Holds</Trans>
            </th>
          </tr>
        </thead>
        <tbody>
          {processes.map((p) => (
            <tr key={p.id} className="last:[&>td]:border-b-0">
              <td className="td">
                <span className="font-medium break-all">{p.host}</span>
                <div className="text-muted font-mono text-xs break-all">{p.id}</div>
              </td>
              <td className="td">
                <Status look={processLook(p)} />
              </td>
              <td className="td font-mono text-xs">{p.version}</td>
              <td className="td">
                <Ago at={p.startedAt} />
              </td>
              <td className="td">
                <Ago at={p.lastSeenAt} />
              </td>
              <td className="td">
                <Held ids={p.applications} />
                {p.deployments.map((id) => (
                  <div key={id}>
                    <Link to="/deployments/$id" params={{ id }} className="link text-xs">
                      <Trans>deployment {shortId(id)}</Trans>
                    </Link>
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The applications that a process watches; their names are read when they are asked for. */
function Held({ ids }: { ids: readonly string[] }) {
  const [open, setOpen] = useState(false);
  if (ids.length === 0) return <Plural value={0} one="# application" other="# applications" />;
  return (
    <details onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <Plural value={ids.length} one="# application" other="# applications" />
      </summary>
      {open && (
        <ul className="max-h-60 overflow-y-auto">
          {ids.slice(0, 200).map((id) => (
            <li key={id}>
              <HeldName id={id} />
            </li>
          ))}
        </ul>
      )}
    </details>
  );
}

function HeldName({ id }: { id: string }) {
  const got = useQuery(ApplicationService.method.getApplication, { application: id });
  return (
    <Link to="/applications/$id" params={{ id }} className="link text-xs break-all">
      {got.data?.application?.name ?? shortId(id)}
    </Link>
  );
}

function Repositories({ agent }: { agent: Agent }) {
  return (
    <dl className="grid grid-cols-[max-content_1fr] gap-x-4 gap-y-1">
      <dt className="text-muted">
        <Trans>Repositories</Trans>
      </dt>
      <dd>
        {agent.repositories.map((r) => (
          <div key={r.id} className="break-all">
            <span className="font-medium">{r.id}</span> <span className="text-muted">@ {r.branch}</span>{" "}
            {r.head && <code className="font-mono text-xs">{r.head.slice(0, 7)}</code>}
            {r.error && (
              <span className="text-bad ml-2 font-medium">
                <Trans>cannot be read</Trans>
              </span>
            )}
          </div>
        ))}
        {agent.repositories.length === 0 && "–"}
      </dd>
      <dt className="text-muted">
        <Trans>Platform providers</Trans>
      </dt>
      <dd>{agent.providers.map((p) => `${p.name} (${p.kind})`).join(", ") || "–"}</dd>
    </dl>
  );
}
