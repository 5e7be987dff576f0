package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// LogRequest names a stage log.
type LogRequest struct {
	Deployment, Stage string
	// Attempt counts from 1; 0 means the newest.
	Attempt int32
	// Offset in bytes to begin at.
	Offset int64
	// Follow goes on until the stage ends.
	Follow bool
}

// StageLog hands on the bytes of a stage's log: JSON lines, cut anywhere. When
// following it goes on from its offset behind a cut connection.
func (c *Client) StageLog(ctx context.Context, r LogRequest, each func([]byte) error) error {
	pause, seen := streamPause, time.Now()
	for {
		before := r.Offset
		over, err := c.readLog(ctx, &r, each)
		switch {
		case over:
			return err
		case err == nil && !r.Follow:
			return nil
		case err != nil && deploy.CodeOf(err) != deploy.CodeUnavailable, err != nil && !r.Follow, ctx.Err() != nil:
			return err
		}
		if err == nil || r.Offset > before {
			pause, seen = streamPause, time.Now()
		}
		if time.Since(seen) > patience {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-t.C:
		}
		pause = min(2*pause, streamPauseLimit)
	}
}

// readLog reads one stream and moves the request on. It is over when the log
// is complete or the reader wants no more.
func (c *Client) readLog(ctx context.Context, r *LogRequest, each func([]byte) error) (over bool, err error) {
	s, err := c.Deployments.ReadStageLog(ctx, connect.NewRequest(&penstockv1.ReadStageLogRequest{
		DeploymentId: r.Deployment, StageId: r.Stage, Attempt: r.Attempt, Offset: r.Offset, Follow: r.Follow,
	}))
	if err != nil {
		return false, err
	}
	defer s.Close() //nolint:errcheck // the stream was read to its end or is given up
	for s.Receive() {
		m := s.Msg()
		// Offsets belong to an attempt: stay with the one that was begun.
		r.Attempt, r.Offset = m.Attempt, m.NextOffset
		if len(m.Data) > 0 {
			if err := each(m.Data); err != nil {
				return true, err
			}
		}
		if m.Completed {
			return true, nil
		}
	}
	return false, s.Err()
}
