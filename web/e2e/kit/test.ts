import { type BrowserContext, type Locator, type Page, test as base, expect } from "@playwright/test";
import { Demo } from "./demo.ts";
import { Wire } from "./wire.ts";

type DemoOptions = Parameters<typeof Demo.start>[0];

interface Fixtures {
  /** What must not happen in any test; a test that expects refusals empties the list it expects. */
  guard: Guard;
  /** A wire to a server that the test can cut. */
  wireTo: (target: string) => Promise<Wire>;
}

/** What a browser did that it must never do. */
class Guard {
  readonly wrong: string[] = [];
  readonly forbidden: string[] = [];
  readonly requests: string[] = [];

  watch(context: BrowserContext): void {
    context.on("request", (r) => {
      const url = new URL(r.url());
      if (!["data:", "blob:"].includes(url.protocol)) {
        this.requests.push(url.pathname);
        // Every server of a test listens on this address; the page's own origin is checked where a frame is known.
        if (url.hostname !== "127.0.0.1") this.wrong.push(`a request left the machine: ${r.url()}`);
        const top = pageOrigin(r.frame().url());
        if (!r.isNavigationRequest() && top && url.origin !== top) this.wrong.push(`a request left the origin ${top}: ${r.url()}`);
      }
    });
    context.on("response", (r) => {
      if (r.status() === 403) this.forbidden.push(new URL(r.url()).pathname);
    });
    context.on("console", (m) => {
      if (/Content Security Policy|violates/i.test(m.text())) this.wrong.push(`policy: ${m.text()}`);
    });
    context.on("weberror", (e) => this.wrong.push(`error in the page: ${e.error().message}`));
  }
}

function pageOrigin(url: string): string | undefined {
  return url.startsWith("http") ? new URL(url).origin : undefined;
}

export const test = base.extend<Fixtures>({
  guard: async ({ context }, run) => {
    const guard = new Guard();
    guard.watch(context);
    await run(guard);
    expect(guard.wrong).toEqual([]);
  },
  // Every test is guarded, whether it names the guard or not.
  page: async ({ page, guard }, run) => {
    void guard;
    await run(page);
  },
  // oxlint-disable-next-line no-empty-pattern -- the runner reads the names of fixtures from the pattern
  wireTo: async ({}, run) => {
    const wires: Wire[] = [];
    await run(async (target) => {
      const w = await Wire.start(target);
      wires.push(w);
      return w;
    });
    await Promise.all(wires.map((w) => w.end()));
  },
});

/** One demo for all tests of a file; it is started before the first and ended after the last. */
export function withDemo(options: DemoOptions): () => Demo {
  let demo: Demo | undefined;
  test.beforeAll(async () => {
    demo = await Demo.start(options);
  });
  test.afterAll(() => demo?.end());
  return () => {
    if (!demo) throw new Error("the demo did not start");
    return demo;
  };
}

/** Signs in as a person does, with the keyboard only. */
export async function signIn(page: Page, demo: Demo, path = "/", origin = demo.url): Promise<void> {
  await page.goto(origin + path);
  await expect(page.locator("input[name=username]")).toBeFocused();
  await page.keyboard.type("admin");
  await page.keyboard.press("Tab");
  await page.keyboard.type(demo.password);
  await page.keyboard.press("Enter");
  await expect(page.locator("header nav")).toBeVisible();
}

/** Moves the focus with the Tab key until it is on something; fails when it is not reached. */
export async function tabTo(page: Page, target: Locator, limit = 120): Promise<void> {
  await target.waitFor();
  for (let i = 0; i < limit; i++) {
    if (await target.evaluate((e) => e === document.activeElement).catch(() => false)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${target} is not reached within ${limit} presses of Tab`);
}

export { expect };
