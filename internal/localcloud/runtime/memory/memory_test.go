package memory

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// seen is an event and when it came.
type seen struct {
	At time.Duration
	ecs.TaskEvent
}

// recorder collects events; it fails when two reports overlap.
type recorder struct {
	t      testing.TB
	began  time.Time
	mu     sync.Mutex
	events []seen
	during func(ecs.TaskEvent)
}

func (r *recorder) report(ev ecs.TaskEvent) {
	if !r.mu.TryLock() {
		r.t.Error("two reports at once")
		return
	}
	defer r.mu.Unlock()
	r.events = append(r.events, seen{time.Since(r.began), ev})
	if r.during != nil {
		r.during(ev)
	}
}

func one(image string) ecs.TaskSpec {
	return ecs.TaskSpec{ID: "t", IP: "127.0.1.1", Containers: []ecs.ContainerSpec{{Name: "app", Image: image, Ports: []int{80}}}}
}

func fixed(b Behaviour) Script { return func(string) (Behaviour, bool) { return b, true } }

func TestLifeOfATask(t *testing.T) {
	running := func(at time.Duration) seen {
		return seen{at, ecs.TaskEvent{TaskID: "t", Kind: ecs.EventRunning}}
	}
	exited := func(at time.Duration, code int) seen {
		return seen{at, ecs.TaskEvent{TaskID: "t", Container: "app", Kind: ecs.EventExited, ExitCode: code}}
	}
	failed := func(at time.Duration, reason string) seen {
		return seen{at, ecs.TaskEvent{TaskID: "t", Container: "app", Kind: ecs.EventFailed, Reason: reason}}
	}
	stop := func(r *Runtime) { r.Stop("t", 30*time.Second) }
	for _, c := range []struct {
		name   string
		script Script
		then   func(*Runtime) // after 10 s
		want   []seen
	}{
		{"starts at once", nil, nil, []seen{running(0)}},
		{"starts slowly", fixed(Behaviour{StartDelay: 3 * time.Second}), nil, []seen{running(3 * time.Second)}},
		{
			"fails to start", fixed(Behaviour{StartDelay: time.Second, FailToStart: true}), nil,
			[]seen{failed(time.Second, "CannotStartContainerError: told to fail")},
		},
		{"fails to start for a reason", fixed(Behaviour{FailToStart: true, FailReason: "OutOfMemory"}), nil, []seen{failed(0, "OutOfMemory")}},
		{
			"no such image", func(string) (Behaviour, bool) { return Behaviour{}, false }, nil,
			[]seen{failed(0, `CannotPullContainerError: image "x" is not in the catalogue`)},
		},
		{
			"exits by itself", fixed(Behaviour{StartDelay: time.Second, ExitAfter: 4 * time.Second, ExitCode: 3}), stop,
			[]seen{running(time.Second), exited(5*time.Second, 3)},
		},
		{"is stopped", nil, stop, []seen{running(0), exited(10*time.Second, 0)}},
		{"stops slowly", fixed(Behaviour{StopAfter: 20 * time.Second}), stop, []seen{running(0), exited(30*time.Second, 0)}},
		{"is killed", fixed(Behaviour{StopAfter: time.Hour}), stop, []seen{running(0), exited(40*time.Second, 137)}},
		{"is stopped twice", nil, func(r *Runtime) { stop(r); stop(r) }, []seen{running(0), exited(10*time.Second, 0)}},
		{"crashes", nil, func(r *Runtime) { r.Exit("t", 139) }, []seen{running(0), exited(10*time.Second, 139)}},
		{"is closed", nil, (*Runtime).Close, []seen{running(0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := New(c.script)
				rec := &recorder{t: t, began: time.Now()}
				if err := r.Start(one("x"), rec.report); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Second)
				if c.then != nil {
					c.then(r)
				}
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				if diff := cmp.Diff(c.want, rec.events); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestStopBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(fixed(Behaviour{StartDelay: time.Minute}))
		rec := &recorder{t: t, began: time.Now()}
		_ = r.Start(one("x"), rec.report)
		r.Stop("t", time.Second)
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(rec.events) != 1 || rec.events[0].Kind != ecs.EventExited || rec.events[0].ExitCode != 137 {
			t.Errorf("events %+v", rec.events)
		}
		if got := r.Tasks(); len(got) != 0 {
			t.Errorf("still there: %v", got)
		}
	})
}

func TestReportMayCallTheRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(nil)
		rec := &recorder{t: t, began: time.Now()}
		rec.during = func(ev ecs.TaskEvent) {
			if ev.Kind == ecs.EventRunning {
				r.Stop("t", time.Second)
			}
		}
		_ = r.Start(one("x"), rec.report)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(rec.events) != 2 {
			t.Errorf("events %+v", rec.events)
		}
	})
}

func TestHealthAndRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(fixed(Behaviour{StartDelay: time.Second, HealthyAfter: 5 * time.Second, UnhealthyAfter: 20 * time.Second, ExitAfter: time.Minute}))
		_ = r.Start(one("x"), func(ecs.TaskEvent) {})
		began := time.Now()
		probe := func(address string) int {
			status, err := r.Probe(context.Background(), "http://"+address+"/healthz")
			if err != nil {
				return 0
			}
			return status
		}
		for _, c := range []struct {
			at             time.Duration
			health, answer int
		}{{0, 0, 0}, {2 * time.Second, 503, 200}, {6 * time.Second, 200, 200}, {21 * time.Second, 503, 200}, {61 * time.Second, 0, 0}} {
			time.Sleep(c.at - time.Since(began))
			synctest.Wait()
			if got := probe("127.0.1.1:80"); got != c.health {
				t.Errorf("after %v: health %d, want %d", c.at, got, c.health)
			}
			status, err := r.Deliver(context.Background(), "127.0.1.1:80", router.Request{})
			if status != c.answer || (err == nil) != (c.answer != 0) {
				t.Errorf("after %v: answer %d %v, want %d", c.at, status, err, c.answer)
			}
			for _, nobody := range []string{"127.0.1.1:81", "127.0.1.2:80"} {
				if got := probe(nobody); got != 0 {
					t.Errorf("after %v: %s answers %d", c.at, nobody, got)
				}
			}
		}
	})
}

func TestSetHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(fixed(Behaviour{HealthyAfter: -1}))
		_ = r.Start(one("x"), func(ecs.TaskEvent) {})
		time.Sleep(time.Hour)
		for _, want := range []struct {
			set    *bool
			status int
		}{{nil, 503}, {new(true), 200}, {new(false), 503}} {
			if want.set != nil {
				r.SetHealthy("t", *want.set)
			}
			if got, err := r.Probe(context.Background(), "http://127.0.1.1:80/"); got != want.status || err != nil {
				t.Errorf("set %v: %d %v", want.set, got, err)
			}
		}
	})
}

// Every container that was started ends exactly once, whatever happens.
func TestEveryContainerEndsOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seconds := func(name string, low, high int) time.Duration {
			return time.Duration(rapid.IntRange(low, high).Draw(rt, name)) * time.Second
		}
		behaviours := map[string]Behaviour{}
		spec := ecs.TaskSpec{ID: "t", IP: "127.0.1.1"}
		for _, name := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(rt, "containers")] {
			behaviours[name] = Behaviour{
				StartDelay: seconds("start", 0, 5), ExitAfter: seconds("exit", 0, 20), ExitCode: 1, StopAfter: seconds("stop", 0, 20),
			}
			spec.Containers = append(spec.Containers, ecs.ContainerSpec{Name: name, Image: name})
		}
		var stops []time.Duration
		for range rapid.IntRange(1, 3).Draw(rt, "stops") {
			stops = append(stops, seconds("stop at", 0, 25))
		}
		ends := map[string]int{}
		synctest.Test(t, func(t *testing.T) {
			r := New(func(image string) (Behaviour, bool) { return behaviours[image], true })
			rec := &recorder{t: t, began: time.Now(), during: func(ev ecs.TaskEvent) {
				if ev.Kind == ecs.EventExited {
					ends[ev.Container]++
				}
			}}
			_ = r.Start(spec, rec.report)
			for _, at := range stops {
				time.AfterFunc(at, func() { r.Stop("t", 10*time.Second) })
			}
			time.Sleep(time.Hour)
			synctest.Wait()
		})
		for _, c := range spec.Containers {
			if ends[c.Name] != 1 {
				rt.Fatalf("container %s ended %d times", c.Name, ends[c.Name])
			}
		}
	})
}
