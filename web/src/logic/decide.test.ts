import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { CommandSchema } from "../gen/penstock/v1/decision_pb";
import { nextChange, pending, unseenFailures } from "./commands";
import { diffLines, rowsOf } from "./diff";

describe("a rendered difference", () => {
  it("has the old and the new value on their sides", () => {
    expect(rowsOf(diffLines("~ image: v1 → v2\n+ cpu: added 1\n"))).toEqual([
      { mark: "change", text: "~ image: v1 → v2", before: "~ image: v1", after: "~ image: v2" },
      { mark: "add", text: "+ cpu: added 1", after: "+ cpu: added 1" },
    ]);
  });
});

describe("commands", () => {
  const failed = create(CommandSchema, { state: "FAILED", endedAt: timestampFromMs(2000) });
  const lost = create(CommandSchema, { state: "RUNNING", changesAt: timestampFromMs(9000) });
  it("tells what failed since the reader looked, and when to look again", () => {
    expect(unseenFailures([failed, lost], 1000)).toBe(1);
    expect(unseenFailures([failed, lost], 2000)).toBe(0);
    expect(nextChange([failed, lost], 4000)).toBe(5500);
    expect(nextChange([failed], 4000)).toBeUndefined();
    expect([failed, lost].filter(pending)).toEqual([lost]);
  });
});
