import { create } from "@bufbuild/protobuf";
import { i18n } from "@lingui/core";
import { describe, expect, it } from "vitest";
import { ReasonSchema } from "../gen/penstock/v1/common_pb";
import { known, sentence } from "./reason";

const say = (code: string, args: Record<string, string> = {}, text = "") => sentence(create(ReasonSchema, { code, args, text }), (m) => i18n._(m));

describe("sentence", () => {
  it("says a known code with its arguments", () => {
    expect(say("STEP_FAILED", { step: "2", stage: "ECS_SYNC", detail: "no such task set" })).toBe("step 2 of ECS_SYNC failed: no such task set");
  });
  it("leaves out the part whose argument is missing", () => {
    expect(say("CANCELLED", { by: "mori", note: "wrong branch" })).toBe("cancelled by mori: wrong branch");
    expect(say("CANCELLED", { by: "mori", note: "" })).toBe("cancelled by mori");
    expect(say("USER_COMMAND")).toBe("asked for by a person");
  });
  it("falls back to the server's words, then to the code", () => {
    expect(say("NEWER_CODE", { a: "1" }, "something of a newer server")).toBe("something of a newer server");
    expect(say("STEP_FAILED", { step: "2" }, "a step failed")).toBe("a step failed");
    expect(say("NEWER_CODE", { b: "2", a: "x y" })).toBe('NEWER_CODE a="x y" b="2"');
  });
  it("does not take braces of an argument for its own", () => {
    expect(say("PLAN_FAILED", { detail: "unexpected {{ in {file}" })).toBe("no plan could be made: unexpected {{ in {file}");
  });
  it("has nothing to say about no reason", () => expect(sentence(undefined, () => "x")).toBe(""));
  it("knows the codes of the centre", () => {
    for (const code of ["BREACH", "HELD", "SUPERSEDED", "ROLLBACK_FAILED", "NOT_SETTLED", "NO_CHANGES", "RETRYING"]) expect(known(code)).toBe(true);
  });
});
