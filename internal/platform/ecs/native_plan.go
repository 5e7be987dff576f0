package ecs

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// The steps of services with the ECS controller.
const (
	nativeRegister = "register-own"   // a revision that only this deployment has
	nativeCreate   = "create-native"  // the service, with its first deployment
	nativeStart    = "deploy"         // the service deployment
	nativeAwait    = "await-pause"    // its tasks are healthy, and it is paused before the first shift
	nativeShift    = "continue-to"    // until the share is reached
	nativeVerify   = "verify-share"   //
	nativeFinish   = "finish"         // the old tasks go
	nativeRestore  = "restore-config" // the configuration of the file, without pauses

	nativeBack       = "turn-back"      // AWS's own way back, or a deployment of what was
	nativeBackConfig = "restore-native" // the configuration that was
	nativeWithdraw   = "withdraw"       // the revision
)

// nativePlanner plans one deployment of a service with the ECS controller. What the pipeline cannot do was refused when its files were read.
type nativePlanner struct {
	*planner
	started, finished bool
}

func (p *planner) native() (platform.PlanPart, error) {
	n := &nativePlanner{planner: p}
	stages, err := p.requests()
	if err != nil {
		return p.out, err
	}
	if err := n.check(stages); err != nil {
		return p.out, err
	}
	for i, st := range stages {
		ps, err := n.stage(st, i == len(stages)-1)
		if err != nil {
			return p.out, err
		}
		p.out.Stages = append(p.out.Stages, ps)
	}
	p.out.Rollback = []deploy.PlanStage{n.back()}
	if len(p.routes) > 0 && p.snap.Service != nil {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteRules, "rules", p.routes[0].name()))
	}
	if s := p.snap.Service; s != nil && p.d.Count > 0 && p.d.Count < s.Count && !p.countChanged() {
		p.out.Notes = append(p.out.Notes, deploy.Why(NoteCountKept, "live", fmt.Sprint(s.Count), "file", fmt.Sprint(p.d.Count)))
	}
	p.claims()
	return p.out, nil
}

// check refuses what cannot work in the cloud as it is.
func (n *nativePlanner) check(stages []request) error {
	if err := n.checkService(); err != nil {
		return err
	}
	s := n.snap.Service
	if s == nil && slices.ContainsFunc(stages, func(r request) bool { return r.Name == stageCanary || r.Name == stageRoute }) {
		return invalid("service %s does not exist yet, so there is nothing that a canary could run beside: deploy it once with a quick sync", n.d.Name)
	}
	if s != nil && s.Native != nil && s.Native.Lambda {
		return invalid("service %s has Lambda lifecycle hooks with parameters (hookDetails), which would be lost: take them off the service, or deploy it by other means", n.d.Name)
	}
	for _, arn := range n.d.groupARNs() {
		g, ok := n.snap.Groups[arn]
		if !ok {
			return invalid("target group %s does not exist in %s: correct its ARN", arn, n.snap.Account)
		}
		if len(g.LoadBalancers) == 0 {
			return invalid("target group %s is not attached to a load balancer: forward the production rule to it, with weight 0 for the alternate one", arn)
		}
	}
	if n.d.strategy() == ecstypes.DeploymentStrategyRolling {
		return nil
	}
	return n.checkRules()
}

// checkRules makes sure that the rule which Amazon ECS shifts is the only one that leads users to the two groups.
func (n *nativePlanner) checkRules() error {
	n.routes = n.d.production(n.snap.Routes)
	if len(n.routes) == 0 {
		return invalid("productionListenerRule %s does not forward to %s: correct it in the service file", n.d.Native.Rule, joined(n.d.groupARNs()))
	}
	rule := n.routes[0]
	_, ws := forward(rule.Actions)
	for _, arn := range n.d.groupARNs() {
		if !mentions(rule.Actions, arn) {
			return invalid("%s does not forward to target group %s: add it with weight 0, Amazon ECS shifts weights between groups that the rule has", rule.name(), tail(arn))
		}
	}
	if len(ws) > 2 {
		return invalid("%s forwards to a third target group besides %s: remove it from the rule", rule.name(), joined(n.d.groupARNs()))
	}
	for _, r := range n.snap.Routes {
		if r.ARN == rule.ARN || n.d.Native.TestRule != "" && (r.ARN == n.d.Native.TestRule || r.Rule == n.d.Native.TestRule) {
			continue
		}
		return invalid("%s forwards to a target group of this application too, and Amazon ECS shifts only the production rule %s: its users would lose their targets. Remove the group from it, or name it as testListenerRule", r.name(), tail(n.d.Native.Rule))
	}
	n.weight = share(rule.Actions, n.d.canaryARN())
	if n.weight > 0 && n.snap.Service != nil {
		return invalid("%s gives %.4g %% to each of two versions: wait until the service deployment that is under way is over, or turn it back at Amazon ECS", rule.name(), n.weight)
	}
	n.weight = 0
	return nil
}

func (n *nativePlanner) stage(r request, last bool) (deploy.PlanStage, error) {
	ps := deploy.PlanStage{ID: r.ID, Name: r.Name, Type: deploy.StagePlatform, Holds: true}
	from := n.exposure()
	r.opt.Routes = nil
	steps := n.steps(&ps, &r.opt, r.Name)
	if last {
		steps = append(steps, n.end(&r.opt, r.Name)...)
	}
	if slices.Contains(steps, stepService) && n.d.Count > 0 && (n.d.Count > n.snap.Service.Count || n.countChanged()) {
		r.opt.Count, r.opt.Lower = n.d.Count, n.countChanged()
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	ps.Exposure = deploy.Exposure{From: from, To: n.exposure()}
	b, err := json.Marshal(r.opt)
	ps.Options = b
	return ps, err
}

func (n *nativePlanner) steps(ps *deploy.PlanStage, o *options, name string) []string {
	first := n.snap.Service == nil
	switch name {
	case stageCanary:
		o.Pauses = true
		ps.Display = "start the new version beside the old one"
		if o.Scale != 100 {
			n.out.Notes = append(n.out.Notes, deploy.Why(NoteFullSize, "scale", fmt.Sprint(o.Scale)))
		}
		return n.begin()
	case stageRoute:
		if n.promoted {
			o.Primary, o.Canary = 0, 100 // of the two groups, the one with the new version has everything
			ps.Display = "read back that everything is on the new version"
			return []string{nativeVerify}
		}
		n.weight = float64(o.Canary)
		ps.Display = fmt.Sprintf("canary %d %%, primary %d %%", o.Canary, o.Primary)
		if o.Canary == 0 {
			return []string{nativeVerify}
		}
		return []string{nativeShift, stepSettle, nativeVerify}
	case stagePrimary:
		ps.Display = "give everything to the new version"
		if first {
			return n.create()
		}
		var steps []string
		if n.d.strategy() == ecstypes.DeploymentStrategyRolling {
			n.promoted = true
			return n.begin()[:3]
		}
		o.Pauses, o.Primary, o.Canary = true, 0, 100
		if !n.started {
			steps = n.begin()
		}
		n.promoted = true
		return append(steps, nativeShift, stepSettle, nativeVerify)
	case stageClean:
		n.finished = true
		o.Pauses = true
		ps.Display = "stop the old tasks"
		return []string{stepSettle, nativeFinish, nativeRestore}
	}
	ps.Display = "deploy as the service file says: " + string(n.d.strategy())
	if first {
		return n.create()
	}
	n.promoted = true
	return n.begin()[:3]
}

// begin starts a service deployment and waits for its first pause.
func (n *nativePlanner) begin() []string {
	n.started, n.canary = true, 100
	return []string{nativeRegister, stepService, nativeStart, nativeAwait}
}

func (n *nativePlanner) create() []string {
	n.promoted = true
	return []string{nativeRegister, nativeCreate}
}

// end completes the service deployment with the last stage of the platform.
func (n *nativePlanner) end(o *options, name string) []string {
	if n.finished {
		return []string{stepKeep}
	}
	n.finished = true
	if name == stageRoute || name == stagePrimary || name == stageCanary {
		o.Pauses = n.d.strategy() != ecstypes.DeploymentStrategyRolling && n.snap.Service != nil
	}
	names := n.in.PipelineNames
	if n.in.Strategy == deploy.StrategyPipeline && len(names) > 0 && !strings.HasPrefix(names[len(names)-1], "ECS_") {
		n.out.Notes = append(n.out.Notes, deploy.Why(NoteOldTasksGo, "stage", name))
	}
	return []string{nativeFinish, nativeRestore, stepKeep}
}

func (n *nativePlanner) back() deploy.PlanStage {
	ps := deploy.PlanStage{ID: "Rollback", Name: stageBack, Type: deploy.StagePlatform, Timeout: backLimit, Display: "return to the recorded live state", Holds: true}
	steps := []string{nativeBack, backSettle, backService, nativeBackConfig, backVerify, nativeWithdraw}
	if n.snap.Service == nil {
		steps = []string{backRemoveAll, backVerifyGone}
		ps.Display = "remove what was created"
	}
	for _, s := range steps {
		ps.Steps = append(ps.Steps, deploy.PlanStep{Name: s, Class: deploy.StepInstant})
	}
	return ps
}
