package sim

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/test/world"
)

// TestReplay runs worlds twice: what a seed found once it must find again, or
// nobody can look for the cause. Everything that was done to the world, and how
// each deployment ended, must come at the same instant in the same order. That
// holds on one processor: on several, goroutines that are due at one instant run
// as the scheduler likes.
//
//	PENSTOCK_SIM_REPLAYS=20 go test ./test/sim -run '^TestReplay$' -v
func TestReplay(t *testing.T) {
	onlySeeds(t)
	n := 2 // one on the fake platform, one on ECS
	if text := os.Getenv("PENSTOCK_SIM_REPLAYS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := uint64(1); seed <= uint64(n); seed++ {
		t.Run("seed="+strconv.FormatUint(seed, 10), func(t *testing.T) {
			var traces [2][]string
			for i := range traces {
				inWorld(t, func(t *testing.T) {
					var w *world.World
					run(t, seed, plan{made: func(made *world.World) { w = made }})
					traces[i] = w.Trace()
				})
			}
			if diff := cmp.Diff(traces[0], traces[1]); diff != "" {
				t.Errorf("a second run of the seed went another way (-first +second):\n%s", diff)
			}
		})
	}
}
