//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// demoReport is what `penstock demo --once --json` promises to print.
type demoReport struct {
	Scenario   string
	Status     string
	Problem    string
	Requests   struct{ Total, Failed, FailedOnCanary int }
	Deployment struct {
		ID, Status, End, Display, Reason string
		Stages                           []demoStage
	}
	Final           struct{ Share, Weights map[string]float64 }
	RestoredSeconds *float64
	Errors          []string
}

type demoStage struct {
	Name, Status         string
	Rollback             bool
	StartedAt, EndedAt   time.Time
	Requests, Failed     int
	Share, ExpectedShare map[string]float64
}

const (
	shareTolerance = 0.05 // of a stage: measured beside expected
	waitTolerance  = 0.03 // of the canary's share while it waits
	waitAnswers    = 2000
	fewAnswers     = 300 // a stage with fewer answers is too short to compare shares
	restoreLimit   = 30  // seconds from the first failed health check to restored weights
)

// The demo as a user runs it, one scenario after the other: they measure shares of traffic, so they must not disturb each other.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, sc := range []struct {
		name     string
		display  string  // how the deployment ends
		wait     string  // the stage in which the canary holds its share
		share    float64 // that share
		restored bool    // the weights must be back in time
		version  string  // answers at the end
	}{
		{name: "canary", display: "SUCCESS", wait: "WAIT", share: 0.2, version: "v2"},
		{name: "blue-green", display: "SUCCESS", wait: "WAIT", share: 1, version: "v2"},
		{name: "bad-release", display: "ROLLED_BACK", restored: true, version: "v1"},
		{name: "bad-start", display: "ROLLED_BACK", version: "v1"},
		{name: "approval", display: "SUCCESS", wait: "WAIT_APPROVAL", share: 0.2, version: "v2"},
	} {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			r := runDemo(t, "ecs", sc.name)
			if r.Deployment.Display != sc.display {
				t.Errorf("the deployment ended %s (%s), want %s", r.Deployment.Display, r.Deployment.Reason, sc.display)
			}
			allowed := 0
			if sc.restored {
				allowed = r.Requests.FailedOnCanary // a version that dies cannot answer; the other one must
			}
			if r.Requests.Failed > allowed {
				t.Errorf("%d of %d requests failed, %d of them on the canary: %v", r.Requests.Failed, r.Requests.Total, r.Requests.FailedOnCanary, r.Errors)
			}
			if r.Final.Share[sc.version] != 1 || r.Final.Weights["primary"] != 100 || r.Final.Weights["canary"] != 0 {
				t.Errorf("at the end: share %v, weights %v", r.Final.Share, r.Final.Weights)
			}
			checkShares(t, r, allowed)
			if sc.wait != "" {
				checkWait(t, r, sc.wait, sc.share)
			}
			if sc.restored && (r.RestoredSeconds == nil || *r.RestoredSeconds > restoreLimit) {
				t.Errorf("seconds until the weights were restored: %v, want at most %d", r.RestoredSeconds, restoreLimit)
			}
			checkOrder(t, r, sc.display == "SUCCESS")
		})
	}
}

// A canary of a function: 20 % of at least 2,000 invocations while it waits, and none failed.
func TestDemoOfAFunction(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]string{"canary": "WAIT", "approval": "WAIT_APPROVAL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runDemo(t, "lambda", name)
			if r.Deployment.Display != "SUCCESS" || r.Requests.Failed > 0 {
				t.Errorf("ended %s (%s), %d of %d requests failed: %v", r.Deployment.Display, r.Deployment.Reason, r.Requests.Failed, r.Requests.Total, r.Errors)
			}
			if r.Final.Share["v2"] != 1 || r.Final.Weights["primary"] != 100 || r.Final.Weights["canary"] != 0 {
				t.Errorf("at the end: share %v, weights %v", r.Final.Share, r.Final.Weights)
			}
			checkShares(t, r, 0)
			checkWait(t, r, wait, 0.2)
			checkOrder(t, r, true)
		})
	}
}

// runDemo runs one scenario to its end and decodes the one object it prints.
func runDemo(t *testing.T, platform, scenario string) demoReport {
	t.Helper()
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), penstock, "demo", "--once", "--json", "--listen", "127.0.0.1:0", "--platform", platform, "--scenario", scenario)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err := cmd.Run()
	t.Logf("%s took %s", scenario, time.Since(began).Round(time.Second))
	var r demoReport
	dec := json.NewDecoder(bytes.NewReader(out.Bytes()))
	if derr := dec.Decode(&r); derr != nil {
		t.Fatalf("standard output is not one JSON object: %v (exit: %v)\n%s\n%s", derr, err, tail(out.String(), 20), tail(words.String(), 40))
	}
	if rest := strings.TrimSpace(string(out.Bytes()[dec.InputOffset():])); rest != "" {
		t.Errorf("standard output goes on behind the object: %q", rest)
	}
	if err != nil || r.Status != "ok" || r.Problem != "" || r.Scenario != scenario {
		t.Errorf("scenario %s ended with status %q, problem %q, exit: %v\n%s", r.Scenario, r.Status, r.Problem, err, tail(words.String(), 40))
	}
	return r
}

// checkShares compares, stage after stage, what clients counted with what the router should have done.
func checkShares(t *testing.T, r demoReport, allowed int) {
	t.Helper()
	for _, s := range r.Deployment.Stages {
		if s.Failed > allowed {
			t.Errorf("%s: %d failed requests", s.Name, s.Failed)
		}
		if s.Requests < fewAnswers {
			continue
		}
		for _, v := range []string{"v1", "v2"} {
			if math.Abs(s.Share[v]-s.ExpectedShare[v]) > shareTolerance {
				t.Errorf("%s: %s answered %.1f %%, expected %.1f %%", s.Name, v, 100*s.Share[v], 100*s.ExpectedShare[v])
			}
		}
	}
}

func checkWait(t *testing.T, r demoReport, name string, share float64) {
	t.Helper()
	for _, s := range r.Deployment.Stages {
		if s.Name != name {
			continue
		}
		if s.Requests < waitAnswers || math.Abs(s.Share["v2"]-share) > waitTolerance {
			t.Errorf("%s: v2 answered %.2f %% of %d, want %.0f ± %.0f %% of at least %d", name, 100*s.Share["v2"], s.Requests, 100*share, 100*waitTolerance, waitAnswers)
		}
		return
	}
	t.Errorf("stage %s did not run", name)
}

// checkOrder sees that stages ran one after the other and that the way back ran if, and only if, it should.
func checkOrder(t *testing.T, r demoReport, success bool) {
	t.Helper()
	back, last := false, time.Time{}
	var names []string
	for _, s := range r.Deployment.Stages {
		names = append(names, fmt.Sprintf("%s %s", s.Name, s.Status))
		if s.StartedAt.Before(last) || s.EndedAt.Before(s.StartedAt) {
			t.Errorf("%s ran from %s to %s, the stage before ended %s", s.Name, s.StartedAt, s.EndedAt, last)
		}
		last = s.EndedAt
		back = back || s.Rollback
	}
	if back == success || len(names) == 0 {
		t.Errorf("stages that ran: %v", names)
	}
}
