//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// pipecdTags are what PipeCD leaves on the services and task sets that it deploys, in the spelling of its agent.
const pipecdTags = "key=pipecd-dev-managed-by,value=piped key=pipecd-dev-piped,value=6f1d key=pipecd-dev-application,value=9c2e key=pipecd-dev-commit-hash,value=abc123"

// A service that somebody else made, with awscli and not by Penstock, is taken over by its first canary: it is a pipeline and no
// quick sync, no request fails, and no task of the old version is started again on the way.
func TestServicesOfOthersAreAdopted(t *testing.T) {
	t.Parallel()
	program := awsProgram(t)
	for name, tags := range map[string][]string{"with the tags of PipeCD": strings.Fields(pipecdTags), "without tags": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRing(t, "11s")
			cred := r.cloud.Credentials()
			cli := awscli{t: t, program: program, cloud: &cloud{Endpoint: r.cloud.Endpoint(), AccessKeyID: cred.AccessKeyID, SecretAccessKey: cred.SecretAccessKey}}
			old := r.foreign(cli, tags)
			r.users = newUsers(t, "http://"+r.cloud.Router().Addr(r.route.Listener)+"/")
			before := r.tasksOf(old)
			if len(before) != 3 {
				t.Fatalf("%d tasks of the old version, want 3", len(before))
			}

			d := r.ship(canaryStages...)
			d = r.reach(d.Id, "the wait at 20 %", 2*time.Minute, func(_ *penstockv1.Deployment, s *penstockv1.Stage) bool { return s != nil && s.Name == "WAIT" })
			if d.Plan.Strategy != "PIPELINE" || d.Plan.FirstDeploy {
				t.Errorf("planned as %s, first deployment %v: a live service is adopted through its pipeline", d.Plan.Strategy, d.Plan.FirstDeploy)
			}
			if now := r.tasksOf(old); !slices.Equal(now, before) {
				t.Errorf("tasks of the old version changed: %v → %v", before, now)
			}
			r.ends(d.Id, 2*time.Minute)
			if ever := r.tasksOf(old); !slices.Equal(ever, before) {
				t.Errorf("tasks of the old version were started on the way: %v → %v", before, ever)
			}
			total, failed := r.users.sum()
			figures(t, map[string]any{"test": "adoption", "tagged": tags != nil, "requests": total, "failed": failed, "restarts": len(r.tasksOf(old)) - len(before)})
		})
	}
}

// foreign makes version v0 of the service by the command line, waits until it serves, and returns its task set.
func (r *ring) foreign(cli awscli, tags []string) (taskSet string) {
	t := r.t
	t.Helper()
	tagged := func(args ...string) []string {
		if len(tags) > 0 {
			args = append(append(args, "--tags"), tags...)
		}
		return args
	}
	at := []string{"--cluster", r.stage.ARN, "--service", "shop"}
	def := cli.json("ecs", "register-task-definition", "--family", "shop", "--network-mode", "awsvpc", "--requires-compatibilities", "FARGATE", "--cpu", "256", "--memory", "512",
		"--container-definitions", `[{"name":"web","image":"demo:v0","essential":true,"portMappings":[{"containerPort":8080}]}]`).text("taskDefinition", "taskDefinitionArn")
	cli.json(tagged("ecs", "create-service", "--cluster", r.stage.ARN, "--service-name", "shop", "--desired-count", "3", "--deployment-controller", "type=EXTERNAL")...)
	set := cli.json(tagged(append([]string{
		"ecs", "create-task-set", "--scale", "value=100,unit=PERCENT", "--task-definition", def, "--launch-type", "FARGATE",
		"--load-balancers", fmt.Sprintf("targetGroupArn=%s,containerName=web,containerPort=8080", r.route.Primary),
		"--network-configuration", "awsvpcConfiguration={subnets=[subnet-0a1b2c3d4e5f60718],securityGroups=[sg-0a1b2c3d4e5f60718]}",
	}, at...)...)...).text("taskSet", "id")
	await(t, 90*time.Second, "steady state of "+set, func() (bool, error) {
		out := cli.json(append([]string{"ecs", "describe-task-sets", "--task-sets", set}, at...)...)
		if out.text("taskSets", 0, "stabilityStatus") != "STEADY_STATE" {
			time.Sleep(time.Second) // each question costs a second of a core
			return false, fmt.Errorf("task set: %s", out)
		}
		return true, nil
	})
	cli.json(append([]string{"ecs", "update-service-primary-task-set", "--primary-task-set", set}, at...)...)
	onlyVersion(t, r.cloud.Router().Addr(r.route.Listener), "v0", 15*time.Second)
	return set
}

// tasksOf are the ids of all tasks that a task set ever had, in order.
func (r *ring) tasksOf(set string) (ids []string) {
	for _, c := range r.cloud.ECS().Dump().Clusters {
		for _, task := range c.Tasks {
			if base(task.Set) == base(set) {
				ids = append(ids, task.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}
