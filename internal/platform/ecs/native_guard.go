package ecs

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// native judges a service of the ECS controller while a deployment holds it: what became of the service deployment, the weights of the production rule
// against the journal, and the health of the new version where it has requests.
func (g *guard) native(ctx context.Context) (platform.Breach, error) {
	g.known = g.d.production(g.snap.Routes)
	var ours, newest *rollout
	var targets []target
	eg, ectx := errgroup.WithContext(ctx)
	eg.Go(func() (err error) {
		g.svc, err = g.c.Service(ectx, g.d.Cluster, g.d.Name)
		return err
	})
	eg.Go(func() (err error) {
		g.routes, err = g.c.Reread(ectx, g.known)
		return err
	})
	eg.Go(func() (err error) {
		ours, newest, err = g.j.rollout(ectx)
		return err
	})
	if arn := g.d.canaryARN(); arn != "" {
		eg.Go(func() (err error) {
			targets, err = g.c.Health(ectx, arn)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return platform.Breach{}, err
	}
	g.health = map[string][]target{g.d.canaryARN(): targets}
	b := platform.Breach{}
	for _, r := range g.routes {
		b.Traffic = append(b.Traffic, traffic(g.d, r, g.health, nil))
	}
	if ours == nil || g.svc == nil {
		return b, nil // it has not begun, or a step of the pipeline says what is missing
	}
	switch {
	case newest.ARN != ours.ARN:
		b.Kind, b.Reason = platform.BreachForeign, deploy.Why(ReasonRolloutForeign, "deployment", tail(newest.ARN), "status", newest.Status)
		return b, nil
	case ours.turnedBack():
		b.Kind, b.Reason = platform.BreachHealth, deploy.Why(ReasonRolloutTurned, "deployment", tail(ours.ARN), "status", ours.Status, "reason", ours.Why)
		return b, nil
	}
	rec, known, err := platform.Recall[weightsRecord](g.h.Journal, keyWeights)
	if err != nil {
		return b, err
	}
	if known { // before the first continue, and without pauses, Amazon ECS says what the weights are
		if why := foreignWeights(g.d, rec, known, g.known, g.routes, g.h.Now); !why.IsZero() {
			b.Kind, b.Reason = platform.BreachForeign, why
			return b, nil
		}
	}
	why, err := g.nativeHealth(ctx)
	if !why.IsZero() {
		b.Kind, b.Reason = platform.BreachHealth, why
	}
	return b, err
}

func (g *guard) nativeHealth(ctx context.Context) (deploy.Reason, error) {
	t := g.j.ownSet(g.svc)
	if t == nil {
		return deploy.Reason{}, nil
	}
	percent := 0.0
	for _, r := range g.routes {
		percent = max(percent, share(r.Actions, g.d.canaryARN()))
	}
	if percent == 0 || t.Group != g.d.canaryARN() {
		return g.j.broken(ctx, t)
	}
	return g.judge(ctx, t, rolePrimary, t.Group, percent)
}
