// Package process runs the local cloud's tasks and functions as child
// processes: every container of a task, and every instance of a function, is
// one process in a process group of its own, found through a catalogue that
// maps image names to commands, or in the zip of the function. No child outlives the
// runtime: Close ends and awaits all of them, and on Linux the kernel kills
// them when the parent dies without having done so.
package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
)

// Limits of what is kept of the output of tasks.
const (
	defaultLogBytes = 64 << 10
	keptLogs        = 100 // ended tasks whose output is still there
)

// defaultPort is where a demo service listens whose container names no port.
const defaultPort = 8080

// Options say how tasks are run.
type Options struct {
	// Catalogue is asked for every image; nil means DemoCatalogue.
	Catalogue Catalogue
	// LogBytes bounds the output kept per task, 0 means 64 KiB. The oldest
	// output is dropped.
	LogBytes int
	// CloseGrace is the time tasks have between SIGTERM and SIGKILL when the
	// runtime is closed; 0 means 2 s.
	CloseGrace time.Duration
	// Logger defaults to one that drops everything.
	Logger *slog.Logger
}

// Runtime runs tasks and functions. It implements ecs.Runtime and lambda.Runtime.
type Runtime struct {
	opts  Options
	log   *slog.Logger
	forks chan fork
	tasks sync.WaitGroup // goroutines of tasks
	fork  sync.WaitGroup // the one goroutine that starts processes

	mu     sync.Mutex
	closed bool
	live   map[string]*task
	ended  []*task          // newest last
	pools  map[string]*pool // instances of functions, by key
}

// task is one running task. Its goroutine alone reports events.
type task struct {
	spec    ecs.TaskSpec
	report  func(ecs.TaskEvent)
	output  *ring
	created chan struct{} // closed when Start returns

	mu         sync.Mutex
	stopped    bool
	containers []*container
	kill       *time.Timer
}

type container struct {
	name string
	cmd  *exec.Cmd
	done bool // guarded by task.mu; the process may not be signalled any more
}

// fork asks the starting goroutine for one process.
type fork struct {
	cmd  *exec.Cmd
	done chan error
}

// New makes a runtime. Close it to end all tasks.
func New(opts Options) (*Runtime, error) {
	if opts.Catalogue == nil {
		demo, err := DemoCatalogue()
		if err != nil {
			return nil, err
		}
		opts.Catalogue = demo
	}
	if opts.LogBytes == 0 {
		opts.LogBytes = defaultLogBytes
	}
	if opts.CloseGrace == 0 {
		opts.CloseGrace = 2 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Runtime{opts: opts, log: opts.Logger, forks: make(chan fork), live: map[string]*task{}, pools: map[string]*pool{}}
	r.fork.Go(r.startProcesses)
	return r, nil
}

// startProcesses starts every process on one operating-system thread that
// lives as long as the runtime: Linux sends the parent-death signal when the
// thread that made the child ends, not the process.
func (r *Runtime) startProcesses() {
	goruntime.LockOSThread() // never unlocked: the thread ends with this goroutine
	for f := range r.forks {
		f.done <- f.cmd.Start()
	}
}

// Start launches the containers of one task. It returns at once; whether they
// could be started comes as an event.
func (r *Runtime) Start(spec ecs.TaskSpec, report func(ecs.TaskEvent)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("start task: the runtime is closed")
	}
	if _, ok := r.live[spec.ID]; ok {
		return fmt.Errorf("start task: %s exists already", spec.ID)
	}
	t := &task{spec: spec, report: report, output: newRing(r.opts.LogBytes), created: make(chan struct{})}
	defer close(t.created)
	r.live[spec.ID] = t
	r.tasks.Go(func() {
		<-t.created
		r.run(t)
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.live, spec.ID)
		if r.ended = append(r.ended, t); len(r.ended) > keptLogs {
			r.ended = r.ended[1:]
		}
	})
	return nil
}

// run is the life of a task from its first process to the end of its last.
func (r *Runtime) run(t *task) {
	failed, reason, err := r.launch(t)
	exits := make(chan ecs.TaskEvent, len(t.containers))
	var waiting sync.WaitGroup
	for _, c := range t.containers {
		waiting.Go(func() { exits <- t.wait(c) })
	}
	defer waiting.Wait()
	switch {
	case err != nil:
		t.signal(killProcess)
		for range t.containers {
			<-exits
		}
		r.log.Warn("task did not start", "task", t.spec.ID, "container", failed, "error", err)
		t.report(ecs.TaskEvent{TaskID: t.spec.ID, Container: failed, Kind: ecs.EventFailed, Reason: reason})
		return
	case len(t.containers) < len(t.spec.Containers): // stopped before the start
		for _, c := range t.spec.Containers {
			t.report(ecs.TaskEvent{
				TaskID: t.spec.ID, Container: c.Name, Kind: ecs.EventExited, ExitCode: exitKilled, Reason: "stopped before it started",
			})
		}
		return
	}
	t.report(ecs.TaskEvent{TaskID: t.spec.ID, Kind: ecs.EventRunning})
	for range t.containers {
		t.report(<-exits)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kill != nil {
		t.kill.Stop()
	}
}

// launch starts the processes of all containers, or none when the task was
// stopped already. On an error it names the container.
func (r *Runtime) launch(t *task) (name, reason string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return "", "", nil
	}
	for _, spec := range t.spec.Containers {
		program, ok := r.opts.Catalogue.Lookup(spec.Image)
		if !ok {
			reason := fmt.Sprintf("CannotPullContainerError: image %q is not in the catalogue", spec.Image)
			return spec.Name, reason, errors.New(reason)
		}
		cmd := command(program, t.spec, spec)
		cmd.Stdout, cmd.Stderr = t.output, t.output
		f := fork{cmd, make(chan error, 1)}
		r.forks <- f
		if err := <-f.done; err != nil {
			return spec.Name, "CannotStartContainerError: " + err.Error(), fmt.Errorf("start container %s: %w", spec.Name, err)
		}
		t.containers = append(t.containers, &container{name: spec.Name, cmd: cmd})
	}
	return "", "", nil
}

// command makes the process of one container. The environment is the
// container's own: nothing of the parent's but what programs need to run at
// all, so that no credential leaks into a task.
func command(p Program, t ecs.TaskSpec, c ecs.ContainerSpec) *exec.Cmd {
	cmd := exec.Command(p.Argv[0], append(append([]string{}, p.Argv[1:]...), c.Command...)...)
	cmd.Dir = p.Dir
	var listen []string
	for _, port := range c.Ports {
		listen = append(listen, net.JoinHostPort(t.IP, strconv.Itoa(port)))
	}
	if len(listen) == 0 {
		listen = []string{net.JoinHostPort(t.IP, strconv.Itoa(defaultPort))}
	}
	_, port, _ := net.SplitHostPort(listen[0])
	env := map[string]string{
		demosvc.EnvTaskID: t.ID,
		demosvc.EnvListen: strings.Join(listen, ","),
		"HOST":            t.IP,
		"PORT":            port,
	}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LANG"} {
		if v, ok := os.LookupEnv(name); ok {
			env[name] = v
		}
	}
	for _, more := range []map[string]string{p.Env, c.Env} {
		for k, v := range more {
			env[k] = v
		}
	}
	cmd.Env = []string{} // not nil: nil would hand the parent's environment down
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.WaitDelay = time.Second // a grandchild may hold the output open
	isolate(cmd)
	return cmd
}

// wait awaits the end of one process and of whatever it left behind.
func (t *task) wait(c *container) ecs.TaskEvent {
	err := c.cmd.Wait()
	t.mu.Lock()
	c.done = true
	killProcess(c.cmd) // the rest of its group
	t.mu.Unlock()
	ev := ecs.TaskEvent{TaskID: t.spec.ID, Container: c.name, Kind: ecs.EventExited, ExitCode: exitCode(c.cmd.ProcessState)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		ev.Reason = err.Error()
	}
	return ev
}

// signal does something to every process that has not been awaited yet.
func (t *task) signal(send func(*exec.Cmd)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signalLocked(send)
}

func (t *task) signalLocked(send func(*exec.Cmd)) {
	for _, c := range t.containers {
		if !c.done {
			send(c.cmd)
		}
	}
}

// Stop asks the task to end: SIGTERM to every process group, SIGKILL after
// grace. Unknown ids are ignored.
func (r *Runtime) Stop(taskID string, grace time.Duration) {
	r.mu.Lock()
	t := r.live[taskID]
	r.mu.Unlock()
	if t != nil {
		t.stop(grace)
	}
}

func (t *task) stop(grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = true
	t.signalLocked(terminateProcess)
	if t.kill != nil {
		t.kill.Stop()
	}
	t.kill = time.AfterFunc(grace, func() { t.signal(killProcess) })
}

// Logs returns the last output of a task, of an ended one too as long as it is
// among the last hundred; nil for an unknown task.
func (r *Runtime) Logs(taskID string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.live[taskID]; t != nil {
		return t.output.bytes()
	}
	for i := len(r.ended) - 1; i >= 0; i-- {
		if r.ended[i].spec.ID == taskID {
			return r.ended[i].output.bytes()
		}
	}
	return nil
}

// Close ends all tasks and waits for them; their last events are reported.
func (r *Runtime) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	live := make([]*task, 0, len(r.live))
	for _, t := range r.live {
		live = append(live, t)
	}
	pools := r.pools
	r.pools = nil
	r.mu.Unlock()
	for _, t := range live {
		t.stop(r.opts.CloseGrace)
	}
	for _, p := range pools {
		p.close(true)
	}
	r.tasks.Wait()
	close(r.forks)
	r.fork.Wait()
}
