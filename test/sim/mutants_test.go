package sim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	// mutantSeed fixes the draw. It is no dial: a mutant that nobody notices is
	// either a gap of the simulator or listed with the reason why it changes
	// nothing.
	mutantSeed = "penstock 1"
	// mutantTime bounds the run of one mutant; one that makes the system spin
	// is found by it.
	mutantTime = 4 * time.Minute
	// mutantMemory bounds it too, in KiB of address space.
	mutantMemory = 8 << 20
	mutantEnv    = "PENSTOCK_SIM_MUTANT"
	// mutantSeeds is within how many worlds on ECS, besides courses and crash
	// points, a mutant must be noticed.
	mutantSeeds = 12
)

// TestMutants: the simulator must notice mistakes that a tool makes in engine,
// agent and platform, each within the seeds and crash points of its short form.
func TestMutants(t *testing.T) {
	onlySeeds(t)
	if os.Getenv("PENSTOCK_SIM_MUTANTS") == "" {
		t.Skip("drawn when asked for: PENSTOCK_SIM_MUTANTS=1 make sim")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	nothing := readNothing(t)
	reached := control(t, root)
	type draw struct {
		dir  string
		n    int
		from []mutate.Mutant
	}
	var wg sync.WaitGroup
	draws := make([]draw, len(mutantsFrom))
	for i, of := range mutantsFrom {
		all, err := mutate.Candidates(t.Context(), root, of.dir)
		if err != nil {
			t.Fatal(err)
		}
		from := slices.DeleteFunc(mutate.Shuffle(all, mutantSeed), func(m mutate.Mutant) bool { return !reached.Has(m) })
		t.Logf("%s: %d mutants, %d of them in code that a world reaches", of.dir, len(all), len(from))
		draws[i] = draw{of.dir, of.n, slices.DeleteFunc(from, func(m mutate.Mutant) bool { return nothing[m.Key()] != "" })}
		mutantsOf.Add(int64(of.n))
	}
	lanes := make(chan struct{}, 2)
	for _, d := range draws {
		p := &pool{from: d.from, taken: map[string]bool{}}
		for range d.n {
			wg.Go(func() {
				lanes <- struct{}{}
				defer func() { <-lanes }()
				strike(t, root, d.dir, p)
			})
		}
	}
	wg.Wait()
}

// pool hands out the mutants of one package, one of each function.
type pool struct {
	mu    sync.Mutex
	from  []mutate.Mutant
	taken map[string]bool
}

func (p *pool) next() (mutate.Mutant, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.from) > 0 {
		m := p.from[0]
		p.from = p.from[1:]
		if !p.taken[m.Func] {
			p.taken[m.Func] = true
			return m, true
		}
	}
	return mutate.Mutant{}, false
}

// strike takes the next mutant that is a program and runs the simulator on it.
func strike(t *testing.T, root, dir string, p *pool) {
	for {
		m, ok := p.next()
		if !ok {
			t.Errorf("%s: too few mutants", dir)
			return
		}
		bin := filepath.Join(t.TempDir(), "mutant.test")
		began := time.Now()
		var no *mutate.ErrNotCompiled
		if err := mutate.Build(t.Context(), root, m, "./test/sim", bin); errors.As(err, &no) {
			continue
		} else if err != nil {
			t.Error(err)
			return
		}
		built := time.Since(began)
		out, err := probe(t.Context(), bin, false)
		if err == nil {
			t.Errorf("nobody noticed %s\nIf it changes nothing that anybody could see, list it in testdata/mutants.txt with the reason; else the simulator needs a check.\n%s", m.Key(), m)
			return
		}
		mutants.Add(1)
		t.Logf("noticed after %.0fs and %.0fs to build: %s\n\t%s", (time.Since(began) - built).Seconds(), built.Seconds(), m, noticed(out))
		return
	}
}

// control runs the program as it is: it must pass, else what fails with a mutant
// says nothing. It returns what the run has reached.
func control(t *testing.T, root string) mutate.Reached {
	t.Helper()
	dir := t.TempDir()
	bin := filepath.Join(dir, "control.test")
	var packages []string
	for _, of := range mutantsFrom {
		packages = append(packages, module+"/"+of.dir)
	}
	if err := mutate.Build(t.Context(), root, mutate.Mutant{}, "./test/sim", bin, packages...); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if out, err := probe(t.Context(), bin, true); err != nil {
		t.Fatalf("without a mutant: %v\n%s", err, out)
	}
	t.Logf("without a mutant: %.0fs", time.Since(began).Seconds())
	reached := mutate.Reached{}
	for i := range phases {
		some, err := mutate.ReadProfile(fmt.Sprintf("%s.%d", bin, i), module)
		if err != nil {
			t.Fatal(err)
		}
		for path, blocks := range some {
			reached[path] = append(reached[path], blocks...)
		}
	}
	return reached
}

// phases are the tests that look for a mutant, the quickest first.
var phases = []string{"^(TestProbe|TestBreachTurnsBack)$", "^TestSeeds$", "^(TestCrashMatrix|TestSimulator)$"}

// probe runs the short form of the simulator in a built binary, until the first
// test of it fails. It writes profiles of what it reaches beside the binary when
// it was built to.
func probe(ctx context.Context, bin string, profiles bool) (said string, err error) {
	for i, phase := range phases {
		args := []string{"-test.run=" + phase}
		if profiles {
			args = append(args, fmt.Sprintf("-test.coverprofile=%s.%d", bin, i))
		}
		if said, err = runProbe(ctx, bin, args); err != nil {
			break
		}
	}
	return said, err
}

func runProbe(ctx context.Context, bin string, args []string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, mutantTime+time.Minute)
	defer stop()
	args = slices.Concat([]string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, mutantMemory), bin, "-test.failfast", "-test.v", "-test.timeout=" + mutantTime.String()}, args)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PENSTOCK_SIM_") }), mutantEnv+"=1", fmt.Sprintf("%s=%d", seedsEnv, mutantSeeds))
	said := &untilFailure{stop: stop}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	return said.text.String(), err
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

// noticed finds what the simulator said first.
func noticed(out string) string {
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		if s := strings.TrimSpace(l); strings.HasPrefix(s, "panic: ") || strings.HasPrefix(s, "fatal error: ") {
			return s
		} else if strings.Contains(l, "_test.go:") {
			return strings.TrimSpace(strings.Join(lines[i:min(i+2, len(lines))], " "))
		}
	}
	return "it failed"
}

// readNothing reads the mutants that change nothing, with the reason of each: a
// line that is a mutant's key, then its reason, indented.
func readNothing(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/mutants.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out, key := map[string]string{}, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		switch line := s.Text(); {
		case line == "" || strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			out[key] += strings.TrimSpace(line) + " "
		default:
			key = line
			out[key] = ""
		}
	}
	for key, why := range out {
		if strings.TrimSpace(why) == "" {
			t.Errorf("testdata/mutants.txt: no reason for %s", key)
		}
	}
	return out
}
