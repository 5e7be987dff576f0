package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/spec"
)

const head = "apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  name: shop\n"

const canary = head + `  pipeline:
    stages:
      - name: ECS_CANARY_ROLLOUT
      - name: ECS_TRAFFIC_ROUTING
      - name: WAIT
        with: {duration: 150s}
      - name: WAIT_APPROVAL
        with: {approvers: [ann, bob], minApproverNum: 2}
      - name: ECS_PRIMARY_ROLLOUT
        timeout: 20m
`

func app(t *testing.T, text string) *spec.Application {
	t.Helper()
	a, _, err := spec.ReadApplication("app.pipecd.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// changed is any difference between live and desired.
func changed() change.Changes {
	return change.Diff(map[string]any{"image": "v1"}, map[string]any{"image": "v2"}, change.Options{})
}

func versions(v string) []deploy.Version {
	return []deploy.Version{{Kind: "CONTAINER_IMAGE", Name: "web", Version: v}}
}

func TestChoose(t *testing.T) {
	live := Input{Exists: true, Changes: changed(), From: versions("v1"), To: versions("v2")}
	for _, c := range []struct {
		name     string
		file     string
		in       Input
		strategy deploy.Strategy
		code     string
		nothing  bool
	}{
		{"no pipeline", head, live, deploy.StrategyQuick, deploy.ReasonNoPipeline, false},
		{"a new version", canary, live, deploy.StrategyPipeline, deploy.ReasonVersionChange, false},
		{"same version, other change", canary, with(live, func(in *Input) { in.To = in.From }), deploy.StrategyPipeline, deploy.ReasonChanges, false},
		{"nothing live", canary, with(live, func(in *Input) { in.Exists = false }), deploy.StrategyQuick, deploy.ReasonFirstDeployment, false},
		{"nothing changed", canary, with(live, func(in *Input) { in.Changes = change.Changes{} }), deploy.StrategyQuick, deploy.ReasonNoChanges, true},
		{"nothing changed, nothing live", canary, Input{}, deploy.StrategyQuick, deploy.ReasonFirstDeployment, false},
		{"nothing changed, a person asks", canary, with(live, func(in *Input) {
			in.Changes, in.Trigger.Kind = change.Changes{}, deploy.OnCommand
		}), deploy.StrategyPipeline, deploy.ReasonVersionChange, false},
		{"always", canary + "  planner:\n    alwaysUsePipeline: true\n", with(live, func(in *Input) { in.Exists = false }), deploy.StrategyPipeline, deploy.ReasonAlwaysPipeline, false},
		{"quick by a person", canary, with(live, func(in *Input) { in.Trigger.Strategy = deploy.StrategyQuick }), deploy.StrategyQuick, deploy.ReasonUserCommand, false},
		{"pipeline by a person", canary, with(live, func(in *Input) {
			in.Exists, in.Trigger.Strategy = false, deploy.StrategyPipeline
		}), deploy.StrategyPipeline, deploy.ReasonUserCommand, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.App = app(t, c.file)
			got, err := Choose(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Strategy != c.strategy || got.Why.Code != c.code || got.Nothing != c.nothing {
				t.Errorf("got %s %s nothing=%v, want %s %s nothing=%v", got.Strategy, got.Why, got.Nothing, c.strategy, c.code, c.nothing)
			}
		})
	}
}

func with(in Input, change func(*Input)) Input {
	change(&in)
	return in
}

func TestChooseRefuses(t *testing.T) {
	_, err := Choose(Input{App: app(t, head), Trigger: deploy.Trigger{Strategy: deploy.StrategyPipeline}})
	if deploy.CodeOf(err) != deploy.CodeInvalid || !strings.Contains(err.Error(), "no pipeline") {
		t.Errorf("a pipeline sync without a pipeline: %v", err)
	}
	_, err = Choose(Input{App: app(t, head+"  pipeline:\n    stages:\n      - name: SCRIPT_RUN\n        with: {run: make}\n")})
	if err == nil || !strings.Contains(err.Error(), "SCRIPT_RUN is not active") || !strings.Contains(err.Error(), "app.pipecd.yaml:") {
		t.Errorf("an inactive stage must stop the plan and name its line: %v", err)
	}
}

// own is what a platform would return for the canary file.
func own() Part {
	stage := func(name string, from, to float64) deploy.PlanStage {
		return deploy.PlanStage{Name: name, Type: deploy.StagePlatform, Steps: []deploy.PlanStep{{Name: "go"}}, Exposure: deploy.Exposure{From: from, To: to}}
	}
	return Part{
		Stages:        []deploy.PlanStage{stage("ECS_CANARY_ROLLOUT", 0, 0), stage("ECS_TRAFFIC_ROUTING", 0, 20), stage("ECS_PRIMARY_ROLLOUT", 20, 100)},
		Rollback:      []deploy.PlanStage{{ID: "Rollback", Name: "ROLLBACK", Type: deploy.StagePlatform}},
		RollbackLimit: time.Minute, SettleTime: 30 * time.Second,
	}
}

func TestAssemblePipeline(t *testing.T) {
	in := Input{App: app(t, canary), Exists: true, DesiredDigest: "new", LiveDigest: "old", Account: "1/r"}
	p, err := Assemble(in, Choice{Strategy: deploy.StrategyPipeline}, own())
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		ID, Name string
		Type     deploy.StageType
		Exposure deploy.Exposure
	}
	var got []row
	for _, s := range p.Stages {
		got = append(got, row{s.ID, s.Name, s.Type, s.Exposure})
	}
	want := []row{
		{"stage-0", "ECS_CANARY_ROLLOUT", deploy.StagePlatform, deploy.Exposure{}},
		{"stage-1", "ECS_TRAFFIC_ROUTING", deploy.StagePlatform, deploy.Exposure{To: 20}},
		{"stage-2", "WAIT", deploy.StageWait, deploy.Exposure{From: 20, To: 20}},
		{"stage-3", "WAIT_APPROVAL", deploy.StageApproval, deploy.Exposure{From: 20, To: 20}},
		{"stage-4", "ECS_PRIMARY_ROLLOUT", deploy.StagePlatform, deploy.Exposure{From: 20, To: 100}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if p.Stages[2].Wait != 150*time.Second || p.Stages[3].Approvals != 2 || len(p.Stages[3].Approvers) != 2 || p.Stages[3].Timeout != 6*time.Hour {
		t.Errorf("options of the generic stages are lost: %+v %+v", p.Stages[2], p.Stages[3])
	}
	if p.Stages[4].Timeout != 20*time.Minute || p.Stages[0].Timeout != 6*time.Hour {
		t.Errorf("stage timeouts: %v, default %v", p.Stages[4].Timeout, p.Stages[0].Timeout)
	}
	if p.Timeout != 6*time.Hour || p.RollbackLimit != time.Minute || !p.AutoRollback || len(p.Rollback) != 1 {
		t.Errorf("limits and the way back: %+v", p)
	}
}

func TestAssembleNothingHasNoStages(t *testing.T) {
	p, err := Assemble(Input{App: app(t, canary), Exists: true, DesiredDigest: "d"}, Choice{Strategy: deploy.StrategyQuick, Nothing: true}, own())
	if err != nil || len(p.Stages)+len(p.Rollback) != 0 || p.DesiredDigest != "d" {
		t.Errorf("nothing to do must plan nothing: %+v, %v", p, err)
	}
}

func TestAssembleRefusesAWrongPart(t *testing.T) {
	in := Input{App: app(t, canary), Exists: true}
	short := own()
	short.Stages = short.Stages[:2]
	if _, err := Assemble(in, Choice{Strategy: deploy.StrategyPipeline}, short); err == nil {
		t.Error("a platform that planned too few stages must be refused")
	}
	long := own()
	long.Stages = append(long.Stages, long.Stages[0])
	if _, err := Assemble(in, Choice{Strategy: deploy.StrategyPipeline}, long); err == nil {
		t.Error("a platform that planned too many stages must be refused")
	}
	twice := own()
	twice.Rollback[0].ID = "stage-1"
	if _, err := Assemble(in, Choice{Strategy: deploy.StrategyPipeline}, twice); err == nil {
		t.Error("a way back with the id of a stage must be refused")
	}
}

func TestSkipOnIsResolvedWhenPlanned(t *testing.T) {
	file := head + "  pipeline:\n    stages:\n      - name: WAIT\n        with:\n          duration: 1m\n          skipOn: {commitMessagePrefixes: ['hotfix:'], paths: ['docs/**']}\n"
	for _, c := range []struct {
		name    string
		running string
		message string
		changed []string
		skipped bool
	}{
		{"prefix", "abc", "hotfix: now", nil, true},
		{"no prefix", "abc", "feature", []string{"main.go"}, false},
		{"all paths match", "abc", "feature", []string{"docs/a.md", "docs/b/c.md"}, true},
		{"one path does not", "abc", "feature", []string{"docs/a.md", "main.go"}, false},
		{"nothing deployed before", "", "hotfix: now", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := Input{App: app(t, file), Exists: true, RunningCommit: c.running, CommitMessage: c.message, Changed: c.changed}
			p, err := Assemble(in, Choice{Strategy: deploy.StrategyPipeline}, Part{})
			if err != nil {
				t.Fatal(err)
			}
			if got := !p.Stages[0].Skip.IsZero(); got != c.skipped {
				t.Errorf("skipped %v, want %v", got, c.skipped)
			}
		})
	}
}

// Whatever generic stages stand between the platform's, order is kept and
// exposure never jumps between two stages.
func TestExposureIsContinuous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := head + "  pipeline:\n    stages:\n"
		var part Part
		at := 0.0
		for range rapid.IntRange(1, 8).Draw(t, "stages") {
			if rapid.Bool().Draw(t, "generic") {
				file += "      - name: WAIT\n        with: {duration: 1s}\n"
				continue
			}
			file += "      - name: ECS_TRAFFIC_ROUTING\n"
			to := float64(rapid.IntRange(0, 100).Draw(t, "to"))
			part.Stages = append(part.Stages, deploy.PlanStage{Type: deploy.StagePlatform, Exposure: deploy.Exposure{From: at, To: to}})
			at = to
		}
		a, _, err := spec.ReadApplication("app.pipecd.yaml", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		p, err := Assemble(Input{App: a, Exists: true}, Choice{Strategy: deploy.StrategyPipeline}, part)
		if err != nil {
			t.Fatal(err)
		}
		last := 0.0
		for i, s := range p.Stages {
			if s.Name != a.Stages[i].Name {
				t.Fatalf("stage %d is %s, want %s", i, s.Name, a.Stages[i].Name)
			}
			if s.Exposure.From != last {
				t.Fatalf("stage %d begins at %v, the one before ended at %v", i, s.Exposure.From, last)
			}
			last = s.Exposure.To
		}
	})
}
