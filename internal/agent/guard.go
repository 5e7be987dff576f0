package agent

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
)

// guards reports whether somebody must look while the deployment waits.
func (w *worker) guards() bool {
	d := w.deployment()
	if !engine.Due(d).Guard {
		return false
	}
	_, ok := w.a.platforms[d.App.Kind].(platform.Guarded)
	return ok
}

// guard looks once. It is called between the calls of a step only, so a write
// of our own is never in flight; when the last call ended with an error what we
// wrote is in doubt, and a foreign change cannot be told from our own.
func (w *worker) guard(ctx context.Context) {
	d := w.deployment()
	t := engine.Due(d)
	breach, err := w.look(ctx, d, t)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.a.met.guards.WithLabelValues("error").Inc()
		w.log.Warn("the guard could not look", "error", err)
		if w.unsaid.Kind != platform.BreachNone { // nothing that was seen since speaks against it
			w.breached(ctx, w.unsaid)
		}
	case breach.Kind == platform.BreachNone:
		w.lookAt, w.unsaid = time.Now(), platform.Breach{}
		w.a.met.guards.WithLabelValues("fine").Inc()
	case breach.Kind == platform.BreachForeign && w.doubtful:
		w.lookAt, w.unsaid = time.Now(), platform.Breach{}
		w.a.met.guards.WithLabelValues("doubtful").Inc()
		w.log.Warn("the guard found a difference that may be our own, half done", "reason", breach.Reason.String())
	default:
		w.a.met.guards.WithLabelValues("breach").Inc()
		w.log.Error("the guard found a breach", "kind", string(breach.Kind), "reason", breach.Reason.String())
		w.breached(ctx, breach)
	}
}

// blindFor is how old a look of the guard may be to count as evidence.
const blindFor = 10 * time.Second

// sees looks before the first step behind a wait or an approval, unless the
// guard has just looked: that time has passed is no evidence that all is well.
// False when the step does not go on.
func (w *worker) sees(ctx context.Context, j *job) bool {
	if _, ok := j.p.(platform.Guarded); !ok || j.t.Step > 0 || j.stage.Rollback || !behindGuardedWait(j.d, j.t.Stage) {
		return true
	}
	tries := w.a.retries("look", 500*time.Millisecond, maxBackoff)
	for ctx.Err() == nil && !w.a.isStopping() {
		if time.Since(w.lookAt) <= blindFor {
			return true
		}
		w.guardAt = time.Now().Add(w.a.opt.GuardEvery)
		w.guard(ctx)
		if ctx.Err() == nil && time.Since(w.lookAt) > blindFor {
			w.tell(ctx, j.t, j.stage.ID, deploy.Why(ReasonRetrying, "stage", j.stage.Name, "step", "look", "detail", "what is live could not be looked at while the stage before waited"), &j.told)
			w.pause(ctx, time.Now().Add(tries.next(0)), nil)
		}
	}
	return false
}

// behindGuardedWait reports whether the stage before let time pass, or people
// decide, while traffic was split or spare capacity stood.
func behindGuardedWait(d deploy.Deployment, stage int) bool {
	waited := false
	for i := stage - 1; i >= 0; i-- {
		switch s := d.Stages[i]; {
		case s.Type != deploy.StagePlatform:
			waited = true
		case !s.StartedAt.IsZero():
			return waited && s.Holds
		}
	}
	return false
}

func (w *worker) look(ctx context.Context, d deploy.Deployment, t engine.Task) (b platform.Breach, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.log.Error("a guard panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error of the guard: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	state, err := w.state(ctx, d)
	if err != nil {
		return b, err
	}
	prov, err := w.a.provider(d.App.Kind, d.App.Provider)
	if err != nil {
		return b, err
	}
	g, ok := w.a.platforms[d.App.Kind].(platform.Guarded)
	if !ok {
		return b, nil
	}
	held := platform.Held{
		DeploymentID: d.ID, App: d.App, Plan: *d.Plan, Desired: state.Desired, Live: state.Live,
		Journal: w.journal, Now: w.a.gate.now(), ProviderConfig: prov.Config,
	}
	if t.Stage >= 0 {
		held.Stage = d.Stages[t.Stage].PlanStage
	}
	return g.Guard(ctx, held)
}

// breached reports a breach. The report is tried once here: when it cannot be
// sent, the next look finds the breach again, or cannot look and sends it again.
func (w *worker) breached(ctx context.Context, b platform.Breach) {
	why := b.Reason
	if why.IsZero() {
		why = deploy.Why(deploy.ReasonBreach, "detail", string(b.Kind))
	}
	d, err := w.send(ctx, client.Report{
		DeploymentID: w.id, Epoch: w.epoch, EventID: w.a.opt.NewID(w.id), Breach: &client.BreachReport{Kind: string(b.Kind), Reason: why},
	})
	w.unsaid = platform.Breach{}
	switch {
	case err == nil:
		w.offer(d)
	case ctx.Err() == nil:
		w.unsaid = b
		w.a.linkFailed("report breach", err)
		w.log.Error("a breach could not be reported", "error", err)
		if deploy.CodeOf(err) == deploy.CodeRefused {
			kick(w.a.workKick)
		}
	}
}
