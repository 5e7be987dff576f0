package server

import (
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// The kinds of commands.
const (
	commandSync       = "SYNC"
	commandRetry      = "RETRY"
	commandRollBackTo = "ROLL_BACK_TO"
	commandCancel     = "CANCEL"
	commandApprove    = "APPROVE"
	commandReject     = "REJECT"
	commandSkip       = "SKIP"
	commandEnable     = "ENABLE"
	commandDisable    = "DISABLE"
	commandDelete     = "DELETE"
)

// The states of a command, in their order.
const (
	commandSent     = "SENT"
	commandPickedUp = "PICKED_UP"
	commandRunning  = "RUNNING"
	commandFinished = "FINISHED"
	commandFailed   = "FAILED"
)

// command is one thing that was asked for. It says who asked what, and nothing
// of what became of it: that is derived from the deployment.
type command struct {
	ID           string     `json:"id"`
	Kind         string     `json:"kind"`
	RequestID    string     `json:"requestId"`
	Actor        string     `json:"actor"`
	At           time.Time  `json:"at"`
	App          deploy.Ref `json:"app"`
	DeploymentID string     `json:"deploymentId,omitempty"`
	StageID      string     `json:"stageId,omitempty"`
	Note         string     `json:"note,omitempty"`
}

// decisionCommand is the command behind a decision about a deployment.
func decisionCommand(d deploy.Deployment, in engine.Input) command {
	c := command{App: d.App, DeploymentID: d.ID}
	switch in := in.(type) {
	case engine.Cancel:
		c.Kind, c.Note = commandCancel, in.Note
	case engine.Approve:
		c.Kind, c.StageID, c.Note = commandApprove, in.Stage, in.Note
	case engine.Reject:
		c.Kind, c.StageID, c.Note = commandReject, in.Stage, in.Note
	case engine.Skip:
		c.Kind, c.StageID, c.Note = commandSkip, in.Stage, in.Note
	}
	return c
}

// appCommand names the command behind a change of an application.
func appCommand(in engine.AppInput) string {
	switch in.(type) {
	case engine.Enable:
		return commandEnable
	case engine.Disable:
		return commandDisable
	}
	return commandDelete
}

// noteCommand keeps who asked for what, in the transaction of the decision.
func (b *book) noteCommand(c command) error {
	c.ID, c.RequestID, c.Actor, c.At = b.s.opt.NewID(), b.cause, b.actor, b.now
	return keep(b, store.Commands, c.ID, c, map[string]string{
		"actor": c.Actor, "application_id": c.App.ID, "deployment_id": c.DeploymentID, "at": store.Instant(c.At),
	})
}

// life is what became of a command.
type life struct {
	state     string
	reason    deploy.Reason
	ended     time.Time
	changesAt time.Time // when the state changes by itself
}

// wireCommand renders a command with its life.
func (b *book) wireCommand(c command) (*penstockv1.Command, error) {
	l, err := b.lifeOf(c)
	if err != nil {
		return nil, err
	}
	return &penstockv1.Command{
		Id: c.ID, Kind: c.Kind, RequestId: c.RequestID, Actor: c.Actor, At: wire.Time(c.At), ApplicationId: c.App.ID, ApplicationName: c.App.Name,
		DeploymentId: c.DeploymentID, StageId: c.StageID, Note: c.Note,
		State: l.state, Reason: wire.Reason(l.reason), EndedAt: wire.Time(l.ended), ChangesAt: wire.Time(l.changesAt),
	}, nil
}

// lifeOf derives what became of a command from what it started.
func (b *book) lifeOf(c command) (life, error) {
	switch c.Kind {
	case commandSync, commandRetry, commandRollBackTo, commandCancel, commandReject:
	default: // decided by the server at once
		return life{state: commandFinished, ended: c.At}, nil
	}
	d, err := b.deployment(c.DeploymentID)
	if err != nil {
		return life{}, err
	}
	if d.Status.Terminal() {
		return endOf(c.Kind, d), nil
	}
	a, held, err := b.holderOf(d)
	if err != nil {
		return life{}, err
	}
	l := progressOf(d)
	if !held && l.state != commandSent {
		l.reason, l.changesAt = deploy.Why(deploy.ReasonAgentLost, "since", a.LostAt.UTC().Format(time.RFC3339)), a.LostAt.Add(pickUpLimit)
		if !l.changesAt.After(b.now) {
			l.state, l.ended, l.changesAt = commandFailed, l.changesAt, time.Time{}
		}
		return l, nil
	}
	if d.Status == deploy.StatusPending && d.AdmittedAt.IsZero() {
		app, err := load[deploy.Application](b, store.Applications, d.App.ID, "application")
		l.reason = deploy.Why(deploy.ReasonQueued, "ahead", app.Current)
		return l, err
	}
	if !held { // nobody has taken it yet
		l.reason, l.changesAt = deploy.Why(deploy.ReasonNoAgent), d.PickUpDeadline
	}
	return l, nil
}

// endOf is the life of a command whose deployment has ended.
func endOf(kind string, d deploy.Deployment) life {
	l := life{state: commandFinished, ended: d.FinishedAt}
	failed := d.Status != deploy.StatusSuccess
	if kind == commandCancel || kind == commandReject {
		stay := d.Cancel != nil && d.Cancel.Choice == deploy.RollbackNever
		failed = d.End == deploy.EndNeedsAttention && !stay
	}
	if failed {
		l.state, l.reason = commandFailed, d.Failed
		if l.reason.IsZero() || kind == commandCancel || kind == commandReject {
			l.reason = d.Reason
		}
	}
	return l
}

// progressOf is how far the deployment of a command has come.
func progressOf(d deploy.Deployment) life {
	switch {
	case d.Status != deploy.StatusPending:
		return life{state: commandRunning}
	case d.Epoch > 0:
		return life{state: commandPickedUp}
	}
	return life{state: commandSent}
}

// holderOf reads the assignment of a deployment and whether a process has it
// whose lease has not been found to be over.
func (b *book) holderOf(d deploy.Deployment) (a assignment, held bool, err error) {
	rec, ok, err := b.Get(store.Assignments, d.ID)
	if err != nil || !ok {
		return a, false, err
	}
	err = decodeBody(rec, &a)
	return a, a.SessionID != "", err
}
