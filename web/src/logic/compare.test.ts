import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { deploymentTook, inOrder, pairStages, picked, previousOf, stageTook, stageWords } from "./compare";
import { compareSearch } from "./search";

const deployment = (id: string, at: number, ...names: string[]) =>
  create(DeploymentSchema, {
    id,
    status: "SUCCESS",
    triggeredAt: timestampFromMs(at),
    finishedAt: timestampFromMs(at + 5000),
    stages: names.map((name, i) => ({ id: `${id}${i}`, name, rollback: name === "ROLLBACK", status: "SUCCESS", startedAt: timestampFromMs(at), endedAt: timestampFromMs(at + (i + 1) * 1000) })),
  });

describe("two deployments", () => {
  const a = deployment("a", 1000, "ECS_CANARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "ECS_PRIMARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "ROLLBACK");
  const b = deployment("b", 9000, "ECS_CANARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "WAIT_APPROVAL", "ECS_PRIMARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "ROLLBACK");
  it("have their stages side by side, and one that only one has alone", () => {
    expect(pairStages(a, b).map((p) => [p.name, p.older?.id, p.newer?.id])).toEqual([
      ["ECS_CANARY_ROLLOUT", "a0", "b0"],
      ["ECS_TRAFFIC_ROUTING", "a1", "b1"],
      ["WAIT_APPROVAL", undefined, "b2"],
      ["ECS_PRIMARY_ROLLOUT", "a2", "b3"],
      ["ECS_TRAFFIC_ROUTING", "a3", "b4"],
      ["ROLLBACK", "a4", "b5"],
    ]);
    expect(stageTook(a.stages[1])).toBe(2000);
    expect(stageTook(undefined)).toBeUndefined();
  });
  it("stand in the order of time", () => {
    expect(inOrder(b, a).map((d) => d.id)).toEqual(["a", "b"]);
    expect(deploymentTook(a)).toBe(5000);
    expect(deploymentTook(create(DeploymentSchema, { ...a, status: "RUNNING" }))).toBeUndefined();
  });
  it("are chosen two at a time", () => {
    expect(picked([], "a")).toEqual(["a"]);
    expect(picked(["a", "b"], "c")).toEqual(["b", "c"]);
    expect(picked(["a", "b"], "a")).toEqual(["b"]);
  });
  it("know which one came before", () => {
    const c = deployment("c", 20_000);
    expect(previousOf(c, [a, c, b])?.id).toBe("b");
    expect(previousOf(a, [a, b, c])).toBeUndefined();
  });
  it("say what became of a stage that was never begun", () => {
    const failed = deployment("f", 1000, "ECS_CANARY_ROLLOUT", "WAIT");
    const [first, second] = failed.stages;
    if (!first || !second) throw new Error("two stages");
    failed.status = "FAILURE";
    first.status = "FAILURE";
    second.status = "NOT_STARTED_YET";
    expect([...stageWords(failed, new Date(9000)).values()]).toEqual(["FAILURE", "NOT_REACHED"]);
  });
  it("are in the URL", () => {
    expect(compareSearch({ a: "d1", b: "d2", x: 1 })).toEqual({ a: "d1", b: "d2" });
    expect(compareSearch({})).toEqual({ a: "", b: "" });
  });
});
