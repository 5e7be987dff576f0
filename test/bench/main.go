// Command bench measures what the project promises about its own cost, against the built program with the aws-like cloud:
// a line of JSON {"name", "value", "unit"} for each figure on standard output, and on standard error how it compares with
// its promise. It ends with status 1 when a promise is missed.
//
// Server and agent are processes of their own, the cloud and the git host live in this one, where every request of the
// agent is recorded with its beginning and end.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// figure is one measured promise: the value has to be below the target.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	target float64
	of     []float64 // what it is the median of, for a person
	empty  bool      // nothing was measured
}

type settings struct {
	program string
	runs    int           // pushes
	starts  int           // of the two processes
	idle    time.Duration // how long nothing happens

	only              string // part
	apps, deployments int    // of the seeded database
	streams           int    // open pages
}

func main() {
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], gitHostFlag) {
		if err := serveGit(context.Background(), strings.TrimPrefix(os.Args[1], gitHostFlag)); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(2)
		}
		return
	}
	var s settings
	flag.StringVar(&s.program, "program", filepath.Join("bin", "penstock"), "the built program")
	flag.IntVar(&s.runs, "runs", 20, "pushes to measure")
	flag.IntVar(&s.starts, "starts", 5, "starts to measure")
	flag.DurationVar(&s.idle, "idle", 30*time.Second, "how long to watch the idle processes")
	flag.StringVar(&s.only, "only", "", "one part alone. own: pushes and idling; monorepo: polling for 2,000 applications; lists: a seeded database")
	flag.IntVar(&s.apps, "apps", 1000, "applications of the seeded database; the promise is for 10000")
	flag.IntVar(&s.deployments, "deployments", 10_000, "deployments of the seeded database; the promise is for 100000")
	flag.IntVar(&s.streams, "streams", 20, "open pages that a change must reach")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	missed, err := run(ctx, s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2) //nolint:gocritic // everything is closed inside run
	}
	if missed > 0 {
		os.Exit(1)
	}
}

// run measures what was asked for, the cheapest to set up first.
func run(ctx context.Context, s settings) (missed int, err error) {
	if s.runs < 1 || s.starts < 1 {
		return 0, fmt.Errorf("-runs and -starts are at least 1")
	}
	parts := []struct {
		name    string
		measure func(context.Context, settings, string) ([]figure, error)
	}{{"own", measureOwn}, {"monorepo", measureMonorepo}, {"lists", measureLists}}
	dir, err := os.MkdirTemp("", "penstock-bench-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var figures []figure
	for _, part := range parts {
		if s.only != "" && s.only != part.name {
			continue
		}
		some, err := part.measure(ctx, s, filepath.Join(dir, part.name))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", part.name, err)
		}
		figures = append(figures, some...)
	}
	if len(figures) == 0 {
		return 0, fmt.Errorf("-only is own, monorepo or lists")
	}
	return tell(figures)
}

// measureOwn measures a deployment's path and the cost of one that does nothing.
func measureOwn(ctx context.Context, s settings, dir string) ([]figure, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w, err := newWorld(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	ready, err := w.measureStarts(ctx, s.starts)
	if err != nil {
		return nil, err
	}
	pushes, err := w.measurePushes(ctx, s.runs)
	if err != nil {
		return nil, err
	}
	idle, err := w.measureIdle(ctx, s.idle)
	if err != nil {
		return nil, err
	}
	return []figure{
		median("ready_seconds", "s", 0.5, ready),
		median("push_to_first_write_seconds_p50", "s", 1.5, pushes.total), median("own_seconds_p50", "s", 0.3, pushes.own),
		median("between_stages_seconds_p50", "s", 0.1, pushes.between),
		{Name: "idle_cpu_percent", Value: idle.cpu, Unit: "%", target: 1},
		{Name: "idle_rss_mb", Value: idle.rss, Unit: "MB", target: 120},
	}, nil
}

// median is the lower middle of the values.
func median(name, unit string, target float64, of []float64) figure {
	f := figure{Name: name, Unit: unit, target: target, of: slices.Sorted(slices.Values(of))}
	if f.empty = len(f.of) == 0; !f.empty {
		f.Value = f.of[(len(f.of)-1)/2]
	}
	return f
}

// tell prints the figures for programs and the comparison for people, and counts the missed promises. A median of nothing is missed.
func tell(figures []figure) (missed int, err error) {
	out := json.NewEncoder(os.Stdout)
	for _, f := range figures {
		verdict := "ok"
		if f.empty || f.Value >= f.target {
			verdict, missed = "MISSED", missed+1
		}
		spread := ""
		if n := len(f.of); n > 0 {
			spread = fmt.Sprintf("  (of %d: %.3f to %.3f)", n, f.of[0], f.of[n-1])
		}
		fmt.Fprintf(os.Stderr, "%-34s %9.3f %-2s  under %g: %s%s\n", f.Name, f.Value, f.Unit, f.target, verdict, spread)
		if err := out.Encode(f); err != nil {
			return missed, err
		}
	}
	return missed, nil
}
