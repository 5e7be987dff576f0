import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ResourceSchema } from "../gen/penstock/v1/application_pb";
import { around, factGroups } from "./resource-panel";
import { applicationSearch } from "./search";

const resource = (id: string, parent = "", health = "HEALTHY") => create(ResourceSchema, { id, parent, name: id, kind: "Task", health });

describe("the panel of a resource", () => {
  const all = [resource("service"), resource("b", "service"), resource("a", "service", "UNHEALTHY"), resource("b1", "b")];
  it("knows what owns it, what it owns and its neighbours", () => {
    expect(around(all, "service")).toMatchObject({ parts: [{ id: "a" }, { id: "b" }], next: { id: "a" } });
    expect(around(all, "b")).toMatchObject({ owner: { id: "service" }, parts: [{ id: "b1" }], previous: { id: "a" }, next: { id: "b1" } });
    expect(around(all, "b1").next).toBeUndefined();
    expect(around(all, "gone")).toEqual({ parts: [] });
  });
  it("is not its own owner", () => {
    const ring = [resource("x", "x")];
    expect(around(ring, "x")).toEqual({ parts: [] });
  });
  it("has facts that belong together in groups", () => {
    expect(factGroups({ running: "2", "env/web/MODE": "••••", desired: "3", "env/web/A": "••••" })).toEqual([
      { name: "", facts: [{ name: "desired", value: "3" }, { name: "running", value: "2" }] },
      { name: "env", facts: [{ name: "web/A", value: "••••" }, { name: "web/MODE", value: "••••" }] },
    ]);
    expect(factGroups({})).toEqual([]);
  });
  it("is in the URL", () => {
    expect(applicationSearch({ resource: "arn:aws:ecs:r:1:task/c/x", from: "?q=a" })).toEqual({ resource: "arn:aws:ecs:r:1:task/c/x", from: "?q=a" });
  });
});
