package main

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func before(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(testNow.Add(-d)) }

func commit(hash, subject string) *penstockv1.Commit {
	return &penstockv1.Commit{Hash: hash, Subject: subject, Author: "mai"}
}

func why(text string) *penstockv1.Reason { return &penstockv1.Reason{Code: "X", Text: text} }

func image(v string) []*penstockv1.Version {
	return []*penstockv1.Version{{Kind: "CONTAINER_IMAGE", Name: "web", Version: v}}
}

// newFakeServer is a project with something of everything.
func newFakeServer() *fakeServer {
	f := &fakeServer{read: make(chan struct{}, 1), closed: make(chan struct{}), live: map[string]*penstockv1.LiveState{}, logs: map[string][]string{}}
	f.apps = []*penstockv1.Application{
		{
			Id: "app-1", Name: "web", Kind: "ECSApp", AgentId: "agent-1", AgentName: "edge", AgentOnline: true, Provider: "tokyo", RepoId: "demo", Branch: "main",
			Path: "services/web", ConfigFile: "app.pipecd.yaml", Labels: map[string]string{"team": "shop", "env": "prod"}, SyncState: "OUT_OF_SYNC", Health: "HEALTHY",
			LastGood: &penstockv1.Good{DeploymentId: "d-ok", Commit: commit("1111111aaaa", "first"), Versions: image("v1"), At: before(24 * time.Hour)},
			Hold:     &penstockv1.Hold{DeploymentId: "d-back", Reason: why("held: this state was rolled back in deployment d-back"), At: before(time.Hour)},
			Head:     commit("2222222bbbb", "faster\x1b[31m pages"), LastDeploymentId: "d-back", LastDeploymentDisplay: "ROLLED_BACK", RegisteredAt: before(72 * time.Hour), Account: "123456789012/ap-northeast-1",
		},
		{
			Id: "app-2", Name: "決済サービス", Kind: "ECSApp", AgentId: "agent-1", AgentName: "edge", AgentOnline: true, Provider: "tokyo", RepoId: "demo", Branch: "main", Path: "services/pay",
			ConfigFile: "app.pipecd.yaml", Labels: map[string]string{"team": "pay"}, SyncState: "SYNCED", Health: "HEALTHY",
			LastGood: &penstockv1.Good{Commit: commit("3333333cccc", "決済を直す"), Versions: append(image("2.4.1"), image("x")...)}, Head: commit("3333333cccc", "決済を直す"),
			LastDeploymentId: "d-ok", LastDeploymentDisplay: "SUCCESS", RegisteredAt: before(3 * time.Hour),
		},
		{
			Id: "app-3", Name: "batch", Kind: "ECSApp", AgentId: "agent-2", RepoId: "jobs", Branch: "main", ConfigFile: "batch.pipecd.yaml", Disabled: true,
			SyncState: "INVALID_CONFIG", Health: "UNKNOWN", InvalidDetail: "batch.pipecd.yaml:7:3: spec.input: unknown key", RegisteredAt: before(30 * time.Second),
		},
	}
	f.found = []*penstockv1.DiscoveredApplication{
		{AgentId: "agent-1", RepoId: "demo", Branch: "main", Path: "services/api", ConfigFile: "app.pipecd.yaml", Name: "api", Kind: "ECSApp", Providers: []string{"tokyo", "osaka"}},
		{AgentId: "agent-1", RepoId: "demo", Branch: "main", Path: "broken", ConfigFile: "app.pipecd.yaml", Kind: "ECSApp", InvalidDetail: "broken/app.pipecd.yaml:3:1: spec is required\nmore"},
		{AgentId: "agent-1", RepoId: "demo", Branch: "main", Path: "taken", ConfigFile: "app.pipecd.yaml", Name: "taken", Kind: "ECSApp", Providers: []string{"tokyo"}},
		{AgentId: "agent-1", RepoId: "demo", Branch: "main", Path: "twice", ConfigFile: "app.pipecd.yaml", Name: "twice", Kind: "ECSApp", Providers: []string{"tokyo"}},
		{AgentId: "agent-2", RepoId: "jobs", Branch: "main", Path: "twice", ConfigFile: "app.pipecd.yaml", Name: "twice", Kind: "ECSApp", Providers: []string{"tokyo"}},
	}
	f.live["app-1"] = &penstockv1.LiveState{
		At: before(20 * time.Second), Health: "PROGRESSING", Digest: "d1",
		Traffic: []*penstockv1.Traffic{{Route: "listener/80 rule 10", Groups: []*penstockv1.Share{
			{Group: "tg-blue", Variant: "primary", Percent: 80, Healthy: 2, Total: 2, Versions: map[string]int32{"v1": 2}},
			{Group: "tg-green", Variant: "canary", Percent: 20, Healthy: 0, Total: 1},
		}}},
		Resources: []*penstockv1.Resource{
			{Id: "s", Kind: "Service", Name: "web", Health: "PROGRESSING", Created: before(90 * 24 * time.Hour)},
			{Id: "a", Parent: "s", Kind: "TaskSet", Name: "blue", Health: "HEALTHY", Variant: "primary", Version: "v1", Created: before(24 * time.Hour)},
			{Id: "b", Parent: "s", Kind: "TaskSet", Name: "green", Health: "PROGRESSING", Variant: "canary", Version: "v2", Created: before(time.Minute)},
			{Id: "t", Parent: "b", Kind: "Task", Name: "4f1c", Health: "PROGRESSING", Status: "PENDING", Version: "v2", Created: before(50 * time.Second)},
			{Id: "x", Parent: "y", Kind: "Loop", Name: "x"},
			{Id: "y", Parent: "x", Kind: "Loop", Name: "y"},
		},
		Truncated: 2,
	}
	f.agents = []*penstockv1.Agent{
		{
			Id: "agent-1", Name: "edge", RegisteredAt: before(200 * time.Hour), Keys: []*penstockv1.AgentKey{{Id: "key-1"}, {Id: "key-2"}},
			Processes:    []*penstockv1.AgentProcess{{Id: "p1", Host: "host-a", Version: "1.0.0", Online: true, Deployments: []string{"d-run"}}},
			Repositories: []*penstockv1.Repository{{Id: "demo"}, {Id: "private", Error: "authentication failed"}}, Providers: []*penstockv1.Provider{{Name: "tokyo"}, {Name: "osaka"}},
		},
		{Id: "agent-2", Name: "jobs", Disabled: true, RegisteredAt: before(time.Hour)},
		{Id: "agent-3", Name: "twin"},
		{Id: "agent-4", Name: "twin"},
	}
	f.deployments = fakeDeployments()
	f.steps = map[string][]func(*penstockv1.Deployment){"d-run": runSteps()}
	f.logs["d-ok/stage-0"] = []string{
		`{"t":"2026-11-23T11:50:01Z","l":"INFO","m":"start task set"}`,
		`{"t":"2026-11-23T11:50:41Z","l":"WARN","m":"target is slow\nwaited 30s"}`,
		"not JSON \x1b[2J",
	}
	return f
}

func fakeDeployments() []*penstockv1.Deployment {
	of := func(id, status, display string) *penstockv1.Deployment {
		return &penstockv1.Deployment{
			Id: id, ApplicationId: "app-1", ApplicationName: "web", Kind: "ECSApp", Status: status, Display: display, Seq: 5, Holder: "host-a/1",
			Trigger:     &penstockv1.Trigger{Kind: "ON_COMMIT", Commit: commit("2222222bbbb", "faster pages"), Branch: "main", Why: why("the commit touches services/web")},
			Plan:        &penstockv1.Plan{Strategy: "PIPELINE", Why: why("pipeline: version v1 → v2"), Versions: image("v2"), From: image("v1")},
			TriggeredAt: before(10 * time.Minute), StartedAt: before(10*time.Minute - 2*time.Second),
		}
	}
	ended := func(d *penstockv1.Deployment, after time.Duration, failed string) *penstockv1.Deployment {
		d.FinishedAt = timestamppb.New(d.TriggeredAt.AsTime().Add(after))
		if failed != "" {
			d.Failed = why(failed)
		}
		return d
	}
	run := of("d-run", "RUNNING", "RUNNING")
	run.TriggeredAt, run.StartedAt = before(65*time.Second), before(60*time.Second)
	run.Stages = []*penstockv1.Stage{
		{Id: "stage-0", Name: "ECS_CANARY_ROLLOUT", Type: "PLATFORM", Display: "canary 30 %", Status: "RUNNING", StartedAt: before(60 * time.Second), Attempt: 1, Waiting: why("1 of 2 tasks are healthy")},
		{Id: "stage-1", Name: "WAIT", Type: "WAIT", Wait: durationpb.New(150 * time.Second), Status: "NOT_STARTED_YET"},
		{Id: "stage-2", Name: "ECS_PRIMARY_ROLLOUT", Type: "PLATFORM", Status: "NOT_STARTED_YET", Exposure: &penstockv1.Exposure{From: 20, To: 100}},
	}
	approve := of("d-approve", "RUNNING", "RUNNING")
	approve.Stages = []*penstockv1.Stage{
		{Id: "stage-0", Name: "ECS_CANARY_ROLLOUT", Type: "PLATFORM", Status: "SUCCESS", StartedAt: before(9 * time.Minute), EndedAt: before(8 * time.Minute)},
		{Id: "ok", Name: "WAIT_APPROVAL", Type: "APPROVAL", Status: "RUNNING", StartedAt: before(8 * time.Minute), Approvers: []string{"mai", "ken"}, Approvals: 2},
		{Id: "stage-2", Name: "ECS_PRIMARY_ROLLOUT", Type: "PLATFORM", Status: "NOT_STARTED_YET"},
	}
	pause := of("d-wait", "RUNNING", "RUNNING")
	pause.Stages = []*penstockv1.Stage{
		{Id: "w-1", Name: "WAIT", Type: "WAIT", Status: "RUNNING", StartedAt: before(time.Minute), Until: before(-90 * time.Second), Wait: durationpb.New(150 * time.Second)},
		{Id: "w-2", Name: "WAIT", Type: "WAIT", Status: "NOT_STARTED_YET"},
	}
	both := of("d-both", "RUNNING", "RUNNING")
	both.Stages = []*penstockv1.Stage{
		{Id: "a", Name: "WAIT_APPROVAL", Type: "APPROVAL", Status: "RUNNING"}, {Id: "b", Name: "WAIT_APPROVAL", Type: "APPROVAL", Status: "RUNNING"},
	}
	ok := ended(of("d-ok", "SUCCESS", "SUCCESS"), 5*time.Minute, "")
	ok.Stages = []*penstockv1.Stage{
		{Id: "stage-0", Name: "ECS_SYNC", Type: "PLATFORM", Status: "SUCCESS", StartedAt: before(9 * time.Minute), EndedAt: before(8 * time.Minute)},
	}
	back := ended(of("d-back", "FAILURE", "ROLLED_BACK"), 4*time.Minute, "the guard found: 2 of 2 targets are unhealthy")
	back.Stages = []*penstockv1.Stage{
		{Id: "stage-0", Name: "WAIT", Type: "WAIT", Status: "FAILURE", StartedAt: before(9 * time.Minute), EndedAt: before(8 * time.Minute), Reason: why("the guard found: 2 of 2 targets are unhealthy")},
		{Id: "rollback", Name: "ROLLBACK", Type: "PLATFORM", Status: "SUCCESS", Rollback: true, StartedAt: before(8 * time.Minute), EndedAt: before(7 * time.Minute)},
	}
	attention := ended(of("d-attention", "FAILURE", "NEEDS_ATTENTION"), 9*time.Minute, "somebody else changed the route")
	cancelled := ended(of("d-cancelled", "CANCELLED", "CANCELLED"), time.Minute, "")
	cancelled.Reason, cancelled.Cancel = why("cancelled by mai: wrong day"), &penstockv1.Cancel{By: "mai", Note: "wrong day", Choice: "AUTO"}
	return []*penstockv1.Deployment{run, approve, pause, both, ok, back, attention, cancelled}
}

// runSteps is how d-run goes on while it is watched.
func runSteps() []func(*penstockv1.Deployment) {
	return []func(*penstockv1.Deployment){
		func(d *penstockv1.Deployment) { d.Stages[0].Waiting = why("2 of 2 tasks are healthy, draining") },
		func(d *penstockv1.Deployment) {
			d.Stages[0].Status, d.Stages[0].EndedAt, d.Stages[0].Waiting = "SUCCESS", before(10*time.Second), nil
			d.Stages[1].Status, d.Stages[1].StartedAt, d.Stages[1].Until = "RUNNING", before(10*time.Second), before(-140*time.Second)
		},
		func(d *penstockv1.Deployment) {
			d.Stages[1].Status, d.Stages[1].EndedAt, d.Stages[1].Reason = "SKIPPED", before(5*time.Second), why("skipped by mai")
			d.Stages[2].Status, d.Stages[2].StartedAt = "RUNNING", before(5*time.Second)
		},
		func(d *penstockv1.Deployment) {
			d.Stages[2].Status, d.Stages[2].EndedAt = "SUCCESS", before(0)
			d.Status, d.Display, d.FinishedAt = "SUCCESS", "SUCCESS", before(0)
		},
	}
}

func (f *fakeServer) Login(_ context.Context, req *connect.Request[penstockv1.LoginRequest]) (*connect.Response[penstockv1.LoginResponse], error) {
	if req.Msg.Password != "correct horse" {
		return nil, refusal(deploy.CodeUnauthorized, "", "", "wrong user name or password")
	}
	return answer(&penstockv1.LoginResponse{Token: tokenAdmin, ExpiresAt: timestamppb.New(testNow.Add(7 * 24 * time.Hour))}, nil)
}

func (f *fakeServer) Logout(context.Context, *connect.Request[penstockv1.LogoutRequest]) (*connect.Response[penstockv1.LogoutResponse], error) {
	return answer(&penstockv1.LogoutResponse{}, nil)
}

func (f *fakeServer) WhoAmI(context.Context, *connect.Request[penstockv1.WhoAmIRequest]) (*connect.Response[penstockv1.WhoAmIResponse], error) {
	return answer(&penstockv1.WhoAmIResponse{Name: "admin", Role: "admin", ProjectId: "default", Rights: []string{"deployment:read", "application:sync"}, ServerVersion: "1.2.3"}, nil)
}

func (f *fakeServer) ListAgents(context.Context, *connect.Request[penstockv1.ListAgentsRequest]) (*connect.Response[penstockv1.ListAgentsResponse], error) {
	return answer(&penstockv1.ListAgentsResponse{Agents: f.agents}, nil)
}

func (f *fakeServer) RegisterAgent(_ context.Context, req *connect.Request[penstockv1.RegisterAgentRequest]) (*connect.Response[penstockv1.RegisterAgentResponse], error) {
	if req.Msg.Name == "edge" {
		return nil, refusal(deploy.CodeExists, "", "edge", "an agent of this name is registered already")
	}
	return answer(&penstockv1.RegisterAgentResponse{Agent: &penstockv1.Agent{Id: "agent-9", Name: req.Msg.Name}, Key: "psa_secret"}, nil)
}

func (f *fakeServer) ListAPIKeys(context.Context, *connect.Request[penstockv1.ListAPIKeysRequest]) (*connect.Response[penstockv1.ListAPIKeysResponse], error) {
	return answer(&penstockv1.ListAPIKeysResponse{Keys: []*penstockv1.APIKey{
		{Id: "k-3", Name: "bot", Role: "operator", CreatedAt: before(time.Hour), ExpiresAt: timestamppb.New(testNow.Add(24 * time.Hour)), LastUsedAt: before(time.Minute)},
		{Id: "k-2", Name: "twin", Role: "viewer", CreatedAt: before(48 * time.Hour), ExpiresAt: before(time.Hour), Expired: true},
		{Id: "k-1", Name: "twin", Role: "viewer", CreatedAt: before(72 * time.Hour), ExpiresAt: timestamppb.New(testNow.Add(48 * time.Hour))},
	}}, nil)
}

func (f *fakeServer) CreateAPIKey(_ context.Context, req *connect.Request[penstockv1.CreateAPIKeyRequest]) (*connect.Response[penstockv1.CreateAPIKeyResponse], error) {
	return answer(&penstockv1.CreateAPIKeyResponse{Key: "psk_" + req.Msg.Name + "_" + req.Msg.Role, ExpiresAt: timestamppb.New(testNow.AddDate(0, 0, int(req.Msg.Days)))}, nil)
}

func (f *fakeServer) RevokeAPIKey(context.Context, *connect.Request[penstockv1.RevokeAPIKeyRequest]) (*connect.Response[penstockv1.RevokeAPIKeyResponse], error) {
	return answer(&penstockv1.RevokeAPIKeyResponse{}, nil)
}

func (f *fakeServer) AddAgentKey(_ context.Context, req *connect.Request[penstockv1.AddAgentKeyRequest]) (*connect.Response[penstockv1.AddAgentKeyResponse], error) {
	return answer(&penstockv1.AddAgentKeyResponse{Agent: &penstockv1.Agent{Id: req.Msg.AgentId, Name: "edge"}, Key: "psa_second"}, nil)
}

func (f *fakeServer) RemoveAgentKey(_ context.Context, req *connect.Request[penstockv1.RemoveAgentKeyRequest]) (*connect.Response[penstockv1.RemoveAgentKeyResponse], error) {
	return answer(&penstockv1.RemoveAgentKeyResponse{Agent: &penstockv1.Agent{Id: req.Msg.AgentId, Keys: []*penstockv1.AgentKey{{Id: "key-2"}}}}, nil)
}

func (f *fakeServer) SetAgentEnabled(_ context.Context, req *connect.Request[penstockv1.SetAgentEnabledRequest]) (*connect.Response[penstockv1.SetAgentEnabledResponse], error) {
	return answer(&penstockv1.SetAgentEnabledResponse{Agent: &penstockv1.Agent{Id: req.Msg.AgentId, Disabled: !req.Msg.Enabled}}, nil)
}
