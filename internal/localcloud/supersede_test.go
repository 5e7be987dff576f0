package localcloud

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

// serving is the least number of healthy targets among the groups that the rule sends requests to.
func (w *nativeWorld) serving() int {
	w.t.Helper()
	rules := got(w.elb.DescribeRules(w.ctx, &elbv2.DescribeRulesInput{RuleArns: []string{w.rule}}))(w.t)
	least := -1
	for _, g := range rules.Rules[0].Actions[0].ForwardConfig.TargetGroups {
		if *g.Weight == 0 {
			continue
		}
		n := 0
		for _, h := range got(w.elb.DescribeTargetHealth(w.ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn}))(w.t).TargetHealthDescriptions {
			if h.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				n++
			}
		}
		if least < 0 || n < least {
			least = n
		}
	}
	return least
}

func rolling() *types.DeploymentConfiguration {
	return &types.DeploymentConfiguration{Strategy: types.DeploymentStrategyRolling, MinimumHealthyPercent: aws.Int32(100), MaximumPercent: aws.Int32(150)}
}

// update starts a deployment of an image with a configuration.
func (w *nativeWorld) update(image string, config *types.DeploymentConfiguration) {
	w.t.Helper()
	got(w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: aws.String(w.define(image)), DeploymentConfiguration: config}))(w.t)
}

// Whenever a deployment is superseded, by one of the same strategy or another, the groups that have traffic keep their four healthy targets throughout, and
// the newest deployment ends alone.
func TestNativeSupersededKeepsServing(t *testing.T) {
	quick := func(s types.DeploymentStrategy) *types.DeploymentConfiguration {
		c := pauses(s)
		c.LifecycleHooks = nil
		return c
	}
	configs := map[string]*types.DeploymentConfiguration{"rolling": rolling(), "blue green": quick(types.DeploymentStrategyBlueGreen), "canary": quick(types.DeploymentStrategyCanary)}
	o := worldOptions{Profile: AWSLike(), Behaviours: map[string]memory.Behaviour{"v2": {StartDelay: time.Second}, "v3": {StartDelay: time.Second}}}
	o.Profile.Throttle, o.Profile.Latency = nil, 0
	for from, first := range configs {
		for to, second := range configs {
			for _, at := range []int{0, 4, 20, 81} {
				t.Run(fmt.Sprintf("%s by %s after %d s", from, to, at), func(t *testing.T) {
					start := quick(types.DeploymentStrategyBlueGreen) // with two target groups
					inNative(t, o, start, func(w *nativeWorld) {
						w.update("v2", first)
						w.watch(time.Duration(at) * time.Second)
						w.update("v3", second)
						w.watch(3 * time.Minute)
						if d := w.now(); d.Status != types.ServiceDeploymentStatusSuccessful {
							t.Errorf("in the end the deployment is %s: %s", d.Status, aws.ToString(d.StatusReason))
						}
						if got := w.images(); !slices.Equal(got, []string{"v3", "v3", "v3", "v3"}) {
							t.Errorf("running %v", got)
						}
					})
				})
			}
		}
	}
}

// watch looks every second whether enough targets serve.
func (w *nativeWorld) watch(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		if n := w.serving(); n < 4 {
			w.t.Fatalf("%d healthy targets in a group with traffic while the service runs %v; deployment %+v", n, w.images(), w.now())
		}
	}
}

// A rollback after one deployment superseded another returns to the last revision that had taken over.
func TestNativeRollbackSkipsTheSuperseded(t *testing.T) {
	for name, config := range map[string]*types.DeploymentConfiguration{"rolling": rolling(), "canary": pauses(types.DeploymentStrategyCanary)} {
		t.Run(name, func(t *testing.T) {
			o := worldOptions{Profile: AWSLike(), Behaviours: map[string]memory.Behaviour{"v2": {HealthyAfter: -1}, "v3": {HealthyAfter: -1}}}
			if name == "canary" {
				o.Behaviours = nil
			}
			o.Profile.Throttle = nil
			inNative(t, o, config, func(w *nativeWorld) {
				w.deploy("v2")
				w.watch(6 * time.Second)
				w.deploy("v3")
				w.watch(6 * time.Second)
				d := w.now()
				got(w.ecs.StopServiceDeployment(w.ctx, &awsecs.StopServiceDeploymentInput{ServiceDeploymentArn: d.ServiceDeploymentArn, StopType: types.StopServiceDeploymentStopTypeRollback}))(t)
				w.until(types.ServiceDeploymentStatusRollbackSuccessful)
				if got := w.images(); !slices.Equal(got, fourOld) {
					t.Errorf("running %v", got)
				}
			})
		})
	}
}

// Real processes behind the real router: requests go on without a failure while one deployment takes the place of another.
func TestNativeSupersededDropsNoRequest(t *testing.T) {
	for name, config := range map[string]*types.DeploymentConfiguration{
		"rolling": rolling(), "blue green": {Strategy: types.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits for health checks most of the time
			rt := got(process.New(process.Options{}))(t)
			defer rt.Close()
			cloud := got(New(Options{Listen: "127.0.0.1:0", Runtime: rt, ListenerAddr: func(int) string { return "127.0.0.1:0" }}))(t)
			must(t, cloud.Start(t.Context()))
			defer func() { must(t, cloud.Close()) }()
			w := &nativeWorld{world: &world{t: t, ctx: t.Context(), cloud: cloud, ecs: awsecs.NewFromConfig(cloud.AWSConfig()), elb: elbv2.NewFromConfig(cloud.AWSConfig())}}
			w.prepare()
			for _, group := range []string{w.blue, w.green} {
				got(w.elb.ModifyTargetGroupAttributes(w.ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &group, Attributes: []elbtypes.TargetGroupAttribute{
					{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")},
				}}))(t)
			}
			rules := got(w.elb.DescribeRules(w.ctx, &elbv2.DescribeRulesInput{ListenerArn: &w.listener}))(t)
			w.rule = *rules.Rules[0].RuleArn
			in := w.service(w.define("demo:v1"), config)
			in.DesiredCount = aws.Int32(2)
			got(w.ecs.CreateService(w.ctx, in))(t)
			w.await(func() bool { return w.serving() == 2 })
			stop, ended, failed, sent := make(chan struct{}), make(chan struct{}), atomic.Int64{}, atomic.Int64{}
			go func() {
				defer close(ended)
				for {
					select {
					case <-stop:
						return
					default:
						sent.Add(1)
						if !answersWell("http://" + cloud.Router().Addr(w.listener) + "/") {
							failed.Add(1)
						}
					}
				}
			}()
			w.deploy("demo:v2")
			w.await(func() bool { return slices.Contains(w.images(), "demo:v2") })
			w.deploy("demo:v3")
			w.await(func() bool { return slices.Contains(w.images(), "demo:v3") })
			w.deploy("demo:v4")
			w.await(func() bool {
				return w.now().Status == types.ServiceDeploymentStatusSuccessful && slices.Equal(w.images(), []string{"demo:v4", "demo:v4"})
			})
			close(stop)
			<-ended
			if failed.Load() > 0 || sent.Load() < 100 {
				t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
			}
		})
	}
}

func answersWell(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close() == nil && err == nil && resp.StatusCode == http.StatusOK
}

// await asks until something is so, in real time.
func (w *nativeWorld) await(so func() bool) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(end) {
			w.t.Fatalf("not so after a minute: running %v, deployment %+v", w.images(), w.now())
		}
	}
}
