import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { Command } from "../gen/penstock/v1/decision_pb";
import type { Look } from "./status";
import { toDate } from "./time";

/** States of a command, in words and shapes. */
export const commandLooks: Readonly<Record<string, Look>> = {
  SENT: { tone: "wait", shape: "clock", label: msg`Sent` },
  PICKED_UP: { tone: "run", shape: "dot", label: msg`Picked up` },
  RUNNING: { tone: "run", shape: "spin", label: msg`Running` },
  FINISHED: { tone: "ok", shape: "check", label: msg`Finished` },
  FAILED: { tone: "bad", shape: "cross", label: msg`Failed` },
};

const kinds: Readonly<Record<string, MessageDescriptor>> = {
  SYNC: msg`Sync`,
  RETRY: msg`Retry`,
  ROLL_BACK_TO: msg`Roll back`,
  CANCEL: msg`Cancel`,
  APPROVE: msg`Approve`,
  REJECT: msg`Reject`,
  SKIP: msg`Skip`,
  ENABLE: msg`Enable`,
  DISABLE: msg`Disable`,
  DELETE: msg`Delete`,
};

/** What was asked for. */
export const commandName = (kind: string): MessageDescriptor => kinds[kind] ?? { id: kind, message: kind };

/** Whether a command has not come to its end. */
export const pending = (c: Command): boolean => c.state !== "FINISHED" && c.state !== "FAILED";

/** What the reader has not seen: what failed after they last opened the list. */
export function unseenFailures(commands: readonly Command[], seenAt: number): number {
  return commands.filter((c) => c.state === "FAILED" && (toDate(c.endedAt)?.getTime() ?? 0) > seenAt).length;
}

/** In how many milliseconds the first of them changes by itself; undefined when none does. */
export function nextChange(commands: readonly Command[], now: number): number | undefined {
  const at = commands.map((c) => toDate(c.changesAt)?.getTime()).filter((t) => t !== undefined);
  return at.length > 0 ? Math.max(500, Math.min(...at) - now + 500) : undefined;
}
