import { msg } from "@lingui/core/macro";
import type { Agent, AgentProcess } from "../gen/penstock/v1/project_pb";
import type { Look } from "./status";

/** How an agent identity is: one process of it is enough. */
export function agentLook(a: Pick<Agent, "disabled" | "processes">): Look {
  if (a.disabled) return { tone: "idle", shape: "stop", label: msg`Disabled` };
  if (a.processes.some((p) => p.online)) return { tone: "ok", shape: "check", label: msg`Online` };
  return { tone: "bad", shape: "cross", label: msg`Offline` };
}

export function processLook(p: Pick<AgentProcess, "online">): Look {
  return p.online ? { tone: "ok", shape: "check", label: msg`Online` } : { tone: "idle", shape: "cross", label: msg`Offline` };
}

/** The process that the record names as host and the end of its id, with its identity's name. */
export function holderOf(holder: string, agents: readonly Agent[]): { agent: string; version: string; online: boolean } | undefined {
  for (const a of agents) {
    const p = a.processes.find((x) => `${x.host}/${x.id.slice(-8)}` === holder);
    if (p) return { agent: a.name, version: p.version, online: p.online };
  }
  return undefined;
}
