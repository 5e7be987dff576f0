package server

import (
	"context"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// projectRecord is a project's settings.
type projectRecord struct {
	ID           string      `json:"id"`
	Name         string      `json:"name"`
	AutoRegister bool        `json:"autoRegister,omitempty"`
	WebhookKey   *webhookKey `json:"webhookKey,omitempty"` // nil: webhooks are refused
	BadgeKey     []byte      `json:"badgeKey,omitempty"`   // the addresses of badges are made of it; nil: there are none

	Approvals deploy.ApprovalRules `json:"approvals,omitzero"`
}

// agentRecord is an agent identity.
type agentRecord struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Disabled     bool      `json:"disabled,omitempty"`
	RegisteredAt time.Time `json:"registeredAt"`
}

// ensureProject makes the first project.
func (s *Server) ensureProject(ctx context.Context) error {
	return s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error {
		_, ok, err := tx.Get(store.Projects, s.opt.Project.ID)
		if err != nil || ok {
			return err
		}
		c := s.opt.Project
		return keep(tx, store.Projects, c.ID, projectRecord{ID: c.ID, Name: c.Name, AutoRegister: c.AutoRegister, WebhookKey: newWebhookKey(c.WebhookSecret)}, nil)
	})
}

// eachProject runs f for every project.
func (s *Server) eachProject(ctx context.Context, f func(project string) error) error {
	var ids []string
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		recs, err := tx.List(store.Projects, store.Query{Limit: 1000})
		for _, r := range recs {
			ids = append(ids, r.Key)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := f(id); err != nil {
			return err
		}
	}
	return nil
}

// project reads the settings of a project.
func (s *Server) project(ctx context.Context, id string) (p projectRecord, err error) {
	err = s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		p, err = load[projectRecord](tx, store.Projects, id, "project")
		return err
	})
	return p, err
}

// audit appends one fact to the project's own stream.
func (s *Server) audit(ctx context.Context, e entry, t deploy.EventType, data any) error {
	return s.update(ctx, e, func(b *book) error {
		return b.appendFact(store.Stream{Kind: deploy.StreamProject, ID: e.project}, t, data)
	})
}

// appendFact appends a fact to a stream that no engine folds.
func (b *book) appendFact(st store.Stream, t deploy.EventType, data any) error {
	events := b.stamp([]deploy.Event{deploy.NewEvent(t, b.now, deploy.Reason{}, data)})
	return b.Append(st, store.AnyLength, st.ID, events)
}

// WhoAmI implements ProjectService.
func (s *Server) WhoAmI(ctx context.Context, _ *connect.Request[penstockv1.WhoAmIRequest]) (*connect.Response[penstockv1.WhoAmIResponse], error) {
	p := who(ctx)
	out := &penstockv1.WhoAmIResponse{Name: p.name(), Role: string(p.Role), ProjectId: p.Project, ServerVersion: s.opt.Version}
	for _, r := range policy.Rights(p.Role) {
		out.Rights = append(out.Rights, string(r))
	}
	err := s.view(ctx, p.Project, func(b *book) (err error) {
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func wireProject(p projectRecord) *penstockv1.Project {
	return &penstockv1.Project{
		Id: p.ID, Name: p.Name, AutoRegister: p.AutoRegister, WebhookSecretSet: p.WebhookKey != nil,
		ApprovalNotByAuthor: p.Approvals.NotByAuthor, ApprovalNeedsNote: p.Approvals.NeedNote,
		Badges: p.BadgeKey != nil,
	}
}

// GetProject implements ProjectService.
func (s *Server) GetProject(ctx context.Context, _ *connect.Request[penstockv1.GetProjectRequest]) (*connect.Response[penstockv1.GetProjectResponse], error) {
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.GetProjectResponse{Project: wireProject(p)}), nil
}

// UpdateProject implements ProjectService.
func (s *Server) UpdateProject(ctx context.Context, req *connect.Request[penstockv1.UpdateProjectRequest]) (*connect.Response[penstockv1.UpdateProjectResponse], error) {
	m, id := req.Msg, who(ctx).Project
	if m.WebhookSecret != nil && *m.WebhookSecret != "" && len(*m.WebhookSecret) < 16 {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a webhook secret has at least 16 characters")
	}
	var p projectRecord
	err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) (err error) {
		if p, err = load[projectRecord](tx, store.Projects, id, "project"); err != nil {
			return err
		}
		if m.AutoRegister != nil {
			p.AutoRegister = *m.AutoRegister
		}
		if m.ApprovalNotByAuthor != nil {
			p.Approvals.NotByAuthor = *m.ApprovalNotByAuthor
		}
		if m.ApprovalNeedsNote != nil {
			p.Approvals.NeedNote = *m.ApprovalNeedsNote
		}
		if m.Badges != nil {
			p.BadgeKey = badgeKey(*m.Badges, p.BadgeKey)
		}
		if m.WebhookSecret != nil {
			p.WebhookKey = newWebhookKey(*m.WebhookSecret)
		}
		return keep(tx, store.Projects, id, p, nil)
	})
	if err != nil {
		return nil, err
	}
	if err := s.audit(ctx, userEntry(ctx, m.RequestId), deploy.EvProjectUpdated, wireProject(p)); err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.UpdateProjectResponse{Project: wireProject(p)}), nil
}

// RegisterAgent implements ProjectService.
func (s *Server) RegisterAgent(ctx context.Context, req *connect.Request[penstockv1.RegisterAgentRequest]) (*connect.Response[penstockv1.RegisterAgentResponse], error) {
	name := strings.TrimSpace(req.Msg.Name)
	if name == "" || len(name) > 100 {
		return nil, deploy.Errorf(deploy.CodeInvalid, "an agent needs a name of at most 100 characters")
	}
	a, key, err := s.MakeAgent(ctx, who(ctx).Project, name, who(ctx).actor())
	if err != nil {
		return nil, err
	}
	w, err := s.wireAgent(ctx, who(ctx).Project, a)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.RegisterAgentResponse{Agent: w, Key: key}), nil
}

// MakeAgent registers an agent identity and returns its key, which is shown
// once. The demo and the first start of a server use it too.
func (s *Server) MakeAgent(ctx context.Context, project, name, actor string) (agentRecord, string, error) {
	a := agentRecord{ID: s.opt.NewID(), Name: name}
	err := s.update(ctx, entry{project: project, actor: actor}, func(b *book) error {
		same, err := b.Count(store.Agents, store.Query{Where: map[string][]string{"name": {lower(name)}}})
		if err != nil {
			return err
		}
		if same > 0 {
			return &deploy.Error{Code: deploy.CodeExists, Object: name, Message: "an agent of this name is registered; use it, or add a key to it"}
		}
		a.RegisteredAt = b.now
		if err := b.keepAgent(a); err != nil {
			return err
		}
		return b.appendFact(store.Stream{Kind: deploy.StreamAgent, ID: a.ID}, deploy.EvAgentRegistered, a)
	})
	if err != nil {
		return a, "", err
	}
	key, _, err := s.issue(ctx, entry{project: project, actor: actor}, credential{Kind: "agent", Project: project, Owner: a.ID, Role: policy.RoleAgent}, noFact)
	return a, key, err
}

// noFact is for a credential that another fact tells of.
func noFact(*book, credential) error { return nil }

// AgentID returns the id of an agent that MakeAgent made.
func (a agentRecord) AgentID() string { return a.ID }

func (b *book) keepAgent(a agentRecord) error {
	return keep(b, store.Agents, a.ID, a, map[string]string{"name": lower(a.Name)})
}

// agentKeys lists the credentials of an identity.
func (s *Server) agentKeys(ctx context.Context, project, id string) (map[string]credential, error) {
	keys := map[string]credential{}
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		recs, err := tx.List(store.Credentials, store.Query{Where: map[string][]string{"owner": {credential{Kind: "agent", Project: project, Owner: id}.owner()}}, Limit: 100})
		if err != nil {
			return err
		}
		for _, r := range recs {
			var c credential
			if err := decodeBody(r, &c); err != nil {
				return err
			}
			keys[r.Key] = c
		}
		return nil
	})
	return keys, err
}

// AddAgentKey implements ProjectService.
func (s *Server) AddAgentKey(ctx context.Context, req *connect.Request[penstockv1.AddAgentKeyRequest]) (*connect.Response[penstockv1.AddAgentKeyResponse], error) {
	m, project := req.Msg, who(ctx).Project
	var a agentRecord
	err := s.view(ctx, project, func(b *book) (err error) {
		a, err = load[agentRecord](b, store.Agents, m.AgentId, "agent")
		return err
	})
	if err != nil {
		return nil, err
	}
	c := credential{Kind: "agent", Project: project, Owner: a.ID, Role: policy.RoleAgent}
	key, _, err := s.issue(ctx, userEntry(ctx, m.RequestId), c, func(b *book, c credential) error {
		// A repeated request must not make a second key: the first one was shown, and is shown once.
		first := true
		_, err := b.once(m.RequestId, "AddAgentKey "+a.ID, func() (string, error) {
			first = false
			return c.ID, b.appendFact(store.Stream{Kind: deploy.StreamAgent, ID: a.ID}, deploy.EvAgentKeyAdded, map[string]string{"id": a.ID, "key": c.ID})
		})
		if err == nil && first {
			err = &deploy.Error{Code: deploy.CodeExists, Object: a.Name, Message: "this request made a key before, and a key is shown once: make another with a new request, and remove the one that was lost"}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	w, err := s.wireAgent(ctx, project, a)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.AddAgentKeyResponse{Agent: w, Key: key}), nil
}

// RemoveAgentKey implements ProjectService.
func (s *Server) RemoveAgentKey(ctx context.Context, req *connect.Request[penstockv1.RemoveAgentKeyRequest]) (*connect.Response[penstockv1.RemoveAgentKeyResponse], error) {
	project := who(ctx).Project
	keys, err := s.agentKeys(ctx, project, req.Msg.AgentId)
	if err != nil {
		return nil, err
	}
	for hash, c := range keys {
		if c.ID != req.Msg.KeyId {
			continue
		}
		if err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error { return tx.Delete(store.Credentials, hash) }); err != nil {
			return nil, err
		}
		a, err := s.agentFact(ctx, req.Msg.RequestId, req.Msg.AgentId, deploy.EvAgentKeyRemoved, nil)
		if err != nil {
			return nil, err
		}
		w, err := s.wireAgent(ctx, project, a)
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&penstockv1.RemoveAgentKeyResponse{Agent: w}), nil
	}
	return nil, &deploy.Error{Code: deploy.CodeNotFound, Object: req.Msg.KeyId, Message: "the agent has no such key"}
}

// agentFact changes an identity and appends what happened to its stream.
func (s *Server) agentFact(ctx context.Context, requestID, id string, t deploy.EventType, change func(*book, *agentRecord) error) (agentRecord, error) {
	var a agentRecord
	err := s.update(ctx, userEntry(ctx, requestID), func(b *book) (err error) {
		if a, err = load[agentRecord](b, store.Agents, id, "agent"); err != nil {
			return err
		}
		if change != nil {
			if err := change(b, &a); err != nil {
				return err
			}
		}
		if err := b.keepAgent(a); err != nil {
			return err
		}
		return b.appendFact(store.Stream{Kind: deploy.StreamAgent, ID: id}, t, a)
	})
	return a, err
}

// dismiss ends all sessions of an identity. Its processes cannot know it before
// their next call, so whoever comes behind them waits as behind a lost lease.
func (b *book) dismiss(agentID string) error {
	all, err := b.sessions(func(x session) bool { return x.AgentID == agentID })
	if err != nil {
		return err
	}
	for _, x := range all { // none is left to be given anything when the first is ended
		if err := b.Delete(store.Sessions, x.ID); err != nil {
			return err
		}
	}
	for _, x := range all {
		if err := b.endSession(x, false); err != nil {
			return err
		}
	}
	return nil
}

// SetAgentEnabled implements ProjectService.
func (s *Server) SetAgentEnabled(ctx context.Context, req *connect.Request[penstockv1.SetAgentEnabledRequest]) (*connect.Response[penstockv1.SetAgentEnabledResponse], error) {
	t := deploy.EvAgentDisabled
	if req.Msg.Enabled {
		t = deploy.EvAgentEnabled
	}
	a, err := s.agentFact(ctx, req.Msg.RequestId, req.Msg.AgentId, t, func(b *book, a *agentRecord) error {
		a.Disabled = !req.Msg.Enabled
		if req.Msg.Enabled {
			return nil
		}
		return b.dismiss(a.ID)
	})
	if err != nil {
		return nil, err
	}
	w, err := s.wireAgent(ctx, who(ctx).Project, a)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SetAgentEnabledResponse{Agent: w}), nil
}

// ListAgents implements ProjectService.
func (s *Server) ListAgents(ctx context.Context, req *connect.Request[penstockv1.ListAgentsRequest]) (*connect.Response[penstockv1.ListAgentsResponse], error) {
	project := who(ctx).Project
	var found page[agentRecord]
	err := s.view(ctx, project, func(b *book) (err error) {
		found, err = pageOf[agentRecord](b, store.Agents, store.Query{OrderBy: "name"}, req.Msg.Page)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &penstockv1.ListAgentsResponse{Page: &penstockv1.PageInfo{NextPageToken: found.next}}
	for _, a := range found.items {
		w, err := s.wireAgent(ctx, project, a)
		if err != nil {
			return nil, err
		}
		out.Agents = append(out.Agents, w)
	}
	return connect.NewResponse(out), nil
}

// wireAgent renders an identity with its keys, processes and what they hold.
func (s *Server) wireAgent(ctx context.Context, project string, a agentRecord) (*penstockv1.Agent, error) {
	m := &penstockv1.Agent{Id: a.ID, Name: a.Name, Disabled: a.Disabled, RegisteredAt: wire.Time(a.RegisteredAt)}
	keys, err := s.agentKeys(ctx, project, a.ID)
	if err != nil {
		return nil, err
	}
	for _, c := range keys {
		m.Keys = append(m.Keys, &penstockv1.AgentKey{Id: c.ID, CreatedAt: wire.Time(c.CreatedAt), LastUsedAt: wire.Time(c.UsedAt)})
	}
	sortBy(m.Keys, func(k *penstockv1.AgentKey) string { return k.Id })
	err = s.view(ctx, project, func(b *book) error { return b.describeProcesses(m) })
	return m, err
}

func (b *book) describeProcesses(m *penstockv1.Agent) error {
	live, err := b.liveSessions(m.Id)
	if err != nil {
		return err
	}
	apps, err := b.applicationsOf(m.Id)
	if err != nil {
		return err
	}
	seenRepo, seenProvider := map[string]bool{}, map[string]bool{}
	for _, x := range live {
		p := &penstockv1.AgentProcess{
			Id: x.ProcessID, Host: x.Host, Version: x.Version, StartedAt: wire.Time(x.StartedAt), LastSeenAt: wire.Time(x.SeenAt), LeaseUntil: wire.Time(x.ExpiresAt), Online: true,
		}
		held, err := b.assignments(map[string][]string{"session_id": {x.ID}})
		if err != nil {
			return err
		}
		for _, a := range held {
			p.Deployments = append(p.Deployments, a.DeploymentID)
		}
		for _, a := range apps {
			if responsible("app/"+a.ID, live) == x.ID {
				p.Applications = append(p.Applications, a.ID)
			}
		}
		m.Processes = append(m.Processes, p)
		for _, r := range x.Repositories {
			if seenRepo[r.ID] {
				continue
			}
			seenRepo[r.ID] = true
			h, err := b.head(m.Id, r.ID, r.Branch)
			if err != nil {
				return err
			}
			m.Repositories = append(m.Repositories, &penstockv1.Repository{Id: r.ID, Remote: r.Remote, Branch: r.Branch, Head: h.Commit.Hash, Error: h.Error})
		}
		for _, v := range x.Providers {
			if !seenProvider[v.Name] {
				seenProvider[v.Name] = true
				m.Providers = append(m.Providers, &penstockv1.Provider{Name: v.Name, Kind: v.Kind})
			}
		}
	}
	return nil
}

// CreateAPIKey implements ProjectService.
func (s *Server) CreateAPIKey(ctx context.Context, req *connect.Request[penstockv1.CreateAPIKeyRequest]) (*connect.Response[penstockv1.CreateAPIKeyResponse], error) {
	m := req.Msg
	role := policy.Role(m.Role)
	if role != policy.RoleViewer && role != policy.RoleOperator && role != policy.RoleAdmin {
		return nil, deploy.Errorf(deploy.CodeInvalid, "role %q is not viewer, operator or admin", m.Role)
	}
	days := int(m.Days)
	if days == 0 {
		days = 90
	}
	if m.Name == "" || len(m.Name) > 100 || days < 0 || days > 3650 {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a key needs a name of at most 100 characters and 1 to 3650 days")
	}
	e := userEntry(ctx, m.RequestId)
	secret, c, err := s.issue(ctx, e, credential{
		Kind: "key", Project: e.project, Owner: m.Name, Role: role, ExpiresAt: s.now().AddDate(0, 0, days),
	}, func(b *book, c credential) error {
		return b.appendFact(store.Stream{Kind: deploy.StreamProject, ID: e.project}, deploy.EvProjectUpdated,
			map[string]string{"key": m.Name, "role": m.Role, "credential": c.ID})
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.CreateAPIKeyResponse{Key: secret, ExpiresAt: timestamppb.New(c.ExpiresAt)}), nil
}
