package engine_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	. "github.com/penstock-cd/penstock/internal/engine"
)

// machine drives one deployment with inputs that a careless or hostile world
// could send, and keeps what was recorded beside the state that follows.
type machine struct {
	d      deploy.Deployment
	now    time.Time
	events []deploy.Event
	ended  map[string]int // terminal events by stage and attempt
}

func (m *machine) feed(t *rapid.T, in Input) {
	before := m.d
	frozen := render(t, before)
	events, err := Decide(m.d, in, m.now)
	if got := render(t, before); got != frozen {
		t.Fatalf("%T changed the state it was given:\n%s", in, cmp.Diff(frozen, got))
	}
	if err != nil {
		if deploy.CodeOf(err) == deploy.CodeInternal {
			t.Fatalf("%T: %v", in, err)
		}
		return
	}
	if before.Status.Terminal() && len(events) > 0 {
		t.Fatalf("%T changed a deployment in %s", in, before.Status)
	}
	for _, e := range events {
		m.apply(t, in, e)
	}
}

func (m *machine) apply(t *rapid.T, in Input, e deploy.Event) {
	before := m.d
	after, err := Apply(before, e)
	if err != nil {
		t.Fatalf("apply %s: %v", e.Type, err)
	}
	m.d, m.events = after, append(m.events, e)
	if before.Status != after.Status && !before.Status.CanBecome(after.Status) {
		t.Fatalf("%T: %s became %s by %s", in, before.Status, after.Status, e.Type)
	}
	if e.At != m.now || e.Schema != 1 {
		t.Fatalf("%s is of %s, schema %d", e.Type, e.At, e.Schema)
	}
	m.checkEvent(t, before, in, e)
	m.checkState(t)
}

// checkEvent checks what single facts promise.
func (m *machine) checkEvent(t *rapid.T, before deploy.Deployment, in Input, e deploy.Event) {
	switch e.Type {
	case deploy.EvStageEnded:
		data, err := deploy.Decode[deploy.StageEndedData](e)
		if err != nil {
			t.Fatal(err)
		}
		s := before.Stages[before.StageByID(data.Stage)]
		key := fmt.Sprintf("%s/%d", data.Stage, s.Attempt)
		if m.ended[key]++; m.ended[key] > 1 {
			t.Fatalf("stage %s ended twice", key)
		}
		if tick, ok := in.(Tick); ok && !tick.Watched && s.Type == deploy.StageWait && data.Status == deploy.StageSuccess {
			t.Fatal("a wait that nobody watched passed")
		}
		if s.Type == deploy.StageWait && data.Status == deploy.StageSuccess && m.now.Before(s.Until) {
			t.Fatalf("a wait until %s passed at %s", s.Until, m.now)
		}
	case deploy.EvRollbackStarted:
		if !before.Touched {
			t.Fatal("a way back began although nothing was written")
		}
		if len(before.Plan.Rollback) == 0 {
			t.Fatal("a way back began that was never planned")
		}
	}
}

// checkState checks what holds at any time.
func (m *machine) checkState(t *rapid.T) {
	d := m.d
	running := 0
	for _, s := range d.Stages {
		if s.Status == deploy.StageRunning {
			running++
		}
		if s.Rollback && s.Status != deploy.StageNotStarted && d.RollbackAt.IsZero() {
			t.Fatalf("stage %s of the way back is %s before the way back began", s.ID, s.Status)
		}
	}
	if running > 1 || running > 0 && d.Status.Terminal() {
		t.Fatalf("%d stages are running in %s", running, d.Status)
	}
	if !d.Status.Terminal() {
		if d.End != deploy.EndNone {
			t.Fatalf("end %s in %s", d.End, d.Status)
		}
		return
	}
	for _, s := range d.Stages {
		if d.End == deploy.EndDeclared && !s.Rollback && !s.Status.Passed() {
			t.Fatalf("declared, but stage %s is %s", s.ID, s.Status)
		}
		if d.End == deploy.EndSnapshot && s.Rollback && !s.Status.Passed() {
			t.Fatalf("snapshot, but stage %s of the way back is %s", s.ID, s.Status)
		}
	}
	if (d.Status == deploy.StatusSuccess) != (d.End == deploy.EndDeclared) {
		t.Fatalf("%s ends as %q", d.Status, d.End)
	}
	if d.Touched && d.End == deploy.EndNone {
		t.Fatalf("%s without an end although something was written", d.Status)
	}
	if Due(d) != (Task{Stage: -1}) {
		t.Fatalf("something is due of a finished deployment: %+v", Due(d))
	}
}

// checkFold folds the recorded events, through JSON, and compares.
func (m *machine) checkFold(t *rapid.T) {
	text, err := json.Marshal(m.events)
	if err != nil {
		t.Fatal(err)
	}
	var back []deploy.Event
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	folded, err := Fold(back)
	if err != nil {
		t.Fatal(err)
	}
	var stored deploy.Deployment
	if err := json.Unmarshal([]byte(render(t, m.d)), &stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(render(t, stored), render(t, folded)); diff != "" {
		t.Fatalf("the fold of the events differs from the state (-state +fold):\n%s", diff)
	}
	if folded.Seq != int64(len(m.events)) {
		t.Fatalf("seq is %d after %d events", folded.Seq, len(m.events))
	}
}

func render(t *rapid.T, d deploy.Deployment) string {
	b, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func drawPlan(t *rapid.T) deploy.Plan {
	stages := func(prefix string, most int, types ...deploy.StageType) (out []deploy.PlanStage) {
		for i := range rapid.IntRange(0, most).Draw(t, prefix+"stages") {
			s := deploy.PlanStage{ID: fmt.Sprintf("%s%d", prefix, i), Name: "X", Type: rapid.SampledFrom(types).Draw(t, "type")}
			s.Timeout = rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour}).Draw(t, "timeout")
			switch s.Type {
			case deploy.StagePlatform:
				for range rapid.IntRange(1, 3).Draw(t, "steps") {
					s.Steps = append(s.Steps, deploy.PlanStep{Name: "step"})
				}
				s.Holds = rapid.Bool().Draw(t, "holds")
			case deploy.StageWait:
				s.Wait = rapid.SampledFrom([]time.Duration{0, time.Second, 3 * time.Minute}).Draw(t, "wait")
			case deploy.StageApproval:
				s.Approvals = rapid.IntRange(0, 2).Draw(t, "approvals")
				if rapid.Bool().Draw(t, "named") {
					s.Approvers = []string{"ann", "bob"}
				}
			}
			if prefix == "s" && rapid.IntRange(0, 5).Draw(t, "skip") == 0 {
				s.Skip = deploy.Why(deploy.ReasonSkipOn)
			}
			out = append(out, s)
		}
		return out
	}
	return deploy.Plan{
		Stages:       stages("s", 4, deploy.StagePlatform, deploy.StageWait, deploy.StageApproval),
		Rollback:     stages("r", 2, deploy.StagePlatform),
		AutoRollback: rapid.Bool().Draw(t, "auto"), Timeout: 2 * time.Hour, RollbackLimit: time.Hour, DesiredDigest: "x",
	}
}

func (m *machine) drawInput(t *rapid.T) Input {
	stage := rapid.SampledFrom([]string{"s0", "s1", "s2", "s3", "r0", "r1", "zz"}).Draw(t, "stage")
	who := rapid.SampledFrom([]string{"ann", "bob", "eve"}).Draw(t, "who")
	epoch := m.d.Epoch - int64(rapid.IntRange(-1, 1).Draw(t, "epoch"))
	due := Due(m.d)
	// Most reports are about what is due; the others arrive late or doubled.
	attempt, step := 1, rapid.IntRange(0, 2).Draw(t, "step")
	if due.Stage >= 0 && rapid.IntRange(0, 3).Draw(t, "apt") > 0 {
		stage, attempt, step, epoch = m.d.Stages[due.Stage].ID, due.Attempt, due.Step, m.d.Epoch
	}
	switch rapid.IntRange(0, 19).Draw(t, "input") {
	case 0:
		return Trigger{ID: "d", Trigger: deploy.Trigger{Kind: deploy.OnCommit}}
	case 1:
		return Admit{PlanDeadline: m.now.Add(time.Hour)}
	case 2:
		return Assign{Holder: who, Epoch: epoch + 1}
	case 3:
		return Planned{Epoch: epoch, Plan: drawPlan(t)}
	case 4:
		return PlanFailed{Epoch: epoch, Reason: deploy.Why(deploy.ReasonPlanFailed)}
	case 5:
		return StepReport{Epoch: epoch, Stage: stage, Attempt: attempt, Step: step, Failed: true, Reason: deploy.Why(deploy.ReasonStepFailed)}
	case 6:
		return Breach{Epoch: epoch, Foreign: rapid.Bool().Draw(t, "foreign"), Reason: deploy.Why(deploy.ReasonBreach)}
	case 7, 8:
		return Approve{Stage: stage, By: who}
	case 9:
		return Reject{Stage: stage, By: who}
	case 10:
		return Skip{Stage: stage, By: who}
	case 11:
		return Cancel{By: who, Choice: rapid.SampledFrom([]deploy.RollbackChoice{"", deploy.RollbackForce, deploy.RollbackNever}).Draw(t, "choice")}
	case 12:
		return Supersede{By: "d2"}
	case 13, 14:
		return Tick{Watched: rapid.Bool().Draw(t, "watched")}
	}
	return StepReport{Epoch: epoch, Stage: stage, Attempt: attempt, Step: step, LiveDigest: "live"}
}

// TestAnyWorld: whatever is sent, in whatever order, the rules of a deployment
// hold; and once the noise stops and agent and clock go on, it ends.
func TestAnyWorld(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{now: t0, ended: map[string]int{}}
		if rapid.IntRange(0, 9).Draw(t, "begin") > 0 {
			m.feed(t, Trigger{ID: "d", ProjectID: "p", App: deploy.Ref{ID: "a"}, Trigger: deploy.Trigger{Kind: deploy.OnCommit}})
			m.feed(t, Admit{PlanDeadline: m.now.Add(time.Hour)})
			m.feed(t, Assign{Holder: "ann", Epoch: 1})
			m.feed(t, Planned{Epoch: 1, Plan: drawPlan(t)})
		}
		for range rapid.IntRange(0, 40).Draw(t, "inputs") {
			m.now = m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, 20 * time.Minute}).Draw(t, "passes"))
			m.feed(t, m.drawInput(t))
		}
		m.checkFold(t)
		m.settle(t)
		m.checkFold(t)
	})
}

// settle lets a diligent agent and the clock finish: the run must end.
func (m *machine) settle(t *rapid.T) {
	m.feed(t, Admit{PlanDeadline: m.now.Add(time.Hour)})
	for range 200 {
		if m.d.Status.Terminal() || m.d.Status == "" {
			return
		}
		due := Due(m.d)
		switch due.Work {
		case DuePlan:
			m.feed(t, Planned{Epoch: m.d.Epoch, Plan: drawPlan(t)})
		case DueStep:
			m.feed(t, StepReport{Epoch: m.d.Epoch, Stage: m.d.Stages[due.Stage].ID, Attempt: due.Attempt, Step: due.Step})
		case DueTimer, DuePeople:
			if due.At.IsZero() {
				t.Fatalf("nothing will ever happen: %+v", due)
			}
			m.now = due.At
			m.feed(t, Tick{Watched: true})
		default:
			t.Fatalf("nothing is due in %s", m.d.Status)
		}
	}
	t.Fatalf("did not end: %s", render(t, m.d))
}

// TestUnknownEventsPark: an event of a newer version stops everything, and
// nothing of the state before it is lost.
func TestUnknownEventsPark(t *testing.T) {
	_, byName := states(t)
	for name, d := range byName {
		if name == "parked" {
			continue
		}
		after, err := Apply(d, deploy.Event{Type: "STAGE_PAUSED", Data: []byte(`{"for":"ever"}`)})
		if err != nil {
			t.Fatal(err)
		}
		if after.Parked != "STAGE_PAUSED" || after.Seq != d.Seq+1 || after.Status != d.Status {
			t.Errorf("%s: parked %q, seq %d, status %s", name, after.Parked, after.Seq, after.Status)
		}
		if _, err := Decide(after, Cancel{By: "ann"}, t0); deploy.RefusalOf(err) != deploy.RefusedParked {
			t.Errorf("%s: a cancel of a parked deployment: %v", name, err)
		}
	}
}

// TestDamagedDataIsAnError: a stream that cannot be read is not guessed at.
func TestDamagedDataIsAnError(t *testing.T) {
	if _, err := Fold([]deploy.Event{{Type: deploy.EvTriggered, Data: []byte(`{"id":7}`)}}); err == nil {
		t.Error("damaged data was folded")
	}
	if _, err := FoldApp([]deploy.Event{{Type: deploy.EvAppRegistered, Data: []byte(`[]`)}}); err == nil {
		t.Error("damaged data of an application was folded")
	}
}

// FuzzApply: no stored bytes make the fold panic, and folding is repeatable.
func FuzzApply(f *testing.F) {
	for _, s := range []string{
		`[{"type":"TRIGGERED","data":{"id":"d"}},{"type":"ADMITTED","data":{}}]`,
		`[{"type":"TRIGGERED","data":{"id":"d"}},{"type":"PLANNED","data":{"plan":{"stages":[{"id":"s0","type":"PLATFORM","steps":[{"name":"x"}]}]}}},{"type":"STAGE_STARTED","data":{"stage":"s0","attempt":1}}]`,
		`[{"type":"STEP_DONE","data":{"stage":"nowhere","step":-9}},{"type":"FINISHED","data":{"status":"SUCCESS"}}]`,
		`[{"type":"APPROVED","data":{"stage":"s","by":"x"}},{"type":"NEW_IN_2.0","data":{"x":1}}]`,
		`[{"type":"APP_QUEUED","data":{"deploymentId":"d"}},{"type":"APP_DEPLOYMENT_ENDED","data":null}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var events []deploy.Event
		if json.Unmarshal(text, &events) != nil {
			return
		}
		a, errA := Fold(events)
		b, errB := Fold(events)
		if (errA == nil) != (errB == nil) || fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) && a.Plan == nil {
			t.Fatalf("two folds differ:\n%+v\n%+v", a, b)
		}
		Due(a)
		if _, err := FoldApp(events); err != nil {
			return
		}
	})
}
