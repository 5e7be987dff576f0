package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// back is the way back to the snapshot, by effect. Capacity comes first, then
// the route, then what the deployment made is taken away.
func (a *act) back(ctx context.Context) (platform.Outcome, error) {
	if a.p.opt.Mistake == SnapshotSkipped && a.s.Live.Exists {
		return platform.DoneNow()
	}
	if !a.s.Live.Exists {
		return a.vanish(ctx)
	}
	if a.live == nil {
		return platform.Outcome{}, platform.Final(fmt.Errorf("service %s is gone: create it again by hand", a.d.Service))
	}
	switch a.s.Name {
	case "capacity":
		return a.capacity(ctx)
	case "ready":
		return a.readyAgain()
	case "weights":
		rest, err := a.inDoubt()
		if err != nil {
			return platform.Outcome{}, err
		}
		if rest > 0 {
			return platform.AskAgain(rest, deploy.Why(ReasonSettling))
		}
		return a.reroute(ctx)
	case "settle":
		return a.settle()
	case "main":
		return a.mainAgain(ctx)
	case "remove":
		return a.drainLedger(ctx)
	case "verify":
		return a.verified()
	}
	return platform.Outcome{}, platform.Final(fmt.Errorf("unknown step %s", a.s.Name))
}

// vanish removes a first deployment, the service included.
func (a *act) vanish(ctx context.Context) (platform.Outcome, error) {
	if a.s.Name != "remove" {
		return platform.DoneNow()
	}
	if a.p.opt.Mistake == LedgerNotDrained {
		return platform.DoneNow()
	}
	if a.live != nil {
		if err := a.api.drop(ctx, a.d.Service); err != nil {
			return platform.Outcome{}, err
		}
	}
	for _, k := range a.j.Keys(deploy.JournalObjectPrefix) {
		o, _, err := platform.Recall[deploy.LedgerObject](a.j, k)
		if err != nil {
			return platform.Outcome{}, err
		}
		if err := a.l.Removed(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// standIn is the set that stands for one of the snapshot now: itself, or one
// that was made again.
func (a *act) standIn(old Set) (Set, bool, error) {
	if s, ok := a.live.Set(old.ID); ok {
		return s, true, nil
	}
	id, ok, err := platform.Recall[string](a.j, "again/"+old.ID)
	if err != nil || !ok {
		return Set{}, false, err
	}
	s, ok := a.live.Set(id)
	return s, ok, nil
}

func (a *act) capacity(ctx context.Context) (platform.Outcome, error) {
	for _, old := range a.snap.Sets {
		now, ok, err := a.standIn(old)
		if err != nil {
			return platform.Outcome{}, err
		}
		switch {
		case old.Replicas == 0 && old.ID != a.snap.Main:
		case !ok:
			if err := a.again(ctx, old); err != nil {
				return platform.Outcome{}, err
			}
		case now.Replicas < old.Replicas:
			if err := a.api.scale(ctx, a.d.Service, now.ID, old.Replicas); err != nil {
				return platform.Outcome{}, err
			}
		}
	}
	return platform.DoneNow()
}

// again makes a set of the snapshot that is gone.
func (a *act) again(ctx context.Context, old Set) error {
	token := a.s.Token + "/" + old.ID
	if err := a.l.Intend(ctx, "again", token, "again"); err != nil {
		return err
	}
	old.Token, old.Creator = token, a.s.DeploymentID
	id, err := a.api.create(ctx, a.d.Service, old)
	if err != nil {
		return err
	}
	if err := a.l.Created(ctx, "again", token, id); err != nil {
		return err
	}
	return platform.Remember(ctx, a.j, "again/"+old.ID, id)
}

// readyAgain waits until what was healthy before can be healthy again.
func (a *act) readyAgain() (platform.Outcome, error) {
	for _, old := range a.snap.Sets {
		now, ok, err := a.standIn(old)
		if err != nil {
			return platform.Outcome{}, err
		}
		if !ok || now.Health.Never || now.Health.SickAfter > 0 && cloudTime().Sub(now.Since) >= now.Health.SickAfter {
			continue
		}
		if now.Healthy(cloudTime()) < old.Replicas {
			return platform.AskAgain(time.Second, deploy.Why(ReasonStarting, "set", now.ID))
		}
	}
	return platform.DoneNow()
}

func (a *act) reroute(ctx context.Context) (platform.Outcome, error) {
	if maps.Equal(a.live.Weights, a.snap.Weights) {
		r, ok, err := platform.Recall[route](a.j, keyRoute)
		if err != nil || !ok || !maps.Equal(r.Now, a.snap.Weights) {
			return platform.Outcome{Progress: platform.Done}, err
		}
	} else {
		if err := platform.Remember(ctx, a.j, keyRoute, route{Was: a.live.Weights, Now: a.snap.Weights}); err != nil {
			return platform.Outcome{}, err
		}
		if err := a.api.weights(ctx, a.d.Service, a.snap.Weights); err != nil {
			return platform.Outcome{}, err
		}
	}
	if err := platform.Remember(ctx, a.j, keyRouted, a.s.Now); err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

func (a *act) mainAgain(ctx context.Context) (platform.Outcome, error) {
	if a.live.Size != a.snap.Size {
		if err := a.api.size(ctx, a.d.Service, a.snap.Size); err != nil {
			return platform.Outcome{}, err
		}
	}
	old, ok := a.snap.Set(a.snap.Main)
	if !ok {
		return platform.DoneNow()
	}
	now, ok, err := a.standIn(old)
	if err != nil || !ok {
		return platform.Outcome{Progress: platform.Failed, Reason: deploy.Why(ReasonDifferent, "expected", old.ID, "found", "nothing")}, err
	}
	if a.live.Main != now.ID {
		if err := a.api.main(ctx, a.d.Service, now.ID); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// drainLedger removes what the deployment made on its way forth: also what it
// was about to make and may have made, and what the last step, whose report
// was lost, declared to be kept.
func (a *act) drainLedger(ctx context.Context) (platform.Outcome, error) {
	if a.p.opt.Mistake == LedgerNotDrained {
		return platform.DoneNow()
	}
	for _, k := range a.j.Keys(deploy.JournalObjectPrefix) {
		o, ok, err := platform.Recall[deploy.LedgerObject](a.j, k)
		if err != nil {
			return platform.Outcome{}, err
		}
		if !ok || o.State == deploy.LedgerRemoved {
			continue
		}
		if o.Type != "set" {
			if err := a.l.Kept(ctx, o.Type, o.Token); err != nil {
				return platform.Outcome{}, err
			}
			continue
		}
		i := slices.IndexFunc(a.live.Sets, func(s Set) bool { return s.Token == o.Token || s.ID == o.ID })
		if i >= 0 {
			if err := a.api.remove(ctx, a.d.Service, a.live.Sets[i].ID); err != nil {
				return platform.Outcome{}, err
			}
		}
		if err := a.l.Removed(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// verified compares by effect with what was live before.
func (a *act) verified() (platform.Outcome, error) {
	if want, got := effectOf(a.snap), effectOf(*a.live); want != got {
		return platform.Fail(deploy.Why(ReasonDifferent, "expected", a.snap.Text(a.s.Now), "found", a.live.Text(a.s.Now)))
	}
	return platform.DoneNow()
}

// Guard implements platform.Guarded.
func (p *Platform) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	d, err := decode[desired]("desired state", h.Desired.Body)
	if err != nil {
		return platform.Breach{}, err
	}
	snap, err := decode[Service]("snapshot", h.Live.Body)
	if err != nil {
		return platform.Breach{}, err
	}
	live, err := p.opt.Cloud.read(ctx, d.Service)
	if err != nil {
		return platform.Breach{}, err
	}
	r, wrote, err := platform.Recall[route](h.Journal, keyRoute)
	if err != nil {
		return platform.Breach{}, err
	}
	if !wrote {
		r = route{Was: snap.Weights, Now: snap.Weights}
	}
	if live == nil || !maps.Equal(live.Weights, r.Now) && !maps.Equal(live.Weights, r.Was) {
		found := "nothing"
		if live != nil {
			found = weightsText(live.Weights)
		}
		return platform.Breach{Kind: platform.BreachForeign, Reason: deploy.Why(ReasonForeign, "expected", weightsText(r.Now), "found", found)}, nil
	}
	for _, s := range live.Sets {
		if _, ready := h.Journal.Get(keyReady + s.ID); ready && s.Replicas > 0 && s.Healthy(cloudTime()) == 0 {
			return platform.Breach{Kind: platform.BreachHealth, Reason: deploy.Why(ReasonSick, "set", s.ID, "version", s.Version)}, nil
		}
	}
	return platform.Breach{}, nil
}
