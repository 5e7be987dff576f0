package server

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// Bounds of what one person keeps.
const (
	maxFavourites = 200
	maxViews      = 50
	maxViewName   = 80
	maxViewPath   = 2000
)

// preferences are what one person or key keeps in a project. They are no facts
// about deployments, so they are a record without a stream.
type preferences struct {
	Favourites []string    `json:"favourites,omitempty"`
	Views      []savedView `json:"views,omitempty"`
}

type savedView struct {
	Name string `json:"name"`
	Path string `json:"path"`
}

func (b *book) preferences(p principal) (preferences, error) {
	out, err := load[preferences](b, store.Preferences, p.actor(), "preferences")
	if deploy.CodeOf(err) == deploy.CodeNotFound {
		return out, nil
	}
	return out, err
}

func wirePreferences(p preferences) *penstockv1.Preferences {
	m := &penstockv1.Preferences{Favourites: p.Favourites}
	for _, v := range p.Views {
		m.Views = append(m.Views, &penstockv1.SavedView{Name: v.Name, Path: v.Path})
	}
	return m
}

// changePreferences changes what the caller keeps. It wakes nobody.
func (s *Server) changePreferences(ctx context.Context, change func(*book, *preferences) error) (*penstockv1.Preferences, error) {
	var p preferences
	err := s.update(ctx, userEntry(ctx, ""), func(b *book) (err error) {
		if p, err = b.preferences(who(ctx)); err != nil {
			return err
		}
		if err := change(b, &p); err != nil {
			return err
		}
		return keep(b, store.Preferences, who(ctx).actor(), p, nil)
	})
	if err != nil {
		return nil, err
	}
	return wirePreferences(p), nil
}

// GetPreferences implements ProjectService. Favourites that were deleted are left out.
func (s *Server) GetPreferences(ctx context.Context, _ *connect.Request[penstockv1.GetPreferencesRequest]) (*connect.Response[penstockv1.GetPreferencesResponse], error) {
	var p preferences
	err := s.view(ctx, who(ctx).Project, func(b *book) (err error) {
		if p, err = b.preferences(who(ctx)); err != nil || len(p.Favourites) == 0 {
			return err
		}
		return b.dropDeleted(&p)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.GetPreferencesResponse{Preferences: wirePreferences(p)}), nil
}

func (b *book) dropDeleted(p *preferences) error {
	recs, err := b.List(store.Applications, store.Query{Keys: p.Favourites, NotAfter: map[string]string{"name": anyName}, Limit: maxFavourites})
	there := map[string]bool{}
	for _, r := range recs {
		there[r.Key] = true
	}
	p.Favourites = slices.DeleteFunc(p.Favourites, func(id string) bool { return !there[id] })
	return err
}

// SetFavourite implements ProjectService.
func (s *Server) SetFavourite(ctx context.Context, req *connect.Request[penstockv1.SetFavouriteRequest]) (*connect.Response[penstockv1.SetFavouriteResponse], error) {
	id := req.Msg.ApplicationId
	p, err := s.changePreferences(ctx, func(b *book, p *preferences) error {
		i := slices.Index(p.Favourites, id)
		switch {
		case !req.Msg.Favourite && i >= 0:
			p.Favourites = slices.Delete(p.Favourites, i, i+1)
		case req.Msg.Favourite && i < 0:
			if _, err := b.application(id); err != nil {
				return err
			}
			if err := b.dropDeleted(p); err != nil {
				return err
			}
			if len(p.Favourites) >= maxFavourites {
				return &deploy.Error{Code: deploy.CodeExhausted, Object: id, Message: "you have 200 favourites, which is the most: remove one first"}
			}
			p.Favourites = append(p.Favourites, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SetFavouriteResponse{Preferences: p}), nil
}

// SaveView implements ProjectService. The path stays within the page: it
// begins with one slash, so that a link to a saved view never leaves it.
func (s *Server) SaveView(ctx context.Context, req *connect.Request[penstockv1.SaveViewRequest]) (*connect.Response[penstockv1.SaveViewResponse], error) {
	v := savedView{Name: strings.TrimSpace(req.Msg.GetView().GetName()), Path: req.Msg.GetView().GetPath()}
	if n := utf8.RuneCountInString(v.Name); n == 0 || n > maxViewName {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a view needs a name of at most %d characters", maxViewName)
	}
	if len(v.Path) > maxViewPath || !strings.HasPrefix(v.Path, "/") || strings.HasPrefix(v.Path, "//") || strings.ContainsAny(v.Path, "\\\r\n\t") {
		return nil, deploy.Errorf(deploy.CodeInvalid, "the path of a view begins with one / and has at most %d characters", maxViewPath)
	}
	p, err := s.changePreferences(ctx, func(_ *book, p *preferences) error {
		i, found := slices.BinarySearchFunc(p.Views, v.Name, func(x savedView, name string) int { return strings.Compare(x.Name, name) })
		if found {
			p.Views[i] = v
			return nil
		}
		if len(p.Views) >= maxViews {
			return &deploy.Error{Code: deploy.CodeExhausted, Object: v.Name, Message: "you have 50 saved views, which is the most: delete one first"}
		}
		p.Views = slices.Insert(p.Views, i, v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SaveViewResponse{Preferences: p}), nil
}

// DeleteView implements ProjectService. A view that is gone is no error.
func (s *Server) DeleteView(ctx context.Context, req *connect.Request[penstockv1.DeleteViewRequest]) (*connect.Response[penstockv1.DeleteViewResponse], error) {
	p, err := s.changePreferences(ctx, func(_ *book, p *preferences) error {
		p.Views = slices.DeleteFunc(p.Views, func(x savedView) bool { return x.Name == req.Msg.Name })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.DeleteViewResponse{Preferences: p}), nil
}

// apiKeys lists the API keys of a project with their hashes.
func (s *Server) apiKeys(ctx context.Context, project string) (map[string]credential, error) {
	out := map[string]credential{}
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		recs, err := listAll(tx, store.Credentials, store.Query{Prefix: map[string]string{"owner": project + "/key/"}})
		if err != nil {
			return err
		}
		for _, r := range recs {
			var c credential
			if err := decodeBody(r, &c); err != nil {
				return err
			}
			out[r.Key] = c
		}
		return nil
	})
	return out, err
}

// ListAPIKeys implements ProjectService.
func (s *Server) ListAPIKeys(ctx context.Context, _ *connect.Request[penstockv1.ListAPIKeysRequest]) (*connect.Response[penstockv1.ListAPIKeysResponse], error) {
	keys, err := s.apiKeys(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	out := &penstockv1.ListAPIKeysResponse{}
	for _, c := range keys {
		out.Keys = append(out.Keys, &penstockv1.APIKey{
			Id: c.ID, Name: c.Owner, Role: string(c.Role), CreatedAt: wire.Time(c.CreatedAt), ExpiresAt: wire.Time(c.ExpiresAt), LastUsedAt: wire.Time(c.UsedAt),
			Expired: !c.ExpiresAt.After(s.now()),
		})
	}
	slices.SortFunc(out.Keys, func(a, b *penstockv1.APIKey) int {
		if d := b.CreatedAt.AsTime().Compare(a.CreatedAt.AsTime()); d != 0 {
			return d
		}
		return strings.Compare(a.Id, b.Id)
	})
	return connect.NewResponse(out), nil
}

// RevokeAPIKey implements ProjectService.
func (s *Server) RevokeAPIKey(ctx context.Context, req *connect.Request[penstockv1.RevokeAPIKeyRequest]) (*connect.Response[penstockv1.RevokeAPIKeyResponse], error) {
	m, project := req.Msg, who(ctx).Project
	keys, err := s.apiKeys(ctx, project)
	if err != nil {
		return nil, err
	}
	for hash, c := range keys {
		if c.ID != m.KeyId {
			continue
		}
		if err := s.opt.Store.Update(ctx, store.System, func(tx store.Tx) error { return tx.Delete(store.Credentials, hash) }); err != nil {
			return nil, err
		}
		err := s.audit(ctx, userEntry(ctx, m.RequestId), deploy.EvProjectUpdated, map[string]string{"revokedKey": c.Owner, "credential": c.ID})
		if err != nil {
			return nil, err
		}
		return connect.NewResponse(&penstockv1.RevokeAPIKeyResponse{}), nil
	}
	return nil, &deploy.Error{Code: deploy.CodeNotFound, Object: m.KeyId, Message: "there is no such key; it may have been revoked before; the page of API keys lists those that are there"}
}
