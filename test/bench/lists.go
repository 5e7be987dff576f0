package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-cd/penstock/internal/blob/mem"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/server"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// fleet is a server over a seeded database.
type fleet struct {
	url, token string
	hc         *http.Client
	stop       func()
}

// openFleet opens a server over a seeded directory: what is measured there is
// reading, and the little that is written does not change what lists cost.
func openFleet(ctx context.Context, dir string) (*fleet, error) {
	st, err := sqlite.Open(ctx, dir, sqlite.Options{NoSync: true})
	if err != nil {
		return nil, err
	}
	const user, password = "ann", "a password for one run"
	srv, err := server.New(ctx, server.Options{Store: st, Blobs: &mem.Store{}, Admin: server.Admin{Username: user, PasswordHash: server.HashPassword(password)}})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- srv.Run(run) }()
	web := httptest.NewServer(srv.Handler())
	f := &fleet{url: web.URL, hc: web.Client(), stop: func() {
		cancel()
		<-done //nolint:errcheck // the run was ended on purpose
		web.Close()
		_ = st.Close()
	}}
	in, err := penstockv1connect.NewProjectServiceClient(f.hc, f.url).Login(ctx, connect.NewRequest(&penstockv1.LoginRequest{Username: user, Password: password}))
	if err != nil {
		f.stop()
		return nil, err
	}
	f.token = in.Msg.Token
	return f, nil
}

// call sends one request as the page does and gives the time until the answer
// is there, and its size as it came over the wire.
func (f *fleet) call(ctx context.Context, procedure string, m, into proto.Message) (took time.Duration, size int, err error) {
	body, err := proto.Marshal(m)
	if err != nil {
		return 0, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url+procedure, bytes.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Content-Type", "application/proto")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Authorization", "Bearer "+f.token)
	from := time.Now()
	res, err := f.hc.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	took = time.Since(from)
	if err != nil || res.StatusCode != http.StatusOK {
		return took, 0, errors.Join(err, fmt.Errorf("%s: %s %s", procedure, res.Status, text))
	}
	if into != nil && res.Header.Get("Content-Encoding") == "" {
		err = proto.Unmarshal(text, into)
	}
	return took, len(text), err
}

// applicationRequests are what people ask of a long list.
func applicationRequests() []proto.Message {
	var out []proto.Message
	for _, m := range []*penstockv1.ListApplicationsRequest{
		{},
		{Sort: "-last_deployment"},
		{Sort: "attention"},
		{Sort: "health"},
		{Sort: "-name"},
		{Kinds: []string{"ECSApp"}},
		{Query: "payments"},
		{Query: "api prod"},
		{Query: "nothing has this name"},
		{Labels: map[string]string{"env": "prod"}},
		{Labels: map[string]string{"team": "search", "env": "dev"}, Sort: "attention"},
		{Displays: []string{"ROLLED_BACK"}},
		{SyncStates: []string{"DEPLOYING"}, Sort: "-last_deployment"},
		{AgentIds: []string{"agent-03"}, Healths: []string{"UNKNOWN"}},
		{Providers: []string{"prod-ECSApp"}, Kinds: []string{"ECSApp", "LambdaApp"}, Sort: "display"},
	} {
		m.Facets = true
		out = append(out, m)
	}
	return out
}

// deploymentRequests are what people ask of the history.
func deploymentRequests() []proto.Message {
	var out []proto.Message
	for _, m := range []*penstockv1.ListDeploymentsRequest{
		{},
		{Sort: "oldest"},
		{Statuses: []string{"RUNNING"}},
		{Statuses: []string{"SUCCESS"}},
		{Statuses: []string{"FAILURE"}, Kinds: []string{"ECSApp"}},
		{Mine: true},
		{ApplicationId: "app-000007"},
		{Labels: map[string]string{"env": "prod"}},
		{Labels: map[string]string{"team": "search"}, Statuses: []string{"ROLLED_BACK"}},
		{Query: "payments"},
		{Query: "nothing has this name"},
		{Triggers: []string{"ON_COMMAND"}},
		{AgentIds: []string{"agent-03"}},
		{Providers: []string{"prod-ECSApp"}, Statuses: []string{"CANCELLED"}},
	} {
		m.Facets = true
		out = append(out, m)
	}
	return out
}

func searchRequests() []proto.Message {
	var out []proto.Message
	for _, q := range []string{"pay", "api", "search-web", "prod", "identity-gateway-1", "agent-1", "9e37", "zzz", "team=data", "check prod"} {
		out = append(out, &penstockv1.SearchRequest{Query: q})
	}
	return out
}

// p95 is the value below which 95 of 100 are.
func p95(name, unit string, target float64, of []float64) figure {
	f := figure{Name: name, Unit: unit, target: target, of: slices.Sorted(slices.Values(of))}
	if f.empty = len(f.of) == 0; !f.empty {
		f.Value = f.of[(len(f.of)*95+99)/100-1]
	}
	return f
}

// round asks every request several times.
func (f *fleet) round(ctx context.Context, procedure string, requests []proto.Message, times int) (r asked, err error) {
	for _, m := range requests {
		var worst, work []float64
		for range times {
			before := cpuTime()
			took, size, err := f.call(ctx, procedure, m, nil)
			if err != nil {
				return r, err
			}
			worst, work = append(worst, millis(took)), append(work, millis(cpuTime()-before))
			r.kb = max(r.kb, float64(size)/1000)
		}
		r.ms, r.work = append(r.ms, worst...), append(r.work, work...)
		slices.Sort(work)
		fmt.Fprintf(os.Stderr, "  %7.1f ms at most, %6.1f ms of work: %v\n", slices.Max(worst), work[len(work)/2], m)
	}
	return r, nil
}

// asked is what a round of requests took: milliseconds on the clock and of
// work, which does not grow when other programs want the same cores, and the
// largest answer in kilobytes.
type asked struct {
	ms, work []float64
	kb       float64
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// cpuTime is how long the cores have worked for this process, which holds both
// ends of a call.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measureLists seeds, if needed, and measures lists, search and push.
func measureLists(ctx context.Context, s settings, _ string) ([]figure, error) {
	dir, made, err := seeded(ctx, filepath.Join(".cache", "bench"), s.apps, s.deployments)
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	from := time.Now()
	f, err := openFleet(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	info, err := os.Stat(filepath.Join(dir, sqlite.MainFile))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "opened in %.1f s, %.0f MB\n", time.Since(from).Seconds(), float64(info.Size())/1e6)
	var out []figure
	var first float64
	if made.took > 0 {
		out = append(out, figure{Name: "seed_seconds", Value: made.took.Seconds(), Unit: "s", target: 600}, figure{Name: "seed_cpu_seconds", Value: made.work.Seconds(), Unit: "s", target: 300})
	}
	for _, x := range []struct {
		name, procedure string
		requests        []proto.Message
		target          float64
	}{
		{"list_applications", penstockv1connect.ApplicationServiceListApplicationsProcedure, applicationRequests(), 50},
		{"list_deployments", penstockv1connect.DeploymentServiceListDeploymentsProcedure, deploymentRequests(), 50},
		{"search", penstockv1connect.ProjectServiceSearchProcedure, searchRequests(), 50},
	} {
		r, err := f.round(ctx, x.procedure, x.requests, 20)
		if err != nil {
			return nil, err
		}
		first = max(first, r.kb)
		out = append(out, p95(x.name+"_ms_p95", "ms", x.target, r.ms), p95(x.name+"_cpu_ms_p95", "ms", x.target, r.work))
	}
	out = append(out, figure{Name: "first_response_kb", Value: first, Unit: "kB", target: 200})
	push, err := f.measureWatch(ctx, s.streams)
	if err != nil {
		return nil, err
	}
	wrong, err := f.measureResume(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, p95("change_on_stream_ms_p95", "ms", 500, push), figure{Name: "changes_lost_or_repeated", Value: wrong, Unit: "", target: 1}), nil
}
