package agent

import (
	"context"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
)

// follow holds the stream of wake-ups of a session. Nothing depends on it: what it says can
// be fetched, and is fetched from time to time anyway.
func (a *Agent) follow(ctx context.Context, session string) {
	tries := a.retries("follow", 200*time.Millisecond, maxBackoff)
	for ctx.Err() == nil {
		began := time.Now()
		err := a.stream(ctx, session)
		if ctx.Err() != nil {
			return
		}
		a.linkFailed("wait", err)
		a.log.Debug("stream of wake-ups ended", "error", err)
		kick(a.workKick) // a wake-up may have been lost with the stream
		if time.Since(began) > maxBackoff {
			tries.reset()
		}
		// A renewal that was answered ends the pause. What asked for a new stream before is served by the next one.
		sleep(ctx, tries.next(0), a.streamKick, nil)
		select {
		case <-a.streamKick:
		default:
		}
	}
}

// stream waits for wake-ups once. A stream that stood while the control plane
// did not answer may be dead without having said so, and is replaced.
func (a *Agent) stream(ctx context.Context, session string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-a.streamKick:
			cancel(errStaleStream)
		case <-ctx.Done():
		}
	})
	defer watch.Wait()
	defer cancel(nil)
	return a.link.Wait(ctx, session, a.wake)
}

func (a *Agent) wake(w client.Wakeup) {
	a.woken.Store(w.Woken)
	if w.Work {
		kick(a.workKick)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range w.Repos {
		if p := a.pollers[id]; p != nil {
			kick(p.now)
		}
	}
}

// runWork fetches what is due when the session begins, when woken and every
// workEvery, and makes the goroutines of this process what it says.
func (a *Agent) runWork(ctx, workCtx context.Context, readers, workers *sync.WaitGroup) {
	tries := a.retries("work", 200*time.Millisecond, maxBackoff)
	pause, limit := workEvery, callLimit
	for ctx.Err() == nil {
		sleep(ctx, pause, a.workKick, nil)
		pause = workEvery
		session, gen := a.gate.generation()
		if session.ID == "" || ctx.Err() != nil {
			continue
		}
		asked := time.Now()
		w, err := a.getWork(ctx, session.ID, limit)
		if err != nil {
			limit = min(2*limit, transferLimit) // it may be much, and the line slow
			a.linkFailed("get work", err)
			a.log.Debug("cannot fetch work", "error", err)
			if pause = tries.next(0); a.gate.sessionID() != session.ID {
				pause = 0
			}
			continue
		}
		tries.reset()
		limit = min(max(callLimit, 2*time.Since(asked)), transferLimit)
		a.reconcile(ctx, workCtx, fetched{w, session.Incarnation, time.Now()}, readers, workers)
		a.gate.opened(gen)
	}
}

// getWork asks once. A question may hang without ever being answered: it is
// given up at a limit that follows how long answers take, with the session, and
// when a renewal shows that the control plane answers again.
func (a *Agent) getWork(ctx context.Context, session string, limit time.Duration) (client.Work, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	asked := a.gate.answers()
	watch.Go(func() {
		for changed := a.gate.wait(); ctx.Err() == nil; changed = a.gate.wait() {
			if a.gate.answers() != asked || a.gate.sessionID() != session {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	})
	return a.link.GetWork(ctx, session)
}

// fetched is work with the incarnation of the store that it is from.
type fetched struct {
	client.Work
	incarnation string
	at          time.Time
}

// reconcile starts, feeds and stops workers, pollers and reporters.
func (a *Agent) reconcile(ctx, workCtx context.Context, w fetched, readers, workers *sync.WaitGroup) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[string]bool{}
	for _, as := range w.Assignments {
		wanted[as.Deployment.ID] = true
		a.assign(workCtx, as, w, workers)
	}
	for id, one := range a.workers {
		if !wanted[id] {
			one.stop(errNotOurs)
			delete(a.workers, id)
		}
	}
	a.reconcilePollers(ctx, w.Repositories, readers)
	a.reconcileLive(ctx, w.Applications, readers)
	a.reconcileQuestions(ctx, w.Questions, readers)
}

// assign gives a deployment to its worker. Another epoch gets another worker,
// which begins when the former one has returned; so does a restored store, whose
// epochs and states may be older than those that the worker knows.
func (a *Agent) assign(ctx context.Context, as client.Assignment, f fetched, workers *sync.WaitGroup) {
	id := as.Deployment.ID
	old := a.workers[id]
	same := old != nil && old.incarnation == f.incarnation
	if same && (as.Epoch < old.epoch || as.Epoch == old.epoch && !old.ended()) {
		old.offer(as.Deployment)
		return
	}
	if same && as.Epoch == old.epoch && as.Deployment.Seq <= old.deployment().Seq {
		return // fetched before the last report: the worker has gone further
	}
	w := newWorker(ctx, a, as, f)
	a.workers[id] = w
	workers.Go(func() {
		defer close(w.done)
		if old != nil {
			old.stop(errNotOurs)
			<-old.done
		}
		w.run()
	})
}

func (a *Agent) reconcilePollers(ctx context.Context, work []client.RepositoryWork, readers *sync.WaitGroup) {
	wanted := map[string]bool{}
	for _, r := range work {
		repo := a.repos[r.RepoID]
		if repo == nil {
			continue
		}
		wanted[r.RepoID] = true
		p := a.pollers[r.RepoID]
		if p == nil {
			p = newPoller(ctx, a, repo)
			a.pollers[r.RepoID] = p
			p.offer(r)
			readers.Go(p.run)
			continue
		}
		p.offer(r)
	}
	for id, p := range a.pollers {
		if !wanted[id] {
			p.cancel(errNotOurs)
			delete(a.pollers, id)
		}
	}
}
