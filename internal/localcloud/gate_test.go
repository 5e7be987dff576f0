package localcloud

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// once returns a client of the world that never repeats a call.
func (w *world) once() *awsecs.Client {
	cfg := w.cloud.AWSConfig()
	cfg.RetryMaxAttempts = 1
	return awsecs.NewFromConfig(cfg)
}

func TestLatencyIsVirtualTime(t *testing.T) {
	inWorld(t, worldOptions{Profile: Profile{Name: "slow", Latency: 40 * time.Millisecond}}, func(w *world) {
		start := time.Now()
		got(w.ecs.ListClusters(w.ctx, &awsecs.ListClustersInput{}))(t)
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Errorf("a call took %v", d)
		}
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Millisecond)
		defer cancel()
		if _, err := w.once().ListClusters(ctx, &awsecs.ListClustersInput{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a deadline shorter than the latency: %v", err)
		}
	})
}

func TestThrottling(t *testing.T) {
	profile := Profile{Name: "tight", Throttle: map[string]Bucket{"ecs:read": {Burst: 3, Rate: 1}, "elasticloadbalancing:read": {Burst: 1, Rate: 1}}}
	inWorld(t, worldOptions{Profile: profile}, func(w *world) {
		client := w.once()
		for range 3 {
			got(client.ListClusters(w.ctx, &awsecs.ListClustersInput{}))(t)
		}
		_, err := client.ListClusters(w.ctx, &awsecs.ListClustersInput{})
		refused(t, err, "ThrottlingException", "Rate exceeded")
		time.Sleep(time.Second)
		got(client.ListClusters(w.ctx, &awsecs.ListClustersInput{}))(t)
		w.define("demo:v1") // writes have a bucket of their own, here none
		cfg := w.cloud.AWSConfig()
		cfg.RetryMaxAttempts = 1
		lb := elbv2.NewFromConfig(cfg)
		got(lb.DescribeLoadBalancers(w.ctx, &elbv2.DescribeLoadBalancersInput{}))(t)
		_, err = lb.DescribeLoadBalancers(w.ctx, &elbv2.DescribeLoadBalancersInput{})
		refused(t, err, "Throttling", "Rate exceeded")
	})
}

func TestFaults(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		client := w.once()
		inject := func(f Fault) {
			t.Helper()
			if _, err := w.cloud.Inject(f); err != nil {
				t.Fatal(err)
			}
		}
		inject(Fault{Operation: "ecs.List*", Code: "ServerException", Message: "down", Status: 500, Count: 2})
		for range 2 {
			_, err := client.ListClusters(w.ctx, &awsecs.ListClustersInput{})
			var typed *types.ServerException
			if !errors.As(err, &typed) || typed.ErrorMessage() != "down" {
				t.Errorf("fault: %v", err)
			}
		}
		got(client.ListClusters(w.ctx, &awsecs.ListClustersInput{}))(t)

		inject(Fault{Operation: "ecs.CreateCluster", LostResponse: true, Count: 1})
		if _, err := client.CreateCluster(w.ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("lost")}); err == nil || !strings.Contains(err.Error(), "reset") {
			t.Errorf("lost response: %v", err)
		}
		if n := w.clusters(); n != 2 {
			t.Errorf("the call with the lost response was not applied: %d clusters", n)
		}

		inject(Fault{Operation: "ecs.CreateCluster", AppliedLate: Duration(30 * time.Second), Count: 1})
		ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := client.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("late")})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second || w.clusters() != 2 {
			t.Errorf("late call: %v after %v, %d clusters", err, time.Since(start), w.clusters())
		}
		time.Sleep(26 * time.Second)
		if n := w.clusters(); n != 3 {
			t.Errorf("the late call was not applied: %d clusters", n)
		}
		inject(Fault{Operation: "*", AppliedLate: Duration(time.Hour)}) // given up by Close
		ctx, cancel = context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		_, _ = client.CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("never")})
		w.cloud.ClearFaults()

		counts, writes := w.cloud.Calls()
		if counts["ecs.CreateCluster"].Calls != 3 || counts["ecs.ListClusters"].Errors != 2 {
			t.Errorf("counts: %+v", counts)
		}
		var notes []string
		for _, write := range writes {
			if write.Note != "" {
				notes = append(notes, write.Operation+" "+write.Note)
			}
		}
		if strings.Join(notes, ",") != "CreateCluster lost,CreateCluster late" {
			t.Errorf("notes of writes: %v", notes)
		}
		if _, err := w.cloud.Inject(Fault{Operation: "ecs.*"}); err == nil {
			t.Error("a fault that does nothing was accepted")
		}
	})
}

func (w *world) clusters() int {
	w.t.Helper()
	return len(w.cloud.State().ECS.Clusters)
}

func TestFaultProbabilityIsTheShareOfCalls(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		if _, err := w.cloud.Inject(Fault{Operation: "ecs.*", Code: "ServerException", Probability: 0.25}); err != nil {
			t.Fatal(err)
		}
		failed, client := 0, w.once()
		for range 400 {
			if _, err := client.ListClusters(w.ctx, &awsecs.ListClustersInput{}); err != nil {
				failed++
			}
		}
		if failed < 70 || failed > 130 {
			t.Errorf("%d of 400 calls failed, want about 100", failed)
		}
	})
}

func TestReadsMayLagBehindWrites(t *testing.T) {
	inWorld(t, worldOptions{Profile: Profile{Name: "lagging", ReadLag: 5 * time.Second}}, func(w *world) {
		time.Sleep(10 * time.Second)
		w.service(1)
		stale := 0
		for range 40 {
			out := got(w.ecs.DescribeServices(w.ctx, &awsecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{"web"}}))(t)
			stale += len(out.Failures)
			time.Sleep(100 * time.Millisecond)
		}
		if stale == 0 || stale == 40 {
			t.Errorf("%d of 40 reads within the lag missed the new service, want some", stale)
		}
		time.Sleep(2 * time.Second)
		for range 40 {
			w.describeService() // after the lag everybody sees it
		}
		definition := w.define("demo:v1") // writes see the present
		w.steadyWithLag(w.taskSet(definition, w.blue, 100).Id)
	})
}

func (w *world) steadyWithLag(id *string) {
	w.t.Helper()
	time.Sleep(time.Minute)
	w.steady(id)
}

func TestAdminEndpoint(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		w.service(1)
		set := w.taskSet(w.define("demo:v1"), w.blue, 100)
		w.steady(set.Id)
		call := func(method, path, body, token string) (int, string) {
			req := httptest.NewRequest(method, "http://127.0.0.1/_admin/"+path, strings.NewReader(body))
			req.RequestURI = ""
			req.Header.Set("Authorization", "Bearer "+token)
			resp, err := (&http.Client{Transport: w.cloud.Transport()}).Do(req)
			must(t, err)
			answer, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(answer)
		}
		if status, _ := call("GET", "state", "", "wrong"); status != 401 {
			t.Errorf("wrong token: %d", status)
		}
		token := w.cloud.AdminToken()
		status, body := call("GET", "state", "", token)
		var state State
		if err := json.Unmarshal([]byte(body), &state); err != nil || status != 200 {
			t.Fatalf("state: %d %v %s", status, err, body)
		}
		task := state.ECS.Clusters[0].Tasks[0]
		if !state.ECS.Clusters[0].Services[0].TaskSets[0].Steady || task.Targets[0].Health != "healthy" || len(state.Listeners) != 1 || len(state.Listeners[0].Weights) != 1 {
			t.Errorf("state: %s", body)
		}
		if status, body = call("POST", "tasks/"+task.ID+"/exit", "", token); status != 200 {
			t.Errorf("exit: %d %s", status, body)
		}
		time.Sleep(time.Second)
		if stopped := w.tasks(types.DesiredStatusStopped); len(stopped) != 1 || aws.ToInt32(stopped[0].Containers[0].ExitCode) != 137 {
			t.Errorf("after exit: %+v", stopped)
		}
		if status, body = call("POST", "tasks/"+task.ID+"/unhealthy", "", token); status != 400 {
			t.Errorf("unhealthy for a stopped task: %d %s", status, body)
		}
		if status, body = call("POST", "faults", `{"operation":"ecs.*","code":"ServerException","count":1,"latency":"2s"}`, token); status != 200 || !strings.Contains(body, `"latency": "2s"`) {
			t.Errorf("fault: %d %s", status, body)
		}
		if status, _ = call("POST", "faults", `{"operation":"ecs.*","typo":1}`, token); status != 400 {
			t.Errorf("unknown member: %d", status)
		}
		if _, body = call("DELETE", "faults", "", token); strings.TrimSpace(body) != "[]" {
			t.Errorf("after delete: %s", body)
		}
		if _, body = call("GET", "calls", "", token); !strings.Contains(body, "ecs.CreateTaskSet") {
			t.Errorf("calls: %s", body)
		}
	})
}

func TestStateSurvivesOnDisk(t *testing.T) {
	dir := t.TempDir()
	var set, definition, secret string
	inWorld(t, worldOptions{StateDir: dir}, func(w *world) {
		w.service(2)
		definition = w.define("demo:v1")
		set = *w.taskSet(definition, w.blue, 100).Id
		w.steady(&set)
		w.primary(&set)
		secret = w.storeSecrets()
	})
	inBubble(t, worldOptions{StateDir: dir}, func(w *world) {
		w.steady(&set)
		if s := w.describeService(); s.RunningCount != 2 || *s.TaskDefinition != definition {
			t.Errorf("after the restart: %+v", s)
		}
		stopped := w.tasks(types.DesiredStatusStopped)
		if len(stopped) != 2 || stopped[0].StopCode != types.TaskStopCodeTerminationNotice {
			t.Errorf("the old tasks: %+v", stopped)
		}
		if value := got(w.cloud.Secrets().Value(secret))(t); value != "hush" {
			t.Errorf("secret is %q", value)
		}
	})
}

func TestMissingRuntimeAndForeignAddressAreRefused(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("a cloud without runtime was made")
	}
	rt := memory.New(nil)
	defer rt.Close()
	cloud, err := New(Options{Runtime: rt, Listen: "0.0.0.0:0"})
	must(t, err)
	if err := cloud.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("listening everywhere: %v", err)
	}
	must(t, cloud.Close())
}

// Over a socket the same cloud answers the same clients.
func TestEndpointOverASocket(t *testing.T) {
	rt := memory.New(nil)
	defer rt.Close()
	cloud, err := New(Options{Runtime: rt, Listen: "127.0.0.1:0"})
	must(t, err)
	must(t, cloud.Start(t.Context()))
	client := awsecs.NewFromConfig(cloud.AWSConfig())
	got(client.CreateCluster(t.Context(), &awsecs.CreateClusterInput{ClusterName: aws.String("demo")}))(t)
	if _, err := cloud.Inject(Fault{Operation: "ecs.CreateCluster", LostResponse: true, Count: 1}); err != nil {
		t.Fatal(err)
	}
	got(client.CreateCluster(t.Context(), &awsecs.CreateClusterInput{ClusterName: aws.String("other")}))(t)
	out := got(client.ListClusters(t.Context(), &awsecs.ListClustersInput{}))(t)
	if len(out.ClusterArns) != 2 {
		t.Errorf("clusters: %v", out.ClusterArns)
	}
	must(t, cloud.Close())
}

func TestProfilesByName(t *testing.T) {
	for _, name := range []string{"ideal", "aws-like"} {
		if p, err := ProfileNamed(name); err != nil || p.Name != name {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := ProfileNamed("fast"); err == nil || !strings.Contains(err.Error(), "aws-like") {
		t.Errorf("unknown profile: %v", err)
	}
}

// With the profile of the demo a weight is in the API at once and in the routing 2 to 10 s later, and a whole rollout stays within the call limits.
func TestAWSLikeProfile(t *testing.T) {
	inWorld(t, worldOptions{Profile: AWSLike()}, func(w *world) {
		w.service(2)
		blue := w.taskSet(w.define("demo:v1"), w.blue, 100)
		green := w.taskSet(w.define("demo:v2"), w.green, 100)
		w.steady(blue.Id)
		w.steady(green.Id)
		got(w.elb.ModifyListener(w.ctx, &elbv2.ModifyListenerInput{ListenerArn: &w.listener, DefaultActions: w.weights(0, 100)}))(t)
		start, oldest, newest := time.Now(), time.Duration(0), time.Duration(0)
		for time.Since(start) < 12*time.Second {
			if w.cloud.Router().Route(w.listener, router.Request{}).TargetGroupARN == w.green {
				if newest == 0 {
					newest = time.Since(start)
				}
			} else {
				oldest = time.Since(start)
			}
			time.Sleep(50 * time.Millisecond)
		}
		if newest < 1900*time.Millisecond || oldest > 10*time.Second || oldest == 0 {
			t.Errorf("new weights first seen after %v, old ones last seen after %v", newest, oldest)
		}
		out := got(w.ecs.DescribeClusters(w.ctx, &awsecs.DescribeClustersInput{Clusters: []string{"demo", "none"}}))(t)
		if len(out.Clusters) != 1 || out.Clusters[0].RunningTasksCount != 4 || out.Clusters[0].ActiveServicesCount != 1 || len(out.Failures) != 1 {
			t.Errorf("clusters: %+v, failures %+v", out.Clusters, out.Failures)
		}
		if counts, _ := w.cloud.Calls(); counts["ecs.DescribeTaskSets"].Errors != 0 {
			t.Errorf("one poll per second was throttled: %+v", counts["ecs.DescribeTaskSets"])
		}
	})
}
