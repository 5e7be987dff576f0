package world

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// AWS is a local cloud in memory with one cluster, one load balancer and two
// target groups that its listener forwards to, 100 and 0.
type AWS struct {
	Cloud    *localcloud.Cloud
	Runtime  *memory.Runtime
	Primary  string // target group
	Canary   string // target group
	Loose    string // target group that no listener uses
	Listener string
	Rule     string // the listener's default rule

	ECS    *awsecs.Client
	ELB    *elbv2.Client
	Lambda *awslambda.Client

	doubts   atomic.Int64  // calls whose end nobody saw
	every    time.Duration // between two requests
	fromGood bool

	mu         sync.Mutex
	behaviours map[string]memory.Behaviour // by image
	flapped    map[string]time.Time        // when what a flap did is over, by task
	stop       chan struct{}
	load       sync.WaitGroup
	answers    map[string]int // by target group
	failures   int
	good       bool
	failed     []string        // the first failures, for people
	made       map[string]bool // task sets that were ever seen
	meddled    bool            // somebody else wrote weights: where requests go is not ours to answer for any more
	foreignAt  time.Time       // when somebody else changed weights last
}

// AWSOptions say what kind of local cloud to make; the zero value is one where nothing takes time.
type AWSOptions struct {
	Profile localcloud.Profile
	Seed    uint64
	Settle  time.Duration // of the agents' provider; 0 means 30 s
	Every   time.Duration // between two requests of users; 0 means 100 ms
	// FromGood counts failed requests from the first good deployment on (see Good), not from the first answer.
	FromGood bool
}

// NewAWS makes a local cloud; Close ends it.
func NewAWS(t testing.TB) *AWS { return newAWS(t, AWSOptions{Seed: 7}) }

func newAWS(t testing.TB, o AWSOptions) *AWS {
	a := &AWS{
		behaviours: map[string]memory.Behaviour{}, flapped: map[string]time.Time{}, stop: make(chan struct{}), answers: map[string]int{}, made: map[string]bool{}, every: o.Every, fromGood: o.FromGood,
	}
	if a.every == 0 {
		a.every = 100 * time.Millisecond
	}
	a.Runtime = memory.New(func(image string) (memory.Behaviour, bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.behaviours[image], true
	})
	c := &turns{}
	a.Runtime.Clock = c
	var err error
	if a.Cloud, err = localcloud.New(localcloud.Options{Runtime: a.Runtime, Clock: c, Seed: o.Seed, Profile: o.Profile}); err != nil {
		t.Fatal(err)
	}
	if err := a.Cloud.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	cfg := a.Cloud.AWSConfig()
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // its pauses are drawn at random
	a.ECS, a.ELB, a.Lambda = awsecs.NewFromConfig(cfg), elbv2.NewFromConfig(cfg), awslambda.NewFromConfig(cfg)
	if err := a.prepare(context.Background()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(o.Profile.ReadLag) // the cluster is no news any more
	return a
}

// Load begins to send requests.
func (a *AWS) Load() { a.load.Go(a.requests) }

func (a *AWS) prepare(ctx context.Context) error {
	if _, err := a.ECS.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("demo")}); err != nil {
		return err
	}
	lb, err := a.ELB.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"subnet-1", "subnet-2"}})
	if err != nil {
		return err
	}
	for _, g := range []struct {
		name string
		arn  *string
	}{{"primary", &a.Primary}, {"canary", &a.Canary}, {"loose", &a.Loose}} {
		out, err := a.ELB.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: &g.name, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String("vpc-1"), TargetType: elbtypes.TargetTypeEnumIp,
			HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(2),
		})
		if err != nil {
			return err
		}
		*g.arn = *out.TargetGroups[0].TargetGroupArn
		_, err = a.ELB.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: g.arn, Attributes: []elbtypes.TargetGroupAttribute{
			{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("5")},
		}})
		if err != nil {
			return err
		}
	}
	l, err := a.ELB.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), DefaultActions: a.forward(100, 0),
	})
	if err != nil {
		return err
	}
	a.Listener = *l.Listeners[0].ListenerArn
	a.Rule, err = a.defaultRule(ctx)
	return err
}

func (a *AWS) forward(primary, canary int32) []elbtypes.Action {
	return []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
		{TargetGroupArn: &a.Primary, Weight: &primary}, {TargetGroupArn: &a.Canary, Weight: &canary},
	}}}}
}

// SetWeights changes the listener as somebody else would.
func (a *AWS) SetWeights(primary, canary int32) error {
	foreign := func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.meddled, a.foreignAt = true, time.Now()
	}
	foreign()
	defer foreign() // it may take effect late
	_, err := a.ELB.ModifyListener(context.Background(), &elbv2.ModifyListenerInput{ListenerArn: &a.Listener, DefaultActions: a.forward(primary, canary)})
	return err
}

// Weights reads the listener.
func (a *AWS) Weights() string {
	out, err := a.ELB.DescribeListeners(context.Background(), &elbv2.DescribeListenersInput{ListenerArns: []string{a.Listener}})
	if err != nil {
		return err.Error()
	}
	w := map[string]int32{}
	for _, g := range out.Listeners[0].DefaultActions[0].ForwardConfig.TargetGroups {
		w[*g.TargetGroupArn] = aws.ToInt32(g.Weight)
	}
	return fmt.Sprintf("%d/%d", w[a.Primary], w[a.Canary])
}

// TaskSets describes the task sets of a service: status, image, running tasks.
func (a *AWS) TaskSets(service string) (out []string) {
	ctx := context.Background()
	sets, err := a.ECS.DescribeTaskSets(ctx, &awsecs.DescribeTaskSetsInput{Cluster: aws.String("demo"), Service: &service})
	if err != nil {
		if out, native := a.revisions(service); native {
			return out
		}
		return []string{err.Error()}
	}
	for _, s := range sets.TaskSets {
		image := "?"
		if td, err := a.ECS.DescribeTaskDefinition(ctx, &awsecs.DescribeTaskDefinitionInput{TaskDefinition: s.TaskDefinition}); err == nil {
			image = *td.TaskDefinition.ContainerDefinitions[0].Image
		}
		if aws.ToString(s.Status) != "DRAINING" {
			out = append(out, fmt.Sprintf("%s:%s×%d", aws.ToString(s.Status), image, s.RunningCount))
		}
	}
	return out
}

// Behave says how tasks of an image behave from now on.
func (a *AWS) Behave(image string, b memory.Behaviour) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.behaviours[image] = b
}

// requests sends a request now and then and counts what becomes of it.
func (a *AWS) requests() {
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-tick.C:
		}
		a.invoke()
		r := a.Cloud.Router().Route(a.Listener, router.Request{})
		a.mu.Lock()
		// Before the first deployment nobody is there to answer.
		if r.Status == http.StatusOK {
			a.answers[r.TargetGroupARN]++
		} else if a.servedLocked() {
			a.failures++
			if len(a.failed) < 5 {
				a.failed = append(a.failed, fmt.Sprintf("%s node %d group %s: %d", time.Now().Format("15:04:05.0"), r.Node, a.groupName(r.TargetGroupARN), r.Status))
			}
		}
		a.mu.Unlock()
	}
}

// flapOver is how long it takes at most until a task that was unhealthy for a
// moment, or the one in its place, is a healthy target again.
const flapOver = time.Minute

// Flap makes one of the tasks, the n-th, unhealthy for a time and returns its
// id, "" when there is none.
func (a *AWS) Flap(n int, d time.Duration) string {
	ids := a.Runtime.Tasks()
	if len(ids) == 0 {
		return ""
	}
	id := ids[n%len(ids)]
	a.Runtime.SetHealthy(id, false)
	time.AfterFunc(d, func() { a.Runtime.SetHealthy(id, true) })
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flapped[id] = time.Now().Add(d + flapOver)
	return id
}

// Failures is how many requests failed since the first that was answered.
func (a *AWS) Failures() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failures
}

// Good says that a version is live for good: from now on every request must be answered.
func (a *AWS) Good() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good = true
}

func (a *AWS) servedLocked() bool { return len(a.answers) > 0 && (a.good || !a.fromGood) }

func (a *AWS) groupName(arn string) string {
	switch arn {
	case a.Primary:
		return "primary"
	case a.Canary:
		return "canary"
	}
	return arn
}

// Credentials are those of this cloud.
func (a *AWS) Credentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return a.Cloud.Credentials(), nil })
}

// Close ends the requests and the cloud.
func (a *AWS) Close(t testing.TB) {
	close(a.stop)
	a.load.Wait()
	if err := a.Cloud.Close(); err != nil {
		t.Errorf("close the local cloud: %v", err)
	}
	a.Runtime.Close()
}
