package server

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

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
		return x, &deploy.Error{Code: deploy.CodeUnauthorized, Reason: "SESSION_OVER", Object: id, Message: "the session is over: begin a new one with Hello"}
	}
	return x, nil
}

// liveSessions lists the sessions of an identity whose lease runs, in id order.
func (b *book) liveSessions(agentID string) ([]session, error) {
	return b.sessions(func(x session) bool { return x.AgentID == agentID && x.ExpiresAt.After(b.now) })
}

func (b *book) sessions(want func(session) bool) ([]session, error) {
	recs, err := b.List(store.Sessions, store.Query{Limit: 1000})
	if err != nil {
		return nil, err
	}
	var out []session
	for _, r := range recs {
		var x session
		if err := decodeBody(r, &x); err != nil {
			return nil, err
		}
		if want(x) {
			out = append(out, x)
		}
	}
	return out, nil
}

// extendSessions gives every session one more lease at start: nobody could
// renew while no server ran, and a lease that ran out meanwhile must not make
// two processes write.
func (s *Server) extendSessions(ctx context.Context) error {
	return s.eachProject(ctx, func(project string) error {
		return s.update(ctx, entry{project: project, actor: "server"}, func(b *book) error {
			all, err := b.sessions(func(session) bool { return true })
			if err != nil {
				return err
			}
			for _, x := range all {
				x.ExpiresAt = b.now.Add(s.opt.Lease)
				if err := b.keepSession(x); err != nil {
					return err
				}
			}
			return nil
		})
	})
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
		a.SessionID, a.WriteAfter = "", writeAfter
		if err := b.keepAssignment(a); err != nil {
			return err
		}
		d, err := b.deployment(a.DeploymentID)
		if err != nil {
			return err
		}
		if _, err := b.assign(d); err != nil {
			return err
		}
	}
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

// expireSessions ends the sessions whose lease ran out.
func (s *Server) expireSessions(ctx context.Context, project string) error {
	var dead []session
	err := s.view(ctx, project, func(b *book) (err error) {
		dead, err = b.expired()
		return err
	})
	if err != nil || len(dead) == 0 {
		return err
	}
	return s.update(ctx, entry{project: project, actor: "server", cause: "lease"}, func(b *book) error {
		dead, err := b.expired()
		if err != nil {
			return err
		}
		for _, x := range dead {
			s.log.Warn("agent process lost", "agent", x.AgentName, "process", x.holder(), "seen", x.SeenAt)
			s.metrics.leases.WithLabelValues("expired").Inc()
			if err := b.endSession(x, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *book) expired() ([]session, error) {
	recs, err := b.List(store.Sessions, store.Query{NotAfter: map[string]string{"expires": store.Instant(b.now)}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := make([]session, len(recs))
	for i, r := range recs {
		if err := decodeBody(r, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
