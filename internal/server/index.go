package server

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
)

// keepDeployment stores the fold of a deployment with its index and summary.
func (b *book) keepDeployment(d deploy.Deployment) error {
	rec, err := index.Deployment(d)
	if err != nil {
		return err
	}
	return b.Put(store.Deployments, rec)
}

// keepApplication stores the fold of an application with its index. The health
// is what was noted last.
func (b *book) keepApplication(a deploy.Application) error {
	old, _, err := b.Get(store.Applications, a.ID)
	if err != nil {
		return err
	}
	return b.indexApplication(a, old.Index["health"])
}

func (b *book) indexApplication(a deploy.Application, health string) error {
	rec, err := index.Application(a, health)
	if err != nil {
		return err
	}
	return b.Put(store.Applications, rec)
}

// noteHealth keeps the health of the newest observation where lists read it: a
// small value with its time beside the record, and in the index when it changed.
func (s *Server) noteHealth(ctx context.Context, project, id string, h deploy.Health, at time.Time) error {
	if h == "" {
		h = deploy.HealthUnknown
	}
	if err := s.opt.Store.Side().PutSide(ctx, project, "health", id, at, []byte(h)); err != nil {
		return err
	}
	differs := false
	err := s.view(ctx, project, func(b *book) error {
		rec, ok, err := b.Get(store.Applications, id)
		differs = ok && rec.Index["health"] != string(h)
		return err
	})
	if err != nil || !differs {
		return err
	}
	return s.opt.Store.Update(ctx, project, func(tx store.Tx) error {
		b := &book{Tx: tx, s: s, project: project, now: s.now()}
		a, err := b.application(id)
		if deploy.CodeOf(err) == deploy.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return b.indexApplication(a, string(h))
	})
}

// reindexBatch bounds one transaction of reindex.
const reindexBatch = 200

// reindex makes the records of a project anew when an older version kept them.
// One that is interrupted starts over.
func (s *Server) reindex(ctx context.Context, project string) error {
	current := false
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) (err error) {
		current, err = index.Current(tx, project)
		return err
	})
	if err != nil || current {
		return err
	}
	from, n := s.now(), 0
	apps, err := reindexAll(ctx, s, project, store.Applications, (*book).foldAnew)
	if err != nil {
		return err
	}
	if n, err = reindexAll(ctx, s, project, store.Deployments, (*book).keepDeployment); err != nil {
		return err
	}
	if n += apps; n > 0 {
		s.log.InfoContext(ctx, "records were brought to this version", "project", project, "records", n, "took", s.now().Sub(from).Round(time.Millisecond))
	}
	return s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error { return index.MarkCurrent(tx, project) })
}

// foldAnew keeps an application as this version folds it, which may be more than
// an older version did. One whose stream does not lead to its state is told and
// kept as it is: a server must not fail to start because of it.
func (b *book) foldAnew(a deploy.Application) error {
	stored, err := b.Read(store.Stream{Kind: deploy.StreamApplication, ID: a.ID}, 0, int(a.Seq))
	if err != nil {
		return err
	}
	events := make([]deploy.Event, len(stored))
	for i, e := range stored {
		events[i] = e.Event
	}
	folded, err := engine.FoldApp(events)
	if err == nil && folded.Seq != a.Seq {
		err = deploy.Errorf(deploy.CodeInternal, "it is at event %d and its stream has %d", a.Seq, folded.Seq)
	}
	if err != nil {
		b.tell("fold an application anew", a.ID, err)
		return b.keepApplication(a)
	}
	return b.keepApplication(folded)
}

// reindexAll keeps every record of a collection anew, a batch in a transaction.
func reindexAll[T any](ctx context.Context, s *Server, project string, c store.Collection, keep func(*book, T) error) (n int, err error) {
	q := store.Query{Limit: reindexBatch}
	for more := true; more && err == nil; {
		var recs []store.Record
		err = s.update(ctx, entry{project: project, actor: "server"}, func(b *book) error {
			if recs, err = b.List(c, q); err != nil {
				return err
			}
			for _, rec := range recs {
				var v T
				if err := decodeBody(rec, &v); err != nil {
					return err
				}
				if err := keep(b, v); err != nil {
					return err
				}
			}
			return nil
		})
		n += len(recs)
		if more = len(recs) == q.Limit; more {
			q.After = &store.Cursor{Key: recs[len(recs)-1].Key}
		}
	}
	return n, err
}
