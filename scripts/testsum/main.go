// Command testsum runs `go test -json …`, shows one line per package and the whole output of every failing test, and
// adds the numbers of passed, failed and skipped tests to a file, so that a run of several parts can be summed up.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	counts := flag.String("counts", "", "append `file` the line \"passed failed skipped\"; empty: do not")
	flag.Parse()
	os.Exit(run(*counts, flag.Args(), os.Stdout, os.Stderr))
}

// run starts the command and reports on its output; the exit status is the command's own, or 1 when a test failed.
func run(countsFile string, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "usage: testsum [-counts file] go test -json [arguments]")
		return 2
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintf(stderr, "testsum: start %s: %v\n", args[0], err)
		return 1
	}
	r := newReport(stdout)
	readErr := r.read(out)
	if readErr != nil {
		// The command must not block on a pipe that nobody reads any more; what it still says is lost, the error is not.
		_, _ = io.Copy(io.Discard, out)
	}
	waitErr := cmd.Wait()
	r.close()
	if err := r.save(countsFile); err != nil {
		fmt.Fprintf(stderr, "testsum: save counts: %v\n", err)
		return 1
	}
	switch {
	case readErr != nil:
		fmt.Fprintf(stderr, "testsum: read the output of %s: %v\n", args[0], readErr)
		return 1
	case waitErr != nil:
		return max(cmd.ProcessState.ExitCode(), 1)
	case r.total.failed > 0:
		return 1
	}
	return 0
}

// event is one line of test2json's output; see `go doc test2json`.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

type tally struct{ passed, failed, skipped int }

func (t *tally) add(u tally) {
	t.passed += u.passed
	t.failed += u.failed
	t.skipped += u.skipped
}

// simulatorSum begins the line in which the simulator says how much it did: shown even when all is well.
const simulatorSum = "seeds="

// slow is how many seconds a test may take before its time is shown, as soon as it ends.
const slow = 60

// line is output of a test, or of the package itself when test is empty.
type line struct{ test, text string }

// pkg collects what a package says until it ends.
type pkg struct {
	tally
	lines []line
	open  map[string]bool // tests that started and did not end: where a panic or a time-out happened
	bad   map[string]bool // tests that failed
}

type report struct {
	out   io.Writer
	open  map[string]*pkg
	total tally
}

func newReport(out io.Writer) *report { return &report{out: out, open: map[string]*pkg{}} }

// read follows the events to the end of in. A line that is not an event is shown as it is: it is the go command's own.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		text, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 {
			var e event
			if json.Unmarshal(text, &e) == nil && e.Action != "" {
				r.event(e)
			} else {
				fmt.Fprintf(r.out, "%s\n", bytes.TrimRight(text, "\n"))
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) event(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := r.open[e.Package]
	if p == nil {
		p = &pkg{open: map[string]bool{}, bad: map[string]bool{}}
		r.open[e.Package] = p
	}
	switch e.Action {
	case "output":
		if strings.HasPrefix(e.Output, simulatorSum) {
			fmt.Fprint(r.out, e.Output)
		}
		p.lines = append(p.lines, line{e.Test, e.Output})
	case "run":
		p.open[e.Test] = true
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.end(e, p)
			return
		}
		p.close(e)
		if e.Elapsed >= slow && !strings.Contains(e.Test, "/") {
			fmt.Fprintf(r.out, "%-5s %s %s  %.1fs\n", e.Action, e.Package, e.Test, e.Elapsed)
		}
	}
}

func (p *pkg) close(e event) {
	delete(p.open, e.Test)
	switch e.Action {
	case "pass":
		p.passed++
	case "skip":
		p.skipped++
	case "fail":
		p.failed++
		p.bad[e.Test] = true
	}
}

// end shows the package. One that failed without a failing test (it did not build, or its TestMain exited) counts as one
// failure, so that no red run says "0 failed".
func (r *report) end(e event, p *pkg) {
	delete(r.open, e.Package)
	if e.Action == "fail" && p.failed == 0 {
		p.failed = 1
	}
	r.total.add(p.tally)
	if e.Action != "fail" {
		if p.tally != (tally{}) {
			fmt.Fprintf(r.out, "ok    %s  %.1fs  %s\n", e.Package, e.Elapsed, p.tally)
		}
		return
	}
	for _, l := range p.lines {
		if l.test == "" || p.bad[l.test] || p.open[l.test] {
			fmt.Fprint(r.out, l.text)
		}
	}
	fmt.Fprintf(r.out, "FAIL  %s  %.1fs  %s\n", e.Package, e.Elapsed, p.tally)
}

// close shows the packages that never ended, as when the go command itself was killed.
func (r *report) close() {
	for name, p := range r.open {
		r.end(event{Action: "fail", Package: name}, p)
	}
}

// String names what there was, so that a line stays short.
func (t tally) String() string {
	s := fmt.Sprintf("%d passed", t.passed)
	if t.failed > 0 {
		s += fmt.Sprintf(", %d failed", t.failed)
	}
	if t.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.skipped)
	}
	return s
}

func (r *report) save(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%d %d %d\n", r.total.passed, r.total.failed, r.total.skipped); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
