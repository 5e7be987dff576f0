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

// GetDeployment implements DeploymentService.
func (s *Server) GetDeployment(ctx context.Context, req *connect.Request[penstockv1.GetDeploymentRequest]) (*connect.Response[penstockv1.GetDeploymentResponse], error) {
	out := &penstockv1.GetDeploymentResponse{}
	err := s.view(ctx, who(ctx).Project, func(b *book) error {
		d, err := b.deployment(req.Msg.DeploymentId)
		if err != nil {
			return err
		}
		out.Deployment = s.fullDeployment(ctx, d)
		entries, err := b.journal(d.ID)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if o, ok := ledgerObject(e); ok {
				out.Ledger = append(out.Ledger, wire.Ledger(o))
			}
		}
		out.Cursor, err = b.cursor()
		return err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

func ledgerObject(e deploy.JournalEntry) (deploy.LedgerObject, bool) {
	var o deploy.LedgerObject
	if len(e.Key) < len(deploy.JournalObjectPrefix) || e.Key[:len(deploy.JournalObjectPrefix)] != deploy.JournalObjectPrefix {
		return o, false
	}
	return o, json.Unmarshal(e.Value, &o) == nil
}

// fullDeployment adds what the running step waits for.
func (s *Server) fullDeployment(ctx context.Context, d deploy.Deployment) *penstockv1.Deployment {
	m := wire.Deployment(d)
	m.Own = d.Trigger.IsBy(who(ctx).name())
	i := d.Current()
	if i < 0 || d.Stages[i].Type != deploy.StagePlatform {
		return m
	}
	st := d.Stages[i]
	text, at, ok, err := s.opt.Store.Side().GetSide(ctx, d.ProjectID, "waiting", d.ID+"/"+st.ID)
	if err != nil || !ok {
		return m
	}
	var w waiting
	if json.Unmarshal(text, &w) == nil && w.Attempt == st.Attempt && w.Step == st.Step {
		m.Stages[i].Waiting, m.Stages[i].WaitingSince = wire.Reason(w.Reason), wire.Time(at)
	}
	return m
}

// ListEvents implements DeploymentService.
func (s *Server) ListEvents(ctx context.Context, req *connect.Request[penstockv1.ListEventsRequest]) (*connect.Response[penstockv1.ListEventsResponse], error) {
	m := req.Msg
	out := &penstockv1.ListEventsResponse{Page: &penstockv1.PageInfo{}}
	size, err := pageSize(m.Page, largestPage)
	if err != nil {
		return nil, err
	}
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		var after int64
		if t := m.Page.GetPageToken(); t != "" {
			if err := json.Unmarshal([]byte(t), &after); err != nil {
				return deploy.Errorf(deploy.CodeInvalid, "the page token was not made by this server")
			}
		}
		events, err := b.Read(store.Stream{Kind: deploy.StreamKind(m.StreamKind), ID: m.StreamId}, after, size)
		if err != nil {
			return err
		}
		for _, e := range events {
			w := wire.Event(e.Event)
			w.Seq, w.StreamKind, w.StreamId = e.Seq, string(e.Stream.Kind), e.Stream.ID
			out.Events = append(out.Events, w)
		}
		if len(events) == size {
			t, _ := json.Marshal(events[size-1].Seq)
			out.Page.NextPageToken = string(t)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(out), nil
}

// command runs a person's decision on a deployment once.
func (s *Server) command(ctx context.Context, requestID, id string, seen int64, in engine.Input) (*penstockv1.Deployment, error) {
	if requestID == "" {
		requestID = s.opt.NewID()
	}
	var d deploy.Deployment
	err := s.update(ctx, userEntry(ctx, requestID), func(b *book) error {
		_, err := b.once(requestID, fmt.Sprintf("%T %s", in, id), func() (string, error) {
			d, err := b.deployment(id)
			if err != nil {
				return "", err
			}
			if seen != 0 && seen != d.Seq {
				return "", deploy.Refuse(deploy.RefusedStaleView, id, "the deployment has moved on since the page was read: look again, then decide")
			}
			if _, err = b.decide(d, in); err != nil {
				return "", err
			}
			return id, b.noteCommand(decisionCommand(d, in))
		})
		if err != nil {
			return err
		}
		d, err = b.deployment(id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.fullDeployment(ctx, d), nil
}

const maxNote = 2000

func note(text string) (string, error) {
	if len(text) > maxNote {
		return "", deploy.Errorf(deploy.CodeTooLarge, "a note may have %d bytes", maxNote)
	}
	return text, nil
}

// CancelDeployment implements DeploymentService.
func (s *Server) CancelDeployment(ctx context.Context, req *connect.Request[penstockv1.CancelDeploymentRequest]) (*connect.Response[penstockv1.CancelDeploymentResponse], error) {
	m := req.Msg
	choice := deploy.RollbackChoice(m.Choice)
	switch choice {
	case "", deploy.RollbackAuto, deploy.RollbackForce, deploy.RollbackNever:
	default:
		return nil, deploy.Errorf(deploy.CodeInvalid, "choice %q is not AUTO, FORCE or NEVER", m.Choice)
	}
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	d, err := s.command(ctx, m.RequestId, m.DeploymentId, 0, engine.Cancel{By: who(ctx).name(), Note: text, Choice: choice})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.CancelDeploymentResponse{Deployment: d}), nil
}

// ApproveStage implements DeploymentService.
func (s *Server) ApproveStage(ctx context.Context, req *connect.Request[penstockv1.ApproveStageRequest]) (*connect.Response[penstockv1.ApproveStageResponse], error) {
	m := req.Msg
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	d, err := s.command(ctx, m.RequestId, m.DeploymentId, m.SeenSeq, engine.Approve{Stage: m.StageId, By: who(ctx).name(), Note: text, Seen: m.SeenDigest, Rules: p.Approvals})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.ApproveStageResponse{Deployment: d}), nil
}

// RejectStage implements DeploymentService.
func (s *Server) RejectStage(ctx context.Context, req *connect.Request[penstockv1.RejectStageRequest]) (*connect.Response[penstockv1.RejectStageResponse], error) {
	m := req.Msg
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	d, err := s.command(ctx, m.RequestId, m.DeploymentId, m.SeenSeq, engine.Reject{Stage: m.StageId, By: who(ctx).name(), Note: text, Rules: p.Approvals})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.RejectStageResponse{Deployment: d}), nil
}

// SkipStage implements DeploymentService.
func (s *Server) SkipStage(ctx context.Context, req *connect.Request[penstockv1.SkipStageRequest]) (*connect.Response[penstockv1.SkipStageResponse], error) {
	m := req.Msg
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	p, err := s.project(ctx, who(ctx).Project)
	if err != nil {
		return nil, err
	}
	d, err := s.command(ctx, m.RequestId, m.DeploymentId, m.SeenSeq, engine.Skip{Stage: m.StageId, By: who(ctx).name(), Note: text, Rules: p.Approvals})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.SkipStageResponse{Deployment: d}), nil
}

// RetryDeployment implements DeploymentService: a new deployment of the same
// commit, because a finished one never changes.
func (s *Server) RetryDeployment(ctx context.Context, req *connect.Request[penstockv1.RetryDeploymentRequest]) (*connect.Response[penstockv1.RetryDeploymentResponse], error) {
	m := req.Msg
	text, err := note(m.Note)
	if err != nil {
		return nil, err
	}
	var app string
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		d, err := b.deployment(m.DeploymentId)
		if err == nil && !d.Status.Terminal() {
			err = deploy.Refuse(deploy.RefusedState, d.ID, "the deployment is %s; only a finished one can be tried again", d.Status)
		}
		app = d.App.ID
		return err
	})
	if err != nil {
		return nil, err
	}
	id, err := s.deployByCommand(ctx, wish{commandRetry, m.RequestId, m.DeploymentId, app, text}, func(b *book, _ deploy.Application) (deploy.Trigger, error) {
		d, err := b.deployment(m.DeploymentId)
		t := d.Trigger
		return deploy.Trigger{Commit: t.Commit, Branch: t.Branch, Strategy: t.Strategy, RetryOf: d.ID, RollBackTo: t.RollBackTo}, err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.RetryDeploymentResponse{DeploymentId: id}), nil
}

// RollBackTo implements DeploymentService: a new deployment of the commit of an
// earlier one that was good, through the same queue as any other.
func (s *Server) RollBackTo(ctx context.Context, req *connect.Request[penstockv1.RollBackToRequest]) (*connect.Response[penstockv1.RollBackToResponse], error) {
	m := req.Msg
	text, err := note(strings.TrimSpace(m.Note))
	if err != nil {
		return nil, err
	}
	if text == "" {
		return nil, &deploy.Error{Code: deploy.CodeInvalid, Object: m.DeploymentId, Message: "rolling back to an earlier deployment needs a note that says why"}
	}
	var app string
	err = s.view(ctx, who(ctx).Project, func(b *book) error {
		d, err := b.deployment(m.DeploymentId)
		if err == nil && d.End != deploy.EndDeclared {
			err = deploy.Refuse(deploy.RefusedState, d.ID, "the deployment is %s; only to one that succeeded can be rolled back", d.Display())
		}
		app = d.App.ID
		return err
	})
	if err != nil {
		return nil, err
	}
	id, err := s.deployByCommand(ctx, wish{commandRollBackTo, m.RequestId, m.DeploymentId, app, text}, func(b *book, _ deploy.Application) (deploy.Trigger, error) {
		d, err := b.deployment(m.DeploymentId)
		t := deploy.Trigger{Commit: d.Trigger.Commit, Branch: d.Trigger.Branch, Strategy: deploy.StrategyAuto, RollBackTo: d.ID}
		t.Why = deploy.Why(deploy.ReasonRollBackTo, "by", who(ctx).name(), "deployment", d.ID, "commit", t.Commit.Short(), "note", text)
		return t, err
	})
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.RollBackToResponse{DeploymentId: id}), nil
}

// logPiece is how much of a log one message carries.
const logPiece = 64 << 10

// ReadStageLog implements DeploymentService.
func (s *Server) ReadStageLog(ctx context.Context, req *connect.Request[penstockv1.ReadStageLogRequest], stream *connect.ServerStream[penstockv1.ReadStageLogResponse]) error {
	m, project := req.Msg, who(ctx).Project
	w := s.hub.watch(project)
	defer s.hub.unwatch(w)
	offset, attempt := max(0, m.Offset), int(m.Attempt)
	for {
		st, ended, err := s.stageOf(ctx, project, m.DeploymentId, m.StageId)
		if err != nil {
			return err
		}
		if attempt == 0 { // the newest, and the offsets stay those of its log
			attempt = st.Attempt
		}
		over := ended || st.Status.Terminal() || attempt < st.Attempt
		k := store.LogKey{Project: project, Deployment: m.DeploymentId, Stage: m.StageId, Attempt: max(1, attempt)}
		data, err := s.opt.Store.Side().ReadLog(ctx, k, offset, logPiece)
		if err != nil {
			return err
		}
		offset += int64(len(data))
		more := len(data) == logPiece
		done := !more && (over || !m.Follow)
		if len(data) > 0 || done {
			if err := stream.Send(&penstockv1.ReadStageLogResponse{Data: data, NextOffset: offset, Attempt: int32(max(1, attempt)), Completed: done && over}); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		if !more {
			if err := s.waitForChange(ctx, w); err != nil || ctx.Err() != nil {
				return err
			}
		}
	}
}

// waitForChange waits until something changed, at most a while, so that a
// missed wake-up only delays.
func (s *Server) waitForChange(ctx context.Context, w *watcher) error {
	return s.waitAtMost(ctx, w, 10*time.Second)
}

func (s *Server) waitAtMost(ctx context.Context, w *watcher, limit time.Duration) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.hub.done:
		return errStopping()
	case <-t.C:
	case <-w.ping:
		s.hub.drain(w)
	}
	return nil
}

// stageOf reads a stage and whether its deployment has ended.
func (s *Server) stageOf(ctx context.Context, project, id, stage string) (st deploy.Stage, ended bool, err error) {
	err = s.view(ctx, project, func(b *book) error {
		d, err := b.deployment(id)
		if err != nil {
			return err
		}
		i := d.StageByID(stage)
		if i < 0 {
			return &deploy.Error{Code: deploy.CodeNotFound, Object: stage, Message: "the deployment has no such stage"}
		}
		st, ended = d.Stages[i], d.Status.Terminal()
		return nil
	})
	return st, ended, err
}

// changesBlob is the rendered difference as the agent stores it.
type changesBlob struct {
	Text    string          `json:"text"`
	Changes json.RawMessage `json:"changes"`
	Before  *document       `json:"before"`
	After   *document       `json:"after"`
}

// document is one side of a difference as the agent stores it.
type document struct {
	Text  string  `json:"text"`
	Noise []int32 `json:"noise"`
}

func (d *document) wire() *penstockv1.Document {
	if d == nil {
		return nil
	}
	return &penstockv1.Document{Text: d.Text, Noise: d.Noise}
}

// GetChanges implements DeploymentService.
func (s *Server) GetChanges(ctx context.Context, req *connect.Request[penstockv1.GetChangesRequest]) (*connect.Response[penstockv1.GetChangesResponse], error) {
	var d deploy.Deployment
	err := s.view(ctx, who(ctx).Project, func(b *book) (err error) {
		d, err = b.deployment(req.Msg.DeploymentId)
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.Plan == nil || d.Plan.ChangesBlob == "" {
		return connect.NewResponse(&penstockv1.GetChangesResponse{}), nil
	}
	data, err := s.opt.Blobs.Get(ctx, d.Plan.ChangesBlob)
	if err != nil {
		return nil, err
	}
	var c changesBlob
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.GetChangesResponse{
		Text: c.Text, Json: string(c.Changes), Digest: d.Plan.ChangesBlob, Before: c.Before.wire(), After: c.After.wire(),
	}), nil
}
