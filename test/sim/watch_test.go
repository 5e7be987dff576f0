package sim

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/test/world"
)

// slowReport keeps reports back for longer than anybody may wait for them.
type slowReport struct {
	agent.Link
	keep func(client.Report) bool
}

func (l slowReport) Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error) {
	if l.keep(r) {
		time.Sleep(time.Minute)
	}
	return l.Link.Report(ctx, session, r)
}

// blind is a platform that says what it likes without looking.
type blind struct {
	platform.Platform
	step string // is done at once
	look error  // what the guard says; errLooks: it looks
}

var errLooks = errors.New("it looks")

func (b blind) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	if s.Name == b.step {
		return platform.DoneNow()
	}
	return b.Platform.Run(ctx, s, j)
}

func (b blind) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	if errors.Is(b.look, errLooks) {
		return b.Platform.(platform.Guarded).Guard(ctx, h)
	}
	return platform.Breach{}, b.look
}

// ghost goes on renewing the sessions of dead processes.
type ghost struct {
	agent.Link
	p *world.Process
	w *world.World
}

func (g ghost) Hello(ctx context.Context, h client.Hello) (client.Session, error) {
	s, err := g.Link.Hello(ctx, h)
	if err == nil && g.p.Name == "a1" {
		g.w.Go(func() {
			seen := int64(0)
			for !g.w.Ended() {
				time.Sleep(2 * time.Second)
				if !g.p.Dead() {
					continue
				}
				if g.p.Link.Mend(); true {
					if r, err := g.Link.Renew(context.Background(), s.ID, seen); err == nil {
						seen = r.Grant
					}
				}
			}
		})
	}
	return s, err
}

// TestWatchSees: each thing that the watch is there for is done wrong once and
// must be told.
func TestWatchSees(t *testing.T) {
	onlySeeds(t)
	failing := map[string]string{"version": "v2", "failAt": "FAKE_PRIMARY_ROLLOUT/ready"}
	sick := map[string]string{"version": "v2", "unhealthyAfter": "40s"}
	fine := map[string]string{"version": "v2"}
	link := func(f func(agent.Link) agent.Link) func(*world.Process, agent.Link) agent.Link {
		return func(_ *world.Process, l agent.Link) agent.Link { return f(l) }
	}
	eyes := func(b blind) func(*world.Process, platform.Platform) platform.Platform {
		return func(_ *world.Process, p platform.Platform) platform.Platform {
			if p.Kind() != "FakeApp" {
				return p
			}
			b := b
			b.Platform = p
			return b
		}
	}
	for name, c := range map[string]struct {
		orders map[string]string
		opt    world.Options
		dies   string // at a durable write of this, the holder dies
		want   string
	}{
		"failed verdict kept back": {orders: failing, want: "late: the way back", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return slowReport{l, func(r client.Report) bool { return r.Step != nil && r.Step.Progress == "FAILED" }}
		})}},
		"breach kept back": {orders: sick, want: "late: the way back", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return slowReport{l, func(r client.Report) bool { return r.Breach != nil }}
		})}},
		"successor waits too long": {orders: failing, dies: "ROLLBACK_STARTED", want: "late: the way back", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return changedLink{Link: l, work: func(w *client.Work) {
				for i := range w.Assignments {
					if w.Assignments[i].Epoch > 1 {
						w.Assignments[i].WriteAfter = time.Minute
					}
				}
			}}
		})}},
		"verdict without a look": {orders: fine, want: "evidence: ", opt: world.Options{WrapPlatform: eyes(blind{step: "ready", look: errLooks})}},
		"guard without a look":   {orders: fine, want: "read nothing either", opt: world.Options{WrapPlatform: eyes(blind{})}},
		"on behind a wait": {orders: fine, want: "nobody has looked at it", opt: world.Options{WrapPlatform: func(_ *world.Process, p platform.Platform) platform.Platform {
			return struct{ platform.Platform }{p} // it cannot guard
		}}},
		"done before it is": {orders: fine, want: "which its platform never said", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return changedLink{Link: l, report: func(r *client.Report) {
				if r.Step != nil && r.Step.Progress == "WAITING" {
					s := *r.Step
					s.Progress, r.Step = "DONE", &s
				}
			}}
		})}},
		"read back by nobody": {orders: fine, want: "has not observed since", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return changedLink{Link: l, report: func(r *client.Report) {
				if r.Step != nil && r.Step.Verified == "" {
					s := *r.Step
					s.Verified, r.Step = "what I like", &s
				}
			}}
		})}},
		"nothing read back": {orders: fine, want: "nothing was read back", opt: world.Options{WrapLink: link(func(l agent.Link) agent.Link {
			return changedLink{Link: l, report: func(r *client.Report) {
				if r.Step != nil {
					s := *r.Step
					s.Verified, r.Step = "", &s
				}
			}}
		})}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T) {
				opt := c.opt
				opt.Agents, opt.RouteLag, opt.Latency = 2, 8*time.Second, 5*time.Millisecond
				w := world.New(t, opt)
				defer w.Close()
				course{first: app(noPipeline, map[string]string{"version": "v1"})}.begin(w)
				if c.dies != "" {
					var once sync.Once
					w.OnCommit(func(x world.Commit) {
						if p := w.Holder(); x.After && p != nil && strings.Contains(x.Labels, c.dies) {
							once.Do(p.Kill)
						}
					})
				}
				w.Commit("main", "v2", map[string]string{world.AppFile("web"): app(longShortCanary, c.orders)})
				for range 90 {
					w.Tick(2 * time.Second)
				}
				w.CheckRecord(&world.Memory{})
				wantProblem(t, w, c.want)
			})
		})
	}
	t.Run("dead but renewed", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(t *testing.T) {
			var w *world.World
			w = world.New(t, world.Options{Agents: 1, RouteLag: 8 * time.Second, Made: func(x *world.World) { w = x }, WrapLink: func(p *world.Process, l agent.Link) agent.Link { return ghost{l, p, w} }})
			defer w.Close()
			course{first: app(noPipeline, map[string]string{"version": "v1"})}.begin(w)
			more := map[string]string{world.AppFile("web"): app(longWait, fine)}
			for _, name := range []string{"b", "c", "d", "e", "f"} {
				more[world.AppFile(name)] = world.FakeApp(name, fine, noPipeline)
			}
			w.Commit("main", "v2", more)
			w.Tick(40 * time.Second)
			w.StartAgent("b1")
			w.Tick(5 * time.Second)
			w.Process("a1").Kill()
			w.Tick(time.Minute)
			wantProblem(t, w, "late: nobody has deployment")
			wantProblem(t, w, "late: nobody has application")
		})
	})
}

// longShortCanary waits longer than shortCanary.
var longShortCanary = strings.ReplaceAll(shortCanary, "duration: 10s", "duration: 60s")

func wantProblem(t *testing.T, w *world.World, text string) {
	t.Helper()
	for _, p := range w.Problems() {
		if strings.Contains(p, text) {
			t.Logf("told: %s", p)
			return
		}
	}
	report(t, w, "nobody told "+text+", only:\n"+strings.Join(w.Problems(), "\n"))
}

// TestBlindWait: a wait that passed while nobody could look is no evidence: the
// deployment goes on only when somebody has looked again.
func TestBlindWait(t *testing.T) {
	onlySeeds(t)
	inWorld(t, func(t *testing.T) {
		w := world.New(t, world.Options{Agents: 1, RouteLag: 8 * time.Second, AWS: true, AWSOptions: crashCloud})
		defer w.Close()
		course{first: noPipeline, body: world.ArticleCanary}.begin(w)
		w.CommitECS("web", "v2", world.ArticleCanary)
		at := func(stage string) bool {
			d, _ := w.Deployment("web", 2)
			i := d.Current()
			return i >= 0 && d.Stages[i].Name == stage
		}
		for range 600 {
			if w.Tick(time.Second); at("WAIT") {
				break
			}
		}
		w.Process("a1").CutCloud(false, 2*time.Minute)
		w.Tick(110 * time.Second)
		if !at("ECS_PRIMARY_ROLLOUT") {
			t.Error("the wait has not passed")
		}
		settle(w, 2, "")
		w.Tick(20 * time.Second)
		examine(t, w, "blind wait")
		if d, _ := w.Deployment("web", 2); d.Display() != "SUCCESS" {
			report(t, w, "ended as "+d.Display())
		}
	})
}
