import { Code, ConnectError } from "@connectrpc/connect";
import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import { ErrorDetailSchema } from "../gen/penstock/v1/common_pb";

/** The session is missing or over: only signing in helps. */
export function isUnauthenticated(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unauthenticated;
}

/** Trying again may help. */
export function isTransient(error: unknown): boolean {
  const { code } = ConnectError.from(error);
  return code === Code.Unavailable || code === Code.DeadlineExceeded || code === Code.Unknown || code === Code.Internal;
}

/** What a person reads of an error: what it means here, and the server's own words. */
export interface Told {
  title: MessageDescriptor;
  /** The server's sentence, which names object and remedy; empty when there is none worth showing. */
  detail: string;
  /** By which the server's log knows the request; empty when no server answered. */
  request: string;
}

const titles: Partial<Record<Code, MessageDescriptor>> = {
  [Code.NotFound]: msg`There is no such thing`,
  [Code.PermissionDenied]: msg`You may not do this`,
  [Code.Unauthenticated]: msg`Sign in again`,
  [Code.FailedPrecondition]: msg`The present state does not permit this`,
  [Code.Aborted]: msg`Something else changed it meanwhile`,
  [Code.InvalidArgument]: msg`The request was not understood`,
  [Code.AlreadyExists]: msg`It exists already`,
  [Code.ResourceExhausted]: msg`A limit was reached; try again later`,
  [Code.Unavailable]: msg`The server cannot be reached`,
  [Code.DeadlineExceeded]: msg`The server did not answer in time`,
};

const refusals: Readonly<Record<string, MessageDescriptor>> = {
  STALE_VIEW: msg`The deployment moved on while you were looking: read it again, then decide`,
  APPROVALS_MISSING: msg`This stage waits for more than one approval, so one person cannot skip it`,
  NOT_APPROVER: msg`You are not among the approvers of this stage`,
  ALREADY_GIVEN: msg`You have approved already`,
  OWN_CHANGE: msg`This is your own change: the project wants somebody else to decide`,
  NOTE_NEEDED: msg`The project wants a note with each answer: say why`,
  TERMINAL: msg`The deployment is finished`,
};

/** Translates every error of the API once. */
export function tell(error: unknown): Told {
  const e = ConnectError.from(error);
  // fetch reports a server that does not answer as an unknown error with the browser's words.
  if (e.code === Code.Unknown && e.cause instanceof TypeError) return { title: msg`The server cannot be reached`, detail: "", request: "" };
  const refusal = e.findDetails(ErrorDetailSchema).map((d) => refusals[d.reason]).find((m) => m !== undefined);
  return { title: refusal ?? titles[e.code] ?? msg`Something went wrong`, detail: e.rawMessage, request: e.metadata.get("x-request-id") ?? "" };
}
