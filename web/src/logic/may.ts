import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { Application } from "../gen/penstock/v1/application_pb";
import type { Deployment, Stage } from "../gen/penstock/v1/deployment_pb";
import type { Agent, Project, WhoAmIResponse } from "../gen/penstock/v1/project_pb";
import { terminal } from "./status";

/** Whether something may be done now; if not, why, in words that the button carries. The server decides again. */
export type Verdict = { ok: true; why?: undefined } | { ok: false; why: MessageDescriptor };

const yes: Verdict = { ok: true };
const no = (why: MessageDescriptor): Verdict => ({ ok: false, why });

export type Who = Pick<WhoAmIResponse, "name" | "role" | "rights">;

/** Rights as the server names them, resource:verb. */
export type Right =
  | "application:write"
  | "application:sync"
  | "deployment:approve"
  | "deployment:cancel"
  | "deployment:skip"
  | "deployment:retry"
  | "agent:write"
  | "project:write"
  | "key:read"
  | "key:write";

/** Whether a person has a right. */
export function has(who: Who, right: Right): Verdict {
  if (who.rights.includes(right)) return yes;
  const { role } = who;
  return no(msg`Your role ${role} lacks the right ${right}; ask an admin of the project`);
}

function first(...verdicts: Verdict[]): Verdict {
  return verdicts.find((v) => !v.ok) ?? yes;
}

const unless = (stop: boolean, why: MessageDescriptor): Verdict => (stop ? no(why) : yes);

export function maySync(who: Who, a: Application): Verdict {
  return first(
    has(who, "application:sync"),
    unless(a.disabled, msg`The application is disabled; enable it first`),
    unless(!a.head?.hash, msg`No agent has read the branch of this application yet`),
  );
}

export function mayRollBackTo(who: Who): Verdict {
  return has(who, "application:sync");
}

/** Whether a note that is needed was written. */
export function noted(note: string): Verdict {
  return unless(note.trim() === "", msg`Write down why: the note stays in the record`);
}

export function maySetEnabled(who: Who): Verdict {
  return has(who, "application:write");
}

export function mayDelete(who: Who, a: Application): Verdict {
  return first(
    has(who, "application:write"),
    unless(a.currentDeploymentId !== "", msg`A deployment is running; cancel it or wait for its end`),
  );
}

export function mayRegister(who: Who): Verdict {
  return has(who, "application:write");
}

export function mayCancel(who: Who, d: Deployment): Verdict {
  return first(
    has(who, "deployment:cancel"),
    unless(terminal(d.status), msg`The deployment is finished`),
    unless(d.status === "ROLLING_BACK", msg`The deployment is on its way back already`),
    unless(d.parked !== "", msg`The deployment holds an event of a newer version; upgrade the server`),
  );
}

/** What the project asks of every answer to an approval. */
export type Rules = Pick<Project, "approvalNotByAuthor" | "approvalNeedsNote">;

const noRules: Rules = { approvalNotByAuthor: false, approvalNeedsNote: false };

function another(d: Deployment, rules: Rules): Verdict {
  return unless(rules.approvalNotByAuthor && d.own, msg`This is your own change: the project wants somebody else to decide`);
}

/** Whether an answer has the note that the project asks for. */
export function answerNoted(note: string, rules: Rules = noRules): Verdict {
  return rules.approvalNeedsNote ? noted(note) : yes;
}

function maySpeak(who: Who, d: Deployment, s: Stage): Verdict {
  return first(
    has(who, "deployment:approve"),
    unless(d.parked !== "", msg`The deployment holds an event of a newer version; upgrade the server`),
    unless(s.type !== "APPROVAL", msg`This stage asks nobody`),
    unless(d.status !== "RUNNING" || s.status !== "RUNNING", msg`This stage does not wait for an approval now`),
    unless(s.approvers.length > 0 && !s.approvers.includes(who.name), msg`You are not among the approvers of this stage`),
  );
}

export function mayApprove(who: Who, d: Deployment, s: Stage, rules = noRules): Verdict {
  return first(maySpeak(who, d, s), another(d, rules), unless(s.given.some((g) => g.by === who.name), msg`You have approved already`));
}

/** Who approved before may still change their mind and reject; an author may always. */
export function mayReject(who: Who, d: Deployment, s: Stage): Verdict {
  return maySpeak(who, d, s);
}

/** A skip is no way past the approvers, nor past the second of them. */
function maySkipApproval(who: Who, d: Deployment, s: Stage, rules: Rules): Verdict {
  return first(mayApprove(who, d, s, rules), unless(s.approvals - s.given.length > 1, msg`This stage waits for more than one approval, so one person cannot skip it`));
}

export function maySkip(who: Who, d: Deployment, s: Stage, rules = noRules): Verdict {
  return first(
    has(who, "deployment:skip"),
    unless(s.type === "PLATFORM", msg`Only a wait or an approval can be skipped`),
    unless(d.status !== "RUNNING" || s.status !== "RUNNING", msg`Only a stage that runs can be skipped`),
    s.type === "APPROVAL" ? maySkipApproval(who, d, s, rules) : yes,
    unless(d.parked !== "", msg`The deployment holds an event of a newer version; upgrade the server`),
  );
}

export function mayRetry(who: Who, d: Deployment): Verdict {
  return first(has(who, "deployment:retry"), unless(!terminal(d.status), msg`The deployment is not finished`));
}

/** Two deployments of one application can be compared. */
export function mayCompare(chosen: readonly Pick<Deployment, "applicationId">[]): Verdict {
  return first(
    unless(chosen.length !== 2, msg`Choose two deployments`),
    unless(new Set(chosen.map((d) => d.applicationId)).size > 1, msg`Choose two deployments of the same application`),
  );
}

export function mayWriteAgents(who: Who): Verdict {
  return has(who, "agent:write");
}

/** An identity has two keys at most: the one in use and the one that takes its place. */
export function mayRotate(agent: Pick<Agent, "keys">): Verdict {
  return unless(agent.keys.length >= 2, msg`There are two keys already; remove the one that is not used any more`);
}

export function mayWriteProject(who: Who): Verdict {
  return has(who, "project:write");
}

export function mayWriteKeys(who: Who): Verdict {
  return has(who, "key:write");
}

/** A thing that cannot be had back asks for its name. */
export function typedName(typed: string, name: string): Verdict {
  return unless(typed !== name, msg`Type the name first`);
}
