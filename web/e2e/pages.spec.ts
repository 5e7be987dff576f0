import { gzipSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import type { Page, Route } from "@playwright/test";
import { runs } from "./kit/api.ts";
import { expect, signIn, tabTo, test, withDemo } from "./kit/test.ts";

// One canary stands still in its WAIT while all pages are looked at; the last test cancels it.
const demo = withDemo({ scenario: "canary", wait: "10m" });

let routes: { name: string; path: string }[] = [];

test.beforeAll(async () => {
  const d = await demo().api.deployment(runs("WAIT"));
  const { deployments } = await demo().api.call<{ deployments: { id: string }[] }>("DeploymentService/ListDeployments", { applicationId: d.applicationId });
  routes = [
    { name: "applications", path: "/applications" },
    { name: "application", path: `/applications/${d.applicationId}` },
    { name: "deployments", path: "/deployments" },
    { name: "deployment", path: `/deployments/${d.id}` },
    { name: "agents", path: "/agents" },
    { name: "keys", path: "/keys" },
    { name: "webhooks", path: "/webhooks" },
    { name: "compare", path: `/compare?a=${deployments.at(-1)?.id}&b=${d.id}` },
    { name: "missing", path: "/no/such/page" },
  ];
});

/** Goes to a page and waits until it has what it is going to show. */
async function open(page: Page, path: string): Promise<void> {
  await page.goto(demo().url + path);
  await settled(page);
}

async function settled(page: Page): Promise<void> {
  await expect(page.locator("main")).toBeVisible();
  await expect(page.locator(".animate-pulse")).toHaveCount(0);
}

/** No issue that keeps somebody out; what was found is in the message. */
async function accessible(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const grave = violations.filter((v) => v.impact === "serious" || v.impact === "critical");
  expect.soft(grave.map((v) => `${v.id} (${v.impact}): ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`), where).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const lang of ["en", "ja"]) {
    test(`every page is accessible: ${colorScheme}, ${lang}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.goto(`${demo().url}/login?lang=${lang}`);
      await accessible(page, `login, ${colorScheme}, ${lang}`);
      await signIn(page, demo());
      for (const r of routes) {
        await open(page, r.path);
        await accessible(page, `${r.name}, ${colorScheme}, ${lang}`);
      }
      await open(page, "/applications");
      for (const [what, press] of [
        ["help", "?"],
        ["switcher", "Control+k"],
      ] as const) {
        await page.keyboard.press(press);
        await expect(page.getByRole("dialog")).toBeVisible();
        await accessible(page, `${what}, ${colorScheme}, ${lang}`);
        await page.keyboard.press("Escape");
        await expect(page.getByRole("dialog")).toBeHidden();
      }
    });
  }
}

test("a narrow screen scrolls one way and loses no action", async ({ page }) => {
  await signIn(page, demo());
  for (const r of routes) {
    await page.setViewportSize({ width: 1280, height: 860 });
    await open(page, r.path);
    const buttons = await page.getByRole("button").allTextContents();
    await page.setViewportSize({ width: 360, height: 740 });
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth), { message: r.name }).toBeLessThanOrEqual(360);
    expect(await page.getByRole("button").allTextContents(), r.name).toEqual(buttons);
    for (const b of await page.getByRole("button").all()) {
      await b.scrollIntoViewIfNeeded();
      const box = await b.boundingBox();
      expect(box && box.x >= 0 && box.x + box.width <= 361, `${r.name}: ${await b.evaluate((e) => e.outerHTML)}`).toBe(true);
    }
  }
});

test("a viewer is refused nothing, because nothing refused is offered", async ({ page, context, guard }) => {
  await context.setExtraHTTPHeaders({ Authorization: `Bearer ${await demo().api.key("viewer")}` });
  for (const r of routes) {
    await open(page, r.path);
    for (const b of await page.getByRole("main").getByRole("button").all()) {
      if (!(await b.isVisible())) continue;
      const text = (await b.textContent())?.trim() ?? "";
      await b.click({ force: true });
      // What opens is closed again; what may not be done says which right is missing.
      if ((await b.getAttribute("aria-disabled")) === "true") expect(await b.getAttribute("title"), `${r.name}: ${text}`).toMatch(/lacks the right|finished|way back/);
      if (await page.getByRole("dialog").isVisible()) await page.keyboard.press("Escape");
    }
  }
  expect(guard.forbidden).toEqual([]);
});

test("a slow server shows where things are going to be", async ({ page }) => {
  await signIn(page, demo());
  await page.route("**/penstock.v1.*/**", async (route: Route) => {
    await new Promise((resolve) => setTimeout(resolve, 5000));
    await route.continue();
  });
  for (const r of routes.slice(0, 5)) {
    await page.goto(demo().url + r.path, { waitUntil: "commit" });
    await expect(page.locator(".animate-pulse").first(), r.name).toBeVisible({ timeout: 4500 });
  }
  await settled(page);
  await page.unrouteAll({ behavior: "ignoreErrors" });
});

test("a failing server is told of with a request id, and tried again on request", async ({ page }) => {
  await signIn(page, demo());
  for (const r of routes.slice(0, 5)) {
    await page.goto(demo().url + "/no/such/page");
    await page.route(/penstock\.v1\.(Application|Deployment)Service|ListAgents/, (route: Route) =>
      route.fulfill({ status: 500, headers: { "X-Request-Id": "7f3a9c" }, contentType: "application/json", body: '{"code":"internal","message":"the record cannot be read"}' }),
    );
    await page.goto(demo().url + r.path);
    const alert = page.getByRole("alert").first();
    await expect(alert, r.name).toContainText("7f3a9c", { timeout: 30_000 });
    await page.unrouteAll({ behavior: "wait" });
    await alert.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("alert"), r.name).toHaveCount(0);
    await settled(page);
  }
});

test("the first page needs little JavaScript", async ({ page }) => {
  const scripts: Promise<Buffer>[] = [];
  page.on("response", (r) => {
    if (r.request().resourceType() === "script") scripts.push(r.body());
  });
  await signIn(page, demo());
  await settled(page);
  const sizes = (await Promise.all(scripts)).map((s) => gzipSync(s, { level: 9 }).length);
  const total = sizes.reduce((a, b) => a + b, 0);
  expect(sizes.length).toBeGreaterThan(0);
  expect(total).toBeLessThan(250_000);
});

test("anything is found from anywhere, by keyboard", async ({ page }) => {
  await signIn(page, demo(), "/agents");
  await expect(page.getByRole("heading", { level: 1, name: "Agents" })).toBeVisible();
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: /Application, deployment/ });
  await expect(field).toBeFocused();
  await page.keyboard.type("sho");
  const option = page.getByRole("dialog").getByRole("option", { selected: true });
  await expect(option).toContainText("shop");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/(applications|deployments)\//);
  // A letter in a field is a letter: the keys that open things do nothing there.
  await page.goto(`${demo().url}/applications`);
  await expect(page.getByRole("searchbox")).toBeVisible();
  await page.keyboard.press("/");
  await page.keyboard.type("g d?");
  await expect(page.getByRole("searchbox")).toHaveValue("g d?");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(page).toHaveURL(/\/applications/);
});

test("filters, favourites and views are kept, in the URL or by the server", async ({ page, context }) => {
  await signIn(page, demo());
  await page.getByRole("button", { name: "Make shop a favourite" }).click();
  await page.getByRole("button", { name: "Health", exact: true }).first().click();
  const choice = page.getByRole("checkbox").first();
  await choice.check();
  await expect(page).toHaveURL(/[?&]health=/);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("textbox", { name: "Name of the view" }).fill("my team");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("link", { name: "my team" })).toBeVisible();
  const url = page.url();
  // Another tab with the same address shows the same.
  const other = await context.newPage();
  await other.goto(url);
  await expect(other.getByRole("rowgroup", { name: "Favourites" }).getByRole("link", { name: "shop", exact: true })).toBeVisible();
  await other.goto(`${demo().url}/applications`);
  await other.getByRole("button", { name: "Views" }).click();
  await other.getByRole("link", { name: "my team" }).click();
  await expect(other).toHaveURL(url);
});

// Pictures are made anew on request only, so that a run of the tests changes no file.
if (process.env["PENSTOCK_PICTURES"])
  test("pictures of the main pages", async ({ page }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await signIn(page, demo());
  for (const r of routes.filter((x) => x.name !== "missing")) {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await open(page, r.path);
      await page.screenshot({ path: `../docs/img/${r.name}${colorScheme === "dark" ? "-dark" : ""}.png`, caret: "initial", animations: "allow" });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, routes.find((r) => r.name === "application")?.path ?? "");
  await page.getByRole("button", { name: /^Service / }).click();
  await page.screenshot({ path: "../docs/img/resource.png", caret: "initial", animations: "allow" });
});

test("a canary is cancelled by keyboard, and the traffic goes back", async ({ page }) => {
  const path = routes.find((r) => r.name === "deployment")?.path ?? "";
  await signIn(page, demo(), path);
  await tabTo(page, page.getByRole("button", { name: "Cancel", exact: true }));
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  // The safe button has the focus: Enter alone cancels nothing.
  await expect(dialog.getByRole("button", { name: "Let it run" })).toBeFocused();
  await tabTo(page, dialog.getByRole("radio").first());
  await page.keyboard.press("ArrowDown");
  await expect(dialog.getByRole("radio", { name: /Take the way back/ })).toBeChecked();
  await tabTo(page, dialog.getByRole("button", { name: "Cancel the deployment" }));
  await page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(page.getByRole("list", { name: "Stages of the way back" })).toContainText("ROLLBACK");
  await demo().api.deployment((d) => d.display === "CANCELLED" || d.display === "ROLLED_BACK");
  await expect(page.locator("[aria-current=step]")).toHaveCount(0);
});
