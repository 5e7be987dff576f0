package ecs

import (
	"context"
	"fmt"
	"slices"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// turnBack returns to the recorded revision: AWS turns a service deployment back that is under way; one that is over is followed by a deployment of what
// was. A deployment of somebody else is left alone.
func (j *job) turnBack(ctx context.Context) (platform.Outcome, error) {
	ours, newest, err := j.rollout(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	if ours == nil {
		return j.neverStarted(ctx, newest)
	}
	if newest.ARN != ours.ARN {
		return j.behindOurs(ctx, newest)
	}
	switch ours.Status {
	case rolloutPending, rolloutRunning:
		return j.stop(ctx, ours)
	case rolloutSuccessful, rolloutBackFailed:
		return j.deployFormer(ctx)
	case rolloutBack:
		return j.backAtFormer(ctx)
	case rolloutStopped: // by a circuit breaker that does not go back by itself
		return j.deployFormer(ctx)
	}
	return j.waitFor(ours)
}

func (j *job) stop(ctx context.Context, r *rollout) (platform.Outcome, error) {
	if err := j.c.TurnBack(ctx, r.ARN); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("asked Amazon ECS to turn service deployment %s back", tail(r.ARN))
	return j.waitFor(r)
}

// neverStarted ends the way back of a deployment that no service deployment belongs to; one that was meant to begin may still turn up.
func (j *job) neverStarted(ctx context.Context, newest *rollout) (platform.Outcome, error) {
	meant, err := j.meant(objRollout)
	if err != nil {
		return platform.Outcome{}, err
	}
	if meant {
		if out, err := j.unseen(ctx, objRollout+"/back"); err != nil || out != nil {
			return orStop(out, err)
		}
	}
	if !newest.over() {
		return j.waitFor(newest) // of somebody else: what is live is known when it is over
	}
	return platform.DoneNow()
}

// behindOurs judges a service deployment that came after ours: it is the way back, or somebody else's.
func (j *job) behindOurs(ctx context.Context, newest *rollout) (platform.Outcome, error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyFormer)
	if err != nil {
		return platform.Outcome{}, err
	}
	own, mine, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return platform.Outcome{}, err
	}
	late, err := j.quiet()
	if err != nil {
		return platform.Outcome{}, err
	}
	switch {
	case mine && newest.Revision == own.ARN && late.Progress != platform.Done && (newest.Status == rolloutPending || newest.Status == rolloutRunning):
		return j.stop(ctx, newest) // a call of ours that took effect late
	case mine && newest.Revision == own.ARN && newest.Status == rolloutBack:
		return j.backAtFormer(ctx)
	case !known || newest.Revision != rec.ARN:
		return fail(ReasonRolloutForeign, "deployment", tail(newest.ARN), "status", newest.Status)
	}
	switch {
	case newest.Status == rolloutSuccessful:
		return j.backAtFormer(ctx)
	case newest.turnedBack():
		return fail(ReasonRolloutTurned, "deployment", tail(newest.ARN), "status", newest.Status, "reason", newest.Why)
	}
	return j.waitFor(newest)
}

// keyFormer is the journal's entry of the revision that the way back deploys, a revisionRecord.
const keyFormer = "ecs/former-revision"

// deployFormer deploys the recorded revision again, everything at once.
func (j *job) deployFormer(ctx context.Context) (platform.Outcome, error) {
	then := j.snap.primary()
	if then == nil || j.snap.Service.Native == nil {
		return fail(ReasonNotRestored, "difference", "the service had no revision when the live state was recorded")
	}
	rec, known, err := platform.Recall[revisionRecord](j.j, keyFormer)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !known {
		if rec, err = j.formerRevision(ctx, then.Revision); err != nil {
			return platform.Outcome{}, err
		}
		if err := platform.Remember(ctx, j.j, keyFormer, rec); err != nil {
			return platform.Outcome{}, err
		}
	}
	fields := j.snap.Service.Fields
	n := nativeDeploy{Revision: rec.ARN, Shape: j.snap.Service.Native.Shape, Config: atOnce(fields.Deployment), Exec: fields.Exec}
	if c := j.d.Shape.Connect; n.Shape.Connect == nil && c != nil {
		n.Shape.Connect = &ecstypes.ServiceConnectConfiguration{} // an update that does not mention it would leave it on
	}
	if err := j.call(ctx, func() error { return j.c.Deploy(ctx, j.d.Cluster, j.d.Name, n) }); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("deploying %s again", tail(rec.ARN))
	return ask(ReasonRolloutRunning, "deployment", j.d.Name, "status", rolloutPending)
}

// formerRevision is the recorded revision; an INACTIVE one is registered again by content.
func (j *job) formerRevision(ctx context.Context, arn string) (revisionRecord, error) {
	r, err := j.c.Revision(ctx, arn)
	if err != nil {
		return revisionRecord{}, err
	}
	if r != nil && !r.Inactive {
		return revisionRecord{ARN: arn}, nil
	}
	content := j.snap.Revisions[arn].Content
	if content == nil {
		return revisionRecord{}, platform.Final(fmt.Errorf("revision %s is gone and the snapshot does not hold its content: register it again by hand, then retry", arn))
	}
	return j.registered(ctx, content, j.token("former-revision"), roleFormer)
}

// backAtFormer waits until the service shows the former revision with all its tasks, and notes when the requests went back.
func (j *job) backAtFormer(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	p := s.primary()
	if own := j.ownSet(s); p == nil || own != nil {
		return ask(ReasonRestoring, "healthy", "0", "needed", fmt.Sprint(s.Count))
	}
	if p.Running < p.Computed {
		return ask(ReasonRestoring, "healthy", fmt.Sprint(p.Running), "needed", fmt.Sprint(p.Computed))
	}
	if out, err := j.quiet(); err != nil || out.Progress != platform.Done {
		return out, err
	}
	rec, known, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil || !known || rec.Back {
		return done(err)
	}
	return done(platform.Remember(ctx, j.j, keyWeights, weightsRecord{Written: platform.Written{At: j.s.Now}, Primary: 100, Back: true, PrevCanary: rec.Canary, HasPrevious: true}))
}

// backConfig restores the deployment configuration that was recorded.
func (j *job) backConfig(ctx context.Context) (platform.Outcome, error) {
	changed, err := j.meant(objRollout)
	if err != nil {
		return platform.Outcome{}, err
	}
	return j.configure(ctx, keyConfig+"former", changed, j.snap.Service.Fields.Deployment, j.snap.Service.Fields.Exec)
}

// meant reports whether the ledger has an object of a type, whatever became of it.
func (j *job) meant(kind string) (bool, error) {
	all, err := j.noted()
	return slices.ContainsFunc(all, func(o deploy.LedgerObject) bool { return o.Type == kind }), err
}

// withdrawOwn deregisters the revision of this deployment and closes the ledger: nothing leads to it any more.
func (j *job) withdrawOwn(ctx context.Context) (platform.Outcome, error) {
	if err := j.withdraw(ctx); err != nil {
		return platform.Outcome{}, err
	}
	return done(j.closeLedger(ctx, objRollout))
}
