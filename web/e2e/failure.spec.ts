import { expect, signIn, tabTo, test, withDemo } from "./kit/test.ts";

const demo = withDemo({ scenario: "bad-start" });

test("a failed deployment opens with the cause, and its log is read by keyboard", async ({ page }) => {
  const d = await demo().api.deployment((x) => x.display === "ROLLED_BACK");
  await signIn(page, demo(), `/deployments/${d.id}`);
  const cause = page.getByRole("alert");
  await expect(cause).toContainText("Stage ECS_CANARY_ROLLOUT failed");
  // The way back came later and took nothing from the cause.
  await expect(page.getByRole("list", { name: "Stages of the way back" })).toContainText("ROLLBACK");

  const log = page.getByRole("log");
  await expect(log).toBeVisible();
  await tabTo(page, log);
  await page.keyboard.press("End");
  await expect(log).toContainText(/task|target/i);
  const last = await log.innerText();
  await page.keyboard.press("Home");
  await expect.poll(() => log.evaluate((e) => e.scrollTop)).toBe(0);
  expect(last.length).toBeGreaterThan(0);

  // Its search is the filter of this page.
  await page.keyboard.press("/");
  await expect(page.getByPlaceholder("Search the log")).toBeFocused();
  await page.keyboard.type("no such words anywhere");
  await expect(page.getByText("No line matches.")).toBeVisible();
});
