package agent

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxBackoff is the longest wait between two tries.
const maxBackoff = 15 * time.Second

// random is a source for one goroutine. What it draws follows from the process and
// the use alone, so that processes are spread and one that is simulated with the
// same id does the same again.
func random(process, use string) *rand.Rand {
	sum := func(text string) uint64 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(text)) // never fails
		return h.Sum64()
	}
	return rand.New(rand.NewPCG(sum(process), sum(use)))
}

// retries gives growing waits with full jitter, so that many agents that lost
// the same server do not come back at the same moment.
type retries struct {
	b *backoff.ExponentialBackOff
	r *rand.Rand
}

func newRetries(r *rand.Rand, first, most time.Duration) *retries {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = first, most, 2, 0
	b.Reset()
	return &retries{b, r}
}

// retries gives waits that are this process's own.
func (a *Agent) retries(use string, first, most time.Duration) *retries {
	return newRetries(random(a.opt.ProcessID, use), first, most)
}

// next is the next wait, at least floor.
func (r *retries) next(floor time.Duration) time.Duration {
	full := r.b.NextBackOff()
	return max(floor, full/10+time.Duration(r.r.Int64N(int64(full))))
}

func (r *retries) reset() { r.b.Reset() }

// jitter spreads a period by a tenth to both sides.
func jitter(r *rand.Rand, d time.Duration) time.Duration {
	return d - d/10 + time.Duration(r.Int64N(max(1, int64(d/5))))
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
