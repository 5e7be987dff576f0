package sim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/test/mutate"
)

// mutantsFrom is how many mutants are drawn from each package.
var mutantsFrom = []struct {
	dir string
	n   int
}{{"internal/engine", 3}, {"internal/platform/ecs", 4}, {"internal/agent", 3}}

const (
	module = "github.com/penstock-cd/penstock"
	// mutantsEnv says which mutants are tried; see TestMutants.
	mutantsEnv = "PENSTOCK_SIM_MUTANTS"
	// mutantSeed fixes the draw. It is no dial: a mutant that nobody notices is
	// either a gap of the tests or listed with the reason why it changes
	// nothing.
	mutantSeed = "penstock 1"
	// mutantMemory bounds the run of a mutant, in KiB of address space.
	mutantMemory = 8 << 20
	mutantEnv    = "PENSTOCK_SIM_MUTANT"
	// mutantSeeds is within how many worlds, besides courses and crash points, a
	// mutant must be noticed.
	mutantSeeds = 12
	drawnFile   = "testdata/drawn.txt"
	nothingFile = "testdata/mutants.txt"
)

// look is one of the tests that may notice a mutant.
type look struct {
	name  string
	pkg   string        // folder of the package whose tests run
	args  []string      // of the test binary
	limit time.Duration // one that makes the system spin is found by it
}

// looks are those for a mutant in a package, the quickest first. Crash points
// beside the code take longer than courses.
func looks(dir string) []look {
	return append([]look{{"the tests beside the code", dir, []string{"-test.short", "-test.skip=^TestCrash"}, 4 * time.Minute}}, worldLooks...)
}

var worldLooks = []look{
	{"breaches and blind waits", "test/sim", []string{"-test.run=^(TestBreachTurnsBack|TestBlindWait)$"}, 4 * time.Minute},
	{"every course", "test/sim", []string{"-test.run=^TestProbe$"}, 6 * time.Minute},
	{"crash points and seeds", "test/sim", []string{"-test.run=^TestSeeds$"}, 12 * time.Minute},
}

// TestMutants: mistakes that a tool makes in engine, agent and platform must be
// noticed, by the tests beside the code or within a fixed number of crash points
// and seeds. The mutants are those of testdata/drawn.txt; see draw.
//
//	PENSTOCK_SIM_MUTANTS=all     every one of them
//	PENSTOCK_SIM_MUTANTS=2,5     some, by number from 1
//	PENSTOCK_SIM_MUTANTS=worlds  every one, by courses, crash points and seeds alone
//	PENSTOCK_SIM_MUTANTS=draw    draws anew and writes the list, some minutes
func TestMutants(t *testing.T) {
	onlySeeds(t)
	which := os.Getenv(mutantsEnv)
	if which == "" {
		t.Skip("the program is built for each: PENSTOCK_SIM_MUTANTS=all make sim")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if which == "draw" {
		draw(t, root)
		return
	}
	keys := drawn(t, which)
	mutantsOf.Add(int64(len(keys)))
	s := &striker{t: t, root: root, worldsAlone: which == "worlds", control: map[string]*sync.Once{}}
	for _, of := range mutantsFrom {
		s.control[of.dir] = &sync.Once{}
	}
	var wg sync.WaitGroup
	lanes := make(chan struct{}, 2)
	for _, key := range keys {
		wg.Go(func() {
			lanes <- struct{}{}
			defer func() { <-lanes }()
			s.strike(key)
		})
	}
	wg.Wait()
	t.Logf("processor time of the runs, without building: %s", time.Duration(s.used.Load()).Round(100*time.Millisecond))
}

// striker runs tests on mutants.
type striker struct {
	t           *testing.T
	root        string
	worldsAlone bool
	control     map[string]*sync.Once // by package
	used        atomic.Int64          // processor time, nanoseconds
}

// strike looks at one mutant until somebody notices it.
func (s *striker) strike(key string) {
	m, ok, err := mutate.Find(s.root, key)
	switch {
	case err != nil:
		s.t.Error(err)
		return
	case !ok:
		s.t.Errorf("the code of a mutant has changed, draw again with PENSTOCK_SIM_MUTANTS=draw: %s", key)
		return
	}
	all := looks(m.Dir)
	if s.worldsAlone {
		all = all[1:]
	}
	dir, built := s.t.TempDir(), map[string]string{}
	for i, l := range all {
		bin := built[l.pkg]
		if bin == "" {
			bin = filepath.Join(dir, fmt.Sprintf("mutant%d.test", i))
			if err := mutate.Build(s.t.Context(), s.root, m, "./"+l.pkg, bin); err != nil {
				s.t.Error(err)
				return
			}
			built[l.pkg] = bin
		}
		began := time.Now()
		out, err := s.run(bin, l)
		if err == nil {
			continue
		}
		if l.pkg == m.Dir && !s.healthy(l) {
			return
		}
		mutants.Add(1)
		s.t.Logf("noticed by %s after %.1fs: %s\n\t%s", l.name, time.Since(began).Seconds(), m, noticed(out))
		return
	}
	s.t.Errorf("nobody noticed %s\nIf it changes nothing that anybody could see, list it in %s with the reason and draw again; else a check or a test is missing.\n%s", key, nothingFile, m)
}

// healthy reports whether the tests beside the code pass without a mutant: else
// that they fail with one says nothing. What the worlds say without one is the
// subject of the other tests of this package.
func (s *striker) healthy(l look) bool {
	ok := true
	s.control[l.pkg].Do(func() {
		bin := filepath.Join(s.t.TempDir(), "control.test")
		if err := mutate.Build(s.t.Context(), s.root, mutate.Mutant{}, "./"+l.pkg, bin); err != nil {
			s.t.Error(err)
			ok = false
		} else if out, err := s.run(bin, l); err != nil {
			s.t.Errorf("the tests of %s fail without a mutant: %v\n%s", l.pkg, err, out)
			ok = false
		}
	})
	return ok
}

// run runs tests of a built binary until the first one fails.
func (s *striker) run(bin string, l look, more ...string) (said string, err error) {
	ctx, stop := context.WithTimeout(s.t.Context(), l.limit+time.Minute)
	defer stop()
	args := []string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, mutantMemory), bin, "-test.failfast", "-test.v", "-test.timeout=" + l.limit.String()}
	cmd := exec.CommandContext(ctx, "sh", slices.Concat(args, l.args, more)...)
	cmd.Dir = filepath.Join(s.root, filepath.FromSlash(l.pkg))
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PENSTOCK_SIM_") }), mutantEnv+"=1", fmt.Sprintf("%s=%d", seedsEnv, mutantSeeds))
	heard := &untilFailure{stop: stop}
	cmd.Stdout, cmd.Stderr = heard, heard
	err = cmd.Run()
	if st := cmd.ProcessState; st != nil {
		s.used.Add(int64(st.UserTime() + st.SystemTime()))
	}
	return heard.text.String(), err
}

// drawn reads the keys of the mutants that were drawn, all or those of a list of numbers.
func drawn(t *testing.T, which string) (keys []string) {
	t.Helper()
	text, err := os.ReadFile(drawnFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	if which == "all" || which == "worlds" {
		return keys
	}
	var some []string
	for n := range strings.SplitSeq(which, ",") {
		i, err := strconv.Atoi(n)
		if err != nil || i < 1 || i > len(keys) {
			t.Fatalf("%s=%s: want all, worlds, draw or numbers from 1 to %d", mutantsEnv, which, len(keys))
		}
		some = append(some, keys[i-1])
	}
	return some
}

// TestProbe sees every course to its end with nothing dying. It is the first
// look at a mutant.
func TestProbe(t *testing.T) {
	if os.Getenv(mutantEnv) == "" {
		t.Skip("runs in the binaries that TestMutants builds")
	}
	for _, c := range append(ecsCourses(), courses()...) {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T) { crashOnce(t, c, mode{name: "nothing dies", read: true}, 1<<30) })
		})
	}
}

// untilFailure keeps what a run says and stops it when a test has failed: the
// others would look at the same mistake for minutes.
type untilFailure struct {
	text   bytes.Buffer
	stop   context.CancelFunc
	failed bool
}

func (u *untilFailure) Write(p []byte) (int, error) {
	n, err := u.text.Write(p)
	if !u.failed && (bytes.Contains(u.text.Bytes(), []byte("--- FAIL: ")) || bytes.Contains(u.text.Bytes(), []byte("\npanic: "))) {
		u.failed = true
		u.stop()
	}
	return n, err
}

// noticed finds what was said first: a panic, or the test that failed with what it
// told.
func noticed(out string) string {
	told := ""
	for line := range strings.Lines(out) {
		switch s := strings.TrimSpace(line); {
		case strings.HasPrefix(s, "panic: "), strings.HasPrefix(s, "fatal error: "):
			return s
		case strings.HasPrefix(s, "=== "), strings.HasPrefix(s, "--- PASS"):
			told = ""
		case strings.HasPrefix(s, "--- FAIL: "):
			return strings.TrimPrefix(s, "--- FAIL: ") + " " + told
		case told == "" && strings.Contains(s, "_test.go:"):
			told = s
		}
	}
	return "it failed"
}
