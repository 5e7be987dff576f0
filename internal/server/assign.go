package server

import (
	"hash/fnv"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// assignment gives one open deployment to one agent process. Its epoch grows
// with every change of the holder; reports under an older one are refused.
type assignment struct {
	DeploymentID string    `json:"deploymentId"`
	AgentID      string    `json:"agentId"`
	SessionID    string    `json:"sessionId,omitempty"` // "" while no live process is there
	Epoch        int64     `json:"epoch"`
	WriteAfter   time.Time `json:"writeAfter,omitzero"` // an earlier holder may be at work until then
}

func (b *book) keepAssignment(a assignment) error {
	return keep(b, store.Assignments, a.DeploymentID, a, map[string]string{"session_id": a.SessionID, "agent_id": a.AgentID})
}

func (b *book) assignments(where map[string][]string) ([]assignment, error) {
	recs, err := b.List(store.Assignments, store.Query{Where: where, Limit: 1000})
	if err != nil {
		return nil, err
	}
	out := make([]assignment, len(recs))
	for i, r := range recs {
		if err := decodeBody(r, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// assign gives an open deployment to the live process of its identity that
// holds the fewest, unless a live process has it.
func (b *book) assign(d deploy.Deployment) (deploy.Deployment, error) {
	rec, ok, err := b.Get(store.Assignments, d.ID)
	if err != nil {
		return d, err
	}
	a := assignment{DeploymentID: d.ID, AgentID: d.App.AgentID}
	if ok {
		if err := decodeBody(rec, &a); err != nil {
			return d, err
		}
	}
	if a.SessionID != "" {
		return d, nil
	}
	to, ok, err := b.leastLoaded(d.App.AgentID)
	if err != nil {
		return d, err
	}
	if !ok {
		return d, b.keepAssignment(a)
	}
	a.SessionID, a.Epoch = to.ID, d.Epoch+1
	if err := b.keepAssignment(a); err != nil {
		return d, err
	}
	b.wake[to.ID] = true
	return b.decide(d, engine.Assign{Holder: to.holder(), Epoch: a.Epoch})
}

func (b *book) leastLoaded(agentID string) (session, bool, error) {
	live, err := b.liveSessions(agentID)
	if err != nil || len(live) == 0 {
		return session{}, false, err
	}
	best, fewest := live[0], -1
	for _, x := range live {
		n, err := b.Count(store.Assignments, store.Query{Where: map[string][]string{"session_id": {x.ID}}})
		if err != nil {
			return session{}, false, err
		}
		if fewest < 0 || n < fewest {
			best, fewest = x, n
		}
	}
	return best, true, nil
}

func (b *book) unassign(d deploy.Deployment) error {
	if err := b.wakeHolder(d); err != nil {
		return err
	}
	return b.Delete(store.Assignments, d.ID)
}

// wakeHolder wakes the process that has a deployment.
func (b *book) wakeHolder(d deploy.Deployment) error {
	rec, ok, err := b.Get(store.Assignments, d.ID)
	if err != nil || !ok {
		return err
	}
	if id := rec.Index["session_id"]; id != "" {
		b.wake[id] = true
	}
	return nil
}

// assignOrphans gives deployments without a live process to those that are there.
func (b *book) assignOrphans(agentID string) error {
	waiting, err := b.assignments(map[string][]string{"agent_id": {agentID}, "session_id": {""}})
	if err != nil {
		return err
	}
	for _, a := range waiting {
		d, err := b.deployment(a.DeploymentID)
		if err != nil {
			return err
		}
		if _, err := b.assign(d); err != nil {
			return err
		}
	}
	return nil
}

// responsible spreads things over live processes without keeping a table: each
// key belongs to the session with the highest hash (rendezvous hashing), so
// that a process that comes or goes moves only its own share.
func responsible(key string, live []session) string {
	var best string
	var top uint64
	for _, x := range live {
		h := fnv.New64a()
		h.Write([]byte(x.ID))
		h.Write([]byte{0})
		h.Write([]byte(key))
		if v := h.Sum64(); best == "" || v > top {
			best, top = x.ID, v
		}
	}
	return best
}
