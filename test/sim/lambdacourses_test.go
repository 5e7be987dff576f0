package sim

import (
	"fmt"
	"testing"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/test/world"
)

// lambdaCourses are the ways a deployment of a function goes, and their ways back.
func lambdaCourses() []course {
	dead := map[string]memory.Behaviour{"v2": {FailToStart: true}}
	return []course{
		{name: "lambda canary", lambda: true, first: noPipeline, body: world.LambdaCanary, want: "SUCCESS"},
		{name: "lambda canary and back", lambda: true, first: noPipeline, body: world.LambdaCanary, cancel: "WAIT", want: "ROLLED_BACK", way: true},
		{name: "lambda quick sync", lambda: true, first: noPipeline, body: noPipeline, want: "SUCCESS"},
		{name: "lambda quick sync and back", lambda: true, first: noPipeline, body: noPipeline, images: dead, want: "ROLLED_BACK"},
		{name: "lambda first deployment", lambda: true, body: noPipeline, want: "SUCCESS"},
		{name: "lambda first deployment and back", lambda: true, body: noPipeline, images: dead, want: "ROLLED_BACK"},
		{name: "lambda adoption", lambda: true, live: true, body: world.LambdaCanary, want: "SUCCESS"},
		{name: "lambda adoption and back", lambda: true, live: true, body: world.LambdaCanary, cancel: "WAIT", want: "ROLLED_BACK", way: true},
	}
}

// lambdaPipelines are the pipelines of functions in worlds drawn from seeds.
var lambdaPipelines = []string{noPipeline, world.LambdaCanary, world.LambdaCanary, `  timeout: 30m
  pipeline:
    stages:
    - name: LAMBDA_CANARY_ROLLOUT
    - name: LAMBDA_PROMOTE
      with: {percent: 10}
    - name: WAIT_APPROVAL
      with: {timeout: 3m}
    - name: LAMBDA_PROMOTE
      with: {percent: 60}
    - name: LAMBDA_PROMOTE
      with: {percent: 100}
`}

// lambdaWrites are the writes that faults of calls meet in worlds of functions.
var lambdaWrites = []string{
	"lambda.CreateFunction", "lambda.UpdateFunctionConfiguration", "lambda.UpdateFunctionCode", "lambda.PublishVersion", "lambda.CreateAlias", "lambda.UpdateAlias",
	"lambda.DeleteFunction", "lambda.TagResource",
}

// lambdaSeeds is how many worlds of functions a thorough run looks at.
const lambdaSeeds = 16

// TestLambdaWorlds runs worlds drawn from seeds whose applications are functions.
func TestLambdaWorlds(t *testing.T) {
	seeds := 1
	if thorough() {
		seeds = lambdaSeeds
	}
	for n := range seeds {
		seed := uint64(n + 1)
		if only := replayed(); only > 0 && only != seed {
			continue
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, func(t *testing.T) { simulateECS(t, seed, plan{lambda: true}) })
			seedsRun.Add(1)
		})
	}
}
