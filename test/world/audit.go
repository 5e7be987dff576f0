package world

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/internal/store"
)

// audited notes which process reported under which event id.
type audited struct {
	agent.Link
	w *World
	p *Process
}

// Report implements agent.WorkLink.
func (a *audited) Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error) {
	a.w.mu.Lock()
	a.w.reports[r.EventID] = a.p.Name
	a.w.mu.Unlock()
	a.w.checkReport(a.p, r)
	d, err := a.Link.Report(ctx, session, r)
	a.troubled(err)
	return d, err
}

// GetWork implements agent.WorkLink.
func (a *audited) GetWork(ctx context.Context, session string) (client.Work, error) {
	work, err := a.Link.GetWork(ctx, session)
	if err == nil {
		a.w.watch.given(a.p, work)
	}
	a.troubled(err)
	return work, err
}

// Hello implements agent.SessionLink.
func (a *audited) Hello(ctx context.Context, h client.Hello) (client.Session, error) {
	s, err := a.Link.Hello(ctx, h)
	a.troubled(err)
	return s, err
}

// Renew implements agent.SessionLink.
func (a *audited) Renew(ctx context.Context, session string, seen int64) (client.Renewal, error) {
	r, err := a.Link.Renew(ctx, session, seen)
	a.troubled(err)
	return r, err
}

// PutJournal implements agent.RecordLink.
func (a *audited) PutJournal(ctx context.Context, session, deployment string, epoch int64, e []deploy.JournalEntry) error {
	err := a.Link.PutJournal(ctx, session, deployment, epoch, e)
	a.troubled(err)
	return err
}

// troubled notes that a call failed; a refusal is an answer.
func (a *audited) troubled(err error) {
	if err != nil && deploy.CodeOf(err) != deploy.CodeRefused {
		a.w.watch.troubled(a.p)
	}
}

// holderOf is the name of a process as the record has it.
func holderOf(process string) string {
	return "host/" + process[max(0, len(process)-8):]
}

// checkStream checks the facts of one deployment among each other: reports are
// the holder's, a stage attempt begins once and ends once, and its timer is
// never set again.
func (w *World) checkStream(s Stream) {
	w.mu.Lock()
	reports := w.reports
	w.mu.Unlock()
	holder := ""
	began, ended := map[string]bool{}, map[string]bool{}
	ids := map[string]bool{}
	for _, e := range s.Events {
		w.mu.Lock()
		by := reports[e.ID]
		w.mu.Unlock()
		if by != "" && holderOf(by) != holder {
			w.Problemf("deployment %s: %s was reported by %s while %s held it", s.ID, e.Type, by, holder)
		}
		if ids[e.ID] {
			w.Problemf("deployment %s: event %s is there twice", s.ID, e.ID)
		}
		ids[e.ID] = true
		switch e.Type {
		case deploy.EvAssigned:
			if d, err := deploy.Decode[deploy.AssignedData](e); err == nil {
				holder = d.Holder
			}
		case deploy.EvStageStarted:
			if d, err := deploy.Decode[deploy.StageStartedData](e); err == nil {
				key := fmt.Sprint(d.Stage, "/", d.Attempt)
				if began[key] {
					w.Problemf("deployment %s: stage %s began twice", s.ID, key)
				}
				began[key] = true
			}
		case deploy.EvStageEnded:
			if d, err := deploy.Decode[deploy.StageEndedData](e); err == nil {
				if ended[d.Stage] {
					w.Problemf("deployment %s: stage %s ended twice", s.ID, d.Stage)
				}
				ended[d.Stage] = true
			}
		}
	}
}

// Assigned is who holds a deployment and from when on it may write.
type Assigned struct {
	Holder     string    // as the record names the process
	SessionID  string    `json:"sessionId"`
	WriteAfter time.Time `json:"writeAfter"`
}

// Assignment reads who holds a deployment; false when it is nobody's any more
// or there is no server to ask.
func (w *World) Assignment(deployment string) (a Assigned, ok bool) {
	inst := w.host.current()
	if inst == nil {
		return a, false
	}
	err := inst.store.View(context.Background(), Project, func(tx store.Tx) error {
		rec, found, err := tx.Get(store.Assignments, deployment)
		if err != nil || !found {
			return err
		}
		if err := json.Unmarshal(rec.Body, &a); err != nil {
			return err
		}
		d, err := load[deploy.Deployment](tx, store.Deployments, deployment)
		a.Holder, ok = d.Holder, err == nil
		return err
	})
	return a, err == nil && ok
}

// CheckWriter checks that a write comes from the process that holds the
// deployment. Call it before the write has its effect.
func (w *World) CheckWriter(x fake.Write) {
	a, ok := w.Assignment(x.Deployment)
	if !ok {
		return
	}
	by, early := w.early(a.WriteAfter)
	switch {
	case a.Holder != holderOf(x.By):
		w.Problemf("%s, but %s holds the deployment", x, a.Holder)
	case a.SessionID != "" && early:
		w.Problemf("%s, %s before it may write", x, by)
	}
}

// CheckSuccession checks, 15 s after the death of a process, that what it held
// is held by another one that may write. There must be another one, and a
// server all the while.
func (w *World) CheckSuccession(dead string) {
	inst := w.host.current()
	if inst == nil {
		return
	}
	w.burying.Go(func() {
		time.Sleep(15 * time.Second)
		if w.host.current() != inst || w.ended.Load() {
			return
		}
		var open []string
		err := inst.store.View(context.Background(), Project, func(tx store.Tx) error {
			recs, err := tx.List(store.Deployments, store.Query{Where: map[string][]string{"open": {"1"}}, Limit: 100})
			for _, r := range recs {
				open = append(open, r.Key)
			}
			return err
		})
		if err != nil {
			return
		}
		for _, id := range open {
			a, ok := w.Assignment(id)
			if _, early := w.early(a.WriteAfter); ok && (a.Holder == holderOf(dead) || early) {
				w.Problemf("15 s after the death of %s deployment %s is held by %s, which may write from %s on", dead, id, a.Holder, a.WriteAfter)
			}
		}
	})
}

// Holder is the live process that holds the newest open deployment, nil if none does.
func (w *World) Holder() *Process {
	inst := w.host.current()
	if inst == nil {
		return nil
	}
	name := ""
	err := inst.store.View(context.Background(), Project, func(tx store.Tx) error {
		recs, err := tx.List(store.Deployments, store.Query{Where: map[string][]string{"open": {"1"}}, Limit: 1, Desc: true})
		if err != nil || len(recs) == 0 {
			return err
		}
		var d deploy.Deployment
		if err := json.Unmarshal(recs[0].Body, &d); err != nil {
			return err
		}
		name = d.Holder
		return nil
	})
	if err != nil {
		return nil
	}
	for _, p := range w.Live() {
		if holderOf(p.Name) == name {
			return p
		}
	}
	return nil
}
