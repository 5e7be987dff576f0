package ecs

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// TestSplit is the table of the reference for primary and canary of ECS_TRAFFIC_ROUTING.
func TestSplit(t *testing.T) {
	for _, c := range [][4]int{{80, 0, 80, 20}, {0, 20, 80, 20}, {100, 0, 100, 0}, {0, 100, 0, 100}, {0, 0, 100, 0}, {30, 50, 30, 70}, {-1, 101, 100, 0}, {101, 5, 95, 5}} {
		if p, k := split(c[0], c[1]); p != c[2] || k != c[3] {
			t.Errorf("split(%d, %d) = %d, %d, want %d, %d", c[0], c[1], p, k, c[2], c[3])
		}
	}
}

func TestComputedIsTheCeiling(t *testing.T) {
	for _, c := range []struct {
		count int
		scale float64
		want  int
	}{{10, 30, 3}, {4, 30, 2}, {1, 1, 1}, {0, 100, 0}, {3, 100, 3}, {3, 33.4, 2}, {100, 29, 29}} {
		if got := computed(c.count, c.scale); got != c.want {
			t.Errorf("computed(%d, %g) = %d, want %d", c.count, c.scale, got, c.want)
		}
	}
}

func TestSplittingKeepsEverythingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acts := []elbtypes.Action{
			{Type: elbtypes.ActionTypeEnumAuthenticateCognito, Order: aws.Int32(1)},
			{Type: elbtypes.ActionTypeEnumForward, Order: aws.Int32(2), TargetGroupArn: aws.String("p")},
		}
		if rapid.Bool().Draw(t, "both") {
			acts = withWeights(acts, []weighted{{"p", rapid.IntRange(1, 999).Draw(t, "pw")}, {"c", rapid.IntRange(0, 999).Draw(t, "cw")}})
		}
		before := platform.Digest(actionsView(acts))
		c := rapid.IntRange(0, 100).Draw(t, "canary")
		got := splitActions(acts, "p", "c", 100-c, c, false)
		if platform.Digest(actionsView(acts)) != before {
			t.Fatal("the input was changed")
		}
		if share(got, "c") != float64(c) || share(got, "p") != float64(100-c) {
			t.Fatalf("shares %v %v, want %d", share(got, "p"), share(got, "c"), c)
		}
		if len(got) != 2 || got[0].Type != elbtypes.ActionTypeEnumAuthenticateCognito || *got[1].Order != 2 {
			t.Fatalf("actions %+v", got)
		}
		if back := restored(acts, got, "c"); share(back, "c") != share(acts, "c") {
			t.Fatalf("restored to %v, was %v", share(back, "c"), share(acts, "c"))
		}
	})
}

func TestTail(t *testing.T) {
	for in, want := range map[string]string{
		"arn:aws:ecs:eu-west-1:1:task-set/c/shop/ecs-svc/9": "c/shop/ecs-svc/9",
		"arn:aws:ecs:eu-west-1:1:task-definition/shop:3":    "shop:3",
		blue:  "blue/1",
		"":    "",
		"x/y": "x/y",
	} {
		if got := tail(in); got != want {
			t.Errorf("tail(%s) = %s, want %s", in, got, want)
		}
	}
}

// TestGuardNeedsTwoLowReads: one target less than the share needs can be a blip; none at all cannot.
func TestGuardNeedsTwoLowReads(t *testing.T) {
	s := start(t, "2", strings.Replace(strings.Replace(canaryPipeline, "scale: 30", "scale: 100", 1), "canary: 20", "canary: 100", 1))
	s.until(1, stepVerify)
	s.f.lax = true
	sick := s.sets(roleCanary)[0].tasks[0]
	sick.healthy = false
	if b := s.guard(); b.Kind != platform.BreachNone {
		t.Fatalf("first read: %+v", b)
	}
	sick.healthy = true
	if b := s.guard(); b.Kind != platform.BreachNone {
		t.Fatalf("healthy again: %+v", b)
	}
	sick.healthy = false
	s.guard()
	if b := s.guard(); b.Kind != platform.BreachHealth || b.Reason.Args["healthy"] != "3" || b.Reason.Args["needed"] != "4" {
		t.Fatalf("second read: %+v", b)
	}
}

func TestGuardFindsDyingTasks(t *testing.T) {
	s := start(t, "2", canaryPipeline)
	s.until(1, stepVerify)
	set := s.sets(roleCanary)[0]
	for range failuresTell {
		set.tasks = append(set.tasks, &fakeTask{task: task{ARN: "x", Status: "STOPPED", Set: set.ID, StopCode: "TaskFailedToStart", Stopped: "CannotPullContainerError"}})
	}
	if b := s.guard(); b.Kind != platform.BreachHealth || b.Reason.Code != ReasonTasksFailing {
		t.Errorf("%+v", b)
	}
}

// A write whose answer was lost stays in doubt through the writes behind it, and settling waits until it can come no more.
func TestAWriteInDoubtIsWaitedFor(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	lost := platform.Written{At: t0, Writing: true}
	repeated := lost.Again(t0.Add(5 * time.Second))
	back := repeated.Again(t0.Add(10 * time.Second))
	sure := platform.Written{At: t0}
	for name, x := range map[string]struct {
		rec  platform.Written
		want time.Time
	}{
		"nothing is in doubt":               {sure.Again(t0.Add(time.Second)), t0.Add(31 * time.Second)},
		"repeated":                          {repeated, t0.Add(lateLimit)},
		"the way back, and it may come yet": {back, t0.Add(lateLimit)},
		"long ago":                          {back.Again(t0.Add(time.Hour)), t0.Add(time.Hour + 30*time.Second)},
	} {
		if got := x.rec.Settled(30*time.Second, lateLimit); !got.Equal(x.want) {
			t.Errorf("%s: settled at %s, want %s", name, got.Sub(t0), x.want.Sub(t0))
		}
	}
}

func TestConsoleURL(t *testing.T) {
	const at = "arn:aws:ecs:ap-northeast-1:012345678901:"
	for _, c := range []struct{ kind, arn, want string }{
		{"Service", at + "service/prod/shop", "https://ap-northeast-1.console.aws.amazon.com/ecs/v2/clusters/prod/services/shop/health?region=ap-northeast-1"},
		{"TaskSet", at + "task-set/prod/shop/ecs-svc/17", ""},
		{"TaskSet", at + "task-set/prod/shop/ecs-svc-17", "https://ap-northeast-1.console.aws.amazon.com/ecs/v2/clusters/prod/services/shop/deployments?region=ap-northeast-1"},
		{"Task", at + "task/prod/0a1b", "https://ap-northeast-1.console.aws.amazon.com/ecs/v2/clusters/prod/tasks/0a1b/configuration?region=ap-northeast-1"},
		{"TaskDefinition", at + "task-definition/shop:7", "https://ap-northeast-1.console.aws.amazon.com/ecs/v2/task-definitions/shop/7/containers?region=ap-northeast-1"},
		{"Service", "arn:aws-cn:ecs:cn-north-1:012345678901:service/prod/shop", ""},
		{"Service", "shop", ""},
	} {
		if got := consoleURL(c.kind, c.arn); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.kind, c.arn, got, c.want)
		}
	}
}

func TestResourcesSayWhy(t *testing.T) {
	code := int32(1)
	broken := func(id string, at int64) task {
		return task{ARN: "arn:aws:ecs:r:1:task/c/" + id, Set: "s1", Status: "STOPPED", StopCode: "EssentialContainerExited", Stopped: "Essential container in task exited", Container: "web", ExitCode: &code, Created: time.Unix(at, 0)}
	}
	set := taskSet{ARN: "arn:aws:ecs:r:1:task-set/c/s/1", ID: "s1", Status: statusActive, Revision: "rev", Computed: 2}
	o := &observation{snap: &snapshot{Revisions: map[string]revision{}, Groups: map[string]group{}}, health: map[string][]target{"g": {{ID: "a", State: "healthy"}, {ID: "b", State: "unhealthy", Detail: "code 500"}}}, tasks: map[string][]task{}}
	svc := &service{ARN: "svc", Name: "shop", Status: statusActive}
	if r := o.setResource(&desired{}, svc, set); r.Health != deploy.HealthProgressing || r.Reason.Code != ReasonStabilizing {
		t.Errorf("a set that starts: %s %v", r.Health, r.Reason)
	}
	for i := range failuresTell {
		o.tasks["s1"] = append(o.tasks["s1"], broken(string(rune('a'+i)), int64(i)))
	}
	if r := o.setResource(&desired{}, svc, set); r.Health != deploy.HealthUnhealthy || r.Reason.Code != ReasonTasksFailing || r.Reason.Args["exitCode"] != "1" {
		t.Errorf("a set whose tasks break: %s %v", r.Health, r.Reason)
	}
	if r := taskResource(set, o.tasks["s1"][0], "v1"); r.Reason.Code != ReasonTaskFailed || r.Reason.Args["container"] != "web" {
		t.Errorf("a task that broke: %v", r.Reason)
	}
	if r := o.groupResource(&desired{}, svc, "g"); r.Reason.Code != ReasonTargetsDown || r.Reason.Args["unhealthy"] != "1" || r.Reason.Args["detail"] != "code 500" {
		t.Errorf("a group with a target that is down: %v", r.Reason)
	}
	set.Running = 2
	o.tasks = map[string][]task{}
	if r := o.setResource(&desired{}, svc, set); r.Health != deploy.HealthHealthy || !r.Reason.IsZero() {
		t.Errorf("a healthy set needs no reason: %v", r.Reason)
	}
}

func TestFilledInIsNoDifference(t *testing.T) {
	task := &taskDefinition{Family: aws.String("shop")}
	d := &desired{Name: "shop", Access: accessELB, Task: task}
	s := &snapshot{Service: &service{ARN: "arn", Status: statusActive, Running: 3, Tags: tags{awsaccess.TagCommit: "abc"}, Sets: []taskSet{{ARN: "set", Status: statusPrimary, Revision: "rev"}}}, Revisions: map[string]revision{"rev": {Content: task}}}
	want, have := driftViews(d, s)
	c := change.Diff(have, want, diffOptions())
	for _, it := range c.Items {
		if strings.HasPrefix(it.Path, "filledIn") {
			t.Errorf("%s is compared", it.Path)
		}
	}
	before, after := c.Documents()
	if len(before.Noise) < 8 || len(after.Noise) != 0 || !strings.Contains(before.Text, "runningCount: 3") {
		t.Errorf("noise before %v, after %v:\n%s", before.Noise, after.Noise, before.Text)
	}
}
