import { has } from "./kit/api.ts";
import { expect, signIn, tabTo, test, withDemo } from "./kit/test.ts";

// One story, told with the keyboard alone: from the login to a canary that a person lets go on.
const demo = withDemo({ scenario: "approval" });

test("a canary is found, watched and approved by keyboard", async ({ page }) => {
  await signIn(page, demo());
  await demo().api.deployment(has("WAIT_APPROVAL"));

  // Find the application: to the filter, three letters, to the first row, open it.
  await expect(page.getByRole("link", { name: "shop", exact: true })).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type("sho");
  await expect(page).toHaveURL(/[?&]q=sho/);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("link", { name: "shop", exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "shop" })).toBeVisible();

  // Its running deployment.
  await tabTo(page, page.getByRole("link", { name: /Look at the deployment/ }));
  await page.keyboard.press("Enter");
  const stages = page.getByRole("list", { name: "Stages", exact: true });
  await expect(stages.getByText("ECS_PRIMARY_ROLLOUT")).toBeVisible();

  // The canary takes its share while the page is watched, without a reload.
  await expect(stages.locator("[aria-current=step]")).toContainText("WAIT_APPROVAL", { timeout: 60_000 });
  await expect(page).toHaveTitle(/^.+ · shop · Penstock$/);

  // Approve it, with a note.
  await tabTo(page, page.getByRole("button", { name: "Approve", exact: true }));
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await tabTo(page, dialog.getByRole("textbox"));
  await page.keyboard.type("error rate unchanged?");
  await expect(page.getByRole("dialog")).toHaveCount(1); // the question mark in a note is a question mark
  await tabTo(page, dialog.getByRole("button", { name: "Approve", exact: true }));
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(stages.locator("[aria-current=step]")).toContainText("ECS_PRIMARY_ROLLOUT");
  await expect(page).toHaveTitle(/^Succeeded · shop · Penstock$/, { timeout: 60_000 });
  await expect(page.getByText("error rate unchanged?").first()).toBeVisible();
});

test("the language is switched by keyboard and stays", async ({ page }) => {
  await signIn(page, demo());
  await expect(page.getByRole("heading", { level: 1, name: /^Applications/ })).toBeVisible();
  await tabTo(page, page.getByRole("combobox", { name: "Language" }));
  await page.keyboard.press("ArrowDown");
  await expect(page.locator("html")).toHaveAttribute("lang", "ja");
  await expect(page.getByRole("heading", { level: 1 })).toContainText("アプリケーション");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toContainText("アプリケーション");
});

test.describe("a browser that speaks Japanese", () => {
  test.use({ locale: "ja-JP" });
  test("is spoken to in Japanese from the first page on", async ({ page }) => {
    await page.goto(demo().url);
    await expect(page.locator("html")).toHaveAttribute("lang", "ja");
    await expect(page.getByRole("button", { name: "サインイン" })).toBeVisible();
  });
});
