package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

const (
	// safetyPoll is how often a deployment is read although its stream is silent: a
	// connection that died without a word only delays.
	safetyPoll = 15 * time.Second
	// defaultPoll is how often it is read when no stream can be had.
	defaultPoll = 2 * time.Second
	// patience is how long a server may be away before following gives up.
	patience = 2 * time.Minute
	// streamPause and streamPauseLimit bound the pauses between attempts to stream.
	streamPause      = 200 * time.Millisecond
	streamPauseLimit = 5 * time.Second
)

// Terminal reports whether a deployment never changes again.
func Terminal(d *penstockv1.Deployment) bool { return deploy.Status(d.GetStatus()).Terminal() }

// FollowOptions tune Follow; the zero value is right for programs.
type FollowOptions struct {
	// Poll is how often to read when no stream can be had; 0 means 2 s.
	Poll time.Duration
	// Tick asks for a call with what is known even when nothing changed, for a
	// display with a running clock; 0 means none.
	Tick time.Duration
}

// Follow calls each with a deployment as it is and again whenever it changed,
// until each returns false. It outlives restarts of the server and cut
// connections: the stream of changes goes on from its cursor, and where no
// stream can be had the deployment is read at intervals. It ends with an error
// when the context ends, the deployment is not found, or the server stays away
// for two minutes.
func (c *Client) Follow(ctx context.Context, id string, opt FollowOptions, each func(*penstockv1.Deployment) bool) error {
	res, err := c.Deployments.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
	if err != nil {
		return err
	}
	last := res.Msg.Deployment
	if !each(last) {
		return nil
	}
	w := c.watch(ctx, res.Msg.Cursor, id)
	defer w.stop()
	var tick <-chan time.Time
	if opt.Tick > 0 {
		t := time.NewTicker(opt.Tick)
		defer t.Stop()
		tick = t.C
	}
	for seen := time.Now(); ; {
		fresh, err := w.next(ctx, tick, opt.Poll)
		if err != nil {
			return err
		}
		if fresh {
			res, err := c.Deployments.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
			switch {
			case err == nil:
				last, seen = res.Msg.Deployment, time.Now()
			case ctx.Err() != nil:
				return ctx.Err()
			case deploy.CodeOf(err) != deploy.CodeUnavailable || time.Since(seen) > patience:
				return err
			}
		}
		if !each(last) {
			return nil
		}
	}
}

// Wait follows a deployment to its end and returns it as it was then.
func (c *Client) Wait(ctx context.Context, id string) (*penstockv1.Deployment, error) {
	var last *penstockv1.Deployment
	err := c.Follow(ctx, id, FollowOptions{}, func(d *penstockv1.Deployment) bool {
		last = d
		return !Terminal(d)
	})
	return last, err
}

// watch is a stream of changes that is opened again from its cursor whenever
// it breaks. It only rings: whoever listens reads the truth.
type watch struct {
	c      *Client
	id     string
	cursor string
	ping   chan struct{}
	live   atomic.Bool
	cancel context.CancelCauseFunc
	done   sync.WaitGroup
}

var errFollowed = errors.New("following ended")

func (c *Client) watch(ctx context.Context, cursor, id string) *watch {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{c: c, id: id, cursor: cursor, ping: make(chan struct{}, 1), cancel: cancel}
	w.done.Go(func() { w.run(ctx) })
	return w
}

func (w *watch) stop() {
	w.cancel(errFollowed)
	w.done.Wait()
}

// next waits for a reason to look again: false means that only the clock ticked.
func (w *watch) next(ctx context.Context, tick <-chan time.Time, poll time.Duration) (bool, error) {
	if poll <= 0 {
		poll = defaultPoll
	}
	if w.live.Load() {
		poll = safetyPoll
	}
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-w.ping:
		return true, nil
	case <-t.C:
		return true, nil
	case <-tick:
		return false, nil
	}
}

func (w *watch) ring() {
	select {
	case w.ping <- struct{}{}:
	default:
	}
}

func (w *watch) run(ctx context.Context) {
	pause := streamPause
	for ctx.Err() == nil {
		heard, err := w.stream(ctx)
		if w.live.Swap(false) {
			w.ring() // what happened since is only found by looking
		}
		switch deploy.CodeOf(err) {
		case deploy.CodeUnsupported, deploy.CodeDenied, deploy.CodeUnauthorized, deploy.CodeNotFound:
			return // looking at intervals is all there is
		case deploy.CodeInvalid:
			w.cursor = "" // the server cannot read it any more: begin from now
			w.ring()
		}
		if heard {
			pause = streamPause
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
		pause = min(2*pause, streamPauseLimit)
	}
}

// stream reads one stream to its end and says whether anything came.
func (w *watch) stream(ctx context.Context) (heard bool, err error) {
	s, err := w.c.Watches.Watch(ctx, connect.NewRequest(&penstockv1.WatchRequest{Cursor: w.cursor, DeploymentId: w.id}))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for s.Receive() {
		m := s.Msg()
		if m.Cursor != "" {
			w.cursor = m.Cursor
		}
		heard = true
		w.live.Store(true)
		if m.GetReset_() || w.matters(m.Changes) {
			w.ring()
		}
	}
	return heard, s.Err()
}

// matters leaves out log chunks: the deployment reads the same behind them.
func (w *watch) matters(changes []*penstockv1.Change) bool {
	for _, c := range changes {
		if c.Type != "LOG" {
			return true
		}
	}
	return false
}
