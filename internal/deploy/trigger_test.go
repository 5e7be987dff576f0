package deploy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
)

type suffix string

func (s suffix) Match(p string) bool { return strings.HasSuffix(p, string(s)) }

func TestTouches(t *testing.T) {
	for name, c := range map[string]struct {
		rule    deploy.CommitRule
		changed []string
		want    bool
	}{
		"in its directory":           {deploy.CommitRule{Dir: "shop/web"}, []string{"shop/web/taskdef.yaml"}, true},
		"below its directory":        {deploy.CommitRule{Dir: "shop/web"}, []string{"shop/web/a/b"}, true},
		"a directory that begins so": {deploy.CommitRule{Dir: "shop/web"}, []string{"shop/web2/x"}, false},
		"elsewhere":                  {deploy.CommitRule{Dir: "shop/web"}, []string{"README.md"}, false},
		"root":                       {deploy.CommitRule{}, []string{"any"}, true},
		"nothing changed":            {deploy.CommitRule{}, nil, false},
		"further paths":              {deploy.CommitRule{Dir: "a", Paths: suffix(".tf")}, []string{"modules/x.tf"}, true},
		"one ignored path stops":     {deploy.CommitRule{Dir: "a", Ignores: suffix(".md")}, []string{"a/x.yaml", "a/doc.md"}, false},
		"ignores beat paths":         {deploy.CommitRule{Dir: "a", Paths: suffix(".md"), Ignores: suffix(".md")}, []string{"b/doc.md"}, false},
		"disabled":                   {deploy.CommitRule{Disabled: true}, []string{"a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, why := c.rule.Touches(c.changed)
			if got != c.want {
				t.Errorf("Touches(%v) = %v (%s), want %v", c.changed, got, why, c.want)
			}
			if why.IsZero() {
				t.Error("no reason was given")
			}
		})
	}
}

// TestTriggerKeysDiffer: kind, application and cause all count, and none can
// be moved from one to another.
func TestTriggerKeysDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]deploy.TriggerKind{deploy.OnCommit, deploy.OnCommand, deploy.OnOutOfSync, deploy.OnChain})
		text := rapid.StringMatching(`[a-c/]{0,3}`)
		k1, a1, c1 := kind.Draw(t, "k1"), text.Draw(t, "a1"), text.Draw(t, "c1")
		k2, a2, c2 := kind.Draw(t, "k2"), text.Draw(t, "a2"), text.Draw(t, "c2")
		same := k1 == k2 && a1 == a2 && c1 == c2
		if (deploy.TriggerKey(k1, a1, c1) == deploy.TriggerKey(k2, a2, c2)) != same {
			t.Fatalf("keys of (%s %q %q) and (%s %q %q)", k1, a1, c1, k2, a2, c2)
		}
	})
}

func TestReasonString(t *testing.T) {
	got := deploy.Why("X", "b", "2", "a", `q"`, "dropped").String()
	if want := `X a="q\"" b="2"`; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
}

// TestUnknownFieldsSurvive: an event of a newer version keeps what this one
// does not know.
func TestUnknownFieldsSurvive(t *testing.T) {
	e := deploy.NewEvent(deploy.EvStarted, time.Unix(1, 0), deploy.Reason{}, deploy.StartedData{Deadline: time.Unix(9, 0).UTC()})
	e.Data = json.RawMessage(`{"deadline":"2026-01-01T00:00:00Z","ofTomorrow":{"x":[1,2]}}`)
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back deploy.Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(back.Data), "ofTomorrow") {
		t.Errorf("the unknown field is gone: %s", back.Data)
	}
	if d, err := deploy.Decode[deploy.StartedData](back); err != nil || d.Deadline.Year() != 2026 {
		t.Errorf("Decode = %v, %v", d, err)
	}
}

func TestHealthOfTakesTheWorst(t *testing.T) {
	r := func(hs ...deploy.Health) (out []deploy.Resource) {
		for _, h := range hs {
			out = append(out, deploy.Resource{Health: h})
		}
		return out
	}
	for _, c := range []struct {
		in   []deploy.Resource
		want deploy.Health
	}{
		{nil, deploy.HealthUnknown},
		{r(deploy.HealthHealthy, deploy.HealthHealthy), deploy.HealthHealthy},
		{r(deploy.HealthHealthy, deploy.HealthUnknown), deploy.HealthUnknown},
		{r(deploy.HealthProgressing, deploy.HealthUnhealthy, deploy.HealthHealthy), deploy.HealthUnhealthy},
	} {
		if got := deploy.HealthOf(c.in); got != c.want {
			t.Errorf("HealthOf(%v) = %s, want %s", c.in, got, c.want)
		}
	}
}

func TestIsBy(t *testing.T) {
	tr := deploy.Trigger{By: "key:release", Commit: deploy.Commit{Author: " Ann Lee ", Email: "Ann@Example.com"}}
	for person, want := range map[string]bool{
		"ann": true, "Ann": true, "ann lee": true, "ann@example.com": true, "key:ann": true, "key:release": true, "release": true,
		"bob": false, "": false, "key:": false, "example.com": false,
	} {
		if got := tr.IsBy(person); got != want {
			t.Errorf("IsBy(%q) = %v", person, got)
		}
	}
	if (deploy.Trigger{}).IsBy("") {
		t.Error("nobody is the author of nothing")
	}
}
