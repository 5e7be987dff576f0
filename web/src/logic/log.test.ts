import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { backoff } from "./backoff";
import { Bell } from "./bell";
import { LogFollower, type LogPiece } from "./log-follower";
import { type Follow, LogDecoder, follow, tailForFailure } from "./log-lines";

const bytes = (text: string) => new TextEncoder().encode(text);
const record = (l: string, m: string, t = "2026-11-23T13:00:00Z") => `${JSON.stringify({ t, l, m })}\n`;

describe("LogDecoder", () => {
  it("gives the same lines wherever the bytes are cut", () => {
    const all = bytes(record("INFO", "起動しました 🚀") + record("ERROR", "two\nlines") + "not a record\n");
    const whole = [...new LogDecoder().push(all)];
    for (let cut = 0; cut <= all.length; cut++) {
      const d = new LogDecoder();
      expect([...d.push(all.slice(0, cut)), ...d.push(all.slice(cut)), ...d.end()]).toEqual(whole);
    }
    expect(whole.map((l) => [l.n, l.level, l.text])).toEqual([
      [1, "INFO", "起動しました 🚀"],
      [2, "ERROR", "two"],
      [3, "ERROR", "lines"],
      [4, "INFO", "not a record"],
    ]);
    expect(whole[0]?.at).toEqual(new Date("2026-11-23T13:00:00Z"));
    expect(whole[2]?.at).toBeUndefined();
  });
  it("keeps the last line until it is complete or the log is", () => {
    const d = new LogDecoder();
    expect(d.push(bytes('{"l":"WARN",'))).toEqual([]);
    expect(d.push(bytes('"m":"x"}'))).toEqual([]);
    expect(d.end().map((l) => l.text)).toEqual(["x"]);
  });
  it("removes colours and shows other control characters as such", () => {
    const d = new LogDecoder();
    expect(d.push(bytes(record("WARNING", "\u001b[31mred\u001b[0m \u0007 end\r")))).toMatchObject([{ level: "WARN", text: "red \ufffd end" }]);
  });
  it("shows records of another shape as they are", () => {
    const d = new LogDecoder();
    expect(d.push(bytes('{"x":1}\n[2]\n"text"\n{"t":"never","m":5}\n')).map((l) => l.text)).toEqual(['{"x":1}', "[2]", '"text"', "5"]);
  });
});

describe("what of a log is shown", () => {
  const lines = new LogDecoder().push(bytes(record("DEBUG", "asked") + record("INFO", "Ready") + record("WARN", "ＳＬＯＷ answer") + record("ERROR", "gone")));
  it("explains a failure by its last errors, or its last lines", () => {
    expect(tailForFailure(lines, 2).map((l) => l.text)).toEqual(["gone"]);
    expect(tailForFailure(lines.slice(0, 3), 2).map((l) => l.n)).toEqual([2, 3]);
  });
});

describe("follow", () => {
  const run = (...inputs: Parameters<typeof follow>[1][]): Follow => inputs.reduce(follow, { following: true, unseen: 0 });
  it("stays at the end while lines come", () => expect(run({ type: "lines", added: 5 })).toEqual({ following: true, unseen: 0 }));
  it("stops at once when the reader scrolls up, and counts", () => {
    expect(run({ type: "scrolled", atEnd: false }, { type: "lines", added: 3 }, { type: "lines", added: 2 })).toEqual({ following: false, unseen: 5 });
  });
  it("goes on at the end, or by the button", () => {
    const away = [{ type: "scrolled", atEnd: false }, { type: "lines", added: 3 }] as const;
    expect(run(...away, { type: "scrolled", atEnd: true })).toEqual({ following: true, unseen: 0 });
    expect(run(...away, { type: "resume" })).toEqual({ following: true, unseen: 0 });
    expect(run(...away, { type: "scrolled", atEnd: false })).toEqual({ following: false, unseen: 3 });
  });
});

describe("LogFollower", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const all = bytes(record("INFO", "one") + record("INFO", "two") + record("INFO", "three"));
  const piece = (from: number, to: number, completed = false): LogPiece => ({ data: all.slice(from, to), nextOffset: BigInt(to), attempt: 1, completed });

  it("goes on behind what it has after a loss, and ends when the log does", async () => {
    const asked: bigint[] = [];
    const f = new LogFollower(async function* (offset) {
      asked.push(offset);
      if (asked.length === 1) {
        yield piece(0, 70);
        throw new Error("network");
      }
      yield piece(Number(offset), all.length);
      yield { data: new Uint8Array(), nextOffset: BigInt(all.length), attempt: 1, completed: true };
    });
    const done = f.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(f.state.get().phase).toBe("lost");
    await vi.advanceTimersByTimeAsync(1000);
    await done;
    expect(asked).toEqual([0n, 70n]);
    expect(f.state.get()).toMatchObject({ phase: "completed", attempt: 1 });
    expect(f.state.get().lines.map((l) => l.text)).toEqual(["one", "two", "three"]);
    expect(f.raw().size).toBe(all.length);
  });

  it("takes a repeated piece once", async () => {
    const f = new LogFollower(async function* () {
      yield piece(0, all.length);
      yield piece(0, all.length, true);
    });
    await f.start();
    expect(f.state.get().lines).toHaveLength(3);
  });

  it("asks again when the stream ends although the log does not", async () => {
    let opened = 0;
    const f = new LogFollower(async function* (offset) {
      opened++;
      if (opened === 2) yield piece(Number(offset), all.length, true);
    });
    const done = f.start();
    await vi.advanceTimersByTimeAsync(2000);
    await done;
    expect(opened).toBe(2);
  });

  it("asks again when it is told that there is more, without a pause that grows", async () => {
    const bell = new Bell();
    const asked: bigint[] = [];
    let length = 0;
    const f = new LogFollower(
      async function* (offset) {
        asked.push(offset);
        yield piece(Number(offset), length, length === all.length);
      },
      { more: (signal) => bell.wait(signal) },
    );
    const done = f.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toEqual([0n]);
    for (length of [70, all.length]) {
      bell.ring();
      await vi.advanceTimersByTimeAsync(200);
    }
    await done;
    expect(asked).toEqual([0n, 0n, 70n]);
    expect(f.state.get()).toMatchObject({ phase: "completed", count: 3 });
  });

  it("gives up where trying again cannot help", async () => {
    const f = new LogFollower(
      async function* () {
        yield* [];
        throw new Error("not found");
      },
      { fatal: () => true },
    );
    await f.start();
    expect(f.state.get().phase).toBe("failed");
  });

  it("stops, and takes nothing more", async () => {
    let release: (() => void) | undefined;
    const f = new LogFollower(async function* () {
      await new Promise<void>((r) => (release = r));
      yield piece(0, all.length, true);
    });
    const done = f.start();
    f.stop();
    release?.();
    await done;
    expect(f.state.get().lines).toEqual([]);
  });
});

describe("Bell", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const look = async (bell: Bell) => {
    const signal = new AbortController();
    let over = false;
    void bell.wait(signal.signal).then(() => (over = true));
    await vi.advanceTimersByTimeAsync(0);
    return { over: () => over, signal };
  };

  it("keeps a ring that nobody waited for, once", async () => {
    const bell = new Bell();
    bell.ring();
    bell.ring();
    const first = await look(bell);
    await vi.advanceTimersByTimeAsync(200);
    expect(first.over()).toBe(true);
    const second = await look(bell);
    await vi.advanceTimersByTimeAsync(14_000);
    expect(second.over()).toBe(false);
    bell.ring();
    await vi.advanceTimersByTimeAsync(0);
    expect(second.over()).toBe(true);
  });

  it("ends without a ring when it is late, or nobody needs it", async () => {
    const late = await look(new Bell());
    await vi.advanceTimersByTimeAsync(15_200);
    expect(late.over()).toBe(true);
    const left = await look(new Bell());
    left.signal.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(left.over()).toBe(true);
  });
});

it("backs off to a quarter of a minute, never at the same moment as everybody", () => {
  expect([1, 2, 3, 6, 40].map((n) => backoff(n, 1))).toEqual([500, 1000, 2000, 15_000, 15_000]);
  expect(backoff(1, 0)).toBe(400);
});
