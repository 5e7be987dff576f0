package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

// maxSets is how many task sets a service may have (DG "Amazon ECS service quotas": 5 deployments per service for EXTERNAL).
const maxSets = 5

// external finds an ACTIVE service with the EXTERNAL controller, which is the only kind that has task sets of its own.
func (st *state) external(clusterRef, serviceRef *string) (*cluster, *service, error) {
	cl, err := st.cluster(clusterRef)
	if err != nil {
		return nil, nil, err
	}
	s, err := cl.activeService(serviceRef)
	if err != nil {
		return nil, nil, err
	}
	if s.Controller != types.DeploymentControllerTypeExternal {
		return nil, nil, errInvalid("Task sets can only be used with services that have an EXTERNAL deployment controller; %s has %s.", s.Name, s.Controller)
	}
	return cl, s, nil
}

func (c *ECS) createTaskSet(_ context.Context, in *awsecs.CreateTaskSetInput) (*awsecs.CreateTaskSetOutput, error) {
	cl, s, err := c.st.external(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	key := "CreateTaskSet/" + cl.Name + "/" + s.Name + "/" + aws.ToString(in.ClientToken)
	if first, ok := c.st.Tokens[key]; ok && in.ClientToken != nil {
		if set := s.set(first.IDs[0]); set != nil {
			if first.Hash != hash(in) {
				return nil, errInvalid("The client token %q was used before with other parameters.", *in.ClientToken)
			}
			return &awsecs.CreateTaskSetOutput{TaskSet: c.setView(cl, s, set, true)}, nil
		}
		// "An operation mutates resources no more than one time" (API, Ensuring idempotency): also when what it made was deleted since.
		return &awsecs.CreateTaskSetOutput{TaskSet: &types.TaskSet{
			Id: aws.String(first.IDs[0]), TaskSetArn: aws.String(c.arn("task-set/" + cl.Name + "/" + s.Name + "/" + first.IDs[0])), Status: aws.String(setDraining),
		}}, nil
	}
	rev, err := c.checkCreateTaskSet(s, in)
	if err != nil {
		return nil, err
	}
	set := c.newSet(cl, s, in, rev)
	s.Sets = append(s.Sets, set)
	if in.ClientToken != nil {
		c.st.Tokens[key] = token{Hash: hash(in), IDs: []string{set.ID}}
	}
	c.reconcile(cl, s)
	return &awsecs.CreateTaskSetOutput{TaskSet: c.setView(cl, s, set, true)}, nil
}

// hash tells calls with equal parameters from others.
func hash(in smithy.Serializable) string {
	body, err := awswire.EncodeJSON(in)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

func (c *ECS) checkCreateTaskSet(s *service, in *awsecs.CreateTaskSetInput) (*revision, error) {
	if len(aws.ToString(in.ClientToken)) > maxServiceToken {
		return nil, errInvalid("clientToken can have at most %d characters.", maxServiceToken)
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	if err := checkScale(in.Scale); err != nil {
		return nil, err
	}
	if in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0 {
		return nil, errInvalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	rev, err := c.st.startable(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if err := c.checkPlacement(rev, in.LoadBalancers, in.NetworkConfiguration, in.LaunchType); err != nil {
		return nil, err
	}
	if n := len(s.Sets); n >= maxSets { // a DRAINING set counts until its last task is gone
		return nil, errInvalid("%d deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.", n)
	}
	return rev, nil
}

// checkScale: "Accepted values are numbers between 0 and 100", the unit is PERCENT (API, Scale).
func checkScale(scale *types.Scale) error {
	switch {
	case scale == nil:
		return nil
	case scale.Unit != "" && scale.Unit != types.ScaleUnitPercent:
		return errInvalid("Invalid scale unit %q: only PERCENT is supported.", scale.Unit)
	case !(scale.Value >= 0 && scale.Value <= 100):
		return errInvalid("Invalid scale value %v: it must be between 0 and 100.", scale.Value)
	}
	return nil
}

// checkPlacement holds a task definition against the network, load balancer and launch type that its tasks shall have.
func (c *ECS) checkPlacement(rev *revision, lbs []types.LoadBalancer, network *types.NetworkConfiguration, launch types.LaunchType) error {
	def := rev.Def.V
	if launch == types.LaunchTypeFargate && !slices.Contains(def.Compatibilities, types.CompatibilityFargate) {
		return errInvalid("Task definition does not support launch_type FARGATE.")
	}
	hasNetwork := network != nil && network.AwsvpcConfiguration != nil
	if def.NetworkMode == types.NetworkModeAwsvpc && !hasNetwork {
		return errInvalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	}
	if def.NetworkMode != types.NetworkModeAwsvpc && hasNetwork {
		return errInvalid("Network Configuration is not valid for the given networkMode of this task definition.")
	}
	if hasNetwork && len(network.AwsvpcConfiguration.Subnets) == 0 {
		return errInvalid("subnets can not be empty.")
	}
	if len(lbs) > 1 { // SDK, UpdateService.loadBalancers: "multiple target groups are not supported for external deployments"
		return errInvalid("Only one target group can be used here; %d were given.", len(lbs))
	}
	for _, lb := range lbs {
		if err := c.checkLoadBalancer(def, lb); err != nil {
			return err
		}
	}
	return nil
}

func (c *ECS) checkLoadBalancer(def *types.TaskDefinition, lb types.LoadBalancer) error {
	group, name := aws.ToString(lb.TargetGroupArn), aws.ToString(lb.ContainerName)
	if group == "" {
		return errInvalid("targetGroupArn must be given; Classic Load Balancers are not supported with task sets.")
	}
	at := slices.IndexFunc(def.ContainerDefinitions, func(d types.ContainerDefinition) bool { return aws.ToString(d.Name) == name })
	if at < 0 {
		return errInvalid("The container %s does not exist in the task definition.", name)
	}
	port := aws.ToInt32(lb.ContainerPort)
	if !slices.ContainsFunc(def.ContainerDefinitions[at].PortMappings, func(p types.PortMapping) bool { return aws.ToInt32(p.ContainerPort) == port }) {
		return errInvalid("The container %s did not have a container port %d defined.", name, port)
	}
	exists, attached := c.cfg.Balancer.TargetGroupAttached(group)
	if !exists {
		return errInvalid("The specified target group does not exist. TargetGroup: %s", group)
	}
	if !attached {
		return errInvalid("The target group with targetGroupArn %s does not have an associated load balancer.", group)
	}
	return nil
}

func (c *ECS) newSet(cl *cluster, s *service, in *awsecs.CreateTaskSetInput, rev *revision) *taskSet {
	now := c.now()
	id := c.setID()
	set := &taskSet{
		ID: id, ARN: c.arn("task-set/" + cl.Name + "/" + s.Name + "/" + id), Status: setActive, Seq: c.seq(), ExternalID: in.ExternalId,
		TaskDefinition: rev.ARN, LaunchType: in.LaunchType, Providers: in.CapacityProviderStrategy, PlatformVersion: in.PlatformVersion,
		Network: in.NetworkConfiguration, LoadBalancers: in.LoadBalancers, Registries: in.ServiceRegistries, Scale: 100,
		CreatedAt: now, UpdatedAt: now, StableAt: now, Tags: in.Tags,
	}
	if set.LaunchType == "" && len(set.Providers) == 0 {
		set.LaunchType = types.LaunchTypeEc2
	}
	if set.LaunchType == types.LaunchTypeFargate && set.PlatformVersion == nil {
		set.PlatformVersion = aws.String("1.4.0") // what LATEST stands for (DG "Fargate platform versions")
	}
	if in.Scale != nil {
		set.Scale = in.Scale.Value
	}
	return set
}

func (c *ECS) describeTaskSets(st *state, in *awsecs.DescribeTaskSetsInput) (*awsecs.DescribeTaskSetsOutput, error) {
	cl, s, err := st.external(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	tags := slices.Contains(in.Include, types.TaskSetFieldTags)
	out := &awsecs.DescribeTaskSetsOutput{TaskSets: []types.TaskSet{}, Failures: []types.Failure{}}
	if len(in.TaskSets) == 0 {
		for _, set := range s.Sets {
			out.TaskSets = append(out.TaskSets, *c.setView(cl, s, set, tags))
		}
		return out, nil
	}
	for _, ref := range in.TaskSets {
		set, err := s.taskSet(ref)
		if err != nil {
			out.Failures = append(out.Failures, c.missing(ref, "task-set/"+cl.Name+"/"+s.Name+"/"))
			continue
		}
		out.TaskSets = append(out.TaskSets, *c.setView(cl, s, set, tags))
	}
	return out, nil
}

func (c *ECS) updateTaskSet(_ context.Context, in *awsecs.UpdateTaskSetInput) (*awsecs.UpdateTaskSetOutput, error) {
	cl, s, err := c.st.external(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	set, err := s.taskSet(aws.ToString(in.TaskSet))
	if err != nil {
		return nil, err
	}
	if in.Scale == nil {
		return nil, errInvalid("Scale cannot be empty.")
	}
	if err := checkScale(in.Scale); err != nil {
		return nil, err
	}
	if set.Status == setDraining {
		return nil, errInvalid("The task set %s is DRAINING and cannot be updated.", set.ID)
	}
	set.Scale, set.UpdatedAt = in.Scale.Value, c.now()
	c.reconcile(cl, s)
	return &awsecs.UpdateTaskSetOutput{TaskSet: c.setView(cl, s, set, true)}, nil
}

// deleteTaskSet: "Deletes a specified task set within a service"; force: "you can delete a task set even if it hasn't been scaled down to zero" (SDK).
func (c *ECS) deleteTaskSet(_ context.Context, in *awsecs.DeleteTaskSetInput) (*awsecs.DeleteTaskSetOutput, error) {
	cl, s, err := c.st.external(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	set, err := s.taskSet(aws.ToString(in.TaskSet))
	if err != nil {
		return nil, err
	}
	if !aws.ToBool(in.Force) {
		if set.Status == setPrimary {
			return nil, errInvalid("The primary task set %s cannot be deleted without force.", set.ID)
		}
		if pending, running := counts(cl.tasksOf(s, set)); set.Computed > 0 || pending+running > 0 {
			return nil, errInvalid("The task set %s cannot be deleted while it is scaled above 0.", set.ID)
		}
	}
	set.Status, set.UpdatedAt = setDraining, c.now()
	c.reconcile(cl, s)
	return &awsecs.DeleteTaskSetOutput{TaskSet: c.setView(cl, s, set, true)}, nil
}

// updateServicePrimaryTaskSet: "Any parameters that are updated on the primary task set in a service will transition to the service" (SDK). The former
// primary becomes ACTIVE.
func (c *ECS) updateServicePrimaryTaskSet(_ context.Context, in *awsecs.UpdateServicePrimaryTaskSetInput) (*awsecs.UpdateServicePrimaryTaskSetOutput, error) {
	cl, s, err := c.st.external(in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	set, err := s.taskSet(aws.ToString(in.PrimaryTaskSet))
	if err != nil {
		return nil, err
	}
	if set.Status == setDraining {
		return nil, awserr.New("InvalidParameterException", "The task set %s is DRAINING and cannot become primary.", set.ID)
	}
	if old := s.primary(); old != nil && old != set {
		old.Status, old.UpdatedAt = setActive, c.now()
	}
	set.Status, set.UpdatedAt = setPrimary, c.now()
	return &awsecs.UpdateServicePrimaryTaskSetOutput{TaskSet: c.setView(cl, s, set, true)}, nil
}
