package world

import (
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// turns is a clock on which no two functions are due at one instant: what would
// be comes a nanosecond later for each one asked for before. Four tasks that
// start together then do it in the order in which they were asked to, every time,
// not in the one that the scheduler likes.
type turns struct {
	mu    sync.Mutex
	taken map[int64]bool // by instant, in nanoseconds; those that have passed are forgotten now and then
}

// manyTurns is how many instants are kept before those that have passed are forgotten.
const manyTurns = 256

// Now implements clock.Clock.
func (c *turns) Now() time.Time { return time.Now() }

// AfterFunc implements clock.Clock.
func (c *turns) AfterFunc(d time.Duration, f func()) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now().UnixNano()
	if c.taken == nil {
		c.taken = map[int64]bool{}
	}
	if len(c.taken) > manyTurns {
		for at := range c.taken {
			if at < now {
				delete(c.taken, at)
			}
		}
	}
	at := now + int64(max(d, 0))
	for c.taken[at] {
		at++
	}
	c.taken[at] = true
	return time.AfterFunc(time.Duration(at-now), f)
}
