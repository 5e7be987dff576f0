package localcloud

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// gate stands between the wire and the services: it counts, delays, throttles and injects faults.
type gate struct {
	clock   clock.Clock
	profile Profile
	changed func() // after a write that succeeded

	mu      sync.Mutex
	rnd     *rand.Rand
	buckets map[string]*tokens
	faults  []*Fault
	nextID  int
	counts  map[string]*Count
	writes  []Write
	late    map[clock.Timer]struct{} // calls that will be applied after their client has gone
	applied sync.WaitGroup
	closing chan struct{} // closed by close
	closed  bool
}

// Count says how often an operation was called ("ecs.CreateTaskSet").
type Count struct {
	Calls  int `json:"calls"`
	Errors int `json:"errors"`
}

// Write is one call of an operation that may change something.
type Write struct {
	At        time.Time `json:"at"`
	Service   string    `json:"service"`
	Operation string    `json:"operation"`
	RequestID string    `json:"requestId"`
	// Error is the answer's code; empty when the call succeeded.
	Error string `json:"error,omitempty"`
	// Note is "lost" when the call was applied but its answer was dropped, "late" when it was applied after its client had gone.
	Note string `json:"note,omitempty"`
}

// maxWrites is how many writes are remembered; older ones are forgotten.
const maxWrites = 10_000

func newGate(c clock.Clock, p Profile, seed uint64) *gate {
	return &gate{
		clock: c, profile: p, changed: func() {}, rnd: rand.New(rand.NewPCG(seed, 0xfa17)), buckets: map[string]*tokens{}, counts: map[string]*Count{},
		late: map[clock.Timer]struct{}{}, closing: make(chan struct{}),
	}
}

// isRead tells reads from writes by AWS's naming of operations.
func isRead(operation string) bool {
	for _, prefix := range []string{"Describe", "List", "Get"} {
		if strings.HasPrefix(operation, prefix) {
			return true
		}
	}
	return strings.HasPrefix(operation, "AssumeRole") || operation == invoke
}

// invoke is the one operation that is no control plane: it changes nothing and meets no call limit.
const invoke = "Invoke"

// intercept implements awswire.Interceptor.
func (g *gate) intercept(ctx context.Context, call awswire.Call, next func(context.Context) (any, error)) (any, error) {
	fault := g.match(call)
	if err := g.wait(ctx, g.profile.Latency+fault.Latency.D()); err != nil {
		g.record(call, err, "")
		return nil, awswire.ErrDrop
	}
	if err := g.throttle(call); err != nil {
		g.record(call, err, "")
		return nil, err
	}
	if fault.Code != "" {
		err := &awserr.Error{Code: fault.Code, Message: fault.Message, Status: fault.Status}
		g.record(call, err, "")
		return nil, err
	}
	if fault.AppliedLate > 0 {
		return nil, g.applyLate(ctx, call, fault.AppliedLate.D(), next)
	}
	out, err := next(ctx)
	if fault.LostResponse && err == nil {
		g.record(call, nil, "lost")
		return nil, awswire.ErrDrop
	}
	g.record(call, err, "")
	return out, err
}

// wait lets d pass, or less when the caller gives up.
func (g *gate) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	passed := make(chan struct{})
	timer := g.clock.AfterFunc(d, func() { close(passed) })
	defer timer.Stop()
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// applyLate carries the call out after d. The client gets no answer: it waits for d or until its own deadline, whichever is first, and loses the connection.
func (g *gate) applyLate(ctx context.Context, call awswire.Call, d time.Duration, next func(context.Context) (any, error)) error {
	done := make(chan struct{})
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return awswire.ErrDrop
	}
	g.applied.Add(1)
	var timer clock.Timer
	timer = g.clock.AfterFunc(d, func() {
		defer g.applied.Done()
		defer close(done)
		g.mu.Lock()
		delete(g.late, timer)
		g.mu.Unlock()
		_, err := next(context.WithoutCancel(ctx))
		g.record(call, err, "late")
	})
	g.late[timer] = struct{}{}
	g.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	case <-g.closing:
	}
	return awswire.ErrDrop
}

// close gives up the calls that were still to be applied.
func (g *gate) close() {
	g.mu.Lock()
	if !g.closed {
		close(g.closing)
	}
	g.closed = true
	for timer := range g.late {
		if timer.Stop() {
			g.applied.Done()
		}
	}
	clear(g.late)
	g.mu.Unlock()
	g.applied.Wait()
}

func (g *gate) record(call awswire.Call, err error, note string) {
	code := ""
	if err != nil {
		code = "InternalFailure"
		if e, ok := awserr.As(err); ok {
			code = e.Code
		} else if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			code = "client gone"
		}
	}
	g.mu.Lock()
	name := call.Service + "." + call.Operation
	if g.counts[name] == nil {
		g.counts[name] = &Count{}
	}
	g.counts[name].Calls++
	if err != nil {
		g.counts[name].Errors++
	}
	if !isRead(call.Operation) {
		g.writes = append(g.writes, Write{
			At: g.clock.Now().UTC(), Service: call.Service, Operation: call.Operation, RequestID: call.RequestID, Error: code, Note: note,
		})
		if len(g.writes) > maxWrites {
			g.writes = g.writes[len(g.writes)-maxWrites:]
		}
	}
	g.mu.Unlock()
	if err == nil && !isRead(call.Operation) {
		g.changed()
	}
}

// tokens is the level of a bucket at an instant.
type tokens struct {
	level float64
	at    time.Time
}

// throttle takes a token of the call's group.
func (g *gate) throttle(call awswire.Call) error {
	group := call.Service + ":write"
	if isRead(call.Operation) {
		group = call.Service + ":read"
	}
	limit, limited := g.profile.Throttle[group]
	if !limited || call.Operation == invoke {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now, t := g.clock.Now(), g.buckets[group]
	if t == nil {
		t = &tokens{level: float64(limit.Burst), at: now}
		g.buckets[group] = t
	}
	t.level = min(float64(limit.Burst), t.level+now.Sub(t.at).Seconds()*limit.Rate)
	t.at = now
	if t.level < 1 {
		return throttled(call.Protocol)
	}
	t.level--
	return nil
}

// throttled is AWS's answer beyond the limit: ThrottlingException for JSON services, Throttling for Query services, both with status 400, and
// TooManyRequestsException with status 429 for Lambda.
func throttled(p awswire.Protocol) *awserr.Error {
	switch p {
	case awswire.QueryXML:
		return awserr.New("Throttling", "Rate exceeded")
	case awswire.RESTJSON:
		return &awserr.Error{Code: "TooManyRequestsException", Message: "Rate exceeded", Status: 429}
	case awswire.JSON11:
	}
	return awserr.New("ThrottlingException", "Rate exceeded")
}
