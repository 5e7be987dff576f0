package server

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// userEntry is the entry of a call of a person or a script.
func userEntry(ctx context.Context, requestID string) entry {
	p := who(ctx)
	return entry{project: p.Project, actor: p.actor(), cause: requestID}
}

func lower(s string) string { return strings.ToLower(s) }

// anyName stands behind every name: not behind it, and not empty, are the names
// of all applications that were not deleted.
const anyName = "\U0010ffff"

func (s *Server) liveState(ctx context.Context, project, id string) (deploy.LiveState, time.Time, error) {
	var live deploy.LiveState
	text, at, ok, err := s.opt.Store.Side().GetSide(ctx, project, "live", id)
	if err != nil || !ok {
		return live, time.Time{}, err
	}
	return live, at, json.Unmarshal(text, &live)
}

// onlineAgents maps identities with a live process to their names.
func (b *book) onlineAgents() (map[string]string, error) {
	out := map[string]string{}
	live, err := b.sessions(func(x session) bool { return x.ExpiresAt.After(b.now) })
	for _, x := range live {
		out[x.AgentID] = x.AgentName
	}
	return out, err
}

// findApplication reads an application by id or by its only name.
func (b *book) findApplication(idOrName string) (deploy.Application, error) {
	a, err := b.application(idOrName)
	if deploy.CodeOf(err) != deploy.CodeNotFound {
		return a, err
	}
	recs, err := b.List(store.Applications, store.Query{Where: map[string][]string{"name": {lower(idOrName)}}, Limit: 10})
	if err != nil {
		return a, err
	}
	switch len(recs) {
	case 0:
		return a, &deploy.Error{Code: deploy.CodeNotFound, Object: idOrName, Message: "there is no application of this id or name; list them with: penstock app list"}
	case 1:
		return a, decodeBody(recs[0], &a)
	}
	return a, &deploy.Error{Code: deploy.CodeInvalid, Object: idOrName, Message: "several applications have this name; use the id"}
}

// GetApplication implements ApplicationService.
func (s *Server) GetApplication(ctx context.Context, req *connect.Request[penstockv1.GetApplicationRequest]) (*connect.Response[penstockv1.GetApplicationResponse], error) {
	out := &penstockv1.GetApplicationResponse{}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	err = s.view(ctx, p.ID, func(b *book) error {
		a, err := b.findApplication(req.Msg.Application)
		if err != nil {
			return err
		}
		online, err := b.onlineAgents()
		if err != nil {
			return err
		}
		out.Application = s.fullApplication(ctx, a, online)
		out.Application.BadgePath = p.badgePath(a.ID)
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// AddApplication implements ApplicationService: an application that was found
// in git is registered.
func (s *Server) AddApplication(ctx context.Context, req *connect.Request[penstockv1.AddApplicationRequest]) (*connect.Response[penstockv1.AddApplicationResponse], error) {
	m := req.Msg
	var a deploy.Application
	err := s.update(ctx, userEntry(ctx, m.RequestId), func(b *book) error {
		id, err := b.once(m.RequestId, "AddApplication "+m.RepoId+":"+m.Path+"/"+m.ConfigFile, func() (string, error) {
			d, provider, err := b.toRegister(m)
			if err != nil {
				return "", err
			}
			a, err := b.register(d, provider)
			if err != nil {
				return "", err
			}
			return a.ID, b.wakeAgent(a.AgentID)
		})
		if err != nil {
			return err
		}
		a, err = b.application(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.AddApplicationResponse{Application: wire.Application(a)}), nil
}

// toRegister finds the discovered file that a request names. The file must
// have been seen in git, so that a slip of the path is told at once.
func (b *book) toRegister(m *penstockv1.AddApplicationRequest) (discovered, string, error) {
	d := discovered{AgentID: m.AgentId, RepoID: m.RepoId, Path: strings.Trim(m.Path, "/"), ConfigFile: m.ConfigFile}
	if d.ConfigFile == "" {
		d.ConfigFile = "app.pipecd.yaml"
	}
	known, err := b.registeredPaths(d.AgentID, d.RepoID)
	if err != nil {
		return d, "", err
	}
	object := d.RepoID + ":" + d.Path + "/" + d.ConfigFile
	if known[d.Path+"/"+d.ConfigFile] {
		return d, "", &deploy.Error{Code: deploy.CodeExists, Object: object, Message: "the application is registered already"}
	}
	found, err := load[discovered](b, store.Discovered, d.key(), "application file")
	if err != nil {
		return d, "", &deploy.Error{Code: deploy.CodeNotFound, Object: object, Message: "no agent has seen this file in git; list what was found with: penstock app discover"}
	}
	if found.Invalid != "" {
		return d, "", &deploy.Error{Code: deploy.CodeInvalid, Object: object, Message: "the file cannot be used:\n" + found.Invalid}
	}
	provider := m.Provider
	if provider == "" && len(found.Providers) == 1 {
		provider = found.Providers[0]
	}
	if !has(found.Providers, provider) {
		return d, "", &deploy.Error{Code: deploy.CodeInvalid, Object: object, Message: "choose a platform provider: " + strings.Join(found.Providers, ", ")}
	}
	if m.Name != "" {
		found.Name = clip(m.Name, 200)
	}
	return found, provider, nil
}

func has(list []string, v string) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// SetApplicationEnabled implements ApplicationService.
func (s *Server) SetApplicationEnabled(ctx context.Context, req *connect.Request[penstockv1.SetApplicationEnabledRequest]) (*connect.Response[penstockv1.SetApplicationEnabledResponse], error) {
	m := req.Msg
	var in engine.AppInput = engine.Disable{}
	if m.Enabled {
		in = engine.Enable{}
	}
	a, err := s.changeApplication(ctx, m.RequestId, m.ApplicationId, in)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SetApplicationEnabledResponse{Application: wire.Application(a)}), nil
}

// DeleteApplication implements ApplicationService.
func (s *Server) DeleteApplication(ctx context.Context, req *connect.Request[penstockv1.DeleteApplicationRequest]) (*connect.Response[penstockv1.DeleteApplicationResponse], error) {
	if _, err := s.changeApplication(ctx, req.Msg.RequestId, req.Msg.ApplicationId, engine.Delete{}); err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.DeleteApplicationResponse{}), nil
}

func (s *Server) changeApplication(ctx context.Context, requestID, id string, in engine.AppInput) (deploy.Application, error) {
	if requestID == "" {
		requestID = s.opt.NewID()
	}
	var a deploy.Application
	err := s.update(ctx, userEntry(ctx, requestID), func(b *book) error {
		_, err := b.once(requestID, fmt.Sprintf("%T %s", in, id), func() (string, error) {
			a, err := b.findApplication(id)
			if err != nil {
				return "", err
			}
			if a, err = b.decideApp(a, in); err != nil {
				return "", err
			}
			if err := b.noteCommand(command{Kind: appCommand(in), App: a.Ref}); err != nil {
				return "", err
			}
			return a.ID, b.wakeAgent(a.AgentID)
		})
		if err != nil {
			return err
		}
		if _, gone := in.(engine.Delete); gone {
			return nil
		}
		a, err = b.findApplication(id)
		return err
	})
	return a, err
}

// SyncApplication implements ApplicationService.
func (s *Server) SyncApplication(ctx context.Context, req *connect.Request[penstockv1.SyncApplicationRequest]) (*connect.Response[penstockv1.SyncApplicationResponse], error) {
	m := req.Msg
	strategy := deploy.Strategy(m.Strategy)
	switch strategy {
	case "", deploy.StrategyAuto:
		strategy = deploy.StrategyAuto
	case deploy.StrategyQuick, deploy.StrategyPipeline:
	default:
		return nil, deploy.Errorf(deploy.CodeInvalid, "strategy %q is not AUTO, QUICK_SYNC or PIPELINE", m.Strategy)
	}
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	id, err := s.deployByCommand(ctx, wish{commandSync, m.RequestId, string(strategy), m.ApplicationId, text}, func(b *book, a deploy.Application) (deploy.Trigger, error) {
		if a.Head.Hash == "" {
			return deploy.Trigger{}, deploy.Refuse(deploy.RefusedState, a.ID, "no agent has read the branch of this application yet; is an agent with repository %s online?", a.RepoID)
		}
		return deploy.Trigger{Commit: a.Head, Branch: a.Branch, Strategy: strategy}, nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SyncApplicationResponse{DeploymentId: id}), nil
}

// maxQueue bounds what people can put behind a running deployment.
const maxQueue = 20

// wish is a person's wish for a deployment: of is what the kind is about.
type wish struct{ kind, requestID, of, app, note string }

// deployByCommand starts the deployment that a person asked for.
func (s *Server) deployByCommand(ctx context.Context, w wish, make func(*book, deploy.Application) (deploy.Trigger, error)) (string, error) {
	if w.requestID == "" {
		w.requestID = s.opt.NewID()
	}
	var id string
	err := s.update(ctx, userEntry(ctx, w.requestID), func(b *book) (err error) {
		id, err = b.once(w.requestID, w.kind+" "+w.app+" "+w.of, func() (string, error) {
			a, err := b.findApplication(w.app)
			if err != nil {
				return "", err
			}
			if len(a.Queue) >= maxQueue {
				return "", &deploy.Error{Code: deploy.CodeExhausted, Object: a.ID, Message: "the queue of the application is full: cancel some of its deployments, or wait"}
			}
			t, err := make(b, a)
			if err != nil {
				return "", err
			}
			t.Kind, t.By, t.Key = deploy.OnCommand, who(ctx).name(), deploy.TriggerKey(deploy.OnCommand, a.ID, b.actor+"/"+w.requestID)
			t.Note = w.note
			if t.Why.IsZero() {
				t.Why = deploy.Why(deploy.ReasonUserCommand, "by", t.By, "note", w.note)
			}
			id, err := b.trigger(a, t)
			if err != nil {
				return "", err
			}
			return id, b.noteCommand(command{Kind: w.kind, App: a.Ref, DeploymentID: id, Note: w.note})
		})
		return err
	})
	return id, err
}

// ListDiscoveredApplications implements ApplicationService.
func (s *Server) ListDiscoveredApplications(ctx context.Context, req *connect.Request[penstockv1.ListDiscoveredApplicationsRequest]) (*connect.Response[penstockv1.ListDiscoveredApplicationsResponse], error) {
	out := &penstockv1.ListDiscoveredApplicationsResponse{}
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		page, err := pageOf[discovered](b, store.Discovered, store.Query{}, req.Msg.Page)
		if err != nil {
			return err
		}
		for _, d := range page.items {
			out.Applications = append(out.Applications, &penstockv1.DiscoveredApplication{
				AgentId: d.AgentID, RepoId: d.RepoID, Branch: d.Branch, Path: d.Path, ConfigFile: d.ConfigFile, Name: d.Name, Kind: d.Kind,
				Labels: d.Labels, Description: d.Desc, Providers: d.Providers, InvalidDetail: d.Invalid,
			})
		}
		out.Page = &penstockv1.PageInfo{NextPageToken: page.next}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// GetLiveState implements ApplicationService.
func (s *Server) GetLiveState(ctx context.Context, req *connect.Request[penstockv1.GetLiveStateRequest]) (*connect.Response[penstockv1.GetLiveStateResponse], error) {
	p := who(ctx)
	var a deploy.Application
	err := s.view(ctx, p.Project, func(b *book) (err error) {
		a, err = b.findApplication(req.Msg.ApplicationId)
		return err
	})
	if err != nil {
		return nil, err
	}
	live, at, err := s.liveState(ctx, p.Project, a.ID)
	if err != nil {
		return nil, err
	}
	out := &penstockv1.GetLiveStateResponse{}
	if !at.IsZero() {
		out.LiveState = wire.LiveState(live)
	}
	if since := req.Msg.TrafficSince; since != nil {
		if out.Traffic, err = s.trafficSince(ctx, p.Project, a.ID, since.AsTime(), live); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(out), nil
}
