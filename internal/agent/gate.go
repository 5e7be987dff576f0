package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
)

// Causes of interrupted work.
var (
	errCallDeadline = errors.New("the call took longer than a third of the lease")
	errSessionOver  = errors.New("the session with the control plane is over")
	errDueChanged   = errors.New("something else is due")
	errNotOurs      = errors.New("the deployment was given to somebody else, or has ended")
	errStaleStream  = errors.New("the control plane answers again: the old stream may be dead")
	errDrained      = errors.New("the process stops")
)

// gate lets calls that write begin while the lease covers them. All instants
// are of this machine's monotonic clock.
type gate struct {
	mu      sync.Mutex
	session client.Session
	asked   time.Time // when the newest successful Hello or Renew was sent
	until   time.Time // the lease cannot run out before
	met     time.Time // when the control plane's clock showed session.ServerTime
	gen     int       // grows when the lease begins or was interrupted
	fetched int       // gen under which work was fetched
	again   int       // how often the control plane answered again
	running map[*call]struct{}
	changed chan struct{} // closed and replaced with every change
}

// call is one write at work.
type call struct{ cancel context.CancelCauseFunc }

func newGate() *gate {
	return &gate{running: map[*call]struct{}{}, changed: make(chan struct{})}
}

func (g *gate) notify() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// begin takes a new session whose Hello was sent at an instant and has just been answered.
func (g *gate) begin(s client.Session, sent time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.met = sent.Add(time.Since(sent) / 2)
	g.session, g.asked, g.until = s, sent, sent.Add(s.Lease)
	g.gen++
	g.notify()
}

// now is the time that instants are written down with, for other processes to
// compare with theirs: the clock of the control plane, as this machine's
// monotonic clock has carried it on since the session began. The wall clock of
// this machine may be wrong, and may be set while a step waits.
func (g *gate) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session.ServerTime.IsZero() {
		return time.Now()
	}
	return g.session.ServerTime.Add(time.Since(g.met))
}

// renewed extends the lease by what is left of it, from the instant at which it
// was asked for. It reports whether the lease had run out before by our clock:
// then others may have acted, and work must be fetched before anything is written.
func (g *gate) renewed(sent time.Time, lease, left time.Duration) (interrupted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if interrupted = time.Now().After(g.until); interrupted {
		g.gen++
	}
	g.session.Lease, g.asked, g.until = lease, sent, sent.Add(left)
	g.notify()
	return interrupted
}

// answered notes that the control plane answers again after it did not.
func (g *gate) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.again++
	g.notify()
}

// answers counts how often the control plane answered again: a call from before
// may hang.
func (g *gate) answers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.again
}

// generation is given back to opened after work was fetched.
func (g *gate) generation() (session client.Session, gen int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.session, g.gen
}

// opened says that work was fetched under a generation.
func (g *gate) opened(gen int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fetched = gen; gen == g.gen {
		g.notify()
	}
}

// sessionID is the id of the newest session, "" before the first.
func (g *gate) sessionID() string {
	s, _ := g.generation()
	return s.ID
}

// wait returns a channel that is closed with the next change.
func (g *gate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

// covers reports whether a write may begin now.
func (g *gate) covers() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open()
}

// open is covers under the lock.
func (g *gate) open() bool {
	return g.session.ID != "" && g.fetched == g.gen && time.Until(g.until) >= g.session.Lease/3
}

// enter begins a write if the lease covers the longest that it may take: the
// context that it returns ends before the lease. leave must be called when the
// write has returned.
func (g *gate) enter(ctx context.Context) (_ context.Context, leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open() {
		return ctx, nil, false
	}
	ctx, cancelCause := context.WithCancelCause(ctx)
	ctx, cancel := context.WithTimeoutCause(ctx, g.session.Lease/3, errCallDeadline)
	c := &call{cancelCause}
	g.running[c] = struct{}{}
	return ctx, func() {
		cancel()
		cancelCause(nil)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.running, c)
		g.notify()
	}, true
}

// shut lets nothing begin any more, interrupts what is at work and waits for
// its return, which every call owes within its deadline.
func (g *gate) shut(cause error) {
	g.mu.Lock()
	g.gen++
	for c := range g.running {
		c.cancel(cause)
	}
	g.mu.Unlock()
	for {
		g.mu.Lock()
		n, changed := len(g.running), g.changed
		g.mu.Unlock()
		if n == 0 {
			return
		}
		<-changed
	}
}

// leaseAge is how old the lease is in seconds, for the metric; 0 without a session.
func (g *gate) leaseAge() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.session.ID == "" {
		return 0
	}
	return time.Since(g.asked).Seconds()
}
