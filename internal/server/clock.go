package server

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// clockEvery is how often timers and leases are looked at. One cheap indexed
// query a project; between stages nothing waits for it, only a WAIT that ends.
const clockEvery = 200 * time.Millisecond

// runClock fires timers and expires leases until the context ends.
func (s *Server) runClock(ctx context.Context) error {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			err := s.eachProject(ctx, func(p string) error {
				if err := s.expireSessions(ctx, p); err != nil {
					return err
				}
				return s.fireTimers(ctx, p)
			})
			if err != nil && ctx.Err() == nil {
				s.log.Error("clock", "error", err)
				s.metrics.clockErrors.Inc()
			}
		}
	}
}

// fireTimers ticks the deployments whose next instant has come, oldest first.
func (s *Server) fireTimers(ctx context.Context, project string) error {
	var due []string
	err := s.view(ctx, project, func(b *book) error {
		recs, err := b.List(store.Deployments, store.Query{
			NotAfter: map[string]string{"timer": store.Instant(b.now)}, OrderBy: "timer", Limit: 100,
		})
		for _, r := range recs {
			due = append(due, r.Key)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := s.tickOne(ctx, project, id); err != nil {
			s.log.Error("timer", "deployment", id, "error", err)
			s.metrics.clockErrors.Inc()
		}
	}
	return nil
}

// tickOne ticks one deployment in its own transaction, so that a damaged one
// stops nobody else.
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
