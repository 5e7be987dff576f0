import { runs } from "./kit/api.ts";
import { expect, signIn, test, withDemo } from "./kit/test.ts";

const demo = withDemo({ scenario: "approval" });

test("a log that is being written is followed in more tabs than a browser has connections", async ({ page, guard }) => {
  const d = await demo().api.deployment(runs("WAIT_APPROVAL"));
  const stage = d.stages.find((s) => s.name === "WAIT_APPROVAL")?.id ?? "";
  await signIn(page, demo(), "/applications");
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
  const open = new Set<unknown>();
  const tabs = [];
  for (let i = 0; i < 8; i++) {
    const tab = await page.context().newPage();
    tab.on("request", (r) => r.url().endsWith("/ReadStageLog") && open.add(r));
    tab.on("requestfinished", (r) => void open.delete(r));
    tab.on("requestfailed", (r) => void open.delete(r));
    await tab.goto(`${demo().url}/deployments/${d.id}?stage=${stage}`);
    await expect(tab.getByText("being written", { exact: true })).toBeVisible();
    tabs.push(tab);
  }
  await expect.poll(() => open.size).toBe(0);
  expect(guard.requests.filter((path) => path.endsWith("/Watch"))).toHaveLength(1);
  for (const tab of tabs) await tab.close();
});

test("a canary is rejected with the mouse, in Japanese, and the traffic goes back", async ({ page }) => {
  const d = await demo().api.deployment(runs("WAIT_APPROVAL"));
  await signIn(page, demo(), "/deployments?lang=ja");
  await page.locator(`a[href^="/deployments/${d.id}"]`).click();
  await page.getByRole("button", { name: "却下" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox").fill("エラー率が高い");
  await dialog.getByRole("button", { name: "却下" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByText("エラー率が高い").first()).toBeVisible();
  const after = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  expect(after.id).toBe(d.id);
  await expect(page).toHaveTitle(/ · shop · Penstock$/);
  await expect(page.locator("[aria-current=step]")).toHaveCount(0);
});
