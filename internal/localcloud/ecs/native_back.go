package ecs

import (
	"time"

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
		target.Status, s.revision(r.Target).Good = setActive, false
	}
}

// goBack shifts the traffic back once the former revision can take it, then ends the tasks of every other one.
func (c *ECS) goBack(s *service, r *rollout) bool {
	source := c.source(s, r)
	if r.strategy() == types.DeploymentStrategyRolling {
		if down := s.others(source); len(down) > 0 {
			return c.replace(s, source, down)
		}
	} else {
		switch r.Phase {
		case 0:
			if s.shifted(source) && !source.Stable {
				return false
			}
			if r.Phase = 2; c.withdraw(s, source) {
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
			for _, set := range s.others(source) {
				set.Status = setDraining
			}
			return true
		}
	}
	if len(s.Sets) > 1 || !source.Stable {
		return false
	}
	r.Status, r.FinishedAt, r.UpdatedAt = types.ServiceDeploymentStatusRollbackSuccessful, c.now(), c.now()
	return true
}
