// Package router is the data plane of the local cloud's load balancers: a set
// of nodes that each hold their own copy of a listener's rules, choose a target
// group by weight for every request and proxy the request to one of its
// targets.
//
// What is modelled after Application Load Balancers:
//
//   - a change of rules or weights is visible in the API at once, but every
//     node takes it over only after its own delay; a change of targets
//     (registered, healthy, deregistered) counts at once, because a load
//     balancer stops sending new requests to a deregistering target at once;
//   - the choice between the groups of a forward action is random by weight
//     (weights are relative, 0 to 999), the choice within a group is round
//     robin;
//   - a group that was chosen but has no target answers 503; there is no
//     fail-over to another group;
//   - requests are not retried on another target. A load balancer that cannot
//     reach a target answers 502 or 504, and hiding that here would let a
//     client pass that takes targets away in the wrong order. The order that
//     cannot fail is: deregister, drain, then stop the task.
//
// Source of the rules: the Application Load Balancer guide, chapters
// "Listeners", "Target groups" and "Troubleshoot" (HTTP 502, 503, 504).
package router

import (
	"net/netip"
	"regexp"
)

// Table is what the data plane needs to know. It must be safe for concurrent
// use and cheap: it is asked once per request.
type Table interface {
	// Routes is an immutable snapshot of one listener: ordered rules with
	// conditions and actions, and the targets of every group. Version changes
	// whenever anything in it does.
	Routes(listenerARN string) Snapshot
}

// Snapshot is one listener at one moment. Nobody may change it after it was
// handed out.
type Snapshot struct {
	ListenerARN string
	Exists      bool   // false: no such listener (any more)
	Port        int    // the port the API shows, not the real socket's
	Protocol    string // "HTTP" or "HTTPS"
	HideServer  bool   // leave the header Server out of the load balancer's own answers
	// Version changes with anything below, RulesVersion only with Rules. Both
	// only grow.
	Version      uint64
	RulesVersion uint64
	// Rules are in order of evaluation; the default rule is the last one.
	Rules []Rule
	// Groups holds every target group by ARN, not only those that Rules name:
	// a node that lags behind may still use a group that was just taken out.
	Groups map[string]Group
}

// Rule is one listener rule.
type Rule struct {
	ARN        string
	Default    bool
	Conditions []Condition // all must match; none matches everything
	Action     Action
}

// Action is what is done with a request: exactly one member is set.
type Action struct {
	Forward  *Forward
	Redirect *Redirect
	Fixed    *FixedResponse
}

// Forward sends the request to one of one to five groups.
type Forward struct {
	Groups []WeightedGroup
	// StickySeconds is the lifetime of the group cookie (AWSALBTG), 0 for none.
	StickySeconds int
}

// WeightedGroup is one group of a forward action; Weight is 0 to 999.
type WeightedGroup struct {
	ARN    string
	Weight int
}

// Redirect answers with another location. Empty members mean "as requested";
// the placeholders #{protocol}, #{host}, #{port}, #{path} and #{query} are
// replaced.
type Redirect struct {
	Protocol, Host, Port, Path, Query string
	Status                            int // 301 or 302
}

// FixedResponse answers without any target.
type FixedResponse struct {
	Status            int
	ContentType, Body string
}

// Condition is one condition of a rule. Values are alternatives.
type Condition struct {
	// Field is host-header, path-pattern, http-header, query-string,
	// http-request-method or source-ip.
	Field    string
	Header   string // name, for http-header
	Values   []string
	Query    []KeyValue // for query-string
	Regex    []*regexp.Regexp
	Prefixes []netip.Prefix // for source-ip
}

// KeyValue is one alternative of a query-string condition; an empty Key
// compares the value of any parameter.
type KeyValue struct{ Key, Value string }

// Group is a target group as the data plane sees it.
type Group struct {
	ARN string
	// FailOpen tells that too few targets are healthy, so that requests go to
	// all targets whatever their health.
	FailOpen bool
	// StickySeconds is the lifetime of the target cookie (AWSALB), 0 for none.
	StickySeconds int
	Targets       []Target
}

// Target is one registered target that takes new requests. Draining targets
// are left out of snapshots.
type Target struct {
	ID      string
	Addr    string // host:port
	Healthy bool
}
