import { TransportProvider } from "@connectrpc/connect-query";
import { i18n } from "@lingui/core";
import { I18nProvider } from "@lingui/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider, createMemoryHistory } from "@tanstack/react-router";
import { render, screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { mockTransport } from "../../mock/server";
import { liveOf } from "../../mock/seed";
import { World } from "../../mock/world";
import { makeQueryClient } from "../api/query-client";
import { makeRouter } from "../router";
import { rowHref } from "../ui/row-link";

vi.stubGlobal("scrollTo", vi.fn());

const patient = { timeout: 15_000 };

/** Shows a page of a world in memory. */
function show(path: string, role = "admin") {
  const world = new World();
  world.role = role;
  const transport = mockTransport(world);
  const queryClient = makeQueryClient(() => undefined);
  const router = makeRouter({ queryClient, transport }, createMemoryHistory({ initialEntries: [path] }));
  render(
    <I18nProvider i18n={i18n}>
      <TransportProvider transport={transport}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </TransportProvider>
    </I18nProvider>,
  );
  return { world, router, user: userEvent.setup() };
}

describe("the page of a deployment", () => {
  it("shows the pipeline as an ordered list with what it waits for", async () => {
    show("/deployments/d-checkout");
    const list = await screen.findByRole("list", { name: "Stages" }, patient);
    const items = within(list).getAllByRole("listitem").filter((li) => li.parentElement === list);
    expect(items).toHaveLength(6);
    expect(items[2]?.getAttribute("aria-current")).toBe("step");
    expect(items[2]?.textContent).toContain("goes on in");
    expect(items[3]?.textContent).toContain("Not started");
    expect(document.title).toBe("Running · checkout · Penstock");
  });

  it("changes without being asked when the deployment does", async () => {
    const { world } = show("/deployments/d-checkout");
    await screen.findByRole("list", { name: "Stages" }, patient);
    await screen.findByText("Live", {}, patient);
    const d = world.deployment("d-checkout");
    world.end(d, world.stage(d, "s3"), "SUCCESS");
    await waitFor(() => expect(document.querySelector("[aria-current=step]")?.textContent).toContain("ECS_PRIMARY_ROLLOUT"), { timeout: 2000 });
  });

  it("opens with the cause of a failure and tells what was not reached", async () => {
    show("/deployments/d-search");
    expect((await screen.findByRole("alert", {}, patient)).textContent).toContain("Stage WAIT failed");
    expect(screen.getAllByText("Not reached")).toHaveLength(3);
    expect(screen.getByRole("list", { name: "Stages of the way back" })).toBeTruthy();
  });

  it("records an approval with its note, against what was on the screen", async () => {
    const { world, user } = show("/deployments/d-payments");
    await user.click(await screen.findByRole("button", { name: "Approve" }, patient));
    const dialog = await screen.findByRole("dialog");
    expect(dialog.textContent).toContain("1 of 2 given");
    await user.type(within(dialog).getByRole("textbox"), "error rate unchanged");
    await user.click(within(dialog).getByRole("button", { name: "Approve" }));
    await waitFor(() => expect(world.stage(world.deployment("d-payments"), "a1").given.map((g) => g.note)).toEqual(["error rate unchanged", "error rate unchanged"]));
    await screen.findByText("Your approval is recorded");
  });

  it("asks to look again when the deployment moved on meanwhile", async () => {
    const { world, user } = show("/deployments/d-payments");
    await user.click(await screen.findByRole("button", { name: "Reject" }, patient));
    const dialog = await screen.findByRole("dialog");
    const d = world.deployment("d-payments");
    world.changed(d, "APPROVED");
    await within(dialog).findByText("The deployment moved on while this was open", {}, patient);
    await user.click(within(dialog).getByRole("button", { name: "Reject" }));
    expect(d.status).toBe("RUNNING");
    await user.click(within(dialog).getByRole("button", { name: "I have looked again" }));
    await user.click(within(dialog).getByRole("button", { name: "Reject" }));
    await waitFor(() => expect(d.status).toBe("ROLLING_BACK"));
  });

  it("tells a viewer why a button does nothing, and sends nothing", async () => {
    const { world, user } = show("/deployments/d-payments", "viewer");
    const approve = await screen.findByRole("button", { name: "Approve", description: /lacks the right deployment:approve/ }, patient);
    expect(approve.getAttribute("aria-disabled")).toBe("true");
    await user.click(approve);
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(world.deployment("d-payments").status).toBe("RUNNING");
  });

  it("draws the same stages on an axis of time, and keeps that in the URL", async () => {
    const { router, user } = show("/deployments/d-search");
    await user.click(await screen.findByRole("radio", { name: "Time" }, patient));
    await waitFor(() => expect(router.state.location.search).toEqual({ view: "time" }));
    const rows = within(await screen.findByRole("list", { name: "Stages" })).getAllByRole("listitem");
    expect(rows.map((r) => r.textContent)).toEqual(expect.arrayContaining([expect.stringContaining("In the queue"), expect.stringContaining("3. WAIT Failed"), expect.stringContaining("↩ ROLLBACK Succeeded28s")]));
  });

  it("says what is real, what is wished, and why they differ", async () => {
    const { world } = show("/deployments/d-checkout");
    expect(await screen.findByText("real is as wished", {}, patient)).toBeTruthy();
    expect(screen.getByRole("img", { name: "20 % of requests reach v1.9.0" })).toBeTruthy();
    expect(screen.getByRole("img", { name: /^Share of requests on v1.9.0 over time/ })).toBeTruthy();
    await screen.findByText("Live", {}, patient);
    const seen = liveOf(new Date(), "checkout", 50, "v1.8.2", "v1.9.0");
    seen.at = world.now();
    world.observe("app-checkout", seen);
    expect(await screen.findByText(/nothing is at work that would change it/, {}, patient)).toBeTruthy();
    expect(screen.getByRole("img", { name: "50 % of requests reach v1.9.0" })).toBeTruthy();
  });

  it("shows the failing stage, its last errors and the log of the attempt that failed", async () => {
    const { router, user } = show("/deployments/d-ledger");
    const alert = await screen.findByRole("alert", {}, patient);
    await within(alert).findByText(/panic: open \/etc\/ledger/, {}, patient);
    const chosen = within(screen.getByRole("list", { name: "Stages" })).getByRole("button", { pressed: true });
    expect(chosen.textContent).toBe("1.ECS_CANARY_ROLLOUT");
    expect(chosen.closest("li")?.textContent).toContain("3 tasks of task set ecs-svc/0417 stopped");
    await user.click(within(alert).getByRole("button", { name: "Log of attempt 2" }));
    await waitFor(() => expect(router.state.location.search).toEqual({ stage: "s1" }));
    expect((screen.getByLabelText("Attempt") as HTMLSelectElement).value).toBe("2");
  });

  it("reads a log, and folds its steps", async () => {
    const { user } = show("/deployments/d-search?stage=s1");
    await screen.findByRole("log", {}, patient);
    await user.click(screen.getByRole("button", { name: "Fold all steps" }));
    expect(await screen.findByRole("button", { name: "Unfold all steps" })).toBeTruthy();
  });

  it("shows lines as they are written, when the stream tells of them", async () => {
    const { world } = show("/deployments/d-checkout?stage=s4");
    await screen.findByText("Live", {}, patient);
    const d = world.deployment("d-checkout");
    world.end(d, world.stage(d, "s3"), "SUCCESS");
    await screen.findByText("being written", {}, patient);
    const lines = () => Number.parseInt(screen.getByText(/^\d+ lines?$/).textContent ?? "", 10);
    const before = lines();
    world.write(d, world.stage(d, "s4"), "INFO", "3 of 4 tasks run");
    await waitFor(() => expect(lines()).toBe(before + 1), { timeout: 5_000 });
  });

  it("gives id, address, command and JSON to other tools", async () => {
    const { user } = show("/deployments/d-checkout");
    await user.click(await screen.findByRole("button", { name: "For other tools" }, patient));
    const dialog = await screen.findByRole("dialog");
    expect(dialog.textContent).toContain("penstock deployment follow d-checkout");
    expect(dialog.textContent).toContain('"applicationName": "checkout"');
  });

  it("cancels only after the effect was said", async () => {
    const { world, user } = show("/deployments/d-checkout");
    await user.click(await screen.findByRole("button", { name: "Cancel" }, patient));
    const dialog = await screen.findByRole("dialog");
    expect(document.activeElement?.textContent).toBe("Let it run");
    await user.click(within(dialog).getByRole("radio", { name: /Stay here/ }));
    await user.click(within(dialog).getByRole("button", { name: "Cancel the deployment" }));
    await waitFor(() => expect(world.deployment("d-checkout").cancel?.choice).toBe("NEVER"));
  });
});

describe("the list of applications", () => {
  it("asks the server for what the URL says", async () => {
    show("/applications?sync=OUT_OF_SYNC");
    const table = await screen.findByRole("table", {}, patient);
    expect(within(table).getAllByRole("link", { name: /^(search|ledger)$/ })).toHaveLength(2);
    expect(within(table).queryByRole("link", { name: "checkout" })).toBeNull();
  });

  it("puts a filter into the URL", async () => {
    const { router, user } = show("/applications");
    await user.click(await screen.findByRole("button", { name: "Sync", expanded: false }, patient));
    await user.click(await screen.findByRole("checkbox", { name: /^Invalid configuration/ }, patient));
    await waitFor(() => expect(router.state.location.search).toEqual({ sync: "INVALID_CONFIG" }));
  });

  it("registers what was found in git, and the offer goes", async () => {
    const { world, user } = show("/applications");
    await user.click(await screen.findByRole("button", { name: "Register wishlist" }, patient));
    await waitFor(() => expect(world.data.applications.some((a) => a.name === "wishlist")).toBe(true));
    await waitFor(() => expect(screen.queryByRole("button", { name: "Register wishlist" })).toBeNull());
  });

  it("does not show old health as if it were new", async () => {
    show("/applications?q=mailer");
    const row = (await screen.findByRole("link", { name: "mailer" }, patient)).closest("tr");
    expect(row?.textContent).toContain("Unknown");
    expect(row?.textContent).not.toContain("Healthy");
  });
});

describe("the page of an application", () => {
  it("says why git is ahead", async () => {
    show("/applications/app-search");
    expect(await screen.findByText("Git is ahead, and this application is held", {}, patient)).toBeTruthy();
  });

  it("shows what somebody else changed", async () => {
    show("/applications/app-ledger");
    expect(await screen.findByText("Somebody else changed what is live", {}, patient)).toBeTruthy();
    expect(await screen.findByText(/30 % to the canary group/, {}, patient)).toBeTruthy();
  });

  it("is deleted only by its name", async () => {
    const { world, user } = show("/applications/app-search");
    await user.click(await screen.findByRole("button", { name: "Delete" }, patient));
    const dialog = await screen.findByRole("dialog");
    await user.click(within(dialog).getByRole("button", { name: "Delete" }));
    expect(world.data.applications.some((a) => a.name === "search")).toBe(true);
    await user.type(within(dialog).getByRole("textbox"), "search");
    await user.click(within(dialog).getByRole("button", { name: "Delete" }));
    await waitFor(() => expect(world.data.applications.some((a) => a.name === "search")).toBe(false));
  });
});

describe("a resource of the live state", () => {
  it("opens a panel that is in the URL, and gives the focus back", async () => {
    const { user, router } = show("/applications/app-checkout");
    const service = await screen.findByRole("button", { name: "Service checkout" }, patient);
    await user.click(service);
    const panel = await screen.findByRole("complementary", { name: "Service checkout" }, patient);
    expect(within(panel).getByText("(service checkout) has reached a steady state.")).toBeTruthy();
    expect(within(panel).getByRole("link", { name: /console of the platform/ }).getAttribute("href")).toContain("ap-northeast-1.console");
    expect(router.state.location.search).toHaveProperty("resource");
    await user.keyboard("{Alt>}{ArrowDown}{/Alt}");
    expect(screen.queryByRole("complementary", { name: "Service checkout" })).toBeNull();
    await user.keyboard("{Alt>}{ArrowUp}{/Alt}{Escape}");
    await waitFor(() => expect(screen.queryByRole("complementary")).toBeNull());
    expect(document.activeElement).toBe(service);
  });
  it("that is gone says so", async () => {
    show("/applications/app-checkout?resource=no-such-thing");
    expect(await screen.findByRole("complementary", { name: "This resource is gone" }, patient)).toBeTruthy();
  });
});

describe("two deployments", () => {
  it("are chosen in the list and compared", async () => {
    const { user, router } = show("/deployments");
    const boxes = await screen.findAllByRole("checkbox", { name: /^Choose deployment/ }, patient);
    const [first, second] = boxes;
    if (!first || !second) throw new Error("two rows");
    await user.click(first);
    expect(screen.getByRole("button", { name: "Compare" }).getAttribute("aria-disabled")).toBe("true");
    await user.click(second);
    // Two applications have nothing to compare, and the button says so.
    expect(screen.getByRole("button", { name: "Compare" }).getAttribute("title")).toContain("same application");
    await router.navigate({ to: "/compare", search: { a: "d-checkout", b: "d-checkout" } });
    expect(await screen.findByText(/Both texts are the same/, {}, patient)).toBeTruthy();
    expect(screen.getAllByLabelText("the same").length).toBeGreaterThan(5);
  });
  it("that do not exist are an error with its reason", async () => {
    show("/compare?a=nothing&b=d-checkout");
    expect(await screen.findByRole("alert", {}, patient)).toBeTruthy();
  });
});

describe("a decision", () => {
  it("waits until what would change was shown", async () => {
    const { world, user } = show("/applications/app-checkout");
    let answer = () => {};
    world.answering = new Promise((resolve) => {
      answer = resolve;
    });
    await user.click(await screen.findByRole("button", { name: "Quick sync" }, patient));
    const dialog = await screen.findByRole("dialog");
    const go = () => within(dialog).getByRole("button", { name: "Sync" });
    expect(document.activeElement?.textContent).toBe("Close");
    expect(go().getAttribute("aria-disabled")).toBe("true");
    const before = world.data.deployments.length;
    await user.click(go());
    expect(world.data.deployments.length).toBe(before);
    answer();
    await within(dialog).findByRole("region", { name: "Changes" }, patient);
    expect(dialog.textContent).toContain("Quick sync:");
    await user.click(go());
    await waitFor(() => expect(world.data.deployments.length).toBe(before + 1));
  });

  it("says why nothing can be shown, and goes on only when told so", async () => {
    const { user } = show("/applications/app-mailer");
    await user.click(await screen.findByRole("button", { name: "Sync" }, patient));
    const dialog = await screen.findByRole("dialog");
    await within(dialog).findByText("no agent of the application is connected: start one, then ask again", {}, patient);
    expect(within(dialog).getByRole("button", { name: "Sync" }).getAttribute("aria-disabled")).toBe("true");
    await user.click(within(dialog).getByRole("button", { name: "Go on without" }));
    expect(within(dialog).getByRole("button", { name: "Sync" }).getAttribute("aria-disabled")).toBeNull();
  });

  it("to roll back needs a note, and is kept among the commands", async () => {
    const world = new World();
    const good = world.data.deployments.find((d) => d.end === "DECLARED");
    const { world: shown, user } = show(`/deployments/${good?.id}`);
    await user.click(await screen.findByRole("button", { name: "Roll back to this" }, patient));
    const dialog = await screen.findByRole("dialog");
    await within(dialog).findByText(/^Live against the commit/, {}, patient);
    const back = () => within(dialog).getByRole("button", { name: "Roll back" });
    expect(back().getAttribute("aria-disabled")).toBe("true");
    await user.type(within(dialog).getByRole("textbox"), "errors in the shop");
    await user.click(back());
    await waitFor(() => expect(shown.data.deployments[0]?.trigger?.rollbackTo).toBe(good?.id));
    const bell = await screen.findByRole("button", { name: /^Commands: [1-9]/ }, patient);
    await user.click(bell);
    const list = await screen.findByRole("dialog", { name: "What you asked for" });
    expect(list.textContent).toContain("errors in the shop");
  });
});

describe("links to give away", () => {
  it("are badges too, once an admin wants them", async () => {
    const { user } = show("/applications/app-checkout");
    await user.click(await screen.findByRole("button", { name: "For other tools" }, patient));
    const badge = within(await screen.findByRole("region", { name: "Badge" }));
    await user.click(badge.getByRole("button", { name: "Turn on badges" }));
    const image = await badge.findByRole("img", { name: "Badge of checkout" }, patient);
    expect(image.getAttribute("src")).toBe("/badges/demo/app-checkout/token.svg?lang=en");
    expect(badge.getByText(/^\[!\[checkout\]\(http.*token\.svg\?lang=en\)\]\(http.*\/applications\/app-checkout\)$/)).toBeTruthy();
  });

  it("hold stage, attempt and line of a log", async () => {
    const { user } = show("/deployments/d-search?stage=s1&line=2");
    await user.click(await screen.findByRole("button", { name: /Copy link/ }, patient));
    await waitFor(async () => expect(await navigator.clipboard.readText()).toMatch(/^http.*\/deployments\/d-search\?stage=s1&attempt=\d+&line=2$/));
  });
});

describe("the webhooks", () => {
  it("have a URL for each host, a secret that is shown once, and what came of the last delivery", async () => {
    const { world, user } = show("/webhooks");
    expect(await screen.findByText("No secret is set, so every delivery is refused", {}, patient)).toBeTruthy();
    expect(screen.getAllByRole("row")).toHaveLength(6);
    const github = screen.getByRole("row", { name: /^GitHub/ });
    expect(github.textContent).toContain("/webhooks/github/demo");
    expect(github.textContent).toContain("accepted: an agent looked at the branch");
    expect(github.textContent).toContain("refused: the secret is wrong or missing");
    await user.click(screen.getByRole("button", { name: "Make a secret" }));
    await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Make a secret" }));
    await waitFor(() => expect(world.webhookSecret).toMatch(/^[A-Z2-7]{26}$/));
    const once = await screen.findByRole("dialog", { name: "The secret" });
    expect(once.textContent).toContain(world.webhookSecret);
    await user.click(within(once).getByRole("button", { name: "The git hosts have it" }));
    await screen.findByRole("button", { name: "Change the secret" });
    expect(document.body.textContent).not.toContain(world.webhookSecret);
  });

  it("are changed by admins alone", async () => {
    const { user } = show("/webhooks", "operator");
    await user.click(await screen.findByRole("button", { name: "Make a secret", description: /lacks the right project:write/ }, patient));
    expect(screen.queryByRole("dialog")).toBeNull();
  });
});

describe("the rows of a list", () => {
  const links = () => [...document.querySelectorAll<HTMLAnchorElement>("main [data-row]")];

  it("are written over by the answer to the next address, and not before", async () => {
    const { router, user } = show("/applications?sort=-name");
    await waitFor(() => expect(links().length).toBeGreaterThan(2), patient);
    const rows = links();
    await user.click(screen.getByRole("button", { name: "Application" }));
    await waitFor(() => expect(router.state.location.search).toEqual({}));
    await waitFor(() => expect(links().map((a) => a.textContent)).toEqual(links().map((a) => a.textContent).toSorted()));
    expect(links().every((a, i) => a === rows[i])).toBe(true);
    expect(links()[0]?.getAttribute("href")).not.toContain("sort");
  });

  it("lead where the router's own links would", async () => {
    const { router } = show("/applications?q=a%26b%20%3D%22c%22");
    for (const from of [undefined, "", "q=a%26b+%3D%22c%22&sort=-name", "1", "true", "日本"]) {
      const search = from === undefined ? {} : { from };
      expect(rowHref(router.options.stringifySearch, "/applications/$id", "a b/c", from)).toBe(router.buildLocation({ to: "/applications/$id", params: { id: "a b/c" }, search }).href);
    }
  });
});

describe("who is not signed in", () => {
  it("signs in and comes to where they wanted to be", async () => {
    const { world, router, user } = show("/agents");
    await screen.findByRole("heading", { name: "Agents" }, patient);
    await user.click(screen.getByRole("button", { name: "Sign out" }));
    await screen.findByLabelText("User name", {}, patient);
    await router.navigate({ to: "/deployments/$id", params: { id: "d-search" } });
    await user.type(await screen.findByLabelText("User name", {}, patient), "admin");
    await user.type(screen.getByLabelText("Password"), "secret");
    await user.click(screen.getByRole("button", { name: "Sign in" }));
    await waitFor(() => expect(router.state.location.pathname).toBe("/deployments/d-search"));
    expect(world.signedIn).toBe(true);
  });
});

it("shows the key of a new agent once, in a file that is ready to paste", async () => {
  const { user } = show("/agents");
  await user.click(await screen.findByRole("button", { name: "Register an agent" }, patient));
  await user.type(within(await screen.findByRole("dialog")).getByRole("textbox"), "osaka");
  await user.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Register" }));
  const file = await screen.findByText(/apiVersion: pipecd.dev\/v1beta1/, {}, patient);
  expect(file.textContent).toContain("projectID: demo");
});
