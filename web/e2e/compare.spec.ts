import { expect, signIn, tabTo, test, withDemo } from "./kit/test.ts";

// v1 is live, v2 never became healthy: two deployments to compare, and resources with something to say.
const demo = withDemo({ scenario: "bad-start" });

test("two deployments are compared: from the page of one, and chosen in the list by keyboard", async ({ page }) => {
  const d = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  await signIn(page, demo(), `/deployments/${d.id}`);
  await page.getByRole("link", { name: "Compare with the deployment before" }).click();
  await expect(page).toHaveURL(/\/compare\?a=.+&b=.+/);
  const facts = page.getByRole("region", { name: "What, who, and what came of it" });
  await expect(facts.getByRole("row", { name: /Outcome/ })).toContainText("Succeeded");
  await expect(facts.getByRole("row", { name: /Outcome/ })).toContainText("Rolled back");
  await expect(page.getByRole("region", { name: "Stages" }).getByText("has no such stage").first()).toBeVisible();

  // What they declare: only the lines around the change, the rest on request.
  const texts = page.getByRole("region", { name: "Differences of the texts" });
  await expect(texts).toContainText("v2");
  await expect(texts).toContainText("••••");
  const rows = await texts.locator("[data-index]").count();
  await texts.getByRole("button", { name: /^Show \d+ equal line/ }).first().click();
  expect(await texts.locator("[data-index]").count()).toBeGreaterThan(rows);
  const address = page.url();

  await page.goto(`${demo().url}/applications/${d.applicationId}`);
  const boxes = page.getByRole("checkbox", { name: /^Choose deployment/ });
  await tabTo(page, boxes.first());
  await page.keyboard.press("Space");
  await tabTo(page, boxes.nth(1));
  await page.keyboard.press("Space");
  await tabTo(page, page.getByRole("button", { name: "Compare", exact: true }));
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(address);
});

test("what the platform filled in is hidden until it is asked for", async ({ page }) => {
  const d = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  await signIn(page, demo(), `/deployments/${d.id}?tab=changes`);
  await page.getByRole("radio", { name: "Whole text" }).click();
  const texts = page.getByRole("region", { name: "Differences of the texts" });
  await expect(texts).toContainText("v2");
  await expect(texts).not.toContainText("runningCount");
  await expect(page.getByText(/\(\d+ hidden\)/)).toBeVisible();
  await page.getByRole("checkbox", { name: /Filled in by the platform/ }).check();
  await expect(texts).toContainText("runningCount");
});

test("a pair of 5 MB is compared beside the page, which stays usable", async ({ page }) => {
  const d = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  const text = (change: string) => Array.from({ length: 140_000 }, (_, i) => `  key-${i}: ${i % 20_000 === 7 ? change : "value"} of some length`).join("\n");
  await page.route(/DeploymentService\/GetChanges/, (route) =>
    route.fulfill({ contentType: "application/json", body: JSON.stringify({ text: "~ key-7: old → new", before: { text: text("old") }, after: { text: text("new") } }) }),
  );
  await signIn(page, demo(), `/deployments/${d.id}?tab=changes`);
  await page.getByRole("radio", { name: "Whole text" }).click();
  const from = Date.now();
  const texts = page.getByRole("region", { name: "Differences of the texts" });
  await expect(texts).toContainText("key-7: new");
  process.stdout.write(`first lines of 5 MB against 5 MB after ${Date.now() - from} ms\n`);
  await expect(page.getByText("7 lines added")).toBeVisible();
  // The page answers meanwhile and afterwards; only what is on the screen is drawn.
  await page.getByRole("button", { name: "Next change" }).click();
  expect(await texts.locator("[data-index]").count()).toBeLessThan(200);
});

test("a resource opens a panel by keyboard, which is in the address", async ({ page }) => {
  const d = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  await signIn(page, demo(), `/applications/${d.applicationId}`);
  const service = page.getByRole("button", { name: /^Service / });
  await tabTo(page, service);
  await page.keyboard.press("Enter");
  const panel = page.getByRole("complementary", { name: /^Service / });
  await expect(panel).toBeVisible();
  await expect(panel.getByText(/steady state|has started|registered/).first()).toBeVisible();
  await page.reload();
  await expect(panel).toBeVisible();
  // Where there is room it stands beside the page: what was there can still be pressed.
  await page.setViewportSize({ width: 1280, height: 800 });
  for (const name of ["Sync", "Keys", "Sign out"]) await page.getByRole("button", { name, exact: true }).click({ trial: true });
  await panel.getByRole("button", { name: /^Next resource/ }).click();
  await expect(panel).toBeHidden();
  await page.getByRole("complementary").getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("complementary")).toHaveCount(0);
});
