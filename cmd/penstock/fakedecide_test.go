package main

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// Ask answers what is asked of an application whose agent is there.
func (f *fakeServer) Ask(_ context.Context, req *connect.Request[penstockv1.AskRequest]) (*connect.Response[penstockv1.AskResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.app(req.Msg.Application)
	if err != nil {
		return nil, err
	}
	if !a.AgentOnline {
		return answer(&penstockv1.AskResponse{Refused: &penstockv1.Reason{Code: "NO_AGENT", Text: "no agent of the application is connected"}}, nil)
	}
	out := &penstockv1.AskResponse{Commit: a.Head, Digest: "sha256:answer", Text: "~ image: v1 → v2\n"}
	if req.Msg.Commit != "" {
		out.Commit = &penstockv1.Commit{Hash: req.Msg.Commit}
	}
	if req.Msg.Kind == "PLAN" {
		out.Plan = &penstockv1.Plan{Strategy: "PIPELINE", Why: &penstockv1.Reason{Text: "pipeline: version v1 → v2"}}
		out.Stages = []*penstockv1.Stage{{Name: "FAKE_ROLL", Display: "canary 20 %"}, {Name: "FAKE_ROLLBACK", Rollback: true}}
	}
	return answer(out, nil)
}

// ListCommands lists one command that nobody took.
func (f *fakeServer) ListCommands(context.Context, *connect.Request[penstockv1.ListCommandsRequest]) (*connect.Response[penstockv1.ListCommandsResponse], error) {
	return answer(&penstockv1.ListCommandsResponse{Commands: []*penstockv1.Command{{
		Id: "c1", Kind: "SYNC", State: "FAILED", ApplicationName: "shop", Actor: "user:ann", DeploymentId: "d-1", At: timestamppb.New(testNow.Add(-time.Minute)),
		Reason: &penstockv1.Reason{Code: "NOT_PICKED_UP", Text: "no agent of the application picked it up within 1m"},
	}}}, nil)
}

// RollBackTo starts the deployment that runs.
func (f *fakeServer) RollBackTo(_ context.Context, req *connect.Request[penstockv1.RollBackToRequest]) (*connect.Response[penstockv1.RollBackToResponse], error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.deployment(req.Msg.DeploymentId)
	return answer(&penstockv1.RollBackToResponse{DeploymentId: "d-run"}, err)
}
