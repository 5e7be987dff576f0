import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { i18n } from "@lingui/core";
import { describe, expect, it } from "vitest";
import { ApplicationSchema } from "../gen/penstock/v1/application_pb";
import { ApprovalSchema, DeploymentSchema, StageSchema } from "../gen/penstock/v1/deployment_pb";
import { rightsOf } from "../../mock/server";
import { type Verdict, type Who, answerNoted, has, mayApprove, mayCancel, mayDelete, mayReject, mayRetry, maySkip, maySync, typedName } from "./may";

const who = (role: string, name = "tanaka"): Who => ({ name, role, rights: rightsOf(role) });
const why = (v: Verdict) => (v.ok ? "yes" : i18n._(v.why));
const running = create(DeploymentSchema, { status: "RUNNING" });
const approval = (init: MessageInitShape<typeof StageSchema> = {}) => create(StageSchema, { type: "APPROVAL", status: "RUNNING", ...init } as MessageInitShape<typeof StageSchema>);

describe("rights", () => {
  it("names the role and the right that is missing", () => {
    expect(why(has(who("viewer"), "deployment:approve"))).toBe("Your role viewer lacks the right deployment:approve; ask an admin of the project");
    expect(why(has(who("operator"), "deployment:approve"))).toBe("yes");
    expect(has(who("operator"), "agent:write").ok).toBe(false);
  });
  it("comes before the state, so that nobody waits for what they may not do", () => {
    const disabled = create(ApplicationSchema, { disabled: true });
    expect(why(maySync(who("viewer"), disabled))).toContain("lacks the right application:sync");
  });
});

describe("applications", () => {
  const app = create(ApplicationSchema, { head: { hash: "abc" } });
  it("can be synced when enabled and seen in git", () => {
    expect(maySync(who("operator"), app).ok).toBe(true);
    expect(why(maySync(who("operator"), create(ApplicationSchema, { ...app, disabled: true })))).toContain("disabled");
    expect(why(maySync(who("operator"), create(ApplicationSchema)))).toContain("No agent has read the branch");
  });
  it("cannot be deleted while a deployment runs, or without the name", () => {
    expect(mayDelete(who("admin"), app).ok).toBe(true);
    expect(mayDelete(who("admin"), create(ApplicationSchema, { currentDeploymentId: "d" })).ok).toBe(false);
    expect(typedName("checkou", "checkout").ok).toBe(false);
    expect(typedName("checkout", "checkout").ok).toBe(true);
  });
});

describe("approvals", () => {
  it("are for those whom the stage names", () => {
    expect(mayApprove(who("operator"), running, approval()).ok).toBe(true);
    expect(mayApprove(who("operator"), running, approval({ approvers: ["tanaka"] })).ok).toBe(true);
    expect(why(mayApprove(who("operator"), running, approval({ approvers: ["mori"] })))).toContain("not among the approvers");
    expect(mayReject(who("operator"), running, approval({ approvers: ["mori"] })).ok).toBe(false);
  });
  it("are skipped only by those who may give them, and alone only where one is missing", () => {
    expect(maySkip(who("operator"), running, approval({ approvers: ["tanaka"] })).ok).toBe(true);
    expect(why(maySkip(who("admin"), running, approval({ approvers: ["mori"] })))).toContain("not among the approvers");
    expect(why(maySkip(who("operator"), running, approval({ approvals: 2 })))).toContain("more than one approval");
    expect(maySkip(who("operator"), running, approval({ approvals: 2, given: [create(ApprovalSchema, { by: "mori" })] })).ok).toBe(true);
  });
  it("may be somebody else's than the author's, by rule of the project", () => {
    const rules = { approvalNotByAuthor: true, approvalNeedsNote: false };
    const own = create(DeploymentSchema, { status: "RUNNING", own: true });
    expect(why(mayApprove(who("operator"), own, approval(), rules))).toContain("your own change");
    expect(why(maySkip(who("operator"), own, approval(), rules))).toContain("your own change");
    expect(maySkip(who("operator"), own, create(StageSchema, { type: "WAIT", status: "RUNNING" }), rules).ok).toBe(true);
    expect(mayReject(who("operator"), own, approval()).ok).toBe(true);
    expect(mayApprove(who("operator"), own, approval()).ok).toBe(true);
    expect(mayApprove(who("operator"), running, approval(), rules).ok).toBe(true);
  });
  it("may need a note, by rule of the project", () => {
    expect(answerNoted(" ", { approvalNotByAuthor: false, approvalNeedsNote: true }).ok).toBe(false);
    expect(answerNoted("fine", { approvalNotByAuthor: false, approvalNeedsNote: true }).ok).toBe(true);
    expect(answerNoted("").ok).toBe(true);
  });
  it("are given once, and can be turned into a rejection", () => {
    const given = approval({ given: [{ by: "tanaka" }] });
    expect(why(mayApprove(who("operator"), running, given))).toBe("You have approved already");
    expect(mayReject(who("operator"), running, given).ok).toBe(true);
  });
  it("are asked for only while the stage runs", () => {
    expect(mayApprove(who("operator"), running, approval({ status: "NOT_STARTED_YET" })).ok).toBe(false);
    expect(mayApprove(who("operator"), create(DeploymentSchema, { status: "ROLLING_BACK" }), approval()).ok).toBe(false);
    expect(mayApprove(who("operator"), create(DeploymentSchema, { status: "RUNNING", parked: "NEWER" }), approval()).ok).toBe(false);
  });
});

describe("deployments", () => {
  it.each([
    ["PENDING", true],
    ["RUNNING", true],
    ["ROLLING_BACK", false],
    ["SUCCESS", false],
    ["CANCELLED", false],
  ])("in %s can be cancelled: %s", (status, ok) => expect(mayCancel(who("operator"), create(DeploymentSchema, { status })).ok).toBe(ok));

  it("are tried again only when they are over", () => {
    expect(mayRetry(who("operator"), running).ok).toBe(false);
    expect(mayRetry(who("operator"), create(DeploymentSchema, { status: "FAILURE" })).ok).toBe(true);
  });
  it("let waits and approvals be skipped, never the platform's stages", () => {
    expect(maySkip(who("operator"), running, create(StageSchema, { type: "WAIT", status: "RUNNING" })).ok).toBe(true);
    expect(maySkip(who("operator"), running, create(StageSchema, { type: "PLATFORM", status: "RUNNING" })).ok).toBe(false);
    expect(maySkip(who("operator"), running, create(StageSchema, { type: "WAIT", status: "SUCCESS" })).ok).toBe(false);
  });
});
