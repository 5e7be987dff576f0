// Package elb is the control plane of the local cloud's load balancers: ELBv2
// load balancers of type application, target groups, listeners, rules and
// attributes, and the health of targets found by real checks.
//
// It owns the registration of targets, gives the task scheduler the few calls
// it needs (package ecs, interface Balancer) and the data plane an immutable
// snapshot per listener (package router, interface Table).
//
// Sources of the rules are named where they are applied: "API" is the ELBv2
// API reference (version 2015-12-01), which the SDK's doc comments repeat;
// "guide" is the Application Load Balancer user guide.
//
// Left out, and refused rather than ignored: load balancers of other types,
// target types lambda and alb, authentication actions, rule transforms, slow
// start and routing algorithms other than round robin.
package elb

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// Prober asks a target for its health once. Real: a plain HTTP client;
// in memory: the task runtime's table. It must return when ctx ends.
type Prober interface {
	Probe(ctx context.Context, url string) (status int, err error)
}

// Options say where the load balancers live and how they tell time.
type Options struct {
	// Region and Account appear in ARNs. They default to us-east-1 and
	// 000000000000.
	Region, Account string
	// Seed makes identifiers repeatable.
	Seed uint64
	// Clock defaults to clock.Real().
	Clock clock.Clock
	// Prober defaults to NewHTTPProber().
	Prober Prober
	// RegistrationDelay is the time between the registration of a target and
	// its first health check, in which it is initial with the reason
	// Elb.RegistrationInProgress. AWS names no figure; the default is 500 ms.
	RegistrationDelay time.Duration
	// Logger defaults to one that drops everything.
	Logger *slog.Logger
}

// ELB holds all load balancers of one account and region. Its methods with the
// names of API operations carry them out; they are safe for concurrent use.
type ELB struct {
	opts    Options
	log     *slog.Logger
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	probing sync.WaitGroup

	routes atomic.Pointer[map[string]router.Snapshot]

	mu       sync.Mutex
	closed   bool
	rand     *rand.Rand
	state    state
	version  uint64
	rules    map[string]uint64 // listener ARN → version of its rules
	dirty    map[string]bool   // listeners whose rules changed since the last publish
	watchers []func(listenerARN string)
}

// state is everything that outlives a restart, in order of creation.
type state struct {
	LoadBalancers []*loadBalancer
	TargetGroups  []*targetGroup
	Listeners     []*listener
}

// New makes an empty set of load balancers.
func New(opts Options) *ELB {
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	if opts.Account == "" {
		opts.Account = "000000000000"
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real()
	}
	if opts.Prober == nil {
		opts.Prober = NewHTTPProber()
	}
	if opts.RegistrationDelay == 0 {
		opts.RegistrationDelay = 500 * time.Millisecond
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &ELB{
		opts: opts, log: opts.Logger, ctx: ctx, cancel: cancel,
		rand:  rand.New(rand.NewPCG(opts.Seed, 0x656c627632)),
		rules: map[string]uint64{},
		dirty: map[string]bool{},
	}
	e.routes.Store(&map[string]router.Snapshot{})
	return e
}

// Watch has f called after the rules of a listener changed or the listener was
// made or removed; the new state is visible to Routes by then and no lock is
// held. Call it before the first operation.
func (e *ELB) Watch(f func(listenerARN string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watchers = append(e.watchers, f)
}

// Close ends all health checks and timers and waits for checks under way.
func (e *ELB) Close() {
	e.mu.Lock()
	e.closed = true
	for _, g := range e.state.TargetGroups {
		for _, t := range g.targets {
			t.stopTimer()
		}
	}
	e.mu.Unlock()
	e.cancel()
	e.probing.Wait()
}

// change runs f with the state locked. If f succeeds the routing snapshots are
// made anew and watchers are told; if it fails nothing must have been changed.
func (e *ELB) change(f func() error) error {
	e.mu.Lock()
	err := f()
	var changed []string
	if err == nil {
		changed = e.publish()
	}
	watchers := e.watchers
	e.mu.Unlock()
	for _, arn := range changed {
		for _, w := range watchers {
			w(arn)
		}
	}
	return err
}

// read runs f with the state locked.
func (e *ELB) read(f func() error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return f()
}

// touch notes that the rules of a listener changed.
func (e *ELB) touch(listenerARN string) { e.dirty[listenerARN] = true }

const hexDigits = "0123456789abcdef"

// newID draws the 16 hexadecimal digits that end most ELBv2 ARNs. The same seed
// gives the same row of ids, so after Load those in use are passed over.
func (e *ELB) newID() string {
	for {
		b := make([]byte, 16)
		for i := range b {
			b[i] = hexDigits[e.rand.IntN(16)]
		}
		if id := string(b); !e.taken(id) {
			return id
		}
	}
}

func (e *ELB) taken(id string) bool {
	ends := func(arn string) bool { return strings.HasSuffix(arn, "/"+id) }
	return slices.ContainsFunc(e.state.LoadBalancers, func(l *loadBalancer) bool { return ends(l.arn()) }) ||
		slices.ContainsFunc(e.state.TargetGroups, func(g *targetGroup) bool { return ends(g.arn()) }) ||
		slices.ContainsFunc(e.state.Listeners, func(l *listener) bool {
			return ends(l.arn()) || slices.ContainsFunc(l.Rules, func(r *rule) bool { return ends(r.arn()) })
		})
}

func (e *ELB) arn(resource string) string {
	return "arn:aws:elasticloadbalancing:" + e.opts.Region + ":" + e.opts.Account + ":" + resource
}
