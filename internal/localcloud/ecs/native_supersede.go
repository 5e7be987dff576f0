package ecs

import (
	"cmp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// supersede ends a deployment that another one takes the place of. None of its tasks ends and no weight moves here: what serves goes on serving, and the new
// deployment takes its place by its own rules. API, Deployment.status: "ACTIVE: service deployment that still has running tasks, but are in the process of
// being replaced with a new PRIMARY deployment"; DeploymentLifecycleHook: RECONCILE_SERVICE is for "a new service deployment with more than 1 service revision
// in an ACTIVE state". That the former deployment is STOPPED is the only one of the documented ends that fits.
func (c *ECS) supersede(s *service, r *rollout) {
	if s.revision(r.Target).Good { // only the end of the former tasks is awaited
		c.succeed(s, r)
		return
	}
	now := c.now()
	if source := c.source(s, r); source != nil && (r.shifts() || s.strategy() != types.DeploymentStrategyRolling) {
		if target := s.targetOf(r); target != nil {
			target.Status = setActive
		}
		source.Status = setPrimary // of two target groups, the new revision takes the one that this revision does not use
	}
	r.Status, r.Reason, r.FinishedAt, r.StoppedAt = types.ServiceDeploymentStatusStopped, "A newer service deployment took its place.", now, now
	r.Hooks = nil
}

// sources are the revisions that have tasks, the one that a rollback returns to last: DG "Amazon ECS service revisions", "Amazon ECS uses the last successful
// service revision for the rollback".
func sources(s *service) []string {
	var revs []*serviceRevision
	for _, set := range s.Sets {
		if rev := s.revisionOf(set); rev != nil && set.Status != setDraining {
			revs = append(revs, rev)
		}
	}
	slices.SortFunc(revs, func(a, b *serviceRevision) int {
		if a.Good != b.Good {
			if b.Good {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Seq, b.Seq)
	})
	var out []string
	for _, rev := range revs {
		out = append(out, rev.ARN)
	}
	return out
}

// source is the task set that a deployment goes back to.
func (c *ECS) source(s *service, r *rollout) *taskSet {
	for _, arn := range slices.Backward(r.Sources) {
		if rev := s.revision(arn); rev != nil {
			if set := s.set(rev.Set); set != nil {
				return set
			}
		}
	}
	return nil
}

// others are the sets beside one that do not drain, in the order of sources.
func (s *service) others(but *taskSet) []*taskSet {
	var out []*taskSet
	for _, arn := range sources(s) {
		if set := s.set(s.revision(arn).Set); set != but {
			out = append(out, set)
		}
	}
	return out
}

// shiftOf is the newest deployment of a set's revision.
func (s *service) shiftOf(set *taskSet) *rollout {
	rev := s.revisionOf(set)
	for _, r := range slices.Backward(s.Rollouts) {
		if rev != nil && r.Target == rev.ARN {
			return r
		}
	}
	return nil
}

// shifted reports whether a set beside one has traffic that a deployment shifted to it.
func (s *service) shifted(but *taskSet) bool {
	for _, set := range s.others(but) {
		if r := s.shiftOf(set); r != nil && r.shifts() && (r.Weight > 0 || r.TestWeight > 0) {
			return true
		}
	}
	return false
}

// withdraw gives one set the traffic of all others, and reports whether a weight moved.
func (c *ECS) withdraw(s *service, to *taskSet) bool {
	moved := false
	for _, set := range s.others(to) {
		if r := s.shiftOf(set); r != nil && r.shifts() && (r.Weight > 0 || r.TestWeight > 0) {
			c.shift(s, r, 0)
			moved = true
		}
	}
	return moved
}

// clear ends the tasks of revisions that are neither what a rollback returns to nor what the deployment brings in: the former gets all its tasks and the traffic
// first, and every node of the load balancer has the time to take that over.
func (c *ECS) clear(s *service, r *rollout) bool {
	source, target := c.source(s, r), s.targetOf(r)
	switch r.Phase {
	case 0:
		if source.Count != nil {
			source.Count = nil
			return true
		}
		if !source.Stable || source.Computed != s.DesiredCount {
			return false
		}
		c.withdraw(s, source)
		r.Phase = 1
		return true
	case 1:
		if !c.wait(r, c.cfg.Timing.Shift) {
			return false
		}
		r.Phase = 2
		return true
	}
	moved := false
	for _, set := range s.others(source) {
		if set != target {
			set.Status, moved = setDraining, true
		}
	}
	return moved
}
