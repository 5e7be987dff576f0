package platformtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Subject is a platform with one application in a cloud of its own.
type Subject struct {
	// Platform makes a platform value over the subject's cloud, as each process has its own.
	Platform func() platform.Platform
	App      deploy.Ref
	// Source gives the files of a version (from 1). They must declare a
	// pipeline that begins with a canary and ends with everything on the new
	// version, and differ by version in what is deployed.
	Source func(version int) platform.Source
	// Provider is the provider's config.
	Provider spec.Node
	// Sleep lets virtual time pass: the suite waits as the agent does.
	Sleep func(time.Duration)
}

// run is one deployment as the suite drives it.
type run struct {
	t       *testing.T
	s       Subject
	id      string
	desired platform.Desired
	live    platform.Live
	plan    deploy.Plan
	journal *platform.MemJournal
}

// errCrash stands for the death of the process.
var errCrash = errors.New("the process died")

// stepLimit is how often a step may ask to be asked again.
const stepLimit = 1000

func (s Subject) begin(t *testing.T, version int, strategy deploy.Strategy) *run {
	t.Helper()
	ctx, p, src := t.Context(), s.Platform(), s.Source(version)
	r := &run{t: t, s: s, id: fmt.Sprintf("d-%s-%d", t.Name(), version), journal: &platform.MemJournal{}}
	var err error
	if r.desired, err = p.Load(ctx, src); err != nil {
		t.Fatalf("load version %d: %v", version, err)
	}
	if r.live, err = p.Observe(ctx, s.target(r.desired)); err != nil {
		t.Fatalf("observe: %v", err)
	}
	in := platform.PlanInput{App: s.App, Desired: r.desired, Live: r.live, Strategy: strategy}
	if strategy == deploy.StrategyPipeline {
		for i, st := range src.Config.Stages {
			in.PipelineNames = append(in.PipelineNames, st.Name)
			if !plan.IsGeneric(st) {
				in.Stages = append(in.Stages, platform.StageRequest{Index: i, ID: st.ID, Name: st.Name, With: st.With})
			}
		}
	}
	part, err := p.Plan(in)
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	r.plan = deploy.Plan{Strategy: strategy, Stages: part.Stages, Rollback: part.Rollback, DesiredDigest: r.desired.Digest, LiveDigest: r.live.Digest, SettleTime: part.SettleTime}
	return r
}

func (s Subject) target(d platform.Desired) platform.Target {
	return platform.Target{App: s.App, Desired: d, ProviderConfig: s.Provider}
}

// step is one step of one stage.
type step struct {
	stage deploy.PlanStage
	index int
	back  bool
}

func flatten(stages []deploy.PlanStage, back bool) (out []step) {
	for _, s := range stages {
		for i := range s.Steps {
			out = append(out, step{s, i, back})
		}
	}
	return out
}

func (x step) name() string { return x.stage.Name + "/" + x.stage.Steps[x.index].Name }

// once asks for a step once, as a process that knows nothing but what was stored.
func (r *run) once(x step) (platform.Outcome, error) {
	var desired platform.Desired
	var live platform.Live
	throughJSON(r.t, r.desired, &desired)
	throughJSON(r.t, r.live, &live)
	begin := time.Now()
	out, err := r.s.Platform().Run(r.t.Context(), platform.Step{
		DeploymentID: r.id, ProjectID: "p", App: r.s.App, Plan: r.plan, Stage: x.stage, Attempt: 1, Name: x.stage.Steps[x.index].Name, Rollback: x.back,
		Desired: desired, Live: live, Token: token(r.id, x), Now: time.Now(), ProviderConfig: r.s.Provider, Log: discard{},
	}, r.journal)
	if took := time.Since(begin); took > 5*time.Second {
		r.t.Errorf("step %s took %s: a platform never waits", x.name(), took)
	}
	return out, err
}

// finish asks for a step until it is done.
func (r *run) finish(x step) {
	r.t.Helper()
	for range stepLimit {
		out, err := r.once(x)
		switch {
		case errors.Is(err, errCrash):
			continue
		case err != nil:
			if can, _ := platform.CanRetry(err); !can {
				r.t.Fatalf("step %s: %v", x.name(), err)
			}
			r.s.Sleep(time.Second)
		case out.Progress == platform.Failed:
			r.t.Fatalf("step %s failed: %s", x.name(), out.Reason)
		case out.Progress == platform.Waiting:
			if out.Reason.IsZero() {
				r.t.Errorf("step %s waits and does not say what for", x.name())
			}
			r.s.Sleep(max(out.After, 100*time.Millisecond))
		default:
			return
		}
	}
	r.t.Fatalf("step %s is never done", x.name())
}

func (r *run) all(steps []step) {
	r.t.Helper()
	for _, x := range steps {
		r.finish(x)
	}
}

func (r *run) observe() platform.Live {
	r.t.Helper()
	live, err := r.s.Platform().Observe(r.t.Context(), r.s.target(r.desired))
	if err != nil {
		r.t.Fatalf("observe: %v", err)
	}
	return live
}

// differs compares live with desired.
func (r *run) differs() change.Changes {
	r.t.Helper()
	live := r.observe()
	c, err := r.s.Platform().Compare(platform.State{Live: &live}, platform.State{Desired: &r.desired})
	if err != nil {
		r.t.Fatalf("compare: %v", err)
	}
	return c
}

func throughJSON(t *testing.T, from, to any) {
	t.Helper()
	b, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// token is 32 characters, as the agent's are.
func token(id string, x step) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", id, x.stage.ID, x.index))
	return hex.EncodeToString(h[:16])
}

type discard struct{}

func (discard) Logf(slog.Level, string, ...any) {}

// crashAt makes the n-th entry of the journal the last thing that happens:
// lost says whether the entry is lost too.
func (r *run) crashAt(n int, lost bool) (reached func() bool) {
	count := 0
	r.journal.OnPut = func(_ context.Context, key string, value json.RawMessage) error {
		if count++; count != n {
			return nil
		}
		if !lost {
			r.journal.Entries[key] = value
		}
		return errCrash
	}
	if r.journal.Entries == nil {
		r.journal.Entries = map[string]json.RawMessage{}
	}
	return func() bool { return count >= n }
}
