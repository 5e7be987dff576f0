package lambda

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

const start = "  pipeline:\n    stages:\n"

// served is a live function whose alias sends to version 1.
func served(change func(*snapshot)) *snapshot {
	conf := config{Role: "arn:aws:iam::1:role/shop", Memory: 128, Timeout: 3, Storage: 512, Architecture: "x86_64"}
	s := &snapshot{
		Account:  "1/eu-west-1",
		Function: &function{Name: "shop", ARN: "arn:f", Latest: version{Number: latest, Package: packageImage, Config: conf, Image: "demo:v0", State: stateActive}},
		Alias:    &alias{ARN: "arn:f:Service", Version: "1"}, Versions: map[string]version{"1": {Number: "1", Package: packageImage, Config: conf, Image: "demo:v0", State: stateActive}},
	}
	if change != nil {
		change(s)
	}
	return s
}

func planned(t *testing.T, app string, snap *snapshot) (platform.PlanPart, error) {
	t.Helper()
	d, err := load(t, app, small("", ""))
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := spec.ReadApplication("app.pipecd.yaml", []byte(app))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(snap)
	if err != nil {
		t.Fatal(err)
	}
	in := platform.PlanInput{Desired: d, Live: platform.Live{Exists: snap.Function != nil, Account: snap.Account, Body: body}, Strategy: deploy.StrategyQuick}
	for i, st := range a.Stages {
		in.Strategy = deploy.StrategyPipeline
		in.PipelineNames = append(in.PipelineNames, st.Name)
		if !plan.IsGeneric(st) {
			in.Stages = append(in.Stages, platform.StageRequest{Index: i, ID: st.ID, Name: st.Name, With: st.With})
		}
	}
	return New(Options{}).Plan(in)
}

func TestPlanRefusesWhatCannotWork(t *testing.T) {
	promote := func(percent string) string {
		return "    - name: LAMBDA_PROMOTE\n      with: {percent: " + percent + "}\n"
	}
	const rollout = "    - name: LAMBDA_CANARY_ROLLOUT\n"
	for name, c := range map[string]struct {
		stages string
		change func(*snapshot)
		want   string // "" for a plan that works
	}{
		"a canary":             {rollout + promote("20") + promote("100"), nil, ""},
		"steps and back":       {rollout + promote("20") + promote("0") + promote("50") + promote("100"), nil, ""},
		"sync as a stage":      {"    - name: LAMBDA_SYNC\n", nil, ""},
		"nothing to promote":   {promote("100"), nil, "put LAMBDA_CANARY_ROLLOUT before it"},
		"it ends in the air":   {rollout + promote("20"), nil, "ends while the new version has 20 %"},
		"it never begins":      {rollout, nil, "ends while the new version has 0 %"},
		"no alias to split":    {rollout + promote("20") + promote("100"), func(s *snapshot) { s.Alias, s.Versions = nil, nil }, "alias Service of shop does not exist yet"},
		"no alias, all":        {rollout + promote("100"), func(s *snapshot) { s.Alias, s.Versions = nil, nil }, ""},
		"another role":         {rollout + promote("20") + promote("100"), func(s *snapshot) { v := s.Versions["1"]; v.Config.Role = "r"; s.Versions["1"] = v }, "only between versions with the same role"},
		"another role at once": {rollout + promote("100"), func(s *snapshot) { v := s.Versions["1"]; v.Config.Role = "r"; s.Versions["1"] = v }, ""},
		"another dead letter":  {rollout + promote("20") + promote("100"), func(s *snapshot) { s.Function.Latest.DeadLetters = "q" }, "the same dead-letter target"},
		"zip becomes image":    {rollout + promote("100"), func(s *snapshot) { s.Function.Latest.Package = packageZip }, "Lambda cannot change that"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := planned(t, head+start+c.stages, served(c.change))
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || deploy.CodeOf(err) != deploy.CodeInvalid) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestPlanFollowsTheShare(t *testing.T) {
	p, err := planned(t, head+canary, served(nil))
	if err != nil {
		t.Fatal(err)
	}
	var got []deploy.Exposure
	for _, s := range p.Stages {
		got = append(got, s.Exposure)
	}
	if diff := cmp.Diff([]deploy.Exposure{{}, {To: 20}, {From: 20, To: 100}}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]deploy.Claim{{Kind: "alias", Key: "1/eu-west-1/shop:Service"}, {Kind: "function", Key: "1/eu-west-1/shop"}}, p.Claims); diff != "" {
		t.Error(diff)
	}
	if p.SettleTime != 10*time.Second || len(p.Rollback) != 1 {
		t.Errorf("settle %s, way back %v", p.SettleTime, p.Rollback)
	}
}

// TestTheAliasIsWrittenSafely: what the alias is during a split, and when a found one is somebody else's.
func TestTheAliasIsWrittenSafely(t *testing.T) {
	j := &job{d: &desired{Name: "shop", Alias: "Service"}, snap: served(nil)}
	for percent, want := range map[int]string{0: "version 1 100 %", 20: "version 1 80 %, version 2 20 %", 100: "version 2 100 %"} {
		if got := j.wanted("2", percent).text(); got != want {
			t.Errorf("%d %%: %s, want %s", percent, got, want)
		}
	}
	if got := j.wanted("1", 20).text(); got != "version 1 100 %" {
		t.Errorf("the version that serves is split with itself: %s", got)
	}
	now := time.Unix(1000, 0)
	one, split, other := &alias{Version: "1"}, j.wanted("2", 20), &alias{Version: "7"}
	for name, c := range map[string]struct {
		rec     routeRecord
		known   bool
		found   *alias
		foreign bool
	}{
		"untouched":             {routeRecord{}, false, one, false},
		"somebody was faster":   {routeRecord{}, false, other, true},
		"written":               {routeRecord{Written: platform.Written{At: now.Add(-time.Minute)}, Now: split, Was: one}, true, split, false},
		"a read that lags":      {routeRecord{Written: platform.Written{At: now.Add(-time.Second)}, Now: split, Was: one}, true, one, false},
		"turned back by others": {routeRecord{Written: platform.Written{At: now.Add(-time.Minute)}, Now: split, Was: one}, true, one, true},
		"an answer got lost":    {routeRecord{Written: platform.Written{At: now.Add(-time.Minute), Writing: true}, Now: split, Was: one}, true, one, false},
		"deleted by others":     {routeRecord{Written: platform.Written{At: now.Add(-time.Minute)}, Now: split, Was: one}, true, nil, true},
	} {
		if got := foreign(j.d, c.rec, c.known, one, c.found, now); got.IsZero() == c.foreign {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestACallInDoubtIsWaitedFor: the next write settles only when the one before it can come no more.
func TestACallInDoubtIsWaitedFor(t *testing.T) {
	t0 := time.Unix(1000, 0)
	lost := platform.Written{At: t0, Writing: true}
	next := lost.Again(t0.Add(5 * time.Second))
	if got := next.Settled(10*time.Second, lateLimit); !got.Equal(t0.Add(lateLimit)) {
		t.Errorf("settled at %s, want %s", got, t0.Add(lateLimit))
	}
	if got := (platform.Written{At: t0}).Again(t0.Add(5*time.Second)).Settled(10*time.Second, lateLimit); !got.Equal(t0.Add(15 * time.Second)) {
		t.Errorf("without doubt settled at %s", got)
	}
}
