package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/spec"
)

var kind = spec.KindInfo{Kind: "DemoApp", Platform: "DEMO", Plugin: "demo", AutoRollback: true, Stages: []string{"DEMO_SYNC", "DEMO_CANARY", "DEMO_PRIMARY"}}

const pipeline = `
  pipeline:
    stages:
    - name: DEMO_CANARY
    - name: WAIT
      with: {duration: 2m}
    - id: gate
      name: WAIT_APPROVAL
      with: {approvers: [ann], minApproverNum: 1, timeout: 1h}
      skipOn:
        commitMessagePrefixes: ["hotfix:"]
    - name: DEMO_PRIMARY
      desc: everybody
`

func file(t *testing.T, body string) *spec.Application {
	t.Helper()
	app, _, err := spec.ReadApplication("web/app.pipecd.yaml", []byte("apiVersion: pipecd.dev/v1beta1\nkind: DemoApp\nspec:\n  name: web"+body), kind)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

var changed = change.Diff(map[string]any{"image": "v1"}, map[string]any{"image": "v2"}, change.Options{})

func version(v string) []deploy.Version { return []deploy.Version{{Version: v}} }

// TestChoose: quick sync or pipeline, and why, in the order of the rules.
func TestChoose(t *testing.T) {
	commit := deploy.Trigger{Kind: deploy.OnCommit, Commit: deploy.Commit{Hash: "abcdef0123"}}
	person := func(s deploy.Strategy) deploy.Trigger {
		return deploy.Trigger{Kind: deploy.OnCommand, By: "ann", Strategy: s}
	}
	for name, c := range map[string]struct {
		body     string
		trigger  deploy.Trigger
		exists   bool
		changes  change.Changes
		from, to string
		strategy deploy.Strategy
		why      string
		nothing  bool
	}{
		"a person asks for quick":          {pipeline, person(deploy.StrategyQuick), true, changed, "v1", "v2", deploy.StrategyQuick, deploy.ReasonUserCommand, false},
		"a person asks for the pipeline":   {pipeline, person(deploy.StrategyPipeline), true, change.Changes{}, "v1", "v1", deploy.StrategyPipeline, deploy.ReasonUserCommand, false},
		"nothing differs":                  {pipeline, commit, true, change.Changes{}, "v1", "v1", deploy.StrategyQuick, deploy.ReasonNoChanges, true},
		"nothing differs, a person asked":  {pipeline, person(deploy.StrategyAuto), true, change.Changes{}, "v1", "v1", deploy.StrategyPipeline, deploy.ReasonChanges, false},
		"no pipeline":                      {"\n", commit, true, changed, "v1", "v2", deploy.StrategyQuick, deploy.ReasonNoPipeline, false},
		"nothing live":                     {pipeline, commit, false, change.Changes{}, "", "v1", deploy.StrategyQuick, deploy.ReasonFirstDeployment, false},
		"nothing live, always a pipeline":  {pipeline + "  planner: {alwaysUsePipeline: true}\n", commit, false, change.Changes{}, "", "v1", deploy.StrategyPipeline, deploy.ReasonAlwaysPipeline, false},
		"another version":                  {pipeline, commit, true, changed, "v1", "v2", deploy.StrategyPipeline, deploy.ReasonVersionChange, false},
		"the same version, other settings": {pipeline, commit, true, changed, "v1", "v1", deploy.StrategyPipeline, deploy.ReasonChanges, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := plan.Input{App: file(t, c.body), Trigger: c.trigger, Exists: c.exists, Changes: c.changes, From: version(c.from), To: version(c.to)}
			got, err := plan.Choose(in)
			if err != nil {
				t.Fatal(err)
			}
			if got.Strategy != c.strategy || got.Why.Code != c.why || got.Nothing != c.nothing {
				t.Errorf("got %+v, want %s %s nothing=%v", got, c.strategy, c.why, c.nothing)
			}
		})
	}
}

func TestChooseRefuses(t *testing.T) {
	in := plan.Input{App: file(t, "\n"), Trigger: deploy.Trigger{Kind: deploy.OnCommand, Strategy: deploy.StrategyPipeline}}
	if _, err := plan.Choose(in); deploy.CodeOf(err) != deploy.CodeInvalid || !strings.Contains(err.Error(), "web/app.pipecd.yaml") {
		t.Errorf("a pipeline that is not there: %v", err)
	}
	in.App = file(t, "\n  pipeline:\n    stages:\n    - name: ANALYSIS\n      with:\n        duration: 5m\n        metrics: [{provider: p, query: q, interval: 1m, expected: {max: 1}}]\n")
	if _, err := plan.Choose(in); err == nil || !strings.Contains(err.Error(), "ANALYSIS is not active") {
		t.Errorf("an inactive stage: %v", err)
	}
}

func own(names ...string) (out []deploy.PlanStage) {
	for i, n := range names {
		out = append(out, deploy.PlanStage{ID: n, Name: n, Type: deploy.StagePlatform, Steps: []deploy.PlanStep{{Name: "x"}}, Exposure: deploy.Exposure{From: float64(20 * i), To: float64(20 * (i + 1))}})
	}
	return out
}

// TestAssemble: generic stages stand where the file has them, with their
// options, and exposure goes on through them.
func TestAssemble(t *testing.T) {
	in := plan.Input{App: file(t, pipeline), Exists: true, RunningCommit: "c1", CommitMessage: "hotfix: now", Trigger: deploy.Trigger{Commit: deploy.Commit{Hash: "c2"}}, DesiredDigest: "x", Account: "1/eu"}
	p, err := plan.Assemble(in, plan.Choice{Strategy: deploy.StrategyPipeline}, plan.Part{Stages: own("DEMO_CANARY", "DEMO_PRIMARY"), Rollback: own("BACK"), SettleTime: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range p.Stages {
		got = append(got, s.ID+" "+s.Name+" "+string(s.Type))
	}
	want := []string{"stage-0 DEMO_CANARY PLATFORM", "stage-1 WAIT WAIT", "gate WAIT_APPROVAL APPROVAL", "stage-3 DEMO_PRIMARY PLATFORM"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if s := p.Stages[1]; s.Wait != 2*time.Minute || s.Exposure != (deploy.Exposure{From: 20, To: 20}) {
		t.Errorf("wait is %+v", s)
	}
	if s := p.Stages[2]; s.Timeout != time.Hour || s.Approvals != 1 || s.Skip.Code != deploy.ReasonSkipOn || !cmp.Equal(s.Approvers, []string{"ann"}) {
		t.Errorf("approval is %+v", s)
	}
	if s := p.Stages[3]; s.Desc != "everybody" || s.Timeout <= 0 {
		t.Errorf("primary is %+v", s)
	}
	if !p.AutoRollback || p.Timeout <= 0 || p.Account != "1/eu" || len(p.Rollback) != 1 {
		t.Errorf("plan is %+v", p)
	}
}

func TestSkipNeedsSomethingToCompareWith(t *testing.T) {
	in := plan.Input{App: file(t, pipeline), CommitMessage: "hotfix: now"}
	p, err := plan.Assemble(in, plan.Choice{Strategy: deploy.StrategyPipeline}, plan.Part{Stages: own("DEMO_CANARY", "DEMO_PRIMARY")})
	if err != nil || !p.Stages[2].Skip.IsZero() {
		t.Errorf("skipped without a running commit: %+v, %v", p.Stages[2], err)
	}
}

func TestAssembleRefusesWhatDoesNotFit(t *testing.T) {
	in := plan.Input{App: file(t, pipeline)}
	pipe := plan.Choice{Strategy: deploy.StrategyPipeline}
	for name, part := range map[string]plan.Part{
		"too few":            {Stages: own("DEMO_CANARY")},
		"too many":           {Stages: own("DEMO_CANARY", "DEMO_PRIMARY", "DEMO_SYNC")},
		"an id of both ways": {Stages: own("DEMO_CANARY", "DEMO_PRIMARY"), Rollback: own("gate")},
	} {
		if _, err := plan.Assemble(in, pipe, part); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if p, err := plan.Assemble(in, plan.Choice{Nothing: true}, plan.Part{}); err != nil || len(p.Stages) != 0 {
		t.Errorf("nothing to do: %+v, %v", p, err)
	}
}

// TestAnyPlanCanBeDriven: whatever mixture of stages a file has, ids are
// unique and the platform's stages keep their order.
func TestAnyPlanCanBeDriven(t *testing.T) {
	base := t
	rapid.Check(t, func(t *rapid.T) {
		var body strings.Builder
		body.WriteString("\n  pipeline:\n    stages:\n")
		var names []string
		for range rapid.IntRange(1, 8).Draw(t, "stages") {
			name := rapid.SampledFrom([]string{"DEMO_CANARY", "DEMO_PRIMARY", "WAIT", "WAIT_APPROVAL"}).Draw(t, "stage")
			body.WriteString("    - name: " + name + "\n")
			if name == "WAIT" {
				body.WriteString("      with: {duration: 1s}\n")
			}
			if strings.HasPrefix(name, "DEMO") {
				names = append(names, name)
			}
		}
		in := plan.Input{App: file(base, body.String()), Exists: true}
		p, err := plan.Assemble(in, plan.Choice{Strategy: deploy.StrategyPipeline}, plan.Part{Stages: own(names...), Rollback: []deploy.PlanStage{{ID: "rollback", Name: "BACK"}}})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, s := range p.Stages {
			if seen[s.ID] || s.Type == "" {
				t.Fatalf("stage %+v", s)
			}
			seen[s.ID] = true
			if s.Type == deploy.StagePlatform {
				if s.Name != names[0] {
					t.Fatalf("%s stands where %s should", s.Name, names[0])
				}
				names = names[1:]
			}
		}
	})
}
