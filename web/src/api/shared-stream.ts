import type { WatchResponse } from "../gen/penstock/v1/project_pb";

type Message = Pick<WatchResponse, "cursor" | "changes" | "reset">;
type Open = (cursor: string, signal: AbortSignal) => AsyncIterable<Message>;

/** What tabs tell each other: that one is new, and what came on the stream, behind which cursor. */
type Said = { hello: true } | { after: string; message: Message };

interface Channel {
  say(said: Said): void;
  close(): void;
}

/** What a browser gives to the tabs of one origin. */
export interface Tabs {
  channel(hear: (said: Said) => void): Channel;
  /** Runs `hold` when nobody else does, until its promise is settled. */
  turn(signal: AbortSignal, hold: () => Promise<void>): Promise<unknown>;
}

/** The tabs of this browser; undefined where they cannot take turns, such as over plain HTTP from another machine. */
function tabsHere(): Tabs | undefined {
  if (typeof navigator === "undefined" || !("locks" in navigator) || typeof BroadcastChannel === "undefined") return undefined;
  return {
    channel: (hear) => {
      const c = new BroadcastChannel("penstock-live");
      c.addEventListener("message", (e: MessageEvent<Said>) => hear(e.data));
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel is of one origin
      return { say: (said) => c.postMessage(said), close: () => c.close() };
    },
    turn: (signal, hold) => navigator.locks.request("penstock-live", { signal }, hold),
  };
}

/**
 * One stream for all tabs: a browser gives the tabs of one server six connections over HTTP/1.1. The tab whose turn it is
 * holds the stream and tells the others what comes; when it is closed, or nobody looks at it, the next one goes on behind
 * the last cursor that it heard of.
 */
export function shared(open: Open, tabs = tabsHere()): Open {
  return tabs ? (cursor, signal) => share(open, cursor, signal, tabs) : open;
}

async function* share(open: Open, cursor: string, signal: AbortSignal, tabs: Tabs): AsyncGenerator<Message> {
  const inbox: Said[] = [];
  let wake: () => void = () => undefined;
  let mine = false;
  let free: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    free = resolve;
  });
  let hear = (said: Said) => {
    inbox.push(said);
    wake();
  };
  const channel = tabs.channel((said) => hear(said));
  const aborted = () => wake();
  signal.addEventListener("abort", aborted);
  const take = () => {
    mine = true;
    wake();
    return held;
  };
  tabs.turn(signal, take).catch(aborted);
  let at = cursor;
  try {
    channel.say({ hello: true });
    for (;;) {
      if (signal.aborted) throw signal.reason;
      const said = inbox.shift();
      if (said && "message" in said) {
        const missed = behind(at, said.after);
        at = said.message.cursor || at;
        yield missed ? { cursor: at, changes: [], reset: true } : said.message;
      } else if (!said) {
        if (mine) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    let up = false;
    hear = (said) => {
      if (up && "hello" in said) channel.say({ after: at, message: { cursor: at, changes: [], reset: false } });
    };
    for await (const m of open(at, signal)) {
      const after = at;
      at = m.cursor || at;
      up = true;
      channel.say({ after, message: { cursor: at, changes: m.changes, reset: m.reset } });
      yield m;
    }
  } finally {
    signal.removeEventListener("abort", aborted);
    free();
    channel.close();
  }
}

/** Whether something may have come between two cursors; they are an incarnation of the record and a place in it. */
function behind(cursor: string, other: string): boolean {
  if (cursor === other) return false;
  const [a, b] = [cursor.lastIndexOf("."), other.lastIndexOf(".")];
  const [here, there] = [Number(cursor.slice(a + 1)), Number(other.slice(b + 1))];
  return a < 0 || cursor.slice(0, a) !== other.slice(0, b) || !(here >= there);
}
