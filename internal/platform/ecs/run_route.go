package ecs

import (
	"context"
	"fmt"
	"slices"
	"time"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// lateLimit is how long a call may take effect behind the loss of its answer: a request that waits in a connection or in a
// retry of somebody between.
const lateLimit = 65 * time.Second

// staleWindow is how long after our own write a read may still show what was before.
const staleWindow = 20 * time.Second

// planned are the routes of the snapshot that this deployment may write.
func (j *job) planned() ([]route, error) {
	rs, err := qualifying(j.snap.Routes, j.d.primaryARN(), j.d.canaryARN())
	if err != nil {
		return nil, platform.Final(err)
	}
	if len(rs) == 0 {
		return nil, platform.Final(fmt.Errorf("no listener rule forwards to the primary target group %s", j.d.primaryARN()))
	}
	return rs, nil
}

// readRoutes reads the planned routes again. A reason says that one is gone or was taken over by somebody else.
func (j *job) readRoutes(ctx context.Context) ([]route, deploy.Reason, error) {
	known, err := j.planned()
	if err != nil {
		return nil, deploy.Reason{}, err
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return nil, deploy.Reason{}, err
	}
	return now, foreignShape(j.d, known, now), nil
}

// foreignShape says whether a route is gone or forwards to groups that are not ours.
func foreignShape(d *desired, known, now []route) deploy.Reason {
	for _, k := range known {
		i := slices.IndexFunc(now, func(r route) bool { return r.ARN == k.ARN })
		if i < 0 || !mentions(now[i].Actions, d.primaryARN()) {
			return deploy.Why(ReasonRouteGone, "route", k.name())
		}
		if _, err := qualifying(now[i:i+1], d.primaryARN(), d.canaryARN()); err != nil {
			return deploy.Why(ReasonForeignWeights, "route", k.name(), "expected", "only the primary and the canary target group", "found", weightsText(now[i].Actions, tail))
		}
	}
	return deploy.Reason{}
}

// expectations are the canary shares that a route may show: what was last written, and while that is fresh what was before.
func expectations(rec weightsRecord, known bool, then route, canary string, now time.Time) []float64 {
	before := share(then.Actions, canary)
	if !known {
		return []float64{before}
	}
	out := []float64{float64(rec.Canary)}
	if rec.Back {
		out = []float64{before}
	}
	if rec.Writing || now.Sub(rec.At) < staleWindow {
		if rec.HasPrevious {
			out = append(out, float64(rec.PrevCanary))
		} else {
			out = append(out, before)
		}
		out = append(out, float64(rec.Canary))
	}
	return out
}

// foreignWeights says whether a route shows weights that neither the snapshot nor this deployment put there.
func foreignWeights(d *desired, rec weightsRecord, known bool, then, now []route, at time.Time) deploy.Reason {
	for _, r := range now {
		i := slices.IndexFunc(then, func(t route) bool { return t.ARN == r.ARN })
		if i < 0 {
			continue
		}
		want := expectations(rec, known, then[i], d.canaryARN(), at)
		got := share(r.Actions, d.canaryARN())
		if !slices.ContainsFunc(want, func(w float64) bool { return w-got < 0.6 && got-w < 0.6 }) {
			return deploy.Why(ReasonForeignWeights, "route", r.name(), "expected", fmt.Sprintf("primary %.4g %%, canary %.4g %%", 100-want[0], want[0]), "found", weightsText(r.Actions, tail))
		}
	}
	return deploy.Reason{}
}

// attach adds the canary group at weight 0 to the rules of the primary group: Amazon ECS starts tasks only behind groups
// that a load balancer knows.
func (j *job) attach(ctx context.Context) (platform.Outcome, error) {
	now, foreign, err := j.readRoutes(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !foreign.IsZero() {
		return platform.Fail(foreign)
	}
	token := j.token("attach")
	if err := j.led.Intend(ctx, objAttach, token, j.d.canaryARN()); err != nil {
		return platform.Outcome{}, err
	}
	out, err := j.write(ctx, now, 100, 0, true)
	if err != nil || out.Progress != platform.Done {
		return out, err
	}
	return done(j.led.Created(ctx, objAttach, token, j.d.canaryARN()))
}

// shift gives the two groups the weights of the stage, if the one that gains has the healthy targets that its share needs.
func (j *job) shift(ctx context.Context) (platform.Outcome, error) {
	now, foreign, err := j.readRoutes(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !foreign.IsZero() {
		return platform.Fail(foreign)
	}
	rec, known, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil {
		return platform.Outcome{}, err
	}
	reached := !slices.ContainsFunc(now, func(r route) bool { return !j.hasWeights(r, j.opt.Primary, j.opt.Canary, false) })
	if !reached && j.s.Attempt <= 1 {
		// On a second attempt a person has looked: the weights are written anew.
		if why := foreignWeights(j.d, rec, known, j.snap.Routes, now, j.s.Now); !why.IsZero() {
			return platform.Fail(why)
		}
	}
	if why, err := j.lacking(ctx, now); err != nil || !why.IsZero() {
		if err != nil {
			return platform.Outcome{}, err
		}
		return j.askUnlessBroken(ctx, why)
	}
	return j.write(ctx, now, j.opt.Primary, j.opt.Canary, false)
}

func (j *job) hasWeights(r route, p, c int, attach bool) bool {
	return sameActions(r.Actions, splitActions(r.Actions, j.d.primaryARN(), j.d.canaryARN(), p, c, attach))
}

// lacking names a group whose wished share needs more healthy targets than it has.
func (j *job) lacking(ctx context.Context, now []route) (deploy.Reason, error) {
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil || s == nil {
		return deploy.Reason{}, err
	}
	for _, group := range []struct {
		arn  string
		want int
	}{{j.d.primaryARN(), j.opt.Primary}, {j.d.canaryARN(), j.opt.Canary}} {
		arn, want := group.arn, group.want
		if arn == "" || want == 0 {
			continue
		}
		gains := slices.ContainsFunc(now, func(r route) bool { return share(r.Actions, arn) < float64(want) })
		if !gains {
			continue
		}
		targets, err := j.c.Health(ctx, arn)
		if err != nil {
			return deploy.Reason{}, err
		}
		if healthy, need := healthyTargets(targets), needed(s, arn, float64(want)); healthy < need {
			return deploy.Why(ReasonNoHealthy, "group", tail(arn), "share", fmt.Sprint(want), "needed", fmt.Sprint(need), "healthy", fmt.Sprint(healthy)), nil
		}
	}
	return deploy.Reason{}, nil
}

// needed is how many healthy targets a share of the traffic needs: that share of the service's count, at most what the sets
// behind the group are scaled to, at least one.
func needed(s *service, groupARN string, percent float64) int {
	if percent <= 0 {
		return 0
	}
	capacity := 0
	for _, t := range s.Sets {
		if t.Status != statusDraining && slices.Contains(setGroups(t.Shape), groupARN) {
			capacity += t.Computed
		}
	}
	return max(1, min(computed(s.Count, percent), capacity))
}

// write brings all routes to absolute weights, journals before and after, and reads back.
func (j *job) write(ctx context.Context, now []route, p, c int, attach bool) (platform.Outcome, error) {
	rec, known, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil {
		return platform.Outcome{}, err
	}
	var due []route
	for _, r := range now {
		if !j.hasWeights(r, p, c, attach) {
			due = append(due, r)
		}
	}
	next := weightsRecord{Written: rec.Again(j.s.Now), Primary: p, Canary: c, PrevCanary: rec.Canary, HasPrevious: known && !rec.Back}
	if known && !rec.Back && rec.Primary == p && rec.Canary == c {
		next.PrevCanary, next.HasPrevious = rec.PrevCanary, rec.HasPrevious
	}
	if len(due) == 0 {
		if known && !rec.Writing && !rec.Back && rec.Primary == p && rec.Canary == c {
			return platform.DoneNow()
		}
		return done(platform.Remember(ctx, j.j, keyWeights, next))
	}
	next.Writing = true
	if err := platform.Remember(ctx, j.j, keyWeights, next); err != nil {
		return platform.Outcome{}, err
	}
	for _, r := range due {
		if err := j.c.SetActions(ctx, r, splitActions(r.Actions, j.d.primaryARN(), j.d.canaryARN(), p, c, attach)); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("%s: primary %d %%, canary %d %%", r.name(), p, c)
	}
	back, err := j.c.Reread(ctx, due)
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, r := range back {
		if !j.hasWeights(r, p, c, attach) {
			return ask(ReasonWeightsApplying, "route", r.name())
		}
	}
	next.Writing = false
	return done(platform.Remember(ctx, j.j, keyWeights, next))
}

// settle lets the nodes of the load balancer take the last weights over.
func (j *job) settle(ctx context.Context) (platform.Outcome, error) {
	rec, known, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil || !known {
		return done(err)
	}
	return settleUntil(rec.Settled(j.d.Settle, lateLimit), j.s.Now)
}

func settleUntil(until, now time.Time) (platform.Outcome, error) {
	if rest := until.Sub(now); rest > 0 {
		return platform.Outcome{Progress: platform.Waiting, After: rest, Settling: true, Reason: deploy.Why(ReasonSettling, "until", until.UTC().Format(time.RFC3339))}, nil
	}
	return platform.DoneNow()
}

// verify reads the weights and the health of every group with weight back after the settle time.
func (j *job) verify(ctx context.Context) (platform.Outcome, error) {
	now, foreign, err := j.readRoutes(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !foreign.IsZero() {
		return platform.Fail(foreign)
	}
	for _, r := range now {
		if !j.hasWeights(r, j.opt.Primary, j.opt.Canary, false) {
			return fail(ReasonForeignWeights, "route", r.name(), "expected", fmt.Sprintf("primary %d %%, canary %d %%", j.opt.Primary, j.opt.Canary), "found", weightsText(r.Actions, tail))
		}
	}
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	for _, group := range []struct {
		arn  string
		want int
	}{{j.d.primaryARN(), j.opt.Primary}, {j.d.canaryARN(), j.opt.Canary}} {
		arn, want := group.arn, group.want
		if arn == "" || want == 0 {
			continue
		}
		targets, err := j.c.Health(ctx, arn)
		if err != nil {
			return platform.Outcome{}, err
		}
		if healthy, need := healthyTargets(targets), needed(s, arn, float64(want)); healthy < need {
			return j.askUnlessBroken(ctx, deploy.Why(ReasonTargetsStarting, "group", tail(arn), "healthy", fmt.Sprint(healthy), "needed", fmt.Sprint(need)))
		}
	}
	return platform.DoneNow()
}

// askUnlessBroken waits for healthy targets, unless the tasks of the new version keep stopping.
func (j *job) askUnlessBroken(ctx context.Context, why deploy.Reason) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	for _, role := range []string{roleCanary, rolePrimary} {
		t, _, err := j.mine(s, role)
		if err != nil {
			return platform.Outcome{}, err
		}
		if t == nil {
			continue
		}
		if bad, err := j.broken(ctx, t); err != nil || !bad.IsZero() {
			return platform.Outcome{Progress: platform.Failed, Reason: bad}, err
		}
	}
	return platform.AskAgain(pollTime, why)
}

// weightless reports whether no route gives the canary anything; otherwise the outcome says which one does.
func (j *job) weightless(ctx context.Context) (*platform.Outcome, error) {
	if j.d.canaryARN() == "" {
		return nil, nil
	}
	known, err := j.allWithCanary()
	if err != nil || len(known) == 0 {
		return nil, err
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, r := range now {
		if sh := share(r.Actions, j.d.canaryARN()); sh > 0 {
			out, _ := fail(ReasonCanaryHasWeight, "share", fmt.Sprintf("%.4g", sh), "route", r.name())
			return &out, nil
		}
	}
	return nil, nil
}

// allWithCanary are the routes that may lead requests of users to the canary. Test rules, which forward to the canary alone,
// are none of them.
func (j *job) allWithCanary() ([]route, error) {
	return qualifying(j.snap.Routes, j.d.primaryARN(), j.d.canaryARN())
}

// checkWeights refuses to clean a canary that has weight.
func (j *job) checkWeights(ctx context.Context) (platform.Outcome, error) {
	out, err := j.weightless(ctx)
	if err != nil || out != nil {
		return orStop(out, err)
	}
	return platform.DoneNow()
}

// drainCanary takes the canary to 0 tasks: weight 0 read back, settled, read back again.
func (j *job) drainCanary(ctx context.Context) (platform.Outcome, error) {
	if out, err := j.settle(ctx); err != nil || out.Progress != platform.Done {
		return out, err
	}
	out, err := j.weightless(ctx)
	if err != nil || out != nil {
		return orStop(out, err)
	}
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, _, err := j.mine(s, roleCanary)
	if err != nil || t == nil {
		return done(err)
	}
	if t.Scale > 0 {
		if err := j.c.ScaleTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, 0); err != nil {
			return platform.Outcome{}, err
		}
		return ask(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
	}
	if t.Running+t.Pending > 0 {
		return ask(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
	}
	return platform.DoneNow()
}

// removeCanary deletes the canary's empty task set.
func (j *job) removeCanary(ctx context.Context) (platform.Outcome, error) {
	out, err := j.weightless(ctx)
	if err != nil || out != nil {
		return orStop(out, err)
	}
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, rec, err := j.mine(s, roleCanary)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t != nil {
		if out, err := j.remove(ctx, t); err != nil || out.Progress != platform.Done {
			return out, err
		}
	}
	if rec.Token == "" {
		return platform.DoneNow() // there was no canary
	}
	return done(j.led.Removed(ctx, objSet, rec.Token))
}

// restored are the actions that the way back writes first: those of the snapshot, and as long as the canary's tasks run its
// group stays attached at weight 0, so that no node of the load balancer loses a group that it still forwards to.
func restored(then, now []elbtypes.Action, canary string) []elbtypes.Action {
	if canary == "" || mentions(then, canary) || !mentions(now, canary) {
		return then
	}
	_, ws := forward(then)
	return withWeights(then, append(slices.Clone(ws), weighted{canary, 0}))
}
