package fake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// The groups that a route spreads its traffic over.
const (
	Primary = "primary"
	Canary  = "canary"
)

// Set is a number of equal instances in one group.
type Set struct {
	ID       string    `json:"id"`
	Token    string    `json:"token"`   // of the creation; a repeat with it creates nothing
	Creator  string    `json:"creator"` // deployment that created it
	Group    string    `json:"group"`
	Version  string    `json:"version"`
	Replicas int       `json:"replicas"`
	Health   Health    `json:"health"`
	Since    time.Time `json:"since"` // when its replicas were last raised from 0
}

// Health is how instances of a version behave.
type Health struct {
	StartAfter time.Duration `json:"startAfter,omitempty"` // until healthy
	Never      bool          `json:"never,omitempty"`
	SickAfter  time.Duration `json:"sickAfter,omitempty"` // 0: stays healthy
}

// Healthy is how many instances can be given requests at an instant.
func (s Set) Healthy(now time.Time) int {
	age := now.Sub(s.Since)
	if s.Health.Never || age < s.Health.StartAfter || s.Health.SickAfter > 0 && age >= s.Health.SickAfter {
		return 0
	}
	return s.Replicas
}

// Service is one thing that is deployed, with the route in front of it.
type Service struct {
	Name    string         `json:"name"`
	Size    int            `json:"size"` // a field of the service itself
	Main    string         `json:"main"` // id of the set that counts as primary
	Sets    []Set          `json:"sets"`
	Weights map[string]int `json:"weights"` // percent by group; empty: no route
}

// Set finds a set by id.
func (s Service) Set(id string) (Set, bool) {
	i := slices.IndexFunc(s.Sets, func(x Set) bool { return x.ID == id })
	if i < 0 {
		return Set{}, false
	}
	return s.Sets[i], true
}

// HealthyIn counts the instances of a group that can be given requests.
func (s Service) HealthyIn(group string, now time.Time) (n int) {
	for _, x := range s.Sets {
		if x.Group == group {
			n += x.Healthy(now)
		}
	}
	return n
}

// capacity counts the instances of a group that have started. Those that
// turned sick later count: a way back leads to what was live, sick or not.
func (s Service) capacity(group string, now time.Time) (n int) {
	for _, x := range s.Sets {
		if x.Group == group && !x.Health.Never && now.Sub(x.Since) >= x.Health.StartAfter {
			n += x.Replicas
		}
	}
	return n
}

func (s Service) clone() Service {
	s.Sets, s.Weights = slices.Clone(s.Sets), maps.Clone(s.Weights)
	return s
}

// Write is one writing call as it arrives at the cloud.
type Write struct {
	N          int // from 1
	At         time.Time
	By         string // agent process
	Deployment string
	Op         string // create, scale, delete, weights, main, size, service, drop
	Service    string
	Detail     string
}

func (w Write) String() string {
	return fmt.Sprintf("write %d %s %s %s %s by %s", w.N, w.Op, w.Service, w.Detail, short(w.Deployment), w.By)
}

func short(id string) string { return id[max(0, len(id)-6):] }

// Verdict is what an interceptor makes of a write.
type Verdict struct {
	Lose bool          // no effect
	Late time.Duration // the effect comes so much later
	Hang bool          // no answer: the caller waits until its context ends
	Err  error         // what the caller gets, whatever the effect
}

// Cloud is the world that applications are deployed to. Safe for concurrent
// use. Reads show what was written at once; traffic follows a new weight
// after RouteLag.
type Cloud struct {
	// Account names the cloud; two accounts are two clouds.
	Account string
	// Latency is how long each call takes, if Pause is set.
	Latency time.Duration
	// Pause lets time pass for a call, at most until its context ends; Later
	// runs a function after a time. The one who made the cloud owns its time.
	Pause func(ctx context.Context, call string, d time.Duration)
	Later func(time.Duration, func())
	// Answered, if set, is told of each read that was answered.
	Answered func(context.Context)
	// RouteLag is how long after a write of weights traffic still follows the former ones.
	RouteLag time.Duration

	mu        sync.Mutex
	services  map[string]*Service
	routed    map[string]routing
	writes    []Write
	created   int
	repeated  int
	intercept func(Write) Verdict
	after     func(Write)
	outage    error
	broken    []string
}

// routing is what traffic followed before the newest write of weights.
type routing struct {
	before map[string]int
	at     time.Time
}

// NewCloud returns an empty cloud.
func NewCloud(account string) *Cloud {
	return &Cloud{Account: account, services: map[string]*Service{}, routed: map[string]routing{}}
}

// Intercept calls f for each write before its effect and after behind it; nil
// ends that. Neither may call the cloud's writing methods.
func (c *Cloud) Intercept(f func(Write) Verdict, after func(Write)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.intercept, c.after = f, after
}

// Fail makes every call fail with an error until it is called with nil.
func (c *Cloud) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outage = err
}

// Writes returns the writes so far that had an effect.
func (c *Cloud) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

// Created is how many sets were ever created; Repeated how many creations came
// again with a token that was known.
func (c *Cloud) Created() (created, repeated int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.created, c.repeated
}

// Service returns a copy of a service without any cost or failure.
func (c *Cloud) Service(name string) (Service, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.services[name]
	if s == nil {
		return Service{}, false
	}
	return s.clone(), true
}

// Broken lists the violations of the traffic rule that were seen after any
// write: a group with weight, or with traffic that still arrives, whose last
// started instance a write took away, or that got traffic before it had one.
func (c *Cloud) Broken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.broken)
}

// Edit changes a service as somebody else would.
func (c *Cloud) Edit(name string, f func(*Service)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.services[name]
	if s == nil {
		s = &Service{Name: name}
		c.services[name] = s
	}
	f(s)
}

// errGone is the answer about something that is not there.
var errGone = errors.New("not found")

// read reads a service: nil when it does not exist.
func (c *Cloud) read(ctx context.Context, name string) (*Service, error) {
	if err := c.arrive(ctx, "read "+name); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outage != nil {
		return nil, c.outage
	}
	if c.Answered != nil {
		c.Answered(ctx)
	}
	s := c.services[name]
	if s == nil {
		return nil, nil
	}
	out := s.clone()
	return &out, nil
}

// arrive lets the time of a call pass.
func (c *Cloud) arrive(ctx context.Context, call string) error {
	if c.Latency > 0 && c.Pause != nil {
		c.Pause(ctx, call, c.Latency)
	}
	return context.Cause(ctx)
}

// write carries out one write, as the interceptor says.
func (c *Cloud) write(ctx context.Context, w Write, effect func(*Service) error) error {
	if err := c.arrive(ctx, fmt.Sprint(w)); err != nil {
		return err
	}
	c.mu.Lock()
	if c.outage != nil {
		defer c.mu.Unlock()
		return c.outage
	}
	w.N, w.At = len(c.writes)+1, time.Now()
	intercept, after := c.intercept, c.after
	c.mu.Unlock()

	var v Verdict
	if intercept != nil {
		v = intercept(w)
	}
	var err error
	switch {
	case v.Lose:
	case v.Late > 0 && c.Later != nil:
		c.Later(v.Late, func() { _ = c.apply(w, effect) }) //nolint:errcheck // nobody is there any more to hear of it
	default:
		err = c.apply(w, effect)
	}
	if v.Hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	if v.Err != nil {
		return v.Err
	}
	if after != nil && !v.Lose {
		after(w)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Cloud) apply(w Write, effect func(*Service) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.N = len(c.writes) + 1
	s := c.services[w.Service]
	switch {
	case w.Op == "service" && s == nil:
		s = &Service{Name: w.Service}
		c.services[w.Service] = s
	case w.Op == "drop":
		delete(c.services, w.Service)
		c.writes = append(c.writes, w)
		return nil
	case s == nil:
		return fmt.Errorf("service %s: %w", w.Service, errGone)
	}
	before := s.clone()
	if err := effect(s); err != nil {
		return err
	}
	c.writes = append(c.writes, w)
	if w.Op == "weights" && !maps.Equal(before.Weights, s.Weights) {
		c.routed[w.Service] = routing{before.Weights, w.At}
	}
	c.judge(before, *s, w)
	return nil
}

// judge notes when a write takes the last started instance from a group that
// still has traffic, or gives traffic to a group that has none.
func (c *Cloud) judge(before, after Service, w Write) {
	now := time.Now()
	needs := func(s Service, group string) bool {
		if s.Weights[group] > 0 {
			return true
		}
		r, ok := c.routed[s.Name]
		return ok && r.before[group] > 0 && now.Sub(r.at) < c.RouteLag
	}
	for _, g := range []string{Primary, Canary} {
		lost := before.capacity(g, now) > 0 && after.capacity(g, now) == 0 && needs(before, g)
		given := before.Weights[g] == 0 && after.Weights[g] > 0 && after.capacity(g, now) == 0
		if lost || given {
			c.broken = append(c.broken, fmt.Sprintf("%s: group %s has weight %d and no capacity", w, g, after.Weights[g]))
		}
	}
	sum := 0
	for _, n := range after.Weights {
		sum += n
	}
	if len(after.Weights) > 0 && sum != 100 {
		c.broken = append(c.broken, fmt.Sprintf("%s: weights %v do not sum to 100", w, after.Weights))
	}
}

// Text renders the effect of a service for people and for tests.
func (s Service) Text(now time.Time) string {
	var parts []string
	for _, x := range s.Sets {
		main := ""
		if x.ID == s.Main {
			main = "*"
		}
		parts = append(parts, fmt.Sprintf("%s%s:%s×%d(%d)", main, x.Group, x.Version, x.Replicas, x.Healthy(now)))
	}
	sort.Strings(parts)
	return fmt.Sprintf("%s %s size=%d", strings.Join(parts, " "), weightsText(s.Weights), s.Size)
}

func weightsText(w map[string]int) string {
	if len(w) == 0 {
		return "no route"
	}
	return fmt.Sprintf("%d/%d", w[Primary], w[Canary])
}

// Digest is equal for services that do the same, whatever their objects are called.
func (s Service) Digest() string { return effectOf(s) }

// Serves reports whether all traffic goes to one version.
func (s Service) Serves(version string) bool {
	m, ok := s.Set(s.Main)
	return ok && m.Version == version && s.Weights[Canary] == 0
}

// IDs gives the sets with the deployments that created them.
func (s Service) IDs() map[string]string {
	out := map[string]string{}
	for _, x := range s.Sets {
		out[x.ID] = x.Creator
	}
	return out
}
