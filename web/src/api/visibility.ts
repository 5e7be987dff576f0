/** Something that holds a connection and can go on where it stopped. */
export interface Runner {
  start(): Promise<void>;
  stop(): void;
}

/** What is needed of a document. */
export type Page = Pick<Document, "visibilityState" | "addEventListener" | "removeEventListener">;

interface Timing {
  /** Milliseconds out of sight before the connection is given up. */
  grace?: number;
  /** Milliseconds between short connections while out of sight; none without it. */
  glimpseEvery?: number;
  /** Length of such a connection in milliseconds. */
  glimpseFor?: number;
}

/**
 * Runs something while its tab is seen. A browser gives all tabs of one server six connections over HTTP/1.1: tabs that
 * nobody looks at must not keep them, but glimpses keep their titles true. The result stops it for good.
 */
export function runWhileSeen(runner: Runner, page: Page, { grace = 60_000, glimpseEvery, glimpseFor = 3_000 }: Timing = {}): () => void {
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const later = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, ms);
    timers.add(timer);
  };
  const forget = () => {
    for (const t of timers) clearTimeout(t);
    timers.clear();
  };
  let running = false;
  const run = (on: boolean) => {
    if (on === running) return;
    running = on;
    if (on) void runner.start();
    else runner.stop();
  };
  const rest = () => {
    run(false);
    if (glimpseEvery === undefined) return;
    later(glimpseEvery, () => {
      run(true);
      later(glimpseFor, rest);
    });
  };
  const onChange = () => {
    forget();
    if (page.visibilityState === "hidden") later(grace, rest);
    else run(true);
  };
  run(true);
  onChange();
  page.addEventListener("visibilitychange", onChange);
  return () => {
    forget();
    page.removeEventListener("visibilitychange", onChange);
    run(false);
  };
}
