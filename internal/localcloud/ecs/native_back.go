package ecs

import (
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// turnBack begins the way back: the former revision is the service's again, with all its tasks.
func (c *ECS) turnBack(s *service, r *rollout) {
	now := c.now()
	r.Status, r.UpdatedAt, r.Phase, r.Due, r.Hooks = types.ServiceDeploymentStatusRollbackInProgress, now, 0, time.Time{}, nil
	if len(r.Sources) == 0 {
		r.Status, r.FinishedAt = types.ServiceDeploymentStatusRollbackFailed, now
		r.Reason = "There is no former service revision to roll back to."
		return
	}
	source := c.source(s, r)
	if source == nil { // it is gone already: its revision is started again
		rev := s.revision(r.Sources[len(r.Sources)-1])
		source = c.setOf(s, rev)
		s.Sets = append(s.Sets, source)
	}
	if r.strategy() != types.DeploymentStrategyRolling {
		source.Count = nil
	}
	source.Status = setPrimary
	if target := s.targetOf(r); target != nil && target != source {
		target.Status = setActive
	}
}

// goBack shifts the traffic back once the former revision can take it, then ends the tasks of the new one.
func (c *ECS) goBack(s *service, r *rollout) bool {
	source, target := c.source(s, r), s.targetOf(r)
	if r.strategy() == types.DeploymentStrategyRolling {
		if target != nil && target.Status != setDraining {
			return c.replace(s, source, target)
		}
	} else {
		switch r.Phase {
		case 0:
			if r.Weight > 0 && !source.Stable {
				return false
			}
			moved := r.Weight > 0 || r.TestWeight > 0
			if moved {
				c.shift(s, r, 0)
			}
			if r.Phase = 2; moved {
				r.Phase = 1
			}
			return true
		case 1:
			if !c.wait(r, c.cfg.Timing.Shift) {
				return false
			}
			r.Phase = 2
			return true
		case 2:
			r.Phase = 3
			if target != nil {
				target.Status = setDraining
			}
			return true
		}
	}
	if target != nil || !source.Stable {
		return false
	}
	r.Status, r.FinishedAt, r.UpdatedAt = types.ServiceDeploymentStatusRollbackSuccessful, c.now(), c.now()
	return true
}

// roll replaces tasks of the former revision by tasks of the new one.
func (c *ECS) roll(s *service, r *rollout) bool {
	target, source := s.targetOf(r), c.source(s, r)
	if source == nil || source == target {
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
	return c.replace(s, target, source)
}

// replace grows one set and shrinks the other within the limits of the deployment configuration. API, DeploymentConfiguration: at most maximumPercent of the
// desired count may run (rounded down), at least minimumHealthyPercent must be healthy (rounded up).
func (c *ECS) replace(s *service, up, down *taskSet) bool {
	desired := int(s.DesiredCount)
	most, least := desired*percentOr(s.Deployment.V.MaximumPercent, 200)/100, int(math.Ceil(float64(desired*percentOr(s.Deployment.V.MinimumHealthyPercent, 100))/100))
	cl := c.st.Clusters[s.Cluster]
	healthy := 0
	for _, t := range cl.tasksOf(s, up) {
		if t.LastStatus == statusRunning && t.DesiredStatus == statusRunning && c.targetsHealthy([]*task{t}) {
			healthy++
		}
	}
	wantDown := min(int(down.Computed), max(0, least-healthy))
	// Tasks that are being stopped count until they are gone.
	wantUp := min(desired, max(int(up.Computed), most-len(cl.tasksOf(s, down))))
	moved := c.setCount(up, wantUp)
	moved = c.setCount(down, wantDown) || moved
	if wantDown == 0 && up.Stable && int(up.Computed) == desired {
		down.Status, up.Count = setDraining, nil
		return true
	}
	return moved
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
