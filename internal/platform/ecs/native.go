package ecs

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// controllerECS is the deployment controller of services that shift their traffic themselves. Such services are deployed by service
// deployments, which pauses hold between the stages (ADR 0014).
const controllerECS = "ECS"

// native is what the service file of such a service says besides.
type native struct {
	First    string `json:"first,omitempty"` // the target group that the load balancer entry names; the other one is its alternate
	Rule     string `json:"rule,omitempty"`  // ARN of the listener rule with the users' requests
	TestRule string `json:"testRule,omitempty"`
	Role     string `json:"role,omitempty"` // with which Amazon ECS changes the rules
	Hooks    bool   `json:"hooks,omitempty"`
}

// nativeService is the live half of it.
type nativeService struct {
	Shape   setShape `json:"shape"`             // as it was given, not as it was resolved
	Rule    string   `json:"rule,omitempty"`    // ARN of the production rule
	Serving string   `json:"serving,omitempty"` // the target group with the users' requests
	Rollout *rollout `json:"rollout,omitempty"` // the newest service deployment
	Lambda  bool     `json:"lambda,omitempty"`  // hooks with parameters, which cannot be kept
}

// Statuses of a service deployment (ServiceDeployment API reference).
const (
	rolloutPending    = "PENDING"
	rolloutRunning    = "IN_PROGRESS"
	rolloutSuccessful = "SUCCESSFUL"
	rolloutStopped    = "STOPPED"
	rolloutBack       = "ROLLBACK_SUCCESSFUL"
	rolloutBackFailed = "ROLLBACK_FAILED"
)

// rollout is a service deployment.
type rollout struct {
	ARN      string   `json:"arn"`
	Status   string   `json:"status"`
	Stage    string   `json:"stage,omitempty"` // of its lifecycle
	Why      string   `json:"why,omitempty"`
	Revision string   `json:"revision,omitempty"` // ARN of the task definition that it brings in
	Group    string   `json:"group,omitempty"`    // the target group of the new tasks
	Share    *float64 `json:"share,omitempty"`    // of the users' requests that the new tasks should have, percent
	Pause    string   `json:"pause,omitempty"`    // id of the hook that awaits an action
	Until    string   `json:"until,omitempty"`    // when that hook times out
}

// over reports whether nothing will happen to the service deployment any more.
func (r *rollout) over() bool {
	return r == nil || slices.Contains([]string{rolloutSuccessful, rolloutStopped, rolloutBack, rolloutBackFailed}, r.Status)
}

// turnedBack reports whether it goes, or went, another way than forward.
func (r *rollout) turnedBack() bool {
	return !slices.Contains([]string{rolloutPending, rolloutRunning, rolloutSuccessful}, r.Status)
}

// strategy of a deployment configuration; without one AWS replaces tasks one by one.
func strategyOf(c *ecstypes.DeploymentConfiguration) ecstypes.DeploymentStrategy {
	if c == nil || c.Strategy == "" {
		return ecstypes.DeploymentStrategyRolling
	}
	return c.Strategy
}

func (d *desired) controller() string {
	if d.Native != nil {
		return controllerECS
	}
	return external
}

func (d *desired) strategy() ecstypes.DeploymentStrategy { return strategyOf(d.Service.Deployment) }

// shares are what the new version can have of the requests, in percent and in this order, beginning with 0.
func shares(c *ecstypes.DeploymentConfiguration) []float64 {
	step := 100.0
	switch strategyOf(c) {
	case ecstypes.DeploymentStrategyCanary:
		return []float64{0, stepOf(c), 100}
	case ecstypes.DeploymentStrategyLinear:
		step = stepOf(c)
	}
	out := []float64{0}
	for at := step; at < 100; at += step {
		out = append(out, at)
	}
	return append(out, 100)
}

// stepOf is the share of one step, with the defaults of AWS (CanaryConfiguration and LinearConfiguration API reference).
func stepOf(c *ecstypes.DeploymentConfiguration) float64 {
	if strategyOf(c) == ecstypes.DeploymentStrategyCanary {
		if c.CanaryConfiguration != nil && c.CanaryConfiguration.CanaryPercent != nil {
			return *c.CanaryConfiguration.CanaryPercent
		}
		return 5
	}
	if c.LinearConfiguration != nil && c.LinearConfiguration.StepPercent != nil {
		return *c.LinearConfiguration.StepPercent
	}
	return 10
}

// near compares shares: weights are whole numbers.
func near(a, b float64) bool { return a-b < 0.6 && b-a < 0.6 }

// nativeShape is where the tasks of a service of the ECS controller are placed.
func (d *desired) nativeShape() setShape {
	sh := d.Shape
	groups := []*targetGroup{d.Primary, d.Canary}
	at := slices.IndexFunc(groups, func(g *targetGroup) bool { return g != nil && g.ARN == d.Native.First })
	if at < 0 {
		return sh
	}
	port := int32(groups[at].Port)
	lb := ecstypes.LoadBalancer{TargetGroupArn: aws.String(groups[at].ARN), ContainerName: aws.String(groups[at].Container), ContainerPort: &port}
	if other := groups[1-at]; other != nil && d.Native.Rule != "" {
		lb.AdvancedConfiguration = &ecstypes.AdvancedConfiguration{
			AlternateTargetGroupArn: aws.String(other.ARN), ProductionListenerRule: aws.String(d.Native.Rule), RoleArn: opt(d.Native.Role), TestListenerRule: opt(d.Native.TestRule),
		}
	}
	sh.LoadBalancers = []ecstypes.LoadBalancer{lb}
	return sh
}

// orient gives the two groups their roles: primary is the one that served when the live state was recorded.
func (d *desired) orient(s *snapshot) {
	if d.Native == nil || s.Service == nil || s.Service.Native == nil || d.Canary == nil {
		return
	}
	if s.Service.Native.Serving == d.Canary.ARN {
		d.Primary, d.Canary = d.Canary, d.Primary
	}
}

// production is the rule with the users' requests, as it was recorded.
func (d *desired) production(routes []route) []route {
	if d.Native == nil || d.Native.Rule == "" {
		return nil
	}
	return ruleNamed(routes, d.Native.Rule)
}

func ruleNamed(routes []route, arn string) []route {
	i := slices.IndexFunc(routes, func(r route) bool { return r.ARN == arn || r.Rule == arn })
	if i < 0 || arn == "" {
		return nil
	}
	return routes[i : i+1]
}

// paused is the configuration that a pipeline deploys with: one pause before each shift and one behind the last, no bake time between.
func paused(c *ecstypes.DeploymentConfiguration) *ecstypes.DeploymentConfiguration {
	out := *c
	out.LifecycleHooks = []ecstypes.DeploymentLifecycleHook{{
		TargetType: ecstypes.DeploymentLifecycleHookTargetTypePause,
		LifecycleStages: []ecstypes.DeploymentLifecycleHookStage{
			ecstypes.DeploymentLifecycleHookStagePreProductionTrafficShift, ecstypes.DeploymentLifecycleHookStagePostProductionTrafficShift,
		},
		TimeoutConfiguration: &ecstypes.DeploymentLifecycleHookTimeoutConfiguration{Action: ecstypes.DeploymentLifecycleHookActionRollback, TimeoutInMinutes: aws.Int32(pauseMinutes)},
	}}
	switch strategyOf(c) {
	case ecstypes.DeploymentStrategyCanary:
		out.CanaryConfiguration = &ecstypes.CanaryConfiguration{CanaryPercent: aws.Float64(stepOf(c)), CanaryBakeTimeInMinutes: aws.Int32(0)}
	case ecstypes.DeploymentStrategyLinear:
		out.LinearConfiguration = &ecstypes.LinearConfiguration{StepPercent: aws.Float64(stepOf(c)), StepBakeTimeInMinutes: aws.Int32(0)}
	}
	return &out
}

// pauseMinutes is the longest time-out of a pause: 14 days (DG "Pause hooks for Amazon ECS service deployments").
const pauseMinutes = 20160

// atOnce is the configuration of a way back: all requests go over as soon as the tasks are healthy.
func atOnce(c *ecstypes.DeploymentConfiguration) *ecstypes.DeploymentConfiguration {
	if strategyOf(c) == ecstypes.DeploymentStrategyRolling {
		return c
	}
	return &ecstypes.DeploymentConfiguration{Strategy: ecstypes.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(0), MaximumPercent: c.MaximumPercent, MinimumHealthyPercent: c.MinimumHealthyPercent}
}

// plainConfig leaves the parameters of Lambda hooks out: they have a type that no file can hold. The second value says whether there were some.
func plainConfig(c *ecstypes.DeploymentConfiguration) (*ecstypes.DeploymentConfiguration, bool) {
	if c == nil {
		return nil, false
	}
	out, had := *c, false
	out.LifecycleHooks = slices.Clone(c.LifecycleHooks)
	for i := range out.LifecycleHooks {
		had = had || out.LifecycleHooks[i].HookDetails != nil
		out.LifecycleHooks[i].HookDetails = nil
	}
	return &out, had
}

// configView is a deployment configuration as it works, with the defaults of AWS filled in and what its strategy does not use left out.
func configView(c *ecstypes.DeploymentConfiguration) object {
	if c == nil {
		c = &ecstypes.DeploymentConfiguration{}
	}
	number := func(v *int32, byDefault int32) int32 {
		if v == nil {
			return byDefault
		}
		return *v
	}
	st := strategyOf(c)
	o := object{"strategy": string(st)}
	switch st {
	case ecstypes.DeploymentStrategyRolling:
		o["maximumPercent"], o["minimumHealthyPercent"] = number(c.MaximumPercent, 200), number(c.MinimumHealthyPercent, 100)
		if b := c.DeploymentCircuitBreaker; b != nil && b.Enable {
			o["deploymentCircuitBreaker"] = plainObject(b)
		}
		if a := c.Alarms; a != nil && a.Enable {
			o["alarms"] = plainObject(a)
		}
	default:
		o["bakeTimeInMinutes"] = number(c.BakeTimeInMinutes, 0)
	}
	switch st {
	case ecstypes.DeploymentStrategyCanary:
		var bake *int32
		if c.CanaryConfiguration != nil {
			bake = c.CanaryConfiguration.CanaryBakeTimeInMinutes
		}
		o["canaryConfiguration"] = object{"canaryPercent": stepOf(c), "canaryBakeTimeInMinutes": number(bake, 10)}
	case ecstypes.DeploymentStrategyLinear:
		var bake *int32
		if c.LinearConfiguration != nil {
			bake = c.LinearConfiguration.StepBakeTimeInMinutes
		}
		o["linearConfiguration"] = object{"stepPercent": stepOf(c), "stepBakeTimeInMinutes": number(bake, 6)}
	}
	var hooks []any
	for _, h := range c.LifecycleHooks {
		h.TargetType = cmp.Or(h.TargetType, ecstypes.DeploymentLifecycleHookTargetTypeAwsLambda)
		hooks = append(hooks, plainObject(h))
	}
	if len(hooks) > 0 {
		o["lifecycleHooks"] = hooks
	}
	return o
}

func sameConfig(a, b *ecstypes.DeploymentConfiguration) bool {
	return platform.Digest(configView(a)) == platform.Digest(configView(b))
}
