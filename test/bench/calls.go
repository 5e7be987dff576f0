package main

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// span is the time that one request of the agent took, latency included.
type span struct{ from, to time.Time }

// recorder remembers the requests that pass through its handlers.
type recorder struct {
	mu    sync.Mutex
	spans []span
}

// wrap records the requests of a handler.
func (r *recorder) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		from := time.Now()
		next.ServeHTTP(w, req)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.spans = append(r.spans, span{from, time.Now()})
	})
}

func (r *recorder) all() []span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.spans)
}

// first gives the beginning of the first request at or behind a moment.
func (r *recorder) first(from time.Time) (at time.Time, ok bool) {
	for _, s := range r.all() {
		if !s.from.Before(from) && (!ok || s.from.Before(at)) {
			at, ok = s.from, true
		}
	}
	return at, ok
}

// covered is how much of [from, to] lies within at least one span.
func covered(spans []span, from, to time.Time) time.Duration {
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var sum time.Duration
	reached := from
	for _, s := range spans {
		begin, end := s.from, s.to
		if begin.Before(reached) {
			begin = reached
		}
		if end.After(to) {
			end = to
		}
		if end.After(begin) {
			sum += end.Sub(begin)
			reached = end
		}
	}
	return sum
}
