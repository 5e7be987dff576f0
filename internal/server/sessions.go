package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// reasonSessionOver tells an agent process to say Hello again.
const reasonSessionOver = "SESSION_OVER"

// session is one agent process and its lease. Whatever the process holds, it
// holds under this one lease.
type session struct {
	ID           string       `json:"id"`
	AgentID      string       `json:"agentId"`
	AgentName    string       `json:"agentName"`
	ProcessID    string       `json:"processId"`
	Host         string       `json:"host"`
	Version      string       `json:"version"`
	StartedAt    time.Time    `json:"startedAt"`
	SeenAt       time.Time    `json:"seenAt"`
	ExpiresAt    time.Time    `json:"expiresAt"`
	Grant        int64        `json:"grant,omitempty"` // number of the lease's last extension
	Repositories []repository `json:"repositories,omitempty"`
	Providers    []provider   `json:"providers,omitempty"`
}

type repository struct {
	ID     string `json:"id"`
	Remote string `json:"remote"`
	Branch string `json:"branch"`
}

type provider struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

// holder names a process for people.
func (x session) holder() string {
	p := x.ProcessID
	if len(p) > 8 {
		p = p[len(p)-8:]
	}
	return x.Host + "/" + p
}

func (b *book) keepSession(x session) error {
	return keep(b, store.Sessions, x.ID, x, map[string]string{"agent_id": x.AgentID, "expires": store.Instant(x.ExpiresAt)})
}

// session returns a live session of an agent identity; an expired or unknown
// one is unauthorized: the process must say Hello again.
func (b *book) session(id, agentID string) (session, error) {
	x, err := load[session](b, store.Sessions, id, "session")
	if err != nil || x.AgentID != agentID || !x.ExpiresAt.After(b.now) {
		return x, &deploy.Error{Code: deploy.CodeUnauthorized, Reason: reasonSessionOver, Object: id, Message: "the session is over: begin a new one with Hello"}
	}
	return x, nil
}

// extend gives a session a whole new lease if its process saw the grant before.
// A process that is heard but does not hear must lose what it holds as a dead
// one does, so an answer that nobody saw extends nothing twice; after a single
// lost answer the process learns here what is left, and the next renewal is
// whole again. seen is nil for a process from before grants had numbers.
func (x *session) extend(now time.Time, lease time.Duration, seen *int64) {
	x.SeenAt = now
	if seen == nil || *seen == x.Grant {
		x.ExpiresAt = now.Add(lease)
		x.Grant++
	}
}

// liveSessions lists the sessions of an identity whose lease runs, in id order.
func (b *book) liveSessions(agentID string) ([]session, error) {
	return b.sessions(func(x session) bool { return x.AgentID == agentID && x.ExpiresAt.After(b.now) })
}

func (b *book) sessions(want func(session) bool) ([]session, error) {
	all, err := allOf[session](b, store.Sessions, store.Query{})
	var out []session
	for _, x := range all {
		if want(x) {
			out = append(out, x)
		}
	}
	return out, err
}

// incarnationKey is the record, in System, of the incarnation that this server knew.
const incarnationKey = "incarnation"

// resume takes up the sessions of an earlier run of the server. Nobody could
// renew while no server ran, so every session gets one more lease: a lease that
// ran out meanwhile must not make two processes write. On a store that was
// restored from a backup they are voided instead, because the record does not
// know what happened since.
func (s *Server) resume(ctx context.Context) error {
	restored, err := s.newIncarnation(ctx)
	if err != nil {
		return err
	}
	err = s.eachProject(ctx, func(project string) error {
		if err := s.reindex(ctx, project); err != nil {
			return err
		}
		return s.update(ctx, entry{project: project, actor: "server"}, func(b *book) error {
			if restored {
				return b.voidSessions()
			}
			return b.extendSessions()
		})
	})
	if err != nil {
		return err
	}
	// Noted last: a crash on the way must not leave leases that are still to be voided.
	return s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error {
		return tx.Put(store.Requests, store.Record{Key: incarnationKey, Body: []byte(s.opt.Store.Incarnation())})
	})
}

// newIncarnation reports whether the store is another one than this server knew.
func (s *Server) newIncarnation(ctx context.Context) (other bool, err error) {
	err = s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		rec, ok, err := tx.Get(store.Requests, incarnationKey)
		other = ok && string(rec.Body) != s.opt.Store.Incarnation()
		return err
	})
	return other, err
}

func (b *book) extendSessions() error {
	all, err := b.sessions(func(session) bool { return true })
	if err != nil {
		return err
	}
	for _, x := range all {
		x.ExpiresAt = b.now.Add(b.s.opt.Lease)
		if err := b.keepSession(x); err != nil {
			return err
		}
		b.then(func() { b.s.hub.begin(x.ID) })
	}
	return nil
}

// voidSessions ends every session of a restored store. A process that the
// record does not know may be at work on anything until a lease from now, and
// one call longer.
func (b *book) voidSessions() error {
	all, err := b.sessions(func(session) bool { return true })
	if err != nil {
		return err
	}
	for _, x := range all {
		if err := b.Delete(store.Sessions, x.ID); err != nil {
			return err
		}
	}
	held, err := b.assignments(nil)
	if err != nil {
		return err
	}
	for _, a := range held {
		a.SessionID, a.LostAt, a.WriteAfter = "", b.now, b.now.Add(b.s.opt.Lease+b.s.opt.Lease/3+leaseMargin)
		if err := b.keepAssignment(a); err != nil {
			return err
		}
		if err := b.markRestored(a.DeploymentID); err != nil {
			return err
		}
	}
	return nil
}

// markRestored leaves a note for whoever carries an open deployment on: what is
// live may be ahead of the record, so it is looked at before the next write.
func (b *book) markRestored(deploymentID string) error {
	value, err := json.Marshal(b.s.opt.Store.Incarnation())
	if err != nil {
		return err
	}
	e := deploy.JournalEntry{Key: deploy.JournalRestored, Value: value, At: b.now}
	return keep(b, store.Journal, deploymentID+"/"+e.Key, e, map[string]string{"deployment_id": deploymentID})
}

// endSession gives away what a session held. Behind a lease that ran out the
// successor waits until no call of the old holder can still be at work.
func (b *book) endSession(x session, graceful bool) error {
	writeAfter := b.now
	if !graceful {
		writeAfter = x.ExpiresAt.Add(b.s.opt.Lease/3 + leaseMargin)
	}
	if err := b.Delete(store.Sessions, x.ID); err != nil {
		return err
	}
	held, err := b.assignments(map[string][]string{"session_id": {x.ID}})
	if err != nil {
		return err
	}
	for _, a := range held {
		a.SessionID, a.LostAt = "", b.now
		if writeAfter.After(a.WriteAfter) { // the holder before this one may still be at work
			a.WriteAfter = writeAfter
		}
		if err := b.keepAssignment(a); err != nil {
			return err
		}
		if err := b.reassign(a); err != nil {
			return err
		}
	}
	b.then(func() { b.s.hub.forget(x.ID) })
	return b.wakeAgent(x.AgentID)
}

// wakeAgent wakes all processes of an identity: what each watches may have changed.
func (b *book) wakeAgent(agentID string) error {
	live, err := b.liveSessions(agentID)
	for _, x := range live {
		b.wake[x.ID] = true
	}
	return err
}

// expire ends one session if its lease has run out, in a transaction of its
// own: what one process held must not keep another's from moving on.
func (s *Server) expire(ctx context.Context, project, id string) error {
	return s.update(ctx, entry{project: project, actor: "server", cause: "lease"}, func(b *book) error {
		x, err := load[session](b, store.Sessions, id, "session")
		if deploy.CodeOf(err) == deploy.CodeNotFound || err == nil && x.ExpiresAt.After(b.now) {
			return nil
		}
		if err != nil {
			return err
		}
		b.then(func() {
			s.log.Warn("agent process lost", "agent", x.AgentName, "process", x.holder(), "seen", x.SeenAt)
			s.metrics.leases.WithLabelValues("expired").Inc()
			s.hub.publishSide(sideChange{project: project, kind: "agent", id: x.AgentID, typ: "PROCESS"})
		})
		return b.endSession(x, false)
	})
}
