import { type Sleep, backoff, sleep } from "../logic/backoff";
import { Store } from "../logic/store";
import type { Change, WatchResponse } from "../gen/penstock/v1/project_pb";

/** What the shell shows of the stream. */
export interface WatchState {
  connected: boolean;
  /** Not connected for so long that the reader is told. */
  stale: boolean;
  /** When the stream was last known to be up. */
  lastAt?: Date;
}

export interface WatchHandlers {
  /** These things changed: read them again. */
  onChanges(changes: readonly Change[]): void;
  /** Anything may have changed: read everything again. */
  onReset(): void;
  /** The server answers, but not to us any more. */
  onUnauthenticated(): void;
}

export interface WatchOptions {
  open(cursor: string, signal: AbortSignal): AsyncIterable<Pick<WatchResponse, "cursor" | "changes" | "reset">>;
  handlers: WatchHandlers;
  isUnauthenticated(error: unknown): boolean;
  now?: () => Date;
  sleep?: Sleep;
  random?: () => number;
  /** Where to begin, from an answer that is older than all that the page shows; without it everything is read again once. */
  cursor?: string | undefined;
  /** Milliseconds without a message before the stream is given up and the reader is told. */
  silence?: number;
}

// The server says something every five seconds, if only that it is there: silence for longer is a loss, and the reader
// knows of it within ten.
const silence = 8_000;

/** Undefined: anything may have changed, because the stream came, went, or begins anew. */
type Listener = (changes: readonly Change[] | undefined) => void;

/** Keeps one stream of changes open: tries again with growing pauses and goes on behind the last cursor, so that nothing is missed. */
export class WatchClient {
  readonly state = new Store<WatchState>({ connected: false, stale: false });
  private readonly listeners = new Set<Listener>();
  private cursor: string;
  private lastAt?: Date;
  private stopper?: AbortController;
  private staleTimer?: ReturnType<typeof setTimeout>;

  constructor(private readonly o: WatchOptions) {
    this.cursor = o.cursor ?? "";
  }

  /** Begins; the promise ends with stop or when the session is over. */
  async start(): Promise<void> {
    this.stop();
    const stopper = new AbortController();
    this.stopper = stopper;
    this.lost();
    let failures = 0;
    while (!stopper.signal.aborted) {
      const over = await this.once(stopper.signal, () => {
        failures = 0;
      });
      if (over || stopper.signal.aborted) break;
      this.lost();
      failures++;
      await (this.o.sleep ?? sleep)(backoff(failures, (this.o.random ?? Math.random)()), stopper.signal);
    }
  }

  /** Tells of every change from now on; the result ends it. */
  readonly listen = (l: Listener): (() => void) => {
    this.listeners.add(l);
    return () => {
      this.listeners.delete(l);
    };
  };

  stop(): void {
    this.stopper?.abort();
    clearTimeout(this.staleTimer);
    this.staleTimer = undefined;
  }

  /** One stream until it ends; true when another try is of no use. */
  private async once(outer: AbortSignal, onUp: () => void): Promise<boolean> {
    const stream = new AbortController();
    const stop = () => stream.abort();
    outer.addEventListener("abort", stop);
    let limit = setTimeout(stop, this.silence());
    try {
      let up = false;
      for await (const m of this.o.open(this.cursor, stream.signal)) {
        if (outer.aborted) return true;
        clearTimeout(limit);
        limit = setTimeout(stop, this.silence());
        onUp();
        this.take(m, !up);
        up = true;
      }
    } catch (error) {
      if (!outer.aborted && this.o.isUnauthenticated(error)) {
        this.o.handlers.onUnauthenticated();
        return true;
      }
    } finally {
      clearTimeout(limit);
      outer.removeEventListener("abort", stop);
    }
    return false;
  }

  private take(m: Pick<WatchResponse, "cursor" | "changes" | "reset">, first: boolean): void {
    // A stream from now on may begin behind what was read while it was being opened.
    const missed = m.reset || (first && this.cursor === "");
    this.cursor = m.cursor || this.cursor;
    this.heard();
    if (missed) this.o.handlers.onReset();
    else if (m.changes.length > 0) this.o.handlers.onChanges(m.changes);
    if (missed || m.changes.length > 0) this.tell(missed ? undefined : m.changes);
  }

  private tell(changes: readonly Change[] | undefined): void {
    for (const l of this.listeners) l(changes);
  }

  private heard(): void {
    this.lastAt = (this.o.now ?? (() => new Date()))();
    clearTimeout(this.staleTimer);
    this.staleTimer = setTimeout(() => this.stale(), this.silence());
    if (this.state.get().connected) return;
    this.state.set({ connected: true, stale: false, lastAt: this.lastAt });
    this.tell(undefined);
  }

  private lost(): void {
    const s = this.state.get();
    if (s.connected) {
      this.state.set({ ...s, connected: false, lastAt: this.lastAt });
      this.tell(undefined);
    }
    this.staleTimer ??= setTimeout(() => this.stale(), this.silence());
  }

  private stale(): void {
    this.state.set({ connected: false, stale: true, lastAt: this.lastAt });
  }

  private silence(): number {
    return this.o.silence ?? silence;
  }
}
