package server

import (
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// metrics is what the control plane tells Prometheus about itself.
type metrics struct {
	rpcs        *prometheus.HistogramVec
	deployments *prometheus.CounterVec
	durations   *prometheus.HistogramVec
	stages      *prometheus.HistogramVec
	queueing    prometheus.Histogram
	leases      *prometheus.CounterVec
	webhooks    *prometheus.CounterVec
	clockErrors prometheus.Counter
}

func newMetrics(reg *prometheus.Registry) *metrics {
	long := []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 12 * 3600}
	m := &metrics{
		rpcs: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_rpc_seconds", Help: "Time of unary calls by procedure and code.", Buckets: []float64{.001, .005, .02, .1, .5, 2},
		}, []string{"procedure", "code"}),
		deployments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_deployments_total", Help: "Finished deployments by what a person reads (SUCCESS, ROLLED_BACK, …).",
		}, []string{"project", "kind", "display"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_deployment_seconds", Help: "Time from trigger to end.", Buckets: long,
		}, []string{"project", "kind", "display"}),
		stages: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "penstock_stage_seconds", Help: "Time of stages by name and end.", Buckets: long,
		}, []string{"name", "status"}),
		queueing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "penstock_queue_seconds", Help: "Time from trigger to admission.", Buckets: long,
		}),
		leases: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_agent_sessions_ended_total", Help: "Agent sessions ended, by how: left or expired.",
		}, []string{"how"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "penstock_webhooks_total", Help: "Webhooks by kind of host and result.",
		}, []string{"host", "result"}),
		clockErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "penstock_clock_errors_total", Help: "Failures of the timer loop.",
		}),
	}
	reg.MustRegister(m.rpcs, m.deployments, m.durations, m.stages, m.queueing, m.leases, m.webhooks, m.clockErrors,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) rpc(procedure string, start time.Time, err error) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
		if c := deploy.CodeOf(err); c != deploy.CodeInternal {
			code = string(c)
		}
	}
	m.rpcs.WithLabelValues(procedure[strings.LastIndexByte(procedure, '/')+1:], code).Observe(time.Since(start).Seconds())
}

// decided counts what a decision changed.
func (m *metrics) decided(before, after deploy.Deployment) {
	if before.AdmittedAt.IsZero() && !after.AdmittedAt.IsZero() {
		m.queueing.Observe(after.AdmittedAt.Sub(after.TriggeredAt).Seconds())
	}
	for i, s := range after.Stages {
		if s.Status.Terminal() && !s.StartedAt.IsZero() && (i >= len(before.Stages) || !before.Stages[i].Status.Terminal()) {
			m.stages.WithLabelValues(s.Name, string(s.Status)).Observe(s.EndedAt.Sub(s.StartedAt).Seconds())
		}
	}
	if after.Status.Terminal() && !before.Status.Terminal() {
		labels := []string{after.ProjectID, string(after.App.Kind), after.Display()}
		m.deployments.WithLabelValues(labels...).Inc()
		m.durations.WithLabelValues(labels...).Observe(after.FinishedAt.Sub(after.TriggeredAt).Seconds())
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
