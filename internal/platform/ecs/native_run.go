package ecs

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

const (
	// keyRollout is the journal's entry of the service deployment, a rolloutRecord.
	keyRollout = "ecs/rollout"
	// objRollout is the type of a service deployment in the ledger.
	objRollout = "serviceDeployment"
)

// rolloutRecord is the service deployment of this deployment.
type rolloutRecord struct {
	ARN   string    `json:"arn"`
	Token string    `json:"token"`
	Group string    `json:"group,omitempty"`
	At    time.Time `json:"at"`
}

func nativeTable() map[string]step {
	return map[string]step{
		nativeRegister: (*job).registerOwn, nativeCreate: (*job).createNative, nativeStart: (*job).deploy, nativeAwait: (*job).awaitPause,
		nativeShift: (*job).continueTo, nativeVerify: (*job).verifyShare, nativeFinish: (*job).finish, nativeRestore: (*job).restoreConfig,
		nativeBack: (*job).turnBack, nativeBackConfig: (*job).backConfig, nativeWithdraw: (*job).withdrawOwn,
	}
}

// registerOwn registers a revision that no other deployment has, even for equal content: UpdateService takes no token, so the revision stands
// for one.
func (j *job) registerOwn(ctx context.Context) (platform.Outcome, error) {
	_, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil || known {
		return done(err)
	}
	token, family := j.token("revision"), aws.ToString(j.d.Task.Family)
	if _, intended, err := j.led.Find(objRevision, token); err != nil {
		return platform.Outcome{}, err
	} else if intended {
		found, err := j.byToken(ctx, family, token)
		if err != nil {
			return platform.Outcome{}, err
		}
		if found != nil {
			return j.own(ctx, found.ARN, token)
		}
	}
	if err := j.led.Intend(ctx, objRevision, token, ""); err != nil {
		return platform.Outcome{}, err
	}
	arn, err := j.c.Register(ctx, j.d.Task, tags{awsaccess.TagManagedBy: awsaccess.ManagedBy, awsaccess.TagApplication: j.s.App.ID, tagToken: token})
	if err != nil {
		return platform.Outcome{}, err
	}
	j.logf("registered %s", tail(arn))
	return j.own(ctx, arn, token)
}

func (j *job) own(ctx context.Context, arn, token string) (platform.Outcome, error) {
	if err := j.led.Created(ctx, objRevision, token, arn); err != nil {
		return platform.Outcome{}, err
	}
	return done(platform.Remember(ctx, j.j, keyRevision, revisionRecord{ARN: arn, Ours: true, Token: token}))
}

// wanted is what this deployment brings in.
func (j *job) wanted() (nativeDeploy, error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return nativeDeploy{}, err
	}
	if !known {
		return nativeDeploy{}, platform.Final(fmt.Errorf("no revision is registered: retry the deployment"))
	}
	config := j.d.Service.Deployment
	if j.opt.Pauses {
		config = paused(config)
	}
	return nativeDeploy{Revision: rec.ARN, Shape: j.d.nativeShape(), Config: config, Exec: j.d.Service.Exec}, nil
}

// createNative makes the service of a first deployment. Its name is its identity, and its first deployment begins with it.
func (j *job) createNative(ctx context.Context) (platform.Outcome, error) {
	token := j.token("service")
	s, err := j.c.Service(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return platform.Outcome{}, err
	}
	if s != nil && s.Status == statusActive {
		return done(j.led.Created(ctx, objService, token, s.ARN))
	}
	if s != nil {
		return ask(ReasonServiceRemoving, "service", j.d.Name)
	}
	n, err := j.wanted()
	if err != nil {
		return platform.Outcome{}, err
	}
	if err := j.led.Intend(ctx, objService, token, j.d.Name); err != nil {
		return platform.Outcome{}, err
	}
	err = j.c.CreateNative(ctx, newService{Cluster: j.d.Cluster, Name: j.d.Name, Token: token, Count: j.d.Count, Fields: j.d.Service, Tags: j.tags("", "")}, n)
	if err != nil && !isCode(err, codeServiceExists) {
		return platform.Outcome{}, err
	}
	j.logf("created service %s in %s", j.d.Name, j.d.Cluster)
	return ask(ReasonStabilizing, "set", j.d.Name, "running", "0", "desired", fmt.Sprint(j.d.Count), "pending", "0")
}

// deploy starts the service deployment, if it is not there yet.
func (j *job) deploy(ctx context.Context) (platform.Outcome, error) {
	r, newest, err := j.rollout(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	token := j.token(objRollout)
	if r != nil {
		if err := j.led.Created(ctx, objRollout, token, r.ARN); err != nil {
			return platform.Outcome{}, err
		}
		return done(platform.Remember(ctx, j.j, keyRollout, rolloutRecord{ARN: r.ARN, Token: token, Group: r.Group, At: j.s.Now}))
	}
	if !newest.over() {
		return fail(ReasonRolloutForeign, "deployment", tail(newest.ARN), "status", newest.Status)
	}
	n, err := j.wanted()
	if err != nil {
		return platform.Outcome{}, err
	}
	if err := j.led.Intend(ctx, objRollout, token, ""); err != nil {
		return platform.Outcome{}, err
	}
	if err := j.call(ctx, func() error { return j.c.Deploy(ctx, j.d.Cluster, j.d.Name, n) }); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("service deployment of %s with strategy %s", tail(n.Revision), strategyOf(n.Config))
	return ask(ReasonRolloutRunning, "deployment", j.d.Name, "status", rolloutPending)
}

// rollout finds the service deployment of this deployment by the revision that it brings in, and the newest one.
func (j *job) rollout(ctx context.Context) (ours, newest *rollout, err error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return nil, nil, err
	}
	begun, _, err := platform.Recall[rolloutRecord](j.j, keyRollout)
	if err != nil {
		return nil, nil, err
	}
	all, err := j.c.Rollouts(ctx, j.d.Cluster, j.d.Name)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		// Somebody else can force another deployment of the same revision: once ours is known it goes by its ARN.
		if begun.ARN == all[i].ARN || begun.ARN == "" && known && all[i].Revision == rec.ARN && ours == nil {
			ours = &all[i]
		}
	}
	if len(all) > 0 {
		newest = &all[0]
	}
	return ours, newest, nil
}

// underWay is the service deployment as long as it goes forward; otherwise the outcome says what became of it.
func (j *job) underWay(ctx context.Context) (*rollout, *platform.Outcome, error) {
	r, newest, err := j.rollout(ctx)
	if err != nil {
		return nil, nil, err
	}
	if r == nil { // a read that lags behind
		out, err := j.unseen(ctx, objRollout)
		if err == nil && out == nil {
			failed, _ := fail(ReasonRolloutForeign, "deployment", tail(arnOf(newest)), "status", statusOf(newest))
			out = &failed
		}
		return nil, out, err
	}
	if err := j.seen(ctx, objRollout); err != nil {
		return nil, nil, err
	}
	if newest.ARN != r.ARN {
		out, _ := fail(ReasonRolloutForeign, "deployment", tail(newest.ARN), "status", newest.Status)
		return nil, &out, nil
	}
	if r.turnedBack() {
		out, _ := fail(ReasonRolloutTurned, "deployment", tail(r.ARN), "status", r.Status, "reason", r.Why)
		return nil, &out, nil
	}
	return r, nil, nil
}

func arnOf(r *rollout) string {
	if r == nil {
		return ""
	}
	return r.ARN
}

func statusOf(r *rollout) string {
	if r == nil {
		return "none"
	}
	return r.Status
}

func (j *job) waitFor(r *rollout) (platform.Outcome, error) {
	return ask(ReasonRolloutRunning, "deployment", tail(r.ARN), "status", r.Status, "stage", r.Stage)
}

// awaitPause waits until the new tasks are healthy and the service deployment is paused before the first shift.
func (j *job) awaitPause(ctx context.Context) (platform.Outcome, error) {
	r, stop, err := j.underWay(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if r.Pause == "" {
		if bad, err := j.brokenOwn(ctx); err != nil || !bad.IsZero() {
			return platform.Outcome{Progress: platform.Failed, Reason: bad}, err
		}
		return j.waitFor(r)
	}
	return j.healthyFor(ctx, r, 100)
}

// ownSet is the tasks of this deployment.
func (j *job) ownSet(s *service) *taskSet {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil || !known {
		return nil
	}
	for i := range s.Sets {
		if s.Sets[i].Revision == rec.ARN {
			return &s.Sets[i]
		}
	}
	return nil
}

func (j *job) brokenOwn(ctx context.Context) (deploy.Reason, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return deploy.Reason{}, err
	}
	t := j.ownSet(s)
	if t == nil {
		return deploy.Reason{}, nil
	}
	if bad, err := j.broken(ctx, t); err != nil || !bad.IsZero() || t.Group == "" {
		return bad, err
	}
	h, err := j.healthOf(ctx, s, t, t.Group)
	if err != nil {
		return deploy.Reason{}, err
	}
	return j.unhealthyLong(ctx, rolePrimary, s, t, t.Group, h)
}

// healthyFor is done when the new tasks can take a share of the requests.
func (j *job) healthyFor(ctx context.Context, r *rollout, percent float64) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t := j.ownSet(s)
	if t == nil {
		return j.waitFor(r)
	}
	if bad, err := j.broken(ctx, t); err != nil || !bad.IsZero() {
		return platform.Outcome{Progress: platform.Failed, Reason: bad}, err
	}
	if t.Group == "" || percent == 0 || s.Count == 0 {
		return platform.DoneNow()
	}
	h, err := j.healthOf(ctx, s, t, t.Group)
	if err != nil {
		return platform.Outcome{}, err
	}
	if need := max(1, min(computed(s.Count, percent), t.Computed)); h.healthy < need {
		return ask(ReasonTargetsStarting, "group", tail(t.Group), "healthy", fmt.Sprint(h.healthy), "needed", fmt.Sprint(need))
	}
	return platform.DoneNow()
}

// liveShare is the share of the users' requests that the production rule gives the new version.
func (j *job) liveShare(ctx context.Context) (float64, *route, *platform.Outcome, error) {
	known := j.d.production(j.snap.Routes)
	if len(known) == 0 {
		return 0, nil, nil, platform.Final(fmt.Errorf("the production rule %s was not recorded", j.d.Native.Rule))
	}
	now, err := j.c.Reread(ctx, known)
	if err != nil {
		return 0, nil, nil, err
	}
	if len(now) == 0 || !mentions(now[0].Actions, j.d.primaryARN()) && !mentions(now[0].Actions, j.d.canaryARN()) {
		out, _ := fail(ReasonRouteGone, "route", known[0].name())
		return 0, nil, &out, nil
	}
	return share(now[0].Actions, j.d.canaryARN()), &now[0], nil, nil
}

// continueTo ends pauses until the share of the stage is reached. A pause has an id of its own, so that none is ended twice.
func (j *job) continueTo(ctx context.Context) (platform.Outcome, error) {
	r, stop, err := j.underWay(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	have, rule, stop, err := j.liveShare(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	want := float64(j.opt.Canary)
	if r.Pause == "" {
		if bad, err := j.brokenOwn(ctx); err != nil || !bad.IsZero() {
			return platform.Outcome{Progress: platform.Failed, Reason: bad}, err
		}
		return j.waitFor(r)
	}
	if r.Share != nil && !near(*r.Share, have) {
		return ask(ReasonWeightsApplying, "route", rule.name())
	}
	switch {
	case near(have, want):
		return done(j.noteShare(ctx, have, have, false))
	case have > want:
		return fail(ReasonForeignWeights, "route", rule.name(), "expected", fmt.Sprintf("new version %g %%", want), "found", weightsText(rule.Actions, tail))
	}
	next := nextShare(j.d.Service.Deployment, have)
	if out, err := j.healthyFor(ctx, r, next); err != nil || out.Progress != platform.Done {
		return out, err
	}
	if err := j.noteShare(ctx, have, next, true); err != nil {
		return platform.Outcome{}, err
	}
	if err := j.c.Continue(ctx, r.ARN, r.Pause); err != nil && !isCode(err, codeNotPaused) {
		return platform.Outcome{}, err
	}
	j.logf("continued: the new version gets %g %%", next)
	return j.waitFor(r)
}

// nextShare is what one more continue leads to.
func nextShare(c *ecstypes.DeploymentConfiguration, have float64) float64 {
	for _, s := range shares(c) {
		if s > have && !near(s, have) {
			return s
		}
	}
	return 100
}

// noteShare journals what the rule should show, for the settle time and for Guard.
func (j *job) noteShare(ctx context.Context, from, to float64, writing bool) error {
	rec, known, err := platform.Recall[weightsRecord](j.j, keyWeights)
	if err != nil {
		return err
	}
	if known && !writing && !rec.Writing && near(float64(rec.Canary), to) {
		return nil // noted already: the settle time does not begin again
	}
	next := weightsRecord{Written: platform.Written{At: j.s.Now, Writing: writing}, Primary: 100 - int(to), Canary: int(to), PrevCanary: int(from), HasPrevious: true}
	if !writing && known {
		next.PrevCanary, next.HasPrevious = rec.PrevCanary, rec.HasPrevious
	}
	return platform.Remember(ctx, j.j, keyWeights, next)
}

// verifyShare reads back what the stage promises: the share, and healthy targets for it.
func (j *job) verifyShare(ctx context.Context) (platform.Outcome, error) {
	r, newest, err := j.rollout(ctx)
	if err != nil {
		return platform.Outcome{}, err
	}
	if r == nil || newest.ARN != r.ARN || r.turnedBack() {
		_, stop, err := j.underWay(ctx)
		return orStop(stop, err)
	}
	have, rule, stop, err := j.liveShare(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if !near(have, float64(j.opt.Canary)) {
		return fail(ReasonForeignWeights, "route", rule.name(), "expected", fmt.Sprintf("primary %d %%, canary %d %%", j.opt.Primary, j.opt.Canary), "found", weightsText(rule.Actions, tail))
	}
	return j.healthyFor(ctx, r, have)
}

// finish lets AWS complete the service deployment: the last pause ends, the bake time passes, the old tasks stop.
func (j *job) finish(ctx context.Context) (platform.Outcome, error) {
	r, stop, err := j.underWay(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if r.Status == rolloutSuccessful {
		return j.arrived(ctx)
	}
	if bad, err := j.brokenOwn(ctx); err != nil || !bad.IsZero() {
		return platform.Outcome{Progress: platform.Failed, Reason: bad}, err
	}
	if r.Pause == "" {
		return j.waitFor(r)
	}
	if !j.opt.Pauses {
		return ask(ReasonRolloutPaused, "deployment", tail(r.ARN), "until", r.Until)
	}
	have, rule, stop, err := j.liveShare(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if !near(have, 100) {
		return fail(ReasonForeignWeights, "route", rule.name(), "expected", "new version 100 %", "found", weightsText(rule.Actions, tail))
	}
	if out, err := j.settle(ctx); err != nil || out.Progress != platform.Done {
		return out, err
	}
	if out, err := j.healthyFor(ctx, r, 100); err != nil || out.Progress != platform.Done {
		return out, err
	}
	if err := j.c.Continue(ctx, r.ARN, r.Pause); err != nil && !isCode(err, codeNotPaused) {
		return platform.Outcome{}, err
	}
	j.logf("continued: the old tasks go once the bake time is over")
	return j.waitFor(r)
}

// arrived reads back that the service runs the new version with all its tasks, and that they are well: Amazon ECS calls a service deployment
// successful at the first moment in which all tasks run.
func (j *job) arrived(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	p, own := s.primary(), j.ownSet(s)
	if p == nil || own == nil || p.ARN != own.ARN || len(s.Sets) > 1 {
		return ask(ReasonNotPrimary, "set", tail(j.d.Name))
	}
	var groups []string
	if own.Group != "" {
		groups = []string{own.Group}
	}
	return j.ready(ctx, rolePrimary, s, own, groups)
}

// call makes a call that takes no token. If its answer does not come it may take effect later, even behind the end of the deployment: that is noted
// first, and quiet waits for it.
func (j *job) call(ctx context.Context, write func() error) error {
	rec, _, err := platform.Recall[callRecord](j.j, keyCall)
	if err != nil {
		return err
	}
	if rec.Open {
		rec.Doubt = rec.At
	}
	rec.At, rec.Open = j.s.Now, true
	if err := platform.Remember(ctx, j.j, keyCall, rec); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	rec.Open = false
	return platform.Remember(ctx, j.j, keyCall, rec)
}

// quiet is done when no call of this deployment can take effect any more.
func (j *job) quiet() (platform.Outcome, error) {
	rec, _, err := platform.Recall[callRecord](j.j, keyCall)
	if err != nil {
		return platform.Outcome{}, err
	}
	if until := rec.quiet(); j.s.Now.Before(until) {
		return ask(ReasonCallInDoubt, "until", until.UTC().Format(time.RFC3339))
	}
	return platform.DoneNow()
}

// keyConfig is the journal's entry of a deployment configuration that was restored: when.
const keyConfig = "ecs/config/"

// restoreConfig gives the service the configuration of its file again, so that no pause is left for whoever deploys next.
func (j *job) restoreConfig(ctx context.Context) (platform.Outcome, error) {
	return j.configure(ctx, keyConfig+"file", j.opt.Pauses, j.d.Service.Deployment, j.d.Service.Exec)
}

// configure writes a deployment configuration and reads it back. If this deployment has changed it, the answer that it is there already is believed only
// behind a write: it may be older than the change.
func (j *job) configure(ctx context.Context, key string, changed bool, want *ecstypes.DeploymentConfiguration, exec bool) (platform.Outcome, error) {
	if out, err := j.quiet(); err != nil || out.Progress != platform.Done {
		return out, err
	}
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	_, written, err := platform.Recall[time.Time](j.j, key)
	if err != nil {
		return platform.Outcome{}, err
	}
	if sameConfig(s.Fields.Deployment, want) && s.Fields.Exec == exec && (written || !changed) {
		return platform.DoneNow()
	}
	if want == nil {
		want = &ecstypes.DeploymentConfiguration{Strategy: ecstypes.DeploymentStrategyRolling, MaximumPercent: aws.Int32(200), MinimumHealthyPercent: aws.Int32(100)}
	}
	if want.LifecycleHooks == nil {
		open := *want
		open.LifecycleHooks = []ecstypes.DeploymentLifecycleHook{} // a list that is left out may stay as it was
		want = &open
	}
	if err := j.call(ctx, func() error { return j.c.Configure(ctx, j.d.Cluster, j.d.Name, want, exec) }); err != nil {
		return platform.Outcome{}, err
	}
	if err := platform.Remember(ctx, j.j, key, j.s.Now); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("restored the deployment configuration of service %s", j.d.Name)
	return ask(ReasonRolloutRunning, "deployment", j.d.Name, "status", rolloutSuccessful)
}
