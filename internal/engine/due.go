package engine

import (
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Work says who has to do something now.
type Work string

// What can be due.
const (
	DueNothing Work = ""       // finished, queued or parked
	DuePlan    Work = "PLAN"   // the agent makes the plan
	DueStep    Work = "STEP"   // the agent runs a step
	DueTimer   Work = "TIMER"  // the server waits for an instant
	DuePeople  Work = "PEOPLE" // people decide
)

// Task is what a deployment needs now.
type Task struct {
	Work    Work
	Stage   int // index in Stages, with STEP, TIMER and PEOPLE
	Attempt int
	Step    int
	Guard   bool      // somebody must look: traffic or spare capacity is held
	At      time.Time // the next instant at which a Tick changes something, zero for none
}

// Due derives from the state what must be done now.
func Due(d deploy.Deployment) Task {
	t := Task{Stage: -1}
	if d.Parked != "" || d.Status.Terminal() || d.Status == "" {
		return t
	}
	if d.Status == deploy.StatusPending {
		if !d.AdmittedAt.IsZero() {
			t.Work, t.At = DuePlan, earliest(d.PlanDeadline, d.PickUpDeadline)
		}
		return t
	}
	t.At = d.Deadline
	i := d.Current()
	if i < 0 {
		return t
	}
	s := d.Stages[i]
	t.Stage, t.Attempt, t.Step = i, s.Attempt, s.Step
	t.At = earliest(t.At, s.Deadline)
	switch s.Type {
	case deploy.StageWait:
		t.Work, t.At = DueTimer, earliest(t.At, s.Until)
	case deploy.StageApproval:
		t.Work = DuePeople
	default:
		t.Work = DueStep
	}
	t.Guard = d.Status == deploy.StatusRunning && holds(d)
	return t
}

// holds reports whether the newest stage of the platform that was started
// leaves traffic split or spare capacity standing.
func holds(d deploy.Deployment) bool {
	held := false
	for _, s := range d.Stages {
		if !s.Rollback && s.Type == deploy.StagePlatform && !s.StartedAt.IsZero() {
			held = s.Holds
		}
	}
	return held
}

// tick takes what is overdue, oldest first. A stage that begins here begins
// now, so the loop ends.
func (w *draft) tick(in Tick) {
	for w.err == nil {
		t := Due(w.d)
		if t.At.IsZero() || t.At.After(w.now) {
			return
		}
		switch {
		case w.d.Status == deploy.StatusPending && w.d.PlanDeadline.After(w.now):
			if !in.Watched { // a person waits, and nobody is there
				limit := w.d.PickUpDeadline.Sub(w.d.AdmittedAt)
				w.finish(deploy.StatusFailure, deploy.EndNone, deploy.Why(deploy.ReasonNotPickedUp, "limit", limit.String()))
			}
			return
		case w.d.Status == deploy.StatusPending:
			w.finish(deploy.StatusFailure, deploy.EndNone, deploy.Why(deploy.ReasonPlanFailed, "detail", "no plan was made in time"))
			return
		case t.At.Equal(w.d.Deadline):
			w.overdue()
			return
		case t.Stage >= 0 && t.At.Equal(w.d.Stages[t.Stage].Until):
			if !in.Watched {
				return
			}
			s := w.d.Stages[t.Stage]
			w.endStage(t.Stage, deploy.StageSuccess, deploy.Why(deploy.ReasonWaited, "duration", s.Wait.String()))
			w.advance()
		default:
			s := w.d.Stages[t.Stage]
			why := deploy.Why(deploy.ReasonStageTimeout, "stage", s.Name, "timeout", s.Timeout.String())
			w.endStage(t.Stage, deploy.StageFailure, why)
			w.turnBack(deploy.StatusFailure, why)
			return
		}
	}
}

// overdue ends the pipeline, or the way back, at its deadline.
func (w *draft) overdue() {
	if w.d.Status == deploy.StatusRollingBack {
		why := deploy.Why(deploy.ReasonRollbackTimeout, "timeout", w.d.Deadline.Sub(w.d.RollbackAt).String())
		w.endCurrent(deploy.StageFailure, why)
		w.finish(w.turnedBackStatus(), deploy.EndNeedsAttention, why)
		return
	}
	why := deploy.Why(deploy.ReasonTimeout, "timeout", w.d.Deadline.Sub(w.d.StartedAt).String())
	w.endCurrent(deploy.StageFailure, why)
	w.turnBack(deploy.StatusFailure, why)
}

// earliest returns the earlier of two instants; the zero time is never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
