package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
)

// scenario is one story: how v2 is made and how it should end.
type scenario struct {
	name     string
	desc     string
	share    int               // canary's share of the traffic in percent
	approval bool              // a person decides instead of the wait
	env      map[string]string // what v2 is told to do wrong
	unwell   bool              // v2 turns unhealthy while it has its share
	end      string            // what a person reads at the end
}

var scenarios = []scenario{
	{name: "canary", desc: "v2 takes 20 % of the traffic, then all of it", share: 20, end: "SUCCESS"},
	{name: "blue-green", desc: "the same stages at 100 %", share: 100, end: "SUCCESS"},
	{name: "bad-release", desc: "v2 turns unhealthy while it has its 20 %: the guard finds it and the traffic goes back", share: 20, unwell: true, end: "ROLLED_BACK"},
	{name: "bad-start", desc: "v2 never becomes healthy: it gets no traffic and is removed", share: 20, env: map[string]string{demosvc.EnvNeverHealthy: "true"}, end: "ROLLED_BACK"},
	{name: "approval", desc: "v2 has 20 % until a person approves", share: 20, approval: true, end: "SUCCESS"},
}

// Scenarios lists the names, for help and completion.
func Scenarios() []string {
	var out []string
	for _, s := range scenarios {
		out = append(out, s.name)
	}
	return out
}

func scenarioNamed(name string) (scenario, error) {
	for _, s := range scenarios {
		if s.name == name {
			return s, nil
		}
	}
	return scenario{}, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(Scenarios(), ", "))
}

// waitStage is the stage in which the canary has its share.
func (s scenario) waitStage() string {
	if s.approval {
		return "WAIT_APPROVAL"
	}
	return "WAIT"
}

// play deploys v1, begins the load, commits v2 and follows it to its end.
func play(ctx context.Context, w *world, sc scenario, p *progress) (report, error) {
	if w.opt.Once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the scenario took longer than %s", limit))
		defer cancel()
	}
	p.say("commit v1: the agent finds the application in git and deploys it")
	_, err := w.commit(ctx, "Ship v1", w.target.files(sc, "v1"))
	if err != nil {
		return report{}, err
	}
	id, err := w.application(ctx)
	if err != nil {
		return report{}, err
	}
	first, err := follow(ctx, w, id, "", nil)
	if err != nil {
		return report{}, err
	}
	if first.Display != "SUCCESS" {
		return report{}, fmt.Errorf("v1 could not be deployed: %s: %s", first.Display, first.GetFailed().GetText())
	}
	if err := w.target.open(ctx); err != nil {
		return report{}, fmt.Errorf("open the shop: %w", err)
	}
	return playChange(ctx, w, sc, p, id, first)
}

// playChange commits v2 under load.
func playChange(ctx context.Context, w *world, sc scenario, p *progress, app string, first *penstockv1.Deployment) (report, error) {
	run, stop := context.WithCancel(ctx)
	l := startLoad(run, w.target.entrance(), w.opt.Rate)
	obs := &observer{w: w}
	l.wg.Go(func() { obs.watch(run) })
	defer func() { stop(); l.wg.Wait() }()

	p.say("v1 is live; %d requests a second go to %s", w.opt.Rate, w.target.entrance())
	began := time.Now()
	if err := pause(ctx, 3*time.Second); err != nil {
		return report{}, err
	}
	p.say("commit v2: %s", sc.desc)
	if _, err := w.commit(ctx, "Ship v2", w.target.files(sc, "v2")); err != nil {
		return report{}, err
	}
	act := &actor{w: w, sc: sc, p: p}
	d, err := follow(ctx, w, app, first.Id, func(d *penstockv1.Deployment) error {
		p.deployment(d, l, obs)
		return act.on(ctx, d)
	})
	if err != nil {
		return report{}, err
	}
	if err := pause(ctx, 4*time.Second); err != nil {
		return report{}, err
	}
	return judge(sc, d, l, obs, act, began, time.Now()), nil
}

// follow reads the newest deployment of the application behind one that is
// known until it ends.
func follow(ctx context.Context, w *world, app, after string, each func(*penstockv1.Deployment) error) (*penstockv1.Deployment, error) {
	for {
		res, err := w.deploys.ListDeployments(ctx, connect.NewRequest(&penstockv1.ListDeploymentsRequest{ApplicationId: app, Page: &penstockv1.PageRequest{PageSize: 1}}))
		if err != nil {
			return nil, err
		}
		if list := res.Msg.Deployments; len(list) > 0 && list[0].Id != after {
			got, err := w.deploys.GetDeployment(ctx, connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: list[0].Id}))
			if err != nil {
				return nil, err
			}
			d := got.Msg.Deployment
			if each != nil {
				if err := each(d); err != nil {
					return nil, err
				}
			}
			if d.FinishedAt != nil {
				return d, nil
			}
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// actor does what the story needs while v2 has its share.
type actor struct {
	w       *world
	sc      scenario
	p       *progress
	since   time.Time // v2 has its share
	acted   bool
	actedAt time.Time
}

// on looks at the deployment and acts when its time has come.
func (a *actor) on(ctx context.Context, d *penstockv1.Deployment) error {
	stage := runningStage(d)
	if stage == nil || stage.Name != a.sc.waitStage() || a.acted {
		return nil
	}
	if a.since.IsZero() {
		a.since = time.Now()
	}
	after := map[bool]time.Duration{true: a.w.opt.Wait, false: 5 * time.Second}[a.sc.approval]
	if time.Since(a.since) < after {
		return nil
	}
	switch {
	case a.sc.unwell:
		a.acted, a.actedAt = true, time.Now()
		a.p.say("v2 now fails its health checks")
		return a.w.sicken(ctx, "v2")
	case a.sc.approval && a.w.opt.Once:
		a.acted, a.actedAt = true, time.Now()
		a.p.say("the demo approves as admin")
		_, err := a.w.deploys.ApproveStage(ctx, connect.NewRequest(&penstockv1.ApproveStageRequest{RequestId: random(), DeploymentId: d.Id, StageId: stage.Id, Note: "looks good"}))
		return err
	case a.sc.approval:
		a.acted = true
		a.p.say("v2 waits for your approval: %s/deployments/%s", a.w.server.URL, d.Id)
	}
	return nil
}

// sicken makes all tasks of a version fail their health checks.
func (w *world) sicken(ctx context.Context, version string) error {
	for _, c := range w.cloud.ECS().Dump().Clusters {
		for _, t := range c.Tasks {
			if t.LastStatus == "RUNNING" && strings.HasSuffix(t.Image, ":"+version) {
				if err := w.cloud.SetTaskHealth(ctx, t.ID, false); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func runningStage(d *penstockv1.Deployment) *penstockv1.Stage {
	for _, s := range d.Stages {
		if s.Status == "RUNNING" {
			return s
		}
	}
	return nil
}
