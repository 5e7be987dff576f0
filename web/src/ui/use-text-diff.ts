import { useEffect, useMemo, useState } from "react";
import { type Diffed, type Side, diffSides } from "../logic/text-diff";
import type { DiffRequest } from "../logic/text-diff-worker";

/** Texts up to this length together are compared at once: a worker takes longer to begin. */
const small = 200_000;

/** The difference of two texts; large ones are compared beside the page, and it is undefined at first, then perhaps partial. */
export function useTextDiff(before: Side, after: Side, withNoise: boolean): Diffed | undefined {
  const here = before.text.length + after.text.length <= small || typeof Worker === "undefined";
  const quick = useMemo(() => (here ? diffSides(before, after, withNoise) : undefined), [here, before, after, withNoise]);
  const [slow, setSlow] = useState<{ of: DiffRequest; diffed: Diffed }>();
  useEffect(() => {
    if (here) return undefined;
    const request: DiffRequest = { before, after, withNoise };
    const worker = new Worker(new URL("../logic/text-diff-worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", (e: MessageEvent<Diffed>) => setSlow({ of: request, diffed: e.data }));
    // A browser that cannot start it compares in the page.
    worker.addEventListener("error", () => setSlow({ of: request, diffed: diffSides(before, after, withNoise) }));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has no origin
    worker.postMessage(request);
    return () => worker.terminate();
  }, [here, before, after, withNoise]);
  if (here) return quick;
  const current = slow?.of.before === before && slow.of.after === after && slow.of.withNoise === withNoise;
  return current ? slow.diffed : undefined;
}
