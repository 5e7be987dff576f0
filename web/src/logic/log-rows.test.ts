import { describe, expect, it } from "vitest";
import { LogFollower } from "./log-follower";
import { type LogFilter, LogDecoder } from "./log-lines";
import { LogRows, rowOf } from "./log-rows";

const all: LogFilter = { level: "DEBUG", query: "" };
const text = (records: object[]) => new TextEncoder().encode(records.map((r) => `${JSON.stringify(r)}\n`).join(""));
const lines = new LogDecoder().push(
  text([
    { m: "before", l: "INFO" },
    { m: "step 1 of 2: one", l: "INFO", g: "one" },
    { m: "a", l: "INFO" },
    { m: "b", l: "ERROR" },
    { m: "step 2 of 2: two", l: "INFO", g: "two" },
    { m: "c", l: "DEBUG" },
  ]),
);
const shown = (rows: ReturnType<LogRows["take"]>) => rows.map((r) => r.line.text);

describe("the rows of a log", () => {
  it("fold what follows the beginning of a step", () => {
    const rows = new LogRows().take(lines, lines.length, all, new Set([2]));
    expect(shown(rows)).toEqual(["before", "step 1 of 2: one", "step 2 of 2: two", "c"]);
    expect(rows[1]?.size).toBe(2);
  });
  it("show what is searched for even where it is folded", () => {
    const r = new LogRows();
    expect(shown(r.take(lines, lines.length, { level: "DEBUG", query: "Ｂ" }, new Set([2])))).toEqual(["before", "b"]);
    expect(shown(r.take(lines, lines.length, { level: "ERROR", query: "" }, new Set([2])))).toEqual(["b"]);
    expect(r.take(lines, lines.length, all, new Set())).toHaveLength(6);
  });
  it("go on where they were when lines come, in the fold too", () => {
    const r = new LogRows();
    const closed = new Set([2]);
    const first = r.take(lines, 3, all, closed);
    expect(shown(first)).toEqual(["before", "step 1 of 2: one"]);
    const second = r.take(lines, 6, all, closed);
    expect(second).toBe(first);
    expect(second[1]?.size).toBe(2);
  });
  it("find the row of a line, or the fold that hides it", () => {
    const r = new LogRows();
    expect(rowOf(r.take(lines, 6, all, new Set()), 4)).toBe(3);
    expect(rowOf(r.take(lines, 6, all, new Set([2])), 4)).toBe(1);
    expect(rowOf(r.take(lines, 6, { level: "ERROR", query: "" }, new Set()), 5)).toBe(-1);
  });
});

describe("a log of a hundred thousand lines", () => {
  /** Reads a log in pieces of 64 KiB as the wire gives them, filters it after each, and gives the milliseconds that it took. */
  async function follow(count: number): Promise<{ ms: number; rows: number; fetched: number; bytes: number }> {
    const data = text(Array.from({ length: count }, (_, i) => ({ t: "2026-11-23T13:00:00Z", l: i % 100 === 7 ? "WARN" : "INFO", m: `task ${i} of ${count} runs` })));
    let fetched = 0;
    const follower = new LogFollower(async function* read(offset) {
      for (let from = Number(offset); from < data.length; from += 65_536) {
        const piece = data.subarray(from, from + 65_536);
        fetched += piece.length;
        yield { data: piece, nextOffset: BigInt(from + piece.length), attempt: 1, completed: from + 65_536 >= data.length };
      }
    });
    const rows = new LogRows();
    const update = () => rows.take(follower.state.get().lines, follower.state.get().count, { level: "WARN", query: "" }, new Set()).length;
    const stop = follower.state.subscribe(update);
    const begun = performance.now();
    await follower.start();
    const ms = performance.now() - begun;
    stop();
    expect(follower.state.get().count).toBe(count);
    return { ms, rows: update(), fetched, bytes: data.length };
  }

  it("costs its lines, not the square of them, and each byte once", async () => {
    await follow(10_000); // warms the compiler
    const small = await follow(10_000);
    const large = await follow(100_000);
    expect(large.rows).toBe(1000);
    expect(large.fetched).toBe(large.bytes);
    // Ten times the lines may cost twenty-five times the time on a noisy machine; copying with every piece costs a hundred.
    expect(large.ms).toBeLessThan(25 * Math.max(small.ms, 4));
  });
});
