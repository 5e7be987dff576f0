import { type Sleep, sleep } from "./backoff";

interface Timing {
  sleep?: Sleep;
  /** Milliseconds from one look to the next at the least: what rings in between is looked at once. */
  pause?: number;
  /** Milliseconds without a ring before a look all the same, for one that was missed. */
  limit?: number;
}

/** Tells one waiter when to look again. A ring while nobody waits is kept, so that none is lost between two looks. */
export class Bell {
  private rung = false;
  private wake?: () => void;

  constructor(private readonly timing: Timing = {}) {}

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** Until it rings, or rang since the last time; never rejects. */
  async wait(signal: AbortSignal): Promise<void> {
    const wait = this.timing.sleep ?? sleep;
    await wait(this.timing.pause ?? 200, signal);
    if (!this.rung && !signal.aborted) {
      const over = new AbortController();
      this.wake = () => over.abort();
      await wait(this.timing.limit ?? 15_000, AbortSignal.any([signal, over.signal]));
      delete this.wake;
    }
    this.rung = false;
  }
}
