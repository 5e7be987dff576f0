package engine_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	. "github.com/penstock-cd/penstock/internal/engine"
)

var update = flag.Bool("update", false, "write the golden files")

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func samplePlan() deploy.Plan {
	steps := func(names ...string) (out []deploy.PlanStep) {
		for _, n := range names {
			out = append(out, deploy.PlanStep{Name: n})
		}
		return out
	}
	return deploy.Plan{
		Strategy: deploy.StrategyPipeline, Why: deploy.Why(deploy.ReasonAlwaysPipeline), AutoRollback: true,
		Timeout: 6 * time.Hour, RollbackLimit: 30 * time.Minute, DesiredDigest: "desired-2", LiveDigest: "live-1", Account: "1/eu",
		Stages: []deploy.PlanStage{
			{ID: "s0", Name: "CANARY", Type: deploy.StagePlatform, Steps: steps("create", "healthy"), Holds: true, Timeout: time.Hour},
			{ID: "s1", Name: "WAIT", Type: deploy.StageWait, Wait: 2 * time.Minute},
			{ID: "s2", Name: "WAIT_APPROVAL", Type: deploy.StageApproval, Approvers: []string{"ann", "bob"}, Approvals: 2, Timeout: time.Hour},
			{ID: "s3", Name: "PRIMARY", Type: deploy.StagePlatform, Steps: steps("promote"), Timeout: time.Hour},
		},
		Rollback: []deploy.PlanStage{{ID: "r0", Name: "ROLLBACK", Type: deploy.StagePlatform, Steps: steps("restore", "verify"), Timeout: time.Hour}},
	}
}

func sampleTrigger() Trigger {
	return Trigger{ID: "d1", ProjectID: "p", App: deploy.Ref{ID: "app", Name: "web"}, Trigger: deploy.Trigger{
		Kind: deploy.OnCommit, Commit: deploy.Commit{Hash: "c2", Author: "Bob"}, Why: deploy.Why(deploy.ReasonCommit),
	}}
}

// drive decides and applies inputs one minute apart; all must be accepted.
func drive(t *testing.T, d deploy.Deployment, inputs ...Input) deploy.Deployment {
	t.Helper()
	for i, in := range inputs {
		events, err := Decide(d, in, t0)
		if err != nil {
			t.Fatalf("input %d, %T: %v", i, in, err)
		}
		for _, e := range events {
			if d, err = Apply(d, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

// states are the situations a deployment can be in, in the order of its life.
func states(t *testing.T) (names []string, byName map[string]deploy.Deployment) {
	byName = map[string]deploy.Deployment{}
	add := func(name string, d deploy.Deployment) {
		names = append(names, name)
		byName[name] = d
	}
	var d deploy.Deployment
	add("none", d)
	d = drive(t, d, sampleTrigger())
	add("queued", d)
	d = drive(t, d, Admit{PlanDeadline: t0.Add(time.Hour)}, Assign{Holder: "p1", Epoch: 3})
	add("admitted", d)
	d = drive(t, d, Planned{Epoch: 3, Plan: samplePlan()})
	add("step", d)
	d = drive(t, d, StepReport{Epoch: 3, Stage: "s0", Attempt: 1}, StepReport{Epoch: 3, Stage: "s0", Attempt: 1, Step: 1})
	add("wait", d)
	approval := drive(t, d, Skip{Stage: "s1", By: "ann"})
	add("approval", approval)
	add("approved once", drive(t, approval, Approve{Stage: "s2", By: "ann"}))
	back := drive(t, approval, Reject{Stage: "s2", By: "bob", Note: "no"})
	add("rolling back", back)
	add("cancelling", drive(t, d, Cancel{By: "ann"}))
	add("failure", drive(t, back, StepReport{Epoch: 3, Stage: "r0", Attempt: 1}, StepReport{Epoch: 3, Stage: "r0", Attempt: 1, Step: 1}))
	add("success", drive(t, approval, Approve{Stage: "s2", By: "ann"}, Approve{Stage: "s2", By: "bob"}, StepReport{Epoch: 3, Stage: "s3", Attempt: 1, LiveDigest: "live-2"}))
	parked, err := Apply(d, deploy.Event{Type: "OF_TOMORROW"})
	if err != nil {
		t.Fatal(err)
	}
	add("parked", parked)
	return names, byName
}

var inputs = []struct {
	name string
	in   Input
}{
	{"trigger", sampleTrigger()},
	{"admit", Admit{PlanDeadline: t0.Add(time.Hour)}},
	{"assign newer", Assign{Holder: "p2", Epoch: 4}},
	{"assign same", Assign{Holder: "p2", Epoch: 3}},
	{"planned", Planned{Epoch: 3, Plan: samplePlan()}},
	{"planned, stale epoch", Planned{Epoch: 2, Plan: samplePlan()}},
	{"planned, held", Planned{Epoch: 3, Plan: samplePlan(), Held: &deploy.Hold{DesiredDigest: "desired-2"}}},
	{"planned, other account", Planned{Epoch: 3, Plan: samplePlan(), Account: "2/us"}},
	{"planned, nothing to do", Planned{Epoch: 3, Plan: deploy.Plan{Timeout: time.Hour}}},
	{"plan failed", PlanFailed{Epoch: 3, Reason: deploy.Why(deploy.ReasonPlanFailed)}},
	{"plan failed, epoch zero", PlanFailed{Reason: deploy.Why(deploy.ReasonPlanFailed)}},
	{"step done", StepReport{Epoch: 3, Stage: "s0", Attempt: 1}},
	{"step done, stale epoch", StepReport{Epoch: 2, Stage: "s0", Attempt: 1}},
	{"step done, attempt 2", StepReport{Epoch: 3, Stage: "s0", Attempt: 2}},
	{"step done, step ahead", StepReport{Epoch: 3, Stage: "s0", Attempt: 1, Step: 1}},
	{"step failed", StepReport{Epoch: 3, Stage: "s0", Attempt: 1, Failed: true, Reason: deploy.Why(deploy.ReasonStepFailed)}},
	{"step of a wait", StepReport{Epoch: 3, Stage: "s1", Attempt: 1}},
	{"step of no stage", StepReport{Epoch: 3, Stage: "s9", Attempt: 1}},
	{"way back, step done", StepReport{Epoch: 3, Stage: "r0", Attempt: 1}},
	{"way back, step failed", StepReport{Epoch: 3, Stage: "r0", Attempt: 1, Failed: true, Reason: deploy.Why(deploy.ReasonStepFailed)}},
	{"breach", Breach{Epoch: 3, Reason: deploy.Why(deploy.ReasonBreach)}},
	{"breach, foreign", Breach{Epoch: 3, Foreign: true, Reason: deploy.Why(deploy.ReasonForeignChange)}},
	{"breach, stale epoch", Breach{Epoch: 2, Reason: deploy.Why(deploy.ReasonBreach)}},
	{"tick, early", Tick{Watched: true}},
	{"approve", Approve{Stage: "s2", By: "ann"}},
	{"approve, the other", Approve{Stage: "s2", By: "bob"}},
	{"approve, not an approver", Approve{Stage: "s2", By: "eve"}},
	{"approve, own change", Approve{Stage: "s2", By: "bob", Rules: deploy.ApprovalRules{NotByAuthor: true}}},
	{"approve, not own change", Approve{Stage: "s2", By: "ann", Rules: deploy.ApprovalRules{NotByAuthor: true}}},
	{"approve, no note", Approve{Stage: "s2", By: "bob", Note: " ", Rules: deploy.ApprovalRules{NeedNote: true}}},
	{"approve, no such stage", Approve{Stage: "s9", By: "ann"}},
	{"reject", Reject{Stage: "s2", By: "bob"}},
	{"reject, not an approver", Reject{Stage: "s2", By: "eve"}},
	{"reject, own change", Reject{Stage: "s2", By: "bob", Rules: deploy.ApprovalRules{NotByAuthor: true}}},
	{"reject, no note", Reject{Stage: "s2", By: "bob", Rules: deploy.ApprovalRules{NeedNote: true}}},
	{"skip approval, own change", Skip{Stage: "s2", By: "bob", Rules: deploy.ApprovalRules{NotByAuthor: true}}},
	{"skip approval, no note", Skip{Stage: "s2", By: "ann", Rules: deploy.ApprovalRules{NeedNote: true}}},
	{"skip the wait, own change", Skip{Stage: "s1", By: "bob", Rules: deploy.ApprovalRules{NotByAuthor: true, NeedNote: true}}},
	{"skip the wait", Skip{Stage: "s1", By: "ann"}},
	{"skip the approval", Skip{Stage: "s2", By: "ann"}},
	{"skip approval, the other", Skip{Stage: "s2", By: "bob"}},
	{"skip, not an approver", Skip{Stage: "s2", By: "eve"}},
	{"skip a platform stage", Skip{Stage: "s0", By: "ann"}},
	{"skip no such stage", Skip{Stage: "s9", By: "ann"}},
	{"cancel", Cancel{By: "ann"}},
	{"cancel, stay", Cancel{By: "ann", Choice: deploy.RollbackNever}},
	{"supersede", Supersede{By: "d2"}},
}

// TestDecisions shows what every input leads to in every situation: the events
// that follow, or the word it is refused with. The golden file is read by
// people; a change in it is a change of policy.
func TestDecisions(t *testing.T) {
	names, byName := states(t)
	var b strings.Builder
	for _, name := range names {
		d := byName[name]
		fmt.Fprintf(&b, "## %s (%s)\n", name, d.Display())
		for _, in := range inputs {
			fmt.Fprintf(&b, "%-26s %s\n", in.name, describe(t, d, in.in, t0))
		}
		b.WriteString("\n")
	}
	golden(t, "testdata/decisions.txt", b.String())
}

func describe(t *testing.T, d deploy.Deployment, in Input, now time.Time) string {
	t.Helper()
	events, err := Decide(d, in, now)
	if err != nil {
		word := string(deploy.CodeOf(err))
		if r := deploy.RefusalOf(err); r != "" {
			word += " " + r
		}
		return "! " + word
	}
	var out []string
	for _, e := range events {
		out = append(out, summary(t, e))
		var err error
		if d, err = Apply(d, e); err != nil {
			t.Fatal(err)
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ", ") + " → " + d.Display()
}

func summary(t *testing.T, e deploy.Event) string {
	t.Helper()
	switch e.Type {
	case deploy.EvStageStarted:
		d, err := deploy.Decode[deploy.StageStartedData](e)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %s", e.Type, d.Stage)
	case deploy.EvStageEnded:
		d, err := deploy.Decode[deploy.StageEndedData](e)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %s %s", e.Type, d.Stage, d.Status)
	case deploy.EvFinished:
		d, err := deploy.Decode[deploy.FinishedData](e)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Type, d.Status, d.End))
	}
	return string(e.Type)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// TestTicks: what is overdue is taken, oldest first, and a wait that nobody
// watched does not pass.
func TestTicks(t *testing.T) {
	_, byName := states(t)
	for _, c := range []struct {
		state   string
		after   time.Duration
		watched bool
		want    string
	}{
		{"admitted", 59 * time.Minute, true, "-"},
		{"admitted", time.Hour, true, "FINISHED FAILURE → FAILURE"},
		{"queued", 24 * time.Hour, true, "-"},
		{"step", 59 * time.Minute, true, "-"},
		{"step", time.Hour, true, "STAGE_ENDED s0 FAILURE, ROLLBACK_STARTED, STAGE_STARTED r0 → ROLLING_BACK"},
		{"wait", 2*time.Minute - 1, true, "-"},
		{"wait", 2 * time.Minute, true, "STAGE_ENDED s1 SUCCESS, STAGE_STARTED s2 → RUNNING"},
		{"wait", 2 * time.Minute, false, "-"},
		{"wait", 5 * time.Hour, false, "-"},
		{"wait", 6 * time.Hour, true, "STAGE_ENDED s1 SUCCESS, STAGE_STARTED s2, STAGE_ENDED s2 FAILURE, ROLLBACK_STARTED, STAGE_STARTED r0 → ROLLING_BACK"},
		{"approval", time.Hour, false, "STAGE_ENDED s2 FAILURE, ROLLBACK_STARTED, STAGE_STARTED r0 → ROLLING_BACK"},
		{"rolling back", 29 * time.Minute, true, "-"},
		{"rolling back", 30 * time.Minute, true, "STAGE_ENDED r0 FAILURE, FINISHED FAILURE NEEDS_ATTENTION → NEEDS_ATTENTION"},
		{"cancelling", 30 * time.Minute, true, "STAGE_ENDED r0 FAILURE, FINISHED CANCELLED NEEDS_ATTENTION → NEEDS_ATTENTION"},
		{"success", 1000 * time.Hour, true, "-"},
	} {
		t.Run(fmt.Sprintf("%s %s %v", c.state, c.after, c.watched), func(t *testing.T) {
			got := describe(t, byName[c.state], Tick{Watched: c.watched}, t0.Add(c.after))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestCancelChoices: a person's choice beats the file, and what was never
// touched needs no way back.
func TestCancelChoices(t *testing.T) {
	_, byName := states(t)
	off := byName["wait"]
	plan := *off.Plan
	plan.AutoRollback = false
	off.Plan = &plan
	none := byName["wait"]
	planNone := *none.Plan
	planNone.Rollback = nil
	none.Plan = &planNone
	for _, c := range []struct {
		name   string
		d      deploy.Deployment
		choice deploy.RollbackChoice
		want   string
	}{
		{"as the file says, on", byName["wait"], deploy.RollbackAuto, "ROLLING_BACK"},
		{"unset is auto", byName["wait"], "", "ROLLING_BACK"},
		{"never", byName["wait"], deploy.RollbackNever, "NEEDS_ATTENTION"},
		{"as the file says, off", off, deploy.RollbackAuto, "NEEDS_ATTENTION"},
		{"forced", off, deploy.RollbackForce, "ROLLING_BACK"},
		{"no way back planned", none, deploy.RollbackForce, "NEEDS_ATTENTION"},
		{"nothing written yet", byName["admitted"], deploy.RollbackForce, "CANCELLED"},
		{"in the queue", byName["queued"], deploy.RollbackAuto, "CANCELLED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drive(t, c.d, Cancel{By: "ann", Choice: c.choice})
			if d.Display() != c.want {
				t.Errorf("display is %s, want %s", d.Display(), c.want)
			}
		})
	}
}

// TestCancelledWayBackIsCancelled: what turned the deployment round decides
// how it ends, also when the way back fails.
func TestCancelledWayBackIsCancelled(t *testing.T) {
	_, byName := states(t)
	d := byName["cancelling"]
	ok := drive(t, d, StepReport{Epoch: 3, Stage: "r0", Attempt: 1}, StepReport{Epoch: 3, Stage: "r0", Attempt: 1, Step: 1})
	if ok.Status != deploy.StatusCancelled || ok.End != deploy.EndSnapshot || ok.Failed.Code != deploy.ReasonCancelled {
		t.Errorf("the way back ended as %s %s %s", ok.Status, ok.End, ok.Failed)
	}
	bad := drive(t, d, StepReport{Epoch: 3, Stage: "r0", Attempt: 1, Failed: true, Reason: deploy.Why("X")})
	if bad.Status != deploy.StatusCancelled || bad.End != deploy.EndNeedsAttention || bad.Reason.Code != deploy.ReasonRollbackFailed {
		t.Errorf("the failed way back ended as %s %s %s", bad.Status, bad.End, bad.Reason)
	}
}

func TestSkippedStages(t *testing.T) {
	p := samplePlan()
	p.Stages[1].Skip = deploy.Why(deploy.ReasonSkipOn)
	p.Stages[2].Skip = deploy.Why(deploy.ReasonSkipOn)
	d := drive(t, deploy.Deployment{}, sampleTrigger(), Admit{PlanDeadline: t0.Add(time.Hour)}, Assign{Holder: "p", Epoch: 1}, Planned{Epoch: 1, Plan: p},
		StepReport{Epoch: 1, Stage: "s0", Attempt: 1}, StepReport{Epoch: 1, Stage: "s0", Attempt: 1, Step: 1})
	for i, want := range []deploy.StageStatus{deploy.StageSuccess, deploy.StageSkipped, deploy.StageSkipped, deploy.StageRunning} {
		if d.Stages[i].Status != want {
			t.Errorf("stage %d is %s, want %s", i, d.Stages[i].Status, want)
		}
	}
}

// TestDueFollowsTheState checks what is said to be due in each situation.
func TestDueFollowsTheState(t *testing.T) {
	_, byName := states(t)
	for name, want := range map[string]Task{
		"none":         {Stage: -1},
		"queued":       {Stage: -1},
		"admitted":     {Work: DuePlan, Stage: -1, At: t0.Add(time.Hour)},
		"step":         {Work: DueStep, Stage: 0, Attempt: 1, Guard: true, At: t0.Add(time.Hour)},
		"wait":         {Work: DueTimer, Stage: 1, Attempt: 1, Guard: true, At: t0.Add(2 * time.Minute)},
		"approval":     {Work: DuePeople, Stage: 2, Attempt: 1, Guard: true, At: t0.Add(time.Hour)},
		"rolling back": {Work: DueStep, Stage: 4, Attempt: 1, At: t0.Add(30 * time.Minute)},
		"success":      {Stage: -1},
		"failure":      {Stage: -1},
		"parked":       {Stage: -1},
	} {
		if diff := cmp.Diff(want, Due(byName[name])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
