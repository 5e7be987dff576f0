package localcloud

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// world is a cloud in virtual time with a cluster, a load balancer with a listener that forwards to two target groups, and SDK clients.
type world struct {
	t        *testing.T
	ctx      context.Context
	cloud    *Cloud
	rt       *memory.Runtime
	ecs      *awsecs.Client
	elb      *elbv2.Client
	listener string
	blue     string // target group with weight 100
	green    string // target group with weight 0
	loose    string // target group that no listener uses
}

type worldOptions struct {
	Profile    Profile
	Behaviours map[string]memory.Behaviour // by image; others behave well
	StateDir   string
}

// inWorld runs f inside a synctest bubble.
func inWorld(t *testing.T, o worldOptions, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, o)
		defer w.close()
		w.prepare()
		f(w)
	})
}

func openWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	rt := memory.New(func(image string) (memory.Behaviour, bool) { return o.Behaviours[image], image != "missing" })
	cloud, err := New(Options{Runtime: rt, Profile: o.Profile, Seed: 7, StateDir: o.StateDir})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, ctx: t.Context(), cloud: cloud, rt: rt}
	must(t, cloud.Start(w.ctx))
	w.ecs, w.elb = awsecs.NewFromConfig(cloud.AWSConfig()), elbv2.NewFromConfig(cloud.AWSConfig())
	return w
}

func (w *world) close() {
	if err := w.cloud.Close(); err != nil {
		w.t.Error(err)
	}
	w.rt.Close()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func (w *world) prepare() {
	w.t.Helper()
	got(w.ecs.CreateCluster(w.ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("demo")}))(w.t)
	lb := got(w.elb.CreateLoadBalancer(w.ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"subnet-1", "subnet-2"}}))(w.t)
	group := func(name string) string {
		out := got(w.elb.CreateTargetGroup(w.ctx, &elbv2.CreateTargetGroupInput{
			Name: &name, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String("vpc-1"), TargetType: elbtypes.TargetTypeEnumIp,
			HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
		}))(w.t)
		arn := *out.TargetGroups[0].TargetGroupArn
		got(w.elb.ModifyTargetGroupAttributes(w.ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn, Attributes: []elbtypes.TargetGroupAttribute{
			{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("20")},
		}}))(w.t)
		return arn
	}
	w.blue, w.green, w.loose = group("blue"), group("green"), group("loose")
	l := got(w.elb.CreateListener(w.ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), DefaultActions: w.weights(100, 0),
	}))(w.t)
	w.listener = *l.Listeners[0].ListenerArn
}

func (w *world) weights(blue, green int32) []elbtypes.Action {
	return []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
		{TargetGroupArn: &w.blue, Weight: &blue}, {TargetGroupArn: &w.green, Weight: &green},
	}}}}
}

// define registers a task definition "web" with one container and returns its ARN.
func (w *world) define(image string) string {
	w.t.Helper()
	out := got(w.ecs.RegisterTaskDefinition(w.ctx, definition("web", image)))(w.t)
	return *out.TaskDefinition.TaskDefinitionArn
}

func definition(family, image string) *awsecs.RegisterTaskDefinitionInput {
	return &awsecs.RegisterTaskDefinitionInput{
		Family: &family, NetworkMode: types.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions: []types.ContainerDefinition{{
			Name: aws.String("web"), Image: &image, PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80)}}, StopTimeout: aws.Int32(10),
		}},
	}
}

// service creates the EXTERNAL service "web".
func (w *world) service(desired int32) *types.Service {
	w.t.Helper()
	return got(w.ecs.CreateService(w.ctx, &awsecs.CreateServiceInput{
		Cluster: aws.String("demo"), ServiceName: aws.String("web"), DesiredCount: &desired,
		DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal},
	}))(w.t).Service
}

// setInput is a task set of service "web" behind a target group ("" for none).
func setInput(definition, group string, scale float64) *awsecs.CreateTaskSetInput {
	in := &awsecs.CreateTaskSetInput{
		Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: &definition, LaunchType: types.LaunchTypeFargate,
		Scale:                &types.Scale{Value: scale, Unit: types.ScaleUnitPercent},
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}},
	}
	if group != "" {
		in.LoadBalancers = []types.LoadBalancer{{TargetGroupArn: &group, ContainerName: aws.String("web"), ContainerPort: aws.Int32(80)}}
	}
	return in
}

func (w *world) taskSet(definition, group string, scale float64) *types.TaskSet {
	w.t.Helper()
	return got(w.ecs.CreateTaskSet(w.ctx, setInput(definition, group, scale)))(w.t).TaskSet
}

// set describes one task set; nil when it is gone.
func (w *world) set(id *string) *types.TaskSet {
	w.t.Helper()
	out := got(w.ecs.DescribeTaskSets(w.ctx, &awsecs.DescribeTaskSetsInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskSets: []string{*id}}))(w.t)
	if len(out.TaskSets) == 0 {
		return nil
	}
	return &out.TaskSets[0]
}

// steady waits for a task set to reach steady state.
func (w *world) steady(id *string) *types.TaskSet {
	w.t.Helper()
	for range 120 {
		if set := w.set(id); set != nil && set.StabilityStatus == types.StabilityStatusSteadyState {
			return set
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("task set %s is not steady after two minutes: %+v", *id, w.cloud.State().ECS)
	return nil
}

// tasks describes the tasks of service "web" in a desired status.
func (w *world) tasks(status types.DesiredStatus) []types.Task {
	w.t.Helper()
	list := got(w.ecs.ListTasks(w.ctx, &awsecs.ListTasksInput{Cluster: aws.String("demo"), ServiceName: aws.String("web"), DesiredStatus: status}))(w.t)
	if len(list.TaskArns) == 0 {
		return nil
	}
	return got(w.ecs.DescribeTasks(w.ctx, &awsecs.DescribeTasksInput{Cluster: aws.String("demo"), Tasks: list.TaskArns}))(w.t).Tasks
}

func (w *world) describeService() types.Service {
	w.t.Helper()
	out := got(w.ecs.DescribeServices(w.ctx, &awsecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{"web"}}))(w.t)
	if len(out.Services) != 1 {
		w.t.Fatalf("service web: %+v", out.Failures)
	}
	return out.Services[0]
}

// refused checks code and (part of) message of an error.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Errorf("error is %v, want %s", err, code)
		return
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
		t.Errorf("error is %s %q, want %s %q", api.ErrorCode(), api.ErrorMessage(), code, message)
	}
}

func name(prefix string, i int) *string { return aws.String(prefix + strconv.Itoa(i)) }
