import { runs } from "./kit/api.ts";
import { expect, signIn, test, withDemo } from "./kit/test.ts";

const demo = withDemo({ scenario: "approval" });

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
