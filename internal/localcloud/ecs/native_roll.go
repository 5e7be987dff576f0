package ecs

import (
	"math"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// roll replaces the tasks of every former revision by tasks of the new one.
func (c *ECS) roll(s *service, r *rollout) bool {
	target := s.targetOf(r)
	down := s.others(target)
	if len(down) == 0 {
		if target.Count != nil {
			target.Count = nil
			return true
		}
		if !target.Stable || target.Computed != s.DesiredCount || len(s.Sets) > 1 {
			return false
		}
		c.succeed(s, r)
		return true
	}
	if c.elsewhere(s, r) {
		return c.clear(s, r)
	}
	return c.replace(s, target, down)
}

// elsewhere reports whether a deployment that shifted traffic left tasks in another target group than the one that this deployment works in.
func (c *ECS) elsewhere(s *service, r *rollout) bool {
	source := c.source(s, r)
	for _, set := range s.others(s.targetOf(r)) {
		if set != source && s.revisionOf(set).Group != s.revision(r.Target).Group {
			return true
		}
	}
	return false
}

// replace grows one set and shrinks the others within the limits of the deployment configuration. API, DeploymentConfiguration: at most maximumPercent of the
// desired count may run (rounded down), at least minimumHealthyPercent must be healthy (rounded up), whichever deployments they belong to.
func (c *ECS) replace(s *service, up *taskSet, down []*taskSet) bool {
	desired := int(s.DesiredCount)
	most, least := desired*percentOr(s.Deployment.V.MaximumPercent, 200)/100, int(math.Ceil(float64(desired*percentOr(s.Deployment.V.MinimumHealthyPercent, 100))/100))
	cl := c.st.Clusters[s.Cluster]
	keep := c.keep(cl, s, down, max(0, least-c.healthy(cl, s, up)))
	moved, left, alive := false, 0, 0
	for i, set := range down {
		moved = c.setCount(set, keep[i]) || moved
		left += keep[i]
		alive += len(cl.tasksOf(s, set)) // tasks that are being stopped count until they are gone
	}
	moved = c.setCount(up, min(desired, max(int(up.Computed), most-alive))) || moved
	if left > 0 || !up.Stable || int(up.Computed) != desired {
		return moved
	}
	for _, set := range down {
		set.Status = setDraining
	}
	up.Count, s.revisionOf(up).Good = nil, true
	return true
}

// keep says how many tasks each set that shrinks keeps, so that together they have the wanted number: healthy tasks before others, and those of the revision that
// a rollback returns to before those of one that never took over.
func (c *ECS) keep(cl *cluster, s *service, down []*taskSet, wanted int) []int {
	out := make([]int, len(down))
	for _, most := range []func(*taskSet) int{
		func(set *taskSet) int { return min(c.healthy(cl, s, set), int(set.Computed)) },
		func(set *taskSet) int { return int(set.Computed) },
	} {
		for i := len(down) - 1; i >= 0; i-- {
			more := min(wanted, most(down[i])-out[i])
			out[i] += more
			wanted -= more
		}
	}
	return out
}

// healthy counts the tasks of a set that serve.
func (c *ECS) healthy(cl *cluster, s *service, set *taskSet) int {
	n := 0
	for _, t := range cl.tasksOf(s, set) {
		if t.LastStatus == statusRunning && t.DesiredStatus == statusRunning && c.targetsHealthy([]*task{t}) {
			n++
		}
	}
	return n
}

func (c *ECS) setCount(set *taskSet, n int) bool {
	if set.Count != nil && int(*set.Count) == n {
		return false
	}
	set.Count = aws.Int32(int32(n))
	return true
}

func percentOr(v *int32, byDefault int) int {
	if v == nil {
		return byDefault
	}
	return int(*v)
}

// shifts reports whether a deployment moves traffic between two target groups.
func (r *rollout) shifts() bool { return r.strategy() != types.DeploymentStrategyRolling }
