package server

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

const (
	// tidyEvery is how often a slice of what is no longer needed is removed.
	tidyEvery = 10 * time.Minute
	// tidyBatch bounds one transaction of cleaning.
	tidyBatch = 200
	// requestLife is how long a repeated request gets its first answer.
	requestLife = 24 * time.Hour
	// triggerLife is how long behind its end a deployment's cause is kept: a
	// repeat of the same cause comes within minutes.
	triggerLife = 7 * 24 * time.Hour
	// credentialLife is how long an expired credential is kept.
	credentialLife = 24 * time.Hour
)

// tidier removes, a bounded slice at a time, what no rule needs any more:
// answers to old requests, causes of old deployments, expired credentials.
// What happened is in the streams and stays.
type tidier struct {
	s     *Server
	next  time.Time
	after map[string]string // last key seen, by project, of the collections that are walked
}

func newTidier(s *Server) *tidier {
	return &tidier{s: s, next: s.now().Add(tidyEvery), after: map[string]string{}}
}

// now cleans if it is time to.
func (t *tidier) now(ctx context.Context) {
	if t.s.now().Before(t.next) {
		return
	}
	t.next = t.s.now().Add(tidyEvery)
	t.s.limits.sweep(t.s.now())
	t.s.logins.from.sweep(t.s.now())
	err := t.s.eachProject(ctx, func(project string) error {
		if err := t.requests(ctx, project); err != nil {
			return err
		}
		return t.walk(ctx, project, store.Triggers, t.oldTrigger)
	})
	if err == nil {
		err = t.walk(ctx, store.System, store.Credentials, t.oldCredential)
	}
	if err != nil && ctx.Err() == nil {
		t.s.log.Error("clean up", "error", err)
	}
}

// requests removes answers that nobody asks for again.
func (t *tidier) requests(ctx context.Context, project string) error {
	return t.s.opt.Store.Update(ctx, project, func(tx store.Tx) error {
		q := store.Query{NotAfter: map[string]string{"at": store.Instant(t.s.now().Add(-requestLife))}, OrderBy: "at", Limit: tidyBatch}
		recs, err := tx.List(store.Requests, q)
		if err != nil {
			return err
		}
		for _, r := range recs {
			if err := tx.Delete(store.Requests, r.Key); err != nil {
				return err
			}
		}
		return nil
	})
}

// walk looks at the next records of a collection and removes those that are old.
func (t *tidier) walk(ctx context.Context, project string, c store.Collection, old func(store.Tx, store.Record) (bool, error)) error {
	place := project + "/" + c.Name
	var last string
	err := t.s.opt.Store.Update(ctx, project, func(tx store.Tx) error {
		q := store.Query{Limit: tidyBatch}
		if t.after[place] != "" {
			q.After = &store.Cursor{Key: t.after[place]}
		}
		recs, err := tx.List(c, q)
		if err != nil {
			return err
		}
		last = ""
		for _, r := range recs {
			gone, err := old(tx, r)
			if err != nil {
				return err
			}
			if gone {
				if err := tx.Delete(c, r.Key); err != nil {
					return err
				}
			}
		}
		if len(recs) == tidyBatch {
			last = recs[tidyBatch-1].Key
		}
		return nil
	})
	if err == nil {
		t.after[place] = last
	}
	return err
}

func (t *tidier) oldTrigger(tx store.Tx, r store.Record) (bool, error) {
	d, err := load[deploy.Deployment](tx, store.Deployments, string(r.Body), "deployment")
	if deploy.CodeOf(err) == deploy.CodeNotFound {
		return true, nil
	}
	return err == nil && d.Status.Terminal() && d.FinishedAt.Before(t.s.now().Add(-triggerLife)), err
}

func (t *tidier) oldCredential(_ store.Tx, r store.Record) (bool, error) {
	var c credential
	if err := decodeBody(r, &c); err != nil {
		return false, err
	}
	return !c.ExpiresAt.IsZero() && c.ExpiresAt.Before(t.s.now().Add(-credentialLife)), nil
}
