package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/blob/mem"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// counted counts transactions of a store, and may run a function twice, as the
// contract of a store permits.
type counted struct {
	store.Store
	incarnation string
	updates     atomic.Int64
	twice       atomic.Bool
}

func (c *counted) Update(ctx context.Context, project string, f func(store.Tx) error) error {
	c.updates.Add(1)
	if !c.twice.Load() {
		return c.Store.Update(ctx, project, f)
	}
	thrownAway := errors.New("the attempt failed")
	err := c.Store.Update(ctx, project, func(tx store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return thrownAway
	})
	if !errors.Is(err, thrownAway) {
		return err
	}
	return c.Store.Update(ctx, project, f)
}

func (c *counted) Incarnation() string {
	if c.incarnation != "" {
		return c.incarnation
	}
	return c.Store.Incarnation()
}

// logged is a log that tests can read.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// rig is a server in memory, on virtual time, and its callers.
type rig struct {
	*testing.T
	st    *counted
	blobs *mem.Store
	log   *logged
	opt   Options
	srv   *Server
	end   func()
	// spoilt says that the test wrote records that no server writes.
	spoilt bool

	apps    penstockv1connect.ApplicationServiceClient // as admin
	deploys penstockv1connect.DeploymentServiceClient
	project penstockv1connect.ProjectServiceClient
	token   string
}

const password = "correct horse battery staple"

var passwordHash = sync.OnceValue(func() string { return HashPassword(password) })

// onRig runs a test with a server, in a bubble of virtual time.
func onRig(t *testing.T, change func(*Options), f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		inner, err := sqlite.OpenMemory(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{T: t, st: &counted{Store: inner}, blobs: &mem.Store{}, log: &logged{}}
		r.opt = Options{
			Store: r.st, Blobs: r.blobs, Logger: slog.New(slog.NewTextHandler(r.log, nil)), Version: "test",
			Admin: Admin{Username: "admin", PasswordHash: passwordHash()},
		}
		if change != nil {
			change(&r.opt)
		}
		r.start()
		r.token = r.credential("admin", policy.RoleAdmin)
		r.apps = penstockv1connect.NewApplicationServiceClient(r.client(), "http://server", as(r.token))
		r.deploys = penstockv1connect.NewDeploymentServiceClient(r.client(), "http://server", as(r.token))
		r.project = penstockv1connect.NewProjectServiceClient(r.client(), "http://server", as(r.token))
		defer func() {
			r.end()
			synctest.Wait()
			if !r.spoilt {
				r.wantListsTrue()
			}
			if err := inner.Close(); err != nil {
				t.Error(err)
			}
		}()
		f(r)
	})
}

// start begins a run of the server; restart ends it before.
func (r *rig) start() {
	r.Helper()
	srv, err := New(r.Context(), r.opt)
	if err != nil {
		r.Fatal(err)
	}
	r.srv = srv
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- srv.Run(ctx) }()
	r.end = func() {
		cancel()
		if err := <-ran; err != nil {
			r.Error(err)
		}
	}
	synctest.Wait()
}

func (r *rig) restart() {
	r.Helper()
	r.end()
	r.opt.Registry = nil
	r.start()
}

// credential makes a person's session without the cost of a password.
func (r *rig) credential(name string, role policy.Role) string {
	r.Helper()
	secret, _, err := r.srv.issue(r.Context(), entry{project: "default"}, credential{
		Kind: "session", Project: "default", Owner: name, Role: role, ExpiresAt: time.Now().Add(365 * 24 * time.Hour),
	}, noFact)
	if err != nil {
		r.Fatal(err)
	}
	return secret
}

func (r *rig) client() *http.Client { return &http.Client{Transport: transport{r}} }

// as sends a credential with every call.
func as(token string) connect.ClientOption {
	return connect.WithInterceptors(bearerToken(token))
}

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

// transport calls the handler without a socket.
type transport struct{ r *rig }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	pr, pw := io.Pipe()
	w := &streamWriter{header: http.Header{}, pipe: pw, begun: make(chan struct{})}
	go func() {
		t.r.srv.Handler().ServeHTTP(w, in)
		w.WriteHeader(http.StatusOK)
		_ = pw.Close()
	}()
	select {
	case <-w.begun:
	case <-req.Context().Done():
		_ = pr.Close()
		return nil, req.Context().Err()
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: bodyOf{pr, req.Context()}, Request: req, ContentLength: -1,
	}, nil
}

// bodyOf is a body that ends with the call it belongs to.
type bodyOf struct {
	*io.PipeReader
	ctx context.Context
}

func (b bodyOf) Read(p []byte) (int, error) {
	stop := context.AfterFunc(b.ctx, func() { _ = b.CloseWithError(b.ctx.Err()) })
	defer stop()
	return b.PipeReader.Read(p)
}

type streamWriter struct {
	header, sent http.Header
	pipe         *io.PipeWriter
	once         sync.Once
	begun        chan struct{}
	status       int
}

func (w *streamWriter) Header() http.Header { return w.header }
func (w *streamWriter) Flush()              { w.WriteHeader(http.StatusOK) }
func (w *streamWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// process is one agent process as the server sees it.
type process struct {
	r       *rig
	link    penstockv1connect.AgentServiceClient
	agent   string
	key     string
	session string
}

// agent registers an identity.
func (r *rig) agent(name string) (id, key string) {
	r.Helper()
	res, err := r.project.RegisterAgent(r.Context(), connect.NewRequest(&penstockv1.RegisterAgentRequest{Name: name}))
	if err != nil {
		r.Fatal(err)
	}
	return res.Msg.Agent.Id, res.Msg.Key
}

// join begins a process of an identity.
func (r *rig) join(id, key, process_ string) *process {
	r.Helper()
	p := &process{r: r, agent: id, key: key, link: penstockv1connect.NewAgentServiceClient(r.client(), "http://server", as(key))}
	p.hello(process_)
	return p
}

func (p *process) hello(name string) {
	p.r.Helper()
	res, err := p.link.Hello(p.r.Context(), connect.NewRequest(&penstockv1.HelloRequest{
		MinVersion: 1, MaxVersion: 1, ProcessId: name, Host: "host", Version: "v",
		Repositories: []*penstockv1.Repository{{Id: "repo", Remote: "https://git.example/org/repo.git", Branch: "main"}},
		Providers:    []*penstockv1.Provider{{Name: "p", Kind: "FakeApp"}},
	}))
	if err != nil {
		p.r.Fatal(err)
	}
	p.session = res.Msg.SessionId
}

// keepAlive renews until the returned function is called.
func (p *process) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(p.r.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(3 * time.Second):
				_, _ = p.link.Renew(ctx, connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session}))
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

func (p *process) work() *penstockv1.GetWorkResponse {
	p.r.Helper()
	res, err := p.link.GetWork(p.r.Context(), connect.NewRequest(&penstockv1.GetWorkRequest{SessionId: p.session}))
	if err != nil {
		p.r.Fatal(err)
	}
	return res.Msg
}

// files reports what is in the repository.
func (p *process) files(files ...*penstockv1.DiscoveredApplication) bool {
	p.r.Helper()
	res, err := p.link.ReportFiles(p.r.Context(), connect.NewRequest(&penstockv1.ReportFilesRequest{
		SessionId: p.session, RepoId: "repo", Branch: "main", Commit: "c", Files: files,
	}))
	if err != nil {
		p.r.Fatal(err)
	}
	return res.Msg.Registered
}

func file(path string, providers ...string) *penstockv1.DiscoveredApplication {
	return &penstockv1.DiscoveredApplication{Path: path, ConfigFile: "app.pipecd.yaml", Name: path, Kind: "FakeApp", Providers: providers, Labels: map[string]string{"team": path}}
}

// register makes an application of a file.
func (p *process) register(path string) string {
	p.r.Helper()
	p.files(file(path, "p"))
	res, err := p.r.apps.AddApplication(p.r.Context(), connect.NewRequest(&penstockv1.AddApplicationRequest{AgentId: p.agent, RepoId: "repo", Path: path}))
	if err != nil {
		p.r.Fatal(err)
	}
	return res.Msg.Application.Id
}

func (p *process) head(old, new string, c ...*penstockv1.Candidate) (*penstockv1.ReportHeadResponse, error) {
	res, err := p.link.ReportHead(p.r.Context(), connect.NewRequest(&penstockv1.ReportHeadRequest{
		SessionId: p.session, RepoId: "repo", Branch: "main", Old: old, New: new, Commit: &penstockv1.Commit{Hash: new, Subject: "s"}, Candidates: c,
	}))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func due(app string) *penstockv1.Candidate {
	return &penstockv1.Candidate{ApplicationId: app, Due: true, Why: `{"code":"COMMIT","args":{"path":"x"}}`}
}

// moved reports a movement that is due for one application and returns its deployment.
func (p *process) moved(old, new, app string) string {
	p.r.Helper()
	res, err := p.head(old, new, due(app))
	if err != nil || len(res.DeploymentIds) != 1 {
		p.r.Fatalf("head %s→%s: %v %v", old, new, res, err)
	}
	return res.DeploymentIds[0]
}

func (p *process) report(id string, m *penstockv1.ReportRequest) (deploy.Deployment, error) {
	m.SessionId, m.DeploymentId = p.session, id
	if m.EventId == "" {
		m.EventId = p.r.srv.opt.NewID()
	}
	var d deploy.Deployment
	res, err := p.link.Report(p.r.Context(), connect.NewRequest(m))
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(res.Msg.Deployment), &d)
}

func planned(epoch int64, p deploy.Plan) *penstockv1.ReportRequest {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return &penstockv1.ReportRequest{Epoch: epoch, What: &penstockv1.ReportRequest_Planned{Planned: &penstockv1.PlanReport{Plan: string(text)}}}
}

func step(epoch int64, stage string, n int, progress, why string) *penstockv1.ReportRequest {
	return &penstockv1.ReportRequest{Epoch: epoch, What: &penstockv1.ReportRequest_Step{Step: &penstockv1.StepReport{
		StageId: stage, Attempt: 1, Step: int32(n), Progress: progress, Reason: why,
	}}}
}

// plan is roll (one step) → wait 60 s → approve (by ann or bob) → last.
func plan(digest string) deploy.Plan {
	one := []deploy.PlanStep{{Name: "do"}}
	return deploy.Plan{
		Strategy: deploy.StrategyPipeline, Why: deploy.Why(deploy.ReasonVersionChange, "from", "v1", "to", "v2"), Timeout: time.Hour, AutoRollback: true,
		DesiredDigest: digest, Account: "acc", Claims: []deploy.Claim{{Kind: "service", Key: "acc/" + digest}},
		Stages: []deploy.PlanStage{
			{ID: "roll", Name: "FAKE_ROLL", Type: deploy.StagePlatform, Steps: one, Holds: true},
			{ID: "wait", Name: "WAIT", Type: deploy.StageWait, Wait: time.Minute},
			{ID: "ok", Name: "WAIT_APPROVAL", Type: deploy.StageApproval, Approvers: []string{"ann", "bob"}, Approvals: 1},
			{ID: "last", Name: "FAKE_LAST", Type: deploy.StagePlatform, Steps: one},
		},
		Rollback: []deploy.PlanStage{{ID: "back", Name: "FAKE_ROLLBACK", Type: deploy.StagePlatform, Steps: one}},
	}
}

// must takes an answer or ends the test.
func must[T any](r *rig) func(T, error) T {
	return func(v T, err error) T {
		r.Helper()
		if err != nil {
			r.Fatal(err)
		}
		return v
	}
}

func (r *rig) deployment(id string) *penstockv1.Deployment {
	r.Helper()
	res, err := r.deploys.GetDeployment(r.Context(), connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
	if err != nil {
		r.Fatal(err)
	}
	return res.Msg.Deployment
}

func (r *rig) application(id string) *penstockv1.Application {
	r.Helper()
	res, err := r.apps.GetApplication(r.Context(), connect.NewRequest(&penstockv1.GetApplicationRequest{Application: id}))
	if err != nil {
		r.Fatal(err)
	}
	return res.Msg.Application
}

// wantCode checks the code on the wire and the reason beside it.
func wantCode(t testing.TB, what string, err error, code deploy.Code, reason string) {
	t.Helper()
	d := detail(err)
	if d == nil || d.Code != string(code) || reason != "" && d.Reason != reason {
		t.Errorf("%s: got %v (%v), want %s %s", what, err, d, code, reason)
	}
}

func detail(err error) *penstockv1.ErrorDetail {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return nil
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if e, ok := v.(*penstockv1.ErrorDetail); ok {
				return e
			}
		}
	}
	return nil
}

// get does a plain HTTP request.
func (r *rig) get(method, path string, header map[string]string, body string) (int, http.Header, string) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, "http://server"+path, bytes.NewBufferString(body))
	if err != nil {
		r.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := r.client().Transport.RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

func why(code string, pairs ...string) string {
	b, err := json.Marshal(deploy.Why(code, pairs...))
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return string(b)
}

// record reads a row of the store.
func (r *rig) record(project, collection, key string) (rec store.Record, ok bool) {
	r.Helper()
	err := r.st.View(r.Context(), project, func(tx store.Tx) (err error) {
		for _, c := range store.Collections() {
			if c.Name == collection {
				rec, ok, err = tx.Get(c, key)
			}
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return rec, ok
}

// newClients calls with another credential.
func newClients(r *rig, token string) (penstockv1connect.ApplicationServiceClient, penstockv1connect.DeploymentServiceClient) {
	return penstockv1connect.NewApplicationServiceClient(r.client(), "http://server", as(token)), penstockv1connect.NewDeploymentServiceClient(r.client(), "http://server", as(token))
}
