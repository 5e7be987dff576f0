package engine_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	. "github.com/penstock-cd/penstock/internal/engine"
)

func ended(id string, s deploy.Status, e deploy.End) Ended {
	return Ended{Deployment: deploy.Deployment{
		ID: id, Status: s, End: e, LiveDigest: "live-" + id, FinishedAt: t0, Failed: deploy.Why("WHY"),
		Trigger: deploy.Trigger{Commit: deploy.Commit{Hash: "commit-" + id}},
		Plan:    &deploy.Plan{DesiredDigest: "desired-" + id, LiveDigest: "before-" + id, Account: "1/eu", Stages: []deploy.PlanStage{{ID: "s"}}},
	}}
}

func driveApp(t *testing.T, a deploy.Application, inputs ...AppInput) deploy.Application {
	t.Helper()
	for i, in := range inputs {
		events, err := DecideApp(a, in, t0)
		if err != nil {
			t.Fatalf("input %d, %T: %v", i, in, err)
		}
		for _, e := range events {
			if a, err = ApplyApp(a, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	return a
}

func registered(t *testing.T) deploy.Application {
	return driveApp(t, deploy.Application{}, Register{ProjectID: "p", App: deploy.Ref{ID: "app", Name: "web"}})
}

func commit(id string) Enqueue {
	return Enqueue{DeploymentID: id, Trigger: deploy.OnCommit, Commit: "c-" + id}
}

func command(id string) Enqueue {
	return Enqueue{DeploymentID: id, Trigger: deploy.OnCommand, Commit: "c-" + id}
}

func queueOf(a deploy.Application) (ids []string) {
	for _, q := range a.Queue {
		ids = append(ids, q.ID)
	}
	return ids
}

func TestSupersedeTouchesPendingCommitsOnly(t *testing.T) {
	a := driveApp(t, registered(t), commit("d1"), AdmitNext{}, commit("d2"), command("d3"), commit("d4"), commit("d5"))
	if a.Current != "d1" {
		t.Errorf("current is %s, want d1", a.Current)
	}
	if diff := cmp.Diff([]string{"d3", "d5"}, queueOf(a)); diff != "" {
		t.Errorf("queue (-want +got):\n%s", diff)
	}
}

func TestGoodAndHold(t *testing.T) {
	a := driveApp(t, registered(t), commit("d1"), AdmitNext{}, ended("d1", deploy.StatusSuccess, deploy.EndDeclared))
	if a.LastGood == nil || a.LastGood.LiveDigest != "live-d1" || a.Account != "1/eu" || a.Current != "" || a.Sync() != deploy.SyncSynced {
		t.Fatalf("after a success: %+v", a)
	}
	a = driveApp(t, a, commit("d2"), AdmitNext{}, ended("d2", deploy.StatusFailure, deploy.EndSnapshot))
	if a.Hold == nil || a.Hold.DesiredDigest != "desired-d2" || a.LastGood.DeploymentID != "d1" || a.Sync() != deploy.SyncOutOfSync {
		t.Fatalf("after a way back: %+v", a)
	}
	kept := driveApp(t, a, commit("d3"), AdmitNext{}, ended("d3", deploy.StatusCancelled, deploy.EndNone))
	if kept.Hold == nil {
		t.Error("a deployment that wrote nothing released the hold")
	}
	a = driveApp(t, a, commit("d3"), AdmitNext{}, ended("d3", deploy.StatusSuccess, deploy.EndDeclared))
	if a.Hold != nil || a.LastGood.DeploymentID != "d3" {
		t.Errorf("a success keeps the hold: %+v", a)
	}
}

// TestNothingToDoKeepsTheLiveDigest: a deployment without stages reads nothing
// back; what its plan observed is the good state.
func TestNothingToDoKeepsTheLiveDigest(t *testing.T) {
	e := ended("d1", deploy.StatusSuccess, deploy.EndDeclared)
	e.Deployment.LiveDigest, e.Deployment.Plan.Stages = "", nil
	a := driveApp(t, registered(t), commit("d1"), AdmitNext{}, e)
	if a.LastGood == nil || a.LastGood.LiveDigest != "before-d1" {
		t.Errorf("last good is %+v", a.LastGood)
	}
}

func TestApplicationRefusals(t *testing.T) {
	a := registered(t)
	for name, c := range map[string]struct {
		a    deploy.Application
		in   AppInput
		code deploy.Code
	}{
		"register twice":                {a, Register{App: deploy.Ref{ID: "app"}}, deploy.CodeExists},
		"of none":                       {deploy.Application{}, Disable{}, deploy.CodeNotFound},
		"update of another":             {a, Update{App: deploy.Ref{ID: "other"}}, deploy.CodeInvalid},
		"enqueue while disabled":        {driveApp(t, a, Disable{}), commit("d1"), deploy.CodeRefused},
		"delete while one runs":         {driveApp(t, a, commit("d1"), AdmitNext{}), Delete{}, deploy.CodeRefused},
		"anything after delete":         {driveApp(t, a, Delete{}), Enable{}, deploy.CodeNotFound},
		"an end that is none":           {driveApp(t, a, commit("d1"), AdmitNext{}), ended("d1", deploy.StatusRunning, ""), deploy.CodeInternal},
		"anything with unknown history": {deploy.Application{Ref: deploy.Ref{ID: "app"}, Parked: "X"}, commit("d1"), deploy.CodeRefused},
	} {
		if _, err := DecideApp(c.a, c.in, t0); deploy.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

func TestNoEventWithoutChange(t *testing.T) {
	a := driveApp(t, registered(t), FileInvalid{Commit: "c", Detail: "line 3"})
	for _, in := range []AppInput{
		Enable{}, Update{App: a.Ref}, FileInvalid{Commit: "c", Detail: "line 3"}, AdmitNext{}, ended("unknown", deploy.StatusSuccess, deploy.EndDeclared),
	} {
		if events, err := DecideApp(a, in, t0); err != nil || len(events) != 0 {
			t.Errorf("%T: %v, %v", in, events, err)
		}
	}
	if a.Sync() != deploy.SyncInvalid {
		t.Errorf("sync is %s", a.Sync())
	}
	if a = driveApp(t, a, FileValid{}); a.Invalid != nil {
		t.Error("a valid file is still invalid")
	}
}

// TestAnyQueue: one current deployment, first come first served, and what a
// person asked for is never dropped.
func TestAnyQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a deploy.Application
		var events []deploy.Event
		feed := func(in AppInput) bool {
			out, err := DecideApp(a, in, t0)
			for _, e := range out {
				if a, err = ApplyApp(a, e); err != nil {
					t.Fatal(err)
				}
				events = append(events, e)
			}
			return err == nil
		}
		feed(Register{ProjectID: "p", App: deploy.Ref{ID: "app"}})
		next, asked := 0, map[string]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "inputs") {
			before := a
			switch rapid.IntRange(0, 5).Draw(t, "input") {
			case 0, 1:
				next++
				feed(commit(fmt.Sprint("d", next)))
			case 2:
				next++
				if id := fmt.Sprint("d", next); feed(command(id)) {
					asked[id] = true
				}
			case 3:
				if feed(AdmitNext{}); before.Current == "" && len(before.Queue) > 0 && a.Current != before.Queue[0].ID {
					t.Fatalf("admitted %s, the oldest is %s", a.Current, before.Queue[0].ID)
				}
			case 4:
				end := rapid.SampledFrom([]deploy.End{deploy.EndSnapshot, deploy.EndNeedsAttention, deploy.EndNone}).Draw(t, "end")
				delete(asked, a.Current)
				feed(ended(a.Current, deploy.StatusFailure, end))
			case 5:
				feed(rapid.SampledFrom([]AppInput{Disable{}, Enable{}, FileValid{}, HeadMoved{MovementID: "m"}}).Draw(t, "other"))
			}
			checkQueue(t, before, a)
			for id := range asked {
				if a.Current != id && !slices.Contains(queueOf(a), id) {
					t.Fatalf("%s, which a person asked for, is gone", id)
				}
			}
		}
		folded, err := FoldApp(events)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(jsonOf(t, a), jsonOf(t, folded)); diff != "" {
			t.Fatalf("fold (-state +fold):\n%s", diff)
		}
	})
}

func checkQueue(t *rapid.T, before, after deploy.Application) {
	if before.Current != "" && after.Current != "" && before.Current != after.Current {
		t.Fatalf("%s replaced %s, which had not ended", after.Current, before.Current)
	}
	seen := map[string]bool{after.Current: after.Current != ""}
	commits := 0
	for _, q := range after.Queue {
		if seen[q.ID] {
			t.Fatalf("%s is there twice", q.ID)
		}
		seen[q.ID] = true
		if q.Trigger == deploy.OnCommit {
			commits++
		}
	}
	if commits > 1 {
		t.Fatalf("%d deployments of commits wait", commits)
	}
}

func jsonOf(t *rapid.T, v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
