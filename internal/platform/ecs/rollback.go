package ecs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// verifyLimit is how long the live state may need to show what the way back wrote.
const verifyLimit = visibleLimit + 10*time.Second

// former is the task set that carries the snapshot's primary version now: the original, or the one created again.
func (j *job) former(s *service) (*taskSet, error) {
	then := j.snap.primary()
	if then == nil {
		return nil, nil
	}
	if t := s.set(then.ARN); t != nil {
		return t, nil
	}
	t, _, err := j.mine(s, roleFormer)
	return t, err
}

// backCapacity gives the former task sets their scale again. Where they never lost it, nothing is written and the traffic
// goes back at once.
func (j *job) backCapacity(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if err := j.backCount(ctx, s); err != nil {
		return platform.Outcome{}, err
	}
	for _, then := range j.formers() {
		t := s.set(then.ARN)
		if t == nil && then.Status == statusPrimary {
			if t, err = j.former(s); err != nil {
				return platform.Outcome{}, err
			}
			if t == nil {
				return j.recreate(ctx, then)
			}
		}
		if t != nil && t.Scale != then.Scale {
			if err := j.c.ScaleTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, then.Scale); err != nil {
				return platform.Outcome{}, err
			}
			j.logf("task set %s goes back to %g %%", tail(t.ARN), then.Scale)
		}
	}
	return platform.DoneNow()
}

// backCount takes back a desired count that this deployment wrote, as far as nobody has changed it since, and never below
// what an autoscaler made of it.
func (j *job) backCount(ctx context.Context, s *service) error {
	rec, known, err := platform.Recall[countRecord](j.j, keyCount)
	if err != nil || !known {
		return err
	}
	if s.Count < rec.From {
		j.logf("the desired count goes back from %d to %d", s.Count, rec.From)
		return j.c.UpdateService(ctx, j.d.Cluster, j.d.Name, serviceUpdate{Count: &rec.From})
	}
	return nil
}

// recreate makes the former task set again from the snapshot; an INACTIVE revision is registered again by content.
func (j *job) recreate(ctx context.Context, then taskSet) (platform.Outcome, error) {
	r, err := j.c.Revision(ctx, then.Revision)
	if err != nil {
		return platform.Outcome{}, err
	}
	arn := then.Revision
	if r == nil || r.Inactive {
		content := j.snap.Revisions[then.Revision].Content
		if content == nil {
			return platform.Outcome{}, platform.Final(fmt.Errorf("revision %s is gone and the snapshot does not hold its content: register it again by hand, then retry", then.Revision))
		}
		rec, err := j.registered(ctx, content, j.token("former-revision"), roleFormer)
		if err != nil {
			return platform.Outcome{}, err
		}
		arn = rec.ARN
	}
	return j.createSet(ctx, roleFormer, newTaskSet{Revision: arn, Scale: then.Scale, Shape: then.Shape})
}

// backAwait waits until the former version can take its traffic. Where a route forwards to a group that is worse off, going
// back does not wait for the last target.
func (j *job) backAwait(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	then := j.snap.primary()
	if then == nil || then.Scale == 0 || s.Count == 0 {
		return platform.DoneNow()
	}
	t, err := j.former(s)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t == nil {
		return fail(ReasonSetGone, "set", tail(then.ARN))
	}
	for _, g := range setGroups(t.Shape) {
		h, err := j.healthOf(ctx, s, t, g)
		if err != nil {
			return platform.Outcome{}, err
		}
		if h.healthy >= max(1, t.Computed) {
			continue
		}
		if better, err := j.canaryWorse(ctx, s, h.healthy); err != nil || better {
			return done(err)
		}
		return ask(ReasonRestoring, "healthy", fmt.Sprint(h.healthy), "needed", fmt.Sprint(t.Computed))
	}
	if len(setGroups(t.Shape)) == 0 && t.Running < t.Computed {
		return ask(ReasonRestoring, "healthy", fmt.Sprint(t.Running), "needed", fmt.Sprint(t.Computed))
	}
	return platform.DoneNow()
}

// canaryWorse reports whether the canary group lacks healthy targets for the weight it has while the former version has some.
func (j *job) canaryWorse(ctx context.Context, s *service, healthy int) (bool, error) {
	known, err := j.allWithCanary()
	if err != nil || healthy == 0 || j.d.canaryARN() == "" || len(known) == 0 {
		return false, nil // a rule with a third group was never written by us
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return false, err
	}
	for _, r := range now {
		sh := share(r.Actions, j.d.canaryARN())
		if sh == 0 {
			continue
		}
		targets, err := j.c.Health(ctx, j.d.canaryARN())
		if err != nil {
			return false, err
		}
		if healthyTargets(targets) < needed(s, j.d.canaryARN(), sh) {
			return true, nil
		}
	}
	return false, nil
}

// backWeights restores the weights of the snapshot.
func (j *job) backWeights(ctx context.Context) (platform.Outcome, error) {
	return j.restore(ctx, func(then, now route) route {
		then.Actions = restored(then.Actions, now.Actions, j.d.canaryARN())
		return then
	})
}

// backRoutes restores the exact actions, which also takes the canary group off again where we attached it.
func (j *job) backRoutes(ctx context.Context) (platform.Outcome, error) {
	out, err := j.restore(ctx, func(then, _ route) route { return then })
	if err != nil || out.Progress != platform.Done {
		return out, err
	}
	return done(j.closeLedger(ctx, objAttach))
}

// restore writes what each route should be, journals before and after, and reads back.
func (j *job) restore(ctx context.Context, want func(then, now route) route) (platform.Outcome, error) {
	known, err := j.allWithCanary()
	if err != nil || len(known) == 0 {
		return platform.DoneNow() // the plan refuses to write such rules, so there is nothing to restore
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return platform.Outcome{}, err
	}
	rec, noted, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil {
		return platform.Outcome{}, err
	}
	var due []route
	for _, k := range known {
		i := slices.IndexFunc(now, func(r route) bool { return r.ARN == k.ARN })
		if i < 0 {
			return fail(ReasonRouteGone, "route", k.name())
		}
		if w := want(k, now[i]); !sameActions(w.Actions, now[i].Actions) {
			due = append(due, w)
		}
	}
	next := weightsRecord{Written: rec.Again(j.s.Now), Primary: 100, Back: true, PrevCanary: rec.Canary, HasPrevious: noted}
	if rec.Back {
		next.PrevCanary, next.HasPrevious = rec.PrevCanary, rec.HasPrevious
	}
	if len(due) == 0 {
		if noted && rec.Writing {
			return done(platform.Remember(ctx, j.j, keyWeights, next)) // a write before a crash may be this recent
		}
		return platform.DoneNow()
	}
	next.Writing = true
	if err := platform.Remember(ctx, j.j, keyWeights, next); err != nil {
		return platform.Outcome{}, err
	}
	for _, r := range due {
		if err := j.c.SetActions(ctx, r, r.Actions); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("%s: %s", r.name(), weightsText(r.Actions, tail))
	}
	back, err := j.c.Reread(ctx, due)
	if err != nil {
		return platform.Outcome{}, err
	}
	for _, r := range due {
		i := slices.IndexFunc(back, func(b route) bool { return b.ARN == r.ARN })
		if i < 0 || !sameActions(back[i].Actions, r.Actions) {
			return ask(ReasonWeightsApplying, "route", r.name())
		}
	}
	next.Writing = false
	return done(platform.Remember(ctx, j.j, keyWeights, next))
}

// backPromote makes the former set the service's primary again.
func (j *job) backPromote(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, err := j.former(s)
	if err != nil || t == nil {
		return done(err)
	}
	return j.makePrimary(ctx, t)
}

// backRemove takes away the task sets and the revision that this deployment made, once nothing leads to them any more.
func (j *job) backRemove(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	for _, role := range []string{roleCanary, rolePrimary} {
		t, _, err := j.mine(s, role)
		if err != nil {
			return platform.Outcome{}, err
		}
		if t == nil || j.snap.Service.set(t.ARN) != nil {
			continue
		}
		if role == roleCanary {
			if out, err := j.guardCanary(ctx); err != nil || out != nil {
				return orStop(out, err)
			}
		}
		if role == rolePrimary {
			if out, err := j.replaced(ctx, s, t); err != nil || out != nil {
				return orStop(out, err)
			}
		}
		if out, err := j.remove(ctx, t); err != nil || out.Progress != platform.Done {
			return out, err
		}
		if token := t.Tags[tagToken]; token != "" {
			if err := j.led.Removed(ctx, objSet, token); err != nil {
				return platform.Outcome{}, err
			}
		}
	}
	if out, err := j.missed(ctx, s); err != nil || out != nil {
		return orStop(out, err)
	}
	return done(j.withdraw(ctx))
}

// missed waits for task sets that the ledger knows, or that were meant to be made, and that no read shows: they may turn up.
func (j *job) missed(ctx context.Context, s *service) (*platform.Outcome, error) {
	open, err := j.led.Open()
	if err != nil {
		return nil, err
	}
	for _, o := range open {
		if o.Type != objSet || o.Note == roleFormer || o.ID != "" && slices.Contains(s.draining(), o.ID) {
			continue
		}
		if out, err := j.unseen(ctx, objSet+"/"+o.Token); err != nil || out != nil {
			return out, err
		}
	}
	return nil, nil
}

// replaced keeps the new primary set as long as it serves and the former one does not yet serve with all its targets.
func (j *job) replaced(ctx context.Context, s *service, t *taskSet) (*platform.Outcome, error) {
	f, err := j.former(s)
	if err != nil || f == nil || t.Scale == 0 {
		return nil, err
	}
	for _, g := range setGroups(f.Shape) {
		old, err := j.healthOf(ctx, s, f, g)
		if err != nil {
			return nil, err
		}
		serving, err := j.healthOf(ctx, s, t, g)
		if err != nil {
			return nil, err
		}
		if old.healthy < f.Computed && serving.healthy > 0 {
			out, _ := ask(ReasonRestoring, "healthy", fmt.Sprint(old.healthy), "needed", fmt.Sprint(f.Computed))
			return &out, nil
		}
	}
	return nil, nil
}

// guardCanary lets the canary's tasks go only when the snapshot gave its group no weight and none is left.
func (j *job) guardCanary(ctx context.Context) (*platform.Outcome, error) {
	then, err := j.allWithCanary()
	if err != nil {
		return nil, nil
	}
	for _, r := range then {
		if share(r.Actions, j.d.canaryARN()) > 0 {
			return nil, nil // the snapshot's own set serves that weight
		}
	}
	out, err := j.weightless(ctx)
	if err != nil {
		return nil, err
	}
	if out != nil {
		return j.restoreAgain(ctx, out)
	}
	if rest, err := j.settle(ctx); err != nil || rest.Progress != platform.Done {
		return &rest, err
	}
	return nil, nil
}

// restoreAgain writes the snapshot's weights once more where one of our own writes, whose answer was lost, took effect behind
// them. Weights that this deployment never wrote are somebody else's.
func (j *job) restoreAgain(ctx context.Context, weighted *platform.Outcome) (*platform.Outcome, error) {
	rec, _, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil || !rec.Back || !rec.HasPrevious || rec.Doubt.IsZero() {
		return weighted, err
	}
	known, err := j.allWithCanary()
	if err != nil {
		return weighted, nil
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, r := range now {
		if sh := share(r.Actions, j.d.canaryARN()); sh > 0 && math.Abs(sh-float64(rec.PrevCanary)) >= 0.6 {
			return weighted, nil
		}
	}
	j.logf("a write of this deployment took effect behind the way back: the weights are restored again")
	out, err := j.backWeights(ctx)
	if err == nil && out.Progress == platform.Done {
		out, err = ask(ReasonWeightsApplying, "route", known[0].name())
	}
	return &out, err
}

// withdraw closes the ledger of task sets and deregisters the revision that we registered, unless the snapshot names it.
func (j *job) withdraw(ctx context.Context) error {
	all, err := j.noted()
	if err != nil {
		return err
	}
	for _, o := range all {
		switch {
		case o.Note == roleFormer: // a set, or the revision of one, that stands for the snapshot's
			err = j.led.Kept(ctx, o.Type, o.Token)
		case o.Type == objSet:
			err = j.led.Removed(ctx, o.Type, o.Token)
		case o.Type == objRevision:
			err = j.withdrawRevision(ctx, o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// noted lists what the ledger knows to be there, or not to be gone: also what an almost finished pipeline meant to keep.
func (j *job) noted() ([]deploy.LedgerObject, error) {
	var all []deploy.LedgerObject
	for _, key := range j.j.Keys(deploy.JournalObjectPrefix) {
		o, ok, err := platform.Recall[deploy.LedgerObject](j.j, key)
		if err != nil {
			return nil, err
		}
		if ok && o.State != deploy.LedgerRemoved {
			all = append(all, o)
		}
	}
	return all, nil
}

func (j *job) withdrawRevision(ctx context.Context, o deploy.LedgerObject) error {
	arn := o.ID
	if arn == "" {
		r, err := j.byToken(ctx, aws.ToString(j.d.Task.Family), o.Token)
		if err != nil {
			return err
		}
		if r != nil {
			arn = r.ARN
		}
	}
	if _, named := j.snap.Revisions[arn]; arn != "" && !named {
		r, err := j.c.Revision(ctx, arn)
		if err != nil {
			return err
		}
		if r != nil && !r.Inactive {
			if err := j.c.Deregister(ctx, arn); err != nil {
				return err
			}
			j.logf("deregistered %s", tail(arn))
		}
	}
	return j.led.Removed(ctx, o.Type, o.Token)
}

func (j *job) closeLedger(ctx context.Context, typ string) error {
	all, err := j.noted()
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Type == typ {
			if err := j.led.Removed(ctx, o.Type, o.Token); err != nil {
				return err
			}
		}
	}
	return nil
}

// backService restores service-level fields, the count and the tags.
func (j *job) backService(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	var u serviceUpdate
	if then := j.snap.Service.Fields; platform.Digest(fieldsView(then)) != platform.Digest(fieldsView(s.Fields)) {
		u.Fields, u.Have = &then, s.Fields
	}
	rec, known, err := platform.Recall[countRecord](j.j, keyCount)
	if err != nil {
		return platform.Outcome{}, err
	}
	if known && s.Count == rec.To && rec.From != rec.To {
		u.Count = &rec.From
	}
	if u.Fields != nil || u.Count != nil {
		if err := j.c.UpdateService(ctx, j.d.Cluster, j.d.Name, u); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("restored the fields of service %s", j.d.Name)
	}
	return done(j.retag(ctx, s, j.snap.Service.Tags))
}

// backVerify compares the live state with the snapshot by effect.
func (j *job) backVerify(ctx context.Context) (platform.Outcome, error) {
	o, err := observe(ctx, j.c, j.d, false)
	if err != nil {
		return platform.Outcome{}, err
	}
	want, have := liveView(j.snap), liveView(o.snap)
	if platform.Digest(want) == platform.Digest(have) {
		return platform.DoneNow()
	}
	diff := change.Diff(want, have, diffOptions())
	return j.waitRestored(ctx, diff.Summary())
}

// waitRestored gives the API a little time to show the end of the way back, then says what differs.
func (j *job) waitRestored(ctx context.Context, difference string) (platform.Outcome, error) {
	since, err := platform.Since(ctx, j.j, keyVerify, j.s.Now)
	if err != nil {
		return platform.Outcome{}, err
	}
	if j.s.Now.Sub(since) < verifyLimit {
		return ask(ReasonNotRestored, "difference", difference)
	}
	return fail(ReasonNotRestored, "difference", difference)
}

// backRemoveAll is the way back of a first deployment: what was created goes, the service included.
func (j *job) backRemoveAll(ctx context.Context) (platform.Outcome, error) {
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if s != nil && s.Status == statusActive {
		if s.Tags[awsaccess.TagApplication] != j.s.App.ID {
			return fail(ReasonNotRestored, "difference", "service "+j.d.Name+" was created by somebody else meanwhile")
		}
		for i := range s.Sets {
			t := &s.Sets[i]
			if t.Status == statusDraining || t.Tags[awsaccess.TagDeployment] != j.s.DeploymentID {
				continue
			}
			if out, err := j.remove(ctx, t); err != nil || out.Progress != platform.Done {
				return out, err
			}
			if token := t.Tags[tagToken]; token != "" {
				if err := j.led.Removed(ctx, objSet, token); err != nil {
					return platform.Outcome{}, err
				}
			}
		}
		if out, err := j.missed(ctx, s); err != nil || out != nil {
			return orStop(out, err)
		}
		if err := j.c.DeleteService(ctx, j.d.Cluster, j.d.Name); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("removed service %s", j.d.Name)
	}
	if !serving(s) {
		open, err := j.led.Open()
		if err != nil {
			return platform.Outcome{}, err
		}
		if slices.ContainsFunc(open, func(o deploy.LedgerObject) bool { return o.Type == objService }) {
			if out, err := j.unseen(ctx, objService); err != nil || out != nil {
				return orStop(out, err)
			}
		}
	}
	if err := j.withdraw(ctx); err != nil {
		return platform.Outcome{}, err
	}
	return done(j.closeLedger(ctx, objService))
}

// backVerifyGone waits until the service is gone.
func (j *job) backVerifyGone(ctx context.Context) (platform.Outcome, error) {
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if s == nil || s.Status != statusActive {
		return platform.DoneNow() // DRAINING: ECS finishes by itself
	}
	return ask(ReasonServiceRemoving, "service", j.d.Name)
}
