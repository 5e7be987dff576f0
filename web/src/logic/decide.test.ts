import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { CommandSchema } from "../gen/penstock/v1/decision_pb";
import { nextChange, pending, unseenFailures } from "./commands";
import { collapse, diffLines, diffPair, rowsOf } from "./diff";

const lines = (n: number, change: (i: number) => string = (i) => `key${i}: value`) => Array.from({ length: n }, (_, i) => change(i)).join("\n");

describe("the difference of two texts", () => {
  it("keeps what both have and says what one has", () => {
    const rows = diffPair("a\nb\nc\nd", "a\nx\nc\nd\ne");
    expect(rows.map((r) => r.text)).toEqual(["  a", "- b", "+ x", "  c", "  d", "+ e"]);
    expect(rows.filter((r) => r.before !== undefined).map((r) => r.before)).toEqual(["a", "b", "c", "d"]);
    expect(rows.filter((r) => r.after !== undefined).map((r) => r.after)).toEqual(["a", "x", "c", "d", "e"]);
  });

  it("rebuilds both sides whatever was moved or repeated", () => {
    for (const [a, b] of [["", "x"], ["x\nx\nx", "x\ny\nx"], ["a\nb\nc", "c\na\nb"], [lines(50), lines(50, (i) => `key${(i * 7) % 50}: value`)]] as const) {
      const rows = diffPair(a, b);
      expect(rows.flatMap((r) => (r.before === undefined ? [] : [r.before])).join("\n")).toBe(a);
      expect(rows.flatMap((r) => (r.after === undefined ? [] : [r.after])).join("\n")).toBe(b);
    }
  });

  it("takes two texts of 5 MB, and has the first change at once", () => {
    const a = lines(150_000, (i) => `  spec.template.item[${i}].field: some value`);
    const b = a.replace("item[70000].field: some value", "item[70000].field: another").replace("item[140000]", "item[other]");
    expect(a.length).toBeGreaterThan(5e6);
    let best = Infinity; // of three: other tests run beside this one
    let shown: ReturnType<typeof collapse> = [];
    for (let i = 0; i < 3; i++) {
      const began = performance.now();
      shown = collapse(diffPair(a, b), new Set());
      best = Math.min(best, performance.now() - began);
    }
    expect(best).toBeLessThan(1000);
    expect(shown.length).toBeLessThan(30);
    expect(shown[0]).toEqual({ hidden: 69_997, at: 0 });
  });
});

describe("a rendered difference", () => {
  it("has the old and the new value on their sides", () => {
    expect(rowsOf(diffLines("~ image: v1 → v2\n+ cpu: added 1\n"))).toEqual([
      { mark: "change", text: "~ image: v1 → v2", before: "~ image: v1", after: "~ image: v2" },
      { mark: "add", text: "+ cpu: added 1", after: "+ cpu: added 1" },
    ]);
  });

  it("opens a fold that the reader asks for", () => {
    const rows = diffPair(lines(20), `${lines(20)}\nnew`);
    const folded = collapse(rows, new Set());
    expect(folded[0]).toEqual({ hidden: 17, at: 0 });
    expect(collapse(rows, new Set([0]))).toHaveLength(rows.length);
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
