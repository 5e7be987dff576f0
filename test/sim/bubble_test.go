package sim

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// worldLimit is how long a world may take by the clock of the machine: most take
// a second or two of a core. One that takes minutes is in a loop that lets time
// hardly pass.
const worldLimit = 4 * time.Minute

// inWorld runs f on virtual time. A world that does not end takes the whole run
// with it, with the stacks of all goroutines, so that it is known which one and
// where.
func inWorld(t *testing.T, f func(*testing.T)) {
	t.Helper()
	limit := time.AfterFunc(worldLimit, func() {
		debug.SetTraceback("all")
		panic(t.Name() + ": a world still runs after " + worldLimit.String())
	})
	defer limit.Stop()
	synctest.Test(t, f)
}
