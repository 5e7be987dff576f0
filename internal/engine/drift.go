package engine

import (
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Drifted reports that what is live differs from what a good deployment
// declared. It was seen when Good was the last good deployment and After the
// newest of any result: a comparison that a deployment has overtaken says
// nothing and is dropped.
type Drifted struct {
	ID      string // of the observation, taken when the difference is a new one
	Good    string // deployment whose declared state was compared
	After   string // newest deployment when it was seen
	Digest  string // of the differences
	Count   int
	Summary string
	Blob    string
}

// InSync reports that what is live is what a good deployment declared.
type InSync struct{ Good, After string }

func (Drifted) isAppInput() {}
func (InSync) isAppInput()  {}

// overtaken reports whether a comparison is of another time than the record.
func overtaken(a deploy.Application, good, after string) bool {
	return a.Current != "" || a.LastGood == nil || a.LastGood.DeploymentID != good || a.LastID != after
}

func decideDrifted(a deploy.Application, in Drifted, now time.Time) ([]deploy.Event, error) {
	if overtaken(a, in.Good, in.After) {
		return nil, nil
	}
	id := in.ID
	if d := a.Drift; d != nil && d.Digest == in.Digest {
		if !d.Stale {
			return nil, nil
		}
		id = d.ID // a deployment went over it and it is still there
	}
	why := deploy.Why(deploy.ReasonDrift, "count", strconv.Itoa(in.Count), "summary", in.Summary)
	return []deploy.Event{deploy.NewEvent(deploy.EvAppDrifted, now, why, deploy.DriftData{
		ID: id, Digest: in.Digest, Count: in.Count, Summary: in.Summary, Blob: in.Blob,
	})}, nil
}

func decideInSync(a deploy.Application, in InSync, now time.Time) ([]deploy.Event, error) {
	quiet := overtaken(a, in.Good, in.After) || a.Drift == nil
	return unless(quiet, deploy.NewEvent(deploy.EvAppInSync, now, deploy.Reason{}, nil))
}

func applyDrifted(a *deploy.Application, e deploy.Event, d deploy.DriftData) {
	drift := deploy.Drift{ID: d.ID, Digest: d.Digest, Count: d.Count, Summary: d.Summary, Blob: d.Blob, At: e.At}
	if old := a.Drift; old != nil && old.ID == d.ID {
		drift.At, drift.Tried = old.At, old.Tried
	}
	a.Drift = &drift
}

// changeDrift replaces the drift by a changed copy: states are values.
func changeDrift(a *deploy.Application, f func(*deploy.Drift)) {
	if a.Drift == nil {
		return
	}
	drift := *a.Drift
	f(&drift)
	a.Drift = &drift
}

// DriftRule is trigger.onOutOfSync of an application's file.
type DriftRule struct {
	Enabled bool
	// MinWindow is the least time since the last good deployment ended.
	MinWindow time.Duration
}

// MendsDrift gives the trigger that deploys against the drift of an
// application, if the rule and the record permit one now: nothing is at work
// or waits, no way back holds the application, and the window has passed. It
// deploys what the last good deployment declared, not what git holds by now.
// Its key is the observation's: one drift starts at most one deployment.
func MendsDrift(a deploy.Application, r DriftRule, now time.Time) (deploy.Trigger, bool) {
	if !r.Enabled || !a.Drifted() || a.Drift.Tried != "" || a.Disabled || a.Current != "" || len(a.Queue) > 0 || a.Hold != nil || a.LastGood == nil {
		return deploy.Trigger{}, false
	}
	if now.Before(a.LastGood.At.Add(r.MinWindow)) {
		return deploy.Trigger{}, false
	}
	return deploy.Trigger{
		Kind: deploy.OnOutOfSync, Key: deploy.TriggerKey(deploy.OnOutOfSync, a.ID, a.Drift.ID), Commit: a.LastGood.Commit, Branch: a.Branch,
		Why: deploy.Why(deploy.ReasonDrift, "count", strconv.Itoa(a.Drift.Count), "summary", a.Drift.Summary),
	}, true
}
