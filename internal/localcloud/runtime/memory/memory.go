// Package memory runs the local cloud's tasks without processes or sockets:
// every image has a scripted behaviour and only timers of package time run, so
// that everything stands still inside a testing/synctest bubble until time is
// advanced. It answers health checks and routed requests itself.
package memory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// Behaviour is what the container of an image does. The zero value starts at
// once, is healthy from then on and runs until it is stopped.
type Behaviour struct {
	// StartDelay passes before the task runs.
	StartDelay time.Duration
	// FailToStart makes the task fail after StartDelay, with FailReason.
	FailToStart bool
	// FailReason defaults to a CannotStartContainerError.
	FailReason string
	// HealthyAfter passes, counted from when the task runs, before health
	// checks succeed; negative means never.
	HealthyAfter time.Duration
	// UnhealthyAfter is when they fail again, counted likewise; 0 for never.
	UnhealthyAfter time.Duration
	// ExitAfter ends the container, counted likewise, with ExitCode; 0 for never.
	ExitAfter time.Duration
	ExitCode  int
	// StopAfter is how long the container takes to end after SIGTERM; it is
	// killed (exit code 137) when that is longer than the grace it is given.
	StopAfter time.Duration
}

// Script gives the behaviour of an image; false says there is no such image.
type Script func(image string) (Behaviour, bool)

// exitKilled is the exit code of a process ended by SIGKILL: 128 + 9.
const exitKilled = 137

// errRefused stands for a refused connection.
var errRefused = errors.New("connection refused")

// Runtime is a task runtime in memory. It implements ecs.Runtime, elb.Prober
// and router.Deliverer.
type Runtime struct {
	// Clock defaults to that of package time. It must not change once a task was started.
	Clock clock.Clock

	script Script

	mu     sync.Mutex
	closed bool
	tasks  map[string]*task
}

type task struct {
	spec       ecs.TaskSpec
	report     func(ecs.TaskEvent)
	behaviours []Behaviour // one per container
	running    bool
	started    time.Time
	override   *bool  // health set by SetHealthy
	ended      []bool // per container
	timers     []clock.Timer
	queue      []ecs.TaskEvent
	reporting  bool
}

// New makes a runtime. A nil script knows every image and lets it behave well.
func New(script Script) *Runtime {
	if script == nil {
		script = func(string) (Behaviour, bool) { return Behaviour{}, true }
	}
	return &Runtime{Clock: clock.Real(), script: script, tasks: map[string]*task{}}
}

// Start begins a task. Events come from goroutines of timers, one at a time
// per task; none comes before the timers run.
func (r *Runtime) Start(spec ecs.TaskSpec, report func(ecs.TaskEvent)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("start task: the runtime is closed")
	}
	if _, ok := r.tasks[spec.ID]; ok {
		return fmt.Errorf("start task: %s exists already", spec.ID)
	}
	t := &task{spec: spec, report: report, ended: make([]bool, len(spec.Containers))}
	r.tasks[spec.ID] = t
	var delay time.Duration
	for _, c := range spec.Containers {
		b, ok := r.script(c.Image)
		if !ok {
			reason := fmt.Sprintf("CannotPullContainerError: image %q is not in the catalogue", c.Image)
			r.after(t, 0, func() { r.fail(t, c.Name, reason) })
			return nil
		}
		t.behaviours = append(t.behaviours, b)
		delay = max(delay, b.StartDelay)
	}
	r.after(t, delay, func() { r.begin(t) })
	return nil
}

// after runs f with the lock held and then hands the queued events over.
func (r *Runtime) after(t *task, d time.Duration, f func()) {
	t.timers = append(t.timers, r.Clock.AfterFunc(d, func() {
		r.mu.Lock()
		if !r.closed {
			f()
		}
		r.mu.Unlock()
		r.drain(t)
	}))
}

// drain reports the queued events in order. Whoever finds nobody reporting
// does it, so that reports of one task never overlap.
func (r *Runtime) drain(t *task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.reporting {
		return
	}
	t.reporting = true
	defer func() { t.reporting = false }()
	for len(t.queue) > 0 && !r.closed {
		ev := t.queue[0]
		t.queue = t.queue[1:]
		r.mu.Unlock()
		t.report(ev)
		r.mu.Lock()
	}
}

func (r *Runtime) fail(t *task, container, reason string) {
	t.queue = append(t.queue, ecs.TaskEvent{TaskID: t.spec.ID, Container: container, Kind: ecs.EventFailed, Reason: reason})
	r.forget(t)
}

func (r *Runtime) forget(t *task) {
	for _, timer := range t.timers {
		timer.Stop()
	}
	delete(r.tasks, t.spec.ID)
}

func (r *Runtime) begin(t *task) {
	for i, b := range t.behaviours {
		if b.FailToStart {
			reason := b.FailReason
			if reason == "" {
				reason = "CannotStartContainerError: told to fail"
			}
			r.fail(t, t.spec.Containers[i].Name, reason)
			return
		}
	}
	t.running, t.started = true, time.Now()
	t.queue = append(t.queue, ecs.TaskEvent{TaskID: t.spec.ID, Kind: ecs.EventRunning})
	for i, b := range t.behaviours {
		if b.ExitAfter > 0 {
			r.after(t, b.ExitAfter, func() { r.exit(t, i, b.ExitCode, "") })
		}
	}
}

// exit ends one container; the task is gone with its last one.
func (r *Runtime) exit(t *task, container, code int, reason string) {
	if t.ended[container] || !t.running {
		return
	}
	t.ended[container] = true
	t.queue = append(t.queue, ecs.TaskEvent{
		TaskID: t.spec.ID, Container: t.spec.Containers[container].Name, Kind: ecs.EventExited, ExitCode: code, Reason: reason,
	})
	if !slices.Contains(t.ended, false) {
		r.forget(t)
	}
}

// Stop asks every container of the task to end. One that has not started yet
// ends at once and is reported as exited with code 137.
func (r *Runtime) Stop(taskID string, grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tasks[taskID]
	if t == nil {
		return
	}
	if !t.running {
		for _, timer := range t.timers {
			timer.Stop()
		}
		r.after(t, 0, func() {
			t.running = true
			for i := range t.spec.Containers {
				r.exit(t, i, exitKilled, "stopped before it started")
			}
		})
		return
	}
	for i, b := range t.behaviours {
		wait, code := b.StopAfter, 0
		if wait > grace {
			wait, code = grace, exitKilled
		}
		r.after(t, wait, func() { r.exit(t, i, code, "") })
	}
}

// Close drops all tasks without reporting their end.
func (r *Runtime) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, t := range r.tasks {
		r.forget(t)
	}
}

// SetHealthy overrides the scripted health of a task.
func (r *Runtime) SetHealthy(taskID string, healthy bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tasks[taskID]; t != nil {
		t.override = &healthy
	}
}

// Exit ends every container of a running task with the code, as a crash does.
func (r *Runtime) Exit(taskID string, code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tasks[taskID]
	if t == nil || !t.running {
		return
	}
	r.after(t, 0, func() {
		for i := range t.spec.Containers {
			r.exit(t, i, code, "")
		}
	})
}

// Tasks returns the ids of all tasks that have not ended, sorted.
func (r *Runtime) Tasks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.tasks))
	for id := range r.tasks {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

// Probe answers a health check: an error when nothing listens at the address,
// 503 from an unhealthy task, 200 from a healthy one.
func (r *Runtime) Probe(_ context.Context, address string) (int, error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, fmt.Errorf("health check: %w", err)
	}
	healthy, err := r.lookup(u.Host)
	switch {
	case err != nil:
		return 0, fmt.Errorf("health check: %w", err)
	case !healthy:
		return http.StatusServiceUnavailable, nil
	}
	return http.StatusOK, nil
}

// Deliver answers a routed request: 200 from any running task, an error when
// nothing listens at the address.
func (r *Runtime) Deliver(_ context.Context, addr string, _ router.Request) (int, error) {
	if _, err := r.lookup(addr); err != nil {
		return 0, fmt.Errorf("deliver: %w", err)
	}
	return http.StatusOK, nil
}

// lookup finds the running task with the address's IP. Where its containers
// name ports, the address must name one of them.
func (r *Runtime) lookup(addr string) (healthy bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tasks {
		if t.spec.IP != host || !t.running {
			continue
		}
		if i := t.serving(port); i >= 0 {
			return t.healthy(i), nil
		}
	}
	return false, fmt.Errorf("dial tcp %s: %w", addr, errRefused)
}

// serving is the index of the container that listens on the port, -1 for none.
func (t *task) serving(port string) int {
	for i, c := range t.spec.Containers {
		if t.ended[i] {
			continue
		}
		if len(c.Ports) == 0 && len(t.spec.Containers) == 1 {
			return i
		}
		for _, p := range c.Ports {
			if fmt.Sprint(p) == port {
				return i
			}
		}
	}
	return -1
}

func (t *task) healthy(container int) bool {
	if t.override != nil {
		return *t.override
	}
	b, up := t.behaviours[container], time.Since(t.started)
	return b.HealthyAfter >= 0 && up >= b.HealthyAfter && (b.UnhealthyAfter == 0 || up < b.UnhealthyAfter)
}
