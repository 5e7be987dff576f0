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
	LostAt       time.Time `json:"lostAt,omitzero"`     // since when no live process is there
}

func (b *book) keepAssignment(a assignment) error {
	return keep(b, store.Assignments, a.DeploymentID, a, map[string]string{"session_id": a.SessionID, "agent_id": a.AgentID})
}

func (b *book) assignments(where map[string][]string) ([]assignment, error) {
	return allOf[assignment](b, store.Assignments, store.Query{Where: where})
}

// assign gives an open deployment to the live process of its identity that
// holds the fewest, unless a live process has it. A parked one waits for a
// newer server without a holder.
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
	if !ok || d.Parked != "" {
		if a.LostAt.IsZero() {
			a.LostAt = b.now
		}
		return d, b.keepAssignment(a)
	}
	a.SessionID, a.Epoch, a.LostAt = to.ID, d.Epoch+1, time.Time{}
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
		if err := b.reassign(a); err != nil {
			return err
		}
	}
	return nil
}

// reassign looks for a new holder of a deployment that has none. One that
// cannot be read or takes no more events is told and left alone: the session
// of a process must not depend on it.
func (b *book) reassign(a assignment) error {
	d, err := b.deployment(a.DeploymentID)
	if deploy.CodeOf(err) == deploy.CodeNotFound || err == nil && d.Status.Terminal() {
		return b.Delete(store.Assignments, a.DeploymentID)
	}
	if err != nil {
		b.tell("read a deployment", a.DeploymentID, err)
		return nil
	}
	if d.Seq >= deploy.MaxDeploymentEvents-reservedEvents {
		b.tell("assign a deployment", d.ID, deploy.Errorf(deploy.CodeTooLarge, "it has used %d of %d events; the rest is kept for its end", d.Seq, deploy.MaxDeploymentEvents))
		return nil
	}
	_, err = b.assign(d)
	return err
}

// reservedEvents is how much of the budget of a deployment changes of its
// holder leave for its way back and its end.
const reservedEvents = 500

// tell logs, behind the transaction, what was left alone.
func (b *book) tell(what, object string, err error) {
	b.then(func() { b.s.log.Error("left alone", "what", what, "object", object, "error", err) })
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
		if v := mix(h.Sum64()); best == "" || v > top {
			best, top = x.ID, v
		}
	}
	return best
}

// mix spreads every bit over all others (the finaliser of SplitMix64): the
// last letters of a key hardly reach the upper bits of FNV alone, and then one
// process would get everything.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
