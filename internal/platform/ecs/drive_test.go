package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

const (
	blue  = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/blue/1"
	green = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/green/2"
	third = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/third/3"
	rule1 = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/lb/l/r1"
	rule2 = "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/lb/l/test"
	front = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/lb/l"
)

// canaryPipeline is the pipeline of the main job.
const canaryPipeline = `
  pipeline:
    stages:
      - name: ECS_CANARY_ROLLOUT
        with: {scale: 30}
      - name: ECS_TRAFFIC_ROUTING
        with: {canary: 20}
      - name: WAIT
        with: {duration: 10s}
      - name: ECS_PRIMARY_ROLLOUT
      - name: ECS_TRAFFIC_ROUTING
        with: {primary: 100}
      - name: ECS_CANARY_CLEAN
`

// files is an application with its definitions, by path.
type files map[string]string

func (f files) ReadFile(_ context.Context, p string) ([]byte, error) {
	s, ok := f[p]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(s), nil
}

func appFiles(version, pipeline string) files {
	return files{
		"shop/app.pipecd.yaml": `apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: shop
  input:
    serviceDefinitionFile: servicedef.yaml
    taskDefinitionFile: taskdef.yaml
    targetGroups:
      primary: {targetGroupArn: ` + blue + `, containerName: web, containerPort: 80}
      canary: {targetGroupArn: ` + green + `, containerName: web, containerPort: 80}
` + pipeline,
		"shop/servicedef.yaml": `cluster: c
serviceName: shop
desiredCount: 4
deploymentController: {type: EXTERNAL}
launchType: FARGATE
healthCheckGracePeriodSeconds: 5
tags: [{key: team, value: shop}]
networkConfiguration:
  awsvpcConfiguration: {subnets: [s-2, s-1], assignPublicIp: ENABLED}
`,
		"shop/taskdef.yaml": `family: shop
cpu: 256
memory: "512"
networkMode: awsvpc
requiresCompatibilities: [FARGATE]
containerDefinitions:
  - name: web
    image: registry:5000/shop:` + version + `
    portMappings: [{containerPort: 80}]
    environment: [{name: TOKEN, value: hush}]
`,
	}
}

var app = deploy.Ref{ID: "app-1", Name: "shop", Kind: Kind, AgentID: "agent-1", Path: "shop", ConfigFile: "app.pipecd.yaml"}

// world is one application in a fake cloud.
type world struct {
	t   testing.TB
	f   *fakeCloud
	p   *Platform
	cfg *spec.Application
	d   platform.Desired
}

func (w *world) platform() *Platform {
	p := New(Options{})
	p.connect = func(context.Context, provider, Options) (cloud, error) { return w.f, nil }
	return p
}

func load(t testing.TB, fl files) (platform.Desired, *spec.Application, error) {
	t.Helper()
	cfg, _, err := spec.ReadApplication("shop/app.pipecd.yaml", []byte(fl["shop/app.pipecd.yaml"]))
	if cfg == nil {
		return platform.Desired{}, nil, err
	}
	d, err2 := New(Options{}).Load(context.Background(), platform.Source{App: app, Config: cfg, Files: fl, Commit: deploy.Commit{Hash: "0123456789abcdef"}})
	return d, cfg, spec.Join(err, err2)
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, f: newFake()}
	for _, g := range []string{blue, green, third} {
		w.f.groupsMap[g] = &group{ARN: g, Name: tail(g)}
	}
	act := func(ws ...weighted) []elbtypes.Action {
		a := []elbtypes.Action{
			{Type: elbtypes.ActionTypeEnumAuthenticateOidc, AuthenticateOidcConfig: &elbtypes.AuthenticateOidcActionConfig{ClientId: aws.String("id")}},
			{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(ws[0].ARN), ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroupStickinessConfig: &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(60)}}},
		}
		return withWeights(a, ws)
	}
	w.f.rules = []route{
		{ARN: front, Listener: front, Default: true, Priority: "default", Actions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(blue)}}},
		{ARN: rule1, Listener: front, Priority: "10", Actions: act(weighted{blue, 1}, weighted{green, 0})},
	}
	w.p = w.platform()
	return w
}

// live deploys a version at once, so that there is something to go on from.
func (w *world) live(version string) {
	w.t.Helper()
	w.want(version, "")
	w.f.lax = true
	j := &platform.MemJournal{}
	r := w.plan(deploy.StrategyQuick, nil)
	if end := w.stages(r, r.plan.Stages, j); end.Progress != platform.Done {
		w.t.Fatalf("first deployment: %+v", end)
	}
	for range 15 {
		w.f.tick()
	}
	w.f.lax, w.f.history = false, nil
}

func (w *world) want(version, pipeline string) {
	w.t.Helper()
	d, cfg, err := load(w.t, appFiles(version, pipeline))
	if err != nil {
		w.t.Fatalf("load: %v", err)
	}
	w.d, w.cfg = d, cfg
}

func (w *world) observe() platform.Live {
	w.t.Helper()
	l, err := w.p.Observe(context.Background(), platform.Target{App: app, Desired: w.d})
	if err != nil {
		w.t.Fatalf("observe: %v", err)
	}
	return l
}

// run is a planned deployment.
type run struct {
	id   string
	plan deploy.Plan
	part platform.PlanPart
	live platform.Live
	d    platform.Desired
}

func (w *world) planErr(s deploy.Strategy, good *platform.Desired) (run, error) {
	r := run{id: "dep-" + fmt.Sprint(w.f.writes), live: w.observe(), d: w.d}
	in := platform.PlanInput{App: app, Desired: w.d, Live: r.live, Strategy: s, LastGood: good}
	if s == deploy.StrategyPipeline {
		for i, st := range w.cfg.Stages {
			in.PipelineNames = append(in.PipelineNames, string(st.Name))
			if strings.HasPrefix(string(st.Name), "ECS_") {
				in.Stages = append(in.Stages, platform.StageRequest{Index: i, ID: st.ID, Name: string(st.Name), With: st.With})
			}
		}
	}
	var err error
	r.part, err = w.p.Plan(in)
	r.plan = deploy.Plan{Account: r.live.Account, Stages: r.part.Stages, Rollback: r.part.Rollback}
	return r, err
}

func (w *world) plan(s deploy.Strategy, good *platform.Desired) run {
	w.t.Helper()
	r, err := w.planErr(s, good)
	if err != nil {
		w.t.Fatalf("plan: %v", err)
	}
	return r
}

var errCrash = errors.New("the process died")

// stepOnce asks for one step once.
func (w *world) stepOnce(r run, st deploy.PlanStage, name string, j platform.Journal) (platform.Outcome, error) {
	return w.p.Run(context.Background(), platform.Step{
		DeploymentID: r.id, App: app, Commit: deploy.Commit{Hash: "c-" + r.d.Digest[:6]}, Plan: r.plan, Stage: st, Attempt: 1, Name: name, Rollback: st.Name == stageBack,
		Desired: r.d, Live: r.live, Token: r.id + "/" + st.ID + "/1/" + name, Now: w.f.now,
	}, j)
}

// step asks until the step is done or has failed; a crash is followed by the same step in a new process.
func (w *world) step(r run, st deploy.PlanStage, name string, j platform.Journal) platform.Outcome {
	w.t.Helper()
	for range 400 {
		out, err := w.stepOnce(r, st, name, j)
		switch {
		case errors.Is(err, errCrash):
			w.p = w.platform()
			w.f.tick()
			continue
		case err != nil:
			if can, _ := platform.CanRetry(err); can {
				w.f.tick()
				continue
			}
			return platform.Outcome{Progress: platform.Failed, Reason: deploy.Why("ERROR", "detail", err.Error())}
		case out.Progress != platform.Waiting:
			return out
		}
		for s := time.Duration(0); s < max(out.After, time.Second); s += time.Second {
			w.f.tick()
		}
	}
	w.t.Fatalf("%s/%s never ends", st.Name, name)
	return platform.Outcome{}
}

func (w *world) stages(r run, sts []deploy.PlanStage, j platform.Journal) platform.Outcome {
	w.t.Helper()
	for _, st := range sts {
		for _, s := range st.Steps {
			if out := w.step(r, st, s.Name, j); out.Progress != platform.Done {
				return out
			}
		}
	}
	return platform.Outcome{Progress: platform.Done}
}

// crashJournal keeps entries and can die before or after an entry is stored.
type crashJournal struct {
	platform.MemJournal
	at func(after bool) error
}

func (c *crashJournal) Put(ctx context.Context, key string, v json.RawMessage) error {
	if c.at != nil {
		if err := c.at(false); err != nil {
			return err
		}
	}
	if err := c.MemJournal.Put(ctx, key, v); err != nil {
		return err
	}
	if c.at != nil {
		return c.at(true)
	}
	return nil
}
