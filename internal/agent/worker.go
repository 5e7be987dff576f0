package agent

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
)

// worker carries one deployment on under one epoch: one goroutine that plans,
// runs steps and guards, one thing at a time.
type worker struct {
	a       *Agent
	id      string // of the deployment
	epoch   int64
	log     *slog.Logger
	ctx     context.Context
	end     context.CancelCauseFunc
	done    chan struct{} // closed when run has returned
	app     deploy.Application
	writeAt time.Time // no write before: an earlier holder may be at work
	journal *journal
	// incarnation is that of the store which gave the deployment.
	incarnation string

	mu     sync.Mutex
	d      deploy.Deployment
	focus  string // what is being done
	cancel context.CancelCauseFunc

	// Of the worker's own goroutine.
	pin      *pinned
	logs     map[string]*stageLog
	guardAt  time.Time
	lookAt   time.Time       // when the guard last looked and found nothing to report
	unsaid   platform.Breach // the last one that the guard found, while it is not reported
	doubtful bool            // the last call of a step may have been left half way
	stepEnd  time.Time       // when the last step was done, for the metric
	logWait  sync.WaitGroup
}

func newWorker(ctx context.Context, a *Agent, as client.Assignment, f fetched) *worker {
	ctx, end := context.WithCancelCause(ctx)
	d := as.Deployment
	w := &worker{
		a: a, id: d.ID, epoch: as.Epoch, ctx: ctx, end: end, done: make(chan struct{}), app: as.Application, d: d,
		writeAt: f.at.Add(as.WriteAfter), guardAt: f.at, incarnation: f.incarnation, logs: map[string]*stageLog{}, doubtful: true,
		log: a.log.With("deployment", d.ID, "application", d.App.Name, "epoch", as.Epoch),
	}
	w.journal = newJournal(as.Journal, func(ctx context.Context, e deploy.JournalEntry) error {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		err := a.link.PutJournal(ctx, a.gate.sessionID(), d.ID, w.epoch, []deploy.JournalEntry{e})
		if err != nil {
			a.linkFailed("put journal", err)
		}
		return err
	})
	return w
}

// stop ends the worker; what it does is interrupted.
func (w *worker) stop(cause error) { w.end(cause) }

func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (w *worker) deployment() deploy.Deployment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.d
}

// offer takes a newer state. What is being done is interrupted when something
// else is due now.
func (w *worker) offer(d deploy.Deployment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if d.Seq <= w.d.Seq {
		return
	}
	w.d = d
	if w.cancel != nil && dueKey(d) != w.focus {
		w.cancel(errDueChanged)
	}
}

// attend returns the state and a context that ends when something else is due.
func (w *worker) attend() (context.Context, deploy.Deployment, func()) {
	ctx, cancel := context.WithCancelCause(w.ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.focus, w.cancel = dueKey(w.d), cancel
	return ctx, w.d, func() {
		w.mu.Lock()
		w.cancel = nil
		w.mu.Unlock()
		cancel(nil)
	}
}

// dueKey names what is due.
func dueKey(d deploy.Deployment) string {
	t := engine.Due(d)
	return fmt.Sprint(d.Status, " ", t.Work, " ", t.Stage, " ", t.Attempt, " ", t.Step)
}

// run works until the deployment is finished, is given to somebody else, or the
// process stops.
func (w *worker) run() {
	first := w.deployment()
	defer w.a.observeSoon(first.App.ID)
	defer w.closeLogs()
	w.log.Info("carrying on", "status", string(first.Status))
	for w.ctx.Err() == nil && !w.a.isStopping() {
		ctx, d, done := w.attend()
		t := engine.Due(d)
		switch {
		case t.Work == engine.DuePlan:
			w.plan(ctx, d)
		case t.Work == engine.DueStep:
			w.step(ctx, d, t)
		case d.Status.Terminal():
			done()
			w.log.Info("finished", "display", d.Display(), "reason", d.Reason.String())
			return
		default:
			w.doubtful = false
			w.pause(ctx, time.Time{}, nil)
		}
		done()
	}
	w.log.Info("carried on no longer", "reason", context.Cause(w.ctx))
}

// pause waits until an instant (zero: for ever) or until the context, the
// process or wake ends it. The guard goes on meanwhile.
func (w *worker) pause(ctx context.Context, until time.Time, wake <-chan struct{}) {
	for ctx.Err() == nil && !w.a.isStopping() {
		next := until
		guards := w.guards()
		if guards && (next.IsZero() || w.guardAt.Before(next)) {
			next = w.guardAt
		}
		d := 24 * time.Hour
		if !next.IsZero() {
			d = time.Until(next)
		}
		if d > 0 {
			t := time.NewTimer(d)
			select {
			case <-ctx.Done():
			case <-w.a.stopping:
			case <-wake:
				t.Stop()
				return
			case <-t.C:
			}
			t.Stop()
		}
		now := time.Now()
		if ctx.Err() == nil && guards && !now.Before(w.guardAt) {
			w.guardAt = now.Add(w.a.opt.GuardEvery)
			w.guard(ctx)
		}
		if !until.IsZero() && !now.Before(until) {
			return
		}
	}
}

// stageLog opens the log of a stage attempt, or returns the open one.
func (w *worker) stageLog(stage string, attempt int) *stageLog {
	key := fmt.Sprint(stage, "/", attempt)
	if l := w.logs[key]; l != nil {
		return l
	}
	l := newStageLog(client.LogChunk{DeploymentID: w.id, Stage: stage, Attempt: attempt, Epoch: w.epoch}, w.a.masks,
		func(ctx context.Context, c client.LogChunk) (bool, error) {
			full, err := w.a.link.AppendLog(ctx, w.a.gate.sessionID(), c)
			if err != nil {
				w.a.linkFailed("append log", err)
			}
			return full, err
		})
	w.logs[key] = l
	w.logWait.Go(func() { l.run(w.ctx, w.a.retries("log", logEvery, maxBackoff)) })
	return l
}

// flushLog sends a log before the end of its stage is told, if that is quick.
func (w *worker) flushLog(l *stageLog) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), logGoodbye)
	defer cancel()
	if err := l.flush(ctx); err != nil {
		w.log.Debug("stage log is late", "error", err)
	}
}

func (w *worker) closeLogs() {
	for _, l := range w.logs {
		w.flushLog(l)
	}
	w.end(errNotOurs)
	w.logWait.Wait()
}
