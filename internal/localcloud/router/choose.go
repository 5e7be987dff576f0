package router

import (
	"context"
	"net/http"
	"sync/atomic"
)

// decision is what a node does with one request.
type decision struct {
	listener string
	node     int
	group    string // ARN, "" when no group was involved
	target   Target
	status   int // answer without a target: 503, a redirect or a fixed response
	redirect *Redirect
	fixed    *FixedResponse
	cookies  []*http.Cookie // to set on a forwarded answer
}

// choose decides for one request: a random node, the first matching rule, a
// group by weight, a target of the group by turns.
func (r *Router) choose(ln *listener, req Request) decision {
	i := r.intN(len(ln.nodes))
	d := decision{listener: ln.arn, node: i}
	rule, ok := match(ln.nodes[i].view.Load().rules, req)
	if !ok {
		d.status = http.StatusServiceUnavailable
		return d
	}
	switch action := rule.Action; {
	case action.Redirect != nil:
		d.redirect, d.status = action.Redirect, action.Redirect.Status
	case action.Fixed != nil:
		d.fixed, d.status = action.Fixed, action.Fixed.Status
	case action.Forward != nil:
		r.forward(&d, *action.Forward, req)
	default:
		d.status = http.StatusServiceUnavailable
	}
	return d
}

// forward picks group and target. 503 is the documented answer when the chosen
// group has no registered target (guide, "HTTP 503: Service unavailable").
func (r *Router) forward(d *decision, f Forward, req Request) {
	d.group = r.stickyGroup(f, req)
	if d.group == "" {
		d.group = r.weighted(f.Groups)
	}
	if d.group == "" { // every weight is 0
		d.status = http.StatusServiceUnavailable
		return
	}
	group := r.table.Routes(d.listener).Groups[d.group]
	target, ok := r.pick(group, req)
	if !ok {
		d.status = http.StatusServiceUnavailable
		return
	}
	d.target = target
	d.cookies = r.stickyCookies(f, group, target)
}

// weighted draws a group: its chance is its weight over the sum of all.
func (r *Router) weighted(groups []WeightedGroup) string {
	total := 0
	for _, g := range groups {
		total += g.Weight
	}
	if total == 0 {
		return ""
	}
	n := 0
	if !single(groups) {
		n = r.intN(total)
	}
	for _, g := range groups {
		if n < g.Weight {
			return g.ARN
		}
		n -= g.Weight
	}
	return ""
}

// single tells whether at most one group can be drawn, so that no random
// number is needed; n = 0 then finds it because groups of weight 0 are passed.
func single(groups []WeightedGroup) bool {
	n := 0
	for _, g := range groups {
		if g.Weight > 0 {
			n++
		}
	}
	return n <= 1
}

// pick takes the target the cookie names if it is usable, else the next one in
// turn among the healthy targets, or among all when the group fails open.
func (r *Router) pick(group Group, req Request) (Target, bool) {
	usable := make([]Target, 0, len(group.Targets))
	for _, t := range group.Targets {
		if t.Healthy || group.FailOpen {
			usable = append(usable, t)
		}
	}
	if len(usable) == 0 {
		return Target{}, false
	}
	if id := r.stickyTarget(group, req); id != "" {
		for _, t := range usable {
			if t.ID == id {
				return t, true
			}
		}
	}
	turn, ok := r.turns.Load(group.ARN)
	if !ok {
		turn, _ = r.turns.LoadOrStore(group.ARN, new(atomic.Uint64))
	}
	n := turn.(*atomic.Uint64).Add(1) - 1
	return usable[n%uint64(len(usable))], true
}

// Result is what became of a request given to Route.
type Result struct {
	Node           int    // the node that decided, from 0
	TargetGroupARN string // "" when no group was involved
	TargetID       string // "" when no target was reached for
	Addr           string // the target's host:port
	Status         int    // what the client would see; 0 when nothing listens
	Cookies        []*http.Cookie
}

// Route sends one request without sockets: the same choice as over HTTP, and
// Options.Deliver in place of the connection. A target that cannot be reached
// is answered with 502, as over HTTP.
func (r *Router) Route(listenerARN string, req Request) Result {
	ln := (*r.listeners.Load())[listenerARN]
	if ln == nil {
		return Result{}
	}
	d := r.choose(ln, req)
	res := Result{
		Node: d.node, TargetGroupARN: d.group, TargetID: d.target.ID,
		Addr: d.target.Addr, Status: d.status, Cookies: d.cookies,
	}
	if d.status == 0 {
		res.Status = http.StatusOK
		if r.opts.Deliver != nil {
			status, err := r.opts.Deliver.Deliver(context.Background(), d.target.Addr, req)
			if err != nil {
				status = http.StatusBadGateway
			}
			res.Status = status
		}
	}
	r.stats.add(d, res.Status)
	return res
}

// traceID makes the value of a new X-Amzn-Trace-Id root from the router's own
// random source.
func (r *Router) traceID(unix int64) string {
	r.randMu.Lock()
	hi, lo := r.rand.Uint64(), r.rand.Uint32()
	r.randMu.Unlock()
	return formatTrace(unix, hi, lo)
}
