import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ChangeSchema } from "../gen/penstock/v1/project_pb";
import { type Tabs, shared } from "./shared-stream";

type Hear = Parameters<Tabs["channel"]>[0];
type Message = { cursor: string; changes: ReturnType<typeof change>[]; reset: boolean };

const change = (id: string) => create(ChangeSchema, { streamKind: "application", streamId: id });
const settled = () => new Promise<void>((resolve) => { setTimeout(resolve, 0); });

/** A browser with a server behind it. */
class World {
  readonly opened: string[] = [];
  private readonly channels = new Set<Hear>();
  private readonly queue: (() => Promise<void>)[] = [];
  private busy = false;
  private tell: ((m: Message) => void) | undefined;

  readonly tabs: Tabs = {
    channel: (hear) => {
      this.channels.add(hear);
      return {
        say: (said) => {
          for (const other of this.channels) if (other !== hear) queueMicrotask(() => other(structuredClone(said)));
        },
        close: () => this.channels.delete(hear),
      };
    },
    turn: (signal, hold) =>
      new Promise((resolve, reject) => {
        const run = async () => {
          if (!signal.aborted) await hold();
          resolve(undefined);
        };
        signal.addEventListener("abort", () => reject(signal.reason as Error));
        this.queue.push(run);
        void this.next();
      }),
  };

  private async next(): Promise<void> {
    const run = this.queue[0];
    if (this.busy || !run) return;
    this.busy = true;
    this.queue.shift();
    await run();
    this.busy = false;
    void this.next();
  }

  /** The server says something to whoever listens. */
  says(cursor: string, ...ids: string[]): void {
    this.tell?.({ cursor, changes: ids.map(change), reset: false });
  }

  /** A tab with what it heard of, and whether it knows that the stream is up. */
  tab(cursor: string): { heard: string[]; up: () => boolean; stop: () => void } {
    const stopper = new AbortController();
    const heard: string[] = [];
    let up = false;
    const open = shared((from, signal) => this.stream(from, signal), this.tabs);
    void (async () => {
      for await (const m of open(cursor, stopper.signal)) {
        up = true;
        heard.push(...(m.reset ? ["everything"] : m.changes.map((c) => c.streamId)));
      }
    })().catch(() => undefined);
    return { heard, up: () => up, stop: () => stopper.abort(new Error("closed")) };
  }

  private async *stream(from: string, signal: AbortSignal): AsyncGenerator<Message> {
    this.opened.push(from);
    const waiting: Message[] = [];
    let wake: () => void = () => undefined;
    this.tell = (m) => {
      waiting.push(m);
      wake();
    };
    signal.addEventListener("abort", () => wake());
    for (;;) {
      if (signal.aborted) throw signal.reason;
      const m = waiting.shift();
      if (m) yield m;
      else await new Promise<void>((resolve) => { wake = resolve; });
    }
  }
}

describe("one stream for all tabs", () => {
  it("is opened once and heard by seven", async () => {
    const world = new World();
    const tabs = Array.from({ length: 7 }, () => world.tab("i.5"));
    await settled();
    world.says("i.6", "a");
    await settled();
    world.says("i.7", "b");
    await settled();
    expect(world.opened).toEqual(["i.5"]);
    for (const t of tabs) expect(t.heard).toEqual(["a", "b"]);
  });

  it("goes on behind the last cursor in the next tab, when the one that held it is closed", async () => {
    const world = new World();
    const [first, second] = [world.tab("i.5"), world.tab("i.5")];
    await settled();
    world.says("i.6", "a");
    await settled();
    first.stop();
    await settled();
    world.says("i.8", "b");
    await settled();
    expect(world.opened).toEqual(["i.5", "i.6"]);
    expect(first.heard).toEqual(["a"]);
    expect(second.heard).toEqual(["a", "b"]);
  });

  it("says to a new tab at once that it is there, and to read everything when something came in between", async () => {
    const world = new World();
    world.tab("i.5");
    await settled();
    const early = world.tab("i.5");
    await settled();
    expect(early.up()).toBe(false); // the server has not answered yet: nothing is live
    world.says("i.6", "a");
    await settled();
    const [level, ahead, late, restored] = [world.tab("i.6"), world.tab("i.9"), world.tab("i.5"), world.tab("other.9")];
    await settled();
    expect([early, level, ahead, late, restored].map((t) => t.up())).toEqual([true, true, true, true, true]);
    expect([early, level, ahead, late, restored].map((t) => t.heard)).toEqual([["a"], [], [], ["everything"], ["everything"]]);
    world.says("i.10", "b");
    await settled();
    for (const t of [early, level, late, restored]) expect(t.heard.at(-1)).toBe("b");
  });

  it("is not held by a tab that was closed while it waited", async () => {
    const world = new World();
    const [first, second, third] = [world.tab("i.5"), world.tab("i.5"), world.tab("i.5")];
    await settled();
    second.stop();
    first.stop();
    await settled();
    world.says("i.6", "a");
    await settled();
    expect(third.heard).toEqual(["a"]);
    expect(second.heard).toEqual([]);
  });
});
