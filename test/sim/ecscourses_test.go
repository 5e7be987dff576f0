package sim

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/test/world"
)

// crashCloud is the local cloud of the crash matrix: two router nodes that take
// new weights over 2 to 10 s after the API shows them.
var crashCloud = world.AWSOptions{
	Seed: 7, Every: 500 * time.Millisecond,
	Profile: localcloud.Profile{
		Name: "crash", Latency: 20 * time.Millisecond, Nodes: 2, WeightLagMin: 2 * time.Second, WeightLagMax: 10 * time.Second, Watch: 2 * time.Second,
	},
}

const ecsBlueGreen = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 100}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 100}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`

// nativeSteps is a strategy with bake times: a way back may begin while Amazon ECS waits by itself.
const nativeSteps = "LINEAR, bakeTimeInMinutes: 1, linearConfiguration: {stepPercent: 50, stepBakeTimeInMinutes: 1}"

const ecsLinear = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 100}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 50}
    - name: ECS_PRIMARY_ROLLOUT
`

const ecsRolling = `  pipeline:
    stages:
    - name: ECS_PRIMARY_ROLLOUT
`

// ecsCourses are the ways a deployment on ECS goes, and their ways back.
func ecsCourses() []course {
	sick := map[string]memory.Behaviour{"v2": {UnhealthyAfter: 60 * time.Second}}
	dead := map[string]memory.Behaviour{"v2": {FailToStart: true}}
	return []course{
		{name: "ecs canary", first: noPipeline, body: world.ArticleCanary, want: "SUCCESS"},
		{name: "ecs canary and back", first: noPipeline, body: world.ArticleCanary, cancel: "ECS_CANARY_CLEAN", want: "ROLLED_BACK", way: true},
		{name: "ecs sick canary", first: noPipeline, body: world.ArticleCanary, images: sick, want: "ROLLED_BACK", way: true},
		{name: "ecs blue-green", first: noPipeline, body: ecsBlueGreen, want: "SUCCESS"},
		{name: "ecs blue-green and back", first: noPipeline, body: ecsBlueGreen, cancel: "ECS_PRIMARY_ROLLOUT", want: "ROLLED_BACK", way: true},
		{name: "ecs quick sync", first: noPipeline, body: noPipeline, want: "SUCCESS"},
		{name: "ecs quick sync and back", first: noPipeline, body: noPipeline, images: dead, want: "ROLLED_BACK", way: true},
		{name: "ecs first deployment", body: noPipeline, want: "SUCCESS"},
		{name: "ecs first deployment and back", body: noPipeline, images: dead, want: "ROLLED_BACK", way: true},
		{name: "ecs adoption", live: true, body: world.ArticleCanary, want: "SUCCESS"},
		{name: "ecs adoption and back", live: true, body: world.ArticleCanary, images: sick, want: "ROLLED_BACK", way: true},
		{name: "ecs native canary", native: "CANARY", first: noPipeline, body: world.ArticleCanary, want: "SUCCESS"},
		{name: "ecs native canary and back", native: "CANARY", first: noPipeline, body: world.ArticleCanary, cancel: "WAIT", want: "ROLLED_BACK", way: true},
		{name: "ecs native sick canary", native: "CANARY", first: noPipeline, body: world.ArticleCanary, images: sick, want: "ROLLED_BACK", way: true},
		{name: "ecs native quick sync and back", native: nativeSteps, first: noPipeline, body: noPipeline, cancel: "ECS_SYNC", want: "ROLLED_BACK"},
		{name: "ecs native linear", native: nativeSteps, first: noPipeline, body: ecsLinear, want: "SUCCESS"},
		{name: "ecs native linear and back", native: nativeSteps, first: noPipeline, body: ecsLinear, cancel: "ECS_PRIMARY_ROLLOUT", want: "ROLLED_BACK", way: true},
		{name: "ecs native rolling", native: "ROLLING", first: noPipeline, body: ecsRolling, want: "SUCCESS"},
		{name: "ecs native rolling and back", native: "ROLLING", first: noPipeline, body: ecsRolling, images: dead, want: "ROLLED_BACK", way: true},
		{name: "ecs native blue-green", native: "BLUE_GREEN", first: noPipeline, body: ecsBlueGreen, want: "SUCCESS"},
		{name: "ecs native blue-green and back", native: "BLUE_GREEN", first: noPipeline, body: ecsBlueGreen, cancel: "ECS_PRIMARY_ROLLOUT", want: "ROLLED_BACK", way: true},
		{name: "ecs native first deployment and back", native: "BLUE_GREEN", body: noPipeline, images: dead, want: "ROLLED_BACK"},
	}
}

// TestCourses: each course ends as it should when nothing dies.
func TestCourses(t *testing.T) {
	onlySeeds(t)
	for _, c := range append(ecsCourses(), lambdaCourses()...) {
		if !thorough() && c.name != "ecs adoption and back" && c.name != "lambda adoption and back" {
			continue
		}
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			for _, m := range []mode{{name: "reads", read: true}, {name: "cloud writes", cloud: true}, {name: "durable writes"}} {
				inWorld(t, func(t *testing.T) { crashOnce(t, c, m, 1<<30) })
				if !thorough() {
					break
				}
			}
		})
	}
}
