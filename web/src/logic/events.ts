import type { MessageDescriptor } from "@lingui/core";
import { msg } from "@lingui/core/macro";
import type { Event } from "../gen/penstock/v1/common_pb";

const names: Readonly<Record<string, MessageDescriptor>> = {
  TRIGGERED: msg`triggered`,
  ADMITTED: msg`left the queue`,
  ASSIGNED: msg`taken by an agent process`,
  PLANNED: msg`planned`,
  STARTED: msg`started`,
  STAGE_STARTED: msg`stage started`,
  STEP_DONE: msg`step done`,
  STAGE_ENDED: msg`stage ended`,
  APPROVED: msg`approval given`,
  CANCEL_REQUESTED: msg`cancel asked for`,
  BREACHED: msg`the guard found a breach`,
  ROLLBACK_STARTED: msg`the way back began`,
  FINISHED: msg`finished`,
};

/** The name of an event; one of a newer server is called what it is called there. */
export function eventName(type: string): MessageDescriptor {
  return names[type] ?? { id: type, message: type };
}

interface Facts {
  stage?: string;
  /** Words of the record, not sentences: a status, a step, a holder. */
  detail?: string;
}

/** What the data of an event adds to its name. */
export function eventFacts(e: Pick<Event, "type" | "data">): Facts {
  const data = parse(e.data);
  const word = (key: string) => (typeof data[key] === "string" ? (data[key] as string) : undefined);
  switch (e.type) {
    case "STAGE_STARTED":
      return { stage: word("stage"), detail: Number(data["attempt"]) > 1 ? `#${String(data["attempt"])}` : undefined };
    case "STEP_DONE":
      return { stage: word("stage"), detail: String(Number(data["step"] ?? 0) + 1) };
    case "STAGE_ENDED":
      return { stage: word("stage"), detail: word("status") };
    case "APPROVED":
      return { stage: word("stage"), detail: [word("by"), word("note")].filter(Boolean).join(": ") };
    case "ASSIGNED":
      return { detail: word("holder") };
    case "CANCEL_REQUESTED":
      return { detail: word("choice") };
    case "FINISHED":
      return { detail: [word("status"), word("end")].filter(Boolean).join(" · ") };
    default:
      return {};
  }
}

function parse(data: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
