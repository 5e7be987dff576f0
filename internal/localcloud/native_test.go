package localcloud

import (
	"errors"
	"slices"
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

// nativeWorld is a world with a service of four tasks under the ECS controller that runs image v1 behind blue.
type nativeWorld struct {
	*world
	rule string // the listener's default rule
}

func inNative(t *testing.T, o worldOptions, config *types.DeploymentConfiguration, f func(w *nativeWorld)) {
	t.Helper()
	inWorld(t, o, func(w *world) {
		rules := got(w.elb.DescribeRules(w.ctx, &elbv2.DescribeRulesInput{ListenerArn: &w.listener}))(t)
		n := &nativeWorld{world: w, rule: *rules.Rules[0].RuleArn}
		got(w.ecs.CreateService(w.ctx, n.service(w.define("v1"), config)))(t)
		n.until(types.ServiceDeploymentStatusSuccessful)
		f(n)
	})
}

func (w *nativeWorld) service(definition string, config *types.DeploymentConfiguration) *awsecs.CreateServiceInput {
	lb := types.LoadBalancer{TargetGroupArn: &w.blue, ContainerName: aws.String("web"), ContainerPort: aws.Int32(80)}
	if config.Strategy != "" && config.Strategy != types.DeploymentStrategyRolling {
		lb.AdvancedConfiguration = &types.AdvancedConfiguration{
			AlternateTargetGroupArn: &w.green, ProductionListenerRule: &w.rule, RoleArn: aws.String("arn:aws:iam::123456789012:role/ecs"),
		}
	}
	return &awsecs.CreateServiceInput{
		Cluster: aws.String("demo"), ServiceName: aws.String("web"), TaskDefinition: &definition, DesiredCount: aws.Int32(4), LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: subnet1(), LoadBalancers: []types.LoadBalancer{lb}, DeploymentConfiguration: config,
	}
}

// deploy updates the service to an image.
func (w *nativeWorld) deploy(image string) {
	w.t.Helper()
	got(w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(w.define(image))}))(w.t)
}

// now is the newest service deployment.
func (w *nativeWorld) now() types.ServiceDeployment {
	w.t.Helper()
	list := got(w.ecs.ListServiceDeployments(w.ctx, &awsecs.ListServiceDeploymentsInput{Cluster: aws.String("demo"), Service: aws.String("web"), MaxResults: aws.Int32(1)}))(w.t)
	d := got(w.ecs.DescribeServiceDeployments(w.ctx, &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*list.ServiceDeployments[0].ServiceDeploymentArn}}))(w.t)
	return d.ServiceDeployments[0]
}

func (w *nativeWorld) until(status types.ServiceDeploymentStatus) types.ServiceDeployment {
	w.t.Helper()
	for range 600 {
		if d := w.now(); d.Status == status {
			return d
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("the service deployment never is %s: %+v", status, w.now())
	return types.ServiceDeployment{}
}

// paused waits for a pause and returns its id with the deployment.
func (w *nativeWorld) paused() (types.ServiceDeployment, string) {
	w.t.Helper()
	for range 600 {
		d := w.now()
		for _, h := range d.LifecycleHookDetails {
			if h.Status == types.DeploymentLifecycleHookStatusAwaitingAction {
				return d, *h.HookId
			}
		}
		time.Sleep(time.Second)
	}
	w.t.Fatalf("no pause: %+v", w.now())
	return types.ServiceDeployment{}, ""
}

func (w *nativeWorld) goOn(hook string) {
	w.t.Helper()
	got(w.ecs.ContinueServiceDeployment(w.ctx, &awsecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: w.now().ServiceDeploymentArn, HookId: &hook}))(w.t)
}

// share is the weight of the group that the newest revision uses, in percent.
func (w *nativeWorld) share() int32 {
	w.t.Helper()
	rev := got(w.ecs.DescribeServiceRevisions(w.ctx, &awsecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*w.now().TargetServiceRevision.Arn}}))(w.t)
	group := *rev.ServiceRevisions[0].ResolvedConfiguration.LoadBalancers[0].TargetGroupArn
	rules := got(w.elb.DescribeRules(w.ctx, &elbv2.DescribeRulesInput{RuleArns: []string{w.rule}}))(w.t)
	sum, own := int32(0), int32(0)
	for _, g := range rules.Rules[0].Actions[0].ForwardConfig.TargetGroups {
		sum += *g.Weight
		if *g.TargetGroupArn == group {
			own = *g.Weight
		}
	}
	return own * 100 / sum
}

func (w *nativeWorld) images() []string {
	w.t.Helper()
	var out []string
	for _, task := range w.cloud.ECS().Dump().Clusters[0].Tasks {
		if task.LastStatus == "RUNNING" {
			out = append(out, task.Image)
		}
	}
	slices.Sort(out)
	return out
}

func pauses(strategy types.DeploymentStrategy) *types.DeploymentConfiguration {
	return &types.DeploymentConfiguration{
		Strategy: strategy, BakeTimeInMinutes: aws.Int32(1),
		CanaryConfiguration: &types.CanaryConfiguration{CanaryPercent: aws.Float64(20), CanaryBakeTimeInMinutes: aws.Int32(0)},
		LinearConfiguration: &types.LinearConfiguration{StepPercent: aws.Float64(40), StepBakeTimeInMinutes: aws.Int32(0)},
		LifecycleHooks: []types.DeploymentLifecycleHook{{
			TargetType:           types.DeploymentLifecycleHookTargetTypePause,
			LifecycleStages:      []types.DeploymentLifecycleHookStage{types.DeploymentLifecycleHookStagePreProductionTrafficShift, types.DeploymentLifecycleHookStagePostProductionTrafficShift},
			TimeoutConfiguration: &types.DeploymentLifecycleHookTimeoutConfiguration{TimeoutInMinutes: aws.Int32(60)},
		}},
	}
}

var (
	fourOld  = []string{"v1", "v1", "v1", "v1"}
	fourNew  = []string{"v2", "v2", "v2", "v2"}
	allEight = slices.Concat(fourOld, fourNew)
)

// Every strategy pauses before each of its shifts and once behind the last; the old tasks stay until the end.
func TestNativeStrategiesPauseBeforeEveryShift(t *testing.T) {
	for strategy, shares := range map[types.DeploymentStrategy][]int32{
		types.DeploymentStrategyBlueGreen: {0, 100}, types.DeploymentStrategyCanary: {0, 20, 100}, types.DeploymentStrategyLinear: {0, 40, 80, 100},
	} {
		t.Run(string(strategy), func(t *testing.T) {
			inNative(t, worldOptions{Profile: AWSLike()}, pauses(strategy), func(w *nativeWorld) {
				for i, to := range []string{"v2", "v1"} { // there and back: the groups change roles
					w.deploy(to)
					seen := map[string]bool{}
					for _, want := range shares {
						d, hook := w.paused()
						if seen[hook] {
							t.Fatalf("deployment %d: the id %s is used again", i, hook)
						}
						seen[hook] = true
						if got := w.share(); got != want || *d.TargetServiceRevision.RequestedProductionTrafficWeight != float64(want) {
							t.Errorf("deployment %d at %s: share %d, requested %v, want %d", i, d.LifecycleStage, got, *d.TargetServiceRevision.RequestedProductionTrafficWeight, want)
						}
						if got := w.images(); !slices.Equal(got, allEight) {
							t.Errorf("deployment %d at %s: running %v", i, d.LifecycleStage, got)
						}
						time.Sleep(10 * time.Minute) // it waits
						w.goOn(hook)
					}
					w.until(types.ServiceDeploymentStatusSuccessful)
					if got, want := w.images(), [][]string{fourNew, fourOld}[i]; !slices.Equal(got, want) {
						t.Errorf("deployment %d: running %v, want %v", i, got, want)
					}
				}
			})
		})
	}
}

// Stopped with ROLLBACK at every pause: the old version has all traffic again and the new one is gone.
func TestNativeRollbackFromEveryPause(t *testing.T) {
	for at := range 3 {
		inNative(t, worldOptions{Profile: AWSLike()}, pauses(types.DeploymentStrategyCanary), func(w *nativeWorld) {
			w.deploy("v2")
			for range at {
				_, hook := w.paused()
				w.goOn(hook)
			}
			d, hook := w.paused()
			stop := &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, StopType: types.StopServiceDeploymentStopTypeRollback}
			got(w.ecs.StopServiceDeployment(w.ctx, stop))(t)
			got(w.ecs.StopServiceDeployment(w.ctx, stop))(t) // again: it goes on
			end := w.until(types.ServiceDeploymentStatusRollbackSuccessful)
			if got := w.share(); got != 0 || end.Rollback == nil {
				t.Errorf("from pause %d: share %d, rollback %v", at, got, end.Rollback)
			}
			if got := w.images(); !slices.Equal(got, fourOld) {
				t.Errorf("from pause %d: running %v", at, got)
			}
			if _, err := w.ecs.StopServiceDeployment(w.ctx, stop); code(err) != "ConflictException" {
				t.Errorf("stop at the end: %v", err)
			}
			_, err := w.ecs.ContinueServiceDeployment(w.ctx, &awsecs.ContinueServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, HookId: &hook})
			if code(err) != "InvalidParameterException" {
				t.Errorf("continue at the end: %v", err)
			}
		})
	}
}

// A pause that nobody ends takes its time-out action.
func TestNativePauseTimesOut(t *testing.T) {
	inNative(t, worldOptions{}, pauses(types.DeploymentStrategyBlueGreen), func(w *nativeWorld) {
		w.deploy("v2")
		w.paused()
		time.Sleep(time.Hour)
		w.until(types.ServiceDeploymentStatusRollbackSuccessful)
		if got := w.images(); !slices.Equal(got, fourOld) {
			t.Errorf("running %v", got)
		}
	})
}

// The same update again changes nothing; another one in the middle takes the first one's place.
func TestNativeUpdateTwice(t *testing.T) {
	inNative(t, worldOptions{}, pauses(types.DeploymentStrategyCanary), func(w *nativeWorld) {
		second := w.define("v2")
		in := &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: &second}
		got(w.ecs.UpdateService(w.ctx, in))(t)
		first, hook := w.paused()
		got(w.ecs.UpdateService(w.ctx, in))(t)
		if d := w.now(); *d.ServiceDeploymentArn != *first.ServiceDeploymentArn {
			t.Errorf("the same update again started %s", *d.ServiceDeploymentArn)
		}
		w.goOn(hook)
		w.paused()
		w.deploy("v3")
		w.paused()
		was := got(w.ecs.DescribeServiceDeployments(w.ctx, &awsecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*first.ServiceDeploymentArn}}))(t)
		if s := was.ServiceDeployments[0].Status; s != types.ServiceDeploymentStatusStopped {
			t.Errorf("the first one is %s", s)
		}
		if got := w.images(); !slices.Equal(got, slices.Concat(fourOld, []string{"v3", "v3", "v3", "v3"})) {
			t.Errorf("running %v", got)
		}
	})
}

// Rolling: never fewer healthy tasks than asked for, and the circuit breaker goes back.
func TestNativeRollingAndCircuitBreaker(t *testing.T) {
	rolling := &types.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Int32(50), MaximumPercent: aws.Int32(100), DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{Enable: true, Rollback: true},
	}
	o := worldOptions{Profile: AWSLike(), Behaviours: map[string]memory.Behaviour{"bad": {FailToStart: true}}}
	inNative(t, o, rolling, func(w *nativeWorld) {
		w.deploy("v2")
		for w.now().Status == types.ServiceDeploymentStatusInProgress {
			if n := len(w.images()); n < 2 || n > 4 {
				t.Errorf("%d tasks run", n)
			}
			time.Sleep(time.Second)
		}
		w.until(types.ServiceDeploymentStatusSuccessful)
		if got := w.images(); !slices.Equal(got, fourNew) {
			t.Errorf("running %v", got)
		}
		w.deploy("bad")
		d := w.until(types.ServiceDeploymentStatusRollbackSuccessful)
		if got := w.images(); !slices.Equal(got, fourNew) || d.StatusReason == nil {
			t.Errorf("running %v, reason %v", got, d.StatusReason)
		}
	})
}

// A deployment that is paused when the cloud ends goes on in the next one.
func TestNativeSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := worldOptions{StateDir: t.TempDir()}
		w := openWorld(t, o)
		w.prepare()
		rules := got(w.elb.DescribeRules(w.ctx, &elbv2.DescribeRulesInput{ListenerArn: &w.listener}))(t)
		n := &nativeWorld{world: w, rule: *rules.Rules[0].RuleArn}
		got(w.ecs.CreateService(w.ctx, n.service(w.define("v1"), pauses(types.DeploymentStrategyCanary))))(t)
		n.until(types.ServiceDeploymentStatusSuccessful)
		n.deploy("v2")
		before, _ := n.paused()
		w.close()
		again := openWorld(t, o)
		defer again.close()
		again.blue, again.green, again.listener = w.blue, w.green, w.listener
		n.world = again
		for _, want := range []int32{0, 20, 100} {
			d, hook := n.paused()
			if got := n.share(); got != want || *d.ServiceDeploymentArn != *before.ServiceDeploymentArn {
				t.Errorf("after the restart: share %d of %s, want %d", got, *d.ServiceDeploymentArn, want)
			}
			n.goOn(hook)
		}
		n.until(types.ServiceDeploymentStatusSuccessful)
		time.Sleep(time.Minute)
		if got := n.images(); !slices.Equal(got, fourNew) {
			t.Errorf("running %v", got)
		}
	})
}

func TestNativeRefusals(t *testing.T) {
	inNative(t, worldOptions{}, pauses(types.DeploymentStrategyBlueGreen), func(w *nativeWorld) {
		for name, edit := range map[string]func(*awsecs.CreateServiceInput){
			"no advanced configuration": func(in *awsecs.CreateServiceInput) { in.LoadBalancers[0].AdvancedConfiguration = nil },
			"no role":                   func(in *awsecs.CreateServiceInput) { in.LoadBalancers[0].AdvancedConfiguration.RoleArn = nil },
			"unknown strategy":          func(in *awsecs.CreateServiceInput) { in.DeploymentConfiguration.Strategy = "SIDEWAYS" },
			"share too large": func(in *awsecs.CreateServiceInput) {
				in.DeploymentConfiguration.Strategy = types.DeploymentStrategyCanary
				in.DeploymentConfiguration.CanaryConfiguration.CanaryPercent = aws.Float64(101)
			},
			"pause in a shift": func(in *awsecs.CreateServiceInput) {
				in.DeploymentConfiguration.LifecycleHooks[0].LifecycleStages[0] = types.DeploymentLifecycleHookStageProductionTrafficShift
			},
		} {
			in := w.service(w.define("v1"), pauses(types.DeploymentStrategyBlueGreen))
			in.ServiceName = aws.String("other")
			edit(in)
			if _, err := w.ecs.CreateService(w.ctx, in); code(err) != "InvalidParameterException" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A group that the production rule does not name turns the deployment back before traffic moves.
func TestNativeGroupOutsideOfTheRule(t *testing.T) {
	inNative(t, worldOptions{}, pauses(types.DeploymentStrategyBlueGreen), func(w *nativeWorld) {
		lb := w.service("", pauses(types.DeploymentStrategyBlueGreen)).LoadBalancers
		rule := got(w.elb.CreateRule(w.ctx, &elbv2.CreateRuleInput{
			ListenerArn: &w.listener, Priority: aws.Int32(5), Actions: w.weights(1, 0)[:1],
			Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/x"}}},
		}))(t)
		got(w.elb.ModifyRule(w.ctx, &elbv2.ModifyRuleInput{RuleArn: rule.Rules[0].RuleArn, Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.blue}}}))(t)
		lb[0].AdvancedConfiguration.ProductionListenerRule = rule.Rules[0].RuleArn
		got(w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(w.define("v2")), LoadBalancers: lb}))(t)
		if d := w.until(types.ServiceDeploymentStatusRollbackSuccessful); !strings.Contains(aws.ToString(d.StatusReason), "must be associated with the productionListenerRule") {
			t.Errorf("reason %q", aws.ToString(d.StatusReason))
		}
		if got := w.images(); !slices.Equal(got, fourOld) {
			t.Errorf("running %v", got)
		}
	})
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func subnet1() *types.NetworkConfiguration {
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{Subnets: []string{"subnet-1"}}}
}
