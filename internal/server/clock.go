package server

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

const (
	// clockAtMost bounds the sleep of the clock: a missed nudge only delays.
	clockAtMost = 5 * time.Second
	// clockAtLeast is the pause while something overdue waits for a process
	// that guards it, or failed; only reads are spent on it.
	clockAtLeast = 200 * time.Millisecond
	// dueBatch is how many overdue things one look reads at a time.
	dueBatch = 100
)

// runClock fires timers and expires leases until the context ends. It sleeps
// until the next instant, so that nothing waits for a period to end and an idle
// server reads next to nothing.
func (s *Server) runClock(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	tidy := newTidier(s)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-s.nudge:
		}
		t.Reset(s.lookAtClocks(ctx))
		tidy.now(ctx)
	}
}

// lookAtClocks takes what is due in every project and returns how long nothing
// more will be. A project that fails keeps no other from its instants.
func (s *Server) lookAtClocks(ctx context.Context) time.Duration {
	sleep := clockAtMost
	err := s.eachProject(ctx, func(project string) error {
		next, err := s.takeDue(ctx, project)
		if err != nil {
			s.clockFailed(ctx, project, err)
			next = clockAtLeast
		}
		sleep = min(sleep, next)
		return nil
	})
	if err != nil {
		s.clockFailed(ctx, "", err)
		return clockAtLeast
	}
	return max(sleep, 0)
}

func (s *Server) clockFailed(ctx context.Context, object string, err error) {
	if ctx.Err() == nil {
		s.log.Error("clock", "object", object, "error", err)
		s.metrics.clockErrors.Inc()
	}
}

// dueNow is what one look at the clocks of a project found.
type dueNow struct {
	sessions, deployments []string
	sleep                 time.Duration
}

// takeDue expires leases and fires timers of a project, oldest first, each in
// its own transaction, so that a damaged one stops nobody else.
func (s *Server) takeDue(ctx context.Context, project string) (time.Duration, error) {
	var found dueNow
	err := s.view(ctx, project, func(b *book) (err error) {
		found, err = b.due()
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, id := range found.sessions {
		if err := s.expire(ctx, project, id); err != nil {
			s.clockFailed(ctx, id, err)
			found.sleep = clockAtLeast
		}
	}
	for _, id := range found.deployments {
		if err := s.tickOne(ctx, project, id); err != nil {
			s.clockFailed(ctx, id, err)
			found.sleep = clockAtLeast
		}
	}
	return found.sleep, nil
}

// due finds what has come due and when the next instant is.
func (b *book) due() (dueNow, error) {
	out := dueNow{sleep: clockAtMost}
	recs, err := b.List(store.Sessions, store.Query{OrderBy: "expires", Limit: dueBatch})
	if err != nil {
		return out, err
	}
	for _, r := range recs {
		if b.notYet(r.Index["expires"], &out) {
			break
		}
		out.sessions = append(out.sessions, r.Key)
	}
	q := store.Query{OrderBy: "timer", NotAfter: map[string]string{"timer": store.Instant(b.now.Add(clockAtMost))}, Limit: dueBatch}
	for {
		recs, err := b.List(store.Deployments, q)
		if err != nil {
			return out, err
		}
		for _, r := range recs {
			if b.notYet(r.Index["timer"], &out) {
				return out, nil
			}
			b.ripe(r, &out)
		}
		if len(recs) < dueBatch {
			return out, nil
		}
		last := recs[len(recs)-1]
		q.After = &store.Cursor{Key: last.Key, Value: last.Index["timer"]}
	}
}

// notYet reports whether an instant is still to come, and shortens the sleep to it.
func (b *book) notYet(instant string, out *dueNow) bool {
	at, err := time.Parse(time.RFC3339Nano, instant)
	if err != nil || !at.After(b.now) {
		return false
	}
	out.sleep = min(out.sleep, at.Sub(b.now))
	return true
}

// ripe notes a deployment whose tick changes something. A WAIT that is over but
// that nobody guards stays where it is: it costs reads, not transactions.
func (b *book) ripe(r store.Record, out *dueNow) {
	var d deploy.Deployment
	err := decodeBody(r, &d)
	if err == nil {
		var events []deploy.Event
		if events, err = b.tick(d); err == nil && len(events) == 0 {
			out.sleep = min(out.sleep, clockAtLeast)
			return
		}
	}
	out.deployments = append(out.deployments, r.Key) // a failure is told by the transaction
}

func (b *book) tick(d deploy.Deployment) ([]deploy.Event, error) {
	watched, err := b.watched(d)
	if err != nil {
		return nil, err
	}
	return engine.Decide(d, engine.Tick{Watched: watched}, b.now)
}

func (s *Server) tickOne(ctx context.Context, project, id string) error {
	return s.update(ctx, entry{project: project, actor: "server", cause: "timer"}, func(b *book) error {
		d, err := b.deployment(id)
		if err != nil {
			return err
		}
		watched, err := b.watched(d)
		if err != nil {
			return err
		}
		_, err = b.decide(d, engine.Tick{Watched: watched})
		return err
	})
}

// watched reports whether a live process holds the deployment and may write:
// a wait that nobody guarded does not pass.
func (b *book) watched(d deploy.Deployment) (bool, error) {
	rec, ok, err := b.Get(store.Assignments, d.ID)
	if err != nil || !ok {
		return false, err
	}
	var a assignment
	if err := decodeBody(rec, &a); err != nil || a.SessionID == "" || a.WriteAfter.After(b.now) {
		return false, err
	}
	x, ok, err := b.Get(store.Sessions, a.SessionID)
	if err != nil || !ok {
		return false, err
	}
	return x.Index["expires"] > store.Instant(b.now), nil
}
