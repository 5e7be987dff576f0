package ecs

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Back-off of restarts. DG "Service throttle logic": the time between restarts of tasks that repeatedly fail is "incrementally increased up to a
// maximum of 27 minutes". How it grows is not documented; here the first replacement starts at once and the wait then doubles from one second.
// A task that ran for goodRun before it ended starts the count again.
const (
	firstRetry = time.Second
	lastRetry  = 27 * time.Minute
	goodRun    = time.Minute
)

func (c *ECS) noteFailure(t *task) {
	_, set := c.owner(t)
	if set == nil {
		return
	}
	set.Failed++
	now := c.now()
	if !t.StartedAt.IsZero() && now.Sub(t.StartedAt) >= goodRun {
		set.Failures = 0
	}
	if now.Before(set.RetryAt) {
		return // one wave of failures counts once
	}
	set.Failures++
	if set.Failures == 1 {
		set.RetryAt = now
		return
	}
	wait := lastRetry
	if n := set.Failures - 2; n < 12 {
		wait = min(firstRetry<<n, lastRetry)
	}
	set.RetryAt = now.Add(wait)
}

func (c *ECS) owner(t *task) (*service, *taskSet) {
	cl := c.st.Clusters[t.Cluster]
	if cl == nil || t.Set == "" {
		return nil, nil
	}
	s := cl.Services[t.Service]
	if s == nil {
		return nil, nil
	}
	return s, s.set(t.Set)
}

func (c *ECS) reconcileNamed(cl *cluster, name string) {
	if s := cl.Services[name]; s != nil {
		c.reconcile(cl, s)
	}
}

// computed is the task count of a set: ceil(desired × scale / 100) (API, TaskSet.computedDesiredCount: "the result is always rounded up").
func computed(desired int32, scale float64) int32 {
	// The scale has decimals that binary fractions only approximate; one part in 10^9 is far below any real step.
	return int32(math.Ceil(float64(desired)*scale/100 - 1e-9))
}

// reconcile brings the tasks of a service to what its sets ask for, and removes sets and services whose end has come.
func (c *ECS) reconcile(cl *cluster, s *service) {
	for _, set := range slices.Clone(s.Sets) {
		c.reconcileSet(cl, s, set)
	}
	s.Sets = slices.DeleteFunc(s.Sets, func(set *taskSet) bool {
		return set.Status == setDraining && len(cl.tasksOf(s, set)) == 0
	})
	if s.Status == serviceDraining && len(s.Sets) == 0 {
		s.Status = serviceInactive
	}
}

func (c *ECS) reconcileSet(cl *cluster, s *service, set *taskSet) {
	want := computed(s.DesiredCount, set.Scale)
	if set.Count != nil {
		want = *set.Count
	}
	if s.Status != serviceActive || set.Status == setDraining {
		want = 0
	}
	if want != set.Computed {
		set.Computed, set.UpdatedAt = want, c.now()
	}
	var alive []*task
	for _, t := range cl.tasksOf(s, set) {
		if t.DesiredStatus == statusRunning {
			alive = append(alive, t)
		}
	}
	if missing := int(want) - len(alive); missing > 0 {
		c.startTasks(cl, s, set, missing)
	}
	if surplus := len(alive) - int(want); surplus > 0 {
		c.stopSurplus(cl, s, set, alive, surplus)
	}
}

func (c *ECS) startTasks(cl *cluster, s *service, set *taskSet, n int) {
	now := c.now()
	if now.Before(set.RetryAt) {
		if set.retryArmed != set.RetryAt {
			set.retryArmed = set.RetryAt
			c.after(set.RetryAt.Sub(now), func() { c.reconcileNamed(cl, s.Name) })
		}
		return
	}
	ids := make([]string, n)
	for i := range n {
		t := c.newServiceTask(cl, s, set)
		ids[i] = "(task " + t.ID + ")"
		c.launch(cl, t)
	}
	c.event(s, fmt.Sprintf("(service %s, taskSet %s) has started %d tasks: %s.", s.Name, set.ID, n, strings.Join(ids, " ")))
}

// stopSurplus ends the tasks of least worth first: those that do not run yet, then the newest. DG ("Task placement", scale-in) leaves the order within
// one zone open.
func (c *ECS) stopSurplus(cl *cluster, s *service, set *taskSet, alive []*task, n int) {
	slices.SortStableFunc(alive, func(a, b *task) int {
		if ar, br := a.LastStatus == statusRunning, b.LastStatus == statusRunning; ar != br {
			if br {
				return -1
			}
			return 1
		}
		return int(b.Seq - a.Seq)
	})
	ids := make([]string, n)
	for i, t := range alive[:n] {
		ids[i] = "(task " + t.ID + ")"
		c.stop(cl, t, types.TaskStopCodeServiceSchedulerInitiated, fmt.Sprintf("Scaling activity initiated by (deployment %s)", set.ID))
	}
	c.event(s, fmt.Sprintf("(service %s, taskSet %s) has stopped %d running tasks: %s.", s.Name, set.ID, n, strings.Join(ids, " ")))
}

// launch takes a new task through PROVISIONING to the runtime.
func (c *ECS) launch(cl *cluster, t *task) {
	c.after(c.cfg.Timing.Provision, func() {
		if t.LastStatus != statusProvisioning {
			return
		}
		t.LastStatus, t.Launched = statusPending, true
		t.Version++
		for i := range t.Containers {
			t.Containers[i].Status = statusPending
		}
		spec, err := c.spec(t)
		if err != nil {
			c.noteStop(t, types.TaskStopCodeTaskFailedToStart, err.Error())
			c.taskEnded(cl, t)
			return
		}
		c.later(func() {
			if err := c.cfg.Runtime.Start(spec, c.report); err != nil {
				c.report(TaskEvent{TaskID: spec.ID, Kind: EventFailed, Reason: err.Error()})
			}
		})
	})
}

// judge decides whether each set is in steady state. API, TaskSet.stabilityStatus: STEADY_STATE when runningCount equals computedDesiredCount, pendingCount
// is 0, no tasks run on draining container instances, and all tasks report healthy from load balancers, service discovery and container checks.
func (c *ECS) judge(cl *cluster, s *service, now time.Time) {
	for _, set := range s.Sets {
		tasks := cl.tasksOf(s, set)
		pending, running := counts(tasks)
		stable := running == set.Computed && pending == 0 && c.targetsHealthy(tasks)
		if stable == set.Stable {
			continue
		}
		set.Stable, set.StableAt = stable, now
		if stable {
			c.event(s, fmt.Sprintf("(service %s, taskSet %s) has reached a steady state.", s.Name, set.ID))
		}
	}
}

func (c *ECS) targetsHealthy(tasks []*task) bool {
	for _, t := range tasks {
		if t.LastStatus != statusRunning {
			continue
		}
		for _, target := range t.Targets {
			if state, _ := c.cfg.Balancer.Health(target.Group, t.IP); state != "healthy" {
				return false
			}
		}
	}
	return true
}

// armWatch keeps one timer going while target health can matter: tasks registered, or waiting for draining to end.
func (c *ECS) armWatch() {
	if c.watch != nil || c.closed {
		return
	}
	for _, cl := range c.st.Clusters {
		for _, t := range cl.Tasks {
			if t.Registered || t.LastStatus == statusDeactivating {
				c.watch = c.cfg.Clock.AfterFunc(c.cfg.Timing.Watch, c.onWatch)
				return
			}
		}
	}
}

func (c *ECS) onWatch() {
	c.mu.Lock()
	c.watch = nil
	if c.closed {
		c.mu.Unlock()
		return
	}
	acted := false
	for _, t := range c.st.sortedTasks() {
		cl := c.st.Clusters[t.Cluster]
		switch {
		case t.LastStatus == statusDeactivating && c.drained(t):
			c.kill(t)
			acted = true
		case t.LastStatus == statusRunning && t.Registered:
			acted = c.checkTargets(cl, t) || acted
		}
	}
	c.settle()
	if acted || c.advanced {
		c.unlock()
	} else {
		c.mu.Unlock() // nothing to save and nothing to call
	}
}

// checkTargets ends a task whose target is unhealthy once its grace period is over, and reports whether it did. API, Service.healthCheckGracePeriodSeconds: the scheduler ignores unhealthy
// target, container and Route 53 checks for this long after a task has first started; the default is 0.
func (c *ECS) checkTargets(cl *cluster, t *task) bool {
	s, set := c.owner(t)
	if s == nil || set == nil {
		return false
	}
	grace := time.Duration(0)
	if s.Grace != nil {
		grace = time.Duration(*s.Grace) * time.Second
	}
	if c.now().Sub(t.StartedAt) < grace {
		return false
	}
	for _, target := range t.Targets {
		if state, _ := c.cfg.Balancer.Health(target.Group, t.IP); state != "unhealthy" {
			continue
		}
		c.event(s, fmt.Sprintf("(service %s) (port %d) is unhealthy in (target-group %s) due to (reason Health checks failed).", s.Name, target.Port, target.Group))
		c.noteFailure(t)
		c.stop(cl, t, types.TaskStopCodeServiceSchedulerInitiated, fmt.Sprintf("Task failed ELB health checks in (target-group %s)", target.Group))
		c.reconcile(cl, s)
		return true
	}
	return false
}

// maxEvents is how many events a service keeps (API, Service.events: "up to the last 100").
const maxEvents = 100

func (c *ECS) event(s *service, message string) {
	s.Events = slices.Insert(s.Events, 0, serviceEvent{ID: dashedID(c.evRnd), Message: message, At: c.now()})
	if len(s.Events) > maxEvents {
		s.Events = s.Events[:maxEvents]
	}
}
