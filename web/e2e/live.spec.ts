import { expect, signIn, test, withDemo } from "./kit/test.ts";

const demo = withDemo({ scenario: "canary", wait: "3s" });

// Twice: a connection that ends, and a network that swallows everything without a word.
for (const [how, loss] of [
  ["is cut", "cut"],
  ["goes silent", "silence"],
] as const) {
  test(`a stream that ${how} is told of within ten seconds and caught up afterwards`, async ({ page, wireTo }) => {
    const wire = await wireTo(demo().url);
    await signIn(page, demo(), "/applications", wire.url);
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
    await page.evaluate(() => {
      Object.assign(window, { sameDocument: true });
    });
    wire[loss]();
    const banner = page.getByText(/^Not live, last update \d\d:\d\d:\d\d$/);
    await expect(banner).toBeVisible({ timeout: 10_000 });

    // Something happens meanwhile.
    const app = await demo().api.application("shop");
    await demo().api.call("ApplicationService/SetApplicationEnabled", { requestId: crypto.randomUUID(), applicationId: app.id, enabled: loss === "silence" });
    wire.mend();
    await expect(banner).toBeHidden({ timeout: 30_000 });
    const row = page.getByRole("row").filter({ has: page.getByRole("link", { name: "shop", exact: true }) });
    await expect(row.getByText("disabled")).toHaveCount(loss === "silence" ? 0 : 1);
    expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);
  });
}

test("a log that was cut off goes on where it was: nothing is lost, nothing comes twice", async ({ page, wireTo }) => {
  const wire = await wireTo(demo().url);
  const d = await demo().api.deployment((x) => x.stages?.some((s) => s.name === "ECS_PRIMARY_ROLLOUT" && s.status !== "NOT_STARTED_YET"), 100_000);
  const stage = d.stages.findLast((s) => s.name === "ECS_TRAFFIC_ROUTING")?.id ?? "";
  await signIn(page, demo(), `/deployments/${d.id}?stage=${stage}`, wire.url);
  await expect(page.getByRole("log")).toBeVisible({ timeout: 60_000 });
  for (let i = 0; i < 3; i++) {
    wire.cut();
    await expect(page.getByText("connection lost, trying again")).toBeVisible({ timeout: 10_000 }).catch(() => undefined);
    wire.mend();
    await expect(page.getByText(/being written|complete/)).toBeVisible({ timeout: 30_000 });
  }
  await expect(page.getByText("complete", { exact: true })).toBeVisible({ timeout: 60_000 });
  const shown = await page.evaluate(async () => {
    const seen = new Map<number, string>();
    const log = document.querySelector("[role=log]");
    if (!log) return [];
    for (let top = 0; top <= log.scrollHeight; top += 200) {
      log.scrollTop = top;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      for (const row of log.querySelectorAll("[data-index]")) {
        const parts = [...row.children].map((c) => c.textContent ?? "");
        seen.set(Number(parts[0]), parts.at(-1) ?? ""); // a step's line is a button that folds it
      }
    }
    return [...seen.entries()].toSorted(([a], [b]) => a - b).map(([, text]) => text);
  });
  expect(shown).toEqual(await demo().api.log(d.id, stage));
});

test("seven tabs of one browser share one stream, and the next one goes on with it when its tab is closed", async ({ page, guard }) => {
  const streams = () => guard.requests.filter((path) => path.endsWith("/Watch")).length;
  await signIn(page, demo(), "/applications");
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  const opened = streams();
  const others = [];
  for (let i = 0; i < 6; i++) {
    const other = await page.context().newPage();
    await other.goto(`${demo().url}/applications`);
    await expect(other.getByText("Live", { exact: true })).toBeVisible();
    others.push(other);
  }
  expect(streams()).toBe(opened);
  const app = await demo().api.application("shop");
  const set = (enabled: boolean) => demo().api.call("ApplicationService/SetApplicationEnabled", { requestId: crypto.randomUUID(), applicationId: app.id, enabled });
  const disabled = (p: typeof page) => p.getByRole("row").filter({ has: p.getByRole("link", { name: "shop", exact: true }) }).getByText("disabled");
  await set(false);
  for (const p of [page, ...others]) await expect(disabled(p)).toHaveCount(1);
  await page.close();
  await set(true);
  for (const p of others) await expect(disabled(p)).toHaveCount(0);
  expect(streams()).toBe(opened + 1);
});
