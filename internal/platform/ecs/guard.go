package ecs

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// lowReads is how many reads in a row must show too few healthy targets; none healthy at all is enough once.
const lowReads = 2

// lowBound keeps the memory of Guard small when deployments end without a last look.
const lowBound = 4096

// Guard implements platform.Guarded: weights against the journal, healthy targets and failed tasks of the new version.
func (p *Platform) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	c, _, err := p.client(ctx, h.ProviderConfig)
	if err != nil {
		return platform.Breach{}, err
	}
	d, err := platform.DecodeBody[desired]("desired state", h.Desired.Body)
	if err != nil {
		return platform.Breach{}, err
	}
	snap, err := platform.DecodeBody[snapshot]("snapshot", h.Live.Body)
	if err != nil || d.Standalone != nil || h.Stage.Name == stageBack {
		return platform.Breach{}, err
	}
	d.orient(snap)
	g := guard{p: p, c: c, h: h, d: d, snap: snap, j: &job{c: c, j: h.Journal, d: d, snap: snap, s: platform.Step{DeploymentID: h.DeploymentID, Now: h.Now}}}
	if d.Native != nil {
		return g.native(ctx)
	}
	return g.look(ctx)
}

type guard struct {
	p    *Platform
	c    cloud
	h    platform.Held
	d    *desired
	snap *snapshot
	j    *job

	svc    *service
	known  []route
	routes []route
	health map[string][]target
}

// look reads everything side by side, then judges.
func (g *guard) look(ctx context.Context) (platform.Breach, error) {
	g.known, _ = qualifying(g.snap.Routes, g.d.primaryARN(), g.d.canaryARN())
	arns := g.d.groupARNs()
	found := make([][]target, len(arns))
	eg, ectx := errgroup.WithContext(ctx)
	eg.Go(func() (err error) {
		g.svc, err = g.c.Service(ectx, g.d.Cluster, g.d.Name)
		return err
	})
	eg.Go(func() (err error) {
		g.routes, err = g.c.Reread(ectx, g.known)
		return err
	})
	for i, arn := range arns {
		eg.Go(func() (err error) {
			found[i], err = g.c.Health(ectx, arn)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return platform.Breach{}, err
	}
	g.health = map[string][]target{}
	for i, arn := range arns {
		g.health[arn] = found[i]
	}
	b := platform.Breach{}
	for _, r := range g.routes {
		b.Traffic = append(b.Traffic, traffic(g.d, r, g.health, nil))
	}
	if g.svc == nil {
		return b, nil // a step of the pipeline says what is missing
	}
	if why, err := g.foreign(); err != nil || !why.IsZero() {
		b.Kind, b.Reason = platform.BreachForeign, why
		return b, err
	}
	why, err := g.unhealthy(ctx)
	if !why.IsZero() {
		b.Kind, b.Reason = platform.BreachHealth, why
	}
	return b, err
}

// foreign compares the routes with what the journal says was last written. While a write of ours is in flight, or fresh, what
// was before is right too.
func (g *guard) foreign() (deploy.Reason, error) {
	if len(g.known) == 0 {
		return deploy.Reason{}, nil
	}
	if why := foreignShape(g.d, g.known, g.routes); !why.IsZero() {
		return why, nil
	}
	rec, known, err := platform.Recall[weightsRecord](g.h.Journal, keyWeights)
	if err != nil {
		return deploy.Reason{}, err
	}
	return foreignWeights(g.d, rec, known, g.known, g.routes, g.h.Now), nil
}

// unhealthy judges the new version where it has traffic: the canary behind its group, and the new primary once it is
// promoted.
func (g *guard) unhealthy(ctx context.Context) (deploy.Reason, error) {
	for _, role := range []string{roleCanary, rolePrimary} {
		t, _, err := g.j.mine(g.svc, role)
		if err != nil {
			return deploy.Reason{}, err
		}
		if t == nil || t.Scale == 0 || role == rolePrimary && t.Status != statusPrimary {
			continue
		}
		percent, arn := g.shareOf(t)
		if arn == "" || percent == 0 {
			if arn == "" { // service discovery: tasks are all there is to see
				if why, err := g.j.broken(ctx, t); err != nil || !why.IsZero() {
					return why, err
				}
			}
			continue
		}
		if why, err := g.judge(ctx, t, role, arn, percent); err != nil || !why.IsZero() {
			return why, err
		}
	}
	return deploy.Reason{}, nil
}

// shareOf is the largest share of any route that goes to the group of a set.
func (g *guard) shareOf(t *taskSet) (float64, string) {
	groups := setGroups(t.Shape)
	if len(groups) == 0 {
		return 0, ""
	}
	best := 0.0
	for _, r := range g.routes {
		best = max(best, share(r.Actions, groups[0]))
	}
	return best, groups[0]
}

// judge counts healthy targets against the need of the share: none is a breach at once, too few when it is read twice.
func (g *guard) judge(ctx context.Context, t *taskSet, role, arn string, percent float64) (deploy.Reason, error) {
	key := g.h.DeploymentID + "/" + role
	h, err := g.targetsOf(ctx, t, arn)
	if err != nil {
		return deploy.Reason{}, err
	}
	need := max(1, min(computed(g.svc.Count, percent), t.Computed))
	if g.svc.Count == 0 {
		need = 0
	}
	if h.healthy >= need {
		g.p.forget(key)
		return g.j.broken(ctx, t)
	}
	why := deploy.Why(ReasonUnhealthyVersion, "healthy", fmt.Sprint(h.healthy), "needed", fmt.Sprint(need), "group", tail(arn), "share", fmt.Sprintf("%.4g", percent), "detail", h.detail)
	if h.healthy == 0 || g.p.lowAgain(key) >= lowReads {
		g.p.forget(key)
		return why, nil
	}
	return g.j.broken(ctx, t)
}

// targetsOf tells the set's targets from others in the same group only where there can be others.
func (g *guard) targetsOf(ctx context.Context, t *taskSet, arn string) (setHealth, error) {
	running, err := g.c.Tasks(ctx, g.d.Cluster, t.ID, false)
	if err != nil {
		return setHealth{}, err
	}
	return healthAmong(g.svc, t, arn, running, g.health[arn]), nil
}

func (p *Platform) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.low, key)
}

func (p *Platform) lowAgain(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.low) > lowBound {
		clear(p.low)
	}
	p.low[key]++
	return p.low[key]
}
