import type { Transport } from "@connectrpc/connect";
import { mockTransport } from "./server.ts";
import { World } from "./world.ts";

/** Stands in for src/api/transport.ts in `npm run dev:mock`: a world in this tab that moves once a second. `?role=viewer`, `?signed=out` and `?lines=100000` set the scene. */
export async function makeTransport(): Promise<Transport> {
  const world = new World();
  const scene = new URLSearchParams(window.location.search);
  world.role = scene.get("role") ?? "admin";
  world.signedIn = scene.get("signed") !== "out";
  const lines = Number(scene.get("lines") ?? 0);
  if (lines > 0) world.fill("d-search", "s1", lines);
  setInterval(() => world.tick(), 1000);
  return mockTransport(world);
}
