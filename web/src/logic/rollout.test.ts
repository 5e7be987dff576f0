import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { type Traffic, TrafficSampleSchema, TrafficSchema } from "../gen/penstock/v1/application_pb";
import { EventSchema } from "../gen/penstock/v1/common_pb";
import { type Deployment, DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { AgentSchema } from "../gen/penstock/v1/project_pb";
import { holderOf } from "./agents";
import { commitsSince, compareUrl, requestOf } from "./commits";
import { expectedRest, expectedTimes } from "./expected";
import { columnsFor, stageGraph } from "./stage-graph";
import { timeline } from "./timeline";
import { gapOf, shareOf, trafficPicture, versionStates } from "./traffic-history";
import { ticks, waterfall } from "./waterfall";

const now = new Date("2026-11-23T13:00:00Z");
const at = (s: number) => timestampFromDate(new Date(now.getTime() + s * 1000));
const deployment = (init: MessageInitShape<typeof DeploymentSchema>) => create(DeploymentSchema, { id: "d", status: "RUNNING", ...init });
const stage = (id: string, status: string, more: object = {}) => ({ id, name: id, status, type: "PLATFORM", ...more });
const ran = (id: string, from: number, to: number, more: object = {}) => stage(id, "SUCCESS", { startedAt: at(from), endedAt: at(to), ...more });

describe("the graph of stages", () => {
  const graph = (d: Deployment, fit: number) => stageGraph(timeline(d, now), fit, true);
  const cells = (d: Deployment, fit: number) => graph(d, fit).nodes.map((n) => `${n.view.stage.id}:${n.column},${n.row} ${n.edge}${n.walked ? "" : "?"}`);
  const seven = deployment({ stages: [..."abcdefg"].map((id) => stage(id, "NOT_STARTED_YET")) });

  it("draws every stage once and fills the rows evenly", () => {
    const ids = graph(seven, 6).nodes.map((n) => n.view.stage.id);
    expect(ids).toEqual([..."abcdefg"]);
    expect(cells(seven, 6).slice(3, 5)).toEqual(["d:3,0 along?", "e:0,1 down?"]);
  });
  it("is a column where nothing fits beside anything", () => {
    expect(cells(seven, 1).slice(0, 3)).toEqual(["a:0,0 none?", "b:0,1 down?", "c:0,2 down?"]);
    expect(columnsFor(320)).toBe(1);
    expect(columnsFor(1198)).toBe(6);
  });
  it("begins the way back below the stage that it turned at", () => {
    const d = deployment({
      status: "ROLLING_BACK",
      rollbackAt: at(-5),
      stages: [ran("a", -30, -20), stage("b", "FAILURE", { startedAt: at(-20), endedAt: at(-5) }), stage("c", "NOT_STARTED_YET"), stage("r", "RUNNING", { rollback: true, startedAt: at(-5) })],
    });
    expect(cells(d, 6)).toEqual(["a:0,0 none", "b:1,0 along", "c:2,0 along?", "r:1,1 turn"]);
    expect(graph(d, 6).turnedAt?.stage.id).toBe("b");
    expect(cells(d, 2)).toEqual(["a:0,0 none", "b:1,0 along", "c:0,1 down?", "r:0,2 turn"]);
  });
});

describe("the time that is expected", () => {
  const past = [10, 30, 20].map((s, i) => deployment({ id: `p${i}`, status: "SUCCESS", stages: [ran("x", -100, -100 + s), ran("x", -50, -49)] }));
  const d = deployment({ stages: [stage("s1", "RUNNING", { name: "x", startedAt: at(-5) }), stage("s2", "NOT_STARTED_YET", { name: "x" })] });

  it("is the median of three runs or more of the same stage in the same place", () => {
    expect([...expectedTimes(d, past)]).toEqual([
      ["s1", 20_000],
      ["s2", 1000],
    ]);
    expect(expectedTimes(d, past.slice(1)).size).toBe(0);
    expect(expectedTimes(d, past.map((p) => ({ ...p, status: "FAILURE" }))).size).toBe(0);
  });
  it("adds up to the rest of the way, and to nothing when a part is not known", () => {
    expect(expectedRest(d, expectedTimes(d, past), now)).toBe(16_000);
    expect(expectedRest(d, new Map([["s1", 20_000]]), now)).toBeUndefined();
  });
});

describe("the waterfall", () => {
  const d = deployment({
    triggeredAt: at(-60),
    admittedAt: at(-50),
    plannedAt: at(-48),
    stages: [ran("a", -48, -30, { steps: ["one", "two"] }), stage("b", "RUNNING", { startedAt: at(-30) }), stage("c", "NOT_STARTED_YET"), stage("e", "NOT_STARTED_YET")],
  });
  const step = (n: number, s: number, stageId = "a") => create(EventSchema, { type: "STEP_DONE", at: at(s), data: JSON.stringify({ stage: stageId, step: n }) });
  const fall = waterfall(d, timeline(d, now), now, new Map([["b", 40_000], ["c", 5000]]), [step(0, -40), step(1, -31)]);

  it("shows queue, planning and stages one below the other", () => {
    expect(fall.bars.map((b) => [b.view?.stage.id ?? b.kind, b.from, b.to, b.expected])).toEqual([
      ["queue", 0, 10_000, undefined],
      ["planning", 10_000, 12_000, undefined],
      ["a", 12_000, 30_000, undefined],
      ["b", 30_000, 60_000, 70_000],
      ["c", 70_000, 70_000, 75_000],
      ["e", undefined, undefined, undefined],
    ]);
    expect([fall.total, fall.now]).toEqual([75_000, 60_000]);
  });
  it("divides a stage where its steps ended", () => {
    expect(fall.bars[2]?.steps).toEqual([
      { at: 20_000, name: "one" },
      { at: 29_000, name: "two" },
    ]);
  });
  it("bears a record that it cannot read", () => {
    const odd = create(EventSchema, { type: "STEP_DONE", at: at(-1), data: "{" });
    expect(waterfall(d, timeline(d, now), now, new Map(), [odd, step(0, -1, "gone")]).bars).toHaveLength(6);
  });
  it("has an axis of round times", () => {
    expect(ticks(75_000, 6)).toEqual([0, 15_000, 30_000, 45_000, 60_000, 75_000]);
    expect(ticks(3 * 86_400_000, 6)).toHaveLength(7);
    expect(ticks(100 * 86_400_000, 6).length).toBeLessThanOrEqual(7);
  });
});

describe("real and wished traffic", () => {
  const plan = { versions: [{ version: "v2" }], from: [{ version: "v1" }] };
  const routes = (percent: number): Traffic[] => [
    create(TrafficSchema, {
      route: "rule",
      groups: [
        { group: "p", variant: "primary", percent: 100 - percent, healthy: 4, total: 4, versions: { v1: 4 } },
        { group: "c", variant: "canary", percent, healthy: 1, total: 1, versions: { v2: 1 } },
      ],
    }),
  ];
  const seen = (from: number, to: number, percent: number) => create(TrafficSampleSchema, { at: at(from), until: at(to), traffic: routes(percent) });
  const stages = [ran("a", -100, -60, { exposure: { from: 0, to: 20 } }), stage("w", "RUNNING", { startedAt: at(-60), type: "WAIT", exposure: { from: 20, to: 20 } })];
  const d = deployment({ plan, startedAt: at(-100), stages });
  const spans = (list: readonly { from: number; to: number }[]) => list.map((o) => [(o.from - now.getTime()) / 1000, (o.to - now.getTime()) / 1000]);

  it("draws what was seen until it was seen otherwise, and what was wished in steps", () => {
    const p = trafficPicture(d, [seen(-500, -82, 0), seen(-80, -3, 20)], now);
    expect(p?.observed.map((o) => o.percent)).toEqual([0, 20]);
    expect(spans(p?.observed ?? [])).toEqual([
      [-100, -80],
      [-80, 0],
    ]);
    expect(p?.wished.map((w) => [w.low, w.high])).toEqual([
      [0, 20],
      [20, 20],
    ]);
    expect(p?.bands.map((b) => [b.name, b.word])).toEqual([
      ["a", "SUCCESS"],
      ["w", "WAITING"],
    ]);
    expect(p?.gaps).toBe(false);
  });
  it("leaves empty where nobody looked, and draws nothing without any look", () => {
    const late = deployment({ plan, startedAt: at(-600), stages });
    const p = trafficPicture(late, [seen(-590, -400, 0), seen(-100, -3, 20)], now);
    expect(spans(p?.observed ?? [])).toEqual([
      [-590, -400],
      [-100, 0],
    ]);
    expect(p?.gaps).toBe(true);
    expect(trafficPicture(d, [], now)).toBeUndefined();
  });
  it("wishes nothing from the turn on", () => {
    const back = deployment({
      plan,
      status: "ROLLING_BACK",
      startedAt: at(-100),
      rollbackAt: at(-20),
      stages: [ran("a", -100, -60, { exposure: { from: 0, to: 20 } }), stage("b", "FAILURE", { startedAt: at(-60), endedAt: at(-20), exposure: { from: 20, to: 100 } })],
    });
    const wished = trafficPicture(back, [seen(-500, 0, 20)], now)?.wished ?? [];
    expect(wished[wished.length - 1]).toEqual({ from: now.getTime() - 20_000, to: now.getTime(), low: 0, high: 0 });
  });
  it("explains why real is not as wished", () => {
    const routing = (more: object) => deployment({ plan, stages: [stage("t", "RUNNING", { startedAt: at(-10), exposure: { from: 20, to: 20 }, ...more })] });
    expect(gapOf(d, 20.5, at2(-3))).toBe("none");
    expect(gapOf(d, 5, at2(-90))).toBe("old");
    expect(gapOf(d, 5, at2(-3))).toBe("foreign");
    expect(gapOf(routing({}), 5, at2(-3))).toBe("writing");
    expect(gapOf(routing({ waiting: { code: "ECS_SETTLING", args: {}, text: "" } }), 5, at2(-3))).toBe("waiting");
    expect(gapOf(deployment({ status: "ROLLING_BACK", stages: [stage("r", "RUNNING", { rollback: true, startedAt: at(-9) })] }), 5, at2(-3))).toBe("back");
    expect(gapOf(deployment({}), 5, at2(-3))).toBe("unknown");
  });
  it("measures versions over all routes", () => {
    expect(shareOf([...routes(20), ...routes(40)], d)).toBe(30);
    expect(versionStates(routes(20), d)).toEqual([
      { version: "v2", fresh: true, percent: 20, targets: 1 },
      { version: "v1", fresh: false, percent: 80, targets: 4 },
    ]);
  });
  const at2 = (s: number) => new Date(now.getTime() + s * 1000);
});

describe("what comes with a deployment", () => {
  const run = (id: string, seconds: number, status: string, hash = id) => deployment({ id, status, triggeredAt: at(seconds), trigger: { commit: { hash, author: id } } });
  it("is the commits since the last success", () => {
    const d = run("d", 0, "RUNNING");
    const history = [run("next", 5, "PENDING"), d, run("c", -1, "FAILURE"), run("b", -2, "CANCELLED"), run("again", -3, "FAILURE", "c"), run("good", -4, "SUCCESS"), run("old", -9, "FAILURE")];
    expect(commitsSince(d, history).map((c) => c.hash)).toEqual(["c", "b"]);
    expect(commitsSince(d, [run("c", -1, "FAILURE")])).toEqual([]);
  });
  it("is compared where the code host is known", () => {
    expect(compareUrl("https://github.com/a/b/commit/0123ab", "f00", "0123ab")).toBe("https://github.com/a/b/compare/f00...0123ab");
    expect(compareUrl("https://git.x/a/b/-/commit/0123ab", "f00", "0123ab")).toBe("https://git.x/a/b/-/compare/f00...0123ab");
    expect(compareUrl("javascript:alert(1)/commit/0123ab", "f00", "0123ab")).toBeUndefined();
    expect(compareUrl("https://github.com/a/b/commit/0123ab", "", "0123ab")).toBeUndefined();
  });
  it("is carried by a process that the list of agents knows", () => {
    const agents = [create(AgentSchema, { name: "tokyo", processes: [{ id: "01234567-89ab", host: "h", version: "1.2.3", online: true }] })];
    expect(holderOf("h/567-89ab", agents)).toEqual({ agent: "tokyo", version: "1.2.3", online: true });
    expect(holderOf("h/other", agents)).toBeUndefined();
  });
});

describe("the request that a commit came by", () => {
  const commit = (subject: string, url: string) => ({ subject, url });
  const github = "https://git.example.com/team/shop/commit/0a1b";
  const gitlab = "https://git.example.com/team/shop/-/commit/0a1b";
  it("is a link where subject and host name it", () => {
    expect(requestOf(commit("Ship v2 (#12)", github))).toEqual({ name: "#12", url: "https://git.example.com/team/shop/pull/12" });
    expect(requestOf(commit("Merge pull request #7 from me/fix", github))?.url).toBe("https://git.example.com/team/shop/pull/7");
    expect(requestOf(commit("Ship v2 (!3)", gitlab))?.url).toBe("https://git.example.com/team/shop/-/merge_requests/3");
  });
  it("is not guessed", () => {
    for (const [subject, url] of [
      ["Ship v2", github],
      ["Ship v2 (#12)", ""],
      ["Ship v2 (#12)", "file:///srv/shop"],
      ["Fix #12 and more", github],
      ["Ship v2 (#12)", gitlab],
    ] as const)
      expect(requestOf(commit(subject, url))).toBeUndefined();
  });
});
