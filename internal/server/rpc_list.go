package server

import (
	"context"
	"strings"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// sorts are the orders of applications.
var sorts = map[string]string{
	"": "name", "name": "name", "last_deployment": "last_at", "attention": "attention", "health": "by_health",
	"sync_state": "by_sync", "display": "by_display", "kind": "by_kind",
}

// ListApplications implements ApplicationService.
func (s *Server) ListApplications(ctx context.Context, req *connect.Request[penstockv1.ListApplicationsRequest]) (*connect.Response[penstockv1.ListApplicationsResponse], error) {
	m := req.Msg
	l, err := newListing(store.Applications, m.Query, m.Labels,
		filter{"kind", "kind", m.Kinds}, filter{"sync_state", "sync", m.SyncStates}, filter{"display", "display", m.Displays}, filter{"health", "health", m.Healths},
		filter{"agent_id", "agent_id", m.AgentIds}, filter{"provider", "provider", m.Providers}, filter{"enabled", "enabled", choice(m.Enabled)})
	if err != nil {
		return nil, err
	}
	l.there = []string{"true", "false"} // a deleted one is neither
	column, ok := sorts[strings.TrimPrefix(m.Sort, "-")]
	if !ok {
		return nil, deploy.Errorf(deploy.CodeInvalid, "sort %q is not name, last_deployment, attention, health, sync_state, display or kind", m.Sort)
	}
	out := &penstockv1.ListApplicationsResponse{}
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		if m.Favourites {
			p, err := b.preferences(who(ctx))
			if err != nil {
				return err
			}
			l.narrow.Keys = append([]string{}, p.Favourites...)
		}
		q := l.where()
		q.OrderBy, q.Desc, q.NotAfter = column, strings.HasPrefix(m.Sort, "-"), map[string]string{column: anyName}
		page, err := pageOf[deploy.Application](b, store.Applications, q, m.Page)
		if err != nil {
			return err
		}
		if err := b.applicationFacets(l, m, out); err != nil {
			return err
		}
		online, err := b.onlineAgents()
		if err != nil {
			return err
		}
		for _, a := range page.items {
			out.Applications = append(out.Applications, s.fullApplication(ctx, a, online))
		}
		out.Page = &penstockv1.PageInfo{NextPageToken: page.next}
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func (b *book) applicationFacets(l listing, m *penstockv1.ListApplicationsRequest, out *penstockv1.ListApplicationsResponse) error {
	total, facets, err := b.count(l, m.Facets)
	if err != nil {
		return err
	}
	out.Total, out.Facets = int32(total), facets
	if !m.Facets {
		return nil
	}
	labels, err := b.labelFacet(l)
	if err != nil {
		return err
	}
	out.Facets = append(out.Facets, labels)
	return b.nameAgents(out.Facets)
}

func wants(list []string, v string) bool {
	return len(list) == 0 || has(list, v)
}

// fullApplication adds what stands beside the record: health and time of the newest observation, and the agent.
func (s *Server) fullApplication(ctx context.Context, a deploy.Application, online map[string]string) *penstockv1.Application {
	m := wire.Application(a)
	m.AgentName, m.AgentOnline = online[a.AgentID], online[a.AgentID] != ""
	h, at, ok, err := s.opt.Store.Side().GetSide(ctx, a.ProjectID, "health", a.ID)
	if err != nil {
		s.log.Warn("read health", "application", a.ID, "error", err)
	}
	if ok {
		m.Health, m.LiveAt = string(h), wire.Time(at)
	}
	return m
}

// ListDeployments implements DeploymentService.
func (s *Server) ListDeployments(ctx context.Context, req *connect.Request[penstockv1.ListDeploymentsRequest]) (*connect.Response[penstockv1.ListDeploymentsResponse], error) {
	m := req.Msg
	l, err := newListing(store.Deployments, m.Query, m.Labels,
		filter{"status", "display", displaysOf(m.Statuses)}, filter{"kind", "kind", m.Kinds}, filter{"trigger", "trigger", m.Triggers},
		filter{"agent_id", "agent_id", m.AgentIds}, filter{"provider", "provider", m.Providers})
	if err != nil {
		return nil, err
	}
	if m.Sort != "" && m.Sort != "newest" && m.Sort != "oldest" {
		return nil, deploy.Errorf(deploy.CodeInvalid, "sort %q is not newest or oldest", m.Sort)
	}
	if m.Mine {
		l.narrow.Tags = append(l.narrow.Tags, index.TagWho+lower(who(ctx).name()))
	}
	out := &penstockv1.ListDeploymentsResponse{}
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		if m.ApplicationId != "" {
			a, err := b.findApplication(m.ApplicationId)
			if err != nil {
				return err
			}
			l.narrow.Where = map[string][]string{"application_id": {a.ID}}
		}
		q := l.where()
		q.Desc = m.Sort != "oldest"
		q.Summaries = true
		page, err := readPage(b, store.Deployments, q, m.Page, summaryOf)
		if err != nil {
			return err
		}
		total, facets, err := b.count(l, m.Facets)
		if err != nil {
			return err
		}
		out.Total, out.Facets = int32(total), facets
		if err := b.nameAgents(facets); err != nil {
			return err
		}
		out.Deployments = page.items
		out.Page = &penstockv1.PageInfo{NextPageToken: page.next}
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// displaysOf lists what a person reads for words of a filter, which may be
// statuses: a failure may have been rolled back or need a person.
func displaysOf(words []string) []string {
	var out []string
	add := func(w string) {
		if !has(out, w) {
			out = append(out, w)
		}
	}
	for _, w := range words {
		add(w)
		if st := deploy.Status(w); st.Terminal() {
			for _, end := range []deploy.End{deploy.EndSnapshot, deploy.EndNeedsAttention} {
				add(deploy.Display(st, end))
			}
		}
	}
	return out
}

// searchLimit is the most that a search answers with.
const searchLimit = 50

// minCommit is from how many characters on a word may be the beginning of a commit hash.
const minCommit = 4

// Search implements ProjectService. Names that begin with the query come
// first, then those that hold all its words; deployments are found by their id
// or the beginning of their commit.
func (s *Server) Search(ctx context.Context, req *connect.Request[penstockv1.SearchRequest]) (*connect.Response[penstockv1.SearchResponse], error) {
	text, limit := strings.TrimSpace(lower(req.Msg.Query)), int(req.Msg.Limit)
	if limit == 0 {
		limit = 20
	}
	if limit < 1 || limit > searchLimit || len(text) > maxFilterText {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a search has at most %d bytes, limit is 1 to %d", maxFilterText, searchLimit)
	}
	out := &penstockv1.SearchResponse{}
	if len(text) < 2 {
		return connect.NewResponse(out), nil
	}
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		f := finder{book: b, text: text, limit: limit, out: out, seen: map[string]bool{}}
		for _, find := range []func() error{f.agents, f.byName, f.byWords, f.byCommit} {
			if err := find(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// finder collects the hits of one search.
type finder struct {
	*book
	text  string
	limit int
	out   *penstockv1.SearchResponse
	seen  map[string]bool
}

func (f finder) add(h *penstockv1.SearchHit) {
	if len(f.out.Hits) < f.limit && !f.seen[h.Kind+h.Id] {
		f.seen[h.Kind+h.Id] = true
		h.ProjectId = f.project
		f.out.Hits = append(f.out.Hits, h)
	}
}

// agents come first: there are few, and one that bears the name is meant.
func (f finder) agents() error {
	recs, err := f.List(store.Agents, store.Query{Contains: map[string][]string{"name": strings.Fields(f.text)}, OrderBy: "name", Limit: 5})
	if err != nil || len(recs) == 0 {
		return err
	}
	online, err := f.onlineAgents()
	if err != nil {
		return err
	}
	for _, r := range recs {
		var a agentRecord
		if err := decodeBody(r, &a); err != nil {
			return err
		}
		status := "offline"
		if online[a.ID] != "" {
			status = "online"
		}
		f.add(&penstockv1.SearchHit{Kind: "agent", Id: a.ID, Name: a.Name, Status: status})
	}
	return nil
}

func (f finder) byName() error {
	return f.applications(store.Query{Prefix: map[string]string{"name": f.text}, OrderBy: "name"})
}

func (f finder) byWords() error {
	return f.applications(store.Query{Contains: map[string][]string{"text": strings.Fields(f.text)}, NotAfter: map[string]string{"name": anyName}, OrderBy: "name"})
}

func (f finder) applications(q store.Query) error {
	if q.Limit = f.limit - len(f.out.Hits); q.Limit == 0 {
		return nil
	}
	recs, err := f.List(store.Applications, q)
	if err != nil {
		return err
	}
	for _, r := range recs {
		var a deploy.Application
		if err := decodeBody(r, &a); err != nil {
			return err
		}
		f.add(&penstockv1.SearchHit{
			Kind: "application", Id: a.ID, ApplicationId: a.ID, Name: a.Name, Environment: environment(a.Labels), Provider: a.Provider, Platform: string(a.Kind),
			Detail: a.Path, Status: a.LastDisplay, Health: r.Index["health"], At: wire.Time(a.LastAt),
		})
	}
	return nil
}

// byCommit finds deployments by the beginning of their id or commit.
func (f finder) byCommit() error {
	if len(f.text) < minCommit {
		return nil
	}
	recs, err := f.List(store.Deployments, store.Query{Prefix: map[string]string{"commit": f.text}, Desc: true, Limit: 10})
	if err != nil {
		return err
	}
	if one, ok, err := f.Get(store.Deployments, f.text); err != nil {
		return err
	} else if ok {
		recs = append(recs, one)
	}
	for _, r := range recs {
		var d deploy.Deployment
		if err := decodeBody(r, &d); err != nil {
			return err
		}
		f.add(&penstockv1.SearchHit{
			Kind: "deployment", Id: d.ID, ApplicationId: d.App.ID, Name: d.App.Name, Environment: environment(d.App.Labels), Provider: d.App.Provider,
			Platform: string(d.App.Kind), Detail: d.Trigger.Commit.Subject, Status: d.Display(), At: wire.Time(d.TriggeredAt),
		})
	}
	return nil
}

// environment is the label that tells applications of one name apart.
func environment(labels map[string]string) string {
	if v := labels["env"]; v != "" {
		return v
	}
	return labels["environment"]
}
