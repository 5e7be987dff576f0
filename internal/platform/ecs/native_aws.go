package ecs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// rollouts are the deployments of services with the ECS controller.
type rollouts interface {
	// Rollouts lists the newest service deployments, newest first.
	Rollouts(ctx context.Context, cluster, name string) ([]rollout, error)
	// CreateNative makes a service of the ECS controller, whose first deployment begins at once.
	CreateNative(ctx context.Context, in newService, n nativeDeploy) error
	// Deploy starts a service deployment. The same again starts none.
	Deploy(ctx context.Context, cluster, name string, n nativeDeploy) error
	// Configure writes what starts no deployment: the deployment configuration, and whether commands can be run in tasks.
	Configure(ctx context.Context, cluster, name string, c *ecstypes.DeploymentConfiguration, exec bool) error
	// Continue ends a pause. One that is over already is reported as codeNotPaused.
	Continue(ctx context.Context, arn, pause string) error
	// TurnBack asks for the way back. A deployment that is over is reported as codeRolloutOver.
	TurnBack(ctx context.Context, arn string) error
}

const (
	codeNotPaused   = "not-paused"
	codeRolloutOver = "deployment-over"
)

// nativeDeploy is what a service deployment brings in.
type nativeDeploy struct {
	Revision string
	Shape    setShape
	Config   *ecstypes.DeploymentConfiguration
	Exec     bool
}

// seenRollouts is how many service deployments are looked through for ours.
const seenRollouts = 10

// native completes what DescribeServices says about a service of the ECS controller: its revisions as task sets, and the newest deployment.
func (a *awsCloud) native(ctx context.Context, live *service, s ecstypes.Service) (*service, error) {
	n := &nativeService{Shape: setShape{
		LoadBalancers: s.LoadBalancers, Network: s.NetworkConfiguration, LaunchType: s.LaunchType, Capacity: s.CapacityProviderStrategy,
		PlatformVersion: aws.ToString(s.PlatformVersion), Registries: s.ServiceRegistries,
	}}
	for _, d := range s.Deployments {
		if aws.ToString(d.Status) == statusPrimary {
			n.Shape.Connect = d.ServiceConnectConfiguration // DescribeServices shows it with the deployments only
		}
	}
	live.Native = n
	live.Fields.Deployment, n.Lambda = plainConfig(s.DeploymentConfiguration)
	if len(s.LoadBalancers) > 0 && s.LoadBalancers[0].AdvancedConfiguration != nil {
		n.Rule = aws.ToString(s.LoadBalancers[0].AdvancedConfiguration.ProductionListenerRule)
	}
	var arns []string
	for _, r := range s.CurrentServiceRevisions {
		arns = append(arns, aws.ToString(r.Arn))
	}
	if arn := aws.ToString(s.CurrentServiceDeployment); arn != "" {
		rs, err := a.describeRollouts(ctx, []string{arn})
		if err != nil {
			return nil, err
		}
		if len(rs) == 1 {
			n.Rollout = &rs[0]
		}
	}
	revs, err := a.serviceRevisions(ctx, arns)
	if err != nil {
		return nil, err
	}
	groups := map[string]string{} // by task definition
	for _, r := range revs {
		groups[aws.ToString(r.TaskDefinition)] = resolvedGroup(r)
	}
	for _, d := range s.Deployments {
		t := taskSet{
			ARN: aws.ToString(d.Id), ID: aws.ToString(d.Id), Status: statusActive, Revision: aws.ToString(d.TaskDefinition), Scale: 100, Computed: int(d.DesiredCount),
			Running: int(d.RunningCount), Pending: int(d.PendingCount), Steady: d.RolloutState == ecstypes.DeploymentRolloutStateCompleted, Shape: n.Shape,
			Created: aws.ToTime(d.CreatedAt), Group: groups[aws.ToString(d.TaskDefinition)],
		}
		if aws.ToString(d.Status) == statusPrimary {
			t.Status = statusPrimary
		} else if d.DesiredCount == 0 {
			t.Scale = 0
		}
		live.Sets = append(live.Sets, t)
	}
	return live, nil
}

// resolvedGroup is the target group that a revision really uses.
func resolvedGroup(r ecstypes.ServiceRevision) string {
	if r.ResolvedConfiguration != nil && len(r.ResolvedConfiguration.LoadBalancers) > 0 {
		return aws.ToString(r.ResolvedConfiguration.LoadBalancers[0].TargetGroupArn)
	}
	return ""
}

func (a *awsCloud) serviceRevisions(ctx context.Context, arns []string) ([]ecstypes.ServiceRevision, error) {
	if len(arns) == 0 {
		return nil, nil
	}
	out, err := under(ctx, a, a.ecs.DescribeServiceRevisions, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: arns})
	if err != nil {
		return nil, classify("ecs:DescribeServiceRevisions", err)
	}
	return out.ServiceRevisions, nil
}

// Rollouts implements rollouts.
func (a *awsCloud) Rollouts(ctx context.Context, cluster, name string) ([]rollout, error) {
	list, err := under(ctx, a, a.ecs.ListServiceDeployments, &ecs.ListServiceDeploymentsInput{Cluster: opt(cluster), Service: aws.String(name), MaxResults: aws.Int32(seenRollouts)})
	if err != nil {
		return nil, classify("ecs:ListServiceDeployments", err)
	}
	briefs := list.ServiceDeployments
	slices.SortStableFunc(briefs, func(x, y ecstypes.ServiceDeploymentBrief) int {
		return aws.ToTime(y.CreatedAt).Compare(aws.ToTime(x.CreatedAt))
	})
	var arns []string
	for _, b := range briefs {
		arns = append(arns, aws.ToString(b.ServiceDeploymentArn))
	}
	if len(arns) == 0 {
		return nil, nil
	}
	return a.describeRollouts(ctx, arns)
}

// describeRollouts reads service deployments and what they bring in, in the order that was asked for.
func (a *awsCloud) describeRollouts(ctx context.Context, arns []string) ([]rollout, error) {
	out, err := under(ctx, a, a.ecs.DescribeServiceDeployments, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: arns})
	if err != nil {
		return nil, classify("ecs:DescribeServiceDeployments", err)
	}
	var targets []string
	for _, d := range out.ServiceDeployments {
		if d.TargetServiceRevision != nil {
			targets = append(targets, aws.ToString(d.TargetServiceRevision.Arn))
		}
	}
	slices.Sort(targets)
	revs, err := a.serviceRevisions(ctx, slices.Compact(targets))
	if err != nil {
		return nil, err
	}
	var all []rollout
	for _, arn := range arns {
		for _, d := range out.ServiceDeployments {
			if aws.ToString(d.ServiceDeploymentArn) == arn {
				all = append(all, rolloutOf(d, revs))
			}
		}
	}
	return all, nil
}

func rolloutOf(d ecstypes.ServiceDeployment, revs []ecstypes.ServiceRevision) rollout {
	r := rollout{ARN: aws.ToString(d.ServiceDeploymentArn), Status: string(d.Status), Stage: string(d.LifecycleStage), Why: aws.ToString(d.StatusReason)}
	if d.Rollback != nil && r.Why == "" {
		r.Why = aws.ToString(d.Rollback.Reason)
	}
	if t := d.TargetServiceRevision; t != nil {
		r.Share = t.RequestedProductionTrafficWeight
		for _, rev := range revs {
			if aws.ToString(rev.ServiceRevisionArn) == aws.ToString(t.Arn) {
				r.Revision, r.Group = aws.ToString(rev.TaskDefinition), resolvedGroup(rev)
			}
		}
	}
	for _, h := range d.LifecycleHookDetails {
		if h.Status == ecstypes.DeploymentLifecycleHookStatusAwaitingAction && h.TargetType == ecstypes.DeploymentLifecycleHookTargetTypePause {
			r.Pause, r.Until = aws.ToString(h.HookId), aws.ToTime(h.ExpiresAt).UTC().Format(time.RFC3339)
		}
	}
	return r
}

// CreateNative implements rollouts.
func (a *awsCloud) CreateNative(ctx context.Context, in newService, n nativeDeploy) error {
	f, count := in.Fields, int32(in.Count)
	input := &ecs.CreateServiceInput{
		Cluster: opt(in.Cluster), ServiceName: aws.String(in.Name), ClientToken: aws.String(in.Token), DesiredCount: &count, TaskDefinition: aws.String(n.Revision),
		DeploymentController: &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeEcs}, DeploymentConfiguration: n.Config,
		LoadBalancers: n.Shape.LoadBalancers, NetworkConfiguration: n.Shape.Network, LaunchType: n.Shape.LaunchType, CapacityProviderStrategy: n.Shape.Capacity,
		PlatformVersion: opt(n.Shape.PlatformVersion), ServiceRegistries: n.Shape.Registries, EnableECSManagedTags: f.ManagedTags, EnableExecuteCommand: f.Exec,
		PlacementConstraints: f.PlacementConstraints, PlacementStrategy: f.PlacementStrategy, PropagateTags: f.PropagateTags, Role: opt(f.Role),
		SchedulingStrategy: f.Scheduling, Tags: tagList(in.Tags), AvailabilityZoneRebalancing: f.Rebalancing, ServiceConnectConfiguration: n.Shape.Connect,
	}
	if f.Grace > 0 {
		input.HealthCheckGracePeriodSeconds = &f.Grace
	}
	_, err := under(ctx, a, a.ecs.CreateService, input)
	return classify("ecs:CreateService", err)
}

// Deploy implements rollouts. Nothing forces a deployment, so that the same call again changes nothing.
func (a *awsCloud) Deploy(ctx context.Context, cluster, name string, n nativeDeploy) error {
	in := &ecs.UpdateServiceInput{
		Cluster: opt(cluster), Service: aws.String(name), TaskDefinition: aws.String(n.Revision), DeploymentConfiguration: n.Config, EnableExecuteCommand: aws.Bool(n.Exec),
		LoadBalancers: orEmpty(n.Shape.LoadBalancers), NetworkConfiguration: n.Shape.Network, PlatformVersion: opt(n.Shape.PlatformVersion),
		ServiceConnectConfiguration: n.Shape.Connect,
	}
	if len(n.Shape.Capacity) > 0 {
		in.CapacityProviderStrategy = n.Shape.Capacity
	}
	if len(n.Shape.Registries) > 0 {
		in.ServiceRegistries = n.Shape.Registries
	}
	_, err := under(ctx, a, a.ecs.UpdateService, in)
	return classify("ecs:UpdateService", err)
}

// Configure implements rollouts.
func (a *awsCloud) Configure(ctx context.Context, cluster, name string, c *ecstypes.DeploymentConfiguration, exec bool) error {
	_, err := under(ctx, a, a.ecs.UpdateService, &ecs.UpdateServiceInput{Cluster: opt(cluster), Service: aws.String(name), DeploymentConfiguration: c, EnableExecuteCommand: aws.Bool(exec)})
	return classify("ecs:UpdateService", err)
}

// Continue implements rollouts.
func (a *awsCloud) Continue(ctx context.Context, arn, pause string) error {
	_, err := under(ctx, a, a.ecs.ContinueServiceDeployment, &ecs.ContinueServiceDeploymentInput{
		ServiceDeploymentArn: aws.String(arn), HookId: aws.String(pause), Action: ecstypes.DeploymentLifecycleHookActionContinue,
	})
	if c := awsCode(err); c == "InvalidParameterException" || c == "ClientException" {
		return &apiError{codeNotPaused, fmt.Errorf("ecs:ContinueServiceDeployment: %w", err)}
	}
	return classify("ecs:ContinueServiceDeployment", err)
}

// TurnBack implements rollouts.
func (a *awsCloud) TurnBack(ctx context.Context, arn string) error {
	_, err := under(ctx, a, a.ecs.StopServiceDeployment, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: aws.String(arn), StopType: ecstypes.StopServiceDeploymentStopTypeRollback})
	if c := awsCode(err); c == "ConflictException" || c == "InvalidParameterException" {
		return platform.Retryable(&apiError{codeRolloutOver, fmt.Errorf("ecs:StopServiceDeployment: %w", err)}, 0)
	}
	return classify("ecs:StopServiceDeployment", err)
}
