package server

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// book is one transaction in which inputs become facts: it loads a state, lets
// the engine decide, appends the events, folds them and keeps the result. What
// crosses streams (ending one deployment and admitting the next) happens here,
// in the same transaction.
type book struct {
	store.Tx
	s       *Server
	project string
	actor   string
	cause   string
	eventID string // id of the first event, made by the one who reports; "" makes one
	now     time.Time

	wake    map[string]bool // sessions that have something new to do
	changed bool
	after   []func() // what must not happen unless the transaction did
}

// entry says who acts and why; it goes into every event of a transaction.
type entry struct {
	project string
	actor   string
	cause   string
	eventID string
}

// update runs f in a transaction and afterwards wakes those whom it concerns.
func (s *Server) update(ctx context.Context, e entry, f func(*book) error) error {
	var b *book
	err := s.opt.Store.Update(ctx, e.project, func(tx store.Tx) error {
		b = &book{Tx: tx, s: s, project: e.project, actor: e.actor, cause: e.cause, eventID: e.eventID, now: s.now(), wake: map[string]bool{}}
		return f(b)
	})
	if err != nil {
		return err
	}
	for id := range b.wake {
		s.hub.wakeSession(id)
	}
	for _, f := range b.after {
		f()
	}
	if b.changed {
		s.hub.publish(e.project)
		ring(s.nudge)
	}
	return nil
}

// then runs f when the transaction has happened. The function of a transaction
// may be run again, so nothing outside the store is done in it.
func (b *book) then(f func()) { b.after = append(b.after, f) }

// view runs f on a snapshot.
func (s *Server) view(ctx context.Context, project string, f func(*book) error) error {
	return s.opt.Store.View(ctx, project, func(tx store.Tx) error {
		return f(&book{Tx: tx, s: s, project: project, now: s.now()})
	})
}

func load[T any](r store.Records, c store.Collection, key, what string) (T, error) {
	var v T
	rec, ok, err := r.Get(c, key)
	if err != nil {
		return v, err
	}
	if !ok {
		return v, &deploy.Error{Code: deploy.CodeNotFound, Object: key, Message: "there is no such " + what + " in this project"}
	}
	return v, decodeBody(rec, &v)
}

func decodeBody(rec store.Record, v any) error {
	if err := json.Unmarshal(rec.Body, v); err != nil {
		return fmt.Errorf("read record %s: %w", rec.Key, err)
	}
	return nil
}

// keep stores a value with its index.
func keep(r store.Records, c store.Collection, key string, v any, index map[string]string) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write record %s: %w", key, err)
	}
	return r.Put(c, store.Record{Key: key, Body: body, Index: index})
}

func (b *book) deployment(id string) (deploy.Deployment, error) {
	return load[deploy.Deployment](b, store.Deployments, id, "deployment")
}

func (b *book) application(id string) (deploy.Application, error) {
	a, err := load[deploy.Application](b, store.Applications, id, "application")
	if err == nil && a.Deleted {
		return a, &deploy.Error{Code: deploy.CodeNotFound, Object: id, Message: "the application was deleted"}
	}
	return a, err
}

// stamp completes events with what only the transaction knows.
func (b *book) stamp(events []deploy.Event) []deploy.Event {
	for i := range events {
		events[i].Actor, events[i].Cause = b.actor, b.cause
		events[i].ID = b.s.opt.NewID()
		if b.eventID != "" {
			events[i].ID, b.eventID = b.eventID, ""
		}
	}
	b.changed = b.changed || len(events) > 0
	return events
}

// decide lets the engine decide about a deployment and keeps what follows.
func (b *book) decide(d deploy.Deployment, in engine.Input) (deploy.Deployment, error) {
	before := d
	events, err := engine.Decide(d, in, b.now)
	if err != nil || len(events) == 0 {
		return d, err
	}
	for _, e := range b.stamp(events) {
		if d, err = engine.Apply(d, e); err != nil {
			return d, err
		}
	}
	if err := b.Append(store.Stream{Kind: deploy.StreamDeployment, ID: d.ID}, before.Seq, d.App.ID, events); err != nil {
		return d, err
	}
	if err := b.keepDeployment(d); err != nil {
		return d, err
	}
	b.then(func() { b.s.metrics.decided(before, d) })
	if d.Status.Terminal() && !before.Status.Terminal() {
		return d, b.afterEnd(d)
	}
	return d, b.wakeHolder(d)
}

// decideApp lets the engine decide about an application and keeps what follows.
func (b *book) decideApp(a deploy.Application, in engine.AppInput) (deploy.Application, error) {
	before := a
	events, err := engine.DecideApp(a, in, b.now)
	if err != nil || len(events) == 0 {
		return a, err
	}
	for _, e := range b.stamp(events) {
		if a, err = engine.ApplyApp(a, e); err != nil {
			return a, err
		}
	}
	if err := b.Append(store.Stream{Kind: deploy.StreamApplication, ID: a.ID}, before.Seq, a.ID, events); err != nil {
		return a, err
	}
	return a, b.keepApplication(a)
}

// trigger starts a deployment of an application unless the same cause did
// before; it returns the deployment of that cause.
func (b *book) trigger(a deploy.Application, t deploy.Trigger) (string, error) {
	if rec, ok, err := b.Get(store.Triggers, t.Key); err != nil || ok {
		return string(rec.Body), err
	}
	id := b.s.opt.NewID()
	superseded := pendingCommits(a)
	a, err := b.decideApp(a, engine.Enqueue{DeploymentID: id, Trigger: t.Kind, Commit: t.Commit.Hash})
	if err != nil {
		return "", err
	}
	if _, err := b.decide(deploy.Deployment{}, engine.Trigger{ID: id, ProjectID: b.project, App: a.At(t.Commit), Trigger: t}); err != nil {
		return "", err
	}
	if err := b.Put(store.Triggers, store.Record{Key: t.Key, Body: []byte(id), Index: map[string]string{"application_id": a.ID}}); err != nil {
		return "", err
	}
	if t.Kind == deploy.OnCommit {
		for _, old := range superseded {
			if err := b.supersede(old, id); err != nil {
				return "", err
			}
		}
	}
	return id, b.admitNext(a)
}

// pendingCommits lists the queued onCommit deployments of an application.
func pendingCommits(a deploy.Application) []string {
	var ids []string
	for _, q := range a.Queue {
		if q.Trigger == deploy.OnCommit {
			ids = append(ids, q.ID)
		}
	}
	return ids
}

func (b *book) supersede(id, by string) error {
	d, err := b.deployment(id)
	if err != nil {
		return err
	}
	_, err = b.decide(d, engine.Supersede{By: by})
	return err
}

// admitNext takes the next deployment out of the queue and hands it to an agent.
func (b *book) admitNext(a deploy.Application) error {
	a, err := b.decideApp(a, engine.AdmitNext{})
	if err != nil || a.Current == "" {
		return err
	}
	d, err := b.deployment(a.Current)
	if err != nil {
		return err
	}
	if !d.AdmittedAt.IsZero() {
		return nil
	}
	admit := engine.Admit{PlanDeadline: b.now.Add(planLimit)}
	if d.Trigger.Kind == deploy.OnCommand {
		admit.PickUpDeadline = b.now.Add(pickUpLimit)
	}
	if d, err = b.decide(d, admit); err != nil {
		return err
	}
	_, err = b.assign(d)
	return err
}

// afterEnd releases what an ended deployment held, tells the application and
// admits the next one.
func (b *book) afterEnd(d deploy.Deployment) error {
	if err := b.releaseClaims(d); err != nil {
		return err
	}
	if err := b.unassign(d); err != nil {
		return err
	}
	a, err := load[deploy.Application](b, store.Applications, d.App.ID, "application")
	if err != nil {
		return err
	}
	if a, err = b.decideApp(a, engine.Ended{Deployment: d}); err != nil {
		return err
	}
	if a.Deleted {
		return nil
	}
	return b.admitNext(a)
}

// claim takes what a plan will write, or names who holds it.
func (b *book) claim(d deploy.Deployment, claims []deploy.Claim) (deploy.Reason, error) {
	for _, c := range claims {
		key := c.Kind + "/" + c.Key
		rec, ok, err := b.Get(store.Claims, key)
		if err != nil {
			return deploy.Reason{}, err
		}
		if ok && rec.Index["deployment_id"] != d.ID {
			return deploy.Why(deploy.ReasonClaimed, "claim", key, "holder", rec.Index["deployment_id"]), nil
		}
		if err := b.Put(store.Claims, store.Record{Key: key, Body: []byte("{}"), Index: map[string]string{"deployment_id": d.ID}}); err != nil {
			return deploy.Reason{}, err
		}
	}
	return deploy.Reason{}, nil
}

func (b *book) releaseClaims(d deploy.Deployment) error {
	held, err := listAll(b, store.Claims, store.Query{Where: map[string][]string{"deployment_id": {d.ID}}})
	if err != nil {
		return err
	}
	for _, r := range held {
		if err := b.Delete(store.Claims, r.Key); err != nil {
			return err
		}
	}
	return nil
}

// listAll lists all records that a query selects, in key order.
func listAll(r store.Records, c store.Collection, q store.Query) ([]store.Record, error) {
	var out []store.Record
	for q.Limit = 1000; ; {
		recs, err := r.List(c, q)
		out = append(out, recs...)
		if err != nil || len(recs) < q.Limit {
			return out, err
		}
		q.After = &store.Cursor{Key: recs[len(recs)-1].Key}
	}
}

// allOf lists and reads all records that a query selects.
func allOf[T any](r store.Records, c store.Collection, q store.Query) ([]T, error) {
	recs, err := listAll(r, c, q)
	if err != nil {
		return nil, err
	}
	out := make([]T, len(recs))
	for i, rec := range recs {
		if err := decodeBody(rec, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxRequestID bounds the ids that callers make.
const maxRequestID = 200

// answered is the stored answer to a request.
type answered struct {
	What   string `json:"what"` // procedure and object of the request
	Answer string `json:"answer"`
}

// once answers a repeated request with its first answer. what names the
// procedure and its object: an id that was used for something else is refused,
// because the first answer would be a wrong one.
func (b *book) once(requestID, what string, f func() (string, error)) (string, error) {
	if requestID == "" {
		return f()
	}
	if len(requestID) > maxRequestID {
		return "", deploy.Errorf(deploy.CodeInvalid, "a request id has at most %d bytes", maxRequestID)
	}
	key := b.actor + "/" + requestID
	rec, ok, err := b.Get(store.Requests, key)
	if err != nil {
		return "", err
	}
	if ok {
		var first answered
		if err := decodeBody(rec, &first); err != nil {
			return "", err
		}
		if first.What != what {
			return "", &deploy.Error{Code: deploy.CodeConflict, Object: requestID, Message: "this request id was used for another request (" + first.What + "): make a new one"}
		}
		return first.Answer, nil
	}
	answer, err := f()
	if err != nil {
		return "", err
	}
	return answer, keep(b, store.Requests, key, answered{What: what, Answer: answer}, map[string]string{"at": store.Instant(b.now)})
}
