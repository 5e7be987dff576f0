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
  /** Asks the server for a sign of life; the stream is silent when nothing changes, and so is a dead one. */
  probe?(signal: AbortSignal): Promise<unknown>;
  now?: () => Date;
  sleep?: Sleep;
  random?: () => number;
  /** Milliseconds without the stream before the reader is told. */
  staleAfter?: number;
  /** Milliseconds of silence before a probe, and for its answer. */
  probeAfter?: number;
  probeWithin?: number;
}

/** Keeps one stream of changes open: tries again with growing pauses and goes on behind the last cursor, so that nothing is missed. */
export class WatchClient {
  readonly state = new Store<WatchState>({ connected: false, stale: false });
  private cursor = "";
  private stopper?: AbortController;
  private staleTimer?: ReturnType<typeof setTimeout>;

  constructor(private readonly o: WatchOptions) {}

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
    const watchdog = this.watchdog(stream);
    try {
      let up = false;
      for await (const m of this.o.open(this.cursor, stream.signal)) {
        if (outer.aborted) return true;
        watchdog.heard();
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
      watchdog.end();
      outer.removeEventListener("abort", stop);
    }
    return false;
  }

  private take(m: Pick<WatchResponse, "cursor" | "changes" | "reset">, first: boolean): void {
    // A stream from now on may begin behind what was read while it was being opened.
    const missed = m.reset || (first && this.cursor === "");
    this.cursor = m.cursor || this.cursor;
    this.up();
    if (missed) this.o.handlers.onReset();
    else if (m.changes.length > 0) this.o.handlers.onChanges(m.changes);
  }

  private up(): void {
    clearTimeout(this.staleTimer);
    this.staleTimer = undefined;
    this.state.set({ connected: true, stale: false, lastAt: this.now() });
  }

  private lost(): void {
    const s = this.state.get();
    if (s.connected) this.state.set({ ...s, connected: false, lastAt: this.now() });
    this.staleTimer ??= setTimeout(() => this.state.set({ ...this.state.get(), stale: true }), this.o.staleAfter ?? 10_000);
  }

  /** Ends a stream that is silent and whose server does not answer a probe either. */
  private watchdog(stream: AbortController): { heard(): void; end(): void } {
    const { probe } = this.o;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const arm = () => {
      clearTimeout(timer);
      if (probe && !stream.signal.aborted) timer = setTimeout(() => void check(), this.o.probeAfter ?? 15_000);
    };
    const check = async () => {
      if (!probe) return;
      const limit = setTimeout(() => stream.abort(), this.o.probeWithin ?? 5_000);
      try {
        await probe(stream.signal);
        if (this.state.get().connected) this.up();
        arm();
      } catch {
        stream.abort();
      } finally {
        clearTimeout(limit);
      }
    };
    arm();
    return { heard: arm, end: () => clearTimeout(timer) };
  }

  private now(): Date {
    return (this.o.now ?? (() => new Date()))();
  }
}
