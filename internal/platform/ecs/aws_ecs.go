package ecs

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Service implements services: two calls, the second for the tags and fresh counts of the task sets.
func (a *awsCloud) Service(ctx context.Context, cluster, name string) (*service, error) {
	in := &ecs.DescribeServicesInput{Cluster: opt(cluster), Services: []string{name}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags}}
	out, err := call(ctx, a, "ecs:DescribeServices", func(ctx context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
		return a.ecs.DescribeServices(ctx, in)
	}, in)
	if err != nil {
		return nil, err
	}
	if err := whole("ecs:DescribeServices", 1, len(out.Services), out.Failures); err != nil {
		return nil, err
	}
	for _, s := range out.Services {
		if aws.ToString(s.Status) == "INACTIVE" {
			continue
		}
		live := serviceOf(s)
		if live.Controller == controllerECS {
			return a.native(ctx, live, s)
		}
		if len(s.TaskSets) == 0 {
			return live, nil
		}
		live.Sets, err = a.taskSets(ctx, cluster, name)
		if code := awsCode(err); code == "ServiceNotActiveException" || code == "ServiceNotFoundException" {
			// A deleted service is listed, with its task sets, until its last task has ended; the sets themselves are not shown.
			return live, nil
		}
		return live, err
	}
	return nil, nil
}

func (a *awsCloud) taskSets(ctx context.Context, cluster, name string) ([]taskSet, error) {
	in := &ecs.DescribeTaskSetsInput{Cluster: aws.String(cluster), Service: aws.String(name), Include: []ecstypes.TaskSetField{ecstypes.TaskSetFieldTags}}
	out, err := call(ctx, a, "ecs:DescribeTaskSets", func(ctx context.Context, in *ecs.DescribeTaskSetsInput) (*ecs.DescribeTaskSetsOutput, error) {
		return a.ecs.DescribeTaskSets(ctx, in)
	}, in)
	if err != nil {
		return nil, err
	}
	var sets []taskSet
	for _, t := range out.TaskSets {
		sets = append(sets, taskSetOf(t))
	}
	return sets, nil
}

func serviceOf(s ecstypes.Service) *service {
	live := &service{
		ARN: aws.ToString(s.ServiceArn), Name: aws.ToString(s.ServiceName), Status: aws.ToString(s.Status),
		Controller: string(ecstypes.DeploymentControllerTypeEcs), Count: int(s.DesiredCount), Running: int(s.RunningCount), Pending: int(s.PendingCount),
		Fields: fieldsOf(s), Tags: tagMap(s.Tags),
	}
	if s.DeploymentController != nil {
		live.Controller = string(s.DeploymentController.Type)
	}
	for _, e := range s.Events[:min(len(s.Events), deploy.MaxResourceEvents)] {
		live.Events = append(live.Events, deploy.ResourceEvent{At: aws.ToTime(e.CreatedAt), Text: aws.ToString(e.Message)})
	}
	return live
}

// fieldsOf takes the service-level fields of a service, live or from a file.
func fieldsOf(s ecstypes.Service) serviceFields {
	return serviceFields{
		PlacementConstraints: s.PlacementConstraints, PlacementStrategy: s.PlacementStrategy, Grace: aws.ToInt32(s.HealthCheckGracePeriodSeconds),
		ManagedTags: s.EnableECSManagedTags, PropagateTags: s.PropagateTags, Deployment: s.DeploymentConfiguration,
		Role: aws.ToString(s.RoleArn), Scheduling: s.SchedulingStrategy, Exec: s.EnableExecuteCommand, Rebalancing: s.AvailabilityZoneRebalancing,
	}
}

func taskSetOf(t ecstypes.TaskSet) taskSet {
	set := taskSet{
		ARN: aws.ToString(t.TaskSetArn), ID: aws.ToString(t.Id), Status: aws.ToString(t.Status), Revision: aws.ToString(t.TaskDefinition),
		Computed: int(t.ComputedDesiredCount), Running: int(t.RunningCount), Pending: int(t.PendingCount),
		Steady: t.StabilityStatus == ecstypes.StabilityStatusSteadyState, Tags: tagMap(t.Tags), Created: aws.ToTime(t.CreatedAt),
		Shape: setShape{
			LoadBalancers: t.LoadBalancers, Network: t.NetworkConfiguration, LaunchType: t.LaunchType, Capacity: t.CapacityProviderStrategy,
			PlatformVersion: aws.ToString(t.PlatformVersion), Registries: t.ServiceRegistries,
		},
	}
	if t.Scale != nil {
		set.Scale = t.Scale.Value
	}
	return set
}

// CreateService implements services.
func (a *awsCloud) CreateService(ctx context.Context, in newService) error {
	_, err := call(ctx, a, "ecs:CreateService", func(ctx context.Context, in *ecs.CreateServiceInput) (*ecs.CreateServiceOutput, error) {
		return a.ecs.CreateService(ctx, in)
	}, createInput(in))
	return err
}

// createInput is the request that makes a service.
func createInput(in newService) *ecs.CreateServiceInput {
	f := in.Fields
	count := int32(in.Count)
	input := &ecs.CreateServiceInput{
		Cluster: opt(in.Cluster), ServiceName: aws.String(in.Name), ClientToken: aws.String(in.Token), DesiredCount: &count,
		DeploymentController:    &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeExternal},
		DeploymentConfiguration: f.Deployment, EnableECSManagedTags: f.ManagedTags, EnableExecuteCommand: f.Exec,
		PlacementConstraints: f.PlacementConstraints, PlacementStrategy: f.PlacementStrategy, PropagateTags: f.PropagateTags,
		Role: opt(f.Role), SchedulingStrategy: f.Scheduling, Tags: tagList(in.Tags), AvailabilityZoneRebalancing: f.Rebalancing,
	}
	if f.Grace > 0 {
		input.HealthCheckGracePeriodSeconds = &f.Grace
	}
	return input
}

// UpdateService implements services.
func (a *awsCloud) UpdateService(ctx context.Context, cluster, name string, u serviceUpdate) error {
	_, err := call(ctx, a, "ecs:UpdateService", func(ctx context.Context, in *ecs.UpdateServiceInput) (*ecs.UpdateServiceOutput, error) {
		return a.ecs.UpdateService(ctx, in)
	}, updateInput(cluster, name, u))
	return err
}

// updateInput is the request that changes a service.
func updateInput(cluster, name string, u serviceUpdate) *ecs.UpdateServiceInput {
	in := &ecs.UpdateServiceInput{Cluster: opt(cluster), Service: aws.String(name)}
	if u.Count != nil {
		in.DesiredCount = aws.Int32(int32(*u.Count))
	}
	if f := u.Fields; f != nil {
		changedFields(in, *f, u.Have)
	}
	return in
}

// changedFields sets what differs. An empty list clears, a missing one leaves.
func changedFields(in *ecs.UpdateServiceInput, want, have serviceFields) {
	if platform.Digest(want.PlacementConstraints) != platform.Digest(have.PlacementConstraints) {
		in.PlacementConstraints = orEmpty(want.PlacementConstraints)
	}
	if platform.Digest(want.PlacementStrategy) != platform.Digest(have.PlacementStrategy) {
		in.PlacementStrategy = orEmpty(want.PlacementStrategy)
	}
	if want.Grace != have.Grace {
		in.HealthCheckGracePeriodSeconds = aws.Int32(want.Grace)
	}
	if want.ManagedTags != have.ManagedTags {
		in.EnableECSManagedTags = aws.Bool(want.ManagedTags)
	}
	if want.PropagateTags != have.PropagateTags {
		in.PropagateTags = cmp.Or(want.PropagateTags, ecstypes.PropagateTagsNone)
	}
}

func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// DeleteService implements services. Force removes what tasks are left; the task sets are gone before.
func (a *awsCloud) DeleteService(ctx context.Context, cluster, name string) error {
	_, err := under(ctx, a, a.ecs.DeleteService, &ecs.DeleteServiceInput{Cluster: opt(cluster), Service: aws.String(name), Force: aws.Bool(true)})
	if isGone(err) {
		return nil
	}
	return classify("ecs:DeleteService", err)
}

// TagService implements services.
func (a *awsCloud) TagService(ctx context.Context, arn string, set tags, remove []string) error {
	if len(remove) > 0 {
		_, err := under(ctx, a, a.ecs.UntagResource, &ecs.UntagResourceInput{ResourceArn: aws.String(arn), TagKeys: remove})
		if err != nil {
			return classify("ecs:UntagResource", err)
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err := under(ctx, a, a.ecs.TagResource, &ecs.TagResourceInput{ResourceArn: aws.String(arn), Tags: tagList(set)})
	return classify("ecs:TagResource", err)
}

// CreateTaskSet implements services.
func (a *awsCloud) CreateTaskSet(ctx context.Context, in newTaskSet) (string, error) {
	out, err := call(ctx, a, "ecs:CreateTaskSet", func(ctx context.Context, in *ecs.CreateTaskSetInput) (*ecs.CreateTaskSetOutput, error) {
		return a.ecs.CreateTaskSet(ctx, in)
	}, setInput(in))
	if err != nil {
		return "", err
	}
	if out.TaskSet == nil {
		return "", platform.Retryable(fmt.Errorf("ecs:CreateTaskSet: the answer names no task set"), 0)
	}
	return aws.ToString(out.TaskSet.TaskSetArn), nil
}

// setInput is the request that makes a task set.
func setInput(in newTaskSet) *ecs.CreateTaskSetInput {
	sh := in.Shape
	return &ecs.CreateTaskSetInput{
		Cluster: aws.String(in.Cluster), Service: aws.String(in.Service), TaskDefinition: aws.String(in.Revision), ClientToken: aws.String(in.Token),
		Scale:         &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: in.Scale},
		LoadBalancers: sh.LoadBalancers, NetworkConfiguration: sh.Network, LaunchType: sh.LaunchType, CapacityProviderStrategy: sh.Capacity,
		PlatformVersion: opt(sh.PlatformVersion), ServiceRegistries: sh.Registries, Tags: tagList(in.Tags),
	}
}

// ScaleTaskSet implements services.
func (a *awsCloud) ScaleTaskSet(ctx context.Context, cluster, service, set string, scale float64) error {
	_, err := under(ctx, a, a.ecs.UpdateTaskSet, &ecs.UpdateTaskSetInput{
		Cluster: aws.String(cluster), Service: aws.String(service), TaskSet: aws.String(set),
		Scale: &ecstypes.Scale{Unit: ecstypes.ScaleUnitPercent, Value: scale},
	})
	return classify("ecs:UpdateTaskSet", err)
}

// SetPrimary implements services.
func (a *awsCloud) SetPrimary(ctx context.Context, cluster, service, set string) error {
	_, err := under(ctx, a, a.ecs.UpdateServicePrimaryTaskSet, &ecs.UpdateServicePrimaryTaskSetInput{Cluster: aws.String(cluster), Service: aws.String(service), PrimaryTaskSet: aws.String(set)})
	return classify("ecs:UpdateServicePrimaryTaskSet", err)
}

// DeleteTaskSet implements services. A task set that is gone already, or went with its service, is what was asked for.
func (a *awsCloud) DeleteTaskSet(ctx context.Context, cluster, service, set string, force bool) error {
	in := &ecs.DeleteTaskSetInput{Cluster: aws.String(cluster), Service: aws.String(service), TaskSet: aws.String(set)}
	if force {
		in.Force = aws.Bool(true)
	}
	_, err := under(ctx, a, a.ecs.DeleteTaskSet, in)
	if isGone(err) {
		return nil
	}
	return classify("ecs:DeleteTaskSet", err)
}

// Revision implements services.
func (a *awsCloud) Revision(ctx context.Context, ref string) (*revision, error) {
	out, err := under(ctx, a, a.ecs.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(ref), Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags}})
	if c := awsCode(err); c == "ClientException" || c == "InvalidParameterException" {
		return nil, nil // "Unable to describe task definition." is how ECS says that there is none
	}
	if err != nil {
		return nil, classify("ecs:DescribeTaskDefinition", err)
	}
	if out.TaskDefinition == nil {
		return nil, nil
	}
	t := out.TaskDefinition
	content := contentOf(t)
	content.Tags = tagList(userTags(tagMap(out.Tags)))
	return &revision{ARN: aws.ToString(t.TaskDefinitionArn), Content: content, Tags: tagMap(out.Tags), Inactive: t.Status == ecstypes.TaskDefinitionStatusInactive || t.Status == ecstypes.TaskDefinitionStatusDeleteInProgress}, nil
}

// contentOf is what was registered to get a live task definition.
func contentOf(t *ecstypes.TaskDefinition) *taskDefinition {
	return &taskDefinition{
		Family: t.Family, ContainerDefinitions: t.ContainerDefinitions, Cpu: t.Cpu, Memory: t.Memory, EnableFaultInjection: t.EnableFaultInjection,
		EphemeralStorage: t.EphemeralStorage, ExecutionRoleArn: t.ExecutionRoleArn, TaskRoleArn: t.TaskRoleArn,
		InferenceAccelerators: t.InferenceAccelerators, //nolint:staticcheck // deprecated by AWS, still in definitions that are live
		IpcMode:               t.IpcMode, PidMode: t.PidMode, NetworkMode: t.NetworkMode, PlacementConstraints: t.PlacementConstraints, ProxyConfiguration: t.ProxyConfiguration,
		RequiresCompatibilities: t.RequiresCompatibilities, RuntimePlatform: t.RuntimePlatform, Volumes: t.Volumes,
	}
}

// Revisions implements services.
func (a *awsCloud) Revisions(ctx context.Context, family string) ([]string, error) {
	out, err := under(ctx, a, a.ecs.ListTaskDefinitions, &ecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String(family), Status: ecstypes.TaskDefinitionStatusActive, Sort: ecstypes.SortOrderDesc, MaxResults: aws.Int32(10)})
	if err != nil {
		return nil, classify("ecs:ListTaskDefinitions", err)
	}
	return out.TaskDefinitionArns, nil
}

// Register implements services.
func (a *awsCloud) Register(ctx context.Context, content *taskDefinition, t tags) (string, error) {
	out, err := under(ctx, a, a.ecs.RegisterTaskDefinition, registerInput(content, t))
	if err != nil {
		return "", classify("ecs:RegisterTaskDefinition", err)
	}
	if out.TaskDefinition == nil {
		return "", platform.Retryable(fmt.Errorf("ecs:RegisterTaskDefinition: the answer names no revision"), 0)
	}
	return aws.ToString(out.TaskDefinition.TaskDefinitionArn), nil
}

// registerInput is the request that registers a revision: the content with its tags, and ours.
func registerInput(content *taskDefinition, t tags) *ecs.RegisterTaskDefinitionInput {
	in := *content
	in.Tags = append(tagList(userTags(tagMap(in.Tags))), tagList(t)...)
	return &in
}

// Deregister implements services.
func (a *awsCloud) Deregister(ctx context.Context, arn string) error {
	_, err := under(ctx, a, a.ecs.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(arn)})
	return classify("ecs:DeregisterTaskDefinition", err)
}
