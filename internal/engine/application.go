package engine

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// AppInput is something that happened to an application.
type AppInput interface{ isAppInput() }

// Register records an application.
type Register struct {
	ProjectID string
	App       deploy.Ref
}

// Update records what its file or a person changed (name, labels, provider, …).
type Update struct {
	App deploy.Ref
	Why deploy.Reason // may be empty
}

// Enable switches deployments of an application on.
type Enable struct{}

// Disable switches them off.
type Disable struct{}

// Delete removes the application from the lists. What was deployed stays.
type Delete struct{}

// HeadMoved records that the branch moved and whether that touches the application.
type HeadMoved struct {
	MovementID, Old string
	Commit          deploy.Commit
	Due             bool
	Why             deploy.Reason
}

// FileInvalid records that the file at head cannot be used.
type FileInvalid struct{ Commit, Detail string }

// FileValid records that it can.
type FileValid struct{}

// Enqueue adds a deployment to the queue. For onCommit it supersedes pending
// onCommit deployments that were not admitted yet; a person's wish is never
// superseded.
type Enqueue struct {
	DeploymentID string
	Trigger      deploy.TriggerKind
	Commit       string
}

// AdmitNext admits the oldest queued deployment if none is current.
type AdmitNext struct{}

// Ended records the end of the current deployment.
type Ended struct{ Deployment deploy.Deployment }

func (Register) isAppInput()    {}
func (Update) isAppInput()      {}
func (Enable) isAppInput()      {}
func (Disable) isAppInput()     {}
func (Delete) isAppInput()      {}
func (HeadMoved) isAppInput()   {}
func (FileInvalid) isAppInput() {}
func (FileValid) isAppInput()   {}
func (Enqueue) isAppInput()     {}
func (AdmitNext) isAppInput()   {}
func (Ended) isAppInput()       {}

// DecideApp says which facts follow from an input to an application.
func DecideApp(a deploy.Application, in AppInput, now time.Time) ([]deploy.Event, error) {
	if a.Parked != "" {
		return nil, deploy.Refuse(deploy.RefusedParked, a.ID, "the application holds an event of type %s that this version does not know; upgrade the server", a.Parked)
	}
	_, registering := in.(Register)
	if registering != (a.ID == "") || a.Deleted {
		if registering && !a.Deleted {
			return nil, &deploy.Error{Code: deploy.CodeExists, Object: a.ID, Message: "the application is registered"}
		}
		return nil, deploy.Errorf(deploy.CodeNotFound, "no such application")
	}
	one := func(t deploy.EventType, why deploy.Reason, data any) ([]deploy.Event, error) {
		return []deploy.Event{deploy.NewEvent(t, now, why, data)}, nil
	}
	switch in := in.(type) {
	case Register:
		return one(deploy.EvAppRegistered, deploy.Reason{}, deploy.AppData{ProjectID: in.ProjectID, App: in.App})
	case Update:
		return decideUpdate(a, in, now)
	case Enable:
		return unless(!a.Disabled, deploy.NewEvent(deploy.EvAppEnabled, now, deploy.Reason{}, nil))
	case Disable:
		return unless(a.Disabled, deploy.NewEvent(deploy.EvAppDisabled, now, deploy.Reason{}, nil))
	case Delete:
		if a.Current != "" {
			return nil, deploy.Refuse(deploy.RefusedState, a.ID, "deployment %s is running: cancel it or wait for its end", a.Current)
		}
		return one(deploy.EvAppDeleted, deploy.Reason{}, nil)
	case HeadMoved:
		return one(deploy.EvAppHeadMoved, in.Why, deploy.HeadData{MovementID: in.MovementID, Old: in.Old, Commit: in.Commit, Due: in.Due})
	case FileInvalid:
		same := a.Invalid != nil && a.Invalid.Commit == in.Commit && a.Invalid.Detail == in.Detail
		return unless(same, deploy.NewEvent(deploy.EvAppInvalid, now, deploy.Reason{}, deploy.AppInvalidData(in)))
	case FileValid:
		return unless(a.Invalid == nil, deploy.NewEvent(deploy.EvAppValid, now, deploy.Reason{}, nil))
	case Enqueue:
		return decideEnqueue(a, in, now)
	case AdmitNext:
		if a.Current != "" || len(a.Queue) == 0 {
			return nil, nil
		}
		q := a.Queue[0]
		return one(deploy.EvAppAdmitted, deploy.Reason{}, deploy.QueueData{DeploymentID: q.ID, Trigger: q.Trigger, Commit: q.Commit})
	case Ended:
		return decideEnded(a, in.Deployment, now)
	case Drifted:
		return decideDrifted(a, in, now)
	case InSync:
		return decideInSync(a, in, now)
	}
	return nil, deploy.Errorf(deploy.CodeInternal, "unknown input %T", in)
}

func unless(skip bool, e deploy.Event) ([]deploy.Event, error) {
	if skip {
		return nil, nil
	}
	return []deploy.Event{e}, nil
}

func decideUpdate(a deploy.Application, in Update, now time.Time) ([]deploy.Event, error) {
	if in.App.ID != a.ID {
		return nil, deploy.Errorf(deploy.CodeInvalid, "an update of %s names %s", a.ID, in.App.ID)
	}
	return unless(sameRef(a.Ref, in.App), deploy.NewEvent(deploy.EvAppUpdated, now, in.Why, deploy.AppData{ProjectID: a.ProjectID, App: in.App}))
}

func sameRef(a, b deploy.Ref) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

func decideEnqueue(a deploy.Application, in Enqueue, now time.Time) ([]deploy.Event, error) {
	if a.Disabled {
		return nil, deploy.Refuse(deploy.RefusedState, a.ID, "the application is disabled: enable it first")
	}
	var events []deploy.Event
	if in.Trigger == deploy.OnCommit {
		for _, q := range a.Queue {
			if q.Trigger == deploy.OnCommit {
				events = append(events, deploy.NewEvent(deploy.EvAppSuperseded, now,
					deploy.Why(deploy.ReasonSuperseded, "by", in.DeploymentID), deploy.QueueData{DeploymentID: q.ID}))
			}
		}
	}
	return append(events, deploy.NewEvent(deploy.EvAppQueued, now, deploy.Reason{},
		deploy.QueueData{DeploymentID: in.DeploymentID, Trigger: in.Trigger, Commit: in.Commit})), nil
}

func decideEnded(a deploy.Application, d deploy.Deployment, now time.Time) ([]deploy.Event, error) {
	if !d.Status.Terminal() {
		return nil, deploy.Errorf(deploy.CodeInternal, "deployment %s has not ended", d.ID)
	}
	if a.Current != d.ID && !queued(a, d.ID) {
		return nil, nil
	}
	data := deploy.AppEndedData{DeploymentID: d.ID, Status: d.Status, End: d.End}
	if d.Plan != nil {
		data.Account = d.Plan.Account
	}
	switch {
	case d.End == deploy.EndDeclared && d.Plan != nil:
		live := d.LiveDigest
		if len(d.Plan.Stages) == 0 {
			live = d.Plan.LiveDigest // nothing had to be done: what the plan saw is what is good
		}
		data.Good = &deploy.Good{
			DeploymentID: d.ID, Commit: d.Trigger.Commit, DesiredDigest: d.Plan.DesiredDigest,
			LiveDigest: live, Versions: d.Plan.Versions, At: d.FinishedAt,
		}
		data.Hold = holdBehind(a, d)
	case (d.End == deploy.EndSnapshot || d.End == deploy.EndNeedsAttention) && d.Plan != nil:
		data.Hold = &deploy.Hold{
			DeploymentID: d.ID, Commit: d.Trigger.Commit, DesiredDigest: d.Plan.DesiredDigest, Reason: d.Failed, At: d.FinishedAt,
		}
		if d.End == deploy.EndSnapshot {
			data.Hold.LiveDigest = d.Plan.LiveDigest
		}
	}
	return []deploy.Event{deploy.NewEvent(deploy.EvAppEnded, now, d.Reason, data)}, nil
}

// holdBehind is the hold that a person sets by going back to an earlier
// deployment: git is ahead, and what it declares must not come back by itself.
// That is the state which was good before, or the one that is held already.
func holdBehind(a deploy.Application, d deploy.Deployment) *deploy.Hold {
	if d.Trigger.RollBackTo == "" {
		return nil
	}
	h := deploy.Hold{DeploymentID: d.ID, Reason: d.Trigger.Why, At: d.FinishedAt}
	switch {
	case a.Hold != nil:
		h.Commit, h.DesiredDigest = a.Hold.Commit, a.Hold.DesiredDigest
	case a.LastGood != nil:
		h.Commit, h.DesiredDigest = a.LastGood.Commit, a.LastGood.DesiredDigest
	}
	if h.DesiredDigest == "" || h.DesiredDigest == d.Plan.DesiredDigest {
		return nil
	}
	return &h
}

func queued(a deploy.Application, id string) bool {
	for _, q := range a.Queue {
		if q.ID == id {
			return true
		}
	}
	return false
}

// ApplyApp records one fact in the state of an application.
func ApplyApp(a deploy.Application, e deploy.Event) (deploy.Application, error) {
	a.Seq++
	a.Queue = append([]deploy.Queued(nil), a.Queue...)
	f, ok := appAppliers[e.Type]
	if !ok {
		a.Parked = string(e.Type)
		return a, nil
	}
	if err := f(&a, e); err != nil {
		return a, fmt.Errorf("apply %s: %w", e.Type, err)
	}
	return a, nil
}

// FoldApp applies the events of an application stream in order.
func FoldApp(events []deploy.Event) (deploy.Application, error) {
	var a deploy.Application
	for _, e := range events {
		var err error
		if a, err = ApplyApp(a, e); err != nil {
			return a, err
		}
	}
	return a, nil
}

var appAppliers = map[deploy.EventType]func(*deploy.Application, deploy.Event) error{
	deploy.EvAppRegistered: withApp(func(a *deploy.Application, e deploy.Event, d deploy.AppData) {
		a.Ref, a.ProjectID, a.RegisteredAt = d.App, d.ProjectID, e.At
	}),
	deploy.EvAppUpdated: withApp(func(a *deploy.Application, _ deploy.Event, d deploy.AppData) {
		if a.Path != d.App.Path || a.ConfigFile != d.App.ConfigFile {
			a.Head.File = "" // its newest commit is read where the application is now
		}
		a.Ref = d.App
	}),
	deploy.EvAppEnabled:  withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Disabled = false }),
	deploy.EvAppDisabled: withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Disabled = true }),
	deploy.EvAppDeleted:  withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Deleted = true }),
	deploy.EvAppHeadMoved: withApp(func(a *deploy.Application, _ deploy.Event, d deploy.HeadData) {
		a.MovementID, a.Head = d.MovementID, d.Commit
	}),
	deploy.EvAppInvalid: withApp(func(a *deploy.Application, e deploy.Event, d deploy.AppInvalidData) {
		a.Invalid = &deploy.InvalidConfig{Commit: d.Commit, Detail: d.Detail, At: e.At}
	}),
	deploy.EvAppValid:  withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Invalid = nil }),
	deploy.EvAppQueued: withApp(applyQueued),
	deploy.EvAppSuperseded: withApp(func(a *deploy.Application, _ deploy.Event, d deploy.QueueData) {
		a.Queue = without(a.Queue, d.DeploymentID)
	}),
	deploy.EvAppAdmitted: withApp(applyAppAdmitted),
	deploy.EvAppEnded:    withApp(applyEnded),
	deploy.EvAppReleased: withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Hold = nil }),
	deploy.EvAppDrifted:  withApp(applyDrifted),
	deploy.EvAppInSync:   withApp(func(a *deploy.Application, _ deploy.Event, _ struct{}) { a.Drift = nil }),
}

func withApp[T any](f func(*deploy.Application, deploy.Event, T)) func(*deploy.Application, deploy.Event) error {
	return func(a *deploy.Application, e deploy.Event) error {
		data, err := deploy.Decode[T](e)
		if err != nil {
			return err
		}
		f(a, e, data)
		return nil
	}
}

func applyQueued(a *deploy.Application, e deploy.Event, d deploy.QueueData) {
	a.Queue = append(a.Queue, deploy.Queued{ID: d.DeploymentID, Trigger: d.Trigger, Commit: d.Commit})
	a.LastID, a.LastDisplay, a.LastAt = d.DeploymentID, string(deploy.StatusPending), e.At
	if d.Trigger == deploy.OnOutOfSync {
		changeDrift(a, func(drift *deploy.Drift) { drift.Tried = d.DeploymentID })
	}
}

func applyAppAdmitted(a *deploy.Application, _ deploy.Event, d deploy.QueueData) {
	a.Queue, a.Current = without(a.Queue, d.DeploymentID), d.DeploymentID
	if a.LastID == d.DeploymentID {
		a.LastDisplay = string(deploy.StatusRunning)
	}
}

func applyEnded(a *deploy.Application, _ deploy.Event, d deploy.AppEndedData) {
	if a.Current == d.DeploymentID {
		a.Current = ""
	}
	a.Queue = without(a.Queue, d.DeploymentID)
	if a.LastID == d.DeploymentID || a.LastID == "" {
		a.LastID, a.LastDisplay = d.DeploymentID, deploy.Display(d.Status, d.End)
	}
	changeDrift(a, func(drift *deploy.Drift) { drift.Stale = true })
	if d.Good != nil {
		a.LastGood, a.Hold = d.Good, nil
		a.Account = d.Account
	}
	if d.Hold != nil {
		a.Hold = d.Hold
	}
}

func without(q []deploy.Queued, id string) []deploy.Queued {
	out := q[:0]
	for _, x := range q {
		if x.ID != id {
			out = append(out, x)
		}
	}
	return out
}
