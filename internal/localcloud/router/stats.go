package router

import (
	"cmp"
	"slices"
	"sync"
)

// Count is the number of requests that ended in one way since the router was
// made.
type Count struct {
	ListenerARN    string
	TargetGroupARN string // "" for answers without a group
	TargetID       string // "" for answers without a target
	Status         int    // what the client saw
	Requests       uint64
}

type stats struct {
	mu sync.Mutex
	n  map[Count]uint64 // keyed by a Count with Requests 0
}

func (s *stats) add(d decision, status int) {
	key := Count{ListenerARN: d.listener, TargetGroupARN: d.group, TargetID: d.target.ID, Status: status}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[Count]uint64{}
	}
	s.n[key]++
}

// Stats returns all counters, sorted by listener, group, target and status.
func (r *Router) Stats() []Count {
	r.stats.mu.Lock()
	out := make([]Count, 0, len(r.stats.n))
	for c, n := range r.stats.n {
		c.Requests = n
		out = append(out, c)
	}
	r.stats.mu.Unlock()
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(
			cmp.Compare(a.ListenerARN, b.ListenerARN), cmp.Compare(a.TargetGroupARN, b.TargetGroupARN),
			cmp.Compare(a.TargetID, b.TargetID), cmp.Compare(a.Status, b.Status),
		)
	})
	return out
}
