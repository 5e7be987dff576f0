package agent

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the agent's own, prefix penstock_agent_.
type metrics struct {
	steps     *prometheus.CounterVec // outcome: done, waiting, failed, retried, interrupted
	apiErrors *prometheus.CounterVec // call
	polls     *prometheus.CounterVec // result: same, moved, error
	guards    *prometheus.CounterVec // result: fine, breach, error, doubtful
	observed  *prometheus.CounterVec // result: same, changed, error
	compared  *prometheus.CounterVec // result: same, drift, error
	blocked   prometheus.Counter
	between   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, leaseAge func() float64) *metrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "penstock_agent_" + name, Help: help}, []string{label})
	}
	m := &metrics{
		steps:     counter("steps_total", "Calls of a platform to do a step, by what became of it.", "outcome"),
		apiErrors: counter("api_errors_total", "Failed calls to the control plane.", "call"),
		polls:     counter("git_polls_total", "Questions to git hosts where a branch is.", "result"),
		guards:    counter("guard_runs_total", "Looks of the guard.", "result"),
		observed:  counter("observations_total", "Observations of applications.", "result"),
		compared:  counter("comparisons_total", "Comparisons of what is live with what is declared.", "result"),
		blocked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "penstock_agent_writes_blocked_total", Help: "Steps that had to wait because the lease did not cover them.",
		}),
		between: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "penstock_agent_between_steps_seconds", Help: "From the end of a step to the beginning of the next: the agent's own overhead and its report.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5},
		}),
	}
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "penstock_agent_lease_age_seconds", Help: "Time since the lease was renewed."}, leaseAge)
	reg.MustRegister(m.steps, m.apiErrors, m.polls, m.guards, m.observed, m.compared, m.blocked, m.between, age)
	return m
}
