package elb

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// Routes is the snapshot of one listener for the data plane. It takes no lock.
func (e *ELB) Routes(listenerARN string) router.Snapshot {
	if s, ok := (*e.routes.Load())[listenerARN]; ok {
		return s
	}
	return router.Snapshot{ListenerARN: listenerARN}
}

// publish brings the targets in line with the listeners, makes the snapshots
// anew and returns the listeners whose rules changed. The caller holds the lock.
func (e *ELB) publish() []string {
	e.version++
	for arn := range e.dirty {
		e.rules[arn] = e.version
	}
	e.findUsers()
	groups := map[string]router.Group{}
	for _, g := range e.state.TargetGroups {
		if !e.closed {
			e.use(g)
		}
		groups[g.arn()] = g.route()
	}
	old := *e.routes.Load()
	next := map[string]router.Snapshot{}
	for _, ln := range e.state.Listeners {
		arn := ln.arn()
		snap := router.Snapshot{
			ListenerARN: arn, Exists: true, Port: int(*ln.Desc.Port), Protocol: string(ln.Desc.Protocol),
			HideServer: valueOf(listenerAttributes(), ln.Attributes, "routing.http.response.server.enabled") == "false",
			Version:    e.version, RulesVersion: e.rules[arn], Groups: groups,
		}
		if before, ok := old[arn]; ok && !e.dirty[arn] {
			snap.Rules = before.Rules
		} else {
			snap.Rules = ln.route()
		}
		next[arn] = snap
	}
	e.routes.Store(&next)
	changed := slices.Sorted(maps.Keys(e.dirty))
	clear(e.dirty)
	for _, arn := range changed {
		if _, ok := next[arn]; !ok {
			delete(e.rules, arn)
		}
	}
	return changed
}

// findUsers works out which load balancers forward to which groups; a weight
// of 0 counts, which is how a group is attached before it gets traffic.
func (e *ELB) findUsers() {
	users := map[string][]string{}
	for _, ln := range e.state.Listeners {
		for _, r := range ln.Rules {
			for _, arn := range groupsOf(r.Desc.Actions) {
				if !slices.Contains(users[arn], *ln.Desc.LoadBalancerArn) {
					users[arn] = append(users[arn], *ln.Desc.LoadBalancerArn)
				}
			}
		}
	}
	for _, g := range e.state.TargetGroups {
		g.users = users[g.arn()]
	}
}

// route is the group as the data plane sees it. Targets that are initial or
// unhealthy are used only when the group fails open, which it does when fewer
// targets are healthy than the group's attributes ask for (by default none;
// guide, "Target group health").
func (g *targetGroup) route() router.Group {
	out := router.Group{ARN: g.arn()}
	healthy := 0
	for _, t := range g.targets {
		if t.draining() {
			continue
		}
		if t.healthy() {
			healthy++
		}
		out.Targets = append(out.Targets, router.Target{
			ID: t.key, Addr: net.JoinHostPort(t.ip, strconv.Itoa(int(t.port))), Healthy: t.healthy(),
		})
	}
	const minimum = "target_group_health.unhealthy_state_routing.minimum_healthy_targets."
	percent := g.intAttribute(minimum + "percentage")
	out.FailOpen = healthy < g.intAttribute(minimum+"count") || healthy*100 < percent*len(out.Targets)
	if g.attribute("stickiness.enabled") == "true" {
		out.StickySeconds = g.intAttribute("stickiness.lb_cookie.duration_seconds")
	}
	return out
}

func (l *listener) route() []router.Rule {
	out := make([]router.Rule, 0, len(l.Rules))
	for _, r := range l.Rules {
		out = append(out, router.Rule{
			ARN: r.arn(), Default: r.isDefault(),
			Conditions: routeConditions(r.Desc.Conditions), Action: routeAction(r.Desc.Actions),
		})
	}
	return out
}

func routeAction(actions []types.Action) router.Action {
	a := actions[len(actions)-1] // the final one
	switch {
	case a.ForwardConfig != nil:
		f := &router.Forward{}
		for _, t := range a.ForwardConfig.TargetGroups {
			f.Groups = append(f.Groups, router.WeightedGroup{ARN: *t.TargetGroupArn, Weight: int(*t.Weight)})
		}
		if sticky(a.ForwardConfig) {
			f.StickySeconds = int(*a.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds)
		}
		return router.Action{Forward: f}
	case a.RedirectConfig != nil:
		c := a.RedirectConfig
		status, _ := strconv.Atoi(strings.TrimPrefix(string(c.StatusCode), "HTTP_"))
		return router.Action{Redirect: &router.Redirect{
			Protocol: *c.Protocol, Host: *c.Host, Port: *c.Port, Path: *c.Path, Query: *c.Query, Status: status,
		}}
	default:
		c := a.FixedResponseConfig
		status, _ := strconv.Atoi(*c.StatusCode)
		return router.Action{Fixed: &router.FixedResponse{
			Status: status, ContentType: aws.ToString(c.ContentType), Body: aws.ToString(c.MessageBody),
		}}
	}
}
