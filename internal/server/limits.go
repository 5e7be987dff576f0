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

// maxLimits is how many callers are told apart; those beyond share one budget,
// so that nobody fills the memory with made-up ones.
const maxLimits = 10_000

// limits bounds what one caller may ask of the server: a credential, or the
// address of somebody who has none.
type limits struct {
	every rate.Limit
	burst int

	mu sync.Mutex
	of map[string]*limit
}

type limit struct {
	*rate.Limiter
	seen time.Time
}

func newLimits(every rate.Limit, burst int) *limits {
	return &limits{every: every, burst: burst, of: map[string]*limit{}}
}

// allow takes one call out of the budget of a caller.
func (l *limits) allow(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of[id] == nil && len(l.of) >= maxLimits {
		id = ""
	}
	x := l.of[id]
	if x == nil {
		x = &limit{Limiter: rate.NewLimiter(l.every, l.burst)}
		l.of[id] = x
	}
	x.seen = now
	return x.AllowN(now, 1)
}

// sweep forgets callers that were silent.
func (l *limits) sweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, x := range l.of {
		if now.Sub(x.seen) > limitIdle {
			delete(l.of, id)
		}
	}
}
