package server

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

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
	if m.EventId == "" || len(m.EventId) > maxRequestID {
		return nil, deploy.Errorf(deploy.CodeInvalid, "a report needs an event id of at most %d bytes", maxRequestID)
	}
	if step, ok := m.What.(*penstockv1.ReportRequest_Step); ok && step.Step.Progress == "WAITING" {
		return s.reportWaiting(ctx, m, step.Step)
	}
	var d deploy.Deployment
	err := s.update(ctx, linkEntry(ctx, m.EventId), func(b *book) error {
		_, by, err := b.ownDeployment(ctx, m.SessionId, m.DeploymentId)
		if err != nil {
			return err
		}
		_, err = b.once(m.EventId, "Report "+m.DeploymentId, func() (string, error) { return "", b.report(m, by) })
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

// ownDeployment reads a deployment for a process of the identity that it
// belongs to, and says which process asks. Another identity has no business
// with it, whatever epoch it knows.
func (b *book) ownDeployment(ctx context.Context, session, id string) (d deploy.Deployment, by string, err error) {
	p := who(ctx)
	x, err := b.session(session, p.Owner)
	if err != nil {
		return deploy.Deployment{}, "", err
	}
	d, err = b.deployment(id)
	if err == nil && d.App.AgentID != p.Owner {
		err = &deploy.Error{Code: deploy.CodeDenied, Object: id, Message: "the deployment belongs to another agent"}
	}
	return d, x.holder(), err
}

// held refuses what a process says about a deployment that another one has
// under the same epoch: behind a restored backup epochs are given a second time.
func held(d deploy.Deployment, by string) error {
	if d.Holder != "" && d.Holder != by {
		return deploy.Refuse(deploy.RefusedStaleEpoch, d.ID, "%s holds the deployment, not %s", d.Holder, by)
	}
	return nil
}

func reportAnswer(d deploy.Deployment) (*connect.Response[penstockv1.ReportResponse], error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.ReportResponse{Deployment: string(text)}), nil
}

// report turns a report into an input and lets the engine decide.
func (b *book) report(m *penstockv1.ReportRequest, by string) error {
	d, err := b.deployment(m.DeploymentId)
	if err == nil && !d.Status.Terminal() {
		err = held(d, by)
	}
	if err != nil {
		return err
	}
	var in engine.Input
	switch w := m.What.(type) {
	case *penstockv1.ReportRequest_Planned:
		in, err = b.planned(d, m.Epoch, w.Planned)
	case *penstockv1.ReportRequest_PlanFailed:
		var why deploy.Reason
		why, err = neededReason(w.PlanFailed.Reason)
		in = engine.PlanFailed{Epoch: m.Epoch, Reason: why}
	case *penstockv1.ReportRequest_Step:
		in, err = stepInput(m.Epoch, w.Step)
	case *penstockv1.ReportRequest_Breach:
		var why deploy.Reason
		why, err = neededReason(w.Breach.Reason)
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
	if problem := unusable(plan, len(r.Plan)); problem != "" {
		return engine.PlanFailed{Epoch: epoch, Reason: deploy.Why(deploy.ReasonPlanFailed, "detail", problem)}, nil
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

// planRoom is how large a plan may be: the event that pins it has its own words too.
const planRoom = deploy.MaxEventBytes - 1024

// unusable says why a plan could never end, or "". Such a plan fails the
// deployment, where a person sees it, and not the report, which would be
// repeated for ever.
func unusable(p deploy.Plan, size int) string {
	if size > planRoom {
		return "the plan has " + itoa(size) + " bytes, " + itoa(planRoom) + " fit; shorten the pipeline or its options"
	}
	if p.Timeout <= 0 && len(p.Stages) > 0 {
		return "the plan has no deadline"
	}
	seen := map[string]bool{}
	for _, s := range append(append([]deploy.PlanStage(nil), p.Stages...), p.Rollback...) {
		switch {
		case s.ID == "" || seen[s.ID]:
			return "stage " + s.Name + " has no id of its own"
		case s.Type == deploy.StagePlatform && len(s.Steps) == 0 && s.Skip.IsZero():
			return "stage " + s.Name + " has no steps"
		case s.Type != deploy.StagePlatform && s.Type != deploy.StageWait && s.Type != deploy.StageApproval:
			return "stage " + s.Name + " has the unknown type " + string(s.Type)
		}
		seen[s.ID] = true
	}
	return ""
}

func stepInput(epoch int64, r *penstockv1.StepReport) (engine.Input, error) {
	read := reason
	if r.Progress == "FAILED" {
		read = neededReason
	}
	why, err := read(r.Reason)
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
	if err := json.Unmarshal([]byte(text), &why); err != nil {
		return why, deploy.Errorf(deploy.CodeInvalid, "reason: %v", err)
	}
	return boundReason(why), nil
}

// reasonRoom is how much of an event a reason may take: the end of a deployment
// holds two of them in one event of its application.
const reasonRoom = deploy.MaxEventBytes / 4

// boundReason shortens the arguments of a reason that would not fit. What
// happened must be recorded even where an error text is endless.
func boundReason(r deploy.Reason) deploy.Reason {
	if b, err := json.Marshal(r); err == nil && len(b) <= reasonRoom {
		return r
	}
	out := deploy.Reason{Code: clip(r.Code, 100), Args: map[string]string{}}
	n := min(len(r.Args), 10)
	for _, k := range slices.Sorted(maps.Keys(r.Args))[:n] {
		out.Args[clip(k, 50)] = clipEncoded(r.Args[k], reasonRoom/(n+2))
	}
	return out
}

// neededReason reads the reason of an end: nothing ends without one.
func neededReason(text string) (deploy.Reason, error) {
	why, err := reason(text)
	if err == nil && why.IsZero() {
		err = deploy.Errorf(deploy.CodeInvalid, "the report gives no reason")
	}
	return why, err
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
		var by string
		if d, by, err = b.ownDeployment(ctx, m.SessionId, m.DeploymentId); err != nil {
			return err
		}
		if err := takesReport(d, m.Epoch, r); err != nil {
			return err
		}
		return held(d, by)
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

// takesReport refuses word of what is not at work any more.
func takesReport(d deploy.Deployment, epoch int64, r *penstockv1.StepReport) error {
	i := d.StageByID(r.StageId)
	switch {
	case d.Status.Terminal():
		return deploy.Refuse(deploy.RefusedTerminal, d.ID, "the deployment is finished: %s", d.Display())
	case d.Epoch != epoch:
		return deploy.Refuse(deploy.RefusedStaleEpoch, d.ID, "epoch %d is over; the deployment is at %d", epoch, d.Epoch)
	case i < 0:
		return &deploy.Error{Code: deploy.CodeNotFound, Object: r.StageId, Message: "the deployment has no such stage"}
	case d.Stages[i].Status != deploy.StageRunning || d.Stages[i].Attempt != int(r.Attempt):
		return deploy.Refuse(deploy.RefusedAttemptClosed, d.ID, "attempt %d of stage %s is over", r.Attempt, r.StageId)
	}
	return nil
}

// PutJournal implements AgentService. Entries of an epoch that is over are
// refused: the successor has its own copy.
func (s *Server) PutJournal(ctx context.Context, req *connect.Request[penstockv1.PutJournalRequest]) (*connect.Response[penstockv1.PutJournalResponse], error) {
	m := req.Msg
	err := s.update(ctx, linkEntry(ctx, ""), func(b *book) error {
		d, by, err := b.ownDeployment(ctx, m.SessionId, m.DeploymentId)
		if err != nil {
			return err
		}
		if d.Status.Terminal() {
			return deploy.Refuse(deploy.RefusedTerminal, d.ID, "the deployment is finished")
		}
		if d.Epoch != m.Epoch {
			return deploy.Refuse(deploy.RefusedStaleEpoch, d.ID, "epoch %d is over; the deployment is at %d", m.Epoch, d.Epoch)
		}
		if err := held(d, by); err != nil {
			return err
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
	for _, e := range entries {
		_, there, err := b.Get(store.Journal, id+"/"+e.Key)
		if err != nil {
			return err
		}
		if !there { // an entry that replaces another takes no more room
			n++
		}
		if n > maxJournalEntries {
			return deploy.Errorf(deploy.CodeTooLarge, "the journal of %s has reached its limit of %d entries", id, maxJournalEntries)
		}
		if e.Key == "" || len(e.Key) > 500 || len(e.Value) > maxJournalEntry || !json.Valid([]byte(e.Value)) {
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
		d, _, err := b.ownDeployment(ctx, m.SessionId, m.DeploymentId)
		if err != nil {
			return err
		}
		i := d.StageByID(m.StageId)
		if i < 0 || m.Attempt < 1 || int(m.Attempt) > d.Stages[i].Attempt {
			return &deploy.Error{Code: deploy.CodeNotFound, Object: m.StageId, Message: "the deployment has no such attempt of a stage"}
		}
		app = d.App.ID
		return nil
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
	if err := s.sessionRuns(ctx, req.Msg.SessionId); err != nil {
		return nil, err
	}
	digest, err := s.opt.Blobs.Put(ctx, req.Msg.Data)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.PutBlobResponse{Digest: digest}), nil
}

// GetBlob implements AgentService: a blob that an open deployment of the
// caller's identity refers to. Blobs are kept by digest for all projects, so
// the digest alone opens nothing.
func (s *Server) GetBlob(ctx context.Context, req *connect.Request[penstockv1.GetBlobRequest]) (*connect.Response[penstockv1.GetBlobResponse], error) {
	m, p := req.Msg, who(ctx)
	err := s.view(ctx, p.Project, func(b *book) error {
		if _, err := b.session(m.SessionId, p.Owner); err != nil {
			return err
		}
		return b.refersTo(p.Owner, m.Digest)
	})
	if err != nil {
		return nil, err
	}
	data, err := s.opt.Blobs.Get(ctx, m.Digest)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&penstockv1.GetBlobResponse{Data: data}), nil
}

// refersTo fails unless an open deployment of an identity refers to a blob.
func (b *book) refersTo(agentID, digest string) error {
	open, err := b.assignments(map[string][]string{"agent_id": {agentID}})
	if err != nil {
		return err
	}
	for _, a := range open {
		d, err := b.deployment(a.DeploymentID)
		if err == nil && d.Plan != nil && digest != "" && (d.Plan.PinnedBlob == digest || d.Plan.ChangesBlob == digest) {
			return nil
		}
	}
	return &deploy.Error{Code: deploy.CodeNotFound, Object: digest, Message: "no open deployment of this agent refers to such a blob"}
}

// ReportLive implements AgentService.
func (s *Server) ReportLive(ctx context.Context, req *connect.Request[penstockv1.ReportLiveRequest]) (*connect.Response[penstockv1.ReportLiveResponse], error) {
	m, p := req.Msg, who(ctx)
	if m.LiveState == nil {
		return nil, deploy.Errorf(deploy.CodeInvalid, "the report holds no live state")
	}
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
	before, _, err := s.liveState(ctx, p.Project, m.ApplicationId)
	if err != nil {
		s.log.Warn("read the live state before", "application", m.ApplicationId, "error", err)
	}
	if err := s.recordTraffic(ctx, p.Project, m.ApplicationId, before, live); err != nil {
		s.log.Warn("record what the routes do", "application", m.ApplicationId, "error", err)
	}
	text, err := json.Marshal(live)
	if err != nil {
		return nil, err
	}
	if err := s.opt.Store.Side().PutSide(ctx, p.Project, "live", m.ApplicationId, live.At, text); err != nil {
		return nil, err
	}
	if err := s.noteHealth(ctx, p.Project, m.ApplicationId, live.Health, live.At); err != nil {
		return nil, err
	}
	s.hub.publishSide(sideChange{project: p.Project, kind: "application", id: m.ApplicationId, typ: "LIVE", app: m.ApplicationId})
	if m.Comparison != nil {
		if err := s.compared(ctx, m); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(&penstockv1.ReportLiveResponse{}), nil
}
