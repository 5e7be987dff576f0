package engine_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	. "github.com/penstock-cd/penstock/internal/engine"
)

// good is an application whose deployment d1 was good at t0.
func good(t *testing.T) deploy.Application {
	return driveApp(t, registered(t), commit("d1"), AdmitNext{}, ended("d1", deploy.StatusSuccess, deploy.EndDeclared))
}

func saw(id, digest string) Drifted {
	return Drifted{ID: id, Good: "d1", After: "d1", Digest: digest, Count: 2, Summary: "2 changed", Blob: "b"}
}

func TestDriftIsTheSameAsLongAsTheDifferenceIs(t *testing.T) {
	a := driveApp(t, good(t), saw("o1", "x"))
	if !a.Drifted() || a.Sync() != deploy.SyncOutOfSync || a.Drift.ID != "o1" || !a.Drift.At.Equal(t0) {
		t.Fatalf("drift %+v, sync %s", a.Drift, a.Sync())
	}
	seq := a.Seq
	if a = driveApp(t, a, saw("o2", "x")); a.Seq != seq {
		t.Error("the same difference was recorded twice")
	}
	if a = driveApp(t, a, saw("o3", "y")); a.Drift.ID != "o3" {
		t.Errorf("another difference has the id %s", a.Drift.ID)
	}
	a = driveApp(t, a, InSync{Good: "d1", After: "d1"})
	if a.Drift != nil || a.Sync() != deploy.SyncSynced {
		t.Errorf("in sync, and drift is %+v", a.Drift)
	}
	seq = a.Seq
	if a = driveApp(t, a, InSync{Good: "d1", After: "d1"}); a.Seq != seq {
		t.Error("being in sync was recorded twice")
	}
	if a = driveApp(t, a, saw("o4", "x")); a.Drift.ID != "o4" {
		t.Errorf("the difference that came back has the id %s", a.Drift.ID)
	}
}

func TestAComparisonThatADeploymentOvertookIsDropped(t *testing.T) {
	running := driveApp(t, good(t), commit("d2"), AdmitNext{})
	failed := driveApp(t, running, ended("d2", deploy.StatusFailure, deploy.EndSnapshot))
	for name, x := range map[string]struct {
		a  deploy.Application
		in Drifted
	}{
		"a deployment is at work":   {running, Drifted{ID: "o", Good: "d1", After: "d2", Digest: "x", Count: 1}},
		"one was queued since":      {driveApp(t, good(t), commit("d2")), saw("o", "x")},
		"one ended since":           {failed, saw("o", "x")},
		"another one was good then": {good(t), Drifted{ID: "o", Good: "d0", After: "d1", Digest: "x", Count: 1}},
		"none was good":             {registered(t), Drifted{ID: "o", Digest: "x", Count: 1}},
	} {
		if a := driveApp(t, x.a, x.in); a.Drift != nil {
			t.Errorf("%s: drift %+v", name, a.Drift)
		}
	}
}

func TestWhenADriftIsDeployedAgainst(t *testing.T) {
	rule := DriftRule{Enabled: true, MinWindow: 5 * time.Minute}
	drifted := driveApp(t, good(t), saw("o1", "x"))
	held := driveApp(t, good(t), commit("d2"), AdmitNext{}, ended("d2", deploy.StatusFailure, deploy.EndSnapshot),
		Drifted{ID: "o1", Good: "d1", After: "d2", Digest: "x", Count: 1})
	stale := driveApp(t, drifted, commit("d2"), AdmitNext{}, ended("d2", deploy.StatusCancelled, deploy.EndNone))
	for name, x := range map[string]struct {
		a     deploy.Application
		rule  DriftRule
		after time.Duration
		want  bool
	}{
		"behind the window":       {drifted, rule, 5 * time.Minute, true},
		"within the window":       {drifted, rule, 5*time.Minute - 1, false},
		"not asked for":           {drifted, DriftRule{MinWindow: time.Second}, time.Hour, false},
		"no drift":                {good(t), rule, time.Hour, false},
		"held":                    {held, rule, time.Hour, false},
		"disabled":                {driveApp(t, drifted, Disable{}), rule, time.Hour, false},
		"something waits":         {driveApp(t, drifted, command("d2")), rule, time.Hour, false},
		"something is at work":    {driveApp(t, drifted, command("d2"), AdmitNext{}), rule, time.Hour, false},
		"not seen since another":  {stale, rule, time.Hour, false},
		"seen again behind it":    {driveApp(t, stale, Drifted{ID: "o9", Good: "d1", After: "d2", Digest: "x", Count: 1}), rule, time.Hour, true},
		"deployed against before": {driveApp(t, drifted, Enqueue{DeploymentID: "d2", Trigger: deploy.OnOutOfSync}, AdmitNext{}, ended("d2", deploy.StatusSuccess, deploy.EndDeclared), Drifted{ID: "o9", Good: "d2", After: "d2", Digest: "x", Count: 1}), rule, time.Hour, false},
	} {
		got, ok := MendsDrift(x.a, x.rule, t0.Add(x.after))
		if ok != x.want {
			t.Errorf("%s: deployed %v, want %v", name, ok, x.want)
		}
		if ok && (got.Kind != deploy.OnOutOfSync || got.Commit.Hash != "commit-d1" || got.Key != deploy.TriggerKey(deploy.OnOutOfSync, "app", "o1")) {
			t.Errorf("%s: trigger %+v", name, got)
		}
	}
}

// Whatever is seen and deployed in whatever order: one observed drift starts at
// most one deployment, and never beside another or while the application is held.
func TestADriftStartsAtMostOneDeployment(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		a, now, n := good(t), t0, 1
		by := map[string]string{} // deployment by trigger key
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(r, "seconds")) * time.Second)
			lastGood := a.LastGood.DeploymentID
			switch rapid.IntRange(0, 5).Draw(r, "what") {
			case 0, 1:
				a = apply(r, a, Drifted{ID: fmt.Sprint("o", a.Seq), Good: lastGood, After: a.LastID, Digest: rapid.SampledFrom([]string{"x", "y"}).Draw(r, "digest"), Count: 1}, now)
			case 2:
				a = apply(r, a, InSync{Good: lastGood, After: a.LastID}, now)
			case 3:
				n++
				a = apply(r, a, Enqueue{DeploymentID: fmt.Sprint("d", n), Trigger: deploy.OnCommit}, now)
				a = apply(r, a, AdmitNext{}, now)
			case 4:
				if a.Current != "" {
					e := rapid.SampledFrom([]Ended{
						ended(a.Current, deploy.StatusSuccess, deploy.EndDeclared), ended(a.Current, deploy.StatusFailure, deploy.EndSnapshot), ended(a.Current, deploy.StatusFailure, deploy.EndNone),
					}).Draw(r, "end")
					e.Deployment.FinishedAt = now
					a = apply(r, a, e, now)
					a = apply(r, a, AdmitNext{}, now)
				}
			case 5:
				trigger, ok := MendsDrift(a, DriftRule{Enabled: true, MinWindow: time.Minute}, now)
				if !ok {
					continue
				}
				if a.Current != "" || a.Hold != nil || a.Drift.Stale {
					r.Fatalf("deployed against a drift of %+v", a)
				}
				if was := by[trigger.Key]; was != "" {
					r.Fatalf("%s was deployed against by %s already", a.Drift.ID, was)
				}
				n++
				by[trigger.Key] = fmt.Sprint("d", n)
				a = apply(r, a, Enqueue{DeploymentID: by[trigger.Key], Trigger: trigger.Kind}, now)
				a = apply(r, a, AdmitNext{}, now)
			}
		}
	})
}

func apply(t *rapid.T, a deploy.Application, in AppInput, now time.Time) deploy.Application {
	events, err := DecideApp(a, in, now)
	if err != nil {
		t.Fatalf("%T: %v", in, err)
	}
	for _, e := range events {
		if a, err = ApplyApp(a, e); err != nil {
			t.Fatal(err)
		}
	}
	return a
}
