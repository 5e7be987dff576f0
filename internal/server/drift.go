package server

import (
	"context"
	"encoding/json"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/wire"
)

// maxDriftSummary bounds the words about a drift, in bytes.
const maxDriftSummary = 2000

// compared records what a comparison of live and declared state says, and
// deploys against a drift where the application's file asks for it. Most
// comparisons say what the record knows already, so they are looked at in a
// snapshot before anything is written.
func (s *Server) compared(ctx context.Context, m *penstockv1.ReportLiveRequest) error {
	c := m.Comparison
	if c.Count < 0 || c.Count > 0 && (c.Digest == "" || len(c.Digest) > 128 || len(c.Blob) > 128) {
		return deploy.Errorf(deploy.CodeInvalid, "the comparison needs a count and, with differences, their digest")
	}
	rule := engine.DriftRule{Enabled: c.Deploys, MinWindow: c.MinWindow.AsDuration()}
	news := false
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		a, err := b.application(m.ApplicationId)
		if err != nil {
			return err
		}
		events, err := engine.DecideApp(a, comparison(c, ""), b.now)
		_, mends := engine.MendsDrift(a, rule, b.now)
		news = len(events) > 0 || mends
		return err
	})
	if err != nil || !news {
		return err
	}
	return s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		if _, err := b.session(m.SessionId, who(ctx).Owner); err != nil {
			return err
		}
		a, err := b.application(m.ApplicationId)
		if err != nil {
			return err
		}
		if a, err = b.decideApp(a, comparison(c, b.s.opt.NewID())); err != nil {
			return err
		}
		if t, mends := engine.MendsDrift(a, rule, b.now); mends {
			_, err = b.trigger(a, t)
		}
		return err
	})
}

// comparison is the input that a report means; id names a new observation.
func comparison(c *penstockv1.Comparison, id string) engine.AppInput {
	if c.Count == 0 {
		return engine.InSync{Good: c.GoodDeploymentId, After: c.LastDeploymentId}
	}
	return engine.Drifted{
		ID: id, Good: c.GoodDeploymentId, After: c.LastDeploymentId, Digest: c.Digest, Count: int(c.Count), Summary: clip(c.Summary, maxDriftSummary), Blob: c.Blob,
	}
}

// GetDrift implements ApplicationService.
func (s *Server) GetDrift(ctx context.Context, req *connect.Request[penstockv1.GetDriftRequest]) (*connect.Response[penstockv1.GetDriftResponse], error) {
	var a deploy.Application
	err := s.view(ctx, who(ctx).Project, func(b *book) (err error) {
		a, err = b.findApplication(req.Msg.Application)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &penstockv1.GetDriftResponse{Drift: wire.Drift(a)}
	if a.LastGood != nil {
		out.GoodDeploymentId = a.LastGood.DeploymentID
	}
	if out.Drift == nil || a.Drift.Blob == "" {
		return connect.NewResponse(out), nil
	}
	data, err := s.opt.Blobs.Get(ctx, a.Drift.Blob)
	if err != nil {
		return nil, err
	}
	var c changesBlob
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	out.Text, out.Json = c.Text, string(c.Changes)
	out.Before, out.After = c.Before.wire(), c.After.wire()
	return connect.NewResponse(out), nil
}
