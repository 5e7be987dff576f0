package localcloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/localcloud/router"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

func TestTaskSetsFromCanaryToCleanUp(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		s := w.service(2)
		if s.TaskDefinition != nil || len(s.LoadBalancers) != 0 || len(s.Deployments) != 0 {
			t.Errorf("a service without primary shows what task sets own: %+v", s)
		}
		v1, v2 := w.define("demo:v1"), w.define("demo:v2")
		blue := w.taskSet(v1, w.blue, 100)
		if blue.StabilityStatus != types.StabilityStatusStabilizing || *blue.Status != "ACTIVE" || blue.ComputedDesiredCount != 2 {
			t.Errorf("a new task set is %s %s with %d tasks", *blue.Status, blue.StabilityStatus, blue.ComputedDesiredCount)
		}
		if set := w.steady(blue.Id); set.RunningCount != 2 || set.PendingCount != 0 {
			t.Errorf("steady with running %d, pending %d", set.RunningCount, set.PendingCount)
		}
		w.primary(blue.Id)
		if s := w.describeService(); *s.TaskDefinition != v1 || len(s.LoadBalancers) != 1 || s.RunningCount != 2 {
			t.Errorf("the service does not show its primary: %+v", s)
		}

		green := w.taskSet(v2, w.green, 30) // ceil(2 × 30 %) = 1
		if set := w.steady(green.Id); set.RunningCount != 1 {
			t.Errorf("30%% of 2 runs %d tasks, want 1", set.RunningCount)
		}
		got(w.elb.ModifyListener(w.ctx, &elbv2.ModifyListenerInput{ListenerArn: &w.listener, DefaultActions: w.weights(0, 100)}))(t)
		time.Sleep(time.Second)
		if r := w.cloud.Router().Route(w.listener, router.Request{}); r.TargetGroupARN != w.green {
			t.Errorf("routed to %s, want the green group", r.TargetGroupARN)
		}
		got(w.ecs.UpdateTaskSet(w.ctx, &awsecs.UpdateTaskSetInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskSet: green.Id, Scale: &types.Scale{Value: 100}}))(t)
		w.steady(green.Id)
		w.primary(green.Id)
		if set := w.set(blue.Id); *set.Status != "ACTIVE" {
			t.Errorf("the former primary is %s, want ACTIVE", *set.Status)
		}

		_, err := w.deleteSet(blue.Id, false)
		refused(t, err, "InvalidParameterException", "scaled above 0")
		out := got(w.deleteSet(blue.Id, true))(t)
		if *out.TaskSet.Status != "DRAINING" {
			t.Errorf("a deleted set is %s, want DRAINING", *out.TaskSet.Status)
		}
		time.Sleep(10 * time.Second)
		if set := w.set(blue.Id); set == nil || *set.Status != "DRAINING" {
			t.Errorf("the set is gone while its targets drain")
		}
		time.Sleep(30 * time.Second)
		if set := w.set(blue.Id); set != nil {
			t.Errorf("the set is still there after draining: %+v", set)
		}
		_, err = w.deleteSet(green.Id, false)
		refused(t, err, "InvalidParameterException", "primary")
	})
}

func (w *world) primary(id *string) {
	w.t.Helper()
	got(w.ecs.UpdateServicePrimaryTaskSet(w.ctx, &awsecs.UpdateServicePrimaryTaskSetInput{Cluster: aws.String("demo"), Service: aws.String("web"), PrimaryTaskSet: id}))(w.t)
}

func (w *world) deleteSet(id *string, force bool) (*awsecs.DeleteTaskSetOutput, error) {
	return w.ecs.DeleteTaskSet(w.ctx, &awsecs.DeleteTaskSetInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskSet: id, Force: &force})
}

func TestTaskSetRefusals(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		w.service(1)
		active, inactive := w.define("demo:v1"), w.define("demo:v2")
		got(w.ecs.DeregisterTaskDefinition(w.ctx, &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &inactive}))(t)
		for _, tc := range []struct {
			name, code, message string
			edit                func(*awsecs.CreateTaskSetInput)
		}{
			{"inactive definition", "ClientException", "inactive", func(in *awsecs.CreateTaskSetInput) { in.TaskDefinition = &inactive }},
			{"unknown definition", "ClientException", "not found", func(in *awsecs.CreateTaskSetInput) { in.TaskDefinition = aws.String("none:1") }},
			{"unattached group", "InvalidParameterException", "does not have an associated load balancer", func(in *awsecs.CreateTaskSetInput) { in.LoadBalancers[0].TargetGroupArn = &w.loose }},
			{"unknown group", "InvalidParameterException", "does not exist", func(in *awsecs.CreateTaskSetInput) { in.LoadBalancers[0].TargetGroupArn = aws.String(w.loose + "x") }},
			{"unknown container", "InvalidParameterException", "does not exist in the task definition", func(in *awsecs.CreateTaskSetInput) { in.LoadBalancers[0].ContainerName = aws.String("x") }},
			{"unknown port", "InvalidParameterException", "container port 81", func(in *awsecs.CreateTaskSetInput) { in.LoadBalancers[0].ContainerPort = aws.Int32(81) }},
			{"two groups", "InvalidParameterException", "Only one target group", func(in *awsecs.CreateTaskSetInput) { in.LoadBalancers = append(in.LoadBalancers, in.LoadBalancers[0]) }},
			{"no network", "InvalidParameterException", "Network Configuration must be provided", func(in *awsecs.CreateTaskSetInput) { in.NetworkConfiguration = nil }},
			{"scale above 100", "InvalidParameterException", "between 0 and 100", func(in *awsecs.CreateTaskSetInput) { in.Scale.Value = 101 }},
			{"long token", "InvalidParameterException", "36", func(in *awsecs.CreateTaskSetInput) { in.ClientToken = aws.String(strings.Repeat("x", 37)) }},
			{"reserved tag", "InvalidParameterException", "reserved", func(in *awsecs.CreateTaskSetInput) {
				in.Tags = []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("y")}}
			}},
			{"unknown service", "ServiceNotFoundException", "", func(in *awsecs.CreateTaskSetInput) { in.Service = aws.String("none") }},
			{"unknown cluster", "ClusterNotFoundException", "", func(in *awsecs.CreateTaskSetInput) { in.Cluster = aws.String("none") }},
		} {
			t.Run(tc.name, func(t *testing.T) {
				in := setInput(active, w.blue, 0)
				tc.edit(in)
				_, err := w.ecs.CreateTaskSet(w.ctx, in)
				refused(t, err, tc.code, tc.message)
			})
		}
		for range 5 {
			w.taskSet(active, w.blue, 0)
		}
		_, err := w.ecs.CreateTaskSet(w.ctx, setInput(active, w.blue, 0))
		refused(t, err, "InvalidParameterException", "5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.")
		_, err = w.deleteSet(aws.String("ecs-svc/1"), true)
		var typed *types.TaskSetNotFoundException
		if !errors.As(err, &typed) {
			t.Errorf("unknown task set: %v", err)
		}
	})
}

func TestExternalServiceRefusals(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		external := &types.DeploymentController{Type: types.DeploymentControllerTypeExternal}
		definition := w.define("demo:v1")
		create := func(edit func(*awsecs.CreateServiceInput)) error {
			in := &awsecs.CreateServiceInput{Cluster: aws.String("demo"), ServiceName: aws.String("x"), DesiredCount: aws.Int32(1), DeploymentController: external}
			edit(in)
			_, err := w.ecs.CreateService(w.ctx, in)
			return err
		}
		refused(t, create(func(in *awsecs.CreateServiceInput) { in.TaskDefinition = &definition }), "InvalidParameterException", "taskDefinition")
		refused(t, create(func(in *awsecs.CreateServiceInput) { in.SchedulingStrategy = types.SchedulingStrategyDaemon }), "InvalidParameterException", "DAEMON")
		refused(t, create(func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String("a b") }), "InvalidParameterException", "name")
		w.service(1)
		refused(t, create(func(in *awsecs.CreateServiceInput) { in.ServiceName = aws.String("web") }), "InvalidParameterException", "not idempotent")

		update := func(edit func(*awsecs.UpdateServiceInput)) error {
			in := &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")}
			edit(in)
			_, err := w.ecs.UpdateService(w.ctx, in)
			return err
		}
		must(t, update(func(in *awsecs.UpdateServiceInput) {
			in.DesiredCount, in.HealthCheckGracePeriodSeconds = aws.Int32(3), aws.Int32(60)
		}))
		refused(t, update(func(in *awsecs.UpdateServiceInput) { in.TaskDefinition = &definition }), "InvalidParameterException", "task definition")
		refused(t, update(func(in *awsecs.UpdateServiceInput) { in.ForceNewDeployment = true }), "InvalidParameterException", "force a new deployment")
		refused(t, update(func(in *awsecs.UpdateServiceInput) { in.LoadBalancers = []types.LoadBalancer{} }), "InvalidParameterException", "load balancers")
		if s := w.describeService(); s.DesiredCount != 3 || *s.HealthCheckGracePeriodSeconds != 60 {
			t.Errorf("update did not arrive: %+v", s)
		}
		_, err := w.ecs.DeleteService(w.ctx, &awsecs.DeleteServiceInput{Cluster: aws.String("demo"), Service: aws.String("web")})
		refused(t, err, "InvalidParameterException", "scaled above 0")
		got(w.ecs.DeleteService(w.ctx, &awsecs.DeleteServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), Force: aws.Bool(true)}))(t)
		if s := w.describeService(); *s.Status != "INACTIVE" {
			t.Errorf("an empty service is %s after deletion, want INACTIVE", *s.Status)
		}
		_, err = w.ecs.CreateTaskSet(w.ctx, setInput(definition, "", 0))
		refused(t, err, "ServiceNotActiveException", "")
		w.service(1) // the name is free again
	})
}

// A rolling service exists, runs its count and refuses task sets.
func TestRollingServiceIsNotForTaskSets(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		v1, v2 := w.define("demo:v1"), w.define("demo:v2")
		got(w.ecs.CreateService(w.ctx, &awsecs.CreateServiceInput{
			Cluster: aws.String("demo"), ServiceName: aws.String("web"), DesiredCount: aws.Int32(2), TaskDefinition: &v1,
			NetworkConfiguration: setInput(v1, "", 0).NetworkConfiguration,
		}))(t)
		time.Sleep(time.Second)
		s := w.describeService()
		if s.DeploymentController.Type != types.DeploymentControllerTypeEcs || s.RunningCount != 2 || len(s.Deployments) != 1 || len(s.TaskSets) != 0 {
			t.Errorf("rolling service: %+v", s)
		}
		_, err := w.ecs.CreateTaskSet(w.ctx, setInput(v1, "", 100))
		refused(t, err, "InvalidParameterException", "EXTERNAL")
		got(w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskDefinition: &v2}))(t)
		time.Sleep(time.Minute)
		if s := w.describeService(); *s.TaskDefinition != v2 || s.RunningCount != 2 || len(s.Deployments) != 1 || s.Deployments[0].RolloutState != types.DeploymentRolloutStateCompleted {
			t.Errorf("after the update: %+v", s)
		}
	})
}

func TestStopWaitsForDrainingBeforeSIGTERM(t *testing.T) {
	inWorld(t, worldOptions{Behaviours: map[string]memory.Behaviour{"slow-stop": {StopAfter: time.Hour}}}, func(w *world) {
		w.service(1)
		set := w.taskSet(w.define("slow-stop"), w.blue, 100)
		w.steady(set.Id)
		arn := w.tasks(types.DesiredStatusRunning)[0].TaskArn
		got(w.ecs.UpdateTaskSet(w.ctx, &awsecs.UpdateTaskSetInput{Cluster: aws.String("demo"), Service: aws.String("web"), TaskSet: set.Id, Scale: &types.Scale{Value: 0}}))(t)
		status := func() string { return *w.describeTask(arn).LastStatus }
		time.Sleep(10 * time.Second)
		if s := status(); s != "DEACTIVATING" {
			t.Errorf("while its target drains the task is %s", s)
		}
		health := got(w.elb.DescribeTargetHealth(w.ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: &w.blue}))(t)
		if len(health.TargetHealthDescriptions) != 1 || health.TargetHealthDescriptions[0].TargetHealth.State != "draining" {
			t.Errorf("target: %+v", health.TargetHealthDescriptions)
		}
		time.Sleep(14 * time.Second) // the group drains for 20 s
		if s := status(); s != "STOPPING" {
			t.Errorf("after draining the task is %s, want STOPPING", s)
		}
		time.Sleep(12 * time.Second) // its stop timeout is 10 s
		task := w.describeTask(arn)
		if *task.LastStatus != "STOPPED" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated || aws.ToInt32(task.Containers[0].ExitCode) != 137 {
			t.Errorf("in the end: %s %s %q exit %d", *task.LastStatus, task.StopCode, aws.ToString(task.StoppedReason), aws.ToInt32(task.Containers[0].ExitCode))
		}
		if !strings.Contains(*task.StoppedReason, "Scaling activity initiated by (deployment ecs-svc/") {
			t.Errorf("reason %q", *task.StoppedReason)
		}
		time.Sleep(time.Hour)
		out := got(w.ecs.DescribeTasks(w.ctx, &awsecs.DescribeTasksInput{Cluster: aws.String("demo"), Tasks: []string{*arn}}))(t)
		if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("after an hour the task is still known: %+v", out)
		}
	})
}

func (w *world) describeTask(arn *string) types.Task {
	w.t.Helper()
	out := got(w.ecs.DescribeTasks(w.ctx, &awsecs.DescribeTasksInput{Cluster: aws.String("demo"), Tasks: []string{*arn}}))(w.t)
	if len(out.Tasks) != 1 {
		w.t.Fatalf("task %s: %+v", *arn, out.Failures)
	}
	return out.Tasks[0]
}

func TestDeadTasksAreReplacedWithGrowingBackOff(t *testing.T) {
	for image, want := range map[string]struct {
		code   types.TaskStopCode
		reason string
		exit   int32
	}{
		"crash":   {types.TaskStopCodeEssentialContainerExited, "Essential container in task exited", 3},
		"missing": {types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError", 0},
	} {
		t.Run(image, func(t *testing.T) {
			inWorld(t, worldOptions{Behaviours: map[string]memory.Behaviour{"crash": {ExitAfter: 100 * time.Millisecond, ExitCode: 3}}}, func(w *world) {
				w.service(1)
				w.taskSet(w.define(image), "", 100)
				time.Sleep(3 * time.Minute)
				tasks := w.tasks(types.DesiredStatusStopped)
				slices.SortFunc(tasks, func(a, b types.Task) int { return a.CreatedAt.Compare(*b.CreatedAt) })
				if len(tasks) < 5 || len(tasks) > 12 {
					t.Fatalf("%d tasks in three minutes", len(tasks))
				}
				var gaps []time.Duration
				for i, task := range tasks {
					if task.StopCode != want.code || !strings.Contains(*task.StoppedReason, want.reason) || aws.ToInt32(task.Containers[0].ExitCode) != want.exit {
						t.Errorf("task ended with %s %q exit %d", task.StopCode, *task.StoppedReason, aws.ToInt32(task.Containers[0].ExitCode))
					}
					if i > 0 {
						gaps = append(gaps, task.CreatedAt.Sub(*tasks[i-1].CreatedAt))
					}
				}
				if !slices.IsSorted(gaps) || gaps[0] > time.Second || gaps[len(gaps)-1] < 15*time.Second {
					t.Errorf("gaps between starts: %v, want growing ones", gaps)
				}
			})
		})
	}
}

func TestUnhealthyTargetsAreReplacedAfterTheGracePeriod(t *testing.T) {
	inWorld(t, worldOptions{Behaviours: map[string]memory.Behaviour{"sick": {HealthyAfter: -1}}}, func(w *world) {
		w.service(1)
		got(w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: aws.String("demo"), Service: aws.String("web"), HealthCheckGracePeriodSeconds: aws.Int32(60)}))(t)
		set := w.taskSet(w.define("sick"), w.blue, 100)
		time.Sleep(50 * time.Second)
		if tasks := w.tasks(types.DesiredStatusRunning); len(tasks) != 1 || *tasks[0].LastStatus != "RUNNING" {
			t.Fatalf("in the grace period: %+v", tasks)
		}
		if s := w.set(set.Id); s.StabilityStatus != types.StabilityStatusStabilizing || s.RunningCount != 1 {
			t.Errorf("with an unhealthy target: %s", s.StabilityStatus)
		}
		time.Sleep(20 * time.Second)
		stopped := w.tasks(types.DesiredStatusStopped)
		if len(stopped) != 1 || !strings.Contains(*stopped[0].StoppedReason, "Task failed ELB health checks in (target-group "+w.blue) {
			t.Fatalf("after the grace period: %+v", stopped)
		}
		if events := w.describeService().Events; !slices.ContainsFunc(events, func(e types.ServiceEvent) bool { return strings.Contains(*e.Message, "is unhealthy in (target-group") }) {
			t.Errorf("no event tells of it: %v", len(events))
		}
	})
}

func TestHealthLossEndsSteadyState(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		w.service(2)
		set := w.taskSet(w.define("demo:v1"), w.blue, 100)
		w.steady(set.Id)
		id := w.cloud.State().ECS.Clusters[0].Tasks[0].ID
		must(t, w.cloud.SetTaskHealth(w.ctx, id, false))
		unsteady := false
		for range 60 { // two checks, 5 s apart, make it unhealthy
			time.Sleep(250 * time.Millisecond)
			unsteady = unsteady || w.set(set.Id).StabilityStatus == types.StabilityStatusStabilizing
		}
		if !unsteady {
			t.Errorf("with an unhealthy task the set stayed steady")
		}
		w.steady(set.Id) // the scheduler replaced it
		for _, task := range w.tasks(types.DesiredStatusRunning) {
			if strings.HasSuffix(*task.TaskArn, id) {
				t.Errorf("the unhealthy task %s still runs", id)
			}
		}
	})
}

func TestClientTokensMakeRepeatsHarmless(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		w.service(1)
		definition := w.define("demo:v1")
		in := setInput(definition, w.blue, 100)
		in.ClientToken = aws.String("once")
		if _, err := w.cloud.Inject(Fault{Operation: "ecs.CreateTaskSet", LostResponse: true, Count: 1}); err != nil {
			t.Fatal(err)
		}
		first := got(w.ecs.CreateTaskSet(w.ctx, in))(t) // the SDK repeats the call whose answer was lost
		again := got(w.ecs.CreateTaskSet(w.ctx, in))(t)
		if *first.TaskSet.Id != *again.TaskSet.Id || len(w.describeService().TaskSets) != 1 {
			t.Errorf("a repeated token made another task set")
		}
		run := &awsecs.RunTaskInput{
			Cluster: aws.String("demo"), TaskDefinition: &definition, ClientToken: aws.String("r"), Count: aws.Int32(2),
			NetworkConfiguration: in.NetworkConfiguration,
		}
		one, two := got(w.ecs.RunTask(w.ctx, run))(t), got(w.ecs.RunTask(w.ctx, run))(t)
		if *one.Tasks[0].TaskArn != *two.Tasks[0].TaskArn || len(two.Tasks) != 2 {
			t.Errorf("a repeated RunTask started other tasks")
		}
		run.Count = aws.Int32(1)
		_, err := w.ecs.RunTask(w.ctx, run)
		refused(t, err, "ConflictException", "clientToken")
	})
}

func TestStandaloneTasks(t *testing.T) {
	inWorld(t, worldOptions{Behaviours: map[string]memory.Behaviour{"job": {ExitAfter: time.Second}}}, func(w *world) {
		got(w.ecs.RegisterTaskDefinition(w.ctx, definition("job", "job")))(t)
		network := setInput("", "", 0).NetworkConfiguration
		out := got(w.ecs.RunTask(w.ctx, &awsecs.RunTaskInput{
			Cluster: aws.String("demo"), TaskDefinition: aws.String("job"), StartedBy: aws.String("me"), NetworkConfiguration: network,
			Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}},
		}))(t)
		task := out.Tasks[0]
		if *task.LastStatus != "PROVISIONING" || *task.Group != "family:job" || len(task.Tags) != 1 {
			t.Errorf("a new task is %s in %s with %d tags", *task.LastStatus, *task.Group, len(task.Tags))
		}
		time.Sleep(10 * time.Second)
		done := w.describeTask(task.TaskArn)
		if *done.LastStatus != "STOPPED" || *done.Containers[0].ExitCode != 0 || done.StartedAt == nil || done.StoppedAt == nil {
			t.Errorf("the job is %s", *done.LastStatus)
		}
		if list := got(w.ecs.ListTasks(w.ctx, &awsecs.ListTasksInput{Cluster: aws.String("demo"), StartedBy: aws.String("me"), DesiredStatus: "STOPPED"}))(t); len(list.TaskArns) != 1 {
			t.Errorf("by startedBy: %v (a finished job is not started again)", list.TaskArns)
		}
		got(w.ecs.RegisterTaskDefinition(w.ctx, definition("daemon", "demo:v1")))(t)
		run := got(w.ecs.RunTask(w.ctx, &awsecs.RunTaskInput{Cluster: aws.String("demo"), TaskDefinition: aws.String("daemon"), NetworkConfiguration: network}))(t)
		time.Sleep(time.Second)
		got(w.ecs.StopTask(w.ctx, &awsecs.StopTaskInput{Cluster: aws.String("demo"), Task: run.Tasks[0].TaskArn, Reason: aws.String("enough")}))(t)
		time.Sleep(15 * time.Second)
		if stopped := w.describeTask(run.Tasks[0].TaskArn); stopped.StopCode != types.TaskStopCodeUserInitiated || *stopped.StoppedReason != "enough" {
			t.Errorf("stopped with %s %q", stopped.StopCode, *stopped.StoppedReason)
		}
		_, err := w.ecs.RunTask(w.ctx, &awsecs.RunTaskInput{Cluster: aws.String("demo"), TaskDefinition: aws.String("job"), Count: aws.Int32(11), NetworkConfiguration: network})
		refused(t, err, "InvalidParameterException", "between 1 and 10")
	})
}

func TestTaskDefinitions(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		one, two := w.define("demo:v1"), w.define("demo:v2")
		if !strings.HasSuffix(one, ":task-definition/web:1") || !strings.HasSuffix(two, "/web:2") {
			t.Errorf("ARNs %s, %s", one, two)
		}
		latest := func() string {
			return *got(w.ecs.DescribeTaskDefinition(w.ctx, &awsecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("web")}))(t).TaskDefinition.TaskDefinitionArn
		}
		if latest() != two {
			t.Errorf("the family stands for %s", latest())
		}
		gone := got(w.ecs.DeregisterTaskDefinition(w.ctx, &awsecs.DeregisterTaskDefinitionInput{TaskDefinition: &two}))(t)
		if gone.TaskDefinition.Status != types.TaskDefinitionStatusInactive || latest() != one {
			t.Errorf("after deregistration: %s, family stands for %s", gone.TaskDefinition.Status, latest())
		}
		if again := w.define("demo:v3"); !strings.HasSuffix(again, "/web:3") {
			t.Errorf("revisions only grow, got %s", again)
		}
		list := func(in *awsecs.ListTaskDefinitionsInput) (out []string) {
			pages := awsecs.NewListTaskDefinitionsPaginator(w.ecs, in)
			for pages.HasMorePages() {
				out = append(out, got(pages.NextPage(w.ctx))(t).TaskDefinitionArns...)
			}
			return out
		}
		three := one[:len(one)-1] + "3"
		if diff := cmp.Diff([]string{three, one}, list(&awsecs.ListTaskDefinitionsInput{FamilyPrefix: aws.String("web"), Sort: types.SortOrderDesc, MaxResults: aws.Int32(1)})); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{two}, list(&awsecs.ListTaskDefinitionsInput{Status: types.TaskDefinitionStatusInactive})); diff != "" {
			t.Error(diff)
		}
		for name, edit := range map[string]func(*awsecs.RegisterTaskDefinitionInput){
			"image should not be null": func(in *awsecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Image = nil },
			"awsvpc":                   func(in *awsecs.RegisterTaskDefinitionInput) { in.NetworkMode = types.NetworkModeBridge },
			"essential":                func(in *awsecs.RegisterTaskDefinitionInput) { in.ContainerDefinitions[0].Essential = aws.Bool(false) },
			"unique": func(in *awsecs.RegisterTaskDefinitionInput) {
				in.ContainerDefinitions = append(in.ContainerDefinitions, in.ContainerDefinitions[0])
			},
		} {
			in := definition("bad", "x")
			edit(in)
			_, err := w.ecs.RegisterTaskDefinition(w.ctx, in)
			refused(t, err, "ClientException", name)
		}
	})
}

func TestListsAreCutIntoPages(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		for i := range 23 {
			got(w.ecs.CreateService(w.ctx, &awsecs.CreateServiceInput{
				Cluster: aws.String("demo"), ServiceName: name("svc-", i),
				DeploymentController: &types.DeploymentController{Type: types.DeploymentControllerTypeExternal},
			}))(t)
		}
		pages, sizes, seen := awsecs.NewListServicesPaginator(w.ecs, &awsecs.ListServicesInput{Cluster: aws.String("demo")}), []int{}, map[string]bool{}
		for pages.HasMorePages() {
			page := got(pages.NextPage(w.ctx))(t)
			sizes = append(sizes, len(page.ServiceArns))
			for _, arn := range page.ServiceArns {
				seen[arn] = true
			}
		}
		if fmt.Sprint(sizes) != "[10 10 3]" || len(seen) != 23 {
			t.Errorf("pages %v with %d services", sizes, len(seen))
		}
		_, err := w.ecs.ListServices(w.ctx, &awsecs.ListServicesInput{Cluster: aws.String("demo"), NextToken: aws.String("x")})
		refused(t, err, "InvalidParameterException", "token")
		_, err = w.ecs.ListServices(w.ctx, &awsecs.ListServicesInput{Cluster: aws.String("demo"), MaxResults: aws.Int32(101)})
		refused(t, err, "InvalidParameterException", "between 1 and 100")
		many := make([]string, 11)
		_, err = w.ecs.DescribeServices(w.ctx, &awsecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: many})
		refused(t, err, "InvalidParameterException", "10")
		out := got(w.ecs.DescribeServices(w.ctx, &awsecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{"svc-1", "none"}}))(t)
		if len(out.Services) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
			t.Errorf("%d services, failures %+v", len(out.Services), out.Failures)
		}
	})
}

func TestTags(t *testing.T) {
	inWorld(t, worldOptions{}, func(w *world) {
		s := w.service(0)
		set := w.taskSet(w.define("demo:v1"), w.blue, 0)
		for _, arn := range []*string{s.ServiceArn, set.TaskSetArn, set.TaskDefinition, s.ClusterArn} {
			got(w.ecs.TagResource(w.ctx, &awsecs.TagResourceInput{ResourceArn: arn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")}}}))(t)
			got(w.ecs.UntagResource(w.ctx, &awsecs.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a"}}))(t)
			out := got(w.ecs.ListTagsForResource(w.ctx, &awsecs.ListTagsForResourceInput{ResourceArn: arn}))(t)
			if len(out.Tags) != 1 || *out.Tags[0].Key != "b" {
				t.Errorf("%s has tags %+v", *arn, out.Tags)
			}
		}
		many := []types.Tag{}
		for i := range 50 {
			many = append(many, types.Tag{Key: name("k", i), Value: aws.String("")})
		}
		_, err := w.ecs.TagResource(w.ctx, &awsecs.TagResourceInput{ResourceArn: s.ServiceArn, Tags: many})
		refused(t, err, "InvalidParameterException", "maximum number of tags")
		_, err = w.ecs.TagResource(w.ctx, &awsecs.TagResourceInput{ResourceArn: aws.String(*s.ServiceArn + "x"), Tags: many[:1]})
		refused(t, err, "ResourceNotFoundException", "")
	})
}
