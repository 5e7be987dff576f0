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

// round asks every request several times and gives milliseconds and kilobytes.
func (f *fleet) round(ctx context.Context, procedure string, requests []proto.Message, times int) (ms []float64, kb float64, err error) {
	for _, m := range requests {
		var worst time.Duration
		for range times {
			took, size, err := f.call(ctx, procedure, m, nil)
			if err != nil {
				return nil, 0, err
			}
			worst = max(worst, took)
			ms, kb = append(ms, float64(took.Microseconds())/1000), max(kb, float64(size)/1000)
		}
		fmt.Fprintf(os.Stderr, "  %7.1f ms at most: %v\n", float64(worst.Microseconds())/1000, m)
	}
	return ms, kb, nil
}

// measureLists seeds, if needed, and measures lists, search and push.
func measureLists(ctx context.Context, s settings, _ string) ([]figure, error) {
	dir, took, err := seeded(ctx, filepath.Join(".cache", "bench"), s.apps, s.deployments)
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
	fmt.Fprintf(os.Stderr, "seeded in %.0f s, opened in %.1f s, %.0f MB\n", took.Seconds(), time.Since(from).Seconds(), float64(info.Size())/1e6)
	var out []figure
	var first float64
	for _, x := range []struct {
		name, procedure string
		requests        []proto.Message
		target          float64
	}{
		{"list_applications_ms_p95", penstockv1connect.ApplicationServiceListApplicationsProcedure, applicationRequests(), 50},
		{"list_deployments_ms_p95", penstockv1connect.DeploymentServiceListDeploymentsProcedure, deploymentRequests(), 50},
		{"search_ms_p95", penstockv1connect.ProjectServiceSearchProcedure, searchRequests(), 50},
	} {
		ms, kb, err := f.round(ctx, x.procedure, x.requests, 20)
		if err != nil {
			return nil, err
		}
		first = max(first, kb)
		out = append(out, p95(x.name, "ms", x.target, ms))
	}
	out = append(out, figure{Name: "first_response_kb", Value: first, Unit: "kB", target: 200})
	push, err := f.measureWatch(ctx, s.streams)
	if err != nil {
		return nil, err
	}
	return append(out, p95("change_on_stream_ms_p95", "ms", 500, push)), nil
}

// measureWatch changes the status of applications through the API and gives
// the time until each of n open streams names the change.
func (f *fleet) measureWatch(ctx context.Context, n int) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	type seen struct {
		app, kind string
		at        time.Time
	}
	changes, ready := make(chan seen, 10_000), make(chan error, n)
	bearer := connect.WithInterceptors(bearerToken(f.token))
	for range n {
		go func() {
			st, err := penstockv1connect.NewWatchServiceClient(f.hc, f.url, bearer).Watch(ctx, connect.NewRequest(&penstockv1.WatchRequest{}))
			if err != nil {
				ready <- err
				return
			}
			defer st.Close()
			for first := true; st.Receive(); first = false {
				if first {
					ready <- nil
				}
				for _, c := range st.Msg().Changes {
					changes <- seen{c.StreamId, c.Type, time.Now()}
				}
			}
		}()
	}
	for range n {
		if err := <-ready; err != nil {
			return nil, err
		}
	}
	apps := penstockv1connect.NewApplicationServiceClient(f.hc, f.url, bearer)
	var out []float64
	for i := range 20 {
		id := fmt.Sprintf("app-%06d", i+1)
		for _, on := range []bool{false, true} {
			from := time.Now()
			if _, err := apps.SetApplicationEnabled(ctx, connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: id, Enabled: on})); err != nil {
				return nil, err
			}
			for got := 0; got < n; {
				select {
				case c := <-changes:
					if c.app == id {
						got++
						out = append(out, float64(c.at.Sub(from).Microseconds())/1000)
					}
				case <-ctx.Done():
					return nil, fmt.Errorf("%d of %d streams named the change: %w", got, n, ctx.Err())
				}
			}
		}
	}
	return out, nil
}

// bearerToken sends a credential with every call.
type bearerToken string

func (b bearerToken) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		r.Header().Set("Authorization", "Bearer "+string(b))
		return next(ctx, r)
	}
}

func (b bearerToken) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, s connect.Spec) connect.StreamingClientConn {
		c := next(ctx, s)
		c.RequestHeader().Set("Authorization", "Bearer "+string(b))
		return c
	}
}

func (b bearerToken) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
