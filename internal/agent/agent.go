package agent

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/penstock-cd/penstock/internal/agent/seal"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Agent is one agent process. Make it with New and call Run once.
type Agent struct {
	opt       Options
	log       *slog.Logger
	link      Link
	key       *seal.Key
	met       *metrics
	gate      *gate
	masks     *strings.Replacer // hides secrets
	platforms map[deploy.Kind]platform.Platform
	repos     map[string]*repository

	workKick    chan struct{} // fetch work now
	sessionKick chan struct{} // renew now
	streamKick  chan struct{} // open the stream of wake-ups anew
	woken       atomic.Int64  // how often for work, as the stream of wake-ups told
	stopping    chan struct{} // closed when the process begins to stop
	liveSlots   chan struct{} // bounds observations at the same time
	askSlots    chan struct{} // bounds questions at the same time

	mu      sync.Mutex
	workers map[string]*worker       // by deployment
	pollers map[string]*poller       // by repository
	live    map[string]*liveReporter // by application
	asked   map[string]bool          // questions at work
}

// Run works until the context ends. Then it takes nothing new, lets the step at
// hand return (within Options.Drain), leaves, and returns nil: what it held
// goes to others at once. A stop is never told as a cancel.
func (a *Agent) Run(ctx context.Context) error {
	// Reading ends with ctx; what may be in the middle of a write ends after the drain.
	sessionCtx, endSession := context.WithCancelCause(context.WithoutCancel(ctx))
	workCtx, endWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer endSession(nil)
	defer endWork(nil)

	var session, readers, workers sync.WaitGroup
	session.Go(func() { a.keepSession(sessionCtx) })
	readers.Go(func() { a.runWork(ctx, workCtx, &readers, &workers) })

	<-ctx.Done()
	a.log.Info("stopping: the step at hand may return", "reason", context.Cause(ctx))
	close(a.stopping)
	readers.Wait()
	a.drain(&workers, endWork)
	endSession(errDrained)
	session.Wait()
	a.leave(context.WithoutCancel(ctx))
	for _, r := range a.repos {
		r.close()
	}
	return nil
}

// drain waits for the workers; those that are not done in time are interrupted.
func (a *Agent) drain(workers *sync.WaitGroup, endWork context.CancelCauseFunc) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		workers.Wait()
	}()
	sleep(context.Background(), a.opt.Drain, done, nil)
	endWork(errDrained)
	<-done
}

// leave ends the session, so that others carry on without waiting for the lease.
func (a *Agent) leave(ctx context.Context) {
	id := a.gate.sessionID()
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if err := a.link.Leave(ctx, id); err != nil {
		a.log.Warn("could not leave: what this process held is free when its lease has run out", "error", err)
	}
}

func (a *Agent) isStopping() bool {
	select {
	case <-a.stopping:
		return true
	default:
		return false
	}
}
