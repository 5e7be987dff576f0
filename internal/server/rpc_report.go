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

// Limits of what one call of an agent may carry.
const (
	maxJournalEntry   = 64 << 10
	maxJournalEntries = 900
	maxLogChunk       = 256 << 10
	maxResources      = 2000
)

// Report implements AgentService: what became of something that was due. The
// answer is the deployment behind it, so that the agent goes on at once.
func (s *Server) Report(ctx context.Context, req *connect.Request[penstockv1.ReportRequest]) (*connect.Response[penstockv1.ReportResponse], error) {
	m := req.Msg
	if m.EventId == "" {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a report needs an event id")
	}
	if step, ok := m.What.(*penstockv1.ReportRequest_Step); ok && step.Step.Progress == "WAITING" {
		return s.reportWaiting(ctx, m, step.Step)
	}
	var d deploy.Deployment
	err := s.update(ctx, linkEntry(ctx, m.EventId), func(b *book) error {
		if _, err := b.session(m.SessionId, who(ctx).Owner); err != nil {
			return err
		}
		_, err := b.once(m.EventId, func() (string, error) { return m.DeploymentId, b.report(m) })
		if err != nil {
			return err
		}
		d, err = b.deployment(m.DeploymentId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return reportAnswer(d)
}

func reportAnswer(d deploy.Deployment) (*connect.Response[penstockv1.ReportResponse], error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.ReportResponse{Deployment: string(text)}), nil
}

// report turns a report into an input and lets the engine decide.
func (b *book) report(m *penstockv1.ReportRequest) error {
	d, err := b.deployment(m.DeploymentId)
	if err != nil {
		return err
	}
	var in engine.Input
	switch w := m.What.(type) {
	case *penstockv1.ReportRequest_Planned:
		in, err = b.planned(d, m.Epoch, w.Planned)
	case *penstockv1.ReportRequest_PlanFailed:
		var why deploy.Reason
		why, err = reason(w.PlanFailed.Reason)
		in = engine.PlanFailed{Epoch: m.Epoch, Reason: why}
	case *penstockv1.ReportRequest_Step:
		in, err = stepInput(m.Epoch, w.Step)
	case *penstockv1.ReportRequest_Breach:
		var why deploy.Reason
		why, err = reason(w.Breach.Reason)
		in = engine.Breach{Epoch: m.Epoch, Foreign: w.Breach.Kind == "FOREIGN", Reason: why}
	default:
		err = deploy.Errorf(deploy.CodeInvalid, "the report says nothing")
	}
	if err != nil {
		return err
	}
	_, err = b.decide(d, in)
	return err
}

// planned takes the claims of a plan; a conflict fails the deployment naming
// the holder.
func (b *book) planned(d deploy.Deployment, epoch int64, r *penstockv1.PlanReport) (engine.Input, error) {
	var plan deploy.Plan
	if err := json.Unmarshal([]byte(r.Plan), &plan); err != nil {
		return nil, deploy.Errorf(deploy.CodeInvalid, "plan of %s: %v", d.ID, err)
	}
	a, err := b.application(d.App.ID)
	if err != nil {
		return nil, err
	}
	if epoch == d.Epoch && d.Status == deploy.StatusPending {
		taken, err := b.claim(d, plan.Claims)
		if err != nil {
			return nil, err
		}
		if !taken.IsZero() {
			return engine.PlanFailed{Epoch: epoch, Reason: taken}, nil
		}
	}
	return engine.Planned{Epoch: epoch, Plan: plan, Held: a.Hold, Account: a.Account}, nil
}

func stepInput(epoch int64, r *penstockv1.StepReport) (engine.Input, error) {
	why, err := reason(r.Reason)
	if err != nil {
		return nil, err
	}
	if r.Progress != "DONE" && r.Progress != "FAILED" {
		return nil, deploy.Errorf(deploy.CodeInvalid, "progress %q is not DONE, WAITING or FAILED", r.Progress)
	}
	return engine.StepReport{
		Epoch: epoch, Stage: r.StageId, Attempt: int(r.Attempt), Step: int(r.Step), Failed: r.Progress == "FAILED", Reason: why, LiveDigest: r.Verified,
	}, nil
}

func reason(text string) (deploy.Reason, error) {
	var why deploy.Reason
	if text == "" {
		return why, nil
	}
	if len(text) > deploy.MaxEventBytes/2 {
		return why, deploy.Errorf(deploy.CodeTooLarge, "a reason is larger than %d bytes", deploy.MaxEventBytes/2)
	}
	if err := json.Unmarshal([]byte(text), &why); err != nil {
		return why, deploy.Errorf(deploy.CodeInvalid, "reason: %v", err)
	}
	return why, nil
}

// waiting is what a step waits for: a side row, not an event.
type waiting struct {
	Reason  deploy.Reason `json:"reason"`
	Attempt int           `json:"attempt"`
	Step    int           `json:"step"`
}

func (s *Server) reportWaiting(ctx context.Context, m *penstockv1.ReportRequest, r *penstockv1.StepReport) (*connect.Response[penstockv1.ReportResponse], error) {
	why, err := reason(r.Reason)
	if err != nil {
		return nil, err
	}
	var d deploy.Deployment
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		if _, err := b.session(m.SessionId, who(ctx).Owner); err != nil {
			return err
		}
		if d, err = b.deployment(m.DeploymentId); err != nil {
			return err
		}
		if d.Epoch != m.Epoch {
			return deploy.Refuse(deploy.RefusedStaleEpoch, d.ID, "epoch %d is over", m.Epoch)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(waiting{Reason: why, Attempt: int(r.Attempt), Step: int(r.Step)})
	if err != nil {
		return nil, err
	}
	if err := s.opt.Store.Side().PutSide(ctx, d.ProjectID, "waiting", d.ID+"/"+r.StageId, s.now(), text); err != nil {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: d.ProjectID, kind: "deployment", id: d.ID, typ: "WAITING", app: d.App.ID})
	return reportAnswer(d)
}

// PutJournal implements AgentService. Entries of an epoch that is over are
// refused: the successor has its own copy.
func (s *Server) PutJournal(ctx context.Context, req *connect.Request[penstockv1.PutJournalRequest]) (*connect.Response[penstockv1.PutJournalResponse], error) {
	m := req.Msg
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		if _, err := b.session(m.SessionId, who(ctx).Owner); err != nil {
			return err
		}
		d, err := b.deployment(m.DeploymentId)
		if err != nil {
			return err
		}
		if d.Status.Terminal() {
			return deploy.Refuse(deploy.RefusedTerminal, d.ID, "the deployment is finished")
		}
		if d.Epoch != m.Epoch {
			return deploy.Refuse(deploy.RefusedStaleEpoch, d.ID, "epoch %d is over; the deployment is at %d", m.Epoch, d.Epoch)
		}
		return b.putJournal(d.ID, m.Entries)
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.PutJournalResponse{}), nil
}

func (b *book) putJournal(id string, entries []*penstockv1.JournalEntry) error {
	n, err := b.Count(store.Journal, store.Query{Where: map[string][]string{"deployment_id": {id}}})
	if err != nil {
		return err
	}
	if n+len(entries) > maxJournalEntries {
		return deploy.Errorf(deploy.CodeTooLarge, "the journal of %s has reached its limit of %d entries", id, maxJournalEntries)
	}
	for _, e := range entries {
		if e.Key == "" || len(e.Value) > maxJournalEntry || !json.Valid([]byte(e.Value)) {
			return deploy.Errorf(deploy.CodeInvalid, "journal entry %q is empty, not JSON or larger than %d bytes", e.Key, maxJournalEntry)
		}
		v := deploy.JournalEntry{Key: e.Key, Value: json.RawMessage(e.Value), Stage: e.Stage, Attempt: int(e.Attempt), At: b.now}
		if err := keep(b, store.Journal, id+"/"+e.Key, v, map[string]string{"deployment_id": id}); err != nil {
			return err
		}
	}
	return nil
}

// AppendLog implements AgentService.
func (s *Server) AppendLog(ctx context.Context, req *connect.Request[penstockv1.AppendLogRequest]) (*connect.Response[penstockv1.AppendLogResponse], error) {
	m, p := req.Msg, who(ctx)
	if len(m.Data) > maxLogChunk {
		return nil, deploy.Errorf(deploy.CodeTooLarge, "a log chunk may have %d bytes", maxLogChunk)
	}
	var app string
	err := s.view(ctx, p.Project, func(b *book) error {
		if _, err := b.session(m.SessionId, p.Owner); err != nil {
			return err
		}
		d, err := b.deployment(m.DeploymentId)
		if err == nil && d.App.AgentID != p.Owner {
			err = deploy.Errorf(deploy.CodeDenied, "the deployment belongs to another agent")
		}
		app = d.App.ID
		return err
	})
	if err != nil {
		return nil, err
	}
	k := store.LogKey{Project: p.Project, Deployment: m.DeploymentId, Stage: m.StageId, Attempt: int(m.Attempt)}
	full, err := s.opt.Store.Side().AppendLog(ctx, k, m.Epoch, m.Offset, m.Data)
	if err != nil {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: p.Project, kind: "deployment", id: m.DeploymentId, typ: "LOG", app: app})
	return connect.NewResponse(&penstockv1.AppendLogResponse{Full: full}), nil
}

// PutBlob implements AgentService.
func (s *Server) PutBlob(ctx context.Context, req *connect.Request[penstockv1.PutBlobRequest]) (*connect.Response[penstockv1.PutBlobResponse], error) {
	digest, err := s.opt.Blobs.Put(ctx, req.Msg.Data)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.PutBlobResponse{Digest: digest}), nil
}

// GetBlob implements AgentService.
func (s *Server) GetBlob(ctx context.Context, req *connect.Request[penstockv1.GetBlobRequest]) (*connect.Response[penstockv1.GetBlobResponse], error) {
	data, err := s.opt.Blobs.Get(ctx, req.Msg.Digest)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.GetBlobResponse{Data: data}), nil
}

// ReportLive implements AgentService.
func (s *Server) ReportLive(ctx context.Context, req *connect.Request[penstockv1.ReportLiveRequest]) (*connect.Response[penstockv1.ReportLiveResponse], error) {
	m, p := req.Msg, who(ctx)
	err := s.view(ctx, p.Project, func(b *book) error {
		if _, err := b.session(m.SessionId, p.Owner); err != nil {
			return err
		}
		a, err := b.application(m.ApplicationId)
		if err == nil && a.AgentID != p.Owner {
			err = deploy.Errorf(deploy.CodeDenied, "the application belongs to another agent")
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	live := wire.LiveStateFromWire(m.LiveState)
	if n := len(live.Resources) - maxResources; n > 0 {
		live.Resources, live.Truncated = live.Resources[:maxResources], live.Truncated+n
	}
	live.At = s.now()
	text, err := json.Marshal(live)
	if err != nil {
		return nil, err
	}
	if err := s.opt.Store.Side().PutSide(ctx, p.Project, "live", m.ApplicationId, live.At, text); err != nil {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: p.Project, kind: "application", id: m.ApplicationId, typ: "LIVE", app: m.ApplicationId})
	return connect.NewResponse(&penstockv1.ReportLiveResponse{}), nil
}
