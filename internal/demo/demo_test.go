package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/spec"
)

func TestFilesOfEveryScenarioAreValid(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			app, warnings, err := spec.ReadApplication("app.pipecd.yaml", []byte(appFile("arn:p", "arn:c", sc.share, 25*time.Second, sc.approval)))
			if err != nil || len(warnings) > 0 {
				t.Fatalf("%v %v", err, warnings)
			}
			if len(app.Stages) != 6 {
				t.Fatalf("the pipeline has %d stages, the issue's has 6", len(app.Stages))
			}
			if got := app.Stages[2].Name; got != sc.waitStage() || !plan.IsGeneric(app.Stages[2]) {
				t.Errorf("the third stage is %s, want %s", got, sc.waitStage())
			}
			for name, text := range map[string]string{"servicedef.yaml": serviceFile("arn:cluster"), "taskdef.yaml": taskFile("v2", sc.env)} {
				if _, _, err := spec.Parse(name, []byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestFilesOfAFunctionAreValid(t *testing.T) {
	w := &world{opt: Options{Wait: 25 * time.Second}}
	for _, sc := range scenarios {
		if sc.fits("lambda") != nil {
			continue
		}
		files := (&lambdaTarget{w: w}).files(sc, "v2")
		app, warnings, err := spec.ReadApplication("app.pipecd.yaml", []byte(files["shop/app.pipecd.yaml"]))
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%v %v", err, warnings)
		}
		if got := app.Stages[2].Name; len(app.Stages) != 4 || got != sc.waitStage() {
			t.Errorf("%s: %d stages, the third is %s", sc.name, len(app.Stages), got)
		}
		if _, _, err := spec.Parse("function.yaml", []byte(files["shop/function.yaml"])); err != nil {
			t.Error(err)
		}
	}
}

func TestScenariosThatNeedHealthChecks(t *testing.T) {
	for _, c := range []struct {
		platform, scenario, want string
	}{{"lambda", "bad-release", "needs health checks"}, {"lambda", "bad-start", "needs health checks"}, {"lambda", "canary", ""}, {"kubernetes", "canary", "there are ecs, lambda"}} {
		o := Options{Platform: c.platform, Scenario: c.scenario}
		if err := o.prepare(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s on %s: %v, want %q", c.scenario, c.platform, err, c.want)
		}
	}
}

// fine is a report of a canary that went well.
func fine() report {
	share := func(v2 float64) map[string]float64 { return map[string]float64{"v1": 1 - v2, "v2": v2} }
	return report{
		Scenario: "canary", Requests: requests{Total: 9000},
		Deployment: deploymentReport{Display: "SUCCESS", Stages: []stageReport{
			{Name: "ECS_TRAFFIC_ROUTING", Requests: 1800, Share: share(.13), ExpectedShare: share(.14)},
			{Name: "WAIT", Requests: 3700, Share: share(.21), ExpectedShare: share(.2)},
		}},
		Final: final{Share: share(1), Weights: map[string]float64{"primary": 100, "canary": 0}},
	}
}

func TestProblem(t *testing.T) {
	for _, c := range []struct {
		name     string
		scenario string
		spoil    func(*report)
		want     string // part of the problem, "" for none
	}{
		{"as it should be", "canary", func(*report) {}, ""},
		{"another end", "canary", func(r *report) { r.Deployment.Display = "ROLLED_BACK" }, "ended ROLLED_BACK"},
		{"one failed request", "canary", func(r *report) { r.Requests.Failed = 1 }, "1 of 9000 requests failed"},
		{"failures on the canary count too", "canary", func(r *report) { r.Requests.Failed, r.Requests.FailedOnCanary = 2, 2 }, "2 of 9000"},
		{"share in WAIT too high", "canary", func(r *report) { r.Deployment.Stages[1].Share["v2"] = .24 }, "in WAIT v2 answered 24.0 %"},
		{"share far from what was expected", "canary", func(r *report) { r.Deployment.Stages[0].Share["v2"] = .2 }, "expected were 14.0 %"},
		{"too few answers to compare", "canary", func(r *report) {
			r.Deployment.Stages[0].Share["v2"], r.Deployment.Stages[0].Requests = .2, 100
		}, ""},
		{"too few answers in WAIT", "canary", func(r *report) { r.Deployment.Stages[1].Requests = 1999 }, "only 1999 answers"},
		{"weight left at the end", "canary", func(r *report) { r.Final.Weights["canary"] = 20 }, "weights are"},
		{"a bad release must go back", "bad-release", func(*report) {}, "not ROLLED_BACK"},
		{"its own failures are allowed", "bad-release", func(r *report) { badRelease(r, 15) }, ""},
		{"those of v1 are not", "bad-release", func(r *report) { badRelease(r, 15); r.Requests.Failed = 4 }, "4 of 9000"},
		{"too slow", "bad-release", func(r *report) { badRelease(r, 31) }, "not restored within 30 s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := fine()
			c.spoil(&r)
			sc, err := scenarioNamed(c.scenario)
			if err != nil {
				t.Fatal(err)
			}
			got := problem(sc, r)
			if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
				t.Errorf("problem %q, want %q", got, c.want)
			}
		})
	}
}

// badRelease turns the report into one of a release that went back.
func badRelease(r *report, seconds float64) {
	r.Deployment.Display, r.RestoredSeconds = "ROLLED_BACK", &seconds
	r.Final.Share = map[string]float64{"v1": 1, "v2": 0}
	r.Requests.Failed, r.Requests.FailedOnCanary = 3, 3
}

func TestUnknownScenario(t *testing.T) {
	o := Options{Scenario: "canary-ish"}
	if err := o.prepare(); err == nil || !strings.Contains(err.Error(), "blue-green") {
		t.Errorf("an unknown scenario must be refused with the known ones: %v", err)
	}
}

func TestCountsBySpan(t *testing.T) {
	l := &load{buckets: map[int64]count{}}
	t0 := time.Unix(100, 0)
	for i := range 40 { // 2 s, two answers a bucket
		c := newCount()
		c.Total, c.By["v1"], c.By["v2"] = 2, 1, 1
		l.buckets[bucketOf(t0.Add(time.Duration(i)*bucket))] = c
	}
	got := l.between(t0.Add(500*time.Millisecond), t0.Add(1500*time.Millisecond))
	if got.Total != 40 || got.share()["v2"] != .5 {
		t.Errorf("counted %d with share %v, want 40 and one half", got.Total, got.share())
	}
}
