package demo

import (
	"fmt"
	"math"
	"time"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// report is the JSON of `penstock demo --once --json`.
type report struct {
	Scenario   string           `json:"scenario"`
	Status     string           `json:"status"` // ok or failed
	Problem    string           `json:"problem,omitempty"`
	Requests   requests         `json:"requests"`
	Deployment deploymentReport `json:"deployment"`
	Final      final            `json:"final"`
	// RestoredSeconds is the time from the first failed health check to
	// restored weights (bad-release only).
	RestoredSeconds *float64 `json:"restoredSeconds,omitempty"`
	Errors          []string `json:"errors,omitempty"` // the first failed requests
}

type requests struct {
	Total  int `json:"total"`
	Failed int `json:"failed"`
	// FailedOnCanary is how many of the failed ones the load balancer had given
	// to the canary group: those are the bad version's own.
	FailedOnCanary int `json:"failedOnCanary"`
}

type deploymentReport struct {
	ID      string        `json:"id"`
	Status  string        `json:"status"`
	End     string        `json:"end"`
	Display string        `json:"display"`
	Reason  string        `json:"reason,omitempty"`
	Stages  []stageReport `json:"stages"`
}

// stageReport is one stage that ran. Share is what the clients counted,
// expectedShare what the router's effective weights and the targets of each
// moment predict, plannedExposure what the plan said in percent on v2.
type stageReport struct {
	ID              string             `json:"id"`
	Name            string             `json:"name"`
	Status          string             `json:"status"`
	Rollback        bool               `json:"rollback,omitempty"`
	StartedAt       time.Time          `json:"startedAt"`
	EndedAt         time.Time          `json:"endedAt"`
	Requests        int                `json:"requests"`
	Failed          int                `json:"failed"`
	Share           map[string]float64 `json:"share"`
	ExpectedShare   map[string]float64 `json:"expectedShare"`
	PlannedExposure [2]float64         `json:"plannedExposure"`
}

type final struct {
	Share   map[string]float64 `json:"share"`
	Weights map[string]float64 `json:"weights"`
}

// judge measures the run and says whether it ended as it should.
func judge(sc scenario, d *penstockv1.Deployment, l *load, obs *observer, act *actor, began, ended time.Time) report {
	all := l.between(began, ended)
	r := report{
		Scenario: sc.name, Requests: requests{Total: all.Total, Failed: all.Failed, FailedOnCanary: obs.w.target.failedOnCanary()},
		Deployment: deploymentReport{ID: d.Id, Status: d.Status, End: d.End, Display: d.Display, Reason: d.GetFailed().GetText()},
		Final:      final{Share: rounded(l.between(ended.Add(-2*time.Second), ended).share()), Weights: obs.w.target.sample().weights},
		Errors:     l.firstErrors(),
	}
	for _, s := range d.Stages {
		if s.StartedAt == nil || s.EndedAt == nil {
			continue
		}
		from, to := s.StartedAt.AsTime(), s.EndedAt.AsTime()
		c := l.between(from, to)
		r.Deployment.Stages = append(r.Deployment.Stages, stageReport{
			ID: s.Id, Name: s.Name, Status: s.Status, Rollback: s.Rollback, StartedAt: from, EndedAt: to, Requests: c.Total, Failed: c.Failed,
			Share: rounded(c.share()), ExpectedShare: rounded(obs.expectedBetween(from, to)),
			PlannedExposure: [2]float64{s.GetExposure().GetFrom(), s.GetExposure().GetTo()},
		})
	}
	if sc.unwell {
		r.RestoredSeconds = restored(obs, act)
	}
	r.Problem = problem(sc, r)
	r.Status = "ok"
	if r.Problem != "" {
		r.Status = "failed"
	}
	return r
}

// restored measures from the first failed health check, taken as the moment
// the tasks were told to fail, which is at most one check interval earlier.
func restored(obs *observer, act *actor) *float64 {
	back, ok := obs.first(act.actedAt, func(s sample) bool { return s.weights["canary"] == 0 })
	if !act.acted || !ok {
		return nil
	}
	seconds := math.Round(back.Sub(act.actedAt).Seconds()*10) / 10
	return &seconds
}

// Bounds of the judgement (the figures).
const (
	shareTolerance = 0.05
	waitTolerance  = 0.03
	waitAnswers    = 2000
	fewAnswers     = 300 // below this a share is too noisy to compare
	restoreLimit   = 30
)

// problem names the first thing that is not as it should be, or nothing.
func problem(sc scenario, r report) string {
	if r.Deployment.Display != sc.end {
		return fmt.Sprintf("the deployment ended %s (%s), not %s", r.Deployment.Display, r.Deployment.Reason, sc.end)
	}
	last := map[bool]string{true: "v2", false: "v1"}[sc.end == "SUCCESS"]
	allowed := 0
	if sc.unwell {
		allowed = r.Requests.FailedOnCanary // v1 must answer without failure; a version that dies cannot
	}
	if r.Requests.Failed > allowed {
		return fmt.Sprintf("%d of %d requests failed, %d of them on the canary", r.Requests.Failed, r.Requests.Total, r.Requests.FailedOnCanary)
	}
	if r.Final.Share[last] < 0.999 || r.Final.Weights["canary"] != 0 {
		return fmt.Sprintf("at the end %s answers %.1f %% and the weights are %v", last, 100*r.Final.Share[last], r.Final.Weights)
	}
	for _, s := range r.Deployment.Stages {
		if p := stageProblem(sc, s); p != "" {
			return p
		}
	}
	if sc.unwell && (r.RestoredSeconds == nil || *r.RestoredSeconds > restoreLimit) {
		return fmt.Sprintf("the weights were not restored within %d s", restoreLimit)
	}
	return ""
}

func stageProblem(sc scenario, s stageReport) string {
	if s.Requests >= fewAnswers && math.Abs(s.Share["v2"]-s.ExpectedShare["v2"]) > shareTolerance {
		return fmt.Sprintf("in %s v2 answered %.1f %%, expected were %.1f %%", s.Name, 100*s.Share["v2"], 100*s.ExpectedShare["v2"])
	}
	if s.Name != sc.waitStage() || sc.end != "SUCCESS" {
		return ""
	}
	if s.Requests < waitAnswers {
		return fmt.Sprintf("only %d answers came in %s", s.Requests, s.Name)
	}
	if want := float64(sc.share) / 100; math.Abs(s.Share["v2"]-want) > waitTolerance {
		return fmt.Sprintf("in %s v2 answered %.1f %%, not %d ± 3 %%", s.Name, 100*s.Share["v2"], sc.share)
	}
	return ""
}

// rounded shows shares with both versions, so that 0 is told from unknown.
func rounded(m map[string]float64) map[string]float64 {
	out := map[string]float64{"v1": 0, "v2": 0}
	for k, v := range m {
		out[k] = math.Round(v*10000) / 10000
	}
	return out
}
