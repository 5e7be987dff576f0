package process_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

var nextIP atomic.Int32

// newIP is a loopback address that no other task of this run has.
func newIP() string {
	n := nextIP.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 40+os.Getpid()%150, n/250, 1+n%250)
}

func newRuntime(t *testing.T, opts process.Options) *process.Runtime {
	t.Helper()
	r, err := process.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func spec(id, image string, env map[string]string) ecs.TaskSpec {
	return ecs.TaskSpec{ID: id, IP: newIP(), Containers: []ecs.ContainerSpec{
		{Name: "app", Image: image, Env: env, Ports: []int{8080}, Essential: true},
	}}
}

// next waits for one event.
func next(t *testing.T, events <-chan ecs.TaskEvent) ecs.TaskEvent {
	t.Helper()
	select {
	case ev := <-events:
		return ev
	case <-time.After(20 * time.Second):
		t.Fatal("no event in 20 s")
		panic("unreachable")
	}
}

// get polls until the address answers.
func get(t *testing.T, url string) (int, string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		resp, err := http.Get(url)
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			return resp.StatusCode, string(body)
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %v", url, err)
		}
	}
}

func start(t *testing.T, r *process.Runtime, s ecs.TaskSpec) <-chan ecs.TaskEvent {
	t.Helper()
	events := make(chan ecs.TaskEvent, 16)
	if err := r.Start(s, func(ev ecs.TaskEvent) { events <- ev }); err != nil {
		t.Fatal(err)
	}
	return events
}

func TestTaskRunsAndStops(t *testing.T) {
	r := newRuntime(t, process.Options{})
	s := spec("one", "demo:v7", nil)
	events := start(t, r, s)
	if diff := cmp.Diff(ecs.TaskEvent{TaskID: "one", Kind: ecs.EventRunning}, next(t, events)); diff != "" {
		t.Fatal(diff)
	}
	status, body := get(t, "http://"+s.IP+":8080/")
	if status != 200 || !strings.Contains(body, `"version":"v7"`) || !strings.Contains(body, `"taskId":"one"`) {
		t.Errorf("answer %d %s", status, body)
	}
	if err := r.Start(s, func(ecs.TaskEvent) {}); err == nil {
		t.Error("the same task was started twice")
	}
	r.Stop("one", 10*time.Second)
	want := ecs.TaskEvent{TaskID: "one", Container: "app", Kind: ecs.EventExited}
	if diff := cmp.Diff(want, next(t, events)); diff != "" {
		t.Error(diff)
	}
	if logs := r.Logs("one"); !bytes.Contains(logs, []byte("listening")) || !bytes.Contains(logs, []byte("stopping")) {
		t.Errorf("output of the ended task: %q", logs)
	}
	r.Stop("unknown", time.Second)
}

func TestUnknownImageFails(t *testing.T) {
	r := newRuntime(t, process.Options{})
	want := ecs.TaskEvent{
		TaskID: "t", Container: "app", Kind: ecs.EventFailed,
		Reason: `CannotPullContainerError: image "nginx:1" is not in the catalogue`,
	}
	if diff := cmp.Diff(want, next(t, start(t, r, spec("t", "nginx:1", nil)))); diff != "" {
		t.Error(diff)
	}
}

func TestSecondContainerThatCannotStartTakesTheFirstDown(t *testing.T) {
	r := newRuntime(t, process.Options{Catalogue: process.CatalogueFunc(func(image string) (process.Program, bool) {
		if image == "good" {
			return process.Program{Argv: []string{os.Args[0], "stubborn"}}, true
		}
		return process.Program{Argv: []string{"/does/not/exist"}}, true
	})})
	s := spec("t", "good", nil)
	s.Containers = append(s.Containers, ecs.ContainerSpec{Name: "side", Image: "bad"})
	ev := next(t, start(t, r, s))
	if ev.Kind != ecs.EventFailed || ev.Container != "side" || !strings.HasPrefix(ev.Reason, "CannotStartContainerError") {
		t.Errorf("event %+v", ev)
	}
}

func TestExitCodes(t *testing.T) {
	r := newRuntime(t, process.Options{})
	events := start(t, r, spec("crash", "demo:v1", map[string]string{
		"PENSTOCK_TASK_EXIT_AFTER": "1ms", "PENSTOCK_TASK_EXIT_CODE": "3",
	}))
	next(t, events)
	if ev := next(t, events); ev.Kind != ecs.EventExited || ev.ExitCode != 3 {
		t.Errorf("event %+v, want exit code 3", ev)
	}
}

func TestStopKillsAfterGraceAndHidesTheParentsEnvironment(t *testing.T) {
	t.Setenv("SECRET_OF_PARENT", "hunter2")
	r := newRuntime(t, process.Options{Catalogue: process.CatalogueFunc(func(string) (process.Program, bool) {
		return process.Program{Argv: []string{os.Args[0], "stubborn"}}, true
	})})
	events := start(t, r, spec("s", "x", nil))
	next(t, events)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !bytes.Contains(r.Logs("s"), []byte("ignoring")); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the program did not start")
		}
	}
	r.Stop("s", 50*time.Millisecond)
	if ev := next(t, events); ev.ExitCode != 128+int(syscall.SIGKILL) {
		t.Errorf("event %+v, want exit code 137", ev)
	}
	if bytes.Contains(r.Logs("s"), []byte("hunter2")) {
		t.Error("the task saw a variable of its parent")
	}
}

func TestStopBeforeStart(t *testing.T) {
	held := make(chan struct{})
	r := newRuntime(t, process.Options{Catalogue: process.CatalogueFunc(func(string) (process.Program, bool) {
		<-held
		return process.Program{Argv: []string{os.Args[0], "stubborn"}}, true
	})})
	events := start(t, r, spec("s", "x", nil))
	go func() { close(held) }()
	r.Stop("s", 0)
	for {
		ev := next(t, events)
		if ev.Kind == ecs.EventRunning { // Stop came after the start
			continue
		}
		if ev.Kind != ecs.EventExited || ev.ExitCode != 137 && ev.ExitCode != 143 {
			t.Errorf("event %+v", ev)
		}
		return
	}
}

func TestCloseEndsEverything(t *testing.T) {
	r := newRuntime(t, process.Options{CloseGrace: 50 * time.Millisecond, Catalogue: process.CatalogueFunc(func(string) (process.Program, bool) {
		return process.Program{Argv: []string{os.Args[0], "stubborn"}}, true
	})})
	var all []<-chan ecs.TaskEvent
	for i := range 3 {
		events := start(t, r, spec(fmt.Sprint(i), "x", nil))
		next(t, events)
		all = append(all, events)
	}
	r.Close()
	for _, events := range all {
		if ev := <-events; ev.Kind != ecs.EventExited {
			t.Errorf("event %+v", ev)
		}
	}
	if err := r.Start(spec("late", "x", nil), func(ecs.TaskEvent) {}); err == nil {
		t.Error("a closed runtime started a task")
	}
}
