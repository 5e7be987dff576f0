package server

import (
	"sync"
	"time"
)

// followShare is the part of the time that passes by which the server's clock
// may go faster or slower to follow the host's.
const followShare = 20

// hostClock is the host's wall clock without its jumps. Leases, waits and
// deadlines are instants: if the clock that they are compared with were set, all
// leases would end at once while their holders still write, and a wait of ten
// minutes would be over in one. When the host's clock is set, this one goes on
// without a step and follows it, faster or slower by a twentieth at most.
type hostClock struct {
	wall func() time.Time

	mu    sync.Mutex
	at    time.Time // of the last look, with its monotonic reading
	shown time.Time // what was shown then
}

func newHostClock(wall func() time.Time) *hostClock {
	if wall == nil {
		wall = time.Now
	}
	return &hostClock{wall: wall, at: time.Now(), shown: wall().UTC().Round(0)}
}

// now never goes back and never jumps.
func (c *hostClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	passed := now.Sub(c.at)
	c.at, c.shown = now, c.shown.Add(passed)
	limit := passed / followShare
	c.shown = c.shown.Add(min(max(c.wall().Round(0).Sub(c.shown), -limit), limit))
	return c.shown
}
