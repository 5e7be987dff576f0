package lambda

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// verifyLimit is how long the live state may need to show what the way back wrote.
const verifyLimit = lateLimit + 10*time.Second

// backAlias gives the alias back what it was before the first touch, whatever it says now.
func (j *job) backAlias(ctx context.Context) (platform.Outcome, error) {
	found, err := j.c.Alias(ctx, j.d.Name, j.d.Alias)
	if err != nil {
		return platform.Outcome{}, err
	}
	then := j.snap.Alias
	if then == nil && found != nil {
		ours, err := j.ownAlias()
		if err != nil || !ours {
			return done(err) // somebody else's
		}
	}
	_, touched, err := platform.Recall[routeRecord](j.j, keyRoute)
	if err != nil || !touched && found.equal(then) {
		return done(err)
	}
	return j.write(ctx, found, then)
}

// ownAlias reports whether this deployment created the alias, or was about to.
func (j *job) ownAlias() (bool, error) {
	o, ok, err := j.led.Find(objAlias, j.d.Name+":"+j.d.Alias)
	return ok && o.State != deploy.LedgerRemoved, err
}

// backTags gives the function its tags back, those among them that say where its code came from.
func (j *job) backTags(ctx context.Context) (platform.Outcome, error) {
	f, stop, err := j.function(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	return done(j.retag(ctx, f, j.snap.Function.Tags))
}

// backRemove removes the version that the deployment published: also one that it was about to publish and may have, and one
// that the last step, whose report was lost, declared to be kept.
func (j *job) backRemove(ctx context.Context) (platform.Outcome, error) {
	for _, key := range j.j.Keys(deploy.JournalObjectPrefix) {
		o, ok, err := platform.Recall[deploy.LedgerObject](j.j, key)
		if err != nil {
			return platform.Outcome{}, err
		}
		if !ok || o.State == deploy.LedgerRemoved {
			continue
		}
		var out platform.Outcome
		if o.Type == objVersion {
			out, err = j.removeVersion(ctx, o)
		} else {
			out, err = j.removeOther(ctx, o)
		}
		if err != nil || out.Progress != platform.Done {
			return out, err
		}
	}
	return platform.DoneNow()
}

func (j *job) removeVersion(ctx context.Context, o deploy.LedgerObject) (platform.Outcome, error) {
	number := o.ID
	if number == "" {
		var err error
		if number, err = j.published(ctx, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	if number == "" {
		if wait, err := j.inDoubt(objVersion); err != nil || wait != nil {
			return orStop(wait, err)
		}
		return done(j.led.Removed(ctx, o.Type, o.Token))
	}
	if err := j.c.DeleteVersion(ctx, j.d.Name, number); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("version %s removed", number)
	return done(j.led.Removed(ctx, o.Type, o.Token))
}

// removeOther accounts for an alias that was about to be created and is not there.
func (j *job) removeOther(ctx context.Context, o deploy.LedgerObject) (platform.Outcome, error) {
	if o.Type == objAlias {
		found, err := j.c.Alias(ctx, j.d.Name, j.d.Alias)
		if err != nil {
			return platform.Outcome{}, err
		}
		if found != nil {
			return j.write(ctx, found, j.snap.Alias)
		}
		if wait, err := j.inDoubt(objAlias); err != nil || wait != nil {
			return orStop(wait, err)
		}
	}
	return done(j.led.Removed(ctx, o.Type, o.Token))
}

// backVerify compares the live state, by effect, with the snapshot. A call of our own that came late is undone.
func (j *job) backVerify(ctx context.Context) (platform.Outcome, error) {
	now, err := observe(ctx, j.c, j.d)
	if err != nil {
		return platform.Outcome{}, err
	}
	if platform.Digest(liveView(now)) == platform.Digest(liveView(j.snap)) {
		return platform.DoneNow()
	}
	since, err := platform.Since(ctx, j.j, keyVerify, j.s.Now)
	if err != nil {
		return platform.Outcome{}, err
	}
	difference := change.Diff(shownView(j.snap), shownView(now), diffOptions()).Summary()
	if j.s.Now.Sub(since) > verifyLimit {
		return fail(ReasonNotRestored, "difference", difference)
	}
	rec, _, err := platform.Recall[routeRecord](j.j, keyRoute)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !now.Alias.equal(j.snap.Alias) && !rec.Doubt.IsZero() {
		if out, err := j.write(ctx, now.Alias, j.snap.Alias); err != nil || out.Progress != platform.Done {
			return out, err
		}
	}
	return ask(ReasonApplying, "alias", j.d.Alias)
}

// backRemoveAll removes a function that this deployment created, with all that is in it.
func (j *job) backRemoveAll(ctx context.Context) (platform.Outcome, error) {
	f, err := j.c.Function(ctx, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	mine, open, err := j.created()
	if err != nil {
		return platform.Outcome{}, err
	}
	switch {
	case f != nil && f.Tags[awsaccess.TagDeployment] == j.s.DeploymentID:
		if err := j.c.DeleteFunction(ctx, j.d.Name); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("function %s removed", j.d.Name)
	case f == nil && mine == deploy.LedgerIntended:
		if wait, err := j.inDoubt(objFunction); err != nil || wait != nil {
			return orStop(wait, err)
		}
	}
	for _, o := range open {
		if err := j.led.Removed(ctx, o.Type, o.Token); err != nil {
			return platform.Outcome{}, err
		}
	}
	return platform.DoneNow()
}

// created lists what the ledger does not have as removed, and says what it has of the function.
func (j *job) created() (of deploy.LedgerState, all []deploy.LedgerObject, err error) {
	for _, key := range j.j.Keys(deploy.JournalObjectPrefix) {
		o, ok, err := platform.Recall[deploy.LedgerObject](j.j, key)
		if err != nil {
			return "", nil, err
		}
		if !ok || o.State == deploy.LedgerRemoved {
			continue
		}
		if all = append(all, o); o.Type == objFunction {
			of = o.State
		}
	}
	return of, all, nil
}

// backVerifyGone waits until the function that was created is not shown any more.
func (j *job) backVerifyGone(ctx context.Context) (platform.Outcome, error) {
	f, err := j.c.Function(ctx, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if f != nil && f.Tags[awsaccess.TagDeployment] == j.s.DeploymentID {
		if err := j.c.DeleteFunction(ctx, j.d.Name); err != nil {
			return platform.Outcome{}, err
		}
		return ask(ReasonRemoving, "function", j.d.Name)
	}
	return platform.DoneNow()
}
