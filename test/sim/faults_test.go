package sim

import (
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/test/world"
)

// skewed gives about every second process a clock that is ten minutes off, one
// way or the other, and drifts by half a second in an hour.
func skewed(seed uint64) func(string) (time.Duration, float64) {
	return func(process string) (time.Duration, float64) {
		h := fnv.New64a()
		h.Write([]byte(process))
		switch (h.Sum64()>>8 + seed) % 4 {
		case 0:
			injected("agent's clock is ahead")
			return 10 * time.Minute, 0.5 / 3600
		case 1:
			injected("agent's clock is behind")
			return -10 * time.Minute, -0.5 / 3600
		}
		return 0, 0
	}
}

// machine does something to the machine of the control plane, or to what
// travels to it.
func (s *simulation) machine(what, n int, flag bool, d time.Duration) {
	switch what {
	case 0:
		injected("disk full")
		s.w.DiskFull(d)
	case 1:
		injected("log of the store cut")
		s.w.TearLog(func(of int64) int64 { return of * int64(n) / 1000 }, d)
	case 2:
		injected("server's clock set")
		by := 10 * time.Minute
		if flag {
			by = -by
		}
		s.w.SetServerClock(by, d)
	case 3:
		injected("events with fields of a newer version")
		s.w.Upgrade(flag)
	case 4:
		if p := s.some(n); p != nil {
			injected("call cut in the middle")
			p.CutCalls(1+n%8, float64(n)/1000)
		}
	}
}

// rewind takes a backup and restores it later.
func (s *simulation) rewind(n int, d time.Duration) {
	restore, err := s.w.Backup()
	if err != nil {
		return
	}
	s.w.Tick(time.Duration(1+n%60) * time.Second)
	if !s.w.Up() {
		return
	}
	injected("backup restored")
	s.restored = true
	s.memory.Forget()
	restore(d)
}

// course of one application with something done to it in the stage at.
func during(t *testing.T, opt world.Options, c course, at string, what func(*world.World)) {
	t.Helper()
	w := world.New(t, opt)
	defer w.Close()
	n := c.begin(w)
	c.deploy(w)
	reached := false
	for range 3000 {
		w.Tick(200 * time.Millisecond)
		d, _ := w.Deployment("web", n)
		if i := d.Current(); i >= 0 && d.Stages[i].Name == at {
			reached = true
			break
		}
	}
	if !reached {
		report(t, w, "stage "+at+" was not reached")
		return
	}
	what(w)
	settle(w, n, "")
	w.Tick(20 * time.Second)
	if !w.Up() {
		w.Tick(5 * time.Second)
	}
	examine(t, w, c.name)
	if d, _ := w.Deployment("web", n); d.Display() != c.want && !t.Failed() {
		report(t, w, "ended as "+d.Display()+" "+d.Reason.String()+", want "+c.want)
	}
}

var (
	onFake = world.Options{Agents: 2, RouteLag: 8 * time.Second, Latency: 5 * time.Millisecond}
	onECS  = world.Options{Agents: 2, Latency: 5 * time.Millisecond, AWS: true, AWSOptions: crashCloud}
)

func fakeCanary(orders ...string) course {
	o := map[string]string{"version": "v2"}
	for i := 0; i < len(orders); i += 2 {
		o[orders[i]] = orders[i+1]
	}
	return course{name: "canary", first: app(noPipeline, map[string]string{"version": "v1"}), file: app(longShortCanary, o), want: "SUCCESS"}
}

var ecsCanary = course{name: "ecs canary", first: noPipeline, body: world.ArticleCanary, want: "SUCCESS"}

// variants are all of them when the simulator was asked for, else the first.
func variants[T any](all ...T) []T {
	if !thorough() {
		return all[:1]
	}
	return all
}

// faultScenarios are the faults of machines and wires one by one.
var faultScenarios = map[string]func(*testing.T){
	"agents with other clocks": func(t *testing.T) {
		for _, off := range variants(-10*time.Minute, 10*time.Minute) {
			opt := onECS
			opt.Agents = 1
			// Nodes take new weights late: a settle time that is counted from another clock is over before.
			opt.AWSOptions.Profile.WeightLagMin, opt.AWSOptions.Profile.WeightLagMax, opt.AWSOptions.Settle = 40*time.Second, 60*time.Second, 65*time.Second
			opt.Skew = func(p string) (time.Duration, float64) {
				if p == "a1" {
					return off, 0
				}
				return 0, 0
			}
			during(t, opt, ecsCanary, "ECS_PRIMARY_ROLLOUT", func(w *world.World) {
				began := time.Now()
				w.InterceptAWS(nil, func(x world.AWSCall) {
					if x.Op == "ModifyListener" && x.By == "a1" { // all requests to the primary
						time.AfterFunc(3*time.Second, func() {
							w.Process("a1").Kill()
							w.StartAgent("b1")
						})
					}
				})
				settle(w, 2, "")
				if d := time.Since(began); d > 6*time.Minute {
					w.Problemf("the deployment went on for %s: the settle time was counted by another clock", d)
				}
			})
		}
	},
	"server's clock set while a canary waits": func(t *testing.T) {
		for _, by := range variants(-10*time.Minute, 10*time.Minute) {
			during(t, onFake, fakeCanary(), "WAIT", func(w *world.World) {
				before := w.Holder()
				w.SetServerClock(by, time.Hour)
				w.Tick(50 * time.Second)
				if d, _ := w.Deployment("web", 2); d.Current() < 0 || d.Stages[d.Current()].Name != "WAIT" {
					w.Problemf("the wait of a minute was over within 50 s")
				}
				if p := w.Holder(); p != before {
					w.Problemf("%s lost the deployment", before.Name)
				}
				before.Kill()
				w.CheckSuccession(before.Name)
			})
		}
	},
	"answers in part": func(t *testing.T) {
		for _, told := range variants(false, true) {
			during(t, onECS, ecsCanary, "ECS_PRIMARY_ROLLOUT", func(w *world.World) { w.Partial(20*time.Second, told) })
		}
	},
	"calls cut in the middle": func(t *testing.T) {
		for _, at := range variants(0.3, 0, 0.9) {
			during(t, onFake, fakeCanary(), "FAKE_CANARY_ROLLOUT", func(w *world.World) {
				for _, p := range w.Live() {
					p.CutCalls(20, at)
				}
			})
		}
	},
	"fields of a newer version": func(t *testing.T) {
		during(t, onFake, fakeCanary(), "FAKE_CANARY_ROLLOUT", func(w *world.World) {
			w.Upgrade(true)
			w.StopServer(2 * time.Second)
			w.Tick(30 * time.Second)
			w.Upgrade(false)
			w.StopServer(2 * time.Second)
		})
	},
	"event of an unknown type": func(t *testing.T) {
		w := world.New(t, onFake)
		defer w.Close()
		c := fakeCanary()
		c.begin(w)
		c.deploy(w)
		w.Tick(30 * time.Second)
		id := w.AppendUnknown("web")
		w.Process("a1").Kill() // whoever fetches work now knows
		w.Tick(20 * time.Second)
		writes, text := len(w.Cloud.Writes()), ""
		if s, ok := w.Cloud.Service("web"); ok {
			text = s.Text(time.Now())
		}
		w.Commit("main", "another", map[string]string{world.AppFile("api"): world.FakeApp("api", map[string]string{"version": "v1"}, noPipeline)})
		w.Tick(5 * time.Minute)
		d, _ := w.Deployment("web", 2)
		if d.ID != id || d.Parked != "TELEPORTED" || d.Status != deploy.StatusRunning {
			t.Errorf("%s is %s, parked by %q", d.ID, d.Status, d.Parked)
		}
		if s, _ := w.Cloud.Service("web"); s.Text(time.Now()) != text {
			t.Errorf("a parked deployment was changed: %s, before %s", s.Text(time.Now()), text)
		}
		if d, _ := w.Deployment("api", 1); d.Display() != "SUCCESS" || len(w.Cloud.Writes()) == writes {
			t.Errorf("another application: %s", d.Display())
		}
		w.CheckRecord(&world.Memory{})
		w.CheckCloud()
		for _, p := range w.Problems() {
			t.Error(p)
		}
	},
	"log of the store cut": func(t *testing.T) {
		for _, stage := range variants("FAKE_CANARY_ROLLOUT", "WAIT", "FAKE_PRIMARY_ROLLOUT") {
			for _, share := range variants[int64](500, 0, 1, 999, 1000) {
				during(t, onFake, fakeCanary(), stage, func(w *world.World) {
					w.TearLog(func(of int64) int64 { return of * share / 1000 }, 3*time.Second)
				})
			}
		}
	},
	"disk full": func(t *testing.T) {
		for _, stage := range variants("FAKE_CANARY_ROLLOUT", "WAIT", "FAKE_PRIMARY_ROLLOUT") {
			during(t, onFake, fakeCanary(), stage, func(w *world.World) { w.DiskFull(40 * time.Second) })
		}
	},
	"backup restored": func(t *testing.T) {
		during(t, onECS, ecsCanary, "WAIT", func(w *world.World) {
			restore, err := w.Backup()
			if err != nil {
				t.Error(err)
				return
			}
			w.Tick(10 * time.Second)
			restore(3 * time.Second)
			w.Tick(10 * time.Second)
		})
		if !thorough() {
			return
		}
		// What is live has gone on since the backup: a person must look.
		c := ecsCanary
		c.want = "NEEDS_ATTENTION"
		during(t, onECS, c, "ECS_CANARY_ROLLOUT", func(w *world.World) {
			restore, err := w.Backup()
			if err != nil {
				t.Error(err)
				return
			}
			for range 600 {
				w.Tick(time.Second)
				if d, _ := w.Deployment("web", 2); d.Current() >= 0 && d.Stages[d.Current()].Name == "WAIT" {
					break
				}
			}
			restore(3 * time.Second)
			w.Tick(10 * time.Second)
		})
	},
}

// TestFaults: each fault of a machine or a wire by itself.
func TestFaults(t *testing.T) {
	onlySeeds(t)
	for name, f := range faultScenarios {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, f)
		})
	}
}
