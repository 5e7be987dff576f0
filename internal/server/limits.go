package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// One credential may make this many calls a second, and this many at once. An
// agent with hundreds of deployments stays far below.
const (
	callsPerSecond = 500
	callsAtOnce    = 5000
	// limitIdle is how long the limiter of a silent credential is kept.
	limitIdle = time.Hour
)

// limits bounds what one credential may ask of the server.
type limits struct {
	mu sync.Mutex
	of map[string]*limit
}

type limit struct {
	*rate.Limiter
	seen time.Time
}

func newLimits() *limits { return &limits{of: map[string]*limit{}} }

// allow takes one call of a credential out of its budget.
func (l *limits) allow(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.of[id]
	if x == nil {
		x = &limit{Limiter: rate.NewLimiter(callsPerSecond, callsAtOnce)}
		l.of[id] = x
	}
	x.seen = now
	return x.AllowN(now, 1)
}

// sweep forgets credentials that were silent.
func (l *limits) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range l.of {
		if now.Sub(x.seen) > limitIdle {
			delete(l.of, id)
		}
	}
}
