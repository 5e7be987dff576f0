package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxBackoff is the longest wait between two tries.
const maxBackoff = 15 * time.Second

// retries gives growing waits with full jitter, so that many agents that lost
// the same server do not come back at the same moment.
type retries struct{ b *backoff.ExponentialBackOff }

func newRetries(first, most time.Duration) *retries {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = first, most, 2, 0
	b.Reset()
	return &retries{b}
}

// next is the next wait, at least floor.
func (r *retries) next(floor time.Duration) time.Duration {
	full := r.b.NextBackOff()
	return max(floor, full/10+rand.N(full))
}

func (r *retries) reset() { r.b.Reset() }

// jitter spreads a period by a tenth to both sides.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(max(1, d/5))
}

// sleep waits unless the context or one of the two channels ends it; nil channels never do.
func sleep(ctx context.Context, d time.Duration, a, b <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-a:
	case <-b:
	case <-t.C:
	}
}

// kick signals a channel of one place without waiting.
func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
