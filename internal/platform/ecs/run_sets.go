package ecs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

const (
	// failuresTell is how many tasks of a set must have stopped with an error to call the version broken: one can be bad luck.
	failuresTell = 2
	// unhealthyLimit is how long targets may fail their check before the set counts as broken; the grace period comes on top.
	unhealthyLimit = 90 * time.Second
	// visibleLimit is how long what was created may be missing from reads: they may be a minute old, and a call may be carried
	// out a minute after its time-out.
	visibleLimit = lateLimit
	// attachLimit is how long ECS may need to see a group that was just attached.
	attachLimit = time.Minute
)

// sweep removes task sets that an earlier deployment left at 0, so that there are places for this one.
func (j *job) sweep(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	former := ""
	if p := j.snap.primary(); p != nil {
		former = p.ARN
	}
	for _, t := range s.Sets {
		then := j.snap.Service.set(t.ARN)
		if t.ARN == former || then == nil || !idle(*then) || !idle(t) || t.Tags[awsaccess.TagDeployment] == j.s.DeploymentID {
			continue
		}
		if err := j.c.DeleteTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, false); err != nil {
			return platform.Outcome{}, err
		}
		j.logf("removed the left-over task set %s", tail(t.ARN))
	}
	return platform.DoneNow()
}

// mine finds the task set of a role: by the journal, then by its tags, in case a crash came between creation and note.
func (j *job) mine(s *service, role string) (*taskSet, setRecord, error) {
	rec, _, err := platform.Recall[setRecord](j.j, keySet+role)
	if err != nil {
		return nil, rec, err
	}
	if t := s.set(rec.ARN); t != nil {
		return t, rec, nil
	}
	for i := range s.Sets {
		t := &s.Sets[i]
		if t.Status != statusDraining && t.Tags[awsaccess.TagDeployment] == j.s.DeploymentID && t.Tags[tagRole] == role {
			return t, setRecord{ARN: t.ARN, Token: t.Tags[tagToken]}, nil
		}
	}
	return nil, rec, nil
}

// create makes the task set of a role, once.
func (j *job) create(ctx context.Context, role string) (platform.Outcome, error) {
	rec, known, err := platform.Recall[revisionRecord](j.j, keyRevision)
	if err != nil {
		return platform.Outcome{}, err
	}
	if !known {
		return platform.Outcome{}, platform.Final(fmt.Errorf("create the %s task set: no revision is noted in the journal", role))
	}
	in := newTaskSet{Revision: rec.ARN, Scale: 100, Shape: j.d.shape(j.d.Primary)}
	if role == roleCanary {
		in.Scale, in.Shape = float64(j.opt.Scale), j.d.shape(j.d.Canary)
	}
	return j.createSet(ctx, role, in)
}

func (j *job) createSet(ctx context.Context, role string, in newTaskSet) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	in.Cluster, in.Service, in.Token = j.d.Cluster, j.d.Name, j.token("set/"+role)
	t, rec, err := j.mine(s, role)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t != nil {
		if role == roleCanary && t.Scale < in.Scale {
			// A second rollout stage makes the same canary larger.
			if err := j.c.ScaleTaskSet(ctx, in.Cluster, in.Service, t.ARN, in.Scale); err != nil {
				return platform.Outcome{}, err
			}
			j.logf("the canary %s grows to %g %%", tail(t.ARN), in.Scale)
		}
		return j.noteSet(ctx, role, setRecord{ARN: t.ARN, Token: rec.Token, At: j.s.Now})
	}
	if rec.ARN != "" && rec.Token == in.Token {
		return j.missing(s, rec)
	}
	if out := j.slots(s, role); out != nil {
		return *out, nil
	}
	if err := j.led.Intend(ctx, objSet, in.Token, role); err != nil {
		return platform.Outcome{}, err
	}
	in.Tags = j.tags(role, in.Token)
	arn, err := j.c.CreateTaskSet(ctx, in)
	switch {
	case isCode(err, codeTooManySets):
		return ask(ReasonSlotsWaiting, "count", fmt.Sprint(len(s.Sets)), "draining", joined(s.draining()))
	case isCode(err, codeNotAttached) && j.justAttached():
		return ask(ReasonNotAttached, "group", joined(setGroups(in.Shape)))
	case err != nil:
		return platform.Outcome{}, err
	}
	j.logf("created the %s task set %s: %g %% of %s", role, tail(arn), in.Scale, tail(in.Revision))
	return j.noteSet(ctx, role, setRecord{ARN: arn, Token: in.Token, At: j.s.Now})
}

// missing tells a task set that is not visible yet from one that somebody removed.
func (j *job) missing(s *service, rec setRecord) (platform.Outcome, error) {
	if !slices.Contains(s.draining(), rec.ARN) && rec.ARN != "" && j.s.Now.Sub(rec.At) < visibleLimit {
		return ask(ReasonStabilizing, "set", tail(rec.ARN), "running", "0", "desired", "?", "pending", "0")
	}
	return fail(ReasonSetGone, "set", tail(rec.ARN))
}

func (j *job) noteSet(ctx context.Context, role string, rec setRecord) (platform.Outcome, error) {
	if rec.Token != "" {
		if err := j.led.Created(ctx, objSet, rec.Token, rec.ARN); err != nil {
			return platform.Outcome{}, err
		}
	}
	return done(platform.Remember(ctx, j.j, keySet+role, rec))
}

// slots keeps one of the five places free for the way back, which may use it.
func (j *job) slots(s *service, role string) *platform.Outcome {
	limit := maxSets - 1
	if role == roleFormer {
		limit = maxSets
	}
	if len(s.Sets) < limit {
		return nil
	}
	var out platform.Outcome
	if draining := s.draining(); len(draining) > 0 {
		out, _ = ask(ReasonSlotsWaiting, "count", fmt.Sprint(len(s.Sets)), "draining", joined(draining))
		return &out
	}
	var sets []string
	for _, t := range s.Sets {
		sets = append(sets, t.ARN)
	}
	out, _ = fail(ReasonSlotsFull, "count", fmt.Sprint(len(s.Sets)), "sets", joined(sets))
	return &out
}

func (j *job) justAttached() bool {
	rec, ok, err := platform.Recall[weightsRecord](j.j, keyWeights)
	return err == nil && ok && j.s.Now.Sub(rec.At) < attachLimit
}

// setGroups are the target groups of a placement.
func setGroups(sh setShape) []string {
	var out []string
	for _, lb := range sh.LoadBalancers {
		if arn := aws.ToString(lb.TargetGroupArn); arn != "" {
			out = append(out, arn)
		}
	}
	return out
}

// await waits until the task set of a role is steady and its targets are healthy, and finds failing tasks early.
func (j *job) await(ctx context.Context, role string) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, rec, err := j.mine(s, role)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t == nil {
		return j.missing(s, rec)
	}
	return j.ready(ctx, role, s, t, setGroups(t.Shape))
}

// ready is done when the tasks of a set are all there, steady, and healthy in its target groups; without groups, when they have gone on running.
func (j *job) ready(ctx context.Context, role string, s *service, t *taskSet, groups []string) (platform.Outcome, error) {
	if s.Count == 0 && t.Computed == 0 {
		j.logf("the service's desired count is 0: there is nothing to wait for")
		return platform.DoneNow()
	}
	if why, err := j.broken(ctx, t); err != nil || !why.IsZero() {
		return platform.Outcome{Progress: platform.Failed, Reason: why}, err
	}
	for _, g := range groups {
		h, err := j.healthOf(ctx, s, t, g)
		if err != nil {
			return platform.Outcome{}, err
		}
		if why, err := j.unhealthyLong(ctx, role, s, t, g, h); err != nil || !why.IsZero() {
			return platform.Outcome{Progress: platform.Failed, Reason: why}, err
		}
		if h.healthy < t.Computed {
			return ask(ReasonTargetsStarting, "group", tail(g), "healthy", fmt.Sprint(h.healthy), "needed", fmt.Sprint(t.Computed))
		}
	}
	if t.Computed == 0 || !t.Steady || t.Running < t.Computed || t.Pending > 0 {
		return ask(ReasonStabilizing, "set", tail(t.ARN), "running", fmt.Sprint(t.Running), "desired", fmt.Sprint(t.Computed), "pending", fmt.Sprint(t.Pending))
	}
	if len(groups) == 0 {
		return j.prove(ctx, t)
	}
	return platform.DoneNow()
}

// prove watches tasks that no load balancer checks: that they run is known, that they go on running is seen only when they
// have done so for a while. The settle time of the provider is that while.
func (j *job) prove(ctx context.Context, t *taskSet) (platform.Outcome, error) {
	running, err := j.c.Tasks(ctx, j.d.Cluster, t.ID, false)
	if err != nil {
		return platform.Outcome{}, err
	}
	seen, _, err := platform.Recall[map[string]time.Time](j.j, keyProven+t.ARN)
	if err != nil {
		return platform.Outcome{}, err
	}
	now, proven := map[string]time.Time{}, 0
	for _, k := range running {
		if k.Status != "RUNNING" {
			continue
		}
		// From when on a look showed it: when AWS says that it started is another clock.
		if now[k.ARN] = j.s.Now; !seen[k.ARN].IsZero() {
			now[k.ARN] = seen[k.ARN]
		}
		if j.s.Now.Sub(now[k.ARN]) >= j.d.Settle {
			proven++
		}
	}
	if !maps.EqualFunc(seen, now, time.Time.Equal) {
		if err := platform.Remember(ctx, j.j, keyProven+t.ARN, now); err != nil {
			return platform.Outcome{}, err
		}
	}
	if proven < t.Computed {
		return ask(ReasonProving, "set", tail(t.ARN), "proven", fmt.Sprint(proven), "needed", fmt.Sprint(t.Computed), "time", j.d.Settle.String())
	}
	return platform.DoneNow()
}

// broken tells whether tasks of a set keep stopping with an error.
func (j *job) broken(ctx context.Context, t *taskSet) (deploy.Reason, error) {
	stopped, err := j.c.Tasks(ctx, j.d.Cluster, t.ID, true)
	if err != nil {
		return deploy.Reason{}, err
	}
	return brokenReason(*t, stopped), nil
}

func brokenReason(t taskSet, stopped []task) deploy.Reason {
	bad := failures(stopped, t.ID)
	if len(bad) < failuresTell {
		return deploy.Reason{}
	}
	last := bad[len(bad)-1]
	return deploy.Why(ReasonTasksFailing, "count", fmt.Sprint(len(bad)), "set", tail(t.ARN), "reason", stopText(last), "container", last.Container, "exitCode", exitText(last))
}

// failures are the tasks of a set that stopped with an error, oldest first.
func failures(ts []task, set string) []task {
	var out []task
	for _, k := range ts {
		if k.Set == set && k.Status == "STOPPED" && failed(k) {
			out = append(out, k)
		}
	}
	slices.SortStableFunc(out, func(a, b task) int { return a.Created.Compare(b.Created) })
	return out
}

// failed tells a task that broke from one that was asked to go (Task API reference, stopCode).
func failed(k task) bool {
	low := strings.ToLower(k.Stopped)
	switch k.StopCode {
	case "TaskFailedToStart", "EssentialContainerExited":
		return true
	case "ServiceSchedulerInitiated":
		return strings.Contains(low, "health check") || strings.Contains(low, "unhealthy")
	}
	return k.StopCode == "" && k.ExitCode != nil && *k.ExitCode != 0 && strings.Contains(low, "essential container")
}

func stopText(k task) string {
	s := k.Stopped
	if s == "" {
		s = k.StopCode
	}
	if k.ContainerReason != "" {
		s += " (" + k.ContainerReason + ")"
	}
	return s
}

func exitText(k task) string {
	if k.ExitCode == nil {
		return "none"
	}
	return fmt.Sprint(*k.ExitCode)
}

// setHealth is how the targets of one task set in one group are.
type setHealth struct {
	healthy, unhealthy int
	detail             string // of an unhealthy one
}

// healthOf reads the health of the targets of one set. Targets are told apart by the addresses of the tasks; where tasks show
// none (bridge networking), the whole group counts, less what the other sets behind it run.
func (j *job) healthOf(ctx context.Context, s *service, t *taskSet, groupARN string) (setHealth, error) {
	running, err := j.c.Tasks(ctx, j.d.Cluster, t.ID, false)
	if err != nil {
		return setHealth{}, err
	}
	targets, err := j.c.Health(ctx, groupARN)
	if err != nil {
		return setHealth{}, err
	}
	return healthAmong(s, t, groupARN, running, targets), nil
}

func healthAmong(s *service, t *taskSet, groupARN string, running []task, targets []target) setHealth {
	own := map[string]bool{}
	for _, k := range running {
		for _, a := range k.Addresses {
			own[a] = true
		}
	}
	if !slices.ContainsFunc(targets, func(x target) bool { return own[x.ID] }) {
		own = nil // targets of another kind: instances
	}
	var h setHealth
	for _, x := range targets {
		if len(own) > 0 && !own[x.ID] {
			continue
		}
		switch x.State {
		case "healthy":
			h.healthy++
		case "unhealthy":
			h.unhealthy++
			h.detail = x.Detail
		}
	}
	if len(own) == 0 {
		for _, o := range s.Sets {
			if o.ARN != t.ARN && slices.Contains(setGroups(o.Shape), groupARN) {
				h.healthy -= o.Running
			}
		}
		h.healthy = max(h.healthy, 0)
	}
	return h
}

// unhealthyLong fails a set whose targets have been failing their check for too long without one healthy.
func (j *job) unhealthyLong(ctx context.Context, role string, s *service, t *taskSet, groupARN string, h setHealth) (deploy.Reason, error) {
	since, known, err := platform.Recall[time.Time](j.j, keyUnhealthy+role)
	if err != nil {
		return deploy.Reason{}, err
	}
	if h.unhealthy == 0 || h.healthy >= t.Computed {
		if known && !since.IsZero() {
			return deploy.Reason{}, platform.Remember(ctx, j.j, keyUnhealthy+role, time.Time{})
		}
		return deploy.Reason{}, nil
	}
	if !known || since.IsZero() {
		return deploy.Reason{}, platform.Remember(ctx, j.j, keyUnhealthy+role, j.s.Now)
	}
	if j.s.Now.Sub(since) < unhealthyLimit+time.Duration(s.Fields.Grace)*time.Second {
		return deploy.Reason{}, nil
	}
	return deploy.Why(ReasonTargetsUnhealthy, "set", tail(t.ARN), "group", tail(groupARN), "since", since.UTC().Format(time.RFC3339), "detail", h.detail), nil
}

// promote makes the new set the service's primary and reads it back.
func (j *job) promote(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, rec, err := j.mine(s, rolePrimary)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t == nil {
		return j.missing(s, rec)
	}
	return j.makePrimary(ctx, t)
}

func (j *job) makePrimary(ctx context.Context, t *taskSet) (platform.Outcome, error) {
	if t.Status == statusPrimary {
		return platform.DoneNow()
	}
	if err := j.c.SetPrimary(ctx, j.d.Cluster, j.d.Name, t.ARN); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("task set %s becomes primary", tail(t.ARN))
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	if p := s.primary(); p != nil && p.ARN == t.ARN {
		return platform.DoneNow()
	}
	return ask(ReasonNotPrimary, "set", tail(t.ARN))
}

// formers are the task sets of the snapshot that the new version replaces: the primary and other managed ones with tasks.
func (j *job) formers() []taskSet {
	if j.snap.Service == nil {
		return nil
	}
	var out []taskSet
	for _, t := range j.snap.Service.Sets {
		if t.Status == statusPrimary || t.Status == statusActive && t.Scale > 0 && t.Tags[awsaccess.TagManagedBy] != "" {
			out = append(out, t)
		}
	}
	return out
}

// stopFormer is the first half of recreate: the former sets go to 0 by their own scale. The service's desired count is
// never touched, so nothing can leave it at 0.
func (j *job) stopFormer(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	return done(j.scaleFormers(ctx, s))
}

func (j *job) scaleFormers(ctx context.Context, s *service) error {
	for _, f := range j.formers() {
		t := s.set(f.ARN)
		if t == nil || t.Scale == 0 {
			continue
		}
		if err := j.c.ScaleTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, 0); err != nil {
			return err
		}
		j.logf("task set %s goes to 0 tasks; it is kept for the way back", tail(t.ARN))
	}
	return nil
}

// scaleFormer takes the former sets to 0 once the new one is primary and serves with all its targets.
func (j *job) scaleFormer(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	t, rec, err := j.mine(s, rolePrimary)
	if err != nil {
		return platform.Outcome{}, err
	}
	if t == nil {
		return j.missing(s, rec)
	}
	if t.Status != statusPrimary {
		return ask(ReasonNotPrimary, "set", tail(t.ARN))
	}
	for _, g := range setGroups(t.Shape) {
		h, err := j.healthOf(ctx, s, t, g)
		if err != nil {
			return platform.Outcome{}, err
		}
		if h.healthy < t.Computed {
			return ask(ReasonTargetsStarting, "group", tail(g), "healthy", fmt.Sprint(h.healthy), "needed", fmt.Sprint(t.Computed))
		}
	}
	if t.Running < t.Computed {
		return ask(ReasonStabilizing, "set", tail(t.ARN), "running", fmt.Sprint(t.Running), "desired", fmt.Sprint(t.Computed), "pending", fmt.Sprint(t.Pending))
	}
	return done(j.scaleFormers(ctx, s))
}

// drainFormer waits until the tasks of the former sets have stopped, so that every user is on the new version.
func (j *job) drainFormer(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	for _, f := range j.formers() {
		if t := s.set(f.ARN); t != nil && t.Running+t.Pending > 0 {
			return ask(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
		}
	}
	return platform.DoneNow()
}

// removeFormer is the very last step of a pipeline: nothing can fail behind it.
func (j *job) removeFormer(ctx context.Context) (platform.Outcome, error) {
	s, stop, err := j.service(ctx)
	if err != nil || stop != nil {
		return orStop(stop, err)
	}
	_, made, err := j.mine(s, rolePrimary)
	if err != nil {
		return platform.Outcome{}, err
	}
	p := s.primary()
	for _, f := range j.formers() {
		t := s.set(f.ARN)
		if made.ARN != "" && (p == nil || p.ARN == f.ARN) {
			// Ours is the primary one since an earlier step: this answer is older, and would leave the former set behind.
			return ask(ReasonNotPrimary, "set", tail(made.ARN))
		}
		if t == nil || p == nil || t.ARN == p.ARN {
			continue
		}
		if out, err := j.remove(ctx, t); err != nil || out.Progress != platform.Done {
			return out, err
		}
	}
	return platform.DoneNow()
}

// remove takes a task set to 0, waits for its tasks to stop and deletes it, one move at a call.
func (j *job) remove(ctx context.Context, t *taskSet) (platform.Outcome, error) {
	if t.Scale > 0 {
		err := j.c.ScaleTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, 0)
		if isGone(err) { // the read that showed it was an old one
			j.logf("task set %s is gone already", tail(t.ARN))
			return platform.DoneNow()
		}
		if err != nil {
			return platform.Outcome{}, err
		}
		return ask(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
	}
	if t.Running+t.Pending > 0 {
		return ask(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
	}
	force := t.Status == statusPrimary // only a set without tasks gets here; ECS asks for force to delete a primary one
	if err := j.c.DeleteTaskSet(ctx, j.d.Cluster, j.d.Name, t.ARN, force); err != nil {
		return platform.Outcome{}, err
	}
	j.logf("removed task set %s", tail(t.ARN))
	return platform.DoneNow()
}
