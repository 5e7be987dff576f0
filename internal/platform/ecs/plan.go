package ecs

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// backLimit bounds the way back: long enough for a large service to start its tasks again.
const backLimit = 30 * time.Minute

// shape is where a task set is placed, behind one group or none.
func (d *desired) shape(g *targetGroup) setShape {
	if d.Native != nil {
		return d.nativeShape()
	}
	sh := d.Shape
	if d.Access == accessELB && g != nil {
		port := int32(g.Port)
		sh.LoadBalancers = []ecstypes.LoadBalancer{{TargetGroupArn: aws.String(g.ARN), ContainerName: aws.String(g.Container), ContainerPort: &port}}
	}
	return sh
}

// planner resolves one plan.
type planner struct {
	in     platform.PlanInput
	d      *desired
	good   *desired // nil when unknown
	snap   *snapshot
	routes []route // that qualify
	out    platform.PlanPart

	weight     float64 // share of the canary group now
	canary     int     // scale of the canary that runs, 0 for none
	promoted   bool    // the primary version is the new one
	highest    int     // canary share that any stage asks for
	needAttach bool
}

// Plan implements platform.Platform.
func (*Platform) Plan(in platform.PlanInput) (platform.PlanPart, error) {
	p := &planner{in: in}
	var err error
	if p.d, err = platform.DecodeBody[desired]("desired state", in.Desired.Body); err != nil {
		return p.out, err
	}
	if p.snap, err = platform.DecodeBody[snapshot]("live state", in.Live.Body); err != nil {
		return p.out, err
	}
	if in.LastGood != nil {
		if p.good, err = platform.DecodeBody[desired]("last good state", in.LastGood.Body); err != nil {
			return p.out, err
		}
	}
	p.out.SettleTime, p.out.RollbackLimit = p.d.Settle, backLimit
	if p.d.Standalone != nil {
		return p.standalone()
	}
	p.d.orient(p.snap)
	if p.d.Native != nil {
		return p.native()
	}
	stages, err := p.requests()
	if err != nil {
		return p.out, err
	}
	if err := p.check(stages); err != nil {
		return p.out, err
	}
	for i, st := range stages {
		ps, err := p.stage(st, i == len(stages)-1)
		if err != nil {
			return p.out, err
		}
		p.out.Stages = append(p.out.Stages, ps)
	}
	if p.weight > 0 {
		return p.out, invalid("the pipeline ends while the canary has %.4g %% of the traffic: add %s with primary: 100 and %s at its end", p.weight, stageRoute, stageClean)
	}
	p.out.Rollback = []deploy.PlanStage{p.back()}
	p.notes()
	p.claims()
	return p.out, nil
}

// request is a stage with its options.
type request struct {
	platform.StageRequest
	opt options
}

// requests decodes the options of all stages at once, so that every mistake is found in one go.
func (p *planner) requests() ([]request, error) {
	if p.in.Strategy != deploy.StrategyPipeline {
		return []request{{StageRequest: platform.StageRequest{ID: stageSync, Name: stageSync}, opt: options{Recreate: p.d.Recreate}}}, nil
	}
	d := spec.NewDecoder()
	var out []request
	for _, st := range p.in.Stages {
		r := request{st, decodeStage(d, st.Name, st.With)}
		if st.Name == stageSync && p.d.Recreate {
			r.opt.Recreate = true
		}
		out = append(out, r)
	}
	_, err := d.Finish()
	return out, err
}

func invalid(format string, args ...any) error {
	return deploy.Errorf(deploy.CodeInvalid, format, args...)
}

// check refuses what cannot work, before the first write.
func (p *planner) check(stages []request) error {
	if err := p.checkService(); err != nil {
		return err
	}
	var err error
	names := make([]string, len(stages))
	for i, s := range stages {
		names[i] = s.Name
		if s.Name == stageRoute {
			p.highest = max(p.highest, s.opt.Canary)
		}
	}
	if p.snap.Service == nil && (slices.Contains(names, stageCanary) || slices.Contains(names, stageRoute)) {
		return invalid("service %s does not exist yet, so there is nothing that a canary could run beside: deploy it once with a quick sync", p.d.Name)
	}
	if err := p.checkGroups(names); err != nil {
		return err
	}
	if arn := p.d.primaryARN(); arn != "" {
		p.routes, err = qualifying(p.snap.Routes, arn, p.d.canaryARN())
		touches := slices.Contains(names, stageCanary) || slices.Contains(names, stageRoute) || p.splitNow()
		if err != nil && touches {
			return invalid("%w", err)
		}
		if len(p.routes) == 0 && touches {
			return invalid("no listener rule forwards to the primary target group %s: point a rule or the listener's default action to it, otherwise no traffic could be shifted", arn)
		}
	}
	for _, r := range p.routes {
		p.weight = max(p.weight, share(r.Actions, p.d.canaryARN()))
	}
	return p.checkSlots(names)
}

func (p *planner) splitNow() bool {
	for _, r := range p.snap.Routes {
		if mentions(r.Actions, p.d.primaryARN()) && share(r.Actions, p.d.canaryARN()) > 0 {
			return true
		}
	}
	return false
}

func (p *planner) checkService() error {
	s := p.snap.Service
	if s == nil {
		return nil
	}
	if s.Status != statusActive {
		return invalid("service %s is %s: wait until it is gone, then deploy again", s.Name, s.Status)
	}
	if want := p.d.controller(); s.Controller != want {
		return invalid("service %s has the deployment controller %s, the service file says %s: correct deploymentController in the file, or move to a second service (docs/guide/ecs-native.md, Moving between the controllers)", s.Name, s.Controller, want)
	}
	return nil
}

func (p *planner) checkGroups(names []string) error {
	d := p.d
	if d.Access != accessELB {
		if slices.Contains(names, stageRoute) {
			return invalid("%s needs accessType ELB: with SERVICE_DISCOVERY the share follows from the number of tasks; remove the stage", stageRoute)
		}
		return nil
	}
	needs := slices.Contains(names, stageCanary) || slices.Contains(names, stageRoute)
	if needs && d.Primary == nil || slices.Contains(names, stagePrimary) && d.Primary == nil {
		return invalid("input.targetGroups.primary is needed by this pipeline")
	}
	if needs && d.Canary == nil {
		return invalid("input.targetGroups.canary is needed by %s and %s", stageCanary, stageRoute)
	}
	for _, arn := range d.groupARNs() {
		g, ok := p.snap.Groups[arn]
		if !ok {
			return invalid("target group %s does not exist in %s: correct its ARN in input.targetGroups", arn, p.snap.Account)
		}
		if len(g.LoadBalancers) == 0 && arn == d.primaryARN() {
			return invalid("target group %s is not attached to a load balancer: forward a listener or rule to it, Amazon ECS starts no task set behind it otherwise", arn)
		}
		if needs && len(g.LoadBalancers) > 0 && !shareOne(g.LoadBalancers, p.snap.Groups[d.primaryARN()].LoadBalancers) {
			return invalid("target groups %s and %s belong to different load balancers: traffic cannot be split between them", tail(d.primaryARN()), tail(arn))
		}
		p.needAttach = p.needAttach || needs && len(g.LoadBalancers) == 0
	}
	return nil
}

func shareOne(a, b []string) bool {
	for _, x := range a {
		if slices.Contains(b, x) {
			return true
		}
	}
	return false
}

// checkSlots makes sure that the task sets the plan creates leave one place for the way back.
func (p *planner) checkSlots(names []string) error {
	if p.snap.Service == nil {
		return nil
	}
	needed := 0
	for _, n := range names {
		if n == stageCanary || n == stagePrimary || n == stageSync {
			needed++
		}
	}
	sweep := p.sweepable()
	busy := len(p.snap.Service.Sets) - len(sweep) - len(p.snap.Service.draining())
	if busy+needed > maxSets-1 {
		var sets []string
		for _, t := range p.snap.Service.Sets {
			sets = append(sets, t.ARN)
		}
		return invalid("the service has %d task sets (%s) and this plan needs %d more; Amazon ECS allows %d and one is kept for the way back: remove what is not used, or sync once", busy, joined(sets), needed, maxSets)
	}
	return nil
}

// sweepable are left-over task sets of earlier deployments that hold no tasks.
func (p *planner) sweepable() []string {
	var out []string
	if p.snap.Service == nil {
		return nil
	}
	for _, t := range p.snap.Service.Sets {
		if idle(t) {
			out = append(out, t.ARN)
		}
	}
	return out
}

// idle task sets are managed, not primary, and scaled to 0.
func idle(t taskSet) bool {
	return t.Status == statusActive && t.Scale == 0 && t.Running == 0 && t.Tags[awsaccess.TagManagedBy] != ""
}

// stage resolves one stage and follows weights and versions through it.
func (p *planner) stage(r request, last bool) (deploy.PlanStage, error) {
	ps := deploy.PlanStage{ID: r.ID, Name: r.Name, Type: deploy.StagePlatform, Holds: true}
	from := p.exposure()
	var steps []string
	switch r.Name {
	case stageCanary:
		steps = p.canarySteps(&ps, r.opt)
	case stageRoute:
		var err error
		if steps, err = p.routeSteps(&ps, &r.opt); err != nil {
			return ps, err
		}
	case stagePrimary:
		steps = p.primarySteps(&ps)
	case stageSync:
		steps = p.syncSteps(&ps, &r.opt)
	case stageClean:
		if p.weight > 0 {
			return ps, invalid("%s would remove a canary that still has %.4g %% of the traffic: add %s with primary: 100 before it", stageClean, p.weight, stageRoute)
		}
		steps = append(steps, stepCheckWeights, stepSettle, stepDrainCanary, stepRemoveCanary)
		ps.Display = "remove the canary"
		p.canary = 0
	default:
		return ps, invalid("stage %s is not one of this platform", r.Name)
	}
	if last {
		steps = append(steps, p.finish()...)
	}
	for _, rt := range p.routes {
		if slices.Contains(steps, stepShift) || slices.Contains(steps, stepAttach) {
			r.opt.Routes = append(r.opt.Routes, rt.ARN)
		}
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	if slices.Contains(steps, stepService) && p.d.Count > 0 && (p.d.Count > p.snap.Service.Count || p.countChanged()) {
		r.opt.Count, r.opt.Lower = p.d.Count, p.countChanged()
	}
	ps.Exposure = deploy.Exposure{From: from, To: p.exposure()}
	b, err := json.Marshal(r.opt)
	ps.Options = b
	return ps, err
}

// finish are the last steps of the last stage: what the old version needed is removed, unless a later stage of another kind
// can still turn the deployment back.
func (p *planner) finish() []string {
	names := p.in.PipelineNames
	if p.in.Strategy == deploy.StrategyPipeline && len(names) > 0 && !strings.HasPrefix(names[len(names)-1], "ECS_") {
		if p.promoted && p.snap.primary() != nil {
			p.out.Notes = append(p.out.Notes, deploy.Why(NoteFormerKept))
		}
		return []string{stepKeep}
	}
	var steps []string
	if p.canary > 0 && p.weight == 0 {
		steps = append(steps, stepCheckWeights, stepSettle, stepDrainCanary, stepRemoveCanary) // the file has no ECS_CANARY_CLEAN
	}
	steps = append(steps, stepKeep)
	if p.promoted && p.snap.Service != nil {
		steps = append(steps, stepRemoveFormer)
	}
	return steps
}

func (p *planner) canarySteps(ps *deploy.PlanStage, o options) []string {
	steps := []string{stepRegister, stepSweep}
	if p.needAttach {
		steps = append(steps, stepAttach)
	}
	p.canary = o.Scale
	ps.Display = fmt.Sprintf("canary of %d %%", o.Scale)
	if p.highest > o.Scale {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteScale, "scale", fmt.Sprint(o.Scale), "share", fmt.Sprint(p.highest)))
	}
	return append(steps, stepCreateCanary, stepAwaitCanary)
}

func (p *planner) routeSteps(ps *deploy.PlanStage, o *options) ([]string, error) {
	if o.Canary > 0 && p.canary == 0 {
		return nil, invalid("%s gives the canary %d %% but no canary runs then: put %s before it", stageRoute, o.Canary, stageCanary)
	}
	p.weight = float64(o.Canary)
	ps.Display = fmt.Sprintf("canary %d %%, primary %d %%", o.Canary, o.Primary)
	return []string{stepShift, stepSettle, stepVerify}, nil
}

func (p *planner) primarySteps(ps *deploy.PlanStage) []string {
	if p.weight > 0 {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteExposure, "weights", fmt.Sprintf("primary %.4g %%, canary %.4g %%", 100-p.weight, p.weight)))
	}
	p.promoted = true
	ps.Display = "replace the primary version"
	if p.snap.Service == nil {
		return []string{stepRegister, stepCreateService, stepCreatePrimary, stepAwaitPrimary, stepPromote}
	}
	return []string{stepRegister, stepSweep, stepService, stepCreatePrimary, stepAwaitPrimary, stepPromote, stepScaleFormer, stepDrainFormer}
}

func (p *planner) syncSteps(ps *deploy.PlanStage, o *options) []string {
	ps.Display = "replace the running version at once"
	if p.snap.Service == nil {
		p.promoted = true
		return []string{stepRegister, stepCreateService, stepCreatePrimary, stepAwaitPrimary, stepPromote}
	}
	steps := []string{stepRegister, stepSweep, stepService}
	if o.Recreate {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteDowntime))
		steps = append(steps, stepStopFormer, stepDrainFormer)
	}
	steps = append(steps, stepCreatePrimary, stepAwaitPrimary, stepPromote)
	if p.weight > 0 && len(p.routes) > 0 {
		o.Primary, o.Canary = 100, 0
		steps = append(steps, stepShift, stepSettle, stepVerify)
	}
	p.weight, p.promoted = 0, true
	return append(steps, stepScaleFormer, stepDrainFormer)
}

// exposure is the share of users, in percent, on the new version now.
func (p *planner) exposure() float64 {
	if p.promoted {
		return 100
	}
	if p.d.Access == accessELB {
		if p.canary == 0 {
			return 0
		}
		return p.weight
	}
	if p.canary == 0 || p.snap.Service == nil {
		return 0
	}
	count := p.snap.Service.Count
	canary := computed(count, float64(p.canary))
	if canary+count == 0 {
		return 0
	}
	return float64(canary) * 100 / float64(canary+count)
}

// computed is how many tasks ECS runs for a scale: the ceiling (CreateTaskSet API reference).
func computed(count int, scale float64) int {
	n := int(float64(count) * scale / 100)
	if float64(n)*100 < float64(count)*scale {
		n++
	}
	return n
}

// back is the way back, one stage whose steps look for themselves how far the pipeline came.
func (p *planner) back() deploy.PlanStage {
	ps := deploy.PlanStage{ID: "Rollback", Name: stageBack, Type: deploy.StagePlatform, Timeout: backLimit, Display: "return to the recorded live state", Holds: true}
	steps := []string{backCapacity, backAwait, backWeights, backPromote, backSettle, backRemove, backService, backRoutes, backVerify}
	if p.snap.Service == nil {
		steps = []string{backRemoveAll, backVerifyGone}
		ps.Display = "remove what was created"
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	return ps
}

// notes are what a reader should know before the plan runs.
func (p *planner) notes() {
	var writes []string
	for _, st := range p.out.Stages {
		for _, s := range st.Steps {
			if s.Name == stepShift || s.Name == stepAttach {
				for _, r := range p.routes {
					writes = append(writes, r.name())
				}
			}
		}
	}
	sort.Strings(writes)
	writes = slices.Compact(writes)
	add := func(code string, pairs ...string) { p.out.Notes = append(p.out.Notes, deploy.Why(code, pairs...)) }
	if len(writes) > 0 {
		add(NoteRules, "rules", strings.Join(writes, ", "))
	}
	if p.needAttach {
		add(NoteAttach, "group", p.d.canaryARN(), "rules", strings.Join(writes, ", "))
	}
	s := p.snap.Service
	if s == nil {
		return
	}
	if diff := fixedDifferences(p.d, s); len(diff) > 0 {
		add(NoteNewService, "fields", strings.Join(diff, ", "))
	}
	if p.d.Count > 0 && p.d.Count < s.Count && !p.countChanged() {
		add(NoteCountKept, "live", fmt.Sprint(s.Count), "file", fmt.Sprint(p.d.Count))
	}
	if t := p.snap.primary(); t != nil && p.snap.Revisions[t.Revision].Inactive {
		add(NoteInactive, "revision", tail(t.Revision))
	}
	if sets := p.sweepable(); len(sets) > 0 {
		add(NoteSweep, "sets", joined(sets))
	}
}

// fixedDifferences are the fields that the file wants otherwise than the live service has them and that cannot be changed.
func fixedDifferences(d *desired, s *service) []string {
	want, have := fixedView(d.Service), fixedView(s.Fields)
	var out []string
	for k, v := range want {
		if platform.Digest(v) != platform.Digest(have[k]) && !subset(v, have[k]) {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// subset reports whether everything that want says is so in have; AWS fills in the rest.
func subset(want, have any) bool {
	w, ok := want.(object)
	h, ok2 := have.(object)
	if !ok || !ok2 {
		return platform.Digest(want) == platform.Digest(have)
	}
	for k, v := range w {
		if !subset(v, h[k]) {
			return false
		}
	}
	return true
}

// countChanged reports whether the file's own desired count is another one than at the last good deployment.
func (p *planner) countChanged() bool {
	return p.good != nil && p.good.Count != p.d.Count
}

// claims are what the plan will write.
func (p *planner) claims() {
	add := func(kind, key string) {
		p.out.Claims = append(p.out.Claims, deploy.Claim{Kind: kind, Key: p.snap.Account + "/" + key})
	}
	add("service", p.d.Cluster+"/"+p.d.Name)
	for _, r := range p.routes {
		kind := "rule"
		if r.Default {
			kind = "listener"
		}
		add(kind, r.ARN)
	}
	for _, arn := range p.d.groupARNs() {
		add("targetGroup", arn)
	}
}

// standalone plans a task without a service.
func (p *planner) standalone() (platform.PlanPart, error) {
	if p.in.Strategy == deploy.StrategyPipeline {
		for _, st := range p.in.Stages {
			if st.Name != stageSync {
				return p.out, invalid("%s needs a service: input.serviceDefinitionFile is empty, so this application is a standalone task, which only %s can run", st.Name, stageSync)
			}
		}
	}
	requests, err := p.requests()
	if err != nil {
		return p.out, err
	}
	for _, r := range requests {
		ps := deploy.PlanStage{ID: r.ID, Name: r.Name, Type: deploy.StagePlatform, Options: json.RawMessage(`{}`), Display: "register the task definition", Exposure: deploy.Exposure{To: 100}}
		steps := []string{stepRegister}
		if p.d.Standalone.Run {
			ps.Display = "run the task once and wait for its end"
			steps = append(steps, stepRunTask, stepAwaitTask)
		}
		for _, s := range append(steps, stepKeep) {
			ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
		}
		p.out.Stages = append(p.out.Stages, ps)
	}
	p.out.Rollback = []deploy.PlanStage{{
		ID: "Rollback", Name: stageBack, Type: deploy.StagePlatform, Timeout: backLimit, Display: "stop the task and withdraw its revision",
		Steps: []deploy.PlanStep{{Name: backStopTask, Class: deploy.StepInstant}},
	}}
	p.out.Claims = []deploy.Claim{{Kind: "taskFamily", Key: p.snap.Account + "/" + aws.ToString(p.d.Task.Family)}}
	return p.out, nil
}
