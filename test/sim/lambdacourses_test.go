package sim

import (
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
		{name: "lambda quick sync and back", lambda: true, first: noPipeline, body: noPipeline, images: dead, want: "ROLLED_BACK", way: true},
		{name: "lambda first deployment", lambda: true, body: noPipeline, want: "SUCCESS"},
		{name: "lambda first deployment and back", lambda: true, body: noPipeline, images: dead, want: "ROLLED_BACK"},
		{name: "lambda adoption", lambda: true, live: true, body: world.LambdaCanary, want: "SUCCESS"},
		{name: "lambda adoption and back", lambda: true, live: true, body: world.LambdaCanary, cancel: "WAIT", want: "ROLLED_BACK", way: true},
	}
}
