package elb

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// target is one registered target of one group.
type target struct {
	key    string // the scheduler's id, or ip:port
	ip     string
	port   int32
	health health
	// serving remembers whether the target was healthy when its group went out
	// of use: nodes that have not heard of it yet go on using it.
	serving bool
	timer   clock.Timer // the next check, or the end of draining
	turn    uint64      // counts timers, so that a late one is recognised
}

func (t *target) stopTimer() {
	t.turn++
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = nil
}

func (t *target) draining() bool { return t.health.State == types.TargetHealthStateEnumDraining }
func (t *target) unused() bool   { return t.health.State == types.TargetHealthStateEnumUnused }

func (t *target) healthy() bool {
	return t.health.State == types.TargetHealthStateEnumHealthy || t.unused() && t.serving
}

// shownID is what the API calls the target: the address for groups of type ip.
func (g *targetGroup) shownID(t *target) string {
	if g.Desc.TargetType == types.TargetTypeEnumIp {
		return t.ip
	}
	return t.key
}

func (g *targetGroup) target(key string) *target {
	return find(g.targets, key, func(t *target) string { return t.key })
}

// register adds a target or brings a draining one back. The caller holds the
// lock and publishes, which starts the health checks where the group is in use.
func (e *ELB) register(g *targetGroup, key, ip string, port int32) {
	if port == 0 {
		port = *g.Desc.Port
	}
	t := g.target(key)
	switch {
	case t == nil:
		t = &target{key: key}
		g.targets = append(g.targets, t)
	case !t.draining() && t.ip == ip && t.port == port:
		return // registered already
	}
	t.stopTimer()
	t.ip, t.port, t.serving = ip, port, false
	t.health = enter(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse, e.opts.Clock.Now())
}

// deregister takes a target out: no new requests from now on. It is shown as
// draining until the group's delay is over even when nothing is in flight
// (guide, "Deregistration delay"); where no load balancer uses the group there
// is nothing to drain.
func (e *ELB) deregister(g *targetGroup, t *target) {
	if t.draining() {
		return
	}
	t.stopTimer()
	delay := time.Duration(g.intAttribute("deregistration_delay.timeout_seconds")) * time.Second
	if t.unused() || delay == 0 {
		g.remove(t)
		return
	}
	t.health = enter(types.TargetHealthStateEnumDraining, types.TargetHealthReasonEnumDeregistrationInProgress, e.opts.Clock.Now())
	turn := t.turn
	t.timer = e.opts.Clock.AfterFunc(delay, func() {
		_ = e.change(func() error {
			if !e.closed && t.turn == turn {
				g.remove(t)
			}
			return nil
		})
	})
}

func (g *targetGroup) remove(t *target) {
	g.targets = slices.DeleteFunc(g.targets, func(o *target) bool { return o == t })
}

// use brings the targets of a group in line with whether a load balancer uses
// it: checks begin when it does and end when it does not.
func (e *ELB) use(g *targetGroup) {
	now := e.opts.Clock.Now()
	for _, t := range g.targets {
		switch inUse := len(g.users) > 0; {
		case t.draining():
		case inUse && t.unused():
			t.health = enter(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumRegistrationInProgress, now)
			e.checkAfter(g, t, e.opts.RegistrationDelay)
		case !inUse && !t.unused():
			t.stopTimer()
			t.serving = t.healthy()
			t.health = enter(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotInUse, now)
		}
	}
}

func (e *ELB) checkAfter(g *targetGroup, t *target, d time.Duration) {
	t.stopTimer()
	turn := t.turn
	t.timer = e.opts.Clock.AfterFunc(d, func() { e.check(g, t, turn) })
}

// check carries out one health check and plans the next one, an interval after
// the beginning of this one.
func (e *ELB) check(g *targetGroup, t *target, turn uint64) {
	e.mu.Lock()
	if e.closed || t.turn != turn {
		e.mu.Unlock()
		return
	}
	e.probing.Add(1)
	defer e.probing.Done()
	if t.health.Reason == types.TargetHealthReasonEnumRegistrationInProgress {
		since := t.health.Since
		t.health = enter(types.TargetHealthStateEnumInitial, types.TargetHealthReasonEnumInitialHealthChecking, since)
	}
	url, timeout := g.checkURL(t), time.Duration(*g.Desc.HealthCheckTimeoutSeconds)*time.Second
	e.mu.Unlock()

	began := e.opts.Clock.Now()
	ctx, cancel := context.WithTimeout(e.ctx, timeout)
	status, err := e.opts.Prober.Probe(ctx, url)
	cancel()

	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || t.turn != turn {
		return
	}
	matcher, _ := parseMatcher(*g.Desc.Matcher.HttpCode) // checked when it was set
	now := e.opts.Clock.Now()
	was := t.health.State
	t.health = t.health.observe(checkResult{status, err}, thresholds{
		matcher, int(*g.Desc.HealthyThresholdCount), int(*g.Desc.UnhealthyThresholdCount),
	}, now)
	interval := time.Duration(*g.Desc.HealthCheckIntervalSeconds) * time.Second
	e.checkAfter(g, t, interval-now.Sub(began))
	if t.health.State != was {
		e.log.Info("target health", "group", g.name(), "target", t.key, "state", t.health.State, "reason", t.health.Reason)
		e.publish() // health changes no rules: no watcher to tell
	}
}

func (g *targetGroup) checkURL(t *target) string {
	port := *g.Desc.HealthCheckPort
	if port == "traffic-port" {
		port = strconv.Itoa(int(t.port))
	}
	return "http://" + net.JoinHostPort(t.ip, port) + *g.Desc.HealthCheckPath
}

// TargetGroupAttached reports whether the group exists and whether any
// listener or rule forwards to it.
func (e *ELB) TargetGroupAttached(arn string) (exists, attached bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := e.group(arn)
	return g != nil, g != nil && len(g.users) > 0
}

// Register adds a target of the task scheduler under the scheduler's own id.
// Port 0 means the group's port. An unknown group is ignored.
func (e *ELB) Register(tgARN, id string, ip string, port int) {
	_ = e.change(func() error {
		if g := e.group(tgARN); g != nil && !e.closed {
			e.register(g, id, ip, int32(port))
		}
		return nil
	})
}

// Deregister makes a target of the task scheduler draining.
func (e *ELB) Deregister(tgARN, id string) {
	_ = e.change(func() error {
		if g := e.group(tgARN); g != nil && !e.closed {
			if t := g.target(id); t != nil {
				e.deregister(g, t)
			}
		}
		return nil
	})
}

// Health returns the state of a target of the task scheduler and since when it
// has it; "" when the target is unknown or gone.
func (e *ELB) Health(tgARN, id string) (state string, since time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if g := e.group(tgARN); g != nil {
		if t := g.target(id); t != nil {
			return string(t.health.State), t.health.Since
		}
	}
	return "", time.Time{}
}

// RegisterTargets registers targets by hand. Only loopback addresses can be
// targets: the local cloud proxies to nothing outside this machine.
func (e *ELB) RegisterTargets(_ context.Context, in *elbv2.RegisterTargetsInput) (*elbv2.RegisterTargetsOutput, error) {
	err := e.withTargets(in.TargetGroupArn, in.Targets, func(g *targetGroup) error {
		for _, d := range in.Targets {
			if err := g.checkTarget(d); err != nil {
				return err
			}
		}
		for _, d := range in.Targets {
			port := aws.ToInt32(d.Port)
			if port == 0 {
				port = *g.Desc.Port
			}
			if t := g.described(*d.Id, port); t != nil {
				e.register(g, t.key, t.ip, t.port)
				continue
			}
			e.register(g, net.JoinHostPort(*d.Id, strconv.Itoa(int(port))), *d.Id, port)
		}
		return nil
	})
	return result(&elbv2.RegisterTargetsOutput{}, err)
}

func (g *targetGroup) checkTarget(d types.TargetDescription) error {
	if g.Desc.TargetType != types.TargetTypeEnumIp {
		return refuse(codeInvalidTarget, "The following targets are not in a running state and cannot be registered: '%s'", *d.Id)
	}
	addr, err := netip.ParseAddr(*d.Id)
	if err != nil || !addr.Is4() {
		return invalid("The IP address '%s' is not a valid IPv4 address", *d.Id)
	}
	if !addr.IsLoopback() {
		return invalid("The IP address '%s' is not within 127.0.0.0/8: targets of the local cloud live on this machine", *d.Id)
	}
	if d.Port != nil {
		return inRange("port", *d.Port, 1, 65535)
	}
	return nil
}

// described finds a target by what the API calls it; port 0 stands for any.
func (g *targetGroup) described(id string, port int32) *target {
	for _, t := range g.targets {
		if g.shownID(t) == id && (port == 0 || t.port == port) {
			return t
		}
	}
	return nil
}

// DeregisterTargets takes targets out by hand; without a port every target
// with the id. Unknown targets are refused (API, InvalidTarget).
func (e *ELB) DeregisterTargets(_ context.Context, in *elbv2.DeregisterTargetsInput) (*elbv2.DeregisterTargetsOutput, error) {
	err := e.withTargets(in.TargetGroupArn, in.Targets, func(g *targetGroup) error {
		var out []*target
		for _, d := range in.Targets {
			n := len(out)
			for _, t := range g.targets {
				if g.shownID(t) == *d.Id && (d.Port == nil || *d.Port == t.port) {
					out = append(out, t)
				}
			}
			if len(out) == n {
				return refuse(codeInvalidTarget, "The following targets are not registered with the target group: '%s'", *d.Id)
			}
		}
		for _, t := range out {
			e.deregister(g, t)
		}
		return nil
	})
	return result(&elbv2.DeregisterTargetsOutput{}, err)
}

func (e *ELB) withTargets(arn *string, targets []types.TargetDescription, f func(*targetGroup) error) error {
	if arn == nil {
		return required("targetGroupArn")
	}
	if len(targets) == 0 {
		return required("targets")
	}
	for i, d := range targets {
		if d.Id == nil {
			return required(fmt.Sprintf("targets.%d.member.id", i+1))
		}
	}
	return e.change(func() error {
		g := e.group(*arn)
		if g == nil {
			return errNoGroup()
		}
		return f(g)
	})
}

// DescribeTargetHealth shows the health of all targets or of the named ones; a
// named target that is not registered is "unused" with Target.NotRegistered.
func (e *ELB) DescribeTargetHealth(_ context.Context, in *elbv2.DescribeTargetHealthInput) (*elbv2.DescribeTargetHealthOutput, error) {
	if in.TargetGroupArn == nil {
		return nil, required("targetGroupArn")
	}
	out := &elbv2.DescribeTargetHealthOutput{}
	err := e.read(func() error {
		g := e.group(*in.TargetGroupArn)
		if g == nil {
			return errNoGroup()
		}
		if len(in.Targets) == 0 {
			for _, t := range g.targets {
				out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, g.describeTarget(t))
			}
			return nil
		}
		for i, d := range in.Targets {
			if d.Id == nil {
				return required(fmt.Sprintf("targets.%d.member.id", i+1))
			}
			t := g.described(*d.Id, aws.ToInt32(d.Port))
			if t == nil {
				t = &target{key: *d.Id, ip: *d.Id, port: aws.ToInt32(d.Port)}
				if t.port == 0 {
					t.port = *g.Desc.Port
				}
				t.health = enter(types.TargetHealthStateEnumUnused, types.TargetHealthReasonEnumNotRegistered, time.Time{})
			}
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, g.describeTarget(t))
		}
		return nil
	})
	return result(out, err)
}

func (g *targetGroup) describeTarget(t *target) types.TargetHealthDescription {
	d := types.TargetHealthDescription{
		Target:       &types.TargetDescription{Id: aws.String(g.shownID(t)), Port: aws.Int32(t.port)},
		TargetHealth: &types.TargetHealth{State: t.health.State, Reason: t.health.Reason},
	}
	if t.health.Description != "" {
		d.TargetHealth.Description = aws.String(t.health.Description)
	}
	port := *g.Desc.HealthCheckPort
	if port == "traffic-port" {
		port = strconv.Itoa(int(t.port))
	}
	d.HealthCheckPort = aws.String(port)
	return d
}
