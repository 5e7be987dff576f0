package ecs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

func (c *ECS) createService(ctx context.Context, in *awsecs.CreateServiceInput) (*awsecs.CreateServiceOutput, error) {
	cl, err := c.st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := checkCreateService(in); err != nil {
		return nil, err
	}
	name := *in.ServiceName
	key := "CreateService/" + cl.Name + "/" + name + "/" + aws.ToString(in.ClientToken)
	if old := cl.Services[name]; old != nil && old.Status != serviceInactive {
		if _, repeated := c.st.Tokens[key]; repeated && in.ClientToken != nil {
			return &awsecs.CreateServiceOutput{Service: c.serviceView(c.st, cl, old, true)}, nil
		}
		if old.Status == serviceDraining {
			return nil, errInvalid("Unable to Start a service that is still Draining.")
		}
		return nil, errInvalid("Creation of service was not idempotent.")
	}
	s := c.newService(ctx, cl, in)
	if s.Controller == types.DeploymentControllerTypeEcs {
		rev, err := c.st.startable(in.TaskDefinition)
		if err != nil {
			return nil, err
		}
		first := ofCreate(in)
		first.definition = &rev.ARN
		if err := c.checkNative(rev, first, s.Deployment.V); err != nil {
			return nil, err
		}
		c.begin(cl, s, first, nil)
	}
	cl.Services[name] = s
	if in.ClientToken != nil {
		c.st.Tokens[key] = token{IDs: []string{name}}
	}
	c.reconcile(cl, s)
	return &awsecs.CreateServiceOutput{Service: c.serviceView(c.st, cl, s, true)}, nil
}

func (c *ECS) newService(ctx context.Context, cl *cluster, in *awsecs.CreateServiceInput) *service {
	s := &service{
		Name: *in.ServiceName, ARN: c.arn("service/" + cl.Name + "/" + *in.ServiceName), Cluster: cl.Name, Seq: c.seq(), Status: serviceActive,
		Controller: controller(in.DeploymentController), Scheduling: types.SchedulingStrategyReplica, DesiredCount: aws.ToInt32(in.DesiredCount),
		Grace: in.HealthCheckGracePeriodSeconds, Constraints: in.PlacementConstraints, Strategy: in.PlacementStrategy, ManagedTags: in.EnableECSManagedTags,
		ExecuteCommand: in.EnableExecuteCommand, PropagateTags: in.PropagateTags, Role: in.Role, CreatedAt: c.now(), CreatedBy: *c.caller(ctx), Tags: in.Tags,
	}
	s.Deployment.V = in.DeploymentConfiguration
	if s.Deployment.V == nil { // API, DeploymentConfiguration: defaults of a REPLICA service
		s.Deployment.V = &types.DeploymentConfiguration{MaximumPercent: aws.Int32(200), MinimumHealthyPercent: aws.Int32(100)}
	}
	return s
}

func controller(dc *types.DeploymentController) types.DeploymentControllerType {
	if dc == nil || dc.Type == "" {
		return types.DeploymentControllerTypeEcs
	}
	return dc.Type
}

func checkCreateService(in *awsecs.CreateServiceInput) error {
	switch {
	case !resourceName(aws.ToString(in.ServiceName)):
		return errInvalid("Invalid service name: %q.", aws.ToString(in.ServiceName))
	case aws.ToInt32(in.DesiredCount) < 0:
		return errInvalid("desiredCount cannot be negative.")
	case len(aws.ToString(in.ClientToken)) > maxServiceToken:
		return errInvalid("clientToken can have at most %d characters.", maxServiceToken)
	case in.SchedulingStrategy != "" && in.SchedulingStrategy != types.SchedulingStrategyReplica && in.SchedulingStrategy != types.SchedulingStrategyDaemon:
		return errInvalid("Invalid scheduling strategy %q.", in.SchedulingStrategy)
	}
	if err := checkGrace(in.HealthCheckGracePeriodSeconds); err != nil {
		return err
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return err
	}
	switch controller(in.DeploymentController) {
	case types.DeploymentControllerTypeExternal:
		return checkExternal(in)
	case types.DeploymentControllerTypeEcs:
		if in.SchedulingStrategy == types.SchedulingStrategyDaemon {
			return awserr.New("UnsupportedFeatureException", "The DAEMON scheduling strategy is not supported by this cloud.")
		}
		if in.DesiredCount == nil { // SDK: "This is required if schedulingStrategy is REPLICA or isn't specified" (not for EXTERNAL, whose only required parameter is the name)
			return errInvalid("The desired count is required for a REPLICA service.")
		}
		return nil
	default:
		return awserr.New("UnsupportedFeatureException", "Deployment controller %q is not supported by this cloud.", controller(in.DeploymentController))
	}
}

// maxServiceToken is the length of clientToken in CreateService and CreateTaskSet (SDK: "Up to 36 ASCII characters in the range of 33-126").
const maxServiceToken = 36

// checkGrace: "If you do not specify a health check grace period value, the default value of 0 is used … up to 2,147,483,647" (SDK).
func checkGrace(seconds *int32) error {
	if seconds != nil && *seconds < 0 {
		return errInvalid("healthCheckGracePeriodSeconds cannot be negative.")
	}
	return nil
}

// checkExternal: "When creating a service that uses the EXTERNAL deployment controller, you can specify only parameters that aren't controlled at the task
// set level" (SDK, CreateService). Those are the parameters of CreateTaskSet.
func checkExternal(in *awsecs.CreateServiceInput) error {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"taskDefinition", in.TaskDefinition != nil},
		{"loadBalancers", len(in.LoadBalancers) > 0},
		{"networkConfiguration", in.NetworkConfiguration != nil},
		{"serviceRegistries", len(in.ServiceRegistries) > 0},
		{"launchType", in.LaunchType != ""},
		{"platformVersion", in.PlatformVersion != nil},
		{"capacityProviderStrategy", len(in.CapacityProviderStrategy) > 0},
	} {
		if f.set {
			return errInvalid("%s cannot be specified for a service with an EXTERNAL deployment controller; it belongs to the task set.", f.name)
		}
	}
	if in.SchedulingStrategy == types.SchedulingStrategyDaemon {
		return errInvalid("The EXTERNAL deployment controller does not support the DAEMON scheduling strategy.")
	}
	return nil
}

// maxServices is how many services one DescribeServices may name (SDK: "up to 10").
const maxServices = 10

func (c *ECS) describeServices(st *state, in *awsecs.DescribeServicesInput) (*awsecs.DescribeServicesOutput, error) {
	cl, err := st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Services) == 0 {
		return nil, errInvalid("Services cannot be empty.")
	}
	if len(in.Services) > maxServices {
		return nil, errInvalid("Services cannot have more than %d elements.", maxServices)
	}
	out := &awsecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	for _, ref := range in.Services {
		s, err := cl.service(&ref)
		if err != nil {
			out.Failures = append(out.Failures, c.missing(ref, "service/"+cl.Name+"/"))
			continue
		}
		out.Services = append(out.Services, *c.serviceView(st, cl, s, slices.Contains(in.Include, types.ServiceFieldTags)))
	}
	return out, nil
}

func (c *ECS) listServices(st *state, in *awsecs.ListServicesInput) (*awsecs.ListServicesOutput, error) {
	cl, err := st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, s := range cl.sortedServices() {
		if s.Status == serviceInactive || (in.SchedulingStrategy != "" && in.SchedulingStrategy != s.Scheduling) {
			continue
		}
		if in.LaunchType != "" && (s.primary() == nil || s.primary().LaunchType != in.LaunchType) {
			continue
		}
		arns = append(arns, s.ARN)
	}
	slices.Sort(arns)
	items, next, err := page(arns, same, in.NextToken, in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListServicesOutput{ServiceArns: items, NextToken: next}, nil
}

func (c *ECS) updateService(_ context.Context, in *awsecs.UpdateServiceInput) (*awsecs.UpdateServiceOutput, error) {
	cl, err := c.st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	s, err := cl.activeService(in.Service)
	if err != nil {
		return nil, err
	}
	if err := checkUpdateService(s, in); err != nil {
		return nil, err
	}
	if s.Controller == types.DeploymentControllerTypeEcs {
		if err := c.updateNative(cl, s, in); err != nil {
			return nil, err
		}
	}
	if in.DesiredCount != nil {
		s.DesiredCount = *in.DesiredCount
	}
	if in.HealthCheckGracePeriodSeconds != nil {
		s.Grace = in.HealthCheckGracePeriodSeconds
	}
	if in.PlacementConstraints != nil {
		s.Constraints = in.PlacementConstraints
	}
	if in.PlacementStrategy != nil {
		s.Strategy = in.PlacementStrategy
	}
	if in.EnableECSManagedTags != nil {
		s.ManagedTags = *in.EnableECSManagedTags
	}
	if in.PropagateTags != "" {
		s.PropagateTags = in.PropagateTags
	}
	c.reconcile(cl, s)
	return &awsecs.UpdateServiceOutput{Service: c.serviceView(c.st, cl, s, true)}, nil
}

func checkUpdateService(s *service, in *awsecs.UpdateServiceInput) error {
	if in.DesiredCount != nil && *in.DesiredCount < 0 {
		return errInvalid("desiredCount cannot be negative.")
	}
	if err := checkGrace(in.HealthCheckGracePeriodSeconds); err != nil {
		return err
	}
	if in.DeploymentController != nil && controller(in.DeploymentController) != s.Controller {
		return errInvalid("Unable to update the deployment controller from %s to %s.", s.Controller, controller(in.DeploymentController))
	}
	if s.Controller != types.DeploymentControllerTypeExternal {
		return nil
	}
	// SDK, UpdateService: "For services using an external deployment controller, you can update only the desired count, task placement constraints and strategies,
	// health check grace period, enable ECS managed tags option, and propagate tags option, using this API."
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"task definition", in.TaskDefinition != nil},
		{"load balancers", in.LoadBalancers != nil},
		{"network configuration", in.NetworkConfiguration != nil},
		{"service registries", in.ServiceRegistries != nil},
		{"platform version", in.PlatformVersion != nil},
		{"capacity provider strategy", in.CapacityProviderStrategy != nil},
		{"deployment configuration", in.DeploymentConfiguration != nil},
		{"enable execute command", in.EnableExecuteCommand != nil},
		{"service connect configuration", in.ServiceConnectConfiguration != nil},
		{"volume configurations", in.VolumeConfigurations != nil},
		{"VPC Lattice configurations", in.VpcLatticeConfigurations != nil},
		{"availability zone rebalancing", in.AvailabilityZoneRebalancing != ""},
	} {
		if f.set {
			return errInvalid("Unable to update %s on services with an EXTERNAL deployment controller. Create a new task set instead.", f.name)
		}
	}
	if in.ForceNewDeployment {
		return errInvalid("Cannot force a new deployment on services with an EXTERNAL deployment controller.")
	}
	return nil
}

func (c *ECS) deleteService(_ context.Context, in *awsecs.DeleteServiceInput) (*awsecs.DeleteServiceOutput, error) {
	cl, err := c.st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	s, err := cl.activeService(in.Service)
	if err != nil {
		return nil, err
	}
	// SDK, DeleteService: force deletes a service "even if it wasn't scaled down to zero tasks".
	if !aws.ToBool(in.Force) && (s.DesiredCount > 0 || slices.ContainsFunc(s.Sets, func(set *taskSet) bool { return set.Computed > 0 })) {
		return nil, errInvalid("The service cannot be stopped while it is scaled above 0.")
	}
	s.Status = serviceDraining
	for _, set := range s.Sets {
		set.Status = setDraining
	}
	view := c.serviceView(c.st, cl, s, true)
	c.reconcile(cl, s)
	return &awsecs.DeleteServiceOutput{Service: view}, nil
}
