package world

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// sight is what one call of a platform saw of its cloud. It travels in the
// context of the call.
type sight struct {
	mu    sync.Mutex
	n     int // reads and writes so far
	read  int // when the newest read was answered
	wrote int // when the newest write was sent
	ops   map[string]bool
}

type sightKey struct{}

type askerKey struct{}

// asked marks a call of a platform with who asks, told by the functions that led
// to it: two that ask for the same at one instant, such as a plan and the look at
// what is live, send the same calls, which must not arrive at one instant.
func asked(ctx context.Context) context.Context {
	var pcs [16]uintptr
	h := fnv.New64a()
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		_, _ = io.WriteString(h, f.Function) // never fails (hash.Hash)
		if !more {
			return context.WithValue(ctx, askerKey{}, h.Sum64())
		}
	}
}

// asker is who asked, 0 for nobody's platform.
func asker(ctx context.Context) uint64 {
	n, _ := ctx.Value(askerKey{}).(uint64)
	return n
}

func sightOf(ctx context.Context) *sight {
	s, _ := ctx.Value(sightKey{}).(*sight)
	return s
}

// saw notes an answered read, sent a write on its way. Both take a nil sight,
// for calls of nobody's platform.
func (s *sight) saw(op string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.read, s.ops[op] = s.n, true
}

func (s *sight) sent() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	s.wrote = s.n
}

// judged reports whether something was read, and nothing written behind it.
func (s *sight) judged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read > s.wrote
}

func (s *sight) has(op string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops[op]
}

// verdicts reports whether a step judges what is live instead of changing it.
func verdicts(kind deploy.Kind, step string) bool {
	if kind != kindECS {
		return step == "ready" || step == "verify"
	}
	for _, prefix := range []string{"await-", "verify", "check-", "drain-", "promote"} {
		if strings.HasPrefix(step, prefix) {
			return true
		}
	}
	return false
}

const kindECS deploy.Kind = "ECSApp"

// watched stands between an agent and a platform: no verdict may come without
// an observation behind it, and what was found is known to the watch.
type watched struct {
	platform.Platform
	w *World
	p *Process
}

// judgement is a step that a platform called done.
type judgement struct{ at time.Time }

func stepKey(deployment, stage string, attempt int, step string) string {
	return fmt.Sprint(deployment, " ", stage, " ", attempt, " ", step)
}

// Run implements platform.Platform.
func (x *watched) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	if s.Rollback {
		x.w.watch.turned(s.DeploymentID)
	}
	x.w.goesOn(s)
	seen := &sight{ops: map[string]bool{}}
	out, err := x.Platform.Run(context.WithValue(asked(ctx), sightKey{}, seen), s, j)
	if x.p.Dead() {
		return out, err
	}
	what := fmt.Sprintf("%s: step %s of %s", s.DeploymentID, s.Name, s.Stage.ID)
	can, _ := platform.CanRetry(err)
	switch {
	case err == nil && out.Progress == platform.Done:
		if verdicts(x.Kind(), s.Name) && !seen.judged() && (s.Name != "check-weights" || balanced(s.Desired)) {
			x.w.Problemf("evidence: %s is done, but nothing was read behind the last write", what)
		}
		x.w.watch.done(x.p, stepKey(s.DeploymentID, s.Stage.ID, s.Attempt, s.Name))
	case ctx.Err() == nil && (err == nil && out.Progress == platform.Failed || err != nil && !can):
		if err == nil && x.Kind() == kindECS && !seen.judged() && s.Name != "run-task" { // what RunTask could not start it says itself
			x.w.Problemf("evidence: %s failed, but nothing was read behind the last write", what)
		}
		if !s.Rollback {
			x.w.watch.found(x.p, verdict{deployment: s.DeploymentID, what: what + " failed", stage: s.Stage.ID, attempt: s.Attempt, step: s.Name})
		}
	}
	return out, err
}

// Observe implements platform.Platform.
func (x *watched) Observe(ctx context.Context, t platform.Target) (platform.Live, error) {
	began := time.Now()
	live, err := x.Platform.Observe(asked(ctx), t)
	if err == nil {
		x.w.watch.observed(x.p, t.App.ID, observation{began, live.Digest})
	}
	return live, err
}

// balanced reports whether a desired state on ECS has target groups, so that
// there are routes and targets to look at.
func balanced(d platform.Desired) bool { return bytes.Contains(d.Body, []byte(":targetgroup/")) }

// guarded is a watched platform that can look while a deployment waits.
type guarded struct {
	watched
	g platform.Guarded
}

// Guard implements platform.Guarded.
func (x *guarded) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	seen := &sight{ops: map[string]bool{}}
	b, err := x.g.Guard(context.WithValue(asked(ctx), sightKey{}, seen), h)
	if err != nil || x.p.Dead() || ctx.Err() != nil {
		return b, err
	}
	switch b.Kind {
	case platform.BreachNone:
		if !seen.judged() {
			x.w.Problemf("evidence: the guard of %s found nothing, but read nothing either", h.DeploymentID)
		}
		if x.Kind() == kindECS && !seen.has("DescribeServices") || balanced(h.Desired) && (!seen.has("DescribeTargetHealth") || !seen.has("DescribeListeners") && !seen.has("DescribeRules")) {
			x.w.Problemf("evidence: the guard of %s found nothing, but did not look at service, targets and routes", h.DeploymentID)
		}
		x.w.watch.looked(x.p, h.DeploymentID, true)
	case platform.BreachForeign:
		x.w.watch.looked(x.p, h.DeploymentID, false)
	case platform.BreachHealth:
		x.w.watch.found(x.p, verdict{deployment: h.DeploymentID, what: h.DeploymentID + ": the guard found " + b.Reason.String()})
	}
	return b, err
}

// watching stands a watch between an agent and its platforms.
func (w *World) watching(p *Process, all []platform.Platform) (out []platform.Platform) {
	for _, one := range all {
		if w.opt.WrapPlatform != nil {
			one = w.opt.WrapPlatform(p, one)
		}
		x := watched{Platform: one, w: w, p: p}
		if g, ok := one.(platform.Guarded); ok {
			out = append(out, &guarded{x, g})
			continue
		}
		out = append(out, &x)
	}
	return out
}

// checkReport wants the evidence of a report: the process asked for the step
// itself, and read back what it says it read back, behind it.
func (w *World) checkReport(p *Process, r client.Report) {
	if p.Dead() || r.Step == nil || r.Step.Progress != string(platform.Done) {
		return
	}
	if inst := w.host.current(); inst == nil || !w.refresh(inst) {
		return
	}
	d, ok := w.watch.deployment(r.DeploymentID)
	i := d.StageByID(r.Step.Stage)
	if !ok || i < 0 || r.Step.Step >= len(d.Stages[i].Steps) {
		return
	}
	at, ok := w.watch.wasDone(p, stepKey(r.DeploymentID, r.Step.Stage, r.Step.Attempt, d.Stages[i].Steps[r.Step.Step].Name))
	if !ok {
		w.Problemf("evidence: %s reports step %d of %s of %s as done, which its platform never said", p.Name, r.Step.Step, r.Step.Stage, r.DeploymentID)
		return
	}
	if r.Step.Verified == "" {
		return
	}
	if o := w.watch.lastLook(p, d.App.ID); o.began.Before(at.at) {
		w.Problemf("evidence: %s reports that %s is live behind %s of %s, but has not observed since", p.Name, r.Step.Verified, r.Step.Stage, r.DeploymentID)
	}
}

// checkEvidence checks the facts of a finished deployment: it ends well only
// behind a last step whose effect was read back.
func (w *World) checkEvidence(s Stream) {
	digest, steps, end := "", 0, deploy.EndNone
	for _, e := range s.Events {
		switch e.Type {
		case deploy.EvRollbackStarted:
			digest, steps = "", 0
		case deploy.EvStepDone:
			if d, err := deploy.Decode[deploy.StepDoneData](e); err == nil {
				digest, steps = d.LiveDigest, steps+1
			}
		case deploy.EvFinished:
			if d, err := deploy.Decode[deploy.FinishedData](e); err == nil {
				end = d.End
			}
		}
	}
	if steps > 0 && digest == "" && (end == deploy.EndDeclared || end == deploy.EndSnapshot) {
		w.Problemf("evidence: deployment %s ended %s, but nothing was read back behind its last step", s.ID, end)
	}
}
