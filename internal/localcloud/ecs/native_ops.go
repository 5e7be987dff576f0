package ecs

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// maxNamed is how many service deployments or revisions one call may name (SDK: "up to 20").
const maxNamed = 20

func (st *state) nativeService(arn, kind string) (*cluster, *service) {
	part, ok := lastPart(arn, kind)
	names := strings.Split(part, "/")
	if !ok || len(names) != 3 || st.Clusters[names[0]] == nil {
		return nil, nil
	}
	cl := st.Clusters[names[0]]
	return cl, cl.Services[names[1]]
}

func (st *state) rollout(arn string) (*cluster, *service, *rollout) {
	cl, s := st.nativeService(arn, "service-deployment")
	if s == nil {
		return nil, nil, nil
	}
	for _, r := range s.Rollouts {
		if r.ARN == arn {
			return cl, s, r
		}
	}
	return nil, nil, nil
}

func (c *ECS) listServiceDeployments(st *state, in *awsecs.ListServiceDeploymentsInput) (*awsecs.ListServiceDeploymentsOutput, error) {
	cl, err := st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	s, err := cl.service(in.Service)
	if err != nil {
		return nil, err
	}
	if s.Controller != types.DeploymentControllerTypeEcs {
		return nil, awserr.New("UnsupportedFeatureException", "Service deployments are not available for services with the deployment controller %s.", s.Controller)
	}
	var found []*rollout
	for _, r := range slices.Backward(s.Rollouts) { // newest first
		if len(in.Status) > 0 && !slices.Contains(in.Status, r.Status) || in.CreatedAt != nil && !within(r.CreatedAt, in.CreatedAt) {
			continue
		}
		found = append(found, r)
	}
	items, next, err := page(found, func(r *rollout) string { return newestFirst(r.Seq) }, in.NextToken, in.MaxResults, 20)
	if err != nil {
		return nil, err
	}
	out := &awsecs.ListServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeploymentBrief{}, NextToken: next}
	for _, r := range items {
		out.ServiceDeployments = append(out.ServiceDeployments, types.ServiceDeploymentBrief{
			ServiceDeploymentArn: aws.String(r.ARN), ServiceArn: aws.String(s.ARN), ClusterArn: aws.String(cl.ARN), Status: r.Status, StatusReason: optional(r.Reason),
			TargetServiceRevisionArn: aws.String(r.Target), CreatedAt: aws.Time(r.CreatedAt), StartedAt: optionalTime(r.StartedAt), FinishedAt: optionalTime(r.FinishedAt),
		})
	}
	return out, nil
}

func within(t time.Time, f *types.CreatedAt) bool {
	return (f.After == nil || !t.Before(*f.After)) && (f.Before == nil || !t.After(*f.Before))
}

// newestFirst makes a key that sorts the other way round.
func newestFirst(seq int64) string {
	const digits = "0123456789"
	n, out := uint64(1)<<62-uint64(seq), make([]byte, 20)
	for i := range out {
		out[len(out)-1-i] = digits[n%10]
		n /= 10
	}
	return string(out)
}

func (c *ECS) describeServiceDeployments(st *state, in *awsecs.DescribeServiceDeploymentsInput) (*awsecs.DescribeServiceDeploymentsOutput, error) {
	if n := len(in.ServiceDeploymentArns); n == 0 || n > maxNamed {
		return nil, errInvalid("serviceDeploymentArns must have 1 to %d elements, had %d.", maxNamed, n)
	}
	out := &awsecs.DescribeServiceDeploymentsOutput{ServiceDeployments: []types.ServiceDeployment{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceDeploymentArns {
		cl, s, r := st.rollout(arn)
		if r == nil {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(arn), Reason: aws.String("MISSING")})
			continue
		}
		out.ServiceDeployments = append(out.ServiceDeployments, rolloutView(cl, s, r))
	}
	return out, nil
}

func (c *ECS) describeServiceRevisions(st *state, in *awsecs.DescribeServiceRevisionsInput) (*awsecs.DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n == 0 || n > maxNamed {
		return nil, errInvalid("serviceRevisionArns must have 1 to %d elements, had %d.", maxNamed, n)
	}
	out := &awsecs.DescribeServiceRevisionsOutput{ServiceRevisions: []types.ServiceRevision{}, Failures: []types.Failure{}}
	for _, arn := range in.ServiceRevisionArns {
		cl, s := st.nativeService(arn, "service-revision")
		if s == nil || s.revision(arn) == nil {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(arn), Reason: aws.String("MISSING")})
			continue
		}
		out.ServiceRevisions = append(out.ServiceRevisions, st.revisionView(cl, s, s.revision(arn)))
	}
	return out, nil
}

// stopServiceDeployment: PENDING and IN_PROGRESS become ROLLBACK_REQUESTED, a deployment that is going back goes on doing so (DG "Stopping Amazon ECS service
// deployments"). ABORT is in the SDK's enumeration and not described.
func (c *ECS) stopServiceDeployment(_ context.Context, in *awsecs.StopServiceDeploymentInput) (*awsecs.StopServiceDeploymentOutput, error) {
	_, s, r := c.st.rollout(aws.ToString(in.ServiceDeploymentArn))
	if r == nil {
		return nil, errNoRollout()
	}
	if in.StopType == types.StopServiceDeploymentStopTypeAbort {
		return nil, awserr.New("UnsupportedFeatureException", "The stop type ABORT is not supported by this cloud.")
	}
	if r.over() {
		return nil, awserr.New("ConflictException", "The service deployment is %s and cannot be stopped.", r.Status)
	}
	if r.Status == types.ServiceDeploymentStatusPending || r.Status == types.ServiceDeploymentStatusInProgress {
		c.event(s, "(service "+s.Name+") a rollback of (service deployment "+r.ARN+") was requested.")
		c.requestBack(r, "A rollback was requested by StopServiceDeployment.")
	}
	return &awsecs.StopServiceDeploymentOutput{ServiceDeploymentArn: aws.String(r.ARN)}, nil
}

func errNoRollout() *awserr.Error {
	return awserr.New("ServiceDeploymentNotFoundException", "The service deployment could not be found.")
}

// continueServiceDeployment: "The pause hook must be in AWAITING_ACTION status", the deployment IN_PROGRESS (DG "Continuing service deployments").
func (c *ECS) continueServiceDeployment(_ context.Context, in *awsecs.ContinueServiceDeploymentInput) (*awsecs.ContinueServiceDeploymentOutput, error) {
	_, _, r := c.st.rollout(aws.ToString(in.ServiceDeploymentArn))
	if r == nil {
		return nil, errNoRollout()
	}
	at := slices.IndexFunc(r.Hooks, func(h pause) bool { return h.ID == aws.ToString(in.HookId) })
	if at < 0 || r.Status != types.ServiceDeploymentStatusInProgress || r.Hooks[at].Status != types.DeploymentLifecycleHookStatusAwaitingAction {
		return nil, errInvalid("The lifecycle hook %s does not await an action.", aws.ToString(in.HookId))
	}
	switch in.Action {
	case "", types.DeploymentLifecycleHookActionContinue:
		r.Hooks[at].Status, r.UpdatedAt = types.DeploymentLifecycleHookStatusSucceeded, c.now()
	case types.DeploymentLifecycleHookActionRollback:
		c.requestBack(r, "A rollback was requested at the lifecycle hook "+*in.HookId+".")
	default:
		return nil, errInvalid("Invalid action %q.", in.Action)
	}
	return &awsecs.ContinueServiceDeploymentOutput{ServiceDeploymentArn: aws.String(r.ARN)}, nil
}
