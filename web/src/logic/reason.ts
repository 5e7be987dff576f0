import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { Reason } from "../gen/penstock/v1/common_pb";

/** A sentence and the arguments it cannot do without. */
interface Sentence {
  needs: readonly string[];
  says: MessageDescriptor;
}

const says = (message: MessageDescriptor, ...needs: string[]): Sentence => ({ needs, says: message });

/** Sentences of a code, the fullest first: the first one whose arguments are all there is said. */
const sentences: Readonly<Record<string, readonly Sentence[]>> = {
  USER_COMMAND: [says(msg({ message: "asked for by {by}: {note}" }), "by", "note"), says(msg({ message: "asked for by {by}" }), "by"), says(msg`asked for by a person`)],
  COMMIT: [says(msg({ message: "the commit touches {path}" }), "path"), says(msg`a commit`)],
  NO_PIPELINE: [says(msg`quick sync, because the file has no pipeline`)],
  ALWAYS_USE_PIPELINE: [says(msg`pipeline, because planner.alwaysUsePipeline is set`)],
  FIRST_DEPLOYMENT: [says(msg`quick sync, because nothing is live yet`)],
  DRIFT: [says(msg({ message: "somebody else changed what is live: {summary}" }), "summary")],
  VERSION_CHANGE: [says(msg({ message: "pipeline, because the version changes from {from} to {to}" }), "from", "to")],
  CHANGES: [
    says(msg({ message: "pipeline, because {count} things change: {summary}" }), "count", "summary"),
    says(msg({ message: "pipeline, because {count} things change" }), "count"),
  ],
  NO_CHANGES: [says(msg({ message: "nothing to do: live is what commit {commit} declares" }), "commit")],
  COMMIT_MATCHER: [says(msg({ message: "the commit message matches commitMatcher {pattern}" }), "pattern")],
  PLAN_FAILED: [says(msg({ message: "no plan could be made: {detail}" }), "detail")],
  STEP_FAILED: [says(msg({ message: "step {step} of {stage} failed: {detail}" }), "step", "stage", "detail")],
  STAGE_TIMEOUT: [says(msg({ message: "stage {stage} did not end within {timeout}" }), "stage", "timeout")],
  DEPLOYMENT_TIMEOUT: [says(msg({ message: "the deployment did not end within {timeout}" }), "timeout")],
  ROLLBACK_TIMEOUT: [says(msg({ message: "the way back did not end within {timeout}; look at the live state" }), "timeout")],
  ROLLBACK_FAILED: [says(msg({ message: "the way back failed: {detail}" }), "detail")],
  APPROVED: [says(msg({ message: "approved by {by}: {note}" }), "by", "note"), says(msg({ message: "approved by {by}" }), "by")],
  REJECTED: [says(msg({ message: "rejected by {by}: {note}" }), "by", "note"), says(msg({ message: "rejected by {by}" }), "by")],
  SKIPPED_BY_PERSON: [says(msg({ message: "skipped by {by}: {note}" }), "by", "note"), says(msg({ message: "skipped by {by}" }), "by")],
  SKIP_ON: [says(msg({ message: "skipped, because skipOn matches commit {commit}" }), "commit")],
  WAITED: [says(msg({ message: "waited {duration}" }), "duration")],
  CANCELLED: [says(msg({ message: "cancelled by {by}: {note}" }), "by", "note"), says(msg({ message: "cancelled by {by}" }), "by")],
  SUPERSEDED: [says(msg({ message: "superseded by the newer deployment {by}" }), "by")],
  BREACH: [says(msg({ message: "the guard found: {detail}" }), "detail")],
  FOREIGN_CHANGE: [says(msg({ message: "somebody else changed the route: {detail}" }), "detail")],
  HELD: [
    says(msg({ message: "held: this state was rolled back in deployment {deployment} (commit {commit}); commit a change or sync by hand" }), "deployment", "commit"),
  ],
  CLAIMED: [says(msg({ message: "{claim} is being written by deployment {holder}; wait for its end" }), "claim", "holder")],
  ACCOUNT_CHANGED: [
    says(msg({ message: "the credentials reach {found}, but the application was deployed to {recorded}; nothing was written" }), "found", "recorded"),
  ],
  MADE_BEFORE: [
    says(
      msg({
        message:
          "what deployment {deployment} made is live already, but the record does not know of it: it was restored from a backup of before; look at what is live, then sync",
      }),
      "deployment",
    ),
  ],
  NOT_SETTLED: [says(msg({ message: "the live system is not settled: {detail}" }), "detail")],
  NO_ROLLBACK: [says(msg({ message: "the way back was not taken: {why}" }), "why")],
  UNKNOWN_EVENT: [says(msg({ message: "an event of type {type} is not known to this version" }), "type")],
  INACTIVE_STAGE: [says(msg({ message: "stage {stage} is not active in this version: {why}" }), "stage", "why")],
  APPLICATION_MOVED: [says(msg({ message: "its file moved in git from {from} to {to}" }), "from", "to")],
  APPLICATION_DISABLED: [says(msg`the application is disabled`)],
  INVALID_CONFIGURATION: [says(msg({ message: "the configuration cannot be used: {detail}" }), "detail")],
  NOT_TOUCHED: [says(msg({ message: "the commit does not touch the application ({why})" }), "why"), says(msg`the commit does not touch the application`)],
  ROLL_BACK_TO: [
    says(msg({ message: "{by} rolled back to commit {commit}: {note}" }), "by", "commit", "note"),
    says(msg({ message: "{by} rolled back to commit {commit}" }), "by", "commit"),
  ],
  NOT_PICKED_UP: [says(msg({ message: "no agent of the application picked it up within {limit}; nothing was written: start an agent, then ask again" }), "limit")],
  AGENT_LOST: [
    says(msg({ message: "no agent has carried it on since {since}; traffic rests where it is, and the deployment goes on when an agent is back" }), "since"),
  ],
  QUEUED: [says(msg({ message: "waits for its turn behind deployment {ahead}" }), "ahead"), says(msg`waits for its turn`)],
  NO_AGENT: [says(msg`no agent of the application is connected: start one, then ask again`)],
  NO_ANSWER: [says(msg({ message: "the agent did not answer within {limit}: ask again, or look at the agent's log" }), "limit")],
  NO_COMMIT: [says(msg({ message: "no agent has read the branch yet; is an agent with repository {repository} online?" }), "repository")],
  TOO_MANY_QUESTIONS: [says(msg({ message: "{limit} questions are open already: wait for their answers, then ask again" }), "limit")],
  ANSWER_TOO_LARGE: [says(msg({ message: "the answer has {size} bytes, {limit} can be shown" }), "size", "limit")],
  RETRYING: [says(msg({ message: "step {step} of {stage} could not be done and is tried again: {detail}" }), "step", "stage", "detail")],
  EARLIER_HOLDER: [says(msg({ message: "waiting {seconds} s, because an earlier agent process may still be at work" }), "seconds")],

  ECS_STABILIZING: [
    says(msg({ message: "waiting until task set {set} is steady: {running} of {desired} tasks run, {pending} are starting" }), "set", "running", "desired", "pending"),
  ],
  ECS_CALL_IN_DOUBT: [says(msg({ message: "a call to Amazon ECS got no answer and may still take effect; going on at {until}" }), "until")],
  ECS_PROVING: [says(msg({ message: "no load balancer checks task set {set}: {proven} of {needed} tasks have run for {time}" }), "set", "proven", "needed", "time")],
  ECS_TARGETS_STARTING: [says(msg({ message: "waiting for healthy targets in {group}: {healthy} of {needed}" }), "group", "healthy", "needed")],
  ECS_TASKS_FAILING: [
    says(
      msg({ message: "{count} tasks of task set {set} stopped with an error, the last one: {reason} (container {container}, exit code {exitCode})" }),
      "count",
      "set",
      "reason",
      "container",
      "exitCode",
    ),
    says(msg({ message: "{count} tasks of task set {set} stopped with an error, the last one: {reason}" }), "count", "set", "reason"),
  ],
  ECS_TARGETS_UNHEALTHY: [
    says(msg({ message: "the targets of task set {set} in {group} fail their health check since {since}: {detail}" }), "set", "group", "since", "detail"),
  ],
  ECS_TARGETS_DOWN: [
    says(msg({ message: "{unhealthy} of {total} targets of {group} fail their health check: {detail}" }), "unhealthy", "total", "group", "detail"),
    says(msg({ message: "{unhealthy} of {total} targets of {group} fail their health check" }), "unhealthy", "total", "group"),
  ],
  ECS_TASK_SET_GONE: [
    says(msg({ message: "task set {set} is gone or draining although this deployment needs it; somebody else removed it" }), "set"),
  ],
  ECS_SLOTS_WAITING: [
    says(
      msg({ message: "the service has {count} of at most 5 task sets and one place is kept for the way back; waiting until {draining} has drained" }),
      "count",
      "draining",
    ),
  ],
  ECS_SLOTS_FULL: [
    says(msg({ message: "the service has {count} of at most 5 task sets and one place is kept for the way back; remove one of {sets}" }), "count", "sets"),
  ],
  ECS_GROUP_NOT_ATTACHED: [
    says(msg({ message: "target group {group} is not attached to a load balancer yet; waiting until Amazon ECS sees it" }), "group"),
  ],
  ECS_NO_HEALTHY_TARGETS: [
    says(
      msg({ message: "no traffic is shifted to {group}: {share} % of it needs {needed} healthy targets, there are {healthy}" }),
      "group",
      "share",
      "needed",
      "healthy",
    ),
  ],
  ECS_WEIGHTS_APPLYING: [says(msg({ message: "waiting until the load balancer shows the new weights on {route}" }), "route")],
  ECS_SETTLING: [says(msg({ message: "load balancers apply weights later than they show them; going on at {until}" }), "until")],
  ECS_FOREIGN_WEIGHTS: [
    says(msg({ message: "somebody else changed the weights of {route}: expected {expected}, found {found}" }), "route", "expected", "found"),
  ],
  ECS_ROUTE_GONE: [says(msg({ message: "rule {route} is gone or no longer forwards to the primary target group" }), "route")],
  ECS_CANARY_HAS_WEIGHT: [says(msg({ message: "the canary still has {share} % of {route}; its capacity is not removed" }), "share", "route")],
  ECS_DRAINING: [says(msg({ message: "waiting until the tasks of task set {set} have stopped: {running} still run" }), "set", "running")],
  ECS_NOT_PRIMARY: [says(msg({ message: "waiting until task set {set} is the service's primary" }), "set")],
  ECS_SERVICE_GONE: [says(msg({ message: "service {service} does not exist any more" }), "service")],
  ECS_SERVICE_REMOVING: [says(msg({ message: "waiting until service {service} is gone" }), "service")],
  ECS_TASK_RUNNING: [says(msg({ message: "waiting until task {task} has ended; it is {status}" }), "task", "status")],
  ECS_TASK_FAILED: [
    says(
      msg({ message: "task {task} ended with an error: {reason} (container {container}, exit code {exitCode})" }),
      "task",
      "reason",
      "container",
      "exitCode",
    ),
    says(msg({ message: "task {task} ended with an error: {reason}" }), "task", "reason"),
  ],
  ECS_TASK_NOT_STARTED: [says(msg({ message: "the task could not be started: {reason}" }), "reason")],
  ECS_RESTORING: [
    says(msg({ message: "waiting until the former version has capacity again: {healthy} of {needed} healthy" }), "healthy", "needed"),
  ],
  ECS_NOT_RESTORED: [says(msg({ message: "the live state is not what it was: {difference}" }), "difference")],
  ECS_UNHEALTHY_VERSION: [
    says(
      msg({ message: "the new version has {healthy} healthy targets in {group}, its {share} % of the traffic needs {needed}: {detail}" }),
      "healthy",
      "group",
      "share",
      "needed",
      "detail",
    ),
  ],
  ECS_DEPLOYMENT_RUNNING: [
    says(msg({ message: "waiting for service deployment {deployment} at Amazon ECS: it is {status}, stage {stage}" }), "deployment", "status", "stage"),
  ],
  ECS_DEPLOYMENT_PAUSED: [
    says(
      msg({ message: "service deployment {deployment} is paused by a hook of the service file until {until}; continue or turn it back at Amazon ECS" }),
      "deployment",
      "until",
    ),
  ],
  ECS_DEPLOYMENT_TURNED_BACK: [
    says(msg({ message: "Amazon ECS turned service deployment {deployment} back or stopped it ({status}): {reason}" }), "deployment", "status", "reason"),
  ],
  ECS_DEPLOYMENT_FOREIGN: [
    says(
      msg({ message: "service deployment {deployment} ({status}) of somebody else is in the place of this one; a person has to look" }),
      "deployment",
      "status",
    ),
  ],
  ECS_RULES: [says(msg({ message: "these listener rules will change: {rules}" }), "rules")],
  ECS_ATTACH: [
    says(msg({ message: "target group {group} is attached nowhere; it will be added with weight 0 to {rules}, and the way back removes it again" }), "group", "rules"),
  ],
  ECS_EXPOSURE_RISES: [
    says(msg({ message: "while the primary version is replaced, users see the new version although the weights still read {weights}" }), "weights"),
  ],
  ECS_NEEDS_NEW_SERVICE: [
    says(msg({ message: "{fields} cannot be changed on a service with the EXTERNAL controller: it needs a new service" }), "fields"),
  ],
  ECS_SCALE_BELOW_SHARE: [
    says(msg({ message: "the canary has {scale} % of the capacity but will be given {share} % of the traffic" }), "scale", "share"),
  ],
  ECS_RECREATE_DOWNTIME: [
    says(msg`recreate stops the old tasks before the new ones start: the service does not answer in between`),
  ],
  ECS_FORMER_KEPT: [
    says(msg`the former task set stays at 0 tasks when the pipeline is over, because a later stage may still turn it back; the next deployment removes it`),
  ],
  ECS_COUNT_KEPT: [
    says(msg({ message: "the service runs {live} tasks and the file says {file}; the count is not lowered because the file's value did not change" }), "live", "file"),
  ],
  ECS_REVISION_INACTIVE: [
    says(msg({ message: "the live revision {revision} is INACTIVE; the way back registers its content again if it is needed" }), "revision"),
  ],
  ECS_SWEEP: [says(msg({ message: "left-over task sets without tasks will be removed: {sets}" }), "sets")],
  ECS_FULL_SIZE: [says(msg({ message: "Amazon ECS starts the new version with all its tasks: scale {scale} % has no effect" }), "scale")],
  ECS_OLD_TASKS_GO: [
    says(msg({ message: "the old tasks stop at the end of {stage}, before the pipeline is over: a way back from a later stage starts them again" }), "stage"),
  ],
  ECS_NO_PRIMARY: [says(msg`the service has no primary task set`)],
  ECS_CAPACITY: [says(msg({ message: "the primary task set has {running} of {desired} tasks" }), "running", "desired")],
  ECS_OTHER_SETS: [says(msg({ message: "besides the primary there are task sets with tasks: {sets}" }), "sets")],
  ECS_TRAFFIC_SPLIT: [says(msg({ message: "{share} % of {route} goes to the canary target group" }), "share", "route")],
  ECS_DEPLOYMENT_UNDER_WAY: [says(msg({ message: "service deployment {deployment} at Amazon ECS is {status}" }), "deployment", "status")],
  LAMBDA_UPDATING: [says(msg({ message: "waiting for function {function}: it is {state}" }), "function", "state")],
  LAMBDA_VERSION_PENDING: [says(msg({ message: "waiting until version {version} of {function} is Active: it is {state}" }), "version", "function", "state")],
  LAMBDA_BROKEN: [says(msg({ message: "AWS could not set version {version} of {function} up: {reason}" }), "version", "function", "reason")],
  LAMBDA_FUNCTION_EXISTS: [
    says(msg({ message: "function {function} exists although there was none when this deployment was planned: somebody else created it" }), "function"),
  ],
  LAMBDA_GONE: [says(msg({ message: "{what} is gone although this deployment needs it; somebody else removed it" }), "what")],
  LAMBDA_LATEST_CHANGED: [says(msg({ message: "somebody else changed {what} of {function} while this deployment made a version of it" }), "what", "function")],
  LAMBDA_FOREIGN_WEIGHTS: [says(msg({ message: "somebody else changed alias {alias}: expected {expected}, found {found}" }), "alias", "expected", "found")],
  LAMBDA_ALIAS_APPLYING: [says(msg({ message: "waiting until alias {alias} shows what was written to it" }), "alias")],
  LAMBDA_SETTLING: [says(msg({ message: "Lambda takes a changed alias over later than it shows it; going on at {until}" }), "until")],
  LAMBDA_CALL_IN_DOUBT: [says(msg({ message: "a call to Lambda got no answer and may still take effect; going on at {until}" }), "until")],
  LAMBDA_NO_ALIAS: [says(msg({ message: "alias {alias} does not exist, so there is nothing that could be split" }), "alias")],
  LAMBDA_NOT_RESTORED: [says(msg({ message: "the live state is not what it was: {difference}" }), "difference")],
  LAMBDA_REMOVING: [says(msg({ message: "waiting until function {function} is gone" }), "function")],
  LAMBDA_ALIAS_NEW: [says(msg({ message: "alias {alias} does not exist and will be created: point users and triggers to it" }), "alias")],
  LAMBDA_SAME_VERSION: [says(msg({ message: "nothing about code or configuration changes: version {version} stays, and no version is published" }), "version")],
  LAMBDA_TRAFFIC_SPLIT: [says(msg({ message: "alias {alias} is split: {weights}" }), "alias", "weights")],
  LAMBDA_BUSY: [says(msg({ message: "function {function} is being changed: it is {state}" }), "function", "state")],
};

export type Translate = (message: MessageDescriptor) => string;

/**
 * The sentence of a reason in the reader's language. A code that this page does not know, or one whose arguments are not
 * all there, is said in the server's English; without that the code itself is shown, so that nothing is ever hidden.
 */
export function sentence(reason: Reason | undefined, translate: Translate): string {
  if (!reason || reason.code === "") return reason?.text ?? "";
  const fits = sentences[reason.code]?.find((s) => s.needs.every((n) => reason.args[n]));
  if (fits) return translate({ ...fits.says, values: { ...reason.args } });
  if (reason.text) return reason.text;
  const args = Object.entries(reason.args).map(([k, v]) => ` ${k}=${JSON.stringify(v)}`);
  return reason.code + args.toSorted((a, b) => a.localeCompare(b)).join("");
}

/** Whether the catalogue has a sentence for a code. */
export function known(code: string): boolean {
  return code in sentences;
}
