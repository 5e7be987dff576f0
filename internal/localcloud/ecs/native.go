package ecs

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// serviceRevision is what a service with the ECS controller runs or ran. Its tasks belong to the hidden task set named Set.
type serviceRevision struct {
	ARN, Set       string
	Seq            int64
	TaskDefinition string
	LaunchType     types.LaunchType
	Providers      []types.CapacityProviderStrategyItem
	Platform       *string
	Network        *types.NetworkConfiguration
	LoadBalancers  []types.LoadBalancer // as they were given
	Registries     []types.ServiceRegistry
	Connect        *types.ServiceConnectConfiguration
	Group          string // the target group that its tasks register with
	Good           bool   // it has taken the place of what ran before
	CreatedAt      time.Time
}

// rollout is a service deployment.
type rollout struct {
	ARN                                                    string
	Seq                                                    int64
	Target                                                 string   // ARN of the service revision
	Sources                                                []string // ARNs of what ran before; the last is what a rollback returns to
	Status                                                 types.ServiceDeploymentStatus
	Stage                                                  types.ServiceDeploymentLifecycleStage
	Reason                                                 string
	Config                                                 wire[types.DeploymentConfiguration, *types.DeploymentConfiguration]
	CreatedAt, StartedAt, UpdatedAt, FinishedAt, StoppedAt time.Time
	StageAt                                                time.Time
	Hooks                                                  []pause // of the present stage
	Weight, TestWeight                                     float64 // of the target, in percent
	Phase                                                  int     // how far the work of the stage is
	Due                                                    time.Time
	BackReason                                             string
	BackAt                                                 time.Time
}

// pause is one PAUSE hook that holds a stage.
type pause struct {
	ID      string
	Status  types.DeploymentLifecycleHookStatus
	Expires time.Time
	Action  types.DeploymentLifecycleHookAction // when it expires
}

// Stages whose names the SDK's enumeration of service deployments lacks.
const stagePreProduction = types.ServiceDeploymentLifecycleStage("PRE_PRODUCTION_TRAFFIC_SHIFT")

// over reports whether nothing will happen to the deployment any more.
func (r *rollout) over() bool {
	switch r.Status {
	case types.ServiceDeploymentStatusSuccessful, types.ServiceDeploymentStatusStopped,
		types.ServiceDeploymentStatusRollbackSuccessful, types.ServiceDeploymentStatusRollbackFailed:
		return true
	}
	return false
}

func (r *rollout) strategy() types.DeploymentStrategy {
	if r.Config.V == nil || r.Config.V.Strategy == "" {
		return types.DeploymentStrategyRolling
	}
	return r.Config.V.Strategy
}

func (s *service) strategy() types.DeploymentStrategy {
	return (&rollout{Config: s.Deployment}).strategy()
}

// rollout is the newest deployment of a service.
func (s *service) rollout() *rollout {
	if len(s.Rollouts) == 0 {
		return nil
	}
	return s.Rollouts[len(s.Rollouts)-1]
}

func (s *service) revision(arn string) *serviceRevision {
	for _, r := range s.Revisions {
		if r.ARN == arn {
			return r
		}
	}
	return nil
}

// revisionOf is the service revision that a hidden task set runs.
func (s *service) revisionOf(set *taskSet) *serviceRevision {
	for _, r := range s.Revisions {
		if r.Set == set.ID {
			return r
		}
	}
	return nil
}

// keptRollouts is how many service deployments and revisions are kept. DG: "the last 90 days"; tests and demos need fewer.
const keptRollouts = 50

// shape is what CreateService and UpdateService can say about the tasks of a service with the ECS controller. Nil leaves.
type shape struct {
	definition *string
	lbs        []types.LoadBalancer
	network    *types.NetworkConfiguration
	platform   *string
	registries []types.ServiceRegistry
	providers  []types.CapacityProviderStrategyItem
	launch     types.LaunchType
	connect    *types.ServiceConnectConfiguration
}

func ofCreate(in *awsecs.CreateServiceInput) shape {
	return shape{in.TaskDefinition, in.LoadBalancers, in.NetworkConfiguration, in.PlatformVersion, in.ServiceRegistries, in.CapacityProviderStrategy, in.LaunchType, in.ServiceConnectConfiguration}
}

func ofRevision(r *serviceRevision) shape {
	return shape{&r.TaskDefinition, r.LoadBalancers, r.Network, r.Platform, r.Registries, r.Providers, r.LaunchType, r.Connect}
}

// ofUpdate is base with what an update gives put over it.
func ofUpdate(base shape, in *awsecs.UpdateServiceInput) shape {
	if in.TaskDefinition != nil {
		base.definition = in.TaskDefinition
	}
	if in.LoadBalancers != nil {
		base.lbs = in.LoadBalancers
	}
	if in.NetworkConfiguration != nil {
		base.network = in.NetworkConfiguration
	}
	if in.PlatformVersion != nil {
		base.platform = in.PlatformVersion
	}
	if in.ServiceRegistries != nil {
		base.registries = in.ServiceRegistries
	}
	if in.ServiceConnectConfiguration != nil {
		base.connect = in.ServiceConnectConfiguration
	}
	if in.CapacityProviderStrategy != nil {
		base.providers, base.launch = in.CapacityProviderStrategy, ""
	}
	return base
}

// updateNative carries out UpdateService for a service with the ECS controller. SDK, UpdateService: a task definition, load balancers, network, platform version
// or registries that differ trigger a service deployment, and so does forceNewDeployment; desired count and deployment configuration do not.
func (c *ECS) updateNative(cl *cluster, s *service, in *awsecs.UpdateServiceInput) error {
	config := s.Deployment.V
	if in.DeploymentConfiguration != nil {
		config = in.DeploymentConfiguration
	}
	current := s.revisionOf(s.primary())
	next := ofUpdate(ofRevision(current), in)
	rev, err := c.st.startable(next.definition)
	if err != nil {
		return err
	}
	next.definition = &rev.ARN
	if err := c.checkNative(rev, next, config); err != nil {
		return err
	}
	if in.EnableExecuteCommand != nil {
		s.ExecuteCommand = *in.EnableExecuteCommand
	}
	s.Deployment.V = config
	if !in.ForceNewDeployment && sameTasks(next, ofRevision(current)) {
		return nil
	}
	if r := s.rollout(); r != nil && !r.over() {
		c.supersede(s, r)
	}
	c.begin(cl, s, next, s.primary())
	return nil
}

// sameTasks compares what triggers a deployment.
func sameTasks(a, b shape) bool {
	sum := func(x shape) string {
		return hash(&awsecs.UpdateServiceInput{
			Service: aws.String(""), TaskDefinition: x.definition, LoadBalancers: x.lbs, NetworkConfiguration: x.network, PlatformVersion: x.platform, ServiceRegistries: x.registries, ServiceConnectConfiguration: x.connect,
		})
	}
	return sum(a) == sum(b)
}

// begin makes a revision with its task set, and the deployment that brings it in.
func (c *ECS) begin(cl *cluster, s *service, next shape, old *taskSet) {
	now := c.now()
	id := dashedID(c.rnd)[:21]
	rev := &serviceRevision{
		ARN: c.arn("service-revision/" + cl.Name + "/" + s.Name + "/" + c.setID()[len("ecs-svc/"):]), Seq: c.seq(), TaskDefinition: *next.definition,
		LaunchType: next.launch, Providers: next.providers, Platform: next.platform, Network: next.network, LoadBalancers: next.lbs, Registries: next.registries, Connect: next.connect, CreatedAt: now,
	}
	r := &rollout{
		ARN: c.arn("service-deployment/" + cl.Name + "/" + s.Name + "/" + id), Seq: c.seq(), Target: rev.ARN, Status: types.ServiceDeploymentStatusPending,
		CreatedAt: now, UpdatedAt: now,
	}
	r.Config.V = s.Deployment.V
	r.Sources = sources(s)
	rev.Group = nextGroup(s, r, next.lbs, old)
	set := c.setOf(s, rev)
	if old != nil {
		set.Count = aws.Int32(0) // the stages say when it grows
	}
	for _, other := range s.Sets {
		if other.Status == setPrimary {
			other.Status = setActive
		}
	}
	s.Sets = append(s.Sets, set)
	s.Revisions = append(s.Revisions, rev)
	s.Rollouts = append(s.Rollouts, r)
	if len(s.Rollouts) > keptRollouts {
		s.Rollouts = s.Rollouts[1:]
	}
	if len(s.Revisions) > keptRollouts { // one with tasks is needed
		at := slices.IndexFunc(s.Revisions, func(rev *serviceRevision) bool { return s.set(rev.Set) == nil })
		s.Revisions = slices.Delete(s.Revisions, max(0, at), max(0, at+1))
	}
}

// nextGroup is the target group of a new revision: the one that the running revision does not use where the strategy shifts traffic between two.
func nextGroup(s *service, r *rollout, lbs []types.LoadBalancer, old *taskSet) string {
	if len(lbs) == 0 {
		return ""
	}
	first := aws.ToString(lbs[0].TargetGroupArn)
	if lbs[0].AdvancedConfiguration == nil || r.strategy() == types.DeploymentStrategyRolling || old == nil {
		if old != nil {
			if was := s.revisionOf(old); was != nil && was.Group != "" && lbs[0].AdvancedConfiguration != nil {
				return was.Group // rolling stays where the traffic is
			}
		}
		return first
	}
	if was := s.revisionOf(old); was != nil && was.Group == first {
		return aws.ToString(lbs[0].AdvancedConfiguration.AlternateTargetGroupArn)
	}
	return first
}

// setOf makes the hidden task set of a revision.
func (c *ECS) setOf(s *service, rev *serviceRevision) *taskSet {
	now := c.now()
	set := &taskSet{
		ID: c.setID(), Seq: c.seq(), Hidden: true, Status: setPrimary, TaskDefinition: rev.TaskDefinition, LaunchType: rev.LaunchType, Providers: rev.Providers,
		PlatformVersion: rev.Platform, Network: rev.Network, LoadBalancers: resolved(rev), Registries: rev.Registries, Scale: 100, CreatedAt: now, UpdatedAt: now, StableAt: now,
	}
	if set.LaunchType == "" && len(set.Providers) == 0 {
		set.LaunchType = types.LaunchTypeEc2
	}
	rev.Set = set.ID
	return set
}

// resolved is the load balancer entry with the group that the revision really uses.
func resolved(rev *serviceRevision) []types.LoadBalancer {
	out := slices.Clone(rev.LoadBalancers)
	if len(out) > 0 && rev.Group != "" {
		out[0].TargetGroupArn = aws.String(rev.Group)
	}
	return out
}

func (s *service) targetOf(r *rollout) *taskSet {
	rev := s.revision(r.Target)
	if rev == nil {
		return nil
	}
	return s.set(rev.Set)
}

// Bounds of the strategies (SDK, CanaryConfiguration, LinearConfiguration, DeploymentLifecycleHookTimeoutConfiguration and DG "Pause hooks").
const (
	maxBake     = 1440
	maxPause    = 20160
	maxPauses   = 10
	leastStep   = 3.0
	pauseLength = 24 * time.Hour
	stageLength = 24 * time.Hour // DG "How blue/green deployments work": each stage at most 24 hours
)

func (c *ECS) checkNative(rev *revision, next shape, config *types.DeploymentConfiguration) error {
	if err := checkStrategy(config); err != nil {
		return err
	}
	if err := checkConnect(rev, next.connect); err != nil {
		return err
	}
	lbs := slices.Clone(next.lbs)
	if err := c.checkPlacement(rev, lbs, next.network, next.launch); err != nil {
		return err
	}
	if config == nil || config.Strategy == "" || config.Strategy == types.DeploymentStrategyRolling || len(lbs) == 0 {
		return nil
	}
	adv := lbs[0].AdvancedConfiguration
	if adv == nil || adv.AlternateTargetGroupArn == nil || adv.ProductionListenerRule == nil || adv.RoleArn == nil {
		return errInvalid("advancedConfiguration with alternateTargetGroupArn, productionListenerRule and roleArn is required for the deployment strategy %s.", config.Strategy)
	}
	alternate := lbs[0]
	alternate.TargetGroupArn, alternate.AdvancedConfiguration = adv.AlternateTargetGroupArn, nil
	return c.checkLoadBalancer(rev.Def.V, alternate)
}

// checkConnect: "The portName must match the name of one of the portMappings from all the containers in the task definition" (SDK, ServiceConnectService). The
// configuration is kept and shown; no proxies run here.
func checkConnect(rev *revision, connect *types.ServiceConnectConfiguration) error {
	if connect == nil || !connect.Enabled {
		return nil
	}
	for _, s := range connect.Services {
		named := func(p types.PortMapping) bool { return p.Name != nil && *p.Name == aws.ToString(s.PortName) }
		if !slices.ContainsFunc(rev.Def.V.ContainerDefinitions, func(c types.ContainerDefinition) bool { return slices.ContainsFunc(c.PortMappings, named) }) {
			return errInvalid("The portName %q of serviceConnectConfiguration is not the name of a port mapping in the task definition.", aws.ToString(s.PortName))
		}
	}
	return nil
}

func checkStrategy(config *types.DeploymentConfiguration) error {
	if config == nil {
		return nil
	}
	switch config.Strategy {
	case "", types.DeploymentStrategyRolling, types.DeploymentStrategyBlueGreen:
	case types.DeploymentStrategyCanary:
		if cc := config.CanaryConfiguration; cc != nil && (cc.CanaryPercent != nil && (*cc.CanaryPercent < 0.1 || *cc.CanaryPercent > 100) || outside(cc.CanaryBakeTimeInMinutes, maxBake)) {
			return errInvalid("canaryPercent must be 0.1 to 100 and canaryBakeTimeInMinutes 0 to %d.", maxBake)
		}
	case types.DeploymentStrategyLinear:
		if lc := config.LinearConfiguration; lc != nil && (lc.StepPercent != nil && (*lc.StepPercent < leastStep || *lc.StepPercent > 100) || outside(lc.StepBakeTimeInMinutes, maxBake)) {
			return errInvalid("stepPercent must be %g to 100 and stepBakeTimeInMinutes 0 to %d.", leastStep, maxBake)
		}
	default:
		return errInvalid("Invalid deployment strategy %q.", config.Strategy)
	}
	if outside(config.BakeTimeInMinutes, maxBake) {
		return errInvalid("bakeTimeInMinutes must be 0 to %d.", maxBake)
	}
	if len(config.LifecycleHooks) > maxPauses {
		return errInvalid("At most %d pause hooks can be configured.", maxPauses)
	}
	for _, h := range config.LifecycleHooks {
		if err := checkHook(config, h); err != nil {
			return err
		}
	}
	return nil
}

func checkHook(config *types.DeploymentConfiguration, h types.DeploymentLifecycleHook) error {
	if h.TargetType != types.DeploymentLifecycleHookTargetTypePause {
		return awserr.New("UnsupportedFeatureException", "Lambda lifecycle hooks are not supported by this cloud; PAUSE hooks are.")
	}
	if config.Strategy == "" || config.Strategy == types.DeploymentStrategyRolling {
		return awserr.New("UnsupportedFeatureException", "Lifecycle hooks of rolling deployments are not supported by this cloud.")
	}
	if len(h.LifecycleStages) == 0 {
		return errInvalid("lifecycleStages cannot be empty.")
	}
	for _, st := range h.LifecycleStages {
		switch {
		case st == types.DeploymentLifecycleHookStageTestTrafficShift, st == types.DeploymentLifecycleHookStageProductionTrafficShift:
			return errInvalid("PAUSE hooks cannot be configured at the stage %s.", st)
		case !slices.Contains(st.Values(), st):
			return errInvalid("Invalid lifecycle stage %q.", st)
		}
	}
	if t := h.TimeoutConfiguration; t != nil && (t.TimeoutInMinutes != nil && *t.TimeoutInMinutes < 1 || outside(t.TimeoutInMinutes, maxPause)) {
		return errInvalid("timeoutInMinutes must be 1 to %d.", maxPause)
	}
	return nil
}

func outside(v *int32, limit int32) bool { return v != nil && (*v < 0 || *v > limit) }
