import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ResourceSchema, TrafficSchema } from "../gen/penstock/v1/application_pb";
import { PlanSchema } from "../gen/penstock/v1/deployment_pb";
import { diffCounts, diffLines } from "./diff";
import { eventFacts, eventName } from "./events";
import { pipedFile } from "./piped";
import { treeRows } from "./resource-tree";
import { routeViews, shortName } from "./traffic";

describe("treeRows", () => {
  const r = (id: string, parent: string, health = "HEALTHY", kind = "Task") => create(ResourceSchema, { id, parent, health, kind, name: id });
  const shape = (list: ReturnType<typeof r>[]) => treeRows(list).map((row) => `${"-".repeat(row.depth)}${row.resource.id}`);

  it("puts children below their owner and problems first", () => {
    expect(shape([r("svc", "", "HEALTHY", "Service"), r("t1", "svc"), r("t2", "svc", "UNHEALTHY"), r("t3", "svc", "PROGRESSING")])).toEqual(["svc", "-t2", "-t3", "-t1"]);
  });
  it("keeps what has lost its owner, and rings too", () => {
    expect(shape([r("orphan", "gone"), r("a", "b"), r("b", "a"), r("self", "self")])).toEqual(["orphan", "self", "a", "-b"]);
  });
  it("counts children", () => expect(treeRows([r("a", ""), r("b", "a"), r("c", "a")])[0]?.children).toBe(2));
});

describe("routeViews", () => {
  const plan = create(PlanSchema, { from: [{ version: "v1" }], versions: [{ version: "v2" }] });
  const traffic = (versions: Record<string, number>, canaryHealthy = 2) =>
    create(TrafficSchema, {
      route: "rule",
      groups: [
        { group: "p", variant: "primary", percent: 80, healthy: 4, total: 4, versions },
        { group: "c", variant: "canary", percent: 20, healthy: canaryHealthy, total: 2, versions: { v2: 2 } },
      ],
    });
  it("measures the new version by weights and by who answers", () => {
    expect(routeViews([traffic({ v1: 4 })], plan)[0]?.newShare).toBe(20);
    // While the primary is replaced users see the new version although the weights still read 80 to 20.
    expect(routeViews([traffic({ v1: 1, v2: 3 })], plan)[0]?.newShare).toBe(80);
    expect(routeViews([traffic({ v2: 4 })], plan)[0]?.newShare).toBe(100);
  });
  it("takes the canary for the new version where versions tell nothing", () => {
    const same = create(PlanSchema, { from: [{ version: "v1" }], versions: [{ version: "v1" }] });
    expect(routeViews([traffic({ v1: 4 })], same)[0]?.newShare).toBe(20);
    expect(routeViews([traffic({})])[0]?.newShare).toBe(20);
  });
  it("sees a group with weight and nobody behind it", () => {
    expect(routeViews([traffic({ v1: 4 }, 0)], plan)[0]?.groups.map((g) => g.starved)).toEqual([false, true]);
  });
  it.each([
    ["arn:aws:elasticloadbalancing:ap-northeast-1:0123:targetgroup/checkout-canary/73e2d6bc24d8a067", "checkout-canary"],
    ["arn:aws:ecs:ap-northeast-1:0123:service/shop/checkout", "checkout"],
    ["edge", "edge"],
    ["", ""],
  ])("calls %s %s", (arn, name) => expect(shortName(arn)).toBe(name));
});

describe("diffLines", () => {
  it("reads the mark at the beginning of a line only", () => {
    const lines = diffLines("+ a: added 1\n- b: removed - x\n~ c: 1 → 2\n  … and 3 more\n");
    expect(lines.map((l) => l.mark)).toEqual(["add", "remove", "change", "none"]);
    expect(diffCounts(lines)).toEqual({ add: 1, remove: 1, change: 1 });
  });
  it("has no lines for nothing", () => expect(diffLines("")).toEqual([]));
});

describe("events", () => {
  it("reads what the data adds", () => {
    expect(eventFacts({ type: "STAGE_STARTED", data: '{"stage":"s1","attempt":2}' })).toEqual({ stage: "s1", detail: "#2" });
    expect(eventFacts({ type: "STEP_DONE", data: '{"stage":"s1","step":0}' })).toEqual({ stage: "s1", detail: "1" });
    expect(eventFacts({ type: "FINISHED", data: '{"status":"FAILURE","end":"SNAPSHOT"}' })).toEqual({ detail: "FAILURE · SNAPSHOT" });
  });
  it("bears data that it cannot read, and events of a newer server", () => {
    expect(eventFacts({ type: "FINISHED", data: "{" })).toEqual({ detail: "" });
    expect(eventFacts({ type: "SOMETHING_NEW", data: "[]" })).toEqual({});
    expect(eventName("SOMETHING_NEW").message).toBe("SOMETHING_NEW");
  });
});

describe("pipedFile", () => {
  const facts = { projectId: "demo", agentId: "a-1", key: "psa_キー" };
  it("names the server by host and port over TLS, by URL without it", () => {
    expect(pipedFile({ ...facts, origin: "https://penstock.example.com" })).toContain("apiAddress: penstock.example.com:443\n");
    expect(pipedFile({ ...facts, origin: "http://127.0.0.1:8080" })).toContain("apiAddress: http://127.0.0.1:8080\n");
  });
  it("carries the key in base64 of its bytes", () => {
    const line = pipedFile({ ...facts, origin: "https://x" }).split("\n").find((l) => l.includes("pipedKeyData")) ?? "";
    const bytes = Uint8Array.from(atob(line.split(": ")[1] ?? ""), (c) => c.codePointAt(0) ?? 0);
    expect(new TextDecoder().decode(bytes)).toBe("psa_キー");
  });
});
