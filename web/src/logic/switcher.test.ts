import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { SearchHitSchema } from "../gen/penstock/v1/project_pb";
import { around, matching, targets } from "./switcher";

const actions = [
  { id: "applications", name: "Go to the applications" },
  { id: "ja", name: "日本語", also: "Japanese language" },
];

it("finds an action by all words, of any width and case", () => {
  expect(matching(actions, "GO appl").map((a) => a.id)).toEqual(["applications"]);
  expect(matching(actions, "ｊａｐ").map((a) => a.id)).toEqual(["ja"]);
  expect(matching(actions, "go nowhere")).toEqual([]);
});

it("tells things of one name apart, and leaves out what it cannot open", () => {
  const hit = (kind: string, environment: string) => create(SearchHitSchema, { kind, id: `id-${environment}`, name: "shop", projectId: "p", environment, provider: "ecs" });
  expect(targets([hit("application", "prod"), hit("application", "stage"), hit("comet", "x")], actions, "shop").map((t) => t.apart)).toEqual(["p · prod · ecs", "p · stage · ecs"]);
});

it("goes round at the ends", () => {
  expect([around(0, -1, 3), around(2, 1, 3), around(0, 1, 0)]).toEqual([2, 0, 0]);
});
