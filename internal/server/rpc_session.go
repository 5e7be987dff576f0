package server

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
)

// WireVersion is the version of the agents' protocol that this server speaks;
// it serves agents of this version and the one before.
const (
	WireVersion    = 1
	oldestWire     = 1
	maxDeclaration = 500 // repositories or providers that one process may declare
	maxProcesses   = 50  // live processes of one identity
)

// linkEntry is the entry of a call of an agent.
func linkEntry(ctx context.Context, eventID string) entry {
	p := who(ctx)
	return entry{project: p.Project, actor: p.actor(), cause: eventID, eventID: eventID}
}

// Hello implements AgentService.
func (s *Server) Hello(ctx context.Context, req *connect.Request[penstockv1.HelloRequest]) (*connect.Response[penstockv1.HelloResponse], error) {
	m, p := req.Msg, who(ctx)
	if m.MaxVersion < oldestWire || m.MinVersion > WireVersion {
		return nil, deploy.Errorf(deploy.CodeUnsupported, "the agent speaks wire versions %d–%d, this server %d–%d: upgrade the older one", m.MinVersion, m.MaxVersion, oldestWire, WireVersion)
	}
	if m.ProcessId == "" || len(m.ProcessId) > 200 || len(m.Repositories) > maxDeclaration || len(m.Providers) > maxDeclaration {
		return nil, deploy.Errorf(deploy.CodeInvalid, "Hello needs a process id and at most %d repositories and providers", maxDeclaration)
	}
	var x session
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		a, err := load[agentRecord](b, store.Agents, p.Owner, "agent")
		if err != nil {
			return err
		}
		if err := b.endProcess(a.ID, m.ProcessId); err != nil {
			return err
		}
		live, err := b.liveSessions(a.ID)
		if err != nil {
			return err
		}
		if len(live) >= maxProcesses {
			return &deploy.Error{Code: deploy.CodeExhausted, Object: a.Name, Message: "the agent has as many live processes as one identity may have: stop one of them"}
		}
		x = b.newSession(a, m)
		if err := b.keepSession(x); err != nil {
			return err
		}
		if err := b.clearUndeclared(a.ID, append(live, x)); err != nil {
			return err
		}
		if err := b.assignOrphans(a.ID); err != nil {
			return err
		}
		return b.wakeAgent(a.ID)
	})
	if err != nil {
		return nil, err
	}
	s.hub.begin(x.ID)
	ring(s.nudge) // there is a new lease to look after
	s.log.Info("agent process joined", "agent", x.AgentName, "process", x.holder(), "version", x.Version)
	s.hub.publishSide(sideChange{project: p.Project, kind: "agent", id: x.AgentID, typ: "PROCESS"})
	return connect.NewResponse(&penstockv1.HelloResponse{
		Version: WireVersion, SessionId: x.ID, Lease: durationpb.New(s.opt.Lease), RenewEvery: durationpb.New(s.opt.RenewEvery),
		Incarnation: s.opt.Store.Incarnation(), ProjectId: p.Project, AgentId: x.AgentID, AgentName: x.AgentName,
		WebAddress: s.opt.WebAddress, ServerTime: timestamppb.New(s.now()),
	}), nil
}

// newSession makes the session of a process that says Hello.
func (b *book) newSession(a agentRecord, m *penstockv1.HelloRequest) session {
	x := session{
		ID: b.s.opt.NewID(), AgentID: a.ID, AgentName: a.Name, ProcessID: m.ProcessId, Host: clip(m.Host, 200), Version: clip(m.Version, 100),
		StartedAt: b.now, SeenAt: b.now, ExpiresAt: b.now.Add(b.s.opt.Lease),
	}
	for _, r := range m.Repositories {
		x.Repositories = append(x.Repositories, repository{ID: clip(r.Id, 200), Remote: withoutUser(clip(r.Remote, 1000)), Branch: clip(r.Branch, 200)})
	}
	for _, v := range m.Providers {
		x.Providers = append(x.Providers, provider{Name: clip(v.Name, 200), Kind: clip(v.Kind, 100)})
	}
	return x
}

// withoutUser takes user name and password out of the URL of a remote.
func withoutUser(remote string) string {
	u, err := url.Parse(remote)
	if err != nil { // a password may be what makes it none
		scheme, rest, ok := strings.Cut(remote, "://")
		if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
			return scheme + "://" + rest[at+1:]
		}
		return remote
	}
	if u.Host == "" || u.User == nil {
		return remote
	}
	if _, secret := u.User.Password(); !secret && u.Scheme == "ssh" {
		return remote // ssh://git@host/… is a part of the address
	}
	u.User = nil
	return u.String()
}

// endProcess ends an earlier session of the same process: it lost its link and
// begins anew, so nothing of its own can still be at work.
func (b *book) endProcess(agentID, processID string) error {
	old, err := b.sessions(func(x session) bool { return x.AgentID == agentID && x.ProcessID == processID })
	if err != nil {
		return err
	}
	for _, x := range old {
		if err := b.endSession(x, true); err != nil {
			return err
		}
	}
	return nil
}

// Renew implements AgentService.
func (s *Server) Renew(ctx context.Context, req *connect.Request[penstockv1.RenewRequest]) (*connect.Response[penstockv1.RenewResponse], error) {
	out := &penstockv1.RenewResponse{Lease: durationpb.New(s.opt.Lease), Incarnation: s.opt.Store.Incarnation()}
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		x, err := b.session(req.Msg.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		x.extend(b.now, s.opt.Lease, req.Msg.Seen)
		out.Left, out.Grant = durationpb.New(x.ExpiresAt.Sub(b.now)), x.Grant
		return b.keepSession(x)
	})
	if err != nil {
		return nil, err
	}
	out.Woken = s.hub.woken(req.Msg.SessionId)
	return connect.NewResponse(out), nil
}

// Leave implements AgentService.
func (s *Server) Leave(ctx context.Context, req *connect.Request[penstockv1.LeaveRequest]) (*connect.Response[penstockv1.LeaveResponse], error) {
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		x, err := b.session(req.Msg.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		b.then(func() { s.metrics.leases.WithLabelValues("left").Inc() })
		return b.endSession(x, true)
	})
	if err != nil && deploy.CodeOf(err) != deploy.CodeUnauthorized {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: who(ctx).Project, kind: "agent", id: who(ctx).Owner, typ: "PROCESS"})
	return connect.NewResponse(&penstockv1.LeaveResponse{}), nil
}

// Wait implements AgentService. The first message is sent at once, so that the
// agent knows that the stream stands.
func (s *Server) Wait(ctx context.Context, req *connect.Request[penstockv1.WaitRequest], stream *connect.ServerStream[penstockv1.WaitResponse]) error {
	id := req.Msg.SessionId
	if err := s.sessionRuns(ctx, id); err != nil {
		return err
	}
	l := s.hub.join(id)
	defer s.hub.part(id, l)
	if err := s.sessionRuns(ctx, id); err != nil { // it may have ended before the line stood
		s.hub.forget(id)
		return err
	}
	first := true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.hub.done:
			return errStopping()
		case <-l.over:
			return &deploy.Error{Code: deploy.CodeUnauthorized, Reason: reasonSessionOver, Object: id, Message: "the session is over, or a newer stream took its place"}
		case <-l.ping:
		}
		work, repos, woken := s.hub.take(id, l)
		if !work && !first && len(repos) == 0 {
			continue
		}
		if err := stream.Send(&penstockv1.WaitResponse{Work: work || first, RepoIds: repos, Woken: woken}); err != nil {
			return err
		}
		first = false
	}
}

func errStopping() error { return deploy.Errorf(deploy.CodeUnavailable, "the server stops") }

// sessionRuns fails when a session of the caller is over.
func (s *Server) sessionRuns(ctx context.Context, id string) error {
	return s.view(ctx, who(ctx).Project, func(b *book) error {
		_, err := b.session(id, who(ctx).Owner)
		return err
	})
}

// GetWork implements AgentService.
func (s *Server) GetWork(ctx context.Context, req *connect.Request[penstockv1.GetWorkRequest]) (*connect.Response[penstockv1.GetWorkResponse], error) {
	out := &penstockv1.GetWorkResponse{}
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		x, err := b.session(req.Msg.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		live, err := b.liveSessions(x.AgentID)
		if err != nil {
			return err
		}
		if err := b.workOfRepos(out, x, live); err != nil {
			return err
		}
		if err := b.workOfQuestions(out, x, live); err != nil {
			return err
		}
		return b.workOfDeployments(out, x)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// workOfRepos fills in the repositories and applications that a process watches.
func (b *book) workOfRepos(out *penstockv1.GetWorkResponse, x session, live []session) error {
	apps, err := b.applicationsOf(x.AgentID)
	if err != nil {
		return err
	}
	byRepo := map[string][]string{}
	for _, a := range apps {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		byRepo[a.RepoID] = append(byRepo[a.RepoID], string(text))
		if !a.Disabled && responsible("app/"+a.ID, live) == x.ID {
			out.Applications = append(out.Applications, &penstockv1.WatchedApplication{Application: string(text)})
		}
	}
	for _, r := range x.Repositories {
		if responsible("repo/"+r.ID, live) != x.ID {
			continue
		}
		h, err := b.head(x.AgentID, r.ID, r.Branch)
		if err != nil {
			return err
		}
		out.Repositories = append(out.Repositories, &penstockv1.RepositoryWork{RepoId: r.ID, Branch: r.Branch, Head: h.Commit.Hash, Applications: byRepo[r.ID]})
	}
	return nil
}

// workOfDeployments fills in the deployments that a process carries on.
func (b *book) workOfDeployments(out *penstockv1.GetWorkResponse, x session) error {
	held, err := b.assignments(map[string][]string{"session_id": {x.ID}})
	if err != nil {
		return err
	}
	for _, a := range held {
		m, err := b.wireAssignment(a)
		if err != nil { // the others go on
			b.s.log.Error("read assignment", "deployment", a.DeploymentID, "error", err)
			continue
		}
		if m != nil {
			out.Assignments = append(out.Assignments, m)
		}
	}
	return nil
}

func (b *book) wireAssignment(a assignment) (*penstockv1.Assignment, error) {
	d, err := b.deployment(a.DeploymentID)
	if err != nil {
		return nil, err
	}
	if engine.Due(d).Work == engine.DueNothing {
		return nil, nil
	}
	app, err := load[deploy.Application](b, store.Applications, d.App.ID, "application")
	if err != nil {
		return nil, err
	}
	m := &penstockv1.Assignment{DeploymentId: d.ID, Epoch: a.Epoch}
	if wait := a.WriteAfter.Sub(b.now); wait > 0 {
		m.WriteAfter = durationpb.New(wait)
	}
	dj, err1 := json.Marshal(d)
	aj, err2 := json.Marshal(app)
	if err1 != nil || err2 != nil {
		return nil, deploy.Errorf(deploy.CodeInternal, "encode assignment %s", d.ID)
	}
	m.Deployment, m.Application = string(dj), string(aj)
	journal, err := b.journal(d.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range journal {
		m.Journal = append(m.Journal, &penstockv1.JournalEntry{Key: e.Key, Value: string(e.Value), Stage: e.Stage, Attempt: int32(e.Attempt)})
	}
	return m, nil
}

// applicationsOf lists the applications of an agent identity that are not deleted.
func (b *book) applicationsOf(agentID string) ([]deploy.Application, error) {
	all, err := allOf[deploy.Application](b, store.Applications, store.Query{Where: map[string][]string{"agent_id": {agentID}}})
	var out []deploy.Application
	for _, a := range all {
		if !a.Deleted {
			out = append(out, a)
		}
	}
	return out, err
}

// journal reads the journal of a deployment in key order.
func (b *book) journal(deploymentID string) ([]deploy.JournalEntry, error) {
	return allOf[deploy.JournalEntry](b, store.Journal, store.Query{Where: map[string][]string{"deployment_id": {deploymentID}}})
}

// branchHead is the newest head of a branch that an agent identity reported.
type branchHead struct {
	MovementID string        `json:"movementId"`
	Commit     deploy.Commit `json:"commit"`
	Error      string        `json:"error,omitempty"`
	At         time.Time     `json:"at"`
}

func headKey(agentID, repo, branch string) string { return agentID + "/" + repo + "/" + branch }

func (b *book) head(agentID, repo, branch string) (branchHead, error) {
	h, err := load[branchHead](b, store.Heads, headKey(agentID, repo, branch), "branch")
	if deploy.CodeOf(err) == deploy.CodeNotFound {
		return branchHead{}, nil
	}
	return h, err
}

func (b *book) keepHead(agentID, repo, branch string, h branchHead) error {
	h.At = b.now
	return keep(b, store.Heads, headKey(agentID, repo, branch), h, map[string]string{"repo_id": repo})
}
