package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// target is what the demo deploys to: one platform with what a team has there
// before its first deployment.
type target interface {
	// prepare makes what a team's Terraform would have made.
	prepare(ctx context.Context) error
	// provider is the platform provider in the agent's file: its name and type.
	provider() (name, kind string)
	// files are the application's files of a version, by path.
	files(sc scenario, version string) map[string]string
	// edited is the file in which a person changes the version.
	edited() string
	// entrance is the address that users come through; "" before there is one.
	entrance() string
	// open makes the entrance, once v1 is live.
	open(ctx context.Context) error
	// sample is what the data plane would do with a request now.
	sample() sample
	// failedOnCanary counts the requests that failed on the new version's side.
	failedOnCanary() int
}

// kind is a platform that the demo can deploy to.
type kind struct {
	name    string
	healthy bool // it looks after the health of what runs, and so can tell of a version that is not well
	target  func(*world) target
}

func kinds() []kind {
	return []kind{
		{"ecs", true, func(w *world) target { return &ecsTarget{w: w} }},
		{"lambda", false, func(w *world) target { return &lambdaTarget{w: w} }},
	}
}

// Platforms lists what the demo can deploy to, for help and completion; the first is the default.
func Platforms() []string {
	var out []string
	for _, k := range kinds() {
		out = append(out, k.name)
	}
	return out
}

func kindOf(name string) (kind, bool) {
	i := slices.Index(Platforms(), name)
	if i < 0 {
		return kind{}, false
	}
	return kinds()[i], true
}

// fits says whether a scenario can be told on a platform.
func (s scenario) fits(platform string) error {
	k, ok := kindOf(platform)
	switch {
	case !ok:
		return fmt.Errorf("there is no platform %q; there are %s", platform, strings.Join(Platforms(), ", "))
	case !k.healthy && (s.unwell || s.env != nil):
		return fmt.Errorf("scenario %s needs health checks, which functions do not have: take another one, or --platform ecs", s.name)
	}
	return nil
}

// ecsTarget is a service behind a load balancer.
type ecsTarget struct{ w *world }

func (t *ecsTarget) prepare(ctx context.Context) (err error) {
	t.w.stage, err = buildStage(ctx, t.w.cloud)
	return err
}

func (*ecsTarget) provider() (name, kind string) { return "ecs", "ECS" }

func (t *ecsTarget) files(sc scenario, version string) map[string]string {
	var env map[string]string
	if version != "v1" {
		env = sc.env
	}
	return map[string]string{
		appDir + "/app.pipecd.yaml": appFile(t.w.stage.primary, t.w.stage.canary, sc.share, t.w.opt.Wait, sc.approval),
		appDir + "/servicedef.yaml": serviceFile(t.w.stage.cluster), appDir + "/taskdef.yaml": taskFile(version, env),
	}
}

func (*ecsTarget) edited() string { return appDir + "/taskdef.yaml" }

func (t *ecsTarget) entrance() string {
	return "http://" + t.w.cloud.Router().Addr(t.w.stage.listener) + "/"
}

func (*ecsTarget) open(context.Context) error { return nil }

func (t *ecsTarget) sample() sample { return t.w.routed() }

func (t *ecsTarget) failedOnCanary() int { return t.w.failedOn(t.w.stage.canary) }

// waitStages is the third stage of every pipeline of the demo.
func waitStages(wait time.Duration, approval bool) string {
	if approval {
		return "      - name: WAIT_APPROVAL\n        with: {timeout: 30m}"
	}
	return fmt.Sprintf("      - name: WAIT\n        with: {duration: %s}", wait)
}
