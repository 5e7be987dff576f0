package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/demosvc"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/localcloud/elb"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/process"
)

// rig is a load balancer with two groups of real tasks behind a real router.
type rig struct {
	t        *testing.T
	lb       *elb.ELB
	router   *router.Router
	runtime  *process.Runtime
	listener string
	groups   [2]string
	exited   chan string
}

const nodeLag = 300 * time.Millisecond

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx := t.Context()
	g := &rig{t: t, exited: make(chan string, 16)}
	g.lb = elb.New(elb.Options{Seed: 1, RegistrationDelay: 300 * time.Millisecond})
	t.Cleanup(g.lb.Close)
	g.router = router.New(g.lb, router.Options{
		Nodes: 2, LagMin: nodeLag / 3, LagMax: nodeLag, Seed: 1,
		Listen: func(router.Snapshot) string { return "127.0.0.1:0" },
	})
	t.Cleanup(g.router.Close)
	g.lb.Watch(g.router.Changed)
	g.runtime = newRuntime(t, process.Options{})

	lb, err := g.lb.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"a", "b"}})
	must(t, err)
	for i, name := range []string{"blue", "green"} {
		out, err := g.lb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: &name, Port: aws.Int32(8080), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp,
			VpcId: aws.String("vpc-1"), HealthCheckPath: aws.String("/healthz"),
			HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(4),
		})
		must(t, err)
		g.groups[i] = *out.TargetGroups[0].TargetGroupArn
		_, err = g.lb.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: &g.groups[i],
			Attributes:     []types.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")}},
		})
		must(t, err)
	}
	ln, err := g.lb.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: g.actions(0),
	})
	must(t, err)
	g.listener = *ln.Listeners[0].ListenerArn
	return g
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// actions give green the share in percent.
func (g *rig) actions(green int32) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
		{TargetGroupArn: &g.groups[0], Weight: aws.Int32(100 - green)}, {TargetGroupArn: &g.groups[1], Weight: &green},
	}}}}
}

// start runs a task and registers it once it runs.
func (g *rig) start(group int, id, version string, env map[string]string) {
	s := spec(id, "demo:"+version, env)
	must(g.t, g.runtime.Start(s, func(ev ecs.TaskEvent) {
		switch ev.Kind {
		case ecs.EventRunning:
			g.lb.Register(g.groups[group], id, s.IP, 8080)
		case ecs.EventExited:
			g.exited <- id
		}
	}))
}

func (g *rig) await(what string, ok func() bool) {
	g.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(40 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			g.t.Fatalf("no %s in 40 s", what)
		}
	}
}

// shift changes the weights and waits until every node applies them.
func (g *rig) shift(green int32) {
	g.t.Helper()
	_, err := g.lb.ModifyListener(g.t.Context(), &elbv2.ModifyListenerInput{ListenerArn: &g.listener, DefaultActions: g.actions(green)})
	must(g.t, err)
	g.await("new weights", func() bool {
		for _, n := range g.router.Effective(g.listener) {
			if n.Groups[1].Weight != int(green) {
				return false
			}
		}
		return true
	})
}

// load is a steady stream of requests with counters per version.
type load struct {
	mu      sync.Mutex
	counts  map[string]int
	total   int
	failure string
}

func (l *load) note(version, failure string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.counts[version]++
	if failure != "" {
		l.failure = failure
	}
}

// take returns the counters since the last call.
func (l *load) take() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.counts
	l.counts = map[string]int{}
	return out
}

func (l *load) run(ctx context.Context, url string) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		resp, err := client.Get(url)
		if err != nil {
			l.note("", err.Error())
			continue
		}
		var a demosvc.Answer
		err = json.NewDecoder(resp.Body).Decode(&a)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			l.note("", fmt.Sprint(resp.StatusCode, err))
			continue
		}
		l.note(a.Version, "")
	}
}

func TestWeightShiftUnderLoadLosesNothing(t *testing.T) {
	g := newRig(t)
	for group, version := range []string{"v1", "v2"} {
		for i := range 2 {
			g.start(group, fmt.Sprintf("%s-%d", version, i), version, nil)
		}
	}
	g.await("healthy targets", func() bool {
		for group, version := range []string{"v1", "v2"} {
			for i := range 2 {
				if s, _ := g.lb.Health(g.groups[group], fmt.Sprintf("%s-%d", version, i)); s != "healthy" {
					return false
				}
			}
		}
		return true
	})

	ctx, stop := context.WithCancel(t.Context())
	traffic := &load{counts: map[string]int{}}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() { traffic.run(ctx, g.router.URL(g.listener).String()) })
	}
	began := time.Now()
	for _, green := range []int32{0, 20, 50, 100} {
		g.shift(green)
		traffic.take()
		var counts map[string]int
		g.await("requests", func() bool {
			traffic.mu.Lock()
			defer traffic.mu.Unlock()
			if traffic.counts["v1"]+traffic.counts["v2"] < 2000 {
				return false
			}
			counts = map[string]int{"v1": traffic.counts["v1"], "v2": traffic.counts["v2"]}
			return true
		})
		share := 100 * float64(counts["v2"]) / float64(counts["v1"]+counts["v2"])
		t.Logf("green weight %d: measured %.2f %% of %d", green, share, counts["v1"]+counts["v2"])
		if off := share - float64(green); off > 4 || off < -4 {
			t.Errorf("green weight %d: measured %.2f %%", green, share)
		}
		if green == 0 && counts["v2"] != 0 || green == 100 && counts["v1"] > 4 { // at most the requests under way at the shift
			t.Errorf("green weight %d: %v", green, counts)
		}
	}

	// The old group goes: deregister, drain, and only then SIGTERM.
	for i := range 2 {
		g.lb.Deregister(g.groups[0], fmt.Sprintf("v1-%d", i))
	}
	g.await("end of draining", func() bool {
		s, _ := g.lb.Health(g.groups[0], "v1-1")
		return s == ""
	})
	// One of two busy targets too, in the same order.
	g.lb.Deregister(g.groups[1], "v2-0")
	g.await("end of draining", func() bool {
		s, _ := g.lb.Health(g.groups[1], "v2-0")
		return s == ""
	})
	for _, id := range []string{"v1-0", "v1-1", "v2-0"} {
		g.runtime.Stop(id, 10*time.Second)
	}
	for range 3 {
		<-g.exited
	}
	traffic.take()
	g.await("requests after the removal", func() bool {
		traffic.mu.Lock()
		defer traffic.mu.Unlock()
		return traffic.counts["v2"] > 500
	})
	stop()
	clients.Wait()
	if traffic.failure != "" { // the clients do not use ctx for requests, so every failure is a real one
		t.Errorf("a request failed: %s", traffic.failure)
	}
	rate := float64(traffic.total) / time.Since(began).Seconds()
	t.Logf("%d requests, %.0f per second", traffic.total, rate)
	for _, c := range g.router.Stats() {
		if c.Status != http.StatusOK {
			t.Errorf("router counted %+v", c)
		}
	}
}

// A request that was sent before the deregistration ends well, although the
// task is asked to stop while it is under way.
func TestRequestUnderWayOutlivesTheRemoval(t *testing.T) {
	g := newRig(t)
	g.start(0, "slow", "v1", map[string]string{demosvc.EnvLatency: "2s"})
	g.await("healthy target", func() bool {
		s, _ := g.lb.Health(g.groups[0], "slow")
		return s == "healthy"
	})
	status := make(chan int, 1)
	go func() {
		resp, err := http.Get(g.router.URL(g.listener).String())
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	timer := time.NewTimer(500 * time.Millisecond) // the request has reached the task by then
	<-timer.C
	g.lb.Deregister(g.groups[0], "slow")
	resp, err := http.Get(g.router.URL(g.listener).String())
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("new request after the deregistration of the only target: %d", resp.StatusCode)
	}
	g.runtime.Stop("slow", 10*time.Second)
	if got := <-status; got != http.StatusOK {
		t.Errorf("request under way: %d", got)
	}
	<-g.exited
}
