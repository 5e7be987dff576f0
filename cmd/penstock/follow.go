package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// waiting is the part of a verb that stays until the deployment ends.
type waiting struct {
	*verb
	wait, follow bool
	timeout      time.Duration
}

func (w *waiting) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&w.wait, "wait", false, "wait for the end; the exit code tells it")
	f.BoolVarP(&w.follow, "follow", "f", false, "wait and show progress")
	f.DurationVar(&w.timeout, "timeout", 0, "wait no longer than this (0: as long as it takes)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if w.timeout != 0 && !w.wait && !w.follow {
			return usagef("--timeout belongs to --wait or --follow")
		}
		return nil
	}
}

// started goes on behind the start of a deployment.
func (w *waiting) started(ctx context.Context, c *client.Client, answer proto.Message, id string) error {
	if w.wait || w.follow {
		return w.await(ctx, c, id)
	}
	return w.object(answer, id, func() {
		fmt.Fprintf(w.s.Out, "deployment %s started\nnext: penstock deployment follow %s\n", id, id)
	})
}

// went goes on behind a decision about a deployment.
func (w *waiting) went(ctx context.Context, c *client.Client, d *penstockv1.Deployment, show func()) error {
	if !w.wait && !w.follow {
		return w.object(d, d.Id, show)
	}
	if w.forPeople() {
		show()
	}
	return w.await(ctx, c, d.Id)
}

var errWaited = errors.New("timed out")

// await stays until the deployment ends and turns its end into an exit code.
func (w *waiting) await(ctx context.Context, c *client.Client, id string) error {
	outer := ctx
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, w.timeout, errWaited)
		defer cancel()
	}
	p := w.progress()
	t := &trafficReader{c: c, s: w.s}
	var last *penstockv1.Deployment
	var tick time.Duration
	if w.follow && w.s.redraws() {
		tick = time.Second
	}
	err := c.Follow(ctx, id, client.FollowOptions{Tick: tick}, func(d *penstockv1.Deployment) bool {
		last = d
		if w.follow {
			p.show(d, t.read(ctx, d))
		}
		return !client.Terminal(d)
	})
	if outer.Err() == nil && context.Cause(ctx) == errWaited { //nolint:errorlint // a sentinel of our own, not wrapped
		return w.timedOut(id, last)
	}
	if err != nil {
		return err
	}
	return w.ended(last)
}

func (w *waiting) timedOut(id string, d *penstockv1.Deployment) error {
	state := "not read yet"
	if d != nil {
		state = d.Display
		if st := running(d); st != nil {
			state += " in " + st.Name
			if why := w.stageWhy(st); why != "" {
				state += ", which " + why
			}
		}
	}
	return &statusError{
		code: exitTimeout, err: fmt.Errorf("deployment %s has not ended after %s: it is %s", id, w.timeout, plain(state)),
		next: "it goes on; follow it with: penstock deployment follow " + id,
	}
}

// ended prints the end and makes an exit code of it.
func (w *waiting) ended(d *penstockv1.Deployment) error {
	err := w.object(d, d.Id, func() {
		version := versionText(d.Plan.GetVersions())
		if version != "" {
			version = " (" + version + ")"
		}
		fmt.Fprintf(w.s.Out, "%s%s: %s after %s\n", plain(d.ApplicationName), plain(version), w.s.paint(d.Display), w.s.span(d.TriggeredAt, d.FinishedAt))
	})
	code := endCode(d)
	if err != nil || code == exitOK {
		return err
	}
	why := plain(whyText(d))
	if why != "" {
		why = ": " + why
	}
	next := "see what happened with: penstock deployment logs " + d.Id
	if code == exitNeedsAttention {
		next = "look at what runs with: penstock app live " + d.ApplicationName + ", and at what was created with: penstock deployment get " + d.Id
	}
	return &statusError{code: code, err: fmt.Errorf("deployment %s of %s ended as %s%s", d.Id, plain(d.ApplicationName), d.Display, why), next: next}
}

// endCode is the exit code of a deployment's end. A deployment that was
// cancelled and went back reads ROLLED_BACK, and has the code of that word.
func endCode(d *penstockv1.Deployment) int {
	switch d.Display {
	case string(deploy.StatusSuccess):
		return exitOK
	case string(deploy.StatusCancelled):
		return exitCancelled
	case string(deploy.EndNeedsAttention):
		return exitNeedsAttention
	}
	return exitFailure
}

func newFollowCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	w := &waiting{verb: v, follow: true}
	cmd := v.onDeployment("follow ID", "Show the progress of a deployment until it ends", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		return w.await(ctx, c, id)
	})
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "follow no longer than this (0: as long as it takes)")
	return cmd
}

func newWaitCommand(s streams) *cobra.Command {
	v := &verb{s: s}
	w := &waiting{verb: v}
	cmd := v.onDeployment("wait ID", "Wait until a deployment ends, however it ends; the exit code tells how", 0, func(ctx context.Context, c *client.Client, id string, _ []string) error {
		return w.await(ctx, c, id)
	})
	cmd.Flags().DurationVar(&w.timeout, "timeout", 15*time.Minute, "wait no longer than this (0: as long as it takes)")
	return cmd
}

// trafficReader reads where requests go, not more often than every two seconds
// while nothing happens. What cannot be read is not shown.
type trafficReader struct {
	c    *client.Client
	s    streams
	seq  int64
	at   time.Time
	text string
}

func (t *trafficReader) read(ctx context.Context, d *penstockv1.Deployment) string {
	now := t.s.Now()
	if d.Plan == nil || d.Seq == t.seq && now.Sub(t.at) < 2*time.Second {
		return t.text
	}
	t.seq, t.at = d.Seq, now
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	res, err := t.c.Applications.GetLiveState(ctx, connect.NewRequest(&penstockv1.GetLiveStateRequest{ApplicationId: d.ApplicationId}))
	if err == nil {
		t.text = trafficText(res.Msg.LiveState.GetTraffic())
	}
	return t.text
}
