import { defineConfig } from "@playwright/test";
import { chromium } from "./e2e/kit/chromium.ts";

/** The pages in a real browser: Debian's Chromium, over a real `penstock demo` for each file of tests. */
export default defineConfig({
  testDir: "e2e",
  // These need a database that test/bench has filled.
  testIgnore: process.env["PENSTOCK_SEEDED"] ? [] : "scale.spec.ts",
  globalSetup: "./e2e/kit/needs.ts",
  outputDir: "test-results",
  forbidOnly: true,
  retries: 0,
  workers: 2,
  // Generous: a busy machine is slow, not wrong. What has a promised time says so in its own assertion.
  timeout: 300_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    locale: "en-US",
    timezoneId: "UTC",
    viewport: { width: 1280, height: 860 },
    trace: process.env["PENSTOCK_TRACE"] ? "retain-on-failure" : "off",
    screenshot: "only-on-failure",
    // Root needs --no-sandbox; the pages are our own and local.
    launchOptions: { executablePath: chromium(), args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"] },
  },
});
