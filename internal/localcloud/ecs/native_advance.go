package ecs

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// shiftStages are the stages of a deployment that shifts traffic, in order (DG "How blue/green deployments work").
var shiftStages = []types.ServiceDeploymentLifecycleStage{
	types.ServiceDeploymentLifecycleStageReconcileService, types.ServiceDeploymentLifecycleStagePreScaleUp, types.ServiceDeploymentLifecycleStageScaleUp,
	types.ServiceDeploymentLifecycleStagePostScaleUp, types.ServiceDeploymentLifecycleStageTestTrafficShift, types.ServiceDeploymentLifecycleStagePostTestTrafficShift,
	stagePreProduction, types.ServiceDeploymentLifecycleStageProductionTrafficShift, types.ServiceDeploymentLifecycleStagePostProductionTrafficShift,
	types.ServiceDeploymentLifecycleStageBakeTime, types.ServiceDeploymentLifecycleStageCleanUp,
}

// advanceLimit bounds how many moves one change can set off.
const advanceLimit = 64

// advanceAll moves every service deployment as far as it can go now.
func (c *ECS) advanceAll() {
	for _, cl := range c.st.sortedClusters() {
		for _, s := range cl.sortedServices() {
			for range advanceLimit {
				if s.Controller != types.DeploymentControllerTypeEcs || s.Status != serviceActive || !c.advance(s) {
					break
				}
				c.advanced = true
				c.reconcile(cl, s)
				c.judge(cl, s, c.now())
			}
		}
	}
}

// advance makes one move and reports whether it made one.
func (c *ECS) advance(s *service) bool {
	r := s.rollout()
	if r == nil || r.over() {
		return false
	}
	now := c.now()
	switch r.Status {
	case types.ServiceDeploymentStatusPending:
		r.Status, r.StartedAt = types.ServiceDeploymentStatusInProgress, now
		if r.strategy() != types.DeploymentStrategyRolling {
			c.enter(r, 0)
		}
		return true
	case types.ServiceDeploymentStatusRollbackRequested:
		c.turnBack(s, r)
		return true
	case types.ServiceDeploymentStatusRollbackInProgress:
		return c.goBack(s, r)
	case types.ServiceDeploymentStatusStopRequested:
		r.Status, r.FinishedAt, r.StoppedAt = types.ServiceDeploymentStatusStopped, now, now
		return true
	}
	if reason := c.broken(s, r); reason != "" {
		r.Reason, r.UpdatedAt = reason, now
		breaker := r.Config.V.DeploymentCircuitBreaker
		if r.strategy() == types.DeploymentStrategyRolling && !breaker.Rollback {
			r.Status, r.FinishedAt, r.StoppedAt = types.ServiceDeploymentStatusStopped, now, now
			return true
		}
		c.requestBack(r, reason)
		return true
	}
	if r.strategy() == types.DeploymentStrategyRolling {
		return c.roll(s, r)
	}
	return c.work(s, r)
}

func (c *ECS) requestBack(r *rollout, reason string) {
	r.Status, r.BackReason, r.BackAt, r.UpdatedAt = types.ServiceDeploymentStatusRollbackRequested, reason, c.now(), c.now()
	r.Hooks = nil
}

// broken says why a deployment has failed by itself. DG "Deployment circuit breaker": half of the desired count, at least 3 and at most 200 failed tasks, for
// rolling deployments; other strategies fail when a stage takes longer than 24 hours.
func (c *ECS) broken(s *service, r *rollout) string {
	if r.strategy() != types.DeploymentStrategyRolling {
		if !r.StageAt.IsZero() && len(r.Hooks) == 0 && c.now().Sub(r.StageAt) >= stageLength {
			return fmt.Sprintf("Service deployment rolled back because the stage %s took longer than 24 hours.", r.Stage)
		}
		if reason := c.unattached(s, r); reason != "" {
			return reason
		}
		return ""
	}
	b := r.Config.V.DeploymentCircuitBreaker
	target := s.targetOf(r)
	if b == nil || !b.Enable || target == nil || target.Failed < breakerThreshold(s.DesiredCount) {
		return ""
	}
	return fmt.Sprintf("ECS deployment circuit breaker: tasks failed to start: %d.", target.Failed)
}

func breakerThreshold(desired int32) int {
	return min(200, max(3, int(math.Ceil(float64(desired)/2))))
}

// unattached: "Both targetGroup and alternateTargetGroup must be associated with the productionListenerRule or testListenerRule" (DG, troubleshooting).
func (c *ECS) unattached(s *service, r *rollout) string {
	rev := s.revision(r.Target)
	if r.Phase != 0 || r.Stage != shiftStages[0] || len(rev.LoadBalancers) == 0 {
		return ""
	}
	adv := rev.LoadBalancers[0].AdvancedConfiguration
	used := slices.Concat(c.cfg.Balancer.RuleGroups(aws.ToString(adv.ProductionListenerRule)), c.cfg.Balancer.RuleGroups(aws.ToString(adv.TestListenerRule)))
	for _, arn := range []string{aws.ToString(rev.LoadBalancers[0].TargetGroupArn), aws.ToString(adv.AlternateTargetGroupArn)} {
		if !slices.Contains(used, arn) {
			return "Service deployment rolled back because of invalid networking configuration. Both targetGroup and alternateTargetGroup must be associated with the productionListenerRule or testListenerRule."
		}
	}
	return ""
}

// enter begins a stage: its pauses hold it before its work is done.
func (c *ECS) enter(r *rollout, i int) {
	now := c.now()
	r.Stage, r.StageAt, r.UpdatedAt, r.Phase, r.Due, r.Hooks = shiftStages[i], now, now, 0, time.Time{}, nil
	c.after(stageLength, func() {})
	if r.Config.V == nil || len(r.Sources) == 0 {
		return // whether a first deployment runs hooks is not documented; here it does not
	}
	for _, h := range r.Config.V.LifecycleHooks {
		if !slices.Contains(h.LifecycleStages, types.DeploymentLifecycleHookStage(r.Stage)) {
			continue
		}
		length, action := pauseLength, types.DeploymentLifecycleHookActionRollback
		if t := h.TimeoutConfiguration; t != nil {
			if t.TimeoutInMinutes != nil {
				length = time.Duration(*t.TimeoutInMinutes) * time.Minute
			}
			if t.Action != "" {
				action = t.Action
			}
		}
		r.Hooks = append(r.Hooks, pause{ID: "ecs-pause-" + hexID(c.rnd), Status: types.DeploymentLifecycleHookStatusAwaitingAction, Expires: now.Add(length), Action: action})
		c.after(length, func() {})
	}
}

// held reports whether a pause holds the stage; pauses that have expired take their action.
func (c *ECS) held(r *rollout) (bool, bool) {
	for i := range r.Hooks {
		h := &r.Hooks[i]
		if h.Status != types.DeploymentLifecycleHookStatusAwaitingAction {
			continue
		}
		if c.now().Before(h.Expires) {
			return true, false
		}
		h.Status = types.DeploymentLifecycleHookStatusTimedOut
		if h.Action == types.DeploymentLifecycleHookActionRollback {
			c.requestBack(r, "Service deployment rolled back because the lifecycle hook "+h.ID+" timed out.")
			return true, true
		}
	}
	return false, false
}

// wait makes a stage wait and reports whether the wait is over.
func (c *ECS) wait(r *rollout, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	if r.Due.IsZero() {
		r.Due = c.now().Add(d)
		c.after(d, func() {})
	}
	if c.now().Before(r.Due) {
		return false
	}
	r.Due = time.Time{}
	return true
}

// work does what the present stage is for, and goes on to the next.
func (c *ECS) work(s *service, r *rollout) bool {
	if held, moved := c.held(r); held {
		return moved
	}
	target := s.targetOf(r)
	next := slices.Index(shiftStages, r.Stage) + 1
	switch r.Stage {
	case types.ServiceDeploymentLifecycleStageReconcileService:
		if len(s.Sets) > 2 { // what a superseded deployment left
			return c.clear(s, r)
		}
	case types.ServiceDeploymentLifecycleStageScaleUp:
		if r.Phase == 0 {
			r.Phase, target.Count = 1, nil
			return true
		}
		if !target.Stable || target.Computed != s.DesiredCount {
			return false
		}
	case types.ServiceDeploymentLifecycleStageTestTrafficShift:
		if !c.shiftTest(s, r) {
			return false
		}
	case types.ServiceDeploymentLifecycleStageProductionTrafficShift:
		again, done := c.shiftStep(s, r)
		if !done {
			return false
		}
		if again {
			next = slices.Index(shiftStages, stagePreProduction)
		}
	case types.ServiceDeploymentLifecycleStageBakeTime:
		if len(r.Sources) > 0 && !c.wait(r, minutes(r.Config.V.BakeTimeInMinutes, 0)) {
			return false
		}
	case types.ServiceDeploymentLifecycleStageCleanUp:
		s.revision(r.Target).Good = true
		for _, set := range s.Sets {
			if set != target {
				set.Status = setDraining
			}
		}
		if len(s.Sets) > 1 && r.Phase == 1 {
			return false
		}
		if r.Phase == 0 {
			r.Phase = 1
			return true
		}
		c.succeed(s, r)
		return true
	}
	if next < len(shiftStages) {
		c.enter(r, next)
	}
	return true
}

func (c *ECS) succeed(s *service, r *rollout) {
	now := c.now()
	s.revision(r.Target).Good = true
	r.Status, r.FinishedAt, r.UpdatedAt, r.Hooks = types.ServiceDeploymentStatusSuccessful, now, now, nil
	c.event(s, fmt.Sprintf("(service %s) (service deployment %s) succeeded.", s.Name, r.ARN))
}

func minutes(v *int32, byDefault int32) time.Duration {
	n := byDefault
	if v != nil {
		n = *v
	}
	return time.Duration(n) * time.Minute
}

// shiftTest gives the target all test traffic, where there is a test rule.
func (c *ECS) shiftTest(s *service, r *rollout) bool {
	rev := s.revision(r.Target)
	if len(rev.LoadBalancers) == 0 || rev.LoadBalancers[0].AdvancedConfiguration == nil || rev.LoadBalancers[0].AdvancedConfiguration.TestListenerRule == nil {
		return true
	}
	if r.Phase == 0 {
		c.weigh(*rev.LoadBalancers[0].AdvancedConfiguration.TestListenerRule, rev, 100)
		r.Phase, r.TestWeight = 1, 100
	}
	return c.wait(r, c.cfg.Timing.Shift)
}

// shiftStep makes one shift of production traffic: the weight, the time that the load balancer needs for it, and the bake time of the strategy behind every shift
// but the last. again says that more shifts follow.
func (c *ECS) shiftStep(s *service, r *rollout) (again, done bool) {
	switch r.Phase {
	case 0:
		c.shift(s, r, nextWeight(r))
		r.Phase = 1
		fallthrough
	case 1:
		if !c.wait(r, c.cfg.Timing.Shift) {
			return false, false
		}
		r.Phase = 2
		fallthrough
	default:
		if r.Weight >= 100 {
			return false, true
		}
		return true, c.wait(r, stepBake(r))
	}
}

// nextWeight follows the strategy (SDK, CanaryConfiguration and LinearConfiguration, with their defaults).
func nextWeight(r *rollout) float64 {
	cfg := r.Config.V
	if len(r.Sources) == 0 {
		return 100
	}
	switch r.strategy() {
	case types.DeploymentStrategyCanary:
		if r.Weight == 0 {
			if cc := cfg.CanaryConfiguration; cc != nil && cc.CanaryPercent != nil {
				return *cc.CanaryPercent
			}
			return 5
		}
	case types.DeploymentStrategyLinear:
		step := 10.0
		if lc := cfg.LinearConfiguration; lc != nil && lc.StepPercent != nil {
			step = *lc.StepPercent
		}
		return min(100, r.Weight+step)
	}
	return 100
}

func stepBake(r *rollout) time.Duration {
	cfg := r.Config.V
	if r.strategy() == types.DeploymentStrategyCanary {
		if cfg.CanaryConfiguration == nil {
			return minutes(nil, 10)
		}
		return minutes(cfg.CanaryConfiguration.CanaryBakeTimeInMinutes, 10)
	}
	if cfg.LinearConfiguration == nil {
		return minutes(nil, 6)
	}
	return minutes(cfg.LinearConfiguration.StepBakeTimeInMinutes, 6)
}

// shift gives the target a share of the production traffic.
func (c *ECS) shift(s *service, r *rollout, percent float64) {
	rev := s.revision(r.Target)
	r.Weight, r.UpdatedAt = percent, c.now()
	if len(rev.LoadBalancers) == 0 || rev.LoadBalancers[0].AdvancedConfiguration == nil {
		return
	}
	adv := rev.LoadBalancers[0].AdvancedConfiguration
	c.weigh(aws.ToString(adv.ProductionListenerRule), rev, percent)
	if percent == 0 && r.TestWeight > 0 {
		c.weigh(aws.ToString(adv.TestListenerRule), rev, 0)
		r.TestWeight = 0
	}
}

// weigh writes the weights of a rule. Weights are whole numbers: a share of less than one percent gets one.
func (c *ECS) weigh(rule string, rev *serviceRevision, percent float64) {
	other := aws.ToString(rev.LoadBalancers[0].TargetGroupArn)
	if other == rev.Group {
		other = aws.ToString(rev.LoadBalancers[0].AdvancedConfiguration.AlternateTargetGroupArn)
	}
	w := int32(math.Round(percent))
	if percent > 0 && w == 0 {
		w = 1
	}
	if err := c.cfg.Balancer.Shift(rule, map[string]int32{rev.Group: w, other: 100 - w}); err != nil {
		c.cfg.Log.Warn("weights of a service deployment were not written", "rule", rule, "error", err)
	}
}
