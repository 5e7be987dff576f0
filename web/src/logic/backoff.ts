/** Waits for a time, less when the signal is raised; never rejects. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

export const sleep: Sleep = (ms, signal) =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });

/** Milliseconds to wait before a try, counted from 1: 0.5 s doubling to 15 s, a fifth of it by chance (0 ≤ random < 1). */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(15_000, 500 * 2 ** Math.min(10, attempt - 1));
  return Math.round(full * (0.8 + 0.2 * random));
}
