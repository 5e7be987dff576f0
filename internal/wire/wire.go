// Package wire translates between the values of the centre and the generated
// messages, and does nothing else.
package wire

import (
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/words"
)

// Time renders an instant; the zero time is absent.
func Time(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// TimeFromWire reads an instant; an absent one is the zero time.
func TimeFromWire(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// Reason renders a reason with its English sentence; no reason is absent.
func Reason(r deploy.Reason) *penstockv1.Reason {
	if r.IsZero() {
		return nil
	}
	return &penstockv1.Reason{Code: r.Code, Args: r.Args, Text: words.Sentence(r)}
}

func reasons(rs []deploy.Reason) []*penstockv1.Reason {
	out := make([]*penstockv1.Reason, len(rs))
	for i, r := range rs {
		out[i] = Reason(r)
	}
	return out
}

// ReasonFromWire reads a reason.
func ReasonFromWire(r *penstockv1.Reason) deploy.Reason {
	return deploy.Reason{Code: r.GetCode(), Args: r.GetArgs()}
}

// Commit renders a commit.
func Commit(c deploy.Commit) *penstockv1.Commit {
	if c.Hash == "" {
		return nil
	}
	return &penstockv1.Commit{Hash: c.Hash, Subject: c.Subject, Author: c.Author, AuthorEmail: c.Email, Time: Time(c.Time), Url: c.URL}
}

// CommitFromWire reads a commit.
func CommitFromWire(c *penstockv1.Commit) deploy.Commit {
	return deploy.Commit{Hash: c.GetHash(), Subject: c.GetSubject(), Author: c.GetAuthor(), Email: c.GetAuthorEmail(), Time: TimeFromWire(c.GetTime()), URL: c.GetUrl()}
}

func versions(vs []deploy.Version) []*penstockv1.Version {
	out := make([]*penstockv1.Version, len(vs))
	for i, v := range vs {
		out[i] = &penstockv1.Version{Kind: v.Kind, Name: v.Name, Version: v.Version, Url: v.URL}
	}
	return out
}

// Application renders an application as the record knows it.
func Application(a deploy.Application) *penstockv1.Application {
	m := &penstockv1.Application{
		Id: a.ID, Name: a.Name, Kind: string(a.Kind), AgentId: a.AgentID, Provider: a.Provider, RepoId: a.RepoID, Branch: a.Branch,
		Path: a.Path, ConfigFile: a.ConfigFile, Labels: a.Labels, Description: a.Desc, Disabled: a.Disabled, ProjectId: a.ProjectID,
		RemoteUrl: a.RemoteURL, SyncState: string(a.Sync()), Health: string(deploy.HealthUnknown), CurrentDeploymentId: a.Current,
		LastDeploymentId: a.LastID, LastDeploymentDisplay: a.LastDisplay, Head: Commit(a.Head), RegisteredAt: Time(a.RegisteredAt), Account: a.Account,
		LastDeploymentAt: Time(a.LastAt),
	}
	for _, q := range a.Queue {
		m.Queue = append(m.Queue, q.ID)
	}
	if g := a.LastGood; g != nil {
		m.LastGood = &penstockv1.Good{DeploymentId: g.DeploymentID, Commit: Commit(g.Commit), Versions: versions(g.Versions), At: Time(g.At)}
	}
	if h := a.Hold; h != nil {
		m.Hold = &penstockv1.Hold{DeploymentId: h.DeploymentID, Commit: Commit(h.Commit), Reason: Reason(h.Reason), At: Time(h.At)}
	}
	if a.Invalid != nil {
		m.InvalidDetail = a.Invalid.Detail
	}
	m.Drift = Drift(a)
	return m
}

// Drift renders the known drift of an application; none is absent.
func Drift(a deploy.Application) *penstockv1.Drift {
	if !a.Drifted() {
		return nil
	}
	return &penstockv1.Drift{Count: int32(min(a.Drift.Count, math.MaxInt32)), Summary: a.Drift.Summary, At: Time(a.Drift.At)}
}

// Deployment renders a deployment.
func Deployment(d deploy.Deployment) *penstockv1.Deployment {
	m := &penstockv1.Deployment{
		Id: d.ID, ProjectId: d.ProjectID, ApplicationId: d.App.ID, ApplicationName: d.App.Name, Kind: string(d.App.Kind),
		Status: string(d.Status), End: string(d.End), Display: d.Display(), Reason: Reason(d.Reason), Failed: Reason(d.Failed),
		Trigger: trigger(d.Trigger), Plan: plan(d.Plan), Holder: d.Holder, Epoch: d.Epoch, Parked: d.Parked, Seq: d.Seq,
		Labels: d.App.Labels, RepoId: d.App.RepoID, Path: d.App.Path, RemoteUrl: d.App.RemoteURL,
		TriggeredAt: Time(d.TriggeredAt), AdmittedAt: Time(d.AdmittedAt), PlannedAt: Time(d.PlannedAt), StartedAt: Time(d.StartedAt),
		RollbackAt: Time(d.RollbackAt), FinishedAt: Time(d.FinishedAt), Deadline: Time(d.Deadline),
	}
	if c := d.Cancel; c != nil {
		m.Cancel = &penstockv1.Cancel{By: c.By, Note: c.Note, Choice: string(c.Choice), At: Time(c.At)}
	}
	for _, s := range d.Stages {
		m.Stages = append(m.Stages, stage(s))
	}
	return m
}

func trigger(t deploy.Trigger) *penstockv1.Trigger {
	return &penstockv1.Trigger{
		Kind: string(t.Kind), Commit: Commit(t.Commit), Branch: t.Branch, By: t.By, Strategy: string(t.Strategy), Why: Reason(t.Why), RetryOf: t.RetryOf,
		RollbackTo: t.RollBackTo, Note: t.Note,
	}
}

func plan(p *deploy.Plan) *penstockv1.Plan {
	if p == nil {
		return nil
	}
	m := &penstockv1.Plan{
		Strategy: string(p.Strategy), Why: Reason(p.Why), Versions: versions(p.Versions), From: versions(p.From), AutoRollback: p.AutoRollback,
		Timeout: duration(p.Timeout), DesiredDigest: p.DesiredDigest, LiveDigest: p.LiveDigest, Account: p.Account, Notes: reasons(p.Notes),
		SettleTime: duration(p.SettleTime), FirstDeploy: p.FirstDeploy, RunningCommit: p.RunningCommit,
		HasChanges: p.ChangesBlob != "", HasRollback: len(p.Rollback) > 0,
	}
	for _, c := range p.Claims {
		m.Claims = append(m.Claims, &penstockv1.Claim{Kind: c.Kind, Key: c.Key})
	}
	return m
}

func stage(s deploy.Stage) *penstockv1.Stage {
	m := &penstockv1.Stage{
		Id: s.ID, Name: s.Name, Desc: s.Desc, Type: string(s.Type), Display: s.Display, Timeout: duration(s.Timeout), Wait: duration(s.Wait),
		Approvers: s.Approvers, Approvals: int32(s.Approvals), Exposure: &penstockv1.Exposure{From: s.Exposure.From, To: s.Exposure.To},
		Rollback: s.Rollback, Status: string(s.Status), Attempt: int32(s.Attempt), Step: int32(s.Step), Reason: Reason(s.Reason),
		StartedAt: Time(s.StartedAt), EndedAt: Time(s.EndedAt), Deadline: Time(s.Deadline), Until: Time(s.Until), Options: string(s.Options),
	}
	for _, x := range s.Steps {
		m.Steps = append(m.Steps, x.Name)
	}
	for _, g := range s.Given {
		m.Given = append(m.Given, &penstockv1.Approval{By: g.By, Note: g.Note, SeenDigest: g.Seen, At: Time(g.At)})
	}
	return m
}

// Plan renders a plan that was not made a deployment, with its stages.
func Plan(p deploy.Plan) (*penstockv1.Plan, []*penstockv1.Stage) {
	var stages []*penstockv1.Stage
	for _, s := range p.Stages {
		stages = append(stages, stage(deploy.Stage{PlanStage: s, Status: deploy.StageNotStarted}))
	}
	for _, s := range p.Rollback {
		stages = append(stages, stage(deploy.Stage{PlanStage: s, Status: deploy.StageNotStarted, Rollback: true}))
	}
	return plan(&p), stages
}

// Event renders one recorded fact.
func Event(e deploy.Event) *penstockv1.Event {
	return &penstockv1.Event{
		Id: e.ID, Type: string(e.Type), Schema: int32(e.Schema), At: Time(e.At), Actor: e.Actor, Cause: e.Cause, Reason: Reason(e.Reason), Data: string(e.Data),
	}
}

// Ledger renders one object of the undo ledger.
func Ledger(o deploy.LedgerObject) *penstockv1.LedgerObject {
	return &penstockv1.LedgerObject{Type: o.Type, Token: o.Token, Id: o.ID, State: string(o.State), Note: o.Note}
}
