package ecs

import (
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// eventQueue keeps the runtime's events in order until the scheduler takes them. A runtime may report from anywhere, even from within Stop.
type eventQueue struct {
	mu      sync.Mutex
	waiting []TaskEvent
	armed   bool
}

// report takes an event from the runtime.
func (c *ECS) report(ev TaskEvent) {
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	c.events.waiting = append(c.events.waiting, ev)
	if c.events.armed {
		return
	}
	c.events.armed = true
	c.after(0, c.takeEvents)
}

func (c *ECS) takeEvents() {
	c.events.mu.Lock()
	events := c.events.waiting
	c.events.waiting, c.events.armed = nil, false
	c.events.mu.Unlock()
	for _, ev := range events {
		if cl, t := c.st.findTask(ev.TaskID); t != nil {
			c.apply(cl, t, ev)
		}
	}
}

func (s *state) findTask(id string) (*cluster, *task) {
	for _, cl := range s.Clusters {
		if t := cl.Tasks[id]; t != nil {
			return cl, t
		}
	}
	return nil, nil
}

// apply carries one event of the runtime into the task's life.
func (c *ECS) apply(cl *cluster, t *task, ev TaskEvent) {
	if t.LastStatus == statusStopped || t.LastStatus == statusDeprovisioning {
		return
	}
	switch ev.Kind {
	case EventRunning:
		c.taskUp(cl, t)
	case EventFailed:
		if ev.Container != "" {
			t.containerEnded(ev.Container, nil, ev.Reason)
		}
		c.noteStop(t, types.TaskStopCodeTaskFailedToStart, ev.Reason)
		c.taskEnded(cl, t)
	case EventExited:
		code := int32(ev.ExitCode)
		c.containerExited(cl, t, ev.Container, &code, ev.Reason)
	}
}

// taskUp: all containers run. The task is registered with its target group while ACTIVATING and is RUNNING then.
func (c *ECS) taskUp(cl *cluster, t *task) {
	if t.LastStatus != statusPending {
		return // asked to stop in the meantime
	}
	for i := range t.Containers {
		t.Containers[i].Status = statusRunning
	}
	t.LastStatus, t.StartedAt = statusRunning, c.now()
	t.Version++
	for _, target := range t.Targets {
		c.cfg.Balancer.Register(target.Group, t.IP, t.IP, int(target.Port))
		t.Registered = true
		if s := cl.Services[t.Service]; s != nil {
			c.event(s, fmt.Sprintf("(service %s, taskSet %s) registered 1 targets in (target-group %s)", s.Name, t.Set, target.Group))
		}
	}
}

func (t *task) containerEnded(name string, code *int32, reason string) (essential bool) {
	for i := range t.Containers {
		ct := &t.Containers[i]
		if ct.Name != name || ct.Status == statusStopped {
			continue
		}
		ct.Status, ct.ExitCode, ct.Reason = statusStopped, code, reason
		essential = ct.Essential
	}
	return essential
}

func (t *task) allStopped() bool {
	for i := range t.Containers {
		if t.Containers[i].Status != statusStopped {
			return false
		}
	}
	return true
}

// containerExited: an essential container takes the task with it (API, ContainerDefinition.essential).
func (c *ECS) containerExited(cl *cluster, t *task, name string, code *int32, reason string) {
	essential := t.containerEnded(name, code, reason)
	t.Version++
	if t.allStopped() {
		c.noteStop(t, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
		c.taskEnded(cl, t)
		return
	}
	if essential && t.DesiredStatus == statusRunning {
		c.noteStop(t, types.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
		c.deregister(t)
		c.kill(t)
	}
}

// noteStop records why a task stops; the first reason stays.
func (c *ECS) noteStop(t *task, code types.TaskStopCode, reason string) {
	if t.DesiredStatus == statusStopped {
		return
	}
	t.DesiredStatus, t.StoppingAt = statusStopped, c.now()
	t.StopCode, t.StoppedReason = code, reason
	t.Version++
	if t.Set != "" && (code == types.TaskStopCodeTaskFailedToStart || code == types.TaskStopCodeEssentialContainerExited) {
		c.noteFailure(t)
	}
}

// stop begins the planned end of a task: it is deregistered, waits for draining, gets SIGTERM and, after the stop timeout, SIGKILL.
func (c *ECS) stop(cl *cluster, t *task, code types.TaskStopCode, reason string) {
	if t.DesiredStatus == statusStopped {
		return
	}
	c.noteStop(t, code, reason)
	switch {
	case !t.Launched:
		c.taskEnded(cl, t)
	case t.Registered:
		t.LastStatus = statusDeactivating
		c.deregister(t)
		if c.drained(t) {
			c.kill(t)
		}
	default:
		c.kill(t)
	}
}

func (c *ECS) deregister(t *task) {
	if !t.Registered {
		return
	}
	t.Registered = false
	for _, target := range t.Targets {
		c.cfg.Balancer.Deregister(target.Group, t.IP)
	}
}

// drained reports whether no target group still lets requests of the task finish.
func (c *ECS) drained(t *task) bool {
	for _, target := range t.Targets {
		if state, _ := c.cfg.Balancer.Health(target.Group, t.IP); state == "draining" {
			return false
		}
	}
	return true
}

// kill sends the stop signal.
func (c *ECS) kill(t *task) {
	t.LastStatus = statusStopping
	t.Version++
	id, grace := t.ID, t.StopTimeout
	c.later(func() { c.cfg.Runtime.Stop(id, grace) })
}

// taskEnded: nothing of the task runs any more.
func (c *ECS) taskEnded(cl *cluster, t *task) {
	c.deregister(t)
	t.LastStatus, t.ExecutionStopped = statusDeprovisioning, c.now()
	t.Version++
	for i := range t.Containers {
		t.Containers[i].Status = statusStopped
	}
	if t.Launched {
		// A runtime that failed to start some containers may still hold others; unknown ids are ignored.
		id := t.ID
		c.later(func() { c.cfg.Runtime.Stop(id, 0) })
	}
	if c.cfg.Timing.Deprovision <= 0 {
		c.taskStopped(cl, t)
	} else {
		c.after(c.cfg.Timing.Deprovision, func() { c.taskStopped(cl, t) })
	}
	c.reconcileNamed(cl, t.Service) // a replacement does not wait for the network interface to go
}

// keepStopped is how long a STOPPED task can be described (DG: "stopped tasks only appear in the Amazon ECS console, AWS CLI, and AWS SDKs for at
// least 1 hour after the task stops").
const keepStopped = time.Hour

func (c *ECS) taskStopped(cl *cluster, t *task) {
	t.LastStatus, t.StoppedAt = statusStopped, c.now()
	t.Version++
	c.after(keepStopped, func() { delete(cl.Tasks, t.ID) })
	c.reconcileNamed(cl, t.Service)
}
