package ecs

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

func clusterView(cl *cluster, tags bool) types.Cluster {
	out := types.Cluster{ClusterArn: &cl.ARN, ClusterName: &cl.Name, Status: aws.String("ACTIVE"), Settings: cl.Settings, CapacityProviders: []string{}}
	for _, s := range cl.Services {
		if s.Status == serviceActive {
			out.ActiveServicesCount++
		}
	}
	pending, running := counts(cl.sortedTasks())
	out.PendingTasksCount, out.RunningTasksCount = pending, running
	if tags {
		out.Tags = orEmpty(cl.Tags)
	}
	return out
}

// setView is a task set as AWS describes it.
func (c *ECS) setView(cl *cluster, s *service, set *taskSet, tags bool) *types.TaskSet {
	pending, running := counts(cl.tasksOf(s, set))
	out := &types.TaskSet{
		Id: aws.String(set.ID), TaskSetArn: aws.String(set.ARN), ServiceArn: aws.String(s.ARN), ClusterArn: aws.String(cl.ARN), StartedBy: set.StartedBy,
		ExternalId: set.ExternalID, Status: aws.String(set.Status), TaskDefinition: aws.String(set.TaskDefinition), ComputedDesiredCount: set.Computed,
		PendingCount: pending, RunningCount: running, CreatedAt: aws.Time(set.CreatedAt), UpdatedAt: aws.Time(set.UpdatedAt), LaunchType: set.LaunchType,
		CapacityProviderStrategy: set.Providers, PlatformVersion: set.PlatformVersion, NetworkConfiguration: set.Network,
		LoadBalancers: orEmpty(set.LoadBalancers), ServiceRegistries: orEmpty(set.Registries),
		Scale:           &types.Scale{Value: set.Scale, Unit: types.ScaleUnitPercent},
		StabilityStatus: types.StabilityStatusStabilizing, StabilityStatusAt: aws.Time(set.StableAt),
	}
	if set.Stable {
		out.StabilityStatus = types.StabilityStatusSteadyState
	}
	if tags {
		out.Tags = orEmpty(set.Tags)
	}
	return out
}

// serviceView is a service as AWS describes it. What a task set owns is empty while no primary is set.
func (c *ECS) serviceView(_ *state, cl *cluster, s *service, tags bool) *types.Service {
	out := &types.Service{
		ServiceName: aws.String(s.Name), ServiceArn: aws.String(s.ARN), ClusterArn: aws.String(cl.ARN), Status: aws.String(s.Status),
		DeploymentController: &types.DeploymentController{Type: s.Controller}, SchedulingStrategy: s.Scheduling, DesiredCount: s.DesiredCount,
		HealthCheckGracePeriodSeconds: s.Grace, DeploymentConfiguration: s.Deployment.V, PlacementConstraints: orEmpty(s.Constraints),
		PlacementStrategy: orEmpty(s.Strategy), EnableECSManagedTags: s.ManagedTags, EnableExecuteCommand: s.ExecuteCommand, PropagateTags: s.PropagateTags,
		RoleArn: s.Role, CreatedAt: aws.Time(s.CreatedAt), CreatedBy: aws.String(s.CreatedBy), LoadBalancers: []types.LoadBalancer{},
		ServiceRegistries: []types.ServiceRegistry{}, Deployments: []types.Deployment{}, TaskSets: []types.TaskSet{}, Events: []types.ServiceEvent{},
	}
	if out.PropagateTags == "" {
		out.PropagateTags = types.PropagateTagsNone
	}
	for _, set := range s.Sets {
		pending, running := counts(cl.tasksOf(s, set))
		out.PendingCount += pending
		out.RunningCount += running
		if set.Hidden {
			out.Deployments = append(out.Deployments, deploymentView(s, set, pending, running))
		} else {
			out.TaskSets = append(out.TaskSets, *c.setView(cl, s, set, tags))
		}
	}
	for _, ev := range s.Events {
		out.Events = append(out.Events, types.ServiceEvent{Id: aws.String(ev.ID), Message: aws.String(ev.Message), CreatedAt: aws.Time(ev.At)})
	}
	if p := s.primary(); p != nil {
		out.TaskDefinition, out.LaunchType, out.CapacityProviderStrategy = aws.String(p.TaskDefinition), p.LaunchType, p.Providers
		out.PlatformVersion, out.NetworkConfiguration = p.PlatformVersion, p.Network
		out.LoadBalancers, out.ServiceRegistries = orEmpty(p.LoadBalancers), orEmpty(p.Registries)
		if rev := s.revisionOf(p); rev != nil {
			out.LoadBalancers = orEmpty(rev.LoadBalancers)
		}
	}
	if r := s.rollout(); r != nil {
		out.CurrentServiceDeployment = aws.String(r.ARN)
		out.CurrentServiceRevisions = currentRevisions(cl, s)
	}
	if tags {
		out.Tags = orEmpty(s.Tags)
	}
	return out
}

func deploymentView(s *service, set *taskSet, pending, running int32) types.Deployment {
	out := types.Deployment{
		Id: aws.String(set.ID), Status: aws.String("PRIMARY"), TaskDefinition: aws.String(set.TaskDefinition), DesiredCount: set.Computed,
		PendingCount: pending, RunningCount: running, CreatedAt: aws.Time(set.CreatedAt), UpdatedAt: aws.Time(set.UpdatedAt), LaunchType: set.LaunchType,
		NetworkConfiguration: set.Network, RolloutState: types.DeploymentRolloutStateInProgress, FailedTasks: int32(set.Failed),
	}
	if rev := s.revisionOf(set); rev != nil {
		out.ServiceConnectConfiguration = rev.Connect
	}
	if set.Status != setPrimary {
		out.Status = aws.String("ACTIVE") // a deployment that still has tasks but was replaced (API, Deployment.status)
	}
	if r := s.rollout(); r != nil && r.over() && len(s.Sets) == 1 {
		out.RolloutState = types.DeploymentRolloutStateCompleted
	}
	return out
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// taskView is a task as AWS describes it.
func (c *ECS) taskView(st *state, cl *cluster, t *task, tags bool) types.Task {
	out := types.Task{
		TaskArn: aws.String(t.ARN), ClusterArn: aws.String(cl.ARN), TaskDefinitionArn: aws.String(t.Definition), Group: aws.String(t.Group),
		StartedBy: optional(t.StartedBy), LastStatus: aws.String(t.LastStatus), DesiredStatus: aws.String(t.DesiredStatus),
		HealthStatus: types.HealthStatusUnknown, // no container health checks run here
		LaunchType:   t.LaunchType, PlatformVersion: t.PlatformVersion, CreatedAt: aws.Time(t.CreatedAt), StartedAt: optionalTime(t.StartedAt),
		StoppingAt: optionalTime(t.StoppingAt), StoppedAt: optionalTime(t.StoppedAt), ExecutionStoppedAt: optionalTime(t.ExecutionStopped),
		StopCode: t.StopCode, StoppedReason: optional(t.StoppedReason), Version: t.Version, Overrides: t.Overrides,
		EnableExecuteCommand: t.ExecuteCommand, Connectivity: types.ConnectivityConnected, ConnectivityAt: optionalTime(t.StartedAt),
		AvailabilityZone: aws.String(c.cfg.Region + "a"), Attachments: []types.Attachment{}, Containers: []types.Container{},
	}
	if out.Overrides == nil {
		out.Overrides = &types.TaskOverride{}
	}
	vpc := false
	if rev, ok := st.definition(t.Definition); ok {
		out.Cpu, out.Memory = rev.Def.V.Cpu, rev.Def.V.Memory
		vpc = rev.Def.V.NetworkMode == types.NetworkModeAwsvpc
	}
	if vpc {
		out.Attachments = append(out.Attachments, interfaceView(t))
	}
	for i := range t.Containers {
		out.Containers = append(out.Containers, containerView(t, &t.Containers[i], vpc))
	}
	if tags {
		out.Tags = orEmpty(t.Tags)
	}
	return out
}

// interfaceView is the network interface of an awsvpc task; its address is the task's loopback address.
func interfaceView(t *task) types.Attachment {
	status := "ATTACHED"
	switch t.LastStatus {
	case statusProvisioning:
		status = "PRECREATED"
	case statusStopped:
		status = "DELETED"
	}
	return types.Attachment{
		Id: aws.String(t.ID[:8] + "-" + t.ID[8:12]), Type: aws.String("ElasticNetworkInterface"), Status: &status,
		Details: []types.KeyValuePair{{Name: aws.String("privateIPv4Address"), Value: aws.String(t.IP)}},
	}
}

func containerView(t *task, ct *container, vpc bool) types.Container {
	out := types.Container{
		ContainerArn: aws.String(ct.ARN), TaskArn: aws.String(t.ARN), Name: aws.String(ct.Name), Image: aws.String(ct.Image), LastStatus: aws.String(ct.Status),
		ExitCode: ct.ExitCode, Reason: optional(ct.Reason), HealthStatus: types.HealthStatusUnknown, NetworkBindings: []types.NetworkBinding{},
		NetworkInterfaces: []types.NetworkInterface{},
	}
	if vpc {
		out.NetworkInterfaces = append(out.NetworkInterfaces, types.NetworkInterface{PrivateIpv4Address: aws.String(t.IP)})
		return out
	}
	for _, port := range ct.Ports {
		out.NetworkBindings = append(out.NetworkBindings, types.NetworkBinding{
			BindIP: aws.String(t.IP), ContainerPort: aws.Int32(port), HostPort: aws.Int32(port), Protocol: types.TransportProtocolTcp,
		})
	}
	return out
}
