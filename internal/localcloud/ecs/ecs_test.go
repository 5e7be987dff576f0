package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// hands is a runtime and a balancer worked by the test: it notes what it was asked to do and reports what the test says.
type hands struct {
	mu      sync.Mutex
	calls   []string
	specs   map[string]TaskSpec
	reports map[string]func(TaskEvent)
	refuse  error
	health  string
}

func (h *hands) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, fmt.Sprintf(format, args...))
}

func (h *hands) Start(spec TaskSpec, report func(TaskEvent)) error {
	h.note("start")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		return h.refuse
	}
	h.specs[spec.ID], h.reports[spec.ID] = spec, report
	return nil
}

func (h *hands) Stop(_ string, grace time.Duration)             { h.note("stop %v", grace) }
func (h *hands) TargetGroupAttached(string) (exists, used bool) { return true, true }
func (h *hands) Register(_, _ string, _ string, port int)       { h.note("register :%d", port) }
func (h *hands) Deregister(string, string)                      { h.note("deregister") }

func (h *hands) Shift(rule string, weights map[string]int32) error {
	h.note("shift %s %v", rule, weights)
	return nil
}

func (h *hands) RuleGroups(string) []string { return nil }

func (h *hands) Health(string, string) (state string, _ time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.health, time.Time{}
}

// tell lets every known task report.
func (h *hands) tell(ev TaskEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, report := range h.reports {
		ev.TaskID = id
		report(ev)
	}
}

func (h *hands) took() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.calls
	h.calls = nil
	return calls
}

// bench is a control plane with a cluster, a definition with a main and a side container, an EXTERNAL service and one task set of one task.
func bench(t *testing.T, edit func(*Config)) (*ECS, *hands) {
	t.Helper()
	h := &hands{specs: map[string]TaskSpec{}, reports: map[string]func(TaskEvent){}, health: "healthy"}
	cfg := Config{Account: "123456789012", Region: "us-east-1", Clock: clock.Real(), Runtime: h, Balancer: h}
	if edit != nil {
		edit(&cfg)
	}
	c := New(cfg)
	ctx := context.Background()
	call(t)(write(c, c.createCluster)(ctx, &awsecs.CreateClusterInput{}))
	call(t)(write(c, c.registerTaskDefinition)(ctx, &awsecs.RegisterTaskDefinitionInput{Family: aws.String("app"), ContainerDefinitions: []types.ContainerDefinition{
		{
			Name: aws.String("main"), Image: aws.String("i"), PortMappings: []types.PortMapping{{ContainerPort: aws.Int32(80)}}, StopTimeout: aws.Int32(7),
			Environment: []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("1")}},
		},
		{Name: aws.String("side"), Image: aws.String("j"), Essential: aws.Bool(false), StopTimeout: aws.Int32(3)},
	}}))
	call(t)(write(c, c.createService)(ctx, &awsecs.CreateServiceInput{
		ServiceName: aws.String("web"), DesiredCount: aws.Int32(1),
		DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal},
	}))
	call(t)(write(c, c.createTaskSet)(ctx, &awsecs.CreateTaskSetInput{
		Cluster: aws.String("default"), Service: aws.String("web"), TaskDefinition: aws.String("app"),
		LoadBalancers: []types.LoadBalancer{{TargetGroupArn: aws.String("tg"), ContainerName: aws.String("main"), ContainerPort: aws.Int32(80)}},
	}))
	synctest.Wait()
	return c, h
}

func call(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// first is the oldest task.
func first(c *ECS) DumpTask { return c.Dump().Clusters[0].Tasks[0] }

func scaleTo(t *testing.T, c *ECS, value float64) {
	t.Helper()
	set := c.Dump().Clusters[0].Services[0].TaskSets[0].ID
	call(t)(write(c, c.updateTaskSet)(context.Background(), &awsecs.UpdateTaskSetInput{Service: aws.String("web"), TaskSet: &set, Scale: &types.Scale{Value: value}}))
}

func TestOrderOfWhatIsAskedOfRuntimeAndBalancer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := bench(t, nil)
		defer c.Close()
		h.tell(TaskEvent{Kind: EventRunning})
		synctest.Wait()
		if diff := cmp.Diff([]string{"start", "register :80"}, h.took()); diff != "" {
			t.Error(diff)
		}
		h.mu.Lock()
		h.health = "draining"
		h.mu.Unlock()
		scaleTo(t, c, 0)
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"deregister"}, h.took()); diff != "" || first(c).LastStatus != statusDeactivating {
			t.Errorf("while draining: %s %s", first(c).LastStatus, diff)
		}
		h.mu.Lock()
		h.health = ""
		h.mu.Unlock()
		time.Sleep(1500 * time.Millisecond)
		if diff := cmp.Diff([]string{"stop 7s"}, h.took()); diff != "" { // the longer of the two stop timeouts
			t.Error(diff)
		}
		h.tell(TaskEvent{Kind: EventExited, Container: "side"})
		synctest.Wait()
		if s := first(c).LastStatus; s != statusStopping {
			t.Errorf("with one container left the task is %s", s)
		}
		h.tell(TaskEvent{Kind: EventExited, Container: "main", ExitCode: 143})
		synctest.Wait()
		if task := first(c); task.LastStatus != statusStopped || task.StopCode != "ServiceSchedulerInitiated" {
			t.Errorf("in the end the task is %s by %s", task.LastStatus, task.StopCode)
		}
	})
}

func TestOnlyEssentialContainersTakeTheTaskWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := bench(t, nil)
		defer c.Close()
		h.tell(TaskEvent{Kind: EventRunning})
		h.tell(TaskEvent{Kind: EventExited, Container: "side", ExitCode: 1})
		synctest.Wait()
		if s := first(c).LastStatus; s != statusRunning {
			t.Errorf("without its side container the task is %s", s)
		}
		h.took()
		h.tell(TaskEvent{Kind: EventExited, Container: "main", ExitCode: 2})
		synctest.Wait()
		if task := first(c); task.LastStatus != statusStopped || task.StopCode != "EssentialContainerExited" {
			t.Errorf("without its main container the task is %s by %s", task.LastStatus, task.StopCode)
		}
		if calls := h.took(); len(calls) < 2 || calls[0] != "deregister" || calls[len(calls)-1] != "start" {
			t.Errorf("calls %v, want the target away and a new task", calls)
		}
		h.tell(TaskEvent{Kind: EventRunning}) // the old task's late report changes nothing
		synctest.Wait()
		if s := first(c).LastStatus; s != statusStopped {
			t.Errorf("a late report made the task %s", s)
		}
	})
}

func TestRuntimeThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := bench(t, func(cfg *Config) { cfg.Timing.Provision = time.Second })
		defer c.Close()
		h.mu.Lock()
		h.refuse = errors.New("no room")
		h.mu.Unlock()
		time.Sleep(1100 * time.Millisecond)
		if task := first(c); task.StopCode != "TaskFailedToStart" || task.StoppedReason != "no room" {
			t.Errorf("the task ended by %s %q", task.StopCode, task.StoppedReason)
		}
		scaleTo(t, c, 0) // its replacement is still PROVISIONING: it ends without the runtime
		h.took()
		time.Sleep(time.Minute)
		if calls := h.took(); len(calls) != 0 {
			t.Errorf("calls for a task that never started: %v", calls)
		}
	})
}

func TestNothingHappensAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := bench(t, nil)
		h.tell(TaskEvent{Kind: EventRunning})
		synctest.Wait()
		h.took()
		c.Close()
		if diff := cmp.Diff([]string{"stop 7s"}, h.took()); diff != "" {
			t.Error(diff)
		}
		h.tell(TaskEvent{Kind: EventExited, Container: "main"})
		time.Sleep(2 * time.Hour)
		if calls := h.took(); len(calls) != 0 {
			t.Errorf("after Close: %v", calls)
		}
		if _, err := write(c, c.createCluster)(context.Background(), &awsecs.CreateClusterInput{}); err == nil {
			t.Error("a write was accepted after Close")
		}
	})
}

func TestOverridesReachTheContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, h := bench(t, nil)
		defer c.Close()
		in := &awsecs.RunTaskInput{TaskDefinition: aws.String("app"), Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String("main"), Command: []string{"x"}, Environment: []types.KeyValuePair{{Name: aws.String("A"), Value: aws.String("2")}, {Name: aws.String("B"), Value: aws.String("3")}},
		}}}}
		out, err := write(c, c.runTask)(context.Background(), in)
		call(t)(out, err)
		synctest.Wait()
		id := (*out.Tasks[0].TaskArn)[strings.LastIndex(*out.Tasks[0].TaskArn, "/")+1:]
		h.mu.Lock()
		main := h.specs[id].Containers[0]
		h.mu.Unlock()
		if diff := cmp.Diff(map[string]string{"A": "2", "B": "3"}, main.Env); diff != "" || main.Command[0] != "x" || !main.Essential {
			t.Errorf("container %+v: %s", main, diff)
		}
		in.Overrides.ContainerOverrides[0].Name = aws.String("none")
		if _, err := write(c, c.runTask)(context.Background(), in); err == nil {
			t.Error("an override for an unknown container was accepted")
		}
	})
}

// The same seed and calls give the same identifiers.
func TestIdentifiersFollowTheSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _ := bench(t, func(c *Config) { c.Seed = 5 })
		defer one.Close()
		two, _ := bench(t, func(c *Config) { c.Seed = 5 })
		defer two.Close()
		other, _ := bench(t, func(c *Config) { c.Seed = 6 })
		defer other.Close()
		if diff := cmp.Diff(one.Dump(), two.Dump()); diff != "" {
			t.Error(diff)
		}
		if first(one).ID == first(other).ID {
			t.Error("another seed gives the same task id")
		}
	})
}

// What is saved and loaded is the same state, apart from the tasks, which have ended.
func TestSavedStateReadsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := bench(t, nil)
		defer c.Close()
		body, err := c.Save()
		call(t)(nil, err)
		again := newState()
		call(t)(nil, json.Unmarshal(body, again))
		written, err := json.Marshal(again)
		call(t)(nil, err)
		if diff := cmp.Diff(string(body), string(written)); diff != "" {
			t.Error(diff)
		}
		if err := New(Config{Clock: clock.Real()}).Load([]byte("{")); err == nil {
			t.Error("half a file was loaded")
		}
	})
}

func TestComputedCountIsRoundedUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		desired, percent := rapid.Int32Range(0, 5000).Draw(t, "desired"), rapid.IntRange(0, 100).Draw(t, "percent")
		want := (int64(desired)*int64(percent) + 99) / 100
		if got := computed(desired, float64(percent)); int64(got) != want {
			t.Errorf("%d%% of %d is %d, want %d", percent, desired, got, want)
		}
	})
	if got := computed(3, 33.4); got != 2 {
		t.Errorf("33.4%% of 3 is %d, want 2", got)
	}
	if err := checkScale(&types.Scale{Value: math.NaN()}); err == nil {
		t.Error("not a number is a scale")
	}
}

// Pages put together are the whole list, whatever their size.
func TestPagesAreTheWholeList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, size := rapid.IntRange(0, 60).Draw(t, "n"), rapid.Int32Range(1, 100).Draw(t, "size")
		items := make([]string, n)
		for i := range items {
			items[i] = fmt.Sprintf("item-%03d", i)
		}
		var all []string
		var token *string
		for {
			got, next, err := page(items, same, token, &size, 10)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got...)
			if token = next; token == nil {
				break
			}
		}
		if diff := cmp.Diff(append([]string{}, items...), append([]string{}, all...)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNamesAndARNs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := bench(t, nil)
		defer c.Close()
		cl := c.st.Clusters["default"]
		for _, ref := range []string{"web", "arn:aws:ecs:us-east-1:123456789012:service/default/web", "arn:aws:ecs:us-east-1:123456789012:service/web"} {
			if s, err := cl.service(&ref); err != nil || s.Name != "web" {
				t.Errorf("service %s: %v", ref, err)
			}
		}
		for _, ref := range []string{"app", "app:1", "arn:aws:ecs:us-east-1:123456789012:task-definition/app:1"} {
			if rev, ok := c.st.definition(ref); !ok || !strings.HasSuffix(rev.ARN, "app:1") {
				t.Errorf("definition %s is not found", ref)
			}
		}
		for _, ref := range []string{"", "app:0", "app:2", "app:x", "none", "arn:aws:ecs:r:a:service/app"} {
			if _, ok := c.st.definition(ref); ok {
				t.Errorf("definition %q is found", ref)
			}
		}
	})
}
