package fake

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Keys of the journal.
const (
	keyRoute  = "route"  // what was written to the route, and what was there before
	keyRouted = "routed" // when the newest write of weights was done
	keyMade   = "made/"  // + group: the set that the deployment made
	keyReady  = "ready/" // + set: it was healthy once
)

// route is a write of weights that is being done or was done.
type route struct {
	Was map[string]int `json:"was"`
	Now map[string]int `json:"now"`
	At  time.Time      `json:"at"`
}

// lateFor is how long a write whose answer was lost may still take effect.
const lateFor = 5 * time.Second

// inDoubt is how long the last write of weights may still take effect behind
// the loss of its answer, 0 when it cannot.
func (a *act) inDoubt() (time.Duration, error) {
	last, ok, err := platform.Recall[route](a.j, keyRoute)
	if err != nil || !ok || maps.Equal(a.live.Weights, last.Now) {
		return 0, err
	}
	answered, ok, err := platform.Recall[time.Time](a.j, keyRouted)
	if err != nil || ok && !answered.Before(last.At) {
		return 0, err
	}
	return max(0, lateFor-a.s.Now.Sub(last.At)), nil
}

// act is one step at work.
type act struct {
	p    *Platform
	s    platform.Step
	j    platform.Journal
	l    platform.Ledger
	api  caller
	d    desired
	o    options
	snap Service
	live *Service // nil: does not exist
}

// Run implements platform.Platform.
func (p *Platform) Run(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
	a := &act{p: p, s: s, j: j, l: platform.Ledger{J: j}, api: caller{p.opt.Cloud, p.opt.By, s.DeploymentID}}
	var err error
	if a.d, err = decode[desired]("desired state", s.Desired.Body); err != nil {
		return platform.Outcome{}, err
	}
	if a.o, err = decode[options]("options", s.Stage.Options); err != nil {
		return platform.Outcome{}, err
	}
	if a.snap, err = decode[Service]("snapshot", s.Live.Body); err != nil {
		return platform.Outcome{}, err
	}
	at := s.Stage.Name + "/" + s.Name
	if a.d.Panic == at {
		panic("ordered by the file")
	}
	if a.d.FailAt == at {
		return platform.Fail(deploy.Why(ReasonOrdered, "step", at))
	}
	if a.live, err = p.opt.Cloud.read(ctx, a.d.Service); err != nil {
		return platform.Outcome{}, err
	}
	if s.Log != nil {
		s.Log.Logf(slog.LevelInfo, "%s", at)
	}
	if s.Rollback {
		return a.back(ctx)
	}
	return a.forth(ctx)
}

func (a *act) forth(ctx context.Context) (platform.Outcome, error) {
	if a.live == nil && a.s.Name != "create" {
		return platform.Outcome{}, platform.Final(fmt.Errorf("service %s is gone", a.d.Service))
	}
	switch a.s.Name {
	case "create":
		return a.create(ctx)
	case "ready":
		return a.ready(ctx, a.group())
	case "shift":
		return a.shift(ctx, a.wish())
	case "drain":
		return a.shift(ctx, map[string]int{Primary: 100, Canary: 0})
	case "settle":
		return a.settle()
	case "verify":
		return a.routeIs(a.wish())
	case "promote":
		return a.promote(ctx)
	case "retire":
		return a.retire(ctx)
	case "remove":
		return a.removeCanary(ctx)
	case "finish":
		return a.finish(ctx)
	}
	return platform.Outcome{}, platform.Final(fmt.Errorf("unknown step %s", a.s.Name))
}

// group is where the stage makes its instances.
func (a *act) group() string {
	if a.s.Stage.Name == StageCanary {
		return Canary
	}
	return Primary
}

// wish is how the stage wants the route.
func (a *act) wish() map[string]int {
	return map[string]int{Primary: 100 - a.o.Canary, Canary: a.o.Canary}
}

func (a *act) create(ctx context.Context) (platform.Outcome, error) {
	if a.live == nil {
		if err := a.l.Intend(ctx, "service", a.d.Service, ""); err != nil {
			return platform.Outcome{}, err
		}
		if err := a.api.createService(ctx, a.d.Service, a.d.Size); err != nil {
			return platform.Outcome{}, err
		}
		if err := a.l.Created(ctx, "service", a.d.Service, a.d.Service); err != nil {
			return platform.Outcome{}, err
		}
	}
	token := a.s.Token
	if a.p.opt.Mistake == TokenNotSent {
		token = ""
	}
	n := a.d.Replicas
	if a.group() == Canary {
		n = a.o.Replicas
	}
	if err := a.l.Intend(ctx, "set", a.s.Token, a.group()); err != nil {
		return platform.Outcome{}, err
	}
	id, err := a.api.create(ctx, a.d.Service, Set{Token: token, Creator: a.s.DeploymentID, Group: a.group(), Version: a.d.Version, Replicas: n, Health: a.d.Health})
	if err != nil {
		return platform.Outcome{}, err
	}
	if err := a.l.Created(ctx, "set", a.s.Token, id); err != nil {
		return platform.Outcome{}, err
	}
	if err := platform.Remember(ctx, a.j, keyMade+a.group(), id); err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

// made returns the set that the deployment made in a group.
func (a *act) made(group string) (Set, bool, error) {
	id, ok, err := platform.Recall[string](a.j, keyMade+group)
	if err != nil || !ok || a.live == nil {
		return Set{}, false, err
	}
	s, ok := a.live.Set(id)
	return s, ok, nil
}

func (a *act) ready(ctx context.Context, group string) (platform.Outcome, error) {
	s, ok, err := a.made(group)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !ok {
		return platform.Fail(deploy.Why(ReasonNoStart, "detail", "the set is gone"))
	}
	if a.p.opt.Mistake == HealthNotAwaited {
		return platform.DoneNow()
	}
	healthy := s.Healthy(cloudTime())
	if healthy >= s.Replicas {
		if err := platform.Remember(ctx, a.j, keyReady+s.ID, true); err != nil {
			return platform.Outcome{}, err
		}
		return platform.DoneNow()
	}
	if give := time.Duration(a.d.Give) * time.Second; cloudTime().Sub(s.Since) >= give {
		return platform.Fail(deploy.Why(ReasonNoStart, "after", give.String()))
	}
	return platform.AskAgain(time.Second, deploy.Why(ReasonStarting, "healthy", strconv.Itoa(healthy), "want", strconv.Itoa(s.Replicas)))
}

// cloudTime is the clock of the cloud, by which its instances are healthy or not;
// a step's own time is the control plane's.
func cloudTime() time.Time { return time.Now() }

// shift writes absolute weights. A group gets traffic only when it has
// instances to take it.
func (a *act) shift(ctx context.Context, want map[string]int) (platform.Outcome, error) {
	if a.d.Unrouted {
		return platform.DoneNow()
	}
	for g, n := range want {
		if n > 0 && a.live.HealthyIn(g, cloudTime()) == 0 && a.p.opt.Mistake != HealthNotAwaited {
			return platform.Fail(deploy.Why(ReasonNoTarget, "group", g))
		}
	}
	if c, ok, err := a.made(Canary); err == nil && ok && want[Canary] == 0 && a.p.opt.Mistake == CanaryBeforeWeight {
		if err := a.api.remove(ctx, a.d.Service, c.ID); err != nil {
			return platform.Outcome{}, err
		}
	}
	if !maps.Equal(a.live.Weights, want) {
		if err := platform.Remember(ctx, a.j, keyRoute, route{Was: a.live.Weights, Now: want, At: a.s.Now}); err != nil {
			return platform.Outcome{}, err
		}
		if err := a.api.weights(ctx, a.d.Service, want); err != nil {
			return platform.Outcome{}, err
		}
	} else if before, ok, err := platform.Recall[route](a.j, keyRoute); err != nil || !ok || !maps.Equal(before.Now, want) {
		// Nothing to write, and nobody of this deployment wrote it: it is settled already.
		return platform.Outcome{Progress: platform.Done}, err
	}
	if err := platform.Remember(ctx, a.j, keyRouted, a.s.Now); err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

func (a *act) settle() (platform.Outcome, error) {
	at, ok, err := platform.Recall[time.Time](a.j, keyRouted)
	if err != nil || !ok || a.p.opt.Mistake == SettleSkipped {
		return platform.Outcome{Progress: platform.Done}, err
	}
	if left := a.p.opt.Settle - a.s.Now.Sub(at); left > 0 {
		return platform.Outcome{Progress: platform.Waiting, After: left, Reason: deploy.Why(ReasonSettling), Settling: true}, nil
	}
	return platform.DoneNow()
}

// routeIs reads the weights back.
func (a *act) routeIs(want map[string]int) (platform.Outcome, error) {
	if a.live == nil || !maps.Equal(a.live.Weights, want) {
		return platform.Fail(deploy.Why(ReasonForeign, "expected", weightsText(want), "found", weightsText(a.live.Weights)))
	}
	return platform.DoneNow()
}

// promote makes the new set the one that counts, and brings the service's own fields.
func (a *act) promote(ctx context.Context) (platform.Outcome, error) {
	s, ok, err := a.made(Primary)
	if err != nil || !ok {
		return platform.Outcome{Progress: platform.Failed, Reason: deploy.Why(ReasonNoStart, "detail", "the set is gone")}, err
	}
	if a.live.Size != a.d.Size {
		if err := a.api.size(ctx, a.d.Service, a.d.Size); err != nil {
			return platform.Outcome{}, err
		}
	}
	if a.live.Main != s.ID {
		if err := a.api.main(ctx, a.d.Service, s.ID); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// retire takes the capacity of the former sets away but keeps them for the way back.
func (a *act) retire(ctx context.Context) (platform.Outcome, error) {
	for _, old := range a.snap.Sets {
		now, ok := a.live.Set(old.ID)
		if !ok || now.Replicas == 0 || now.Group != Primary && a.s.Stage.Name != StageSync {
			continue
		}
		if err := a.api.scale(ctx, a.d.Service, old.ID, 0); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// removeCanary takes the canary away once its weight is read back as 0.
func (a *act) removeCanary(ctx context.Context) (platform.Outcome, error) {
	if a.live.Weights[Canary] > 0 {
		return platform.Fail(deploy.Why(ReasonForeign, "expected", "100/0", "found", weightsText(a.live.Weights)))
	}
	s, ok, err := a.made(Canary)
	if err != nil {
		return platform.Outcome{}, err
	}
	if ok {
		if err := a.api.remove(ctx, a.d.Service, s.ID); err != nil {
			return platform.Outcome{}, err
		}
	}
	if err := a.account(ctx, Canary, a.l.Removed); err != nil {
		return platform.Outcome{}, err
	}
	return platform.DoneNow()
}

// account notes what became of the objects that were made in a group.
func (a *act) account(ctx context.Context, group string, became func(context.Context, string, string) error) error {
	open, err := a.l.Open()
	if err != nil {
		return err
	}
	for _, o := range open {
		if o.Note == group {
			if err := became(ctx, o.Type, o.Token); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish removes what was kept for the way back only: behind it nothing can fail.
func (a *act) finish(ctx context.Context) (platform.Outcome, error) {
	for _, old := range a.snap.Sets {
		now, ok := a.live.Set(old.ID)
		if ok && now.Replicas == 0 && now.ID != a.live.Main {
			if err := a.api.remove(ctx, a.d.Service, old.ID); err != nil {
				return platform.Outcome{}, err
			}
		}
	}
	open, err := a.l.Open()
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, o := range open {
		if err := a.l.Kept(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}
