// Package demo shows a real rollout on one machine: a control plane, an agent,
// a local cloud that runs tasks as processes behind a weighted router, or a
// function behind an alias, and a git repository, all in one process, under a steady load. What it prints is
// what the load client counted. It may know every part; only cmd/penstock
// imports it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

// Options say what to show.
type Options struct {
	Platform string // one of Platforms; "" means ecs
	Scenario string // one of Scenarios; "" means canary
	Listen   string // of the control plane; "" means 127.0.0.1:8080
	Once     bool   // end with the scenario instead of staying up
	JSON     bool   // print one JSON object instead of progress
	Out, Err io.Writer
	Web      fs.FS
	Version  string
	Logger   *slog.Logger
	// Wait shortens the WAIT stage, the one value that the demo may change;
	// Settle is the provider's settle time, above the profile's longest lag.
	Wait, Settle time.Duration
	// Rate is the load in requests per second.
	Rate int
	// Profile is aws-like unless named otherwise.
	Profile string
}

// Defaults of the demo.
const (
	defaultWait   = 25 * time.Second
	defaultSettle = 12 * time.Second
	defaultRate   = 150
	// limit ends a scenario with Once that hangs. Without Once somebody looks on: a canary that waits for a person waits.
	limit = 8 * time.Minute
)

// ErrNotAsExpected is returned when the scenario did not end as it should.
var ErrNotAsExpected = errors.New("the scenario did not end as it should")

func (o *Options) prepare() error {
	if o.Platform == "" {
		o.Platform = Platforms()[0]
	}
	if o.Scenario == "" {
		o.Scenario = "canary"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:8080"
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	if o.Settle == 0 {
		o.Settle = defaultSettle
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
	}
	if o.Profile == "" {
		o.Profile = "aws-like"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	sc, err := scenarioNamed(o.Scenario)
	if err != nil {
		return err
	}
	return sc.fits(o.Platform)
}

// Run shows one scenario. With Once it returns when the scenario has ended:
// nil when it ended as it should, ErrNotAsExpected when not. Otherwise it
// stays until the context ends.
func Run(ctx context.Context, o Options) error {
	if err := o.prepare(); err != nil {
		return err
	}
	sc, err := scenarioNamed(o.Scenario)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "penstock-demo-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	w, err := startWorld(ctx, dir, o)
	if err != nil {
		return err
	}
	defer w.close()
	p := newProgress(o, w)
	p.welcome()
	rep, err := play(ctx, w, sc, p)
	switch {
	case err != nil && (o.Once || ctx.Err() != nil):
		return err
	case err != nil:
		// Whoever plays with the page may take the story another way, or delete its application: everything else still runs.
		p.say("the story cannot be told to its end: %v", err)
	default:
		if err := p.result(rep); err != nil {
			return err
		}
	}
	if o.Once {
		if rep.Status != "ok" {
			return fmt.Errorf("%w: %s", ErrNotAsExpected, rep.Problem)
		}
		return nil
	}
	p.stay()
	<-ctx.Done()
	return nil
}
