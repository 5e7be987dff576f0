package platformtest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Run runs the suite. open makes a new cloud each time and is called inside
// the bubble.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for name, f := range map[string]func(*testing.T, Subject){
		"it describes itself":                          describes,
		"load is repeatable":                           loads,
		"nothing live is no error":                     nothing,
		"a quick sync reaches what is declared":        quick,
		"the pipeline reaches what is declared":        pipeline,
		"every step can be asked for again":            again,
		"the way back leads from everywhere":           back,
		"a first deployment leaves nothing":            vanishes,
		"a crash at any journal entry changes nothing": crashes,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, open(t)) })
		})
	}
}

func describes(t *testing.T, s Subject) {
	p := s.Platform()
	if p.Kind() == "" {
		t.Error("the platform has no kind")
	}
	seen := map[string]bool{}
	for _, st := range p.Stages() {
		if st.Name == "" || st.Desc == "" || seen[st.Name] {
			t.Errorf("stage %+v is not described, or twice", st)
		}
		seen[st.Name] = true
		for _, o := range st.Options {
			if o.Name == "" || o.Type == "" || o.Desc == "" {
				t.Errorf("option %+v of %s is not described", o, st.Name)
			}
		}
	}
	for _, st := range s.Source(1).Config.Stages {
		if st.Wait == nil && st.Approval == nil && !seen[st.Name] {
			t.Errorf("stage %s can be written but is not listed", st.Name)
		}
	}
}

func loads(t *testing.T, s Subject) {
	load := func(v int) platform.Desired {
		d, err := s.Platform().Load(t.Context(), s.Source(v))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, again, two := load(1), load(1), load(2)
	if one.Digest == "" || one.Digest != again.Digest || string(one.Body) != string(again.Body) {
		t.Errorf("the same files render to %s and %s", one.Digest, again.Digest)
	}
	if one.Digest == two.Digest {
		t.Error("two versions have one digest")
	}
	if len(one.Versions) == 0 {
		t.Error("no version is named")
	}
	c, err := s.Platform().Compare(platform.State{Desired: &one}, platform.State{Desired: &again})
	if err != nil || !c.Empty() {
		t.Errorf("a state differs from itself: %v, %v", c.Summary(), err)
	}
	if c, err = s.Platform().Compare(platform.State{Desired: &one}, platform.State{Desired: &two}); err != nil || c.Empty() {
		t.Errorf("two versions do not differ: %v", err)
	}
}

func nothing(t *testing.T, s Subject) {
	r := s.begin(t, 1, deploy.StrategyQuick)
	if r.live.Exists {
		t.Error("something exists in an empty cloud")
	}
	if r.live.Account == "" {
		t.Error("the account is not named")
	}
}

// deployed brings a version out by quick sync.
func deployed(t *testing.T, s Subject, version int) *run {
	t.Helper()
	r := s.begin(t, version, deploy.StrategyQuick)
	r.all(flatten(r.plan.Stages, false))
	return r
}

func (r *run) reached() {
	r.t.Helper()
	if c := r.differs(); !c.Empty() {
		r.t.Errorf("live is not what is declared: %s", c.Text())
	}
	r.accounted()
}

// accounted checks that no object is left open in the ledger.
func (r *run) accounted() {
	r.t.Helper()
	open, err := platform.Ledger{J: r.journal}.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range open {
		r.t.Errorf("%s %s (%s) is still %s in the ledger", o.Type, o.ID, o.Note, o.State)
	}
}

func quick(t *testing.T, s Subject) {
	deployed(t, s, 1).reached()
	deployed(t, s, 2).reached()
}

func pipeline(t *testing.T, s Subject) {
	deployed(t, s, 1)
	r := s.begin(t, 2, deploy.StrategyPipeline)
	if !r.live.Exists || len(r.plan.Rollback) == 0 {
		t.Fatalf("live exists: %v, way back: %v", r.live.Exists, r.plan.Rollback)
	}
	r.all(flatten(r.plan.Stages, false))
	r.reached()
}

// again asks for every step a second time when it is done: nothing may change.
func again(t *testing.T, s Subject) {
	deployed(t, s, 1)
	r := s.begin(t, 2, deploy.StrategyPipeline)
	for _, x := range flatten(r.plan.Stages, false) {
		r.finish(x)
		before := r.observe().Digest
		r.finish(x)
		if after := r.observe().Digest; after != before {
			t.Errorf("step %s, asked for again, changed what is live", x.name())
		}
	}
	r.reached()
}

// back turns round behind every step.
func back(t *testing.T, s Subject) {
	deployed(t, s, 1)
	r := s.begin(t, 2, deploy.StrategyPipeline)
	n := len(flatten(r.plan.Stages, false))
	for i := range n {
		r := s.begin(t, 2, deploy.StrategyPipeline)
		r.id = r.id + string(rune('a'+i))
		steps := flatten(r.plan.Stages, false)
		r.all(steps[:i+1])
		r.all(flatten(r.plan.Rollback, true))
		if got := r.observe().Digest; got != r.live.Digest {
			t.Errorf("back from %s: live is %s, was %s", steps[i].name(), got, r.live.Digest)
		}
		r.accounted()
	}
}

func vanishes(t *testing.T, s Subject) {
	r := s.begin(t, 1, deploy.StrategyQuick)
	steps := flatten(r.plan.Stages, false)
	r.all(steps[:len(steps)-1])
	r.all(flatten(r.plan.Rollback, true))
	left := r.observe()
	for range 120 { // what runs may take a while to end
		if !left.Exists {
			break
		}
		s.Sleep(time.Second)
		left = r.observe()
	}
	if left.Exists {
		t.Errorf("of a first deployment that went back is left: %s", left.Body)
	}
	r.accounted()
}

// crashes lets the process die at each entry of the journal, before and after
// it is stored.
func crashes(t *testing.T, s Subject) {
	deployed(t, s, 1)
	points := 0
	for n := 1; n < stepLimit; n++ {
		for _, lost := range []bool{true, false} {
			r := s.begin(t, 2, deploy.StrategyPipeline)
			r.id = r.id + string(rune('a'+n%26)) + string(rune('a'+n/26)) + map[bool]string{true: "l", false: "k"}[lost]
			reached := r.crashAt(n, lost)
			r.all(flatten(r.plan.Stages, false))
			crashed := reached()
			r.journal.OnPut = nil
			r.reached()
			b := s.begin(t, 1, deploy.StrategyQuick)
			b.id = r.id + "b"
			b.all(flatten(b.plan.Stages, false))
			if !crashed {
				t.Logf("crash_points=%d", points)
				return
			}
			points++
		}
	}
}

// Deploy brings a version out and returns when every step is done.
func Deploy(t *testing.T, s Subject, version int, strategy deploy.Strategy) {
	t.Helper()
	r := s.begin(t, version, strategy)
	r.all(flatten(r.plan.Stages, false))
}
