package router

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Deliverer answers a routed request where there are no sockets. An error
// stands for a connection that could not be made or was reset.
type Deliverer interface {
	Deliver(ctx context.Context, addr string, r Request) (status int, err error)
}

// Options say how the data plane behaves. The zero value is one node that
// takes changes over at once and opens no sockets.
type Options struct {
	// Nodes is the number of router nodes; below 1 means 1.
	Nodes int
	// LagMin and LagMax bound the delay with which a node takes a change of
	// rules over, drawn per node and change.
	LagMin, LagMax time.Duration
	// Seed makes every random draw repeatable.
	Seed uint64
	// Clock defaults to clock.Real().
	Clock clock.Clock
	// Logger defaults to one that drops everything.
	Logger *slog.Logger
	// Listen names the address to listen on for a listener that came into
	// being, "" for none. The address must be a loopback one. Nil opens nothing.
	Listen func(s Snapshot) string
	// Deliver answers requests given to Route. Nil answers 200 for every target.
	Deliver Deliverer
}

// Router is the data plane of all listeners.
type Router struct {
	table Table
	opts  Options
	log   *slog.Logger
	stats stats
	key   uint64 // signs cookies
	proxy http.Handler
	idle  func() // closes idle connections to targets

	randMu sync.Mutex
	rand   *rand.Rand

	listeners atomic.Pointer[map[string]*listener] // copied on write
	turns     sync.Map                             // group ARN → *atomic.Uint64

	mu      sync.Mutex // guards what follows and every write of listeners
	timers  map[clock.Timer]struct{}
	closed  bool
	servers sync.WaitGroup
}

// listener is one listener as the nodes see it.
type listener struct {
	arn     string
	nodes   []*node
	port    *port  // the real socket, nil without
	planned uint64 // newest rules version handed to the nodes
}

// node is one router node's own copy of the rules.
type node struct{ view atomic.Pointer[view] }

type view struct {
	version uint64
	rules   []Rule
}

// New makes a router over table. It knows nothing until Changed tells it about
// a listener.
func New(table Table, opts Options) *Router {
	if opts.Nodes < 1 {
		opts.Nodes = 1
	}
	if opts.Clock == nil {
		opts.Clock = clock.Real()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Router{
		table:  table,
		opts:   opts,
		log:    opts.Logger,
		rand:   rand.New(rand.NewPCG(opts.Seed, 0x726f75746572)),
		timers: map[clock.Timer]struct{}{},
	}
	r.key = r.rand.Uint64()
	r.listeners.Store(&map[string]*listener{})
	r.proxy, r.idle = newProxy(r)
	return r
}

// Changed tells that the listener was made, changed or removed. The owner of
// the table calls it after the new state is visible and without holding a lock
// that Routes needs. A new listener works at once; a change of its rules
// reaches each node after that node's own delay, and never undoes a newer one;
// a removed listener is closed at once.
func (r *Router) Changed(listenerARN string) {
	snap := r.table.Routes(listenerARN)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	ln := (*r.listeners.Load())[listenerARN]
	switch {
	case !snap.Exists:
		r.removeLocked(listenerARN)
	case ln == nil:
		r.addLocked(snap)
	case snap.RulesVersion > ln.planned:
		ln.planned = snap.RulesVersion
		for _, n := range ln.nodes {
			r.applyLaterLocked(n, &view{snap.RulesVersion, snap.Rules}, r.lag())
		}
	}
}

func (r *Router) addLocked(snap Snapshot) {
	ln := &listener{arn: snap.ListenerARN, planned: snap.RulesVersion}
	for range r.opts.Nodes {
		n := &node{}
		n.view.Store(&view{snap.RulesVersion, snap.Rules})
		ln.nodes = append(ln.nodes, n)
	}
	if r.opts.Listen != nil {
		if addr := r.opts.Listen(snap); addr != "" {
			p, err := r.open(ln.arn, addr)
			if err != nil {
				r.log.Error("listener has no socket", "listener", ln.arn, "address", addr, "error", err)
			}
			ln.port = p
		}
	}
	r.replaceLocked(func(m map[string]*listener) { m[ln.arn] = ln })
}

func (r *Router) removeLocked(arn string) {
	ln := (*r.listeners.Load())[arn]
	if ln == nil {
		return
	}
	r.replaceLocked(func(m map[string]*listener) { delete(m, arn) })
	if ln.port != nil {
		ln.port.close()
	}
}

func (r *Router) replaceLocked(edit func(map[string]*listener)) {
	next := map[string]*listener{}
	for arn, ln := range *r.listeners.Load() {
		next[arn] = ln
	}
	edit(next)
	r.listeners.Store(&next)
}

func (r *Router) applyLaterLocked(n *node, v *view, after time.Duration) {
	if after <= 0 {
		n.apply(v)
		return
	}
	var timer clock.Timer
	timer = r.opts.Clock.AfterFunc(after, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.timers, timer)
		if !r.closed {
			n.apply(v)
		}
	})
	r.timers[timer] = struct{}{}
}

// apply takes v over unless the node already has something newer: two changes
// in flight may arrive in the other order.
func (n *node) apply(v *view) {
	if cur := n.view.Load(); cur == nil || v.version > cur.version {
		n.view.Store(v)
	}
}

// lag draws one delay.
func (r *Router) lag() time.Duration {
	spread := r.opts.LagMax - r.opts.LagMin
	if spread <= 0 {
		return r.opts.LagMin
	}
	r.randMu.Lock()
	defer r.randMu.Unlock()
	return r.opts.LagMin + time.Duration(r.rand.Int64N(int64(spread)+1))
}

func (r *Router) intN(n int) int {
	if n <= 1 {
		return 0
	}
	r.randMu.Lock()
	defer r.randMu.Unlock()
	return r.rand.IntN(n)
}

// NodeWeights is what one node does at this moment with requests that match
// one forwarding rule.
type NodeWeights struct {
	Node    int // from 0
	RuleARN string
	Default bool
	Groups  []WeightedGroup
}

// Effective lists for every node and forwarding rule of the listener the
// weights that the node applies now, which may be older than what the API
// shows. The rules come in order of evaluation, the default rule last.
func (r *Router) Effective(listenerARN string) []NodeWeights {
	ln := (*r.listeners.Load())[listenerARN]
	if ln == nil {
		return nil
	}
	var out []NodeWeights
	for i, n := range ln.nodes {
		for _, rule := range n.view.Load().rules {
			if rule.Action.Forward == nil {
				continue
			}
			out = append(out, NodeWeights{
				Node: i, RuleARN: rule.ARN, Default: rule.Default,
				Groups: slices.Clone(rule.Action.Forward.Groups),
			})
		}
	}
	return out
}

// Addr returns the real address (host:port) of a listener's socket, "" if it
// has none.
func (r *Router) Addr(listenerARN string) string {
	ln := (*r.listeners.Load())[listenerARN]
	if ln == nil || ln.port == nil {
		return ""
	}
	return ln.port.addr
}

// Close stops all timers, closes all sockets and connections and waits for
// them.
func (r *Router) Close() {
	r.mu.Lock()
	r.closed = true
	for t := range r.timers {
		t.Stop()
	}
	clear(r.timers)
	for arn := range *r.listeners.Load() {
		r.removeLocked(arn)
	}
	r.mu.Unlock()
	r.servers.Wait()
	r.idle()
}
