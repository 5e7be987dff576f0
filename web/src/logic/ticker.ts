/** The time in steps, for everything on the page at once; it stands still while nobody looks. */
export class Ticker {
  private readonly listeners = new Set<() => void>();
  private timer?: ReturnType<typeof setInterval>;
  private at = new Date();

  /** @param stepMs length of a step in milliseconds */
  constructor(private readonly stepMs: number) {}

  readonly now = (): Date => {
    if (this.timer === undefined && Date.now() - this.at.getTime() >= this.stepMs) this.at = new Date();
    return this.at;
  };

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    this.timer ??= setInterval(() => this.tick(), this.stepMs);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  };

  private tick(): void {
    this.at = new Date();
    for (const l of this.listeners) l();
  }
}
