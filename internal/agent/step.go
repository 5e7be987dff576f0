package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// askFirst is how soon a step that gives no time of its own is asked again.
const askFirst = time.Second

// digestOf tells live states apart. That nothing is there is an observation too,
// and has a digest whether the platform gives it one or not.
func digestOf(l platform.Live) string { return cmp.Or(l.Digest, "nothing") }

// errClosed says that the gate did not let a call begin.
var errClosed = errors.New("the lease does not cover a write")

// stepToken is the idempotency token of a step: the same whenever the same step
// of the same attempt is asked for, by whichever process. 32 characters.
func stepToken(deployment, stage string, attempt, step int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", deployment, stage, attempt, step))
	return hex.EncodeToString(h[:16])
}

// job is one step that is due, with all that is needed to ask for it.
type job struct {
	d     deploy.Deployment
	t     engine.Task
	stage deploy.Stage
	name  string
	p     platform.Platform
	cfg   spec.Node
	state *pinned
	log   *stageLog
	told  string // what it was last said to wait for
	last  bool   // the last step of the last stage of the platform: verified behind it
}

// step carries the step that is due to its end: asks for it, waits, asks again.
func (w *worker) step(ctx context.Context, d deploy.Deployment, t engine.Task) {
	j := &job{d: d, t: t, stage: d.Stages[t.Stage], last: lastStep(d, t)}
	if t.Step < len(j.stage.Steps) {
		j.name = j.stage.Steps[t.Step].Name
	}
	j.log = w.stageLog(j.stage.ID, t.Attempt)
	if !w.prepare(ctx, j) {
		return
	}
	if j.name != "" {
		j.log.begin(j.name, t.Step, len(j.stage.Steps))
	}
	tries := w.a.retries("step", 500*time.Millisecond, maxBackoff)
	for w.mayWrite(ctx, j) && w.lookedFirst(ctx, j) && w.sees(ctx, j) {
		out, err := w.ask(ctx, j)
		if ctx.Err() != nil {
			w.a.met.steps.WithLabelValues("interrupted").Inc()
			w.doubtful = true
			j.log.Logf(slog.LevelWarn, "step %s was interrupted: %v", j.name, context.Cause(ctx))
			return
		}
		switch {
		case errors.Is(err, errClosed):
		case err != nil:
			if !w.failedCall(ctx, j, err, tries) {
				return
			}
		case out.Progress == platform.Done:
			w.doubtful = false
			w.a.met.steps.WithLabelValues("done").Inc()
			w.a.observeSoon(d.App.ID)
			w.finish(ctx, j)
			return
		case out.Progress == platform.Failed:
			w.doubtful = false
			w.fail(ctx, j, out.Reason)
			return
		default:
			w.doubtful = false
			tries.reset()
			w.a.met.steps.WithLabelValues("waiting").Inc()
			w.tell(ctx, t, j.stage.ID, out.Reason, &j.told)
			w.pause(ctx, time.Now().Add(orDefault(out.After, askFirst)), nil)
		}
	}
}

// prepare finds the platform and the pinned state of a step. What cannot be
// found fails the step.
func (w *worker) prepare(ctx context.Context, j *job) bool {
	p, err := w.a.platform(j.d.App.Kind)
	var prov spec.PlatformProvider
	if err == nil {
		prov, err = w.a.provider(j.d.App.Kind, j.d.App.Provider)
	}
	if err != nil {
		w.fail(ctx, j, w.stepFailed(j, err))
		return false
	}
	j.p, j.cfg = p, prov.Config
	tries := w.a.retries("prepare", 200*time.Millisecond, maxBackoff)
	for {
		if j.state, err = w.state(ctx, j.d); err == nil {
			return true
		}
		if can, _ := platform.CanRetry(err); !can {
			w.fail(ctx, j, w.stepFailed(j, err))
			return false
		}
		w.log.Warn("cannot read the pinned state, trying again", "error", err)
		w.pause(ctx, time.Now().Add(tries.next(0)), nil)
		if ctx.Err() != nil || w.a.isStopping() {
			return false
		}
	}
}

// mayWrite waits until a write may begin; false when something else is due or
// the process stops.
func (w *worker) mayWrite(ctx context.Context, j *job) bool {
	if wait := time.Until(w.writeAt); wait > 0 {
		why := deploy.Why(ReasonEarlierHolder, "seconds", fmt.Sprintf("%.0f", wait.Seconds()))
		j.log.Logf(slog.LevelInfo, "waiting %s: an earlier holder of the deployment may still be at work", wait.Round(time.Second))
		w.tell(ctx, j.t, j.stage.ID, why, &j.told)
		w.pause(ctx, w.writeAt, nil)
	}
	said := false
	for ctx.Err() == nil && !w.a.isStopping() {
		changed := w.a.gate.wait()
		if w.a.gate.covers() {
			return true
		}
		if !said {
			said = true
			w.a.met.blocked.Inc()
			w.log.Warn("nothing is written until the control plane answers: the lease does not cover it")
		}
		w.pause(ctx, time.Time{}, changed)
	}
	return false
}

// ask calls the platform once, within a third of the lease. A panic is an error of ours.
func (w *worker) ask(ctx context.Context, j *job) (out platform.Outcome, err error) {
	ctx, leave, ok := w.a.gate.enter(ctx)
	if !ok {
		return out, errClosed
	}
	defer leave()
	defer func() {
		if r := recover(); r != nil {
			w.log.Error("a platform panicked", "stage", j.stage.Name, "step", j.name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = platform.Final(fmt.Errorf("internal error of the platform: %v; the agent's log has more", r))
		}
	}()
	if !w.stepEnd.IsZero() {
		w.a.met.between.Observe(time.Since(w.stepEnd).Seconds())
		w.stepEnd = time.Time{}
	}
	w.journal.at(j.stage.ID, j.t.Attempt)
	out, err = j.p.Run(ctx, platform.Step{
		DeploymentID: j.d.ID, ProjectID: j.d.ProjectID, App: j.d.App, Commit: j.d.Trigger.Commit, Plan: *j.d.Plan, Stage: j.stage.PlanStage,
		Attempt: j.t.Attempt, Name: j.name, Rollback: j.stage.Rollback, Desired: j.state.Desired, Live: j.state.Live,
		Token: stepToken(j.d.ID, j.stage.ID, j.t.Attempt, j.t.Step), Now: w.a.gate.now(), ProviderConfig: j.cfg, Log: j.log,
	}, w.journal)
	if err == nil && out.Progress != platform.Done && out.Progress != platform.Waiting && out.Progress != platform.Failed {
		err = platform.Final(fmt.Errorf("internal error of the platform: it answered %q", out.Progress))
	}
	return out, err
}

// failedCall handles an error of the platform: false when the step is over.
func (w *worker) failedCall(ctx context.Context, j *job, err error, tries *retries) bool {
	w.doubtful = true
	can, after := platform.CanRetry(err)
	if !can {
		w.fail(ctx, j, w.stepFailed(j, err))
		return false
	}
	wait := tries.next(after)
	w.a.met.steps.WithLabelValues("retried").Inc()
	w.log.Warn("a step could not be done, trying again", "stage", j.stage.Name, "step", j.name, "wait", wait, "error", err)
	j.log.Logf(slog.LevelWarn, "step %s could not be done, trying again in %s: %v", j.name, wait.Round(time.Millisecond), err)
	w.tell(ctx, j.t, j.stage.ID, deploy.Why(ReasonRetrying, "stage", j.stage.Name, "step", j.name, "detail", w.detail(err)), &j.told)
	w.pause(ctx, time.Now().Add(wait), nil)
	return true
}

// finish tells that a step is done; behind the last write of all what is live
// is read back first.
func (w *worker) finish(ctx context.Context, j *job) {
	digest := ""
	if j.last {
		var ok bool
		if digest, ok = w.readBack(ctx, j); !ok {
			return
		}
	}
	if j.t.Step+1 >= len(j.stage.Steps) {
		w.flushLog(j.log)
	}
	w.stepEnd = time.Now()
	w.reportStep(ctx, j, client.StepReport{Progress: string(platform.Done), Verified: digest})
}

// readBack observes until it succeeds: no silence counts as success. A run in
// the middle is what a read shows that is older than the last write; whoever left
// it so, it is believed when no read can be that old any more.
func (w *worker) readBack(ctx context.Context, j *job) (digest string, ok bool) {
	tries, began := w.a.retries("read back", 500*time.Millisecond, maxBackoff), time.Now()
	for {
		live, err := w.a.observe(ctx, j.p, platform.Target{App: j.d.App, Desired: j.state.Desired, ProviderConfig: j.cfg})
		middle := err == nil && len(live.Unsettled) > 0 && time.Since(began) < readLag
		if middle {
			err = reasonError{deploy.Why(deploy.ReasonNotSettled, "detail", clip(joinReasons(live.Unsettled), maxDetail))}
		}
		if err == nil {
			return digestOf(live), true
		}
		if ctx.Err() != nil || w.a.isStopping() {
			return "", false
		}
		can, after := platform.CanRetry(err)
		if !can {
			w.fail(ctx, j, w.stepFailed(j, fmt.Errorf("read back what is live: %w", err)))
			return "", false
		}
		j.log.Logf(slog.LevelWarn, "what is live cannot be read back, trying again: %v", err)
		w.tell(ctx, j.t, j.stage.ID, deploy.Why(ReasonRetrying, "stage", j.stage.Name, "step", "read back", "detail", w.detail(err)), &j.told)
		wait := tries.next(after)
		if middle {
			wait = time.Second // nothing is wrong, and most clouds are up to date within seconds
		}
		w.pause(ctx, time.Now().Add(wait), nil)
	}
}

// fail tells that a step failed.
func (w *worker) fail(ctx context.Context, j *job, why deploy.Reason) {
	if why.IsZero() {
		why = deploy.Why(deploy.ReasonStepFailed, "stage", j.stage.Name, "step", j.name, "detail", "the platform gave no reason")
	}
	for k, v := range why.Args {
		why.Args[k] = clip(v, maxDetail)
	}
	w.a.met.steps.WithLabelValues("failed").Inc()
	w.log.Error("a step failed", "stage", j.stage.Name, "step", j.name, "reason", why.String())
	j.log.Logf(slog.LevelError, "step %s failed: %s", j.name, why.String())
	w.flushLog(j.log)
	w.reportStep(ctx, j, client.StepReport{Progress: string(platform.Failed), Reason: why})
}

func (w *worker) reportStep(ctx context.Context, j *job, r client.StepReport) {
	r.Stage, r.Attempt, r.Step = j.stage.ID, j.t.Attempt, j.t.Step
	if err := w.report(ctx, client.Report{Step: &r}); err != nil {
		w.log.Error("the end of a step could not be told", "stage", j.stage.Name, "error", err)
	}
}

func (w *worker) stepFailed(j *job, err error) deploy.Reason {
	return deploy.Why(deploy.ReasonStepFailed, "stage", j.stage.Name, "step", j.name, "detail", w.detail(err))
}

// detail is an error as a reason carries it: bounded, secrets masked.
func (w *worker) detail(err error) string {
	return clip(w.a.masks.Replace(err.Error()), maxDetail)
}

// lastStep reports whether no write follows a step in its direction.
func lastStep(d deploy.Deployment, t engine.Task) bool {
	s := d.Stages[t.Stage]
	if t.Step+1 < len(s.Steps) {
		return false
	}
	for _, later := range d.Stages[t.Stage+1:] {
		if later.Rollback == s.Rollback && later.Type == deploy.StagePlatform && later.Skip.IsZero() && !later.Status.Terminal() {
			return false
		}
	}
	return true
}
