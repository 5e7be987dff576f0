package ecs

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Save returns the control plane's state for the disk.
func (c *ECS) Save() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body, err := json.Marshal(c.st)
	if err != nil {
		return nil, fmt.Errorf("save ecs state: %w", err)
	}
	return body, nil
}

// Load replaces the state by what Save returned. Tasks that ran when it was saved have ended with the program that ran them: they are STOPPED
// with the reason of a lost instance, and services start others. Target groups must have been loaded into the balancer before.
func (c *ECS) Load(body []byte) error {
	st := newState()
	if err := json.Unmarshal(body, st); err != nil {
		return fmt.Errorf("load ecs state: %w", err)
	}
	c.mu.Lock()
	defer c.unlock()
	c.st, c.history = st, nil
	for _, cl := range st.sortedClusters() {
		for _, t := range cl.sortedTasks() {
			c.lose(cl, t)
		}
		for _, s := range cl.sortedServices() {
			c.rearm(s)
			c.reconcile(cl, s)
		}
	}
	c.settle()
	return nil
}

// lose ends a task whose processes went away with the machine.
func (c *ECS) lose(cl *cluster, t *task) {
	if t.LastStatus == statusStopped {
		c.after(keepStopped, func() { delete(cl.Tasks, t.ID) })
		return
	}
	t.Launched = false // the runtime of this program has never heard of it
	c.noteStop(t, types.TaskStopCodeTerminationNotice, "Host terminated: the local cloud was restarted.")
	c.taskEnded(cl, t)
}

// rearm sets the timers of a service deployment that was under way.
func (c *ECS) rearm(s *service) {
	r := s.rollout()
	if r == nil || r.over() {
		return
	}
	at := []time.Time{r.StageAt.Add(stageLength), r.Due}
	for _, h := range r.Hooks {
		at = append(at, h.Expires)
	}
	for _, t := range at {
		if d := t.Sub(c.now()); d > 0 {
			c.after(d, func() {})
		}
	}
}
