package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

func start(t *testing.T, version, pipeline string) *scene {
	t.Helper()
	w := newWorld(t)
	w.live("1")
	w.want(version, pipeline)
	s := deploy.StrategyPipeline
	if pipeline == "" {
		s = deploy.StrategyQuick
	}
	return &scene{world: w, r: w.plan(s, nil), j: &crashJournal{}}
}

// until runs the pipeline up to and including a step of the n-th stage.
func (s *scene) until(stage int, last string) {
	s.t.Helper()
	for i, st := range s.r.plan.Stages[:stage+1] {
		for _, step := range st.Steps {
			if out := s.step(s.r, st, step.Name, s.j); out.Progress != platform.Done {
				s.t.Fatalf("%s/%s: %+v", st.Name, step.Name, out)
			}
			if i == stage && step.Name == last {
				return
			}
		}
	}
}

func (s *scene) sets(role string) []*fakeSet {
	var out []*fakeSet
	for _, a := range s.f.order() {
		if t := s.f.sets[a]; t.Tags[tagRole] == role && t.Tags[awsaccess.TagDeployment] == s.r.id {
			out = append(out, t)
		}
	}
	return out
}

func (s *scene) held() platform.Held {
	return platform.Held{DeploymentID: s.r.id, App: app, Plan: s.r.plan, Desired: s.r.d, Live: s.r.live, Journal: s.j, Now: s.f.now}
}

func (s *scene) guard() platform.Breach {
	s.t.Helper()
	b, err := s.p.Guard(context.Background(), s.held())
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func TestPlanOfTheMainPipeline(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	var exposure []deploy.Exposure
	for _, st := range s.r.part.Stages {
		exposure = append(exposure, st.Exposure)
		if !st.Holds || st.Type != deploy.StagePlatform {
			t.Errorf("%s holds nothing", st.Name)
		}
	}
	want := []deploy.Exposure{{From: 0, To: 0}, {From: 0, To: 20}, {From: 20, To: 100}, {From: 100, To: 100}, {From: 100, To: 100}}
	if !slices.Equal(exposure, want) {
		t.Errorf("exposure %v, want %v", exposure, want)
	}
	notes := noteCodes(s.r.part.Notes)
	if !slices.Contains(notes, NoteRules) || !slices.Contains(notes, NoteExposure) {
		t.Errorf("notes %v", s.r.part.Notes)
	}
	if len(s.r.part.Claims) != 5 || s.r.part.SettleTime != 30*time.Second {
		t.Errorf("claims %v settle %s", s.r.part.Claims, s.r.part.SettleTime)
	}
	last := s.r.part.Stages[4].Steps
	if last[len(last)-1].Name != stepRemoveFormer {
		t.Errorf("the former task set is not removed last: %v", last)
	}
}

func noteCodes(rs []deploy.Reason) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.Code)
	}
	return out
}

func TestServiceDiscoveryExposureFollowsTheTasks(t *testing.T) {
	w := newWorld(t)
	w.live("1")
	w.cfg = nil
	fl := appFiles("2", `
  pipeline:
    stages:
      - {name: ECS_CANARY_ROLLOUT, with: {scale: 50%}}
      - {name: ECS_PRIMARY_ROLLOUT}
      - {name: ECS_CANARY_CLEAN}
`)
	fl["shop/app.pipecd.yaml"] = strings.Replace(fl["shop/app.pipecd.yaml"], "    taskDefinitionFile", "    accessType: SERVICE_DISCOVERY\n    taskDefinitionFile", 1)
	d, cfg, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	w.d, w.cfg = d, cfg
	w.f.lax = true
	r := w.plan(deploy.StrategyPipeline, nil)
	if e := r.part.Stages[0].Exposure.To; e < 33 || e > 34 {
		t.Errorf("exposure of 2 beside 4 tasks: %v", e)
	}
	s := &scene{world: w, r: r, j: &crashJournal{}}
	if out := s.stages(r, r.plan.Stages, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	if len(s.sets(roleCanary)) > 0 && s.sets(roleCanary)[0].Status != statusDraining || len(s.sets(rolePrimary)) != 1 {
		t.Errorf("sets %v", w.f.order())
	}
}

func TestRefusedAtPlan(t *testing.T) {
	fwd := func(ws ...weighted) []elbtypes.Action {
		return withWeights([]elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(blue)}}, ws)
	}
	svc := func(w *world) *service { return w.f.services["shop"] }
	for name, c := range map[string]struct {
		change   func(*world)
		pipeline string
		words    string
	}{
		"another controller":  {func(w *world) { svc(w).Controller = "ECS" }, canaryPipeline, "move to a second service"},
		"service is draining": {func(w *world) { svc(w).Status = statusDraining }, canaryPipeline, "wait until it is gone"},
		"a third group": {func(w *world) {
			w.f.rules[1].Actions = fwd(weighted{blue, 1}, weighted{third, 1})
		}, canaryPipeline, "third target group"},
		"no rule": {func(w *world) {
			w.f.rules[0].Actions = fwd(weighted{third, 1})
			w.f.rules[1].Actions = fwd(weighted{third, 1})
		}, canaryPipeline, "is not attached to a load balancer"},
		"nothing live":      {func(w *world) { delete(w.f.services, "shop") }, canaryPipeline, "deploy it once with a quick sync"},
		"group is gone":     {func(w *world) { delete(w.f.groupsMap, green) }, canaryPipeline, "does not exist"},
		"clean with weight": {nil, "\n  pipeline: {stages: [{name: ECS_CANARY_ROLLOUT, with: {scale: 30}}, {name: ECS_TRAFFIC_ROUTING, with: {canary: 20}}, {name: ECS_CANARY_CLEAN}]}\n", "still has 20 % of the traffic"},
		"ends split":        {nil, "\n  pipeline: {stages: [{name: ECS_CANARY_ROLLOUT, with: {scale: 30}}, {name: ECS_TRAFFIC_ROUTING, with: {canary: 20}}, {name: ECS_PRIMARY_ROLLOUT}]}\n", "the pipeline ends while the canary has 20 %"},
		"weight, no canary": {nil, "\n  pipeline: {stages: [{name: ECS_TRAFFIC_ROUTING, with: {canary: 20}}]}\n", "no canary runs then"},
		"no place left": {func(w *world) {
			for range 3 {
				id := w.f.id("x")
				w.f.sets[id] = &fakeSet{service: "shop", taskSet: taskSet{ARN: id, ID: id, Status: statusActive}}
			}
		}, canaryPipeline, "one is kept for the way back"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.live("1")
			if c.change != nil {
				c.change(w)
			}
			w.want("2", c.pipeline)
			writes := w.f.writes
			_, err := w.planErr(deploy.StrategyPipeline, nil)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("error %v, want %q", err, c.words)
			}
			if w.f.writes != writes {
				t.Error("something was written")
			}
		})
	}
}

func TestTestRulesAndOtherActionsAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	canaryOnly := route{ARN: rule2, Listener: front, Priority: "5", Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(green)}}}
	w.f.rules = append(w.f.rules, canaryOnly)
	w.live("1")
	w.want("2", canaryPipeline)
	s := &scene{world: w, r: w.plan(deploy.StrategyPipeline, nil), j: &crashJournal{}}
	s.f.lax = true // the test rule leads to an empty group before the canary starts
	s.until(1, stepVerify)
	if !sameActions(w.f.rules[2].Actions, canaryOnly.Actions) {
		t.Error("the test rule was changed")
	}
	acts := w.f.rules[1].Actions
	if share(acts, green) != 20 || share(acts, blue) != 80 {
		t.Error(weightsText(acts, tail))
	}
	if acts[0].AuthenticateOidcConfig == nil || !aws.ToBool(acts[0].AuthenticateOidcConfig.UseExistingClientSecret) {
		t.Error("the login action lost its secret")
	}
	if st := acts[1].ForwardConfig.TargetGroupStickinessConfig; st == nil || aws.ToInt32(st.DurationSeconds) != 60 {
		t.Error("stickiness was lost")
	}
	if share(w.f.rules[0].Actions, green) != 20 {
		t.Error("the default actions were not shifted")
	}
}

func TestAttachIsPlannedAndUndone(t *testing.T) {
	w := newWorld(t)
	w.f.rules = w.f.rules[:1] // the canary group is attached nowhere
	w.live("1")
	w.want("2", canaryPipeline)
	s := &scene{world: w, r: w.plan(deploy.StrategyPipeline, nil), j: &crashJournal{}}
	if !slices.Contains(noteCodes(s.r.part.Notes), NoteAttach) {
		t.Errorf("notes %v", s.r.part.Notes)
	}
	s.until(0, stepAwaitCanary)
	if !mentions(w.f.rules[0].Actions, green) || share(w.f.rules[0].Actions, green) != 0 {
		t.Error(weightsText(w.f.rules[0].Actions, tail))
	}
	s.back("after attach")
	if mentions(w.f.rules[0].Actions, green) {
		t.Error("the canary group is still attached")
	}
}

// TestBadCanaryGoesBackAtOnce measures what a person feels: with the old capacity there, the first write of the way back
// restores the weights.
func TestBadCanaryGoesBackAtOnce(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepVerify)
	s.f.lax = true
	for _, k := range s.sets(roleCanary)[0].tasks {
		k.healthy, k.Status = false, "PENDING"
		k.age = -1000
	}
	b := s.guard()
	if b.Kind != platform.BreachHealth || b.Reason.Code != ReasonUnhealthyVersion {
		t.Fatalf("breach %+v", b)
	}
	var ops []string
	s.f.afterCall = func(op string) error { ops = append(ops, op); return nil }
	began := s.f.now
	for _, step := range s.r.plan.Rollback[0].Steps {
		if out := s.step(s.r, s.r.plan.Rollback[0], step.Name, s.j); out.Progress != platform.Done {
			t.Fatal(step.Name, out)
		}
		if step.Name == backWeights {
			if took := s.f.now.Sub(began); took > 3*time.Second || share(s.f.rules[1].Actions, green) != 0 {
				t.Errorf("weights restored after %s: %s", took, weightsText(s.f.rules[1].Actions, tail))
			}
		}
	}
	if len(ops) == 0 || ops[0] != "SetActions" {
		t.Errorf("writes in order: %v", ops)
	}
	s.wantRestored("bad canary")
}

func TestBadStartFailsEarlyWithTheExitCode(t *testing.T) {
	s := start(t, "crash", canaryPipeline)
	began := s.f.now
	out := s.stages(s.r, s.r.plan.Stages, s.j)
	if out.Progress != platform.Failed || out.Reason.Code != ReasonTasksFailing || out.Reason.Args["exitCode"] != "1" || !strings.Contains(out.Reason.Args["reason"], "Essential container") {
		t.Fatalf("%+v", out)
	}
	if took := s.f.now.Sub(began); took > 20*time.Second {
		t.Errorf("found after %s", took)
	}
	s.back("bad start")
}

func TestNeverHealthyFails(t *testing.T) {
	s := start(t, "bad", canaryPipeline)
	out := s.stages(s.r, s.r.plan.Stages, s.j)
	if out.Progress != platform.Failed || out.Reason.Code != ReasonTargetsUnhealthy || !strings.Contains(out.Reason.Args["detail"], "ResponseCodeMismatch") {
		t.Fatalf("%+v", out)
	}
	if share(s.f.rules[1].Actions, green) != 0 {
		t.Error("the bad version was given traffic")
	}
	s.back("never healthy")
}

func TestBadPrimaryNeverReplacesTheOldOne(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepVerify)
	for i := range s.f.revisions { // the same revision is bad in the primary group: tasks started from now on fail
		if s.f.version(s.f.revisions[i].ARN) == "2" {
			s.f.revisions[i].Content.ContainerDefinitions[0].Image = aws.String("shop:bad")
		}
	}
	s.f.lax = true
	st := s.r.plan.Stages[2]
	var out platform.Outcome
	for _, step := range st.Steps {
		if out = s.step(s.r, st, step.Name, s.j); out.Progress != platform.Done {
			break
		}
	}
	if out.Reason.Code != ReasonTargetsUnhealthy && out.Reason.Code != ReasonSetGone {
		t.Fatalf("%+v", out)
	}
	for _, f := range s.f.sets {
		if f.Tags[awsaccess.TagDeployment] != s.r.id && f.Scale != 100 {
			t.Error("the old version was scaled down")
		}
	}
}

func TestForeignWeightsAreFound(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepVerify)
	if b := s.guard(); b.Kind != platform.BreachNone || len(b.Traffic) != 2 {
		t.Fatalf("breach %+v", b)
	}
	s.f.rules[1].Actions = splitActions(s.f.rules[1].Actions, blue, green, 50, 50, false)
	for range 25 {
		s.f.tick()
	}
	b := s.guard()
	if b.Kind != platform.BreachForeign || b.Reason.Args["expected"] != "primary 80 %, canary 20 %" || !strings.Contains(b.Reason.Args["found"], "50 %") {
		t.Errorf("breach %+v", b)
	}
	st := s.r.plan.Stages[3]
	if out := s.step(s.r, st, stepShift, s.j); out.Progress != platform.Failed || out.Reason.Code != ReasonForeignWeights {
		t.Errorf("shift over foreign weights: %+v", out)
	}
	s.f.rules = s.f.rules[:1]
	if b := s.guard(); b.Kind != platform.BreachForeign || b.Reason.Code != ReasonRouteGone {
		t.Errorf("rule gone: %+v", b)
	}
}

func TestOwnFreshWritesAreNotForeign(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(0, stepAwaitCanary)
	before := clone(s.f.rules)
	st := s.r.plan.Stages[1]
	s.f.stale, s.f.staleFor = before, 3 // the write is not visible for three reads
	if out := s.step(s.r, st, stepShift, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	s.f.stale, s.f.staleFor = before, 1
	if b := s.guard(); b.Kind != platform.BreachNone {
		t.Errorf("breach right after our own write: %+v", b)
	}
}

func TestShiftWaitsForHealthyTargets(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(0, stepCreateCanary)
	out, err := s.stepOnce(s.r, s.r.plan.Stages[1], stepShift, s.j)
	if err != nil || out.Progress != platform.Waiting || out.Reason.Code != ReasonNoHealthy {
		t.Fatalf("%+v %v", out, err)
	}
	if share(s.f.rules[1].Actions, green) != 0 {
		t.Error("weight on an empty group")
	}
}

func TestSettleIsMarkedAndAbsolute(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepShift)
	out, err := s.stepOnce(s.r, s.r.plan.Stages[1], stepSettle, s.j)
	if err != nil || out.Progress != platform.Waiting || !out.Settling || out.After > 30*time.Second || out.After < 25*time.Second {
		t.Errorf("%+v %v", out, err)
	}
}

func TestThrottlingIsWaitedOut(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	dice := rand.New(rand.NewPCG(1, 2))
	s.f.before = func(op string) error {
		if dice.IntN(4) == 0 {
			return platform.Retryable(errors.New("ThrottlingException: Rate exceeded"), time.Second)
		}
		return nil
	}
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
		t.Fatalf("%+v", out)
	}
	s.f.before = nil
	s.wantDeclared("throttled")
}

func TestDrainingSetIsWaitedOut(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	for range 3 {
		id := s.f.id("ecs-svc/old")
		s.f.sets[id] = &fakeSet{service: "shop", gone: s.f.now.Add(8 * time.Second), taskSet: taskSet{ARN: id, ID: id, Status: statusDraining}}
	}
	st := s.r.plan.Stages[0]
	s.until(0, stepSweep)
	out, err := s.stepOnce(s.r, st, stepCreateCanary, s.j)
	if err != nil || out.Reason.Code != ReasonSlotsWaiting {
		t.Fatalf("%+v %v", out, err)
	}
	if out := s.step(s.r, st, stepCreateCanary, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
}

func TestInactiveSnapshotRevisionIsRegisteredAgain(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(4, stepRemoveFormer)
	old := s.r.live
	var snap snapshot
	if err := json.Unmarshal(old.Body, &snap); err != nil {
		t.Fatal(err)
	}
	for i := range s.f.revisions {
		if s.f.revisions[i].ARN == snap.primary().Revision {
			s.f.revisions[i].Inactive = true // somebody cleaned up
		}
	}
	if out := s.stages(s.r, s.r.plan.Rollback, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	if live := s.observe(); live.Digest != old.Digest {
		t.Error("not restored")
	}
	if s.f.created["set/former"] != 1 || s.f.created["revision"] != 3 {
		t.Errorf("created %v", s.f.created)
	}
	s.wantClean("inactive revision")
}

func TestFirstDeploymentIsRemovedAgain(t *testing.T) {
	w := newWorld(t)
	w.f.lax = true
	w.want("1", "")
	s := &scene{world: w, r: w.plan(deploy.StrategyQuick, nil), j: &crashJournal{}}
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	if out := s.stages(s.r, s.r.plan.Rollback, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	if len(w.f.services) != 0 || !w.f.revisions[0].Inactive {
		t.Errorf("left: %v", w.f.services)
	}
	s.wantClean("first deployment")
}

func TestRecreateNeverTouchesTheCount(t *testing.T) {
	s := start(t, "2", "\n  quickSync: {recreate: true}\n  pipeline: {stages: [{name: ECS_SYNC}]}\n")
	s.f.lax = true
	low := 99
	s.f.afterCall = func(string) error { low = min(low, s.f.services["shop"].Count); return nil }
	if !slices.Contains(noteCodes(s.r.part.Notes), NoteDowntime) {
		t.Errorf("notes %v", s.r.part.Notes)
	}
	fork := s.fork()
	fork.f.lax = true
	fork.until(0, stepDrainFormer)
	if out := fork.stages(fork.r, fork.r.plan.Rollback, fork.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	fork.wantRestored("recreate, half way")
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	if low != 4 {
		t.Errorf("desired count went to %d", low)
	}
	s.wantDeclared("recreate")
}

func TestCountIsLoweredOnlyByTheFile(t *testing.T) {
	w := newWorld(t)
	w.live("1")
	good := w.d
	w.f.lax = true
	w.f.services["shop"].Count = 9 // an autoscaler
	for range 10 {
		w.f.tick()
	}
	w.want("2", "")
	s := &scene{world: w, r: w.plan(deploy.StrategyQuick, &good), j: &crashJournal{}}
	if !slices.Contains(noteCodes(s.r.part.Notes), NoteCountKept) {
		t.Errorf("notes %v", s.r.part.Notes)
	}
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done || w.f.services["shop"].Count != 9 {
		t.Fatalf("%+v count %d", out, w.f.services["shop"].Count)
	}
	for range 10 {
		w.f.tick()
	}
	fl := appFiles("3", "")
	fl["shop/servicedef.yaml"] = strings.Replace(fl["shop/servicedef.yaml"], "desiredCount: 4", "desiredCount: 2\nplacementStrategy: [{type: spread, field: host}]", 1)
	d, _, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	w.d = d
	w.f.lax = true
	s = &scene{world: w, r: w.plan(deploy.StrategyQuick, &good), j: &crashJournal{}}
	fork := s.fork()
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done || w.f.services["shop"].Count != 2 {
		t.Fatalf("%+v count %d", out, w.f.services["shop"].Count)
	}
	if len(w.f.services["shop"].Fields.PlacementStrategy) != 1 {
		t.Error("the placement strategy was not applied")
	}
	fork.until(0, stepPromote)
	if out := fork.stages(fork.r, fork.r.plan.Rollback, fork.j); out.Progress != platform.Done || fork.observe().Digest != fork.r.live.Digest {
		t.Fatalf("way back: %+v", out)
	}
	if n := fork.f.services["shop"].Count; n != 9 {
		t.Errorf("count after the way back: %d", n)
	}
}

func TestServiceFieldsChangeAtPrimaryNotAtCanary(t *testing.T) {
	w := newWorld(t)
	w.live("1")
	fl := appFiles("2", canaryPipeline)
	fl["shop/servicedef.yaml"] = strings.Replace(fl["shop/servicedef.yaml"], "GracePeriodSeconds: 5", "GracePeriodSeconds: 7\nenableExecuteCommand: true", 1)
	d, cfg, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	w.d, w.cfg = d, cfg
	s := &scene{world: w, r: w.plan(deploy.StrategyPipeline, nil), j: &crashJournal{}}
	var fields string
	for _, n := range s.r.part.Notes {
		if n.Code == NoteNewService {
			fields = n.Args["fields"]
		}
	}
	if fields != "enableExecuteCommand" {
		t.Errorf("needs a new service: %q", fields)
	}
	s.until(1, stepVerify)
	if g := w.f.services["shop"].Fields.Grace; g != 5 {
		t.Errorf("grace period at canary: %d", g)
	}
	s.until(2, stepDrainFormer)
	if g := w.f.services["shop"].Fields.Grace; g != 7 {
		t.Errorf("grace period at primary: %d", g)
	}
	s.back("service fields")
}

func TestAnotherAccountIsNeverWritten(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.f.account = "999999999999/eu-west-1"
	writes := s.f.writes
	_, err := s.stepOnce(s.r, s.r.plan.Stages[0], stepRegister, s.j)
	if can, _ := platform.CanRetry(err); err == nil || can || !strings.Contains(err.Error(), "nothing was written") || s.f.writes != writes {
		t.Error(err)
	}
}

func TestFormerIsKeptWhileALaterStageCanFail(t *testing.T) {
	s := start(t, "2", "\n  pipeline: {stages: [{name: ECS_PRIMARY_ROLLOUT}, {name: WAIT_APPROVAL}]}\n")
	if !slices.Contains(noteCodes(s.r.part.Notes), NoteFormerKept) {
		t.Errorf("notes %v", s.r.part.Notes)
	}
	if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	kept := 0
	for _, f := range s.f.sets {
		if f.Status == statusActive && f.Scale == 0 {
			kept++
		}
	}
	if kept != 1 {
		t.Fatalf("kept %d former sets", kept)
	}
	// The next deployment sweeps it.
	s.want("3", canaryPipeline)
	next := &scene{world: s.world, r: s.plan(deploy.StrategyPipeline, nil), j: &crashJournal{}}
	if !slices.Contains(noteCodes(next.r.part.Notes), NoteSweep) {
		t.Errorf("notes %v", next.r.part.Notes)
	}
	if out := next.stages(next.r, next.r.plan.Stages, next.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	s.d = next.d
	l := s.observe()
	if len(l.Unsettled) > 0 {
		t.Error(l.Unsettled)
	}
	if !slices.Contains(l.Makers, next.r.id) {
		t.Errorf("made by %v, want %s among them", l.Makers, next.r.id)
	}
}

func standaloneWorld(t *testing.T, version string) *scene {
	w := newWorld(t)
	fl := appFiles(version, "")
	fl["shop/app.pipecd.yaml"] = "apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec: {name: shop, input: {taskDefinitionFile: taskdef.yaml, clusterArn: c, awsvpcConfiguration: {subnets: [s-1]}}}\n"
	d, cfg, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	w.d, w.cfg = d, cfg
	return &scene{world: w, r: w.plan(deploy.StrategyQuick, nil), j: &crashJournal{}}
}

func TestStandaloneTask(t *testing.T) {
	count := crasher{}
	for n := 0; n <= max(count.n, 1); n++ {
		s := standaloneWorld(t, "1")
		c := &crasher{strike: n}
		c.arm(s.f, s.j)
		if out := s.stages(s.r, s.r.plan.Stages, s.j); out.Progress != platform.Done {
			t.Fatalf("crash at %d: %+v", n, out)
		}
		if n == 0 {
			count.n = c.n
		}
		if s.f.created["task"] != 1 || s.f.created["revision"] != 1 {
			t.Errorf("crash at %d: created %v", n, s.f.created)
		}
		s.wantClean("standalone")
	}
	s := standaloneWorld(t, "crash")
	out := s.stages(s.r, s.r.plan.Stages, s.j)
	if out.Progress != platform.Failed || out.Reason.Code != ReasonTaskFailed || out.Reason.Args["exitCode"] != "3" {
		t.Errorf("%+v", out)
	}
	if out := s.stages(s.r, s.r.plan.Rollback, s.j); out.Progress != platform.Done || !s.f.revisions[0].Inactive {
		t.Errorf("way back: %+v", out)
	}
	s.wantClean("standalone back")
}

func TestCanaryGrows(t *testing.T) {
	s := start(t, "2", `
  pipeline:
    stages:
      - {name: ECS_CANARY_ROLLOUT, with: {scale: 25}}
      - {name: ECS_CANARY_ROLLOUT, with: {scale: 50}}
      - {name: ECS_CANARY_CLEAN}
`)
	s.until(1, stepAwaitCanary)
	sets := s.sets(roleCanary)
	if len(sets) != 1 || sets[0].Scale != 50 || sets[0].Running != 2 {
		t.Errorf("canaries: %+v", sets)
	}
}

func TestNewTaskSetMayBeVisibleLate(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	for range 30 {
		s.f.tick()
	}
	s.until(0, stepSweep)
	st := s.r.plan.Stages[0]
	s.f.afterCall = func(string) error { s.f.hidden = 4; return errCrash } // the answer is lost and the set is not listed yet
	if _, err := s.stepOnce(s.r, st, stepCreateCanary, s.j); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	s.f.afterCall = nil
	for _, step := range []string{stepCreateCanary, stepAwaitCanary} {
		if out := s.step(s.r, st, step, s.j); out.Progress != platform.Done {
			t.Fatalf("%s: %+v", step, out)
		}
	}
	if s.f.created["set/canary"] != 1 {
		t.Errorf("created %v", s.f.created)
	}
	delete(s.f.sets, s.sets(roleCanary)[0].ARN)
	for range 40 {
		s.f.tick()
	}
	if out := s.step(s.r, st, stepAwaitCanary, s.j); out.Reason.Code != ReasonSetGone {
		t.Errorf("a removed set: %+v", out)
	}
}

// TestSyncHealsALeftOverCanary: whatever an abandoned deployment left behind, a sync ends with one version.
func TestSyncHealsALeftOverCanary(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepVerify)
	l := s.observe()
	codes := noteCodes(l.Unsettled)
	if !slices.Contains(codes, UnsettledSets) || !slices.Contains(codes, UnsettledSplit) {
		t.Errorf("unsettled %v", l.Unsettled)
	}
	s.want("3", "")
	next := &scene{world: s.world, r: s.plan(deploy.StrategyQuick, nil), j: &crashJournal{}}
	fork := next.fork()
	if out := next.stages(next.r, next.r.plan.Stages, next.j); out.Progress != platform.Done {
		t.Fatal(out)
	}
	next.f.created = map[string]int{}
	next.wantDeclared("healed")
	fork.until(0, stepDrainFormer)
	if out := fork.stages(fork.r, fork.r.plan.Rollback, fork.j); out.Progress != platform.Done || fork.observe().Digest != fork.r.live.Digest {
		t.Errorf("way back to the split state: %+v", out)
	}
	fork.wantClean("way back to the split state")
}

// TestPlanningIsQuick: at 40 ms for each call the observation takes as long as a few calls, not as their sum.
func TestPlanningIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.live("1")
		w.f.delay = 40 * time.Millisecond
		began := time.Now()
		w.observe()
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("observing took %s", took)
		}
	})
}
