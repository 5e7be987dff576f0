import { type Sleep, backoff, sleep } from "./backoff";
import { LogDecoder, type LogLine } from "./log-lines";
import { Store } from "./store";

/** A piece of a log as the wire carries it. */
export interface LogPiece {
  data: Uint8Array;
  nextOffset: bigint;
  attempt: number;
  completed: boolean;
}

/** Reads a log from a byte offset to its end, or to what there is of it now. */
export type ReadLog = (offset: bigint, signal: AbortSignal) => AsyncIterable<LogPiece>;

export interface LogState {
  /** Grows in place, so that a long log is not copied with every piece: `count` of them belong to this state. */
  lines: readonly LogLine[];
  count: number;
  /** opening: nothing came yet; live; lost: trying again; completed: no more will come; failed: trying again cannot help. */
  phase: "opening" | "live" | "lost" | "completed" | "failed";
  attempt: number;
  error?: unknown;
}

interface Options {
  sleep?: Sleep;
  random?: () => number;
  /** Whether trying again cannot help. */
  fatal?: (error: unknown) => boolean;
  /** Until there may be more of a log that is not complete; without it, it is asked for with growing pauses. */
  more?: (signal: AbortSignal) => Promise<void>;
}

/** Follows one attempt of one stage. Bytes are fetched once: after a loss it goes on from the offset it has. */
export class LogFollower {
  private readonly lines: LogLine[] = [];
  readonly state = new Store<LogState>({ lines: this.lines, count: 0, phase: "opening", attempt: 0 });
  private readonly decoder = new LogDecoder();
  private readonly pieces: Uint8Array[] = [];
  private offset = 0n;
  private stopper?: AbortController;

  constructor(
    private readonly read: ReadLog,
    private readonly options: Options = {},
  ) {}

  /** Begins or goes on; the promise ends when the log is complete, failed, or stopped. */
  start(): Promise<void> {
    this.stopper?.abort();
    const stopper = new AbortController();
    this.stopper = stopper;
    return this.run(stopper.signal);
  }

  stop(): void {
    this.stopper?.abort();
  }

  /** All bytes so far, as they came. */
  raw(): Blob {
    return new Blob(this.pieces as BlobPart[], { type: "application/x-ndjson" });
  }

  private async run(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted && !this.over()) {
      try {
        for await (const piece of this.read(this.offset, signal)) {
          if (signal.aborted) return;
          failures = 0;
          this.take(piece);
        }
        if (!signal.aborted && !this.over()) this.patch({ phase: "live", error: undefined });
        if (this.options.more && !this.over()) {
          failures = 0;
          await this.options.more(signal);
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        this.patch({ phase: this.options.fatal?.(error) ? "failed" : "lost", error });
      }
      if (this.over()) return;
      failures++;
      await (this.options.sleep ?? sleep)(backoff(failures, (this.options.random ?? Math.random)()), signal);
    }
  }

  private over(): boolean {
    const { phase } = this.state.get();
    return phase === "completed" || phase === "failed";
  }

  private take(piece: LogPiece): void {
    // A repeated piece (its end is not behind ours) brings nothing new.
    const fresh = piece.nextOffset > this.offset ? this.decoder.push(this.keep(piece.data)) : [];
    this.offset = piece.nextOffset > this.offset ? piece.nextOffset : this.offset;
    const added = piece.completed ? [...fresh, ...this.decoder.end()] : fresh;
    for (const line of added) this.lines.push(line);
    this.patch({
      count: this.lines.length,
      phase: piece.completed ? "completed" : "live",
      attempt: piece.attempt,
      error: undefined,
    });
  }

  private keep(data: Uint8Array): Uint8Array {
    this.pieces.push(data);
    return data;
  }

  private patch(change: Partial<LogState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}
