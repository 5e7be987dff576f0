package ecs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// crasher counts the points at which a process can die: after each write to the cloud (its answer is lost), before and after
// each entry of the journal. It strikes at one of them, once.
type crasher struct{ n, strike int }

func (c *crasher) point() error {
	if c.n++; c.n == c.strike {
		return errCrash
	}
	return nil
}

func (c *crasher) arm(f *fakeCloud, j *crashJournal) {
	f.afterCall = func(string) error { return c.point() }
	j.at = func(bool) error { return c.point() }
}

// scene is a world with a planned deployment and its journal.
type scene struct {
	*world
	r run
	j *crashJournal
}

// scenarios are the pipelines of the matrix, each from a live version 1.
func scenes() map[string]func(t *testing.T) *scene {
	begin := func(prepare func(*world), pipeline string, strategy deploy.Strategy) func(t *testing.T) *scene {
		return func(t *testing.T) *scene {
			w := newWorld(t)
			if prepare != nil {
				prepare(w)
			}
			w.live("1")
			w.want("2", pipeline)
			return &scene{world: w, r: w.plan(strategy, nil), j: &crashJournal{}}
		}
	}
	unattached := func(w *world) { w.f.rules = w.f.rules[:1] }
	blueGreen := `
  pipeline:
    stages:
      - {name: ECS_CANARY_ROLLOUT, with: {scale: 100}}
      - {name: ECS_TRAFFIC_ROUTING, with: {canary: 100}}
      - {name: ECS_PRIMARY_ROLLOUT}
      - {name: ECS_TRAFFIC_ROUTING, with: {primary: 100}}
      - {name: ECS_CANARY_CLEAN}
`
	return map[string]func(t *testing.T) *scene{
		"canary":     begin(nil, canaryPipeline, deploy.StrategyPipeline),
		"attach":     begin(unattached, canaryPipeline, deploy.StrategyPipeline),
		"blue-green": begin(nil, blueGreen, deploy.StrategyPipeline),
		"sync":       begin(nil, "", deploy.StrategyQuick),
	}
}

// fork goes on from here in another way.
func (s *scene) fork() *scene {
	w := *s.world
	w.f = s.f.fork()
	w.p = w.platform()
	return &scene{world: &w, r: s.r, j: &crashJournal{MemJournal: platform.MemJournal{Entries: maps.Clone(s.j.Entries)}}}
}

// wantDeclared checks the end of a pipeline: one task set with the new version, all traffic on it, nothing open.
func (s *scene) wantDeclared(where string) {
	s.t.Helper()
	live := s.observe()
	if c, err := s.p.Compare(platform.State{Desired: &s.d}, platform.State{Live: &live}); err != nil || !c.Empty() {
		s.t.Errorf("%s: drift at the end: %s %v", where, c.Text(), err)
	}
	var snap snapshot
	if err := json.Unmarshal(live.Body, &snap); err != nil {
		s.t.Fatal(err)
	}
	sets := slices.DeleteFunc(snap.Service.Sets, func(t taskSet) bool { return t.Status == statusDraining })
	if len(sets) != 1 || sets[0].Status != statusPrimary || sets[0].Scale != 100 || len(live.Unsettled) > 0 {
		s.t.Errorf("%s: task sets %+v, unsettled %v", where, sets, live.Unsettled)
	}
	if s.f.created["set/primary"] > 2 || s.f.created["set/canary"] > 1 || s.f.created["revision"] > 2 {
		s.t.Errorf("%s: created twice: %v", where, s.f.created)
	}
	s.wantClean(where)
}

// wantRestored checks the end of the way back: the live state is the snapshot's by effect, nothing is left or lost.
func (s *scene) wantRestored(where string) {
	s.t.Helper()
	live := s.observe()
	if live.Digest != s.r.live.Digest {
		c, _ := s.p.Compare(platform.State{Live: &s.r.live}, platform.State{Live: &live})
		s.t.Errorf("%s: not restored: %s", where, c.Text())
	}
	var then, now snapshot
	if json.Unmarshal(s.r.live.Body, &then) != nil || json.Unmarshal(live.Body, &now) != nil {
		s.t.Fatal("bodies")
	}
	for i, r := range now.Routes {
		if !sameActions(r.Actions, then.Routes[i].Actions) {
			s.t.Errorf("%s: %s is %s", where, r.name(), weightsText(r.Actions, tail))
		}
	}
	for _, t := range now.Service.Sets {
		if t.Status != statusDraining && t.Tags[awsaccess.TagDeployment] == s.r.id && t.Tags[tagRole] != roleFormer {
			s.t.Errorf("%s: %s set %s is left", where, t.Tags[tagRole], t.ARN)
		}
	}
	for _, r := range s.f.revisions {
		if _, named := then.Revisions[r.ARN]; named && r.Inactive {
			s.t.Errorf("%s: revision %s of the snapshot was deregistered", where, r.ARN)
		} else if !named && !r.Inactive {
			s.t.Errorf("%s: revision %s is left", where, r.ARN)
		}
	}
	if s.f.created["set/former"] > 1 {
		s.t.Errorf("%s: former created %d times", where, s.f.created["set/former"])
	}
	s.wantClean(where)
}

func (s *scene) wantClean(where string) {
	s.t.Helper()
	if open, err := (platform.Ledger{J: s.j}).Open(); err != nil || len(open) > 0 {
		s.t.Errorf("%s: open in the ledger: %+v %v", where, open, err)
	}
	for _, b := range s.f.broken {
		s.t.Errorf("%s: traffic: %s", where, b)
	}
}

// TestCrashForward interrupts every pipeline at every point; the same step is asked for again by a new process.
func TestCrashForward(t *testing.T) {
	for name, begin := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := begin(t)
			count := crasher{}
			first := base.fork()
			count.arm(first.f, first.j)
			if out := first.stages(first.r, first.r.plan.Stages, first.j); out.Progress != platform.Done {
				t.Fatalf("without a crash: %+v", out)
			}
			first.wantDeclared("without a crash")
			for n := 1; n <= count.n; n++ {
				s := base.fork()
				(&crasher{strike: n}).arm(s.f, s.j)
				where := fmt.Sprintf("crash at point %d", n)
				if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
					t.Errorf("%s: %+v", where, out)
				}
				s.wantDeclared(where)
				if t.Failed() {
					t.Fatalf("stopped at the first bad point of %d", count.n)
				}
			}
			t.Logf("%s: %d points of interruption", name, count.n)
		})
	}
}

// TestCrashBack takes the way back from every point of every pipeline (after each call of a step, and after each crash), and
// interrupts the way back itself at every point of its own.
func TestCrashBack(t *testing.T) {
	for name, begin := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stops := stopsOf(begin(t))
			runs := 0
			for _, stop := range stops {
				count := crasher{}
				s := stop.scene.fork()
				count.arm(s.f, s.j)
				s.back(stop.where)
				runs++
				if testing.Short() && !stop.stepEnd {
					continue
				}
				for m := 1; m <= count.n; m++ {
					s := stop.scene.fork()
					(&crasher{strike: m}).arm(s.f, s.j)
					s.back(fmt.Sprintf("%s, crash at point %d of the way back", stop.where, m))
					runs++
					if t.Failed() {
						t.FailNow()
					}
				}
			}
			t.Logf("%s: the way back from %d points, %d runs with an interruption at every point", name, len(stops), runs)
		})
	}
}

func (s *scene) back(where string) {
	s.t.Helper()
	if out := s.stages(s.r, s.r.plan.Rollback, s.j); out.Progress != platform.Done {
		s.t.Errorf("%s: %+v", where, out)
	}
	s.wantRestored(where)
}

type stopPoint struct {
	*scene
	where   string
	stepEnd bool
}

// stopsOf runs a pipeline once and keeps a copy of the world at every point where it could be turned back.
func stopsOf(s *scene) []stopPoint {
	var stops []stopPoint
	where := ""
	keep := func(end bool) {
		stops = append(stops, stopPoint{s.fork(), fmt.Sprintf("%s (%d)", where, len(stops)), end})
	}
	s.j.at = func(bool) error {
		keep(false)
		return nil
	}
	wrote := false
	s.f.afterCall = func(string) error { // the cloud is locked here: the copy is made by the next journal entry or end of call
		wrote = true
		return nil
	}
	keep(true)
	for _, st := range s.r.plan.Stages {
		for _, step := range st.Steps {
			where = st.Name + "/" + step.Name
			for asked := 0; ; asked++ {
				out, err := s.stepOnce(s.r, st, step.Name, s.j)
				if err != nil || asked > 400 {
					s.t.Fatalf("%s never ends: %v %v", where, out, err)
				}
				keep(out.Progress == platform.Done || wrote)
				wrote = false
				if out.Progress == platform.Failed {
					s.t.Fatalf("%s: %+v", where, out)
				}
				if out.Progress == platform.Done {
					break
				}
				s.f.tick()
			}
		}
	}
	return stops
}

// TestBackAfterLostAnswer takes the way back when the last thing that happened was a write whose answer, and so its note,
// was lost.
func TestBackAfterLostAnswer(t *testing.T) {
	for name, begin := range scenes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := begin(t)
			total := base.writesOf()
			for n := 1; n <= total; n++ {
				s := base.fork()
				s.untilWrite(n)
				s.back(fmt.Sprintf("lost answer of write %d", n))
				s = base.fork()
				if out := s.stages(s.r, s.untilWrite(n), s.j); out.Progress != platform.Done {
					t.Errorf("lost answer of write %d, then on: %+v", n, out)
				}
				s.back(fmt.Sprintf("lost answer of write %d, then on to the end", n))
				if t.Failed() {
					t.FailNow()
				}
			}
			t.Logf("%s: the way back after each of %d lost answers, at once and from the end", name, total)
		})
	}
}

func (s *scene) writesOf() int {
	f := s.fork()
	before := f.f.writes
	f.stages(f.r, f.r.plan.Stages, f.j)
	return f.f.writes - before
}

// untilWrite runs the pipeline, dies with the n-th write and returns what is left to do, from the same step on.
func (s *scene) untilWrite(n int) []deploy.PlanStage {
	count := 0
	s.f.afterCall = func(string) error {
		if count++; count >= n {
			return errCrash
		}
		return nil
	}
	defer func() { s.f.afterCall = nil }()
	for i, st := range s.r.plan.Stages {
		for k, step := range st.Steps {
			for range 400 {
				out, err := s.stepOnce(s.r, st, step.Name, s.j)
				if err != nil {
					st.Steps = st.Steps[k:]
					return append([]deploy.PlanStage{st}, s.r.plan.Stages[i+1:]...)
				}
				if out.Progress != platform.Waiting {
					break
				}
				s.f.tick()
			}
		}
	}
	return nil
}

// TestFirstDeploymentIsUndoneFromEveryPoint: nothing was live, so the way back leaves nothing, the service included.
func TestFirstDeploymentIsUndoneFromEveryPoint(t *testing.T) {
	w := newWorld(t)
	w.f.lax = true // nothing serves the rules before the first version does
	w.want("1", "")
	s := &scene{world: w, r: w.plan(deploy.StrategyQuick, nil), j: &crashJournal{}}
	runs := 0
	gone := func(s *scene, where string) {
		runs++
		if out := s.stages(s.r, s.r.plan.Rollback, s.j); out.Progress != platform.Done {
			t.Errorf("%s: %+v", where, out)
		}
		if len(s.f.services) > 0 {
			t.Errorf("%s: the service is left", where)
		}
		for _, r := range s.f.revisions {
			if !r.Inactive {
				t.Errorf("%s: %s is left", where, r.ARN)
			}
		}
		s.wantClean(where)
	}
	for _, stop := range stopsOf(s) {
		count := crasher{}
		first := stop.fork()
		count.arm(first.f, first.j)
		gone(first, stop.where)
		for m := 1; m <= count.n; m++ {
			s := stop.fork()
			(&crasher{strike: m}).arm(s.f, s.j)
			gone(s, fmt.Sprintf("%s, crash at point %d of the way back", stop.where, m))
		}
	}
	t.Logf("%d runs", runs)
}
