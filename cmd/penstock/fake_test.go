package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
)

// Credentials that the fake server knows.
const (
	tokenAdmin  = "token-admin"
	tokenViewer = "token-viewer"
)

// fakeServer keeps applications and deployments in memory and answers as the
// real server does. A deployment in steps goes on by itself, one step for each
// time that it was read, so that a reader sees every one.
type fakeServer struct {
	penstockv1connect.UnimplementedApplicationServiceHandler
	penstockv1connect.UnimplementedDeploymentServiceHandler
	penstockv1connect.UnimplementedProjectServiceHandler
	penstockv1connect.UnimplementedWatchServiceHandler

	mu            sync.Mutex
	apps          []*penstockv1.Application
	found         []*penstockv1.DiscoveredApplication
	live          map[string]*penstockv1.LiveState
	deployments   []*penstockv1.Deployment
	steps         map[string][]func(*penstockv1.Deployment)
	agents        []*penstockv1.Agent
	logs          map[string][]string // by deployment/stage
	requests      []string            // request ids of mutations
	secret        string              // of webhooks
	badges        bool
	another, note bool // what approvals need
	read          chan struct{}
	closed        chan struct{}
}

func (f *fakeServer) close() { close(f.closed) }

func (f *fakeServer) handler() http.Handler {
	mux := http.NewServeMux()
	opts := connect.WithInterceptors(connect.UnaryInterceptorFunc(f.guard))
	mux.Handle(penstockv1connect.NewApplicationServiceHandler(f, opts))
	mux.Handle(penstockv1connect.NewDeploymentServiceHandler(f, opts))
	mux.Handle(penstockv1connect.NewDecisionServiceHandler(f, opts))
	mux.Handle(penstockv1connect.NewProjectServiceHandler(f, opts))
	mux.Handle(penstockv1connect.NewWatchServiceHandler(f, opts))
	return mux
}

// guard knows who may call, and that a mutation has a request id.
func (f *fakeServer) guard(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		token := strings.TrimPrefix(req.Header().Get("Authorization"), "Bearer ")
		method := req.Spec().Procedure[strings.LastIndexByte(req.Spec().Procedure, '/')+1:]
		reads := req.Spec().IdempotencyLevel == connect.IdempotencyNoSideEffects
		switch {
		case method == "Login":
		case token != tokenAdmin && token != tokenViewer:
			return nil, refusal(deploy.CodeUnauthorized, "", "", "the credential is unknown or has expired: make a new one")
		case token == tokenViewer && !reads && method != "Logout":
			return nil, refusal(deploy.CodeDenied, "", "", "the role viewer may not do this")
		}
		if m, ok := req.Any().(interface{ GetRequestId() string }); ok {
			f.mu.Lock()
			f.requests = append(f.requests, m.GetRequestId())
			f.mu.Unlock()
			if m.GetRequestId() == "" {
				return nil, refusal(deploy.CodeInvalid, "", "", "no request id")
			}
		}
		return next(ctx, req)
	}
}

// refusal is an error as the server sends it.
func refusal(code deploy.Code, reason, object, message string) error {
	codes := map[deploy.Code]connect.Code{
		deploy.CodeNotFound: connect.CodeNotFound, deploy.CodeDenied: connect.CodePermissionDenied, deploy.CodeUnauthorized: connect.CodeUnauthenticated,
		deploy.CodeRefused: connect.CodeFailedPrecondition, deploy.CodeExists: connect.CodeAlreadyExists, deploy.CodeInvalid: connect.CodeInvalidArgument,
	}
	err := connect.NewError(codes[code], &deploy.Error{Code: code, Reason: reason, Object: object, Message: message})
	if d, derr := connect.NewErrorDetail(&penstockv1.ErrorDetail{Code: string(code), Reason: reason, Object: object}); derr == nil {
		err.AddDetail(d)
	}
	return err
}

func answer[T any](m *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(m), nil
}

func (f *fakeServer) app(name string) (*penstockv1.Application, error) {
	for _, a := range f.apps {
		if a.Id == name || a.Name == name {
			return a, nil
		}
	}
	return nil, refusal(deploy.CodeNotFound, "", name, "there is no application of this id or name; list them with: penstock app list")
}

func (f *fakeServer) deployment(id string) (*penstockv1.Deployment, error) {
	for _, d := range f.deployments {
		if d.Id == id {
			return d, nil
		}
	}
	return nil, refusal(deploy.CodeNotFound, "", id, "there is no such deployment")
}

func (f *fakeServer) ListApplications(_ context.Context, req *connect.Request[penstockv1.ListApplicationsRequest]) (*connect.Response[penstockv1.ListApplicationsResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &penstockv1.ListApplicationsResponse{Page: &penstockv1.PageInfo{}}
	// Pages of two: every list of the tests is longer.
	skip := len(req.Msg.Page.GetPageToken())
	var fit []*penstockv1.Application
	for _, a := range f.apps {
		ok := strings.Contains(a.Name, req.Msg.Query) && (len(req.Msg.SyncStates) == 0 || slices.Contains(req.Msg.SyncStates, a.SyncState))
		for k, v := range req.Msg.Labels {
			ok = ok && a.Labels[k] == v
		}
		if ok {
			fit = append(fit, a)
		}
	}
	end := min(skip+2, len(fit))
	out.Applications = fit[skip:end]
	if end < len(fit) {
		out.Page.NextPageToken = strings.Repeat("x", end)
	}
	return answer(out, nil)
}

func (f *fakeServer) GetApplication(_ context.Context, req *connect.Request[penstockv1.GetApplicationRequest]) (*connect.Response[penstockv1.GetApplicationResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.app(req.Msg.Application)
	return answer(&penstockv1.GetApplicationResponse{Application: a}, err)
}

func (f *fakeServer) AddApplication(_ context.Context, req *connect.Request[penstockv1.AddApplicationRequest]) (*connect.Response[penstockv1.AddApplicationResponse], error) {
	m := req.Msg
	if m.Path == "broken" {
		return nil, refusal(deploy.CodeInvalid, "", "demo:broken/app.pipecd.yaml", "the file cannot be used:\nbroken/app.pipecd.yaml:3:1: spec is required")
	}
	if m.Path == "taken" {
		return nil, refusal(deploy.CodeExists, "", "demo:taken/app.pipecd.yaml", "the application is registered already")
	}
	return answer(&penstockv1.AddApplicationResponse{Application: &penstockv1.Application{Id: "app-new", Name: "api", AgentId: m.AgentId, Path: m.Path}}, nil)
}

func (f *fakeServer) GetProject(context.Context, *connect.Request[penstockv1.GetProjectRequest]) (*connect.Response[penstockv1.GetProjectResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return answer(&penstockv1.GetProjectResponse{Project: &penstockv1.Project{Id: "default", Name: "Default", AutoRegister: true, WebhookSecretSet: f.secret != "", ApprovalNotByAuthor: f.another, ApprovalNeedsNote: f.note, Badges: f.badges}}, nil)
}

func (f *fakeServer) GetWebhooks(context.Context, *connect.Request[penstockv1.GetWebhooksRequest]) (*connect.Response[penstockv1.GetWebhooksResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return answer(&penstockv1.GetWebhooksResponse{SecretSet: f.secret != "", Webhooks: []*penstockv1.Webhook{
		{
			Host: "github", Path: "/webhooks/github/default", Last: &penstockv1.WebhookDelivery{At: timestamppb.New(testNow.Add(-time.Minute)), Status: 202, Woken: 1},
			Refused: &penstockv1.WebhookDelivery{At: timestamppb.New(testNow.Add(-time.Hour)), Status: 401},
		},
		{Host: "gitlab", Path: "/webhooks/gitlab/default"},
	}}, nil)
}

func (f *fakeServer) UpdateProject(_ context.Context, req *connect.Request[penstockv1.UpdateProjectRequest]) (*connect.Response[penstockv1.UpdateProjectResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := req.Msg.WebhookSecret; w != nil {
		if *w != "" && len(*w) < 16 {
			return nil, refusal(deploy.CodeInvalid, "", "", "a webhook secret has at least 16 characters")
		}
		f.secret = *w
	}
	if w := req.Msg.ApprovalNotByAuthor; w != nil {
		f.another = *w
	}
	if w := req.Msg.ApprovalNeedsNote; w != nil {
		f.note = *w
	}
	if w := req.Msg.Badges; w != nil {
		f.badges = *w
	}
	return answer(&penstockv1.UpdateProjectResponse{Project: &penstockv1.Project{Id: "default", Name: "Default", WebhookSecretSet: f.secret != "", ApprovalNotByAuthor: f.another, ApprovalNeedsNote: f.note, Badges: f.badges}}, nil)
}

func (f *fakeServer) ListDiscoveredApplications(context.Context, *connect.Request[penstockv1.ListDiscoveredApplicationsRequest]) (*connect.Response[penstockv1.ListDiscoveredApplicationsResponse], error) {
	return answer(&penstockv1.ListDiscoveredApplicationsResponse{Applications: f.found}, nil)
}

func (f *fakeServer) SetApplicationEnabled(_ context.Context, req *connect.Request[penstockv1.SetApplicationEnabledRequest]) (*connect.Response[penstockv1.SetApplicationEnabledResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.app(req.Msg.ApplicationId)
	if err == nil {
		a.Disabled = !req.Msg.Enabled
	}
	return answer(&penstockv1.SetApplicationEnabledResponse{Application: a}, err)
}

func (f *fakeServer) DeleteApplication(_ context.Context, req *connect.Request[penstockv1.DeleteApplicationRequest]) (*connect.Response[penstockv1.DeleteApplicationResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apps = slices.DeleteFunc(f.apps, func(a *penstockv1.Application) bool { return a.Id == req.Msg.ApplicationId })
	return answer(&penstockv1.DeleteApplicationResponse{}, nil)
}

func (f *fakeServer) SyncApplication(_ context.Context, req *connect.Request[penstockv1.SyncApplicationRequest]) (*connect.Response[penstockv1.SyncApplicationResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.app(req.Msg.ApplicationId)
	if err == nil && a.Head == nil {
		err = refusal(deploy.CodeRefused, deploy.RefusedState, a.Id, "no agent has read the branch of this application yet")
	}
	return answer(&penstockv1.SyncApplicationResponse{DeploymentId: "d-run"}, err)
}

func (f *fakeServer) GetLiveState(_ context.Context, req *connect.Request[penstockv1.GetLiveStateRequest]) (*connect.Response[penstockv1.GetLiveStateResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.app(req.Msg.ApplicationId)
	if err != nil {
		return nil, err
	}
	return answer(&penstockv1.GetLiveStateResponse{LiveState: f.live[a.Id]}, nil)
}

func (f *fakeServer) ListDeployments(_ context.Context, req *connect.Request[penstockv1.ListDeploymentsRequest]) (*connect.Response[penstockv1.ListDeploymentsResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &penstockv1.ListDeploymentsResponse{}
	for _, d := range f.deployments {
		if (len(req.Msg.Statuses) == 0 || slices.Contains(req.Msg.Statuses, d.Display)) && int32(len(out.Deployments)) < req.Msg.Page.GetPageSize() {
			out.Deployments = append(out.Deployments, d)
		}
	}
	return answer(out, nil)
}

func (f *fakeServer) GetDeployment(_ context.Context, req *connect.Request[penstockv1.GetDeploymentRequest]) (*connect.Response[penstockv1.GetDeploymentResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.deployment(req.Msg.DeploymentId)
	if err != nil {
		return nil, err
	}
	out := &penstockv1.GetDeploymentResponse{Deployment: proto.Clone(d).(*penstockv1.Deployment), Cursor: "c0"}
	if d.Id == "d-attention" {
		out.Ledger = []*penstockv1.LedgerObject{{Type: "taskSet", State: "CREATED", Id: "ecs-svc/123", Note: "canary"}}
	}
	select {
	case f.read <- struct{}{}:
	default:
	}
	return answer(out, nil)
}

// decide is a person's decision about the running stage.
func (f *fakeServer) decide(id, stage string, do func(*penstockv1.Deployment, *penstockv1.Stage)) (*penstockv1.Deployment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, err := f.deployment(id)
	if err != nil {
		return nil, err
	}
	st := stageByID(d, stage)
	if deploy.Status(d.Status).Terminal() {
		return nil, refusal(deploy.CodeRefused, deploy.RefusedTerminal, id, "the deployment is finished")
	}
	if st != nil && st.Status != "RUNNING" {
		return nil, refusal(deploy.CodeRefused, deploy.RefusedState, id, "the stage "+st.Name+" does not run")
	}
	do(d, st)
	d.Seq++
	return proto.Clone(d).(*penstockv1.Deployment), nil
}

func (f *fakeServer) GetDrift(_ context.Context, req *connect.Request[penstockv1.GetDriftRequest]) (*connect.Response[penstockv1.GetDriftResponse], error) {
	if req.Msg.Application != "api" {
		return answer(&penstockv1.GetDriftResponse{GoodDeploymentId: "d-ok"}, nil)
	}
	return answer(&penstockv1.GetDriftResponse{
		Drift: &penstockv1.Drift{Count: 1, Summary: "1 changed", At: timestamppb.New(testNow.Add(-time.Hour))}, GoodDeploymentId: "d-ok",
		Text: "~ service.desiredCount: 4 → 2\n", Json: `{"items":[{"path":"service.desiredCount","op":"CHANGED","from":"4","to":"2"}]}`,
	}, nil)
}

func (f *fakeServer) CancelDeployment(_ context.Context, req *connect.Request[penstockv1.CancelDeploymentRequest]) (*connect.Response[penstockv1.CancelDeploymentResponse], error) {
	d, err := f.decide(req.Msg.DeploymentId, "", func(d *penstockv1.Deployment, _ *penstockv1.Stage) {
		d.Cancel = &penstockv1.Cancel{By: "admin", Note: req.Msg.Note, Choice: req.Msg.Choice}
		d.Status, d.Display, d.FinishedAt = "CANCELLED", "CANCELLED", timestamppb.New(testNow)
		d.Reason = &penstockv1.Reason{Code: deploy.ReasonCancelled, Text: "cancelled by admin: " + req.Msg.Note}
	})
	return answer(&penstockv1.CancelDeploymentResponse{Deployment: d}, err)
}

func (f *fakeServer) ApproveStage(_ context.Context, req *connect.Request[penstockv1.ApproveStageRequest]) (*connect.Response[penstockv1.ApproveStageResponse], error) {
	d, err := f.decide(req.Msg.DeploymentId, req.Msg.StageId, func(_ *penstockv1.Deployment, st *penstockv1.Stage) {
		st.Given = append(st.Given, &penstockv1.Approval{By: "admin", Note: req.Msg.Note})
	})
	return answer(&penstockv1.ApproveStageResponse{Deployment: d}, err)
}

func (f *fakeServer) RejectStage(_ context.Context, req *connect.Request[penstockv1.RejectStageRequest]) (*connect.Response[penstockv1.RejectStageResponse], error) {
	d, err := f.decide(req.Msg.DeploymentId, req.Msg.StageId, func(d *penstockv1.Deployment, st *penstockv1.Stage) {
		st.Status, d.Status, d.Display, d.FinishedAt = "FAILURE", "FAILURE", "ROLLED_BACK", timestamppb.New(testNow)
		d.Failed = &penstockv1.Reason{Code: deploy.ReasonRejected, Text: "rejected by admin: " + req.Msg.Note}
	})
	return answer(&penstockv1.RejectStageResponse{Deployment: d}, err)
}

func (f *fakeServer) SkipStage(_ context.Context, req *connect.Request[penstockv1.SkipStageRequest]) (*connect.Response[penstockv1.SkipStageResponse], error) {
	d, err := f.decide(req.Msg.DeploymentId, req.Msg.StageId, func(_ *penstockv1.Deployment, st *penstockv1.Stage) { st.Status = "SKIPPED" })
	return answer(&penstockv1.SkipStageResponse{Deployment: d}, err)
}

func (f *fakeServer) RetryDeployment(_ context.Context, req *connect.Request[penstockv1.RetryDeploymentRequest]) (*connect.Response[penstockv1.RetryDeploymentResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.deployment(req.Msg.DeploymentId)
	return answer(&penstockv1.RetryDeploymentResponse{DeploymentId: "d-run"}, err)
}

func (f *fakeServer) ListEvents(_ context.Context, req *connect.Request[penstockv1.ListEventsRequest]) (*connect.Response[penstockv1.ListEventsResponse], error) {
	out := &penstockv1.ListEventsResponse{}
	if req.Msg.StreamId == "d-ok" {
		out.Events = []*penstockv1.Event{
			{Id: "e1", Type: "TRIGGERED", At: timestamppb.New(testNow.Add(-10 * time.Minute)), Actor: "agent:edge", Reason: &penstockv1.Reason{Text: "the commit touches web/app.pipecd.yaml"}, Seq: 1, Data: "{}"},
			{Id: "e2", Type: "PLANNED", At: timestamppb.New(testNow.Add(-590 * time.Second)), Actor: "agent:edge", Seq: 2, Data: `{"stages":6}`},
		}
	}
	return answer(out, nil)
}

func (f *fakeServer) GetChanges(_ context.Context, req *connect.Request[penstockv1.GetChangesRequest]) (*connect.Response[penstockv1.GetChangesResponse], error) {
	if req.Msg.DeploymentId == "d-back" {
		return answer(&penstockv1.GetChangesResponse{After: &penstockv1.Document{Text: "cpu: 256\nimage: web:v3\n"}}, nil)
	}
	if req.Msg.DeploymentId != "d-ok" {
		return answer(&penstockv1.GetChangesResponse{}, nil)
	}
	return answer(&penstockv1.GetChangesResponse{
		Text: "~ image: web:v1 → web:v2\n+ env.MODE: added [hidden]\n", Json: `{"items":[{"path":"image"}]}`,
		Before: &penstockv1.Document{Text: "cpu: 256\nimage: web:v1\n"}, After: &penstockv1.Document{Text: "cpu: 256\nimage: web:v2\n"},
	}, nil)
}

func (f *fakeServer) ReadStageLog(_ context.Context, req *connect.Request[penstockv1.ReadStageLogRequest], s *connect.ServerStream[penstockv1.ReadStageLogResponse]) error {
	data := []byte(strings.Join(f.logs[req.Msg.DeploymentId+"/"+req.Msg.StageId], "\n"))
	// In two pieces, cut in the middle of a line.
	cut := len(data) / 2
	for i, part := range [][]byte{data[:cut], data[cut:]} {
		if err := s.Send(&penstockv1.ReadStageLogResponse{Data: part, NextOffset: int64(cut + i*len(part)), Attempt: 1, Completed: i == 1}); err != nil {
			return err
		}
	}
	return nil
}

// Watch lets a deployment go on, one step each time that it was read.
func (f *fakeServer) Watch(ctx context.Context, req *connect.Request[penstockv1.WatchRequest], s *connect.ServerStream[penstockv1.WatchResponse]) error {
	id := req.Msg.DeploymentId
	if err := s.Send(&penstockv1.WatchResponse{Cursor: req.Msg.Cursor}); err != nil {
		return err
	}
	for _, step := range f.steps[id] {
		select {
		case <-f.read:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
		if d, err := f.deployment(id); err == nil {
			step(d)
			d.Seq++
		}
		f.mu.Unlock()
		change := &penstockv1.Change{StreamKind: "deployment", StreamId: id, Type: "STAGE"}
		if err := s.Send(&penstockv1.WatchResponse{Cursor: "c1", Changes: []*penstockv1.Change{change}}); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
	case <-f.closed:
	}
	return nil
}
