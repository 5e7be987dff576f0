package world

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2 * manyTurns
		var mu sync.Mutex
		var order, want []int
		var at []time.Time
		c := &turns{}
		later := func(i int, d time.Duration) {
			want = append(want, i)
			c.AfterFunc(d, func() {
				mu.Lock()
				defer mu.Unlock()
				order, at = append(order, i), append(at, time.Now())
			})
		}
		begin := time.Now()
		for i := range n {
			later(i, time.Second)
		}
		time.Sleep(2 * time.Second)
		for i := range n {
			later(n+i, 0)
		}
		stopped := c.AfterFunc(time.Second, func() { t.Error("a stopped timer ran") })
		if !stopped.Stop() {
			t.Error("the timer was not stopped")
		}
		time.Sleep(2 * time.Second)
		if !slices.Equal(order, want) {
			t.Error("they did not come in the order in which they were asked for")
		}
		for i := 1; i < len(at); i++ {
			if !at[i].After(at[i-1]) {
				t.Fatalf("%d and %d came at one instant", i-1, i)
			}
		}
		if d := at[n-1].Sub(begin) - time.Second; d < 0 || d > time.Millisecond {
			t.Errorf("the last one came %s late", d)
		}
	})
}
