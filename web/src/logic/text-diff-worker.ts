import { type Side, diffSides } from "./text-diff";

/** What the page sends: large texts are compared beside the page, so that it stays usable meanwhile. */
export interface DiffRequest {
  before: Side;
  after: Side;
  withNoise: boolean;
}

addEventListener("message", (e: MessageEvent<DiffRequest>) => {
  const { before, after, withNoise } = e.data;
  postMessage(diffSides(before, after, withNoise, undefined, (soFar) => postMessage(soFar)));
});
