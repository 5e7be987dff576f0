package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const apiHead = "apiVersion: pipecd.dev/v1beta1\n"

func readApp(t *testing.T, text string, extra ...KindInfo) (*Application, Warnings) {
	t.Helper()
	app, warnings, err := ReadApplication("app.pipecd.yaml", []byte(apiHead+text), extra...)
	if err != nil {
		t.Fatal(err)
	}
	return app, warnings
}

// TestAutoRollback: the input's word wins, then the planner's, then the platform's default.
func TestAutoRollback(t *testing.T) {
	for _, c := range []struct {
		kind, input, planner string
		want                 bool
	}{
		{"ECSApp", "", "", true},
		{"TerraformApp", "", "", false},
		{"ECSApp", "no", "", false},
		{"ECSApp", "", "no", false},
		{"ECSApp", "yes", "no", true},
		{"ECSApp", "no", "yes", false},
		{"TerraformApp", "", "yes", true},
		{"TerraformApp", "no", "yes", false},
		{"ECSApp", "~", "~", true},
		{"ECSApp", "~", "no", false},
	} {
		text := "kind: " + c.kind + "\nspec:\n"
		if c.input != "" {
			text += "  input: {AutoRollback: " + c.input + "}\n"
		}
		if c.planner != "" {
			text += "  planner: {autoRollback: " + c.planner + "}\n"
		}
		if app, _ := readApp(t, text); app.AutoRollback != c.want {
			t.Errorf("%+v: %v", c, app.AutoRollback)
		}
	}
}

// TestTimeoutAndSkipOnInBothPlaces: the older kinds obey what is under with, the plugin form what is on the stage.
func TestTimeoutAndSkipOnInBothPlaces(t *testing.T) {
	pipeline := `
  pipeline:
    stages:
      - name: WAIT_APPROVAL
        timeout: 1h
        skipOn: {commitMessagePrefixes: [outer]}
        with: {timeout: 2h, skipOn: {commitMessagePrefixes: [inner]}}
`
	for head, want := range map[string]string{
		"kind: ECSApp\nspec:":                            "2h0m0s inner",
		"kind: Application\nspec:\n  plugins: {ecs: {}}": "1h0m0s outer",
	} {
		app, warnings := readApp(t, head+pipeline)
		s := app.Stages[0]
		if got := fmt.Sprint(s.Approval.Timeout, " ", s.SkipOn.CommitMessagePrefixes[0]); got != want || s.Timeout != s.Approval.Timeout {
			t.Errorf("%s: %s, want %s", head, got, want)
		}
		if !strings.Contains(warnings.String(), "timeout is given twice") || !strings.Contains(warnings.String(), "skipOn is given twice") {
			t.Errorf("no warning in %v", warnings)
		}
	}
}

func TestWaitLongerThanTimeout(t *testing.T) {
	_, warnings := readApp(t, "kind: ECSApp\nspec:\n  pipeline:\n    stages:\n      - name: WAIT\n        with: {duration: 7h}\n")
	if len(warnings) != 1 || warnings[0].Line != 7 || !strings.Contains(warnings[0].Message, "times out after 6h0m0s") {
		t.Error(warnings)
	}
}

// TestInactiveStages: whatever this version does not carry out is named, with the reason, and what it does is not.
func TestInactiveStages(t *testing.T) {
	app, warnings := readApp(t, `kind: ECSApp
spec:
  pipeline:
    stages:
      - {name: ECS_SYNC}
      - {name: ANALYSIS, with: {duration: 1m}}
      - {name: SCRIPT_RUN}
      - {name: CUSTOM_SYNC, with: {run: x}}
      - {name: LAMBDA_SYNC}
      - {name: WAIT, with: {duration: 1m}}
      - {name: WAIT_APPROVAL}
`)
	var names []string
	for _, s := range app.Inactive() {
		names = append(names, s.Name)
		if !slices.ContainsFunc(warnings, func(w Error) bool { return w.Line == s.Pos.Line && strings.HasPrefix(w.Message, s.Inactive) }) {
			t.Errorf("no warning on line %d for %s", s.Pos.Line, s.Name)
		}
	}
	if want := []string{"ANALYSIS", "SCRIPT_RUN", "CUSTOM_SYNC", "LAMBDA_SYNC"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if s, ok := app.Stage("stage-5"); !ok || s.Wait.Duration != time.Minute {
		t.Error("stage-5 is not the WAIT stage")
	}
	if _, ok := app.Stage("nope"); ok {
		t.Error("a stage that is not there is found")
	}
}

func TestExtraKind(t *testing.T) {
	fake := KindInfo{Kind: "FakeApp", Platform: "FAKE", Plugin: "fake", Stages: []string{"FAKE_SYNC"}, Fields: []string{"seed"}, AutoRollback: true}
	text := "kind: FakeApp\nspec:\n  name: x\n  seed: 1\n  pipeline: {stages: [{name: FAKE_SYNC}]}\n"
	app, warnings := readApp(t, text, fake)
	if app.Platform != "FAKE" || !app.AutoRollback || len(app.Inactive()) > 0 || len(warnings) > 0 || app.Section.Get("seed").Value() != int64(1) {
		t.Errorf("%+v %v", app, warnings)
	}
	app, _ = readApp(t, "kind: Application\nspec:\n  plugins: {fake: {input: {a: b}}}\n", fake)
	if app.Platform != "FAKE" || app.Input.Get("a").Text() != "b" {
		t.Errorf("%+v", app)
	}
	if app, _, err := ReadApplication("a", []byte(apiHead+text)); err == nil || app != nil {
		t.Error("an unknown kind is accepted")
	}
}

// TestStrictness: unknown keys are refused in the older kinds except in stages, and tolerated everywhere in the plugin form.
func TestStrictness(t *testing.T) {
	stage := "  pipeline: {stages: [{name: WAIT, more: 1, with: {duration: 1m, more: {x: 1}}}]}\n"
	_, warnings := readApp(t, "kind: ECSApp\nspec:\n"+stage)
	if len(warnings) != 2 {
		t.Error(warnings)
	}
	_, warnings = readApp(t, "kind: Application\nmore: 1\nspec:\n  more: 1\n  plugins: {ecs: ~}\n  trigger: {more: 1}\n"+stage)
	if len(warnings) != 5 {
		t.Error(warnings)
	}
	app, _ := readApp(t, "kind: Application\nspec:\n  plugins: {ecs: {input: {x: 1}}}\n")
	if !app.Input.Lenient() {
		t.Error("the platform would refuse unknown keys of the plugin form")
	}
	app, _ = readApp(t, "kind: ECSApp\nspec:\n  input: {x: 1}\n")
	if app.Input.Lenient() {
		t.Error("the platform would tolerate unknown keys of input")
	}
}

// TestErrorsComeWithTheApplication: the platform can add its problems to the generic ones.
func TestErrorsComeWithTheApplication(t *testing.T) {
	app, _, err := ReadApplication("a.yaml", []byte(apiHead+"kind: ECSApp\nspec:\n  timeout: 5\n  input: {accessType: 3}\n"))
	if app == nil || err == nil {
		t.Fatalf("%v %v", app, err)
	}
	d := NewDecoder()
	var s string
	d.Object(app.Input).String("accessType", &s)
	_, more := d.Finish()
	if all, ok := Join(more, err).(Errors); !ok || len(all) != 2 || all[0].Line != 4 || all[1].Line != 5 {
		t.Error(Join(more, err))
	}
}

func TestIsApplicationFile(t *testing.T) {
	for name, want := range map[string]bool{
		"app.pipecd.yaml": true, "web.pipecd.yaml": true, "dir/app.pipecd.yaml": true, ".pipe.yaml": true, "dir/.pipe.yaml": true, ".pipecd.yaml": true,
		"app.pipecd.yml": false, "app.yaml": false, "x.pipe.yaml": false, "pipecd.yaml": false, "app.pipecd.yaml.old": false, "": false, "app.pipecd.yaml/x": false,
	} {
		if IsApplicationFile(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

func TestKindsAreDistinct(t *testing.T) {
	kinds := Kinds()
	for _, info := range builtinKinds() {
		if !slices.Contains(kinds, info.Kind) {
			t.Errorf("%s is missing", info.Kind)
		}
	}
	slices.Sort(kinds)
	if len(slices.Compact(kinds)) != 10 {
		t.Errorf("%v", kinds)
	}
}
