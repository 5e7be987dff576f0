package ecs

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/spec"
)

// native reads what a service file of the ECS controller says besides.
func (l *loader) native(n spec.Node, s ecstypes.Service, des *desired) {
	des.Native = &native{}
	l.connect(n.Get("serviceConnectConfiguration"), des)
	config := &ecstypes.DeploymentConfiguration{}
	if s.DeploymentConfiguration != nil {
		config, _ = plainConfig(s.DeploymentConfiguration)
	}
	des.Service.Deployment, des.Native.Hooks = config, len(config.LifecycleHooks) > 0
	at := n.Get("deploymentConfiguration")
	for _, h := range at.Get("lifecycleHooks").Items() {
		if h.Get("hookDetails").Exists() {
			l.d.Fail(h.Get("hookDetails"), "leave it out, or set the hook up beside Penstock", "parameters of Lambda hooks cannot be written")
		}
	}
	if !slices.Contains(append(config.Strategy.Values(), ""), config.Strategy) {
		l.d.Fail(at.Get("strategy"), "ROLLING, BLUE_GREEN, CANARY or LINEAR", "unknown strategy %q", config.Strategy)
	}
	if des.strategy() != ecstypes.DeploymentStrategyRolling && config.BakeTimeInMinutes == nil {
		config.BakeTimeInMinutes = aws.Int32(0) // AWS asks for one
	}
	l.nativeGroups(n, s, des)
}

// nativeGroups reads the load balancer entry. Target groups may stand there, in input.targetGroups, or in both alike.
func (l *loader) nativeGroups(n spec.Node, s ecstypes.Service, des *desired) {
	at := n.Get("loadBalancers")
	if len(s.LoadBalancers) > 1 {
		l.d.Fail(at, "one entry", "services with several load balancers cannot be deployed")
		return
	}
	var lb ecstypes.LoadBalancer
	if len(s.LoadBalancers) == 1 {
		lb, at = s.LoadBalancers[0], at.Items()[0]
	}
	adv := ecstypes.AdvancedConfiguration{}
	if lb.AdvancedConfiguration != nil {
		adv = *lb.AdvancedConfiguration
	}
	des.Primary = l.sameGroup(at.Get("targetGroupArn"), des.Primary, aws.ToString(lb.TargetGroupArn), lb)
	des.Canary = l.sameGroup(at.Get("advancedConfiguration").Get("alternateTargetGroupArn"), des.Canary, aws.ToString(adv.AlternateTargetGroupArn), lb)
	if des.Primary != nil {
		des.Native.First = des.Primary.ARN
	}
	des.Native.Rule, des.Native.TestRule, des.Native.Role = aws.ToString(adv.ProductionListenerRule), aws.ToString(adv.TestListenerRule), aws.ToString(adv.RoleArn)
	if des.strategy() == ecstypes.DeploymentStrategyRolling {
		return
	}
	adAt := at.Get("advancedConfiguration")
	const hint = "give loadBalancers one entry with advancedConfiguration: {productionListenerRule: ARN of the rule, roleArn: ARN of the role of Amazon ECS}"
	switch {
	case des.Primary == nil && des.Canary == nil && des.connected():
		l.d.Fail(n.Get("serviceConnectConfiguration"), "write strategy: ROLLING, or put a load balancer before the service",
			"strategy %s over Service Connect alone cannot be deployed: what share of the requests the clients' proxies give the new version can be read nowhere, and a share that nobody saw is no evidence", des.strategy())
	case des.Primary == nil || des.Canary == nil:
		l.d.Fail(at, "name both in input.targetGroups, or targetGroupArn and alternateTargetGroupArn here", "strategy %s needs two target groups", des.strategy())
	case des.Native.Rule == "":
		l.d.Fail(adAt, hint, "strategy %s needs the productionListenerRule whose weights Amazon ECS shifts", des.strategy())
	case !strings.Contains(des.Native.Rule, ":listener-rule/app/"):
		l.d.Fail(adAt.Get("productionListenerRule"), "name a rule of an Application Load Balancer (its default rule has an ARN too)", "%s is not the ARN of a rule: Network Load Balancers cannot be deployed in stages", des.Native.Rule)
	case des.Native.Role == "":
		l.d.Fail(adAt, hint, "strategy %s needs the roleArn with which Amazon ECS changes the listener rule", des.strategy())
	}
}

// sameGroup joins what input.targetGroups and the service file say about one group.
func (l *loader) sameGroup(at spec.Node, given *targetGroup, arn string, lb ecstypes.LoadBalancer) *targetGroup {
	switch {
	case arn == "":
		return given
	case given == nil:
		return &targetGroup{ARN: arn, Container: aws.ToString(lb.ContainerName), Port: int(aws.ToInt32(lb.ContainerPort))}
	case given.ARN != arn:
		l.d.Fail(at, "leave it out here, or write the same there", "input.targetGroups names %s, this is %s", given.ARN, arn)
	}
	return given
}

// nativePipeline checks that Amazon ECS can go the way of the pipeline, and takes the shares from it.
func (l *loader) nativePipeline(des *desired) {
	if des.Native == nil {
		return
	}
	c := pipelineCheck{l: l, des: des}
	quick := spec.NewDecoder() // the options' own mistakes are said elsewhere
	for _, st := range l.src.Config.Stages {
		if strings.HasPrefix(st.Name, "ECS_") {
			c.stages = append(c.stages, nativeStage{st, decodeStage(quick, st.Name, st.With)})
		}
	}
	c.steps()
	for _, st := range c.stages {
		c.stage(st)
	}
	if n := len(c.stages); n > 0 && c.started && c.share < 100 && !c.finished {
		c.fail(c.stages[n-1], "add ECS_PRIMARY_ROLLOUT", "the pipeline ends while the new version has %g %%", c.share)
	}
}

type nativeStage struct {
	spec.Stage
	opt options
}

// pipelineCheck follows a pipeline of a service with the ECS controller.
type pipelineCheck struct {
	l      *loader
	des    *desired
	stages []nativeStage

	started  bool
	share    float64
	primary  bool // the new version is all there is
	finished bool // the old tasks are gone
}

func (c *pipelineCheck) fail(st nativeStage, hint, format string, args ...any) {
	c.l.d.Fail(st.With, hint, "%s: %s", st.Name, fmt.Sprintf(format, args...))
}

// steps takes the share of one step from the pipeline where the service file leaves it open.
func (c *pipelineCheck) steps() {
	config := c.des.Service.Deployment
	least := 100
	for _, st := range c.stages {
		if st.Name == stageRoute && st.opt.Canary > 0 {
			least = min(least, st.opt.Canary)
		}
	}
	if least == 100 {
		return
	}
	switch c.des.strategy() {
	case ecstypes.DeploymentStrategyCanary:
		if config.CanaryConfiguration == nil {
			config.CanaryConfiguration = &ecstypes.CanaryConfiguration{}
		}
		if config.CanaryConfiguration.CanaryPercent == nil {
			config.CanaryConfiguration.CanaryPercent = aws.Float64(float64(least))
		}
	case ecstypes.DeploymentStrategyLinear:
		if config.LinearConfiguration == nil {
			config.LinearConfiguration = &ecstypes.LinearConfiguration{}
		}
		if config.LinearConfiguration.StepPercent == nil {
			config.LinearConfiguration.StepPercent = aws.Float64(math.Max(3, float64(least)))
		}
	}
}

func (c *pipelineCheck) stage(st nativeStage) {
	if c.des.strategy() == ecstypes.DeploymentStrategyRolling && st.Name != stageSync && st.Name != stagePrimary {
		c.fail(st, "write deploymentConfiguration: {strategy: CANARY} (or BLUE_GREEN, LINEAR) in the service file, or remove the stage", "a service of the controller ECS with the strategy ROLLING has no canary")
		return
	}
	if c.des.Native.Hooks && st.Name != stageSync {
		c.fail(st, "remove deploymentConfiguration.lifecycleHooks from the service file, or deploy without a pipeline", "the service file has lifecycle hooks of its own, and the pauses between stages are such hooks too")
		return
	}
	if c.finished && (st.Name != stageRoute || st.opt.Canary != 0) {
		c.fail(st, "move it before ECS_CANARY_CLEAN", "the deployment at Amazon ECS is over behind ECS_CANARY_CLEAN")
		return
	}
	switch st.Name {
	case stageCanary:
		if c.started {
			c.fail(st, "keep one", "a service of the controller ECS has one new version at a time")
		}
		c.started = true
	case stageRoute:
		c.route(st)
	case stagePrimary:
		c.started, c.primary, c.share = true, true, 100
	case stageClean:
		if c.share < 100 {
			c.fail(st, "put ECS_PRIMARY_ROLLOUT before it", "Amazon ECS goes forward to the new version or back to the old one; a canary cannot be removed before it has become the primary")
		}
		c.finished = true
	case stageSync:
		if len(c.stages) > 1 {
			c.fail(st, "remove it, or the other ECS stages", "ECS_SYNC deploys everything at once and stands alone under the controller ECS")
		}
	}
}

func (c *pipelineCheck) route(st nativeStage) {
	want := float64(st.opt.Canary)
	switch {
	case c.primary && (want == 0 || want == 100):
		return // everything is on the new version, which is the primary
	case want < c.share:
		c.fail(st, "remove the stage; cancel the deployment to go back", "the share of the new version would go down from %g %% to %g %%, which Amazon ECS does only by going back altogether", c.share, want)
	case want > 0 && !c.started:
		c.fail(st, "put ECS_CANARY_ROLLOUT before it", "there is no canary yet that could have %g %%", want)
	case !slices.ContainsFunc(shares(c.des.Service.Deployment), func(s float64) bool { return s == want }):
		c.fail(st, c.reachHint(want), "strategy %s reaches %s, not %g %%", c.des.strategy(), percents(shares(c.des.Service.Deployment)[1:]), want)
	}
	c.share = math.Max(c.share, want)
}

func (c *pipelineCheck) reachHint(want float64) string {
	switch c.des.strategy() {
	case ecstypes.DeploymentStrategyBlueGreen:
		return fmt.Sprintf("write strategy: CANARY in the service file, with canaryConfiguration: {canaryPercent: %g}", want)
	case ecstypes.DeploymentStrategyCanary:
		return "keep one share below 100 and the same canaryPercent in the service file, or write strategy: LINEAR"
	}
	return "use multiples of linearConfiguration.stepPercent (at least 3)"
}

func percents(list []float64) string {
	var out []string
	for _, p := range list {
		out = append(out, fmt.Sprintf("%g %%", p))
	}
	if len(out) > 6 {
		out = append(out[:5], "…", out[len(out)-1])
	}
	return strings.Join(out, ", ")
}
