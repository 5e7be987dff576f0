package server

import (
	"context"
	"encoding/json"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

const maxCandidates = 2000

// ReportHead implements AgentService: a branch moved. The server gives each
// observed movement an id, so that A→B→A deploys three times and a repeated
// report deploys nothing.
func (s *Server) ReportHead(ctx context.Context, req *connect.Request[penstockv1.ReportHeadRequest]) (*connect.Response[penstockv1.ReportHeadResponse], error) {
	m := req.Msg
	if len(m.Candidates) > maxCandidates || m.RepoId == "" {
		return nil, deploy.Errorf(deploy.CodeInvalid, "ReportHead needs a repository and at most %d candidates", maxCandidates)
	}
	out := &penstockv1.ReportHeadResponse{}
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		out.DeploymentIds = nil
		x, err := b.session(m.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		h, err := b.head(x.AgentID, m.RepoId, m.Branch)
		if err != nil {
			return err
		}
		if m.Error != "" {
			h.Error = clip(m.Error, 2000)
			b.changed = true
			return b.keepHead(x.AgentID, m.RepoId, m.Branch, h)
		}
		return b.headMoved(x, m, h, out)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func (b *book) headMoved(x session, m *penstockv1.ReportHeadRequest, h branchHead, out *penstockv1.ReportHeadResponse) error {
	known := h.Commit.Hash
	if known != m.Old && known != m.New {
		out.Head = known
		return nil
	}
	if known != m.New {
		h = branchHead{MovementID: b.s.opt.NewID(), Commit: wire.CommitFromWire(m.Commit)}
		h.Commit.Hash = m.New
	}
	h.Error = ""
	if err := b.keepHead(x.AgentID, m.RepoId, m.Branch, h); err != nil {
		return err
	}
	out.MovementId = h.MovementID
	for _, c := range m.Candidates {
		id, err := b.candidate(x, m, h, c)
		if err != nil {
			return err
		}
		if id != "" {
			out.DeploymentIds = append(out.DeploymentIds, id)
		}
	}
	return nil
}

// candidate records what a movement means for one application and deploys it if due.
func (b *book) candidate(x session, m *penstockv1.ReportHeadRequest, h branchHead, c *penstockv1.Candidate) (string, error) {
	a, err := b.application(c.ApplicationId)
	if err != nil || a.AgentID != x.AgentID {
		return "", err
	}
	if a.MovementID == h.MovementID {
		return "", nil
	}
	var why deploy.Reason
	if c.Why != "" {
		if err := json.Unmarshal([]byte(c.Why), &why); err != nil {
			return "", deploy.Errorf(deploy.CodeInvalid, "candidate %s: %v", c.ApplicationId, err)
		}
	}
	if a, err = b.decideApp(a, engine.HeadMoved{MovementID: h.MovementID, Old: m.Old, Commit: h.Commit, Due: c.Due, Why: why}); err != nil {
		return "", err
	}
	if c.InvalidDetail != "" {
		_, err := b.decideApp(a, engine.FileInvalid{Commit: h.Commit.Hash, Detail: clip(c.InvalidDetail, 8000)})
		return "", err
	}
	if a, err = b.decideApp(a, engine.FileValid{}); err != nil {
		return "", err
	}
	if c.Name != "" {
		ref := a.Ref
		ref.Name, ref.Labels, ref.Desc = clip(c.Name, 200), c.Labels, clip(c.Description, 4000)
		if a, err = b.decideApp(a, engine.Update{App: ref}); err != nil {
			return "", err
		}
	}
	if !c.Due || a.Disabled {
		return "", nil
	}
	return b.trigger(a, deploy.Trigger{
		Kind: deploy.OnCommit, Key: deploy.TriggerKey(deploy.OnCommit, a.ID, h.MovementID), Commit: h.Commit, Branch: m.Branch, Why: why,
	})
}

// clip bounds a text that somebody else made.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// discovered is an application file in git that is not registered.
type discovered struct {
	AgentID    string            `json:"agentId"`
	RepoID     string            `json:"repoId"`
	Branch     string            `json:"branch"`
	Path       string            `json:"path"`
	ConfigFile string            `json:"configFile"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Labels     map[string]string `json:"labels,omitempty"`
	Desc       string            `json:"desc,omitempty"`
	Providers  []string          `json:"providers,omitempty"`
	Invalid    string            `json:"invalid,omitempty"`
	Remote     string            `json:"remote,omitempty"`
}

func (d discovered) key() string {
	return d.AgentID + "/" + d.RepoID + "/" + d.Path + "/" + d.ConfigFile
}

// ReportFiles implements AgentService: the application files of a repository.
// Those that are not registered are offered, or register themselves where the
// project says so and the provider is beyond doubt.
func (s *Server) ReportFiles(ctx context.Context, req *connect.Request[penstockv1.ReportFilesRequest]) (*connect.Response[penstockv1.ReportFilesResponse], error) {
	m := req.Msg
	if len(m.Files) > maxCandidates {
		return nil, deploy.Errorf(deploy.CodeTooLarge, "a repository may hold %d application files, this one has %d", maxCandidates, len(m.Files))
	}
	out := &penstockv1.ReportFilesResponse{}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	err = s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		x, err := b.session(m.SessionId, who(ctx).Owner)
		if err != nil {
			return err
		}
		known, err := b.registeredPaths(x.AgentID, m.RepoId)
		if err != nil {
			return err
		}
		if err := b.clearDiscovered(x.AgentID, m.RepoId); err != nil {
			return err
		}
		out.Registered = false
		for _, f := range m.Files {
			if known[f.Path+"/"+f.ConfigFile] {
				continue
			}
			d := discoveredFrom(x, m, f)
			if p.AutoRegister && d.Invalid == "" && len(d.Providers) == 1 {
				if _, err := b.register(d, d.Providers[0]); err != nil {
					return err
				}
				out.Registered = true
				continue
			}
			if err := keep(b, store.Discovered, d.key(), d, map[string]string{"agent_id": d.AgentID, "repo_id": d.RepoID}); err != nil {
				return err
			}
		}
		if out.Registered {
			return b.wakeAgent(x.AgentID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func discoveredFrom(x session, m *penstockv1.ReportFilesRequest, f *penstockv1.DiscoveredApplication) discovered {
	d := discovered{
		AgentID: x.AgentID, RepoID: m.RepoId, Branch: m.Branch, Path: f.Path, ConfigFile: f.ConfigFile,
		Name: clip(f.Name, 200), Kind: f.Kind, Labels: f.Labels, Desc: clip(f.Description, 4000), Providers: f.Providers, Invalid: clip(f.InvalidDetail, 8000),
	}
	for _, r := range x.Repositories {
		if r.ID == m.RepoId {
			d.Remote = r.Remote
		}
	}
	return d
}

func (b *book) registeredPaths(agentID, repo string) (map[string]bool, error) {
	apps, err := b.applicationsOf(agentID)
	known := map[string]bool{}
	for _, a := range apps {
		if a.RepoID == repo {
			known[a.Path+"/"+a.ConfigFile] = true
		}
	}
	return known, err
}

func (b *book) clearDiscovered(agentID, repo string) error {
	old, err := b.List(store.Discovered, store.Query{Where: map[string][]string{"agent_id": {agentID}, "repo_id": {repo}}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, r := range old {
		if err := b.Delete(store.Discovered, r.Key); err != nil {
			return err
		}
	}
	return nil
}

// register records an application that was found in git.
func (b *book) register(d discovered, provider string) (deploy.Application, error) {
	ref := deploy.Ref{
		ID: b.s.opt.NewID(), Name: d.Name, Kind: deploy.Kind(d.Kind), AgentID: d.AgentID, Provider: provider, RepoID: d.RepoID,
		Branch: d.Branch, Path: d.Path, ConfigFile: d.ConfigFile, Labels: d.Labels, Desc: d.Desc, RemoteURL: d.Remote,
	}
	a, err := b.decideApp(deploy.Application{}, engine.Register{ProjectID: b.project, App: ref})
	if err != nil {
		return a, err
	}
	return a, b.Delete(store.Discovered, d.key())
}
