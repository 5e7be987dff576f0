package ecs

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// rolloutView is a service deployment as AWS describes it.
func rolloutView(cl *cluster, s *service, r *rollout) types.ServiceDeployment {
	out := types.ServiceDeployment{
		ServiceDeploymentArn: aws.String(r.ARN), ServiceArn: aws.String(s.ARN), ClusterArn: aws.String(cl.ARN), Status: r.Status, StatusReason: optional(r.Reason),
		CreatedAt: aws.Time(r.CreatedAt), StartedAt: optionalTime(r.StartedAt), UpdatedAt: optionalTime(r.UpdatedAt), FinishedAt: optionalTime(r.FinishedAt),
		StoppedAt: optionalTime(r.StoppedAt), DeploymentConfiguration: r.Config.V, LifecycleStage: r.Stage, SourceServiceRevisions: []types.ServiceRevisionSummary{},
		LifecycleHookDetails: []types.DeploymentLifecycleHookDetail{},
	}
	if target := s.revision(r.Target); target != nil {
		sum := summary(cl, s, target, r.Weight, r.TestWeight)
		out.TargetServiceRevision = &sum
	}
	for i, arn := range r.Sources {
		weight, test := 0.0, 0.0 // of a revision that a superseded deployment left
		if i == len(r.Sources)-1 {
			weight, test = 100-r.Weight, 100-r.TestWeight
		}
		if rev := s.revision(arn); rev != nil {
			out.SourceServiceRevisions = append(out.SourceServiceRevisions, summary(cl, s, rev, weight, test))
		}
	}
	for _, h := range r.Hooks {
		out.LifecycleHookDetails = append(out.LifecycleHookDetails, types.DeploymentLifecycleHookDetail{
			HookId: aws.String(h.ID), Status: h.Status, TargetType: types.DeploymentLifecycleHookTargetTypePause, ExpiresAt: aws.Time(h.Expires), TimeoutAction: h.Action,
		})
	}
	if r.BackReason != "" {
		out.Rollback = &types.Rollback{Reason: aws.String(r.BackReason), StartedAt: optionalTime(r.BackAt)}
		if len(r.Sources) > 0 {
			out.Rollback.ServiceRevisionArn = aws.String(r.Sources[len(r.Sources)-1])
		}
	}
	out.DeploymentCircuitBreaker = &types.ServiceDeploymentCircuitBreaker{Status: types.ServiceDeploymentRollbackMonitorsStatusDisabled}
	if b := r.Config.V.DeploymentCircuitBreaker; b != nil && b.Enable && r.strategy() == types.DeploymentStrategyRolling {
		out.DeploymentCircuitBreaker.Status, out.DeploymentCircuitBreaker.Threshold = types.ServiceDeploymentRollbackMonitorsStatusMonitoring, int32(breakerThreshold(s.DesiredCount))
		if target := s.targetOf(r); target != nil {
			out.DeploymentCircuitBreaker.FailureCount = int32(target.Failed)
		}
	}
	return out
}

func summary(cl *cluster, s *service, rev *serviceRevision, weight, test float64) types.ServiceRevisionSummary {
	out := types.ServiceRevisionSummary{Arn: aws.String(rev.ARN), RequestedProductionTrafficWeight: aws.Float64(weight), RequestedTestTrafficWeight: aws.Float64(test)}
	if set := s.set(rev.Set); set != nil {
		out.RequestedTaskCount = set.Computed
		out.PendingTaskCount, out.RunningTaskCount = counts(cl.tasksOf(s, set))
	}
	return out
}

// currentRevisions are the revisions that have tasks.
func currentRevisions(cl *cluster, s *service) []types.ServiceCurrentRevisionSummary {
	out := []types.ServiceCurrentRevisionSummary{}
	for _, set := range s.Sets {
		rev := s.revisionOf(set)
		if rev == nil {
			continue
		}
		pending, running := counts(cl.tasksOf(s, set))
		out = append(out, types.ServiceCurrentRevisionSummary{Arn: aws.String(rev.ARN), RequestedTaskCount: set.Computed, PendingTaskCount: pending, RunningTaskCount: running})
	}
	return out
}

// revisionView is a service revision as AWS describes it; the resolved configuration names the target group that it really uses.
func (st *state) revisionView(cl *cluster, s *service, rev *serviceRevision) types.ServiceRevision {
	out := types.ServiceRevision{
		ServiceRevisionArn: aws.String(rev.ARN), ServiceArn: aws.String(s.ARN), ClusterArn: aws.String(cl.ARN), TaskDefinition: aws.String(rev.TaskDefinition),
		CreatedAt: aws.Time(rev.CreatedAt), LaunchType: rev.LaunchType, CapacityProviderStrategy: rev.Providers, PlatformVersion: rev.Platform,
		NetworkConfiguration: rev.Network, LoadBalancers: orEmpty(rev.LoadBalancers), ServiceRegistries: orEmpty(rev.Registries),
		ServiceConnectConfiguration: rev.Connect,
	}
	if rev.Group != "" {
		lb := types.ServiceRevisionLoadBalancer{TargetGroupArn: aws.String(rev.Group)}
		if adv := rev.LoadBalancers[0].AdvancedConfiguration; adv != nil {
			lb.ProductionListenerRule = adv.ProductionListenerRule
		}
		out.ResolvedConfiguration = &types.ResolvedConfiguration{LoadBalancers: []types.ServiceRevisionLoadBalancer{lb}}
	}
	if def, ok := st.definition(rev.TaskDefinition); ok {
		for _, cd := range def.Def.V.ContainerDefinitions {
			out.ContainerImages = append(out.ContainerImages, types.ContainerImage{ContainerName: cd.Name, Image: cd.Image})
		}
	}
	return out
}
