package localcloud

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"pgregory.net/rapid"
)

// Whatever a controller does, and however tasks die, a service keeps these promises: at most five task sets, at most one primary, computed counts are rounded
// up shares of the desired count, and once left alone it runs exactly those counts, each task on an address of its own.
func TestAnySequenceOfCallsKeepsTheServiceSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 6), 1, 25).Draw(rt, "steps")
		values := rapid.SliceOfN(rapid.IntRange(0, 100), len(steps), len(steps)).Draw(rt, "values")
		synctest.Test(t, func(t *testing.T) {
			w := openWorld(t, worldOptions{})
			defer w.close()
			w.prepare()
			w.service(2)
			definition := w.define("demo:v1")
			for i, step := range steps {
				w.step(step, values[i], definition)
				w.checkSound(false)
			}
			time.Sleep(2 * time.Minute)
			w.checkSound(true)
		})
	})
}

// step makes one move; refusals are fine.
func (w *world) step(kind, value int, definition string) {
	sets := w.describeService().TaskSets
	pick := func() *string {
		if len(sets) == 0 {
			return aws.String("ecs-svc/0")
		}
		return sets[value%len(sets)].Id
	}
	cluster, service := aws.String("demo"), aws.String("web")
	switch kind {
	case 0:
		_, _ = w.ecs.CreateTaskSet(w.ctx, setInput(definition, []string{w.blue, w.green, ""}[value%3], float64(value)))
	case 1:
		_, _ = w.ecs.UpdateTaskSet(w.ctx, &awsecs.UpdateTaskSetInput{Cluster: cluster, Service: service, TaskSet: pick(), Scale: &types.Scale{Value: float64(value)}})
	case 2:
		_, _ = w.deleteSet(pick(), value%2 == 0)
	case 3:
		_, _ = w.ecs.UpdateServicePrimaryTaskSet(w.ctx, &awsecs.UpdateServicePrimaryTaskSetInput{Cluster: cluster, Service: service, PrimaryTaskSet: pick()})
	case 4:
		_, _ = w.ecs.UpdateService(w.ctx, &awsecs.UpdateServiceInput{Cluster: cluster, Service: service, DesiredCount: aws.Int32(int32(value % 7))})
	case 5:
		for _, task := range w.cloud.State().ECS.Clusters[0].Tasks {
			if task.LastStatus == "RUNNING" {
				w.cloud.ECS().Kill(task.ID)
				break
			}
		}
	case 6:
		time.Sleep(time.Duration(value) * 100 * time.Millisecond)
	}
}

func (w *world) checkSound(settled bool) {
	w.t.Helper()
	s := w.describeService()
	primaries, running := 0, int32(0)
	for _, set := range s.TaskSets {
		if *set.Status == "PRIMARY" {
			primaries++
		}
		share := float64(s.DesiredCount) * set.Scale.Value / 100
		want := int32(share)
		if share > float64(want)+1e-9 {
			want++
		}
		if *set.Status == "DRAINING" {
			want = 0
		}
		if set.ComputedDesiredCount != want {
			w.t.Errorf("set at %v%% of %d is to have %d tasks, want %d", set.Scale.Value, s.DesiredCount, set.ComputedDesiredCount, want)
		}
		if settled && (set.RunningCount != want || set.PendingCount != 0 || set.StabilityStatus != types.StabilityStatusSteadyState) {
			w.t.Errorf("left alone, a set of %d runs %d and is %s", want, set.RunningCount, set.StabilityStatus)
		}
		running += set.RunningCount
	}
	if len(s.TaskSets) > 5 || primaries > 1 || s.RunningCount != running {
		w.t.Errorf("%d sets, %d primaries, service runs %d of %d", len(s.TaskSets), primaries, s.RunningCount, running)
	}
	addresses := map[string]bool{}
	for _, task := range w.cloud.State().ECS.Clusters[0].Tasks {
		if task.LastStatus == "STOPPED" {
			continue
		}
		if addresses[task.IP] {
			w.t.Errorf("two tasks have the address %s", task.IP)
		}
		addresses[task.IP] = true
	}
}
