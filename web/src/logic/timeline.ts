import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import { stageOver, terminal } from "./status";
import { between, toDate } from "./time";

/** One stage as the page draws it. */
export interface StageView {
  stage: Stage;
  /** Position from 1 among the stages of its direction. */
  position: number;
  /** Word of stageLooks: the stage's status, or NOT_REACHED, STANDBY, WAITING, which the record does not spell out. */
  word: string;
  startedAt?: Date;
  elapsedMs?: number;
  /** The step at work: position from 1, how many, its name. */
  step?: { position: number; count: number; name: string };
  /** When a WAIT ends by itself. */
  until?: Date;
  deadline?: Date;
}

export interface Timeline {
  forward: StageView[];
  back: StageView[];
  /** The way back was taken. */
  turned: boolean;
}

/** What the page draws of a deployment's stages at an instant. */
export function timeline(d: Deployment, now: Date): Timeline {
  const turned = d.status === "ROLLING_BACK" || toDate(d.rollbackAt) !== undefined;
  const view = (stage: Stage, i: number): StageView => ({
    stage,
    position: i + 1,
    word: wordOf(stage, d, turned),
    startedAt: toDate(stage.startedAt),
    elapsedMs: between(toDate(stage.startedAt), toDate(stage.endedAt) ?? now),
    step: stepOf(stage),
    until: stage.status === "RUNNING" ? toDate(stage.until) : undefined,
    deadline: stage.status === "RUNNING" ? toDate(stage.deadline) : undefined,
  });
  return {
    forward: d.stages.filter((s) => !s.rollback).map(view),
    back: d.stages.filter((s) => s.rollback).map(view),
    turned,
  };
}

function wordOf(s: Stage, d: Deployment, turned: boolean): string {
  if (s.status === "RUNNING" && s.type !== "PLATFORM") return "WAITING";
  if (stageOver(s.status) || s.status === "RUNNING") return s.status;
  if (s.rollback) return turned ? (terminal(d.status) ? "NOT_REACHED" : "NOT_STARTED_YET") : terminal(d.status) ? "NOT_REACHED" : "STANDBY";
  return turned || terminal(d.status) ? "NOT_REACHED" : "NOT_STARTED_YET";
}

function stepOf(s: Stage): StageView["step"] {
  if (s.status !== "RUNNING" || s.steps.length === 0) return undefined;
  const i = Math.min(s.step, s.steps.length - 1);
  return { position: i + 1, count: s.steps.length, name: s.steps[i] ?? "" };
}

/** The stage that turned the deployment back or ended it: later stages, those of the way back too, never take its place. */
export function failingStage(d: Deployment): Stage | undefined {
  const at = (status: string, rollback: boolean) => d.stages.find((s) => s.status === status && s.rollback === rollback);
  return at("FAILURE", false) ?? at("CANCELLED", false) ?? at("FAILURE", true);
}

/** The stage of the way back that failed: then a person has to look. */
export function failedWayBack(d: Deployment): Stage | undefined {
  return d.stages.find((s) => s.rollback && s.status === "FAILURE");
}

/** The stage that the page shows when the reader has chosen none. */
export function focusStage(d: Deployment): Stage | undefined {
  const failing = failingStage(d);
  if (failing && failing.status === "FAILURE") return failing;
  const running = d.stages.find((s) => s.status === "RUNNING");
  if (running) return running;
  if (failing) return failing;
  const over = d.stages.filter((s) => stageOver(s.status) && s.status !== "SKIPPED");
  return over[over.length - 1] ?? d.stages[0];
}

/** The stage that comes behind another one of the way forward; undefined behind the last. */
export function stageAfter(d: Deployment, stage: Stage): Stage | undefined {
  const forward = d.stages.filter((s) => !s.rollback);
  const at = forward.findIndex((s) => s.id === stage.id);
  return at < 0 ? undefined : forward[at + 1];
}

/** The stage that waits for people now. */
export function waitingApproval(d: Deployment): Stage | undefined {
  return d.status === "RUNNING" ? d.stages.find((s) => s.type === "APPROVAL" && s.status === "RUNNING") : undefined;
}

/** Where the time of a deployment went, in milliseconds; a part that was not reached is missing. */
export interface Spent {
  queued?: number;
  planning?: number;
  running?: number;
  back?: number;
  total?: number;
}

export function spent(d: Deployment, now: Date): Spent {
  const triggered = toDate(d.triggeredAt);
  const admitted = toDate(d.admittedAt);
  const planned = toDate(d.plannedAt);
  const started = toDate(d.startedAt);
  const turned = toDate(d.rollbackAt);
  const end = toDate(d.finishedAt) ?? now;
  return {
    queued: between(triggered, admitted ?? end),
    planning: between(admitted, planned ?? end),
    running: between(started, turned ?? end),
    back: between(turned, end),
    total: between(triggered, end),
  };
}

/** Share of users, in percent, that is meant to see the new version now; undefined when nobody can say. */
export function wishedShare(d: Deployment): { from: number; to: number } | undefined {
  const same = (n: number) => ({ from: n, to: n });
  if (d.end === "DECLARED") return same(100);
  if (d.end === "SNAPSHOT") return same(0);
  if (d.end === "NEEDS_ATTENTION" || d.stages.length === 0) return undefined;
  const back = d.status === "ROLLING_BACK";
  const running = d.stages.find((s) => s.status === "RUNNING");
  if (running?.exposure) return back ? same(0) : { from: running.exposure.from, to: running.exposure.to };
  if (back) return same(0);
  const passed = d.stages.filter((s) => !s.rollback && (s.status === "SUCCESS" || s.status === "SKIPPED"));
  return same(passed[passed.length - 1]?.exposure?.to ?? 0);
}
