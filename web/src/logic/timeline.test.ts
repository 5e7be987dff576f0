import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { DeploymentSchema } from "../gen/penstock/v1/deployment_pb";
import { failedWayBack, failingStage, focusStage, spent, stageAfter, timeline, waitingApproval, wishedShare } from "./timeline";

const now = new Date("2026-11-23T13:00:00Z");
const at = (s: number) => timestampFromDate(new Date(now.getTime() + s * 1000));

function deployment(init: MessageInitShape<typeof DeploymentSchema>) {
  return create(DeploymentSchema, init);
}

const stage = (id: string, status: string, more: object = {}) => ({ id, name: id.toUpperCase(), status, type: "PLATFORM", ...more });
const words = (d: ReturnType<typeof deployment>) => {
  const t = timeline(d, now);
  return { forward: t.forward.map((v) => v.word), back: t.back.map((v) => v.word), turned: t.turned };
};

describe("the stage behind another", () => {
  const d = deployment({ stages: [stage("a", "RUNNING"), stage("b", "NOT_STARTED_YET"), stage("r", "NOT_STARTED_YET", { rollback: true })] });
  it("is of the way forward", () => {
    const [a, b, r] = d.stages;
    if (!a || !b || !r) throw new Error("three stages");
    expect(stageAfter(d, a)?.id).toBe("b");
    expect(stageAfter(d, b)).toBeUndefined();
    expect(stageAfter(d, r)).toBeUndefined();
  });
});

describe("timeline", () => {
  it("tells running, waiting, to come and only if needed apart", () => {
    const d = deployment({
      status: "RUNNING",
      stages: [stage("a", "SUCCESS"), stage("w", "RUNNING", { type: "WAIT" }), stage("b", "NOT_STARTED_YET"), stage("r", "NOT_STARTED_YET", { rollback: true })],
    });
    expect(words(d)).toEqual({ forward: ["SUCCESS", "WAITING", "NOT_STARTED_YET"], back: ["STANDBY"], turned: false });
  });

  it("says not reached of what comes behind a failure", () => {
    const d = deployment({
      status: "ROLLING_BACK",
      rollbackAt: at(-5),
      stages: [stage("a", "FAILURE"), stage("b", "NOT_STARTED_YET"), stage("r", "RUNNING", { rollback: true }), stage("q", "NOT_STARTED_YET", { rollback: true })],
    });
    expect(words(d)).toEqual({ forward: ["FAILURE", "NOT_REACHED"], back: ["RUNNING", "NOT_STARTED_YET"], turned: true });
  });

  it("keeps the way back as not reached when it was not taken", () => {
    const d = deployment({ status: "SUCCESS", end: "DECLARED", stages: [stage("a", "SUCCESS"), stage("r", "NOT_STARTED_YET", { rollback: true })] });
    expect(words(d)).toEqual({ forward: ["SUCCESS"], back: ["NOT_REACHED"], turned: false });
  });

  it("counts elapsed time to the end, or to now, and names the step", () => {
    const d = deployment({
      status: "RUNNING",
      stages: [
        stage("a", "SUCCESS", { startedAt: at(-30), endedAt: at(-20) }),
        stage("b", "RUNNING", { startedAt: at(-20), steps: ["one", "two", "three"], step: 1, deadline: at(60) }),
        stage("c", "NOT_STARTED_YET"),
      ],
    });
    const [a, b, c] = timeline(d, now).forward;
    expect(a?.elapsedMs).toBe(10_000);
    expect(b).toMatchObject({ position: 2, elapsedMs: 20_000, step: { position: 2, count: 3, name: "two" }, deadline: new Date(now.getTime() + 60_000) });
    expect(c?.elapsedMs).toBeUndefined();
    expect(a?.step).toBeUndefined();
  });

  it("does not count beyond the last step", () => {
    const d = deployment({ status: "RUNNING", stages: [stage("b", "RUNNING", { steps: ["one"], step: 4 })] });
    expect(timeline(d, now).forward[0]?.step).toEqual({ position: 1, count: 1, name: "one" });
  });
});

describe("the stage that matters", () => {
  const failed = deployment({
    status: "FAILURE",
    stages: [stage("a", "SUCCESS"), stage("b", "FAILURE"), stage("c", "NOT_STARTED_YET"), stage("r", "FAILURE", { rollback: true })],
  });

  it("is the one that failed first, whatever the way back did", () => {
    expect(failingStage(failed)?.id).toBe("b");
    expect(focusStage(failed)?.id).toBe("b");
    expect(failedWayBack(failed)?.id).toBe("r");
  });

  it("is the running one before anything failed", () => {
    const d = deployment({ status: "RUNNING", stages: [stage("a", "SUCCESS"), stage("b", "RUNNING"), stage("c", "NOT_STARTED_YET")] });
    expect(focusStage(d)?.id).toBe("b");
    expect(failingStage(d)).toBeUndefined();
  });

  it("is the running way back after a cancel, and what was cancelled when it is over", () => {
    const stages = [stage("a", "CANCELLED"), stage("r", "RUNNING", { rollback: true })];
    expect(focusStage(deployment({ status: "ROLLING_BACK", stages }))?.id).toBe("r");
    const over = [stage("a", "CANCELLED"), stage("r", "SUCCESS", { rollback: true })];
    expect(focusStage(deployment({ status: "CANCELLED", stages: over }))?.id).toBe("a");
  });

  it("is the last one that did something after a success", () => {
    const d = deployment({ status: "SUCCESS", stages: [stage("a", "SUCCESS"), stage("b", "SUCCESS"), stage("c", "SKIPPED"), stage("r", "NOT_STARTED_YET", { rollback: true })] });
    expect(focusStage(d)?.id).toBe("b");
  });

  it("waits for people only while the deployment runs", () => {
    const stages = [stage("p", "RUNNING", { type: "APPROVAL" })];
    expect(waitingApproval(deployment({ status: "RUNNING", stages }))?.id).toBe("p");
    expect(waitingApproval(deployment({ status: "CANCELLED", stages }))).toBeUndefined();
  });
});

describe("spent", () => {
  it("splits the time of a deployment that went back", () => {
    const d = deployment({ status: "FAILURE", triggeredAt: at(-100), admittedAt: at(-90), plannedAt: at(-88), startedAt: at(-88), rollbackAt: at(-40), finishedAt: at(-10) });
    expect(spent(d, now)).toEqual({ queued: 10_000, planning: 2000, running: 48_000, back: 30_000, total: 90_000 });
  });

  it("counts the queue while it lasts and leaves out what was not reached", () => {
    expect(spent(deployment({ status: "PENDING", triggeredAt: at(-7) }), now)).toEqual({ queued: 7000, planning: undefined, running: undefined, back: undefined, total: 7000 });
  });
});

describe("wishedShare", () => {
  const stages = [
    stage("a", "SUCCESS", { exposure: { from: 0, to: 20 } }),
    stage("b", "RUNNING", { exposure: { from: 20, to: 100 } }),
    stage("r", "NOT_STARTED_YET", { rollback: true, exposure: { from: 0, to: 0 } }),
  ];
  it("is the exposure of the running stage", () => expect(wishedShare(deployment({ status: "RUNNING", stages }))).toEqual({ from: 20, to: 100 }));
  it("is what the last stage reached between two", () => {
    const between = [stage("a", "SUCCESS", { exposure: { from: 0, to: 20 } }), stage("b", "NOT_STARTED_YET")];
    expect(wishedShare(deployment({ status: "RUNNING", stages: between }))).toEqual({ from: 20, to: 20 });
  });
  it("is nothing on the way back and after it", () => {
    expect(wishedShare(deployment({ status: "ROLLING_BACK", stages }))).toEqual({ from: 0, to: 0 });
    expect(wishedShare(deployment({ status: "FAILURE", end: "SNAPSHOT", stages }))).toEqual({ from: 0, to: 0 });
  });
  it("is everything after a success", () => expect(wishedShare(deployment({ status: "SUCCESS", end: "DECLARED", stages }))).toEqual({ from: 100, to: 100 }));
  it("is unknown without a plan, and when a person must look", () => {
    expect(wishedShare(deployment({ status: "PENDING" }))).toBeUndefined();
    expect(wishedShare(deployment({ status: "FAILURE", end: "NEEDS_ATTENTION", stages }))).toBeUndefined();
  });
});
