package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/wire"
)

// service answers as a control plane does and keeps the last message.
type service struct {
	penstockv1connect.UnimplementedAgentServiceHandler
	t    *testing.T
	key  string
	last any
	seen []int64 // with each renewal
}

func answer[Q, A any](s *service, req *connect.Request[Q], a *A) (*connect.Response[A], error) {
	s.key, s.last = req.Header().Get("Authorization"), req.Msg
	return connect.NewResponse(a), nil
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	app = deploy.Application{Ref: deploy.Ref{ID: "a", Name: "web", Kind: "ECSApp"}, Head: deploy.Commit{Hash: "c1"}}
	dep = deploy.Deployment{ID: "d", Status: deploy.StatusRunning, Epoch: 3, Seq: 7, Plan: &deploy.Plan{Timeout: time.Hour}}
)

func (s *service) Hello(_ context.Context, r *connect.Request[penstockv1.HelloRequest]) (*connect.Response[penstockv1.HelloResponse], error) {
	return answer(s, r, &penstockv1.HelloResponse{SessionId: "s", Lease: durationpb.New(9 * time.Second), RenewEvery: durationpb.New(3 * time.Second), Incarnation: "i", AgentName: "one"})
}

func (s *service) Renew(_ context.Context, r *connect.Request[penstockv1.RenewRequest]) (*connect.Response[penstockv1.RenewResponse], error) {
	s.seen = append(s.seen, r.Msg.GetSeen())
	out := &penstockv1.RenewResponse{Lease: durationpb.New(5 * time.Second), Incarnation: "i"}
	if len(s.seen) > 1 { // the first answer is one of an old server
		out.Left, out.Grant, out.Woken = durationpb.New(2*time.Second), 7, 3
	}
	return answer(s, r, out)
}

func (s *service) GetWork(_ context.Context, r *connect.Request[penstockv1.GetWorkRequest]) (*connect.Response[penstockv1.GetWorkResponse], error) {
	return answer(s, r, &penstockv1.GetWorkResponse{
		Applications: []*penstockv1.WatchedApplication{{Application: text(s.t, app)}},
		Assignments: []*penstockv1.Assignment{{
			DeploymentId: "d", Epoch: 3, Deployment: text(s.t, dep), Application: text(s.t, app), WriteAfter: durationpb.New(4 * time.Second),
			Journal: []*penstockv1.JournalEntry{{Key: "k", Value: `{"x":1}`, Stage: "s0", Attempt: 1}},
		}},
		Questions:    []*penstockv1.Question{{Id: "q", Kind: "OBSERVE", ApplicationId: "a"}},
		Repositories: []*penstockv1.RepositoryWork{{RepoId: "r", Branch: "main", Head: "c1", Applications: []string{text(s.t, app)}}},
	})
}

func (s *service) ReportHead(_ context.Context, r *connect.Request[penstockv1.ReportHeadRequest]) (*connect.Response[penstockv1.ReportHeadResponse], error) {
	return answer(s, r, &penstockv1.ReportHeadResponse{MovementId: "m", DeploymentIds: []string{"d"}, Head: "c9"})
}

func (s *service) Report(_ context.Context, r *connect.Request[penstockv1.ReportRequest]) (*connect.Response[penstockv1.ReportResponse], error) {
	if r.Msg.Epoch == 1 {
		return nil, refusal(connect.CodeFailedPrecondition, &penstockv1.ErrorDetail{Code: string(deploy.CodeRefused), Reason: deploy.RefusedStaleEpoch, Object: "d"})
	}
	return answer(s, r, &penstockv1.ReportResponse{Deployment: text(s.t, dep)})
}

func refusal(code connect.Code, detail *penstockv1.ErrorDetail) error {
	err := connect.NewError(code, errors.New("d: epoch 1 is over"))
	d, derr := connect.NewErrorDetail(detail)
	if derr != nil {
		return derr
	}
	err.AddDetail(d)
	return err
}

func (s *service) ReportLive(_ context.Context, r *connect.Request[penstockv1.ReportLiveRequest]) (*connect.Response[penstockv1.ReportLiveResponse], error) {
	return answer(s, r, &penstockv1.ReportLiveResponse{})
}

func (s *service) PutJournal(_ context.Context, r *connect.Request[penstockv1.PutJournalRequest]) (*connect.Response[penstockv1.PutJournalResponse], error) {
	return answer(s, r, &penstockv1.PutJournalResponse{})
}

func (s *service) Wait(_ context.Context, r *connect.Request[penstockv1.WaitRequest], stream *connect.ServerStream[penstockv1.WaitResponse]) error {
	s.key = r.Header().Get("Authorization")
	if r.Msg.SessionId == "over" {
		return refusal(connect.CodeUnauthenticated, &penstockv1.ErrorDetail{Code: string(deploy.CodeUnauthorized), Reason: client.ReasonSessionOver})
	}
	for _, m := range []*penstockv1.WaitResponse{{Work: true, Woken: 3}, {RepoIds: []string{"r"}, Woken: 3}} {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// inMemory calls a handler without a network.
type inMemory struct{ h http.Handler }

func (m inMemory) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.h.ServeHTTP(w, r)
	return w.Result(), nil
}

func link(t *testing.T) (*service, *client.Link) {
	s := &service{t: t}
	_, h := penstockv1connect.NewAgentServiceHandler(s)
	return s, client.NewLink(inMemory{h}, "http://control", "the-key")
}

func TestValuesSurviveTheLink(t *testing.T) {
	s, l := link(t)
	session, err := l.Hello(t.Context(), client.Hello{ProcessID: "p", Repositories: []client.LinkRepository{{ID: "r"}}, Stages: []client.LinkStage{{Kind: "ECSApp", Name: "ECS_SYNC"}}})
	want := client.Session{ID: "s", Lease: 9 * time.Second, RenewEvery: 3 * time.Second, Incarnation: "i", AgentName: "one"}
	if diff := cmp.Diff(want, session); err != nil || diff != "" {
		t.Errorf("session: %v\n%s", err, diff)
	}
	if s.key != "Bearer the-key" {
		t.Errorf("the key was sent as %q", s.key)
	}
	for _, want := range []client.Renewal{
		{Lease: 5 * time.Second, Left: 5 * time.Second, Incarnation: "i"},
		{Lease: 5 * time.Second, Left: 2 * time.Second, Grant: 7, Incarnation: "i", Woken: 3},
	} {
		if got, err := l.Renew(t.Context(), "s", 6); got != want || err != nil || s.seen[len(s.seen)-1] != 6 {
			t.Errorf("renew: %+v %v, the server heard %v", got, err, s.seen)
		}
	}
	work, err := l.GetWork(t.Context(), "s")
	wantWork := client.Work{
		Applications: []deploy.Application{app},
		Assignments: []client.Assignment{{
			Epoch: 3, Deployment: dep, Application: app, WriteAfter: 4 * time.Second,
			Journal: []deploy.JournalEntry{{Key: "k", Value: json.RawMessage(`{"x":1}`), Stage: "s0", Attempt: 1}},
		}},
		Questions:    []client.Question{{ID: "q", Kind: "OBSERVE", ApplicationID: "a"}},
		Repositories: []client.RepositoryWork{{RepoID: "r", Branch: "main", Head: "c1", Applications: []deploy.Application{app}}},
	}
	if diff := cmp.Diff(wantWork, work); err != nil || diff != "" {
		t.Errorf("work: %v\n%s", err, diff)
	}
	head, err := l.ReportHead(t.Context(), "s", client.HeadReport{RepoID: "r", Old: "a", New: "b", Commit: deploy.Commit{Hash: "b"}, Candidates: []client.Candidate{{ApplicationID: "a", Due: true, Why: deploy.Why("COMMIT", "path", "x")}}})
	if diff := cmp.Diff(client.HeadAnswer{MovementID: "m", DeploymentIDs: []string{"d"}, Head: "c9"}, head); err != nil || diff != "" {
		t.Errorf("head: %v\n%s", err, diff)
	}
	if c := s.last.(*penstockv1.ReportHeadRequest).Candidates[0]; c.Why != `{"code":"COMMIT","args":{"path":"x"}}` || !c.Due {
		t.Errorf("candidate %v", c)
	}
}

func TestEveryReportIsOneOfFour(t *testing.T) {
	s, l := link(t)
	why := deploy.Why("PLAN_FAILED", "detail", "x")
	for name, c := range map[string]struct {
		r    client.Report
		want any
	}{
		"plan":   {client.Report{Plan: &deploy.Plan{Strategy: deploy.StrategyQuick}}, (*penstockv1.ReportRequest_Planned)(nil)},
		"failed": {client.Report{PlanFailed: &why}, (*penstockv1.ReportRequest_PlanFailed)(nil)},
		"step":   {client.Report{Step: &client.StepReport{Stage: "s0", Progress: "DONE", Verified: "v"}}, (*penstockv1.ReportRequest_Step)(nil)},
		"breach": {client.Report{Breach: &client.BreachReport{Kind: "HEALTH"}}, (*penstockv1.ReportRequest_Breach)(nil)},
	} {
		c.r.DeploymentID, c.r.Epoch, c.r.EventID = "d", 3, "e"
		d, err := l.Report(t.Context(), "s", c.r)
		if diff := cmp.Diff(dep, d); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
		m := s.last.(*penstockv1.ReportRequest)
		if m.EventId != "e" || m.SessionId != "s" || m.Epoch != 3 {
			t.Errorf("%s: sent %v", name, m)
		}
		if got, want := typeName(m.What), typeName(c.want); got != want {
			t.Errorf("%s: sent as %s", name, got)
		}
	}
}

func typeName(v any) string {
	switch v.(type) {
	case *penstockv1.ReportRequest_Planned:
		return "planned"
	case *penstockv1.ReportRequest_PlanFailed:
		return "failed"
	case *penstockv1.ReportRequest_Step:
		return "step"
	case *penstockv1.ReportRequest_Breach:
		return "breach"
	}
	return "nothing"
}

func TestLiveStateAndJournalAreSent(t *testing.T) {
	s, l := link(t)
	live := deploy.LiveState{Digest: "x", Health: deploy.HealthHealthy, Resources: []deploy.Resource{{ID: "r", Kind: "Task"}}}
	compared := client.Comparison{Good: "d1", Last: "d2", Count: 2, Digest: "x", Summary: "2 changed", Blob: "b", Deploys: true, MinWindow: time.Minute}
	if err := l.ReportLive(t.Context(), "s", "a", client.Observation{State: live, Comparison: &compared}); err != nil {
		t.Fatal(err)
	}
	want := &penstockv1.Comparison{GoodDeploymentId: "d1", LastDeploymentId: "d2", Count: 2, Digest: "x", Summary: "2 changed", Blob: "b", Deploys: true, MinWindow: durationpb.New(time.Minute)}
	if got := s.last.(*penstockv1.ReportLiveRequest).Comparison; !proto.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	if diff := cmp.Diff(live, wire.LiveStateFromWire(s.last.(*penstockv1.ReportLiveRequest).LiveState)); diff != "" {
		t.Error(diff)
	}
	if err := l.PutJournal(t.Context(), "s", "d", 3, []deploy.JournalEntry{{Key: "k", Value: json.RawMessage(`1`)}}); err != nil {
		t.Fatal(err)
	}
	if m := s.last.(*penstockv1.PutJournalRequest); m.Epoch != 3 || m.Entries[0].Value != "1" {
		t.Errorf("sent %v", m)
	}
}

func TestWakeUps(t *testing.T) {
	s, l := link(t)
	var got []client.Wakeup
	err := l.Wait(t.Context(), "s", func(w client.Wakeup) { got = append(got, w) })
	if diff := cmp.Diff([]client.Wakeup{{Work: true, Woken: 3}, {Repos: []string{"r"}, Woken: 3}}, got); diff != "" {
		t.Error(diff)
	}
	if deploy.CodeOf(err) != deploy.CodeUnavailable || s.key != "Bearer the-key" {
		t.Errorf("a stream that ended: %v; key %q", err, s.key)
	}
	if err := l.Wait(t.Context(), "over", nil); deploy.CodeOf(err) != deploy.CodeUnauthorized || deploy.RefusalOf(err) != client.ReasonSessionOver {
		t.Errorf("a session that is over: %v", err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	_, l := link(t)
	_, err := l.Report(t.Context(), "s", client.Report{Epoch: 1})
	if deploy.CodeOf(err) != deploy.CodeRefused || deploy.RefusalOf(err) != deploy.RefusedStaleEpoch || err.Error() != "report: d: epoch 1 is over" {
		t.Errorf("refused: %v", err)
	}
	if _, err := l.GetBlob(t.Context(), "s", "x"); deploy.CodeOf(err) != deploy.CodeUnsupported {
		t.Errorf("a call that the server does not have: %v", err)
	}
	dead := client.NewLink(http.DefaultClient, "http://127.0.0.1:1", "k")
	if err := dead.Leave(t.Context(), "s"); deploy.CodeOf(err) != deploy.CodeUnavailable {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(nil)
	if _, err := dead.GetWork(ctx, "s"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled by the caller: %v", err)
	}
}
