import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";

/** What a state means for the reader; colour and shape follow from it, never the meaning from the colour. */
export type Tone = "ok" | "run" | "wait" | "warn" | "bad" | "idle";

/** Shapes tell states apart without colour. */
export type Shape = "check" | "cross" | "spin" | "clock" | "pause" | "back" | "skip" | "dash" | "dot" | "alert" | "question" | "stop" | "exit";

export interface Look {
  tone: Tone;
  shape: Shape;
  label: MessageDescriptor;
}

type Words = Readonly<Record<string, Look>>;

/** Displays of deployments: a status, or what a status and its end together are called. */
export const deploymentLooks: Words = {
  PENDING: { tone: "wait", shape: "clock", label: msg`Pending` },
  PLANNED: { tone: "wait", shape: "clock", label: msg`Planned` },
  RUNNING: { tone: "run", shape: "spin", label: msg`Running` },
  ROLLING_BACK: { tone: "warn", shape: "back", label: msg`Rolling back` },
  SUCCESS: { tone: "ok", shape: "check", label: msg`Succeeded` },
  FAILURE: { tone: "bad", shape: "cross", label: msg`Failed` },
  CANCELLED: { tone: "idle", shape: "stop", label: msg`Cancelled` },
  ROLLED_BACK: { tone: "bad", shape: "back", label: msg`Rolled back` },
  NEEDS_ATTENTION: { tone: "bad", shape: "alert", label: msg`Needs attention` },
};

export const stageLooks: Words = {
  NOT_STARTED_YET: { tone: "idle", shape: "dot", label: msg`Not started` },
  NOT_REACHED: { tone: "idle", shape: "dash", label: msg`Not reached` },
  STANDBY: { tone: "idle", shape: "dot", label: msg`Only if needed` },
  RUNNING: { tone: "run", shape: "spin", label: msg`Running` },
  WAITING: { tone: "wait", shape: "pause", label: msg`Waiting` },
  SUCCESS: { tone: "ok", shape: "check", label: msg`Succeeded` },
  FAILURE: { tone: "bad", shape: "cross", label: msg`Failed` },
  CANCELLED: { tone: "idle", shape: "stop", label: msg`Cancelled` },
  SKIPPED: { tone: "idle", shape: "skip", label: msg`Skipped` },
  EXITED: { tone: "ok", shape: "exit", label: msg`Ended early` },
};

export const syncLooks: Words = {
  SYNCED: { tone: "ok", shape: "check", label: msg`Synced` },
  DEPLOYING: { tone: "run", shape: "spin", label: msg`Deploying` },
  OUT_OF_SYNC: { tone: "warn", shape: "alert", label: msg`Out of sync` },
  INVALID_CONFIG: { tone: "bad", shape: "cross", label: msg`Invalid configuration` },
  UNKNOWN: { tone: "idle", shape: "question", label: msg`Not deployed yet` },
};

export const healthLooks: Words = {
  HEALTHY: { tone: "ok", shape: "check", label: msg`Healthy` },
  PROGRESSING: { tone: "run", shape: "spin", label: msg`Progressing` },
  UNHEALTHY: { tone: "bad", shape: "cross", label: msg`Unhealthy` },
  UNKNOWN: { tone: "idle", shape: "question", label: msg`Unknown` },
};

export const ledgerLooks: Words = {
  INTENDED: { tone: "warn", shape: "question", label: msg`Intended` },
  CREATED: { tone: "run", shape: "dot", label: msg`Created` },
  REMOVED: { tone: "idle", shape: "dash", label: msg`Removed` },
  KEPT: { tone: "ok", shape: "check", label: msg`Kept` },
};

/** The look of a word; a word of a newer server is shown as it is. */
export function look(words: Words, word: string): Look {
  return words[word] ?? { tone: "idle", shape: "question", label: { id: word, message: word } };
}

/** Whether a deployment in this state never changes again. */
export function terminal(status: string): boolean {
  return status === "SUCCESS" || status === "FAILURE" || status === "CANCELLED";
}

/** Whether a stage in this state is over. */
export function stageOver(status: string): boolean {
  return status !== "" && status !== "NOT_STARTED_YET" && status !== "RUNNING";
}
