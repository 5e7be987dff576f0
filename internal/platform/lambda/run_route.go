package lambda

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// staleWindow is how long after our own write a read may still show what was before.
const staleWindow = 20 * time.Second

// wanted is the alias with a share of the new version. During a split the alias keeps naming the former version, so that an
// agent that is gone leaves it behind as it was, plus a share.
func (j *job) wanted(number string, percent int) *alias {
	then := j.snap.Alias
	switch {
	case percent == 100 || then == nil || then.Version == number:
		return &alias{Version: number}
	case percent == 0:
		return &alias{Version: then.Version}
	}
	return &alias{Version: then.Version, Weights: map[string]float64{number: float64(percent) / 100}}
}

// expected are the aliases that may be found: what was last written, and while that is fresh what was before.
func expected(rec routeRecord, known bool, then *alias, now time.Time) []*alias {
	if !known {
		return []*alias{then}
	}
	out := []*alias{rec.Now}
	if rec.Writing || now.Sub(rec.At) < staleWindow {
		out = append(out, rec.Was)
	}
	return out
}

// foreign says whether an alias is as neither the snapshot nor this deployment left it.
func foreign(d *desired, rec routeRecord, known bool, then, found *alias, now time.Time) deploy.Reason {
	want := expected(rec, known, then, now)
	for _, w := range want {
		if found.equal(w) {
			return deploy.Reason{}
		}
	}
	return deploy.Why(ReasonForeign, "alias", d.Name+":"+d.Alias, "expected", want[0].text(), "found", found.text())
}

// shift gives the new version the share of the stage.
func (j *job) shift(ctx context.Context) (platform.Outcome, error) {
	number, err := j.fresh()
	if err != nil {
		return platform.Outcome{}, err
	}
	found, err := j.c.Alias(ctx, j.d.Name, j.d.Alias)
	if err != nil {
		return platform.Outcome{}, err
	}
	rec, known, err := platform.Recall[routeRecord](j.j, keyRoute)
	if err != nil {
		return platform.Outcome{}, err
	}
	want := j.wanted(number, j.opt.Percent)
	if found == nil && j.snap.Alias == nil && want.percent(number) < 100 {
		return fail(ReasonNoAlias, "alias", j.d.Alias)
	}
	if !found.equal(want) && j.s.Attempt <= 1 {
		// On a second attempt a person has looked: the weights are written anew.
		if why := foreign(j.d, rec, known, j.snap.Alias, found, j.s.Now); !why.IsZero() {
			return platform.Fail(why)
		}
	}
	if out, err := j.usable(ctx, number); err != nil || out != nil {
		return orStop(out, err)
	}
	return j.write(ctx, found, want)
}

// write brings the alias to an absolute state, journals before and after, and reads back.
func (j *job) write(ctx context.Context, found, want *alias) (platform.Outcome, error) {
	rec, known, err := platform.Recall[routeRecord](j.j, keyRoute)
	if err != nil {
		return platform.Outcome{}, err
	}
	next := routeRecord{Written: rec.Again(j.s.Now), Now: want, Was: found}
	if found.equal(want) {
		if !known || !rec.Writing && rec.Now.equal(want) {
			return platform.DoneNow() // nobody has to take anything over
		}
		next.Was = rec.Was
		if want != nil && rec.Writing {
			// The write arrived and its answer did not.
			if err := j.accountAlias(ctx); err != nil {
				return platform.Outcome{}, err
			}
		}
		return done(platform.Remember(ctx, j.j, keyRoute, next))
	}
	next.Writing = true
	if err := platform.Remember(ctx, j.j, keyRoute, next); err != nil {
		return platform.Outcome{}, err
	}
	if err := j.put(ctx, found, want); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("alias %s: %s", j.d.Alias, want.text())
	back, err := j.c.Alias(ctx, j.d.Name, j.d.Alias)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !back.equal(want) {
		return ask(ReasonApplying, "alias", j.d.Alias)
	}
	next.Writing = false
	return done(platform.Remember(ctx, j.j, keyRoute, next))
}

// put creates, changes or removes the alias.
func (j *job) put(ctx context.Context, found, want *alias) error {
	token := j.d.Name + ":" + j.d.Alias
	switch {
	case want == nil:
		if err := j.c.DeleteAlias(ctx, j.d.Name, j.d.Alias); err != nil {
			return err
		}
		return j.led.Removed(ctx, objAlias, token)
	case found == nil:
		if j.snap.Alias == nil {
			if err := j.making(ctx, objAlias, token, token); err != nil {
				return err
			}
		}
		if err := j.c.CreateAlias(ctx, j.d.Name, j.d.Alias, *want); err != nil {
			return err
		}
		return j.accountAlias(ctx)
	}
	to := *want
	to.Revision = found.Revision
	return j.c.SetAlias(ctx, j.d.Name, j.d.Alias, to)
}

// accountAlias notes that the alias that was to be created is there.
func (j *job) accountAlias(ctx context.Context) error {
	token := j.d.Name + ":" + j.d.Alias
	o, ok, err := j.led.Find(objAlias, token)
	if err != nil || !ok || o.State != deploy.LedgerIntended {
		return err
	}
	return j.led.Created(ctx, objAlias, token, token)
}

// settle lets all of Lambda take the last write over.
func (j *job) settle(context.Context) (platform.Outcome, error) {
	rec, known, err := platform.Recall[routeRecord](j.j, keyRoute)
	if err != nil || !known {
		return done(err)
	}
	until := rec.Settled(j.d.Settle, lateLimit)
	if rest := until.Sub(j.s.Now); rest > 0 {
		return platform.Outcome{Progress: platform.Waiting, After: rest, Settling: true, Reason: deploy.Why(ReasonSettling, "until", until.UTC().Format(time.RFC3339))}, nil
	}
	return platform.DoneNow()
}

// verify reads the alias and the new version back after the settle time.
func (j *job) verify(ctx context.Context) (platform.Outcome, error) {
	number, err := j.fresh()
	if err != nil {
		return platform.Outcome{}, err
	}
	found, err := j.c.Alias(ctx, j.d.Name, j.d.Alias)
	if err != nil {
		return platform.Outcome{}, err
	}
	if want := j.wanted(number, j.opt.Percent); !found.equal(want) {
		return fail(ReasonForeign, "alias", j.d.Name+":"+j.d.Alias, "expected", want.text(), "found", found.text())
	}
	if out, err := j.usable(ctx, number); err != nil || out != nil {
		return orStop(out, err)
	}
	return platform.DoneNow()
}
