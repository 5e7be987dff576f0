package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// shardEnv makes a process one of several that share the seeds: "1/2" is the
// second of two.
const shardEnv = "PENSTOCK_SIM_SHARD"

// countsLine begins the line with which such a process tells what it counted.
const countsLine = "counted by this process: "

// counts is what a process counted.
type counts struct {
	Seeds, Simulated, Deployments int64
	Faults                        map[string]int64
}

var childCPU atomic.Int64 // nanoseconds

// shard is the part of the seeds that this process runs: the n-th pair of every of pairs.
func shard() (n, of uint64, ok bool) {
	_, err := fmt.Sscanf(os.Getenv(shardEnv), "%d/%d", &n, &of)
	if err != nil || of == 0 {
		return 0, 1, false
	}
	return n, of, true
}

// spread runs the seeds in one process for each processor. Goroutines that are
// due at the same instant run in the same order only on one processor: so a
// seed that fails fails again when it is replayed.
func spread(t *testing.T, first uint64) {
	of := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	for i := range of {
		wg.Go(func() {
			limit := time.Hour
			if end, ok := t.Deadline(); ok {
				limit = time.Until(end) - time.Second
			}
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSimulator$", "-test.timeout="+limit.String())
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("%s=%d/%d", shardEnv, i, of), fmt.Sprintf("PENSTOCK_SIM_SEED=%d", first))
			if os.Getenv("PENSTOCK_SIM_SEEDS") == "" && os.Getenv("PENSTOCK_SIM_FOR") == "" {
				cmd.Env = append(cmd.Env, fmt.Sprintf("PENSTOCK_SIM_SEEDS=%d", defaultSeeds))
			}
			out, err := cmd.CombinedOutput()
			if st := cmd.ProcessState; st != nil {
				childCPU.Add(int64(st.UserTime() + st.SystemTime()))
			}
			said := addCounts(string(out))
			if err != nil {
				t.Errorf("process %d of %d: %v\n%s", i+1, of, err, said)
			}
		})
	}
	wg.Wait()
}

// addCounts takes the line of counts out of what a process said and adds them up.
func addCounts(text string) (said string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		data, ok := strings.CutPrefix(line, countsLine)
		var c counts
		if !ok || json.Unmarshal([]byte(data), &c) != nil {
			b.WriteString(line)
			continue
		}
		seedsRun.Add(c.Seeds)
		simulated.Add(c.Simulated)
		deployments.Add(c.Deployments)
		for kind, n := range c.Faults {
			injectedN(kind, n)
		}
	}
	return b.String()
}

// tellCounts prints what this process counted.
func tellCounts() {
	c := counts{Seeds: seedsRun.Load(), Simulated: simulated.Load(), Deployments: deployments.Load(), Faults: map[string]int64{}}
	faults.Range(func(kind, n any) bool {
		c.Faults[kind.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	data, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s%s\n", countsLine, data)
}
