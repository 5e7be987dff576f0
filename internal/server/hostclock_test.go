package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// The host's clock is set while the server runs: its own goes on without a step
// and is right again after twenty times the difference.
func TestHostClockNeverJumps(t *testing.T) {
	for _, set := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			off := time.Duration(0)
			c := newHostClock(func() time.Time { return time.Now().Add(off) })
			time.Sleep(time.Minute)
			if got := c.now(); !got.Equal(time.Now()) {
				t.Errorf("before: %s, want %s", got, time.Now())
			}
			off = set
			last := c.now()
			for range 4 * 400 { // four hours
				time.Sleep(9 * time.Second)
				now := c.now()
				if d := now.Sub(last); d < 8*time.Second || d > 10*time.Second {
					t.Fatalf("9 s were %s", d)
				}
				last = now
			}
			if got, want := c.now(), time.Now().Add(off); !got.Equal(want) {
				t.Errorf("set by %s: %s, want %s", set, got, want)
			}
		})
	}
}
