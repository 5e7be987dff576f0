package engine

import (
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// DefaultRollbackLimit bounds a way back whose plan names no limit.
const DefaultRollbackLimit = time.Hour

// Decide says which facts follow from an input. The events come without id,
// actor and cause, which the caller knows. No event and no error means that
// the input changes nothing.
func Decide(d deploy.Deployment, in Input, now time.Time) ([]deploy.Event, error) {
	_, tick := in.(Tick)
	if d.Parked != "" {
		if tick {
			return nil, nil // time passes for it too, but nothing follows
		}
		return nil, deploy.Refuse(deploy.RefusedParked, d.ID,
			"the deployment holds an event of type %s that this version does not know; upgrade the server", d.Parked)
	}
	_, trigger := in.(Trigger)
	if !trigger && d.Status == "" {
		return nil, deploy.Errorf(deploy.CodeNotFound, "no such deployment")
	}
	if !trigger && d.Status.Terminal() {
		if tick {
			return nil, nil
		}
		return nil, deploy.Refuse(deploy.RefusedTerminal, d.ID, "the deployment is finished: %s", d.Display())
	}
	w := &draft{d: d, now: now.UTC()}
	if err := w.decide(in); err != nil {
		return nil, err
	}
	return w.events, w.err
}

// draft collects events and keeps the state that they lead to, so that one
// decision can build on the one before.
type draft struct {
	d      deploy.Deployment
	now    time.Time
	events []deploy.Event
	err    error
}

func (w *draft) emit(t deploy.EventType, why deploy.Reason, data any) {
	e := deploy.NewEvent(t, w.now, why, data)
	d, err := Apply(w.d, e)
	if err != nil {
		w.err = err
		return
	}
	w.d, w.events = d, append(w.events, e)
}

func (w *draft) decide(in Input) error {
	switch in := in.(type) {
	case Trigger:
		return w.trigger(in)
	case Admit:
		return w.admit(in)
	case Assign:
		return w.assign(in)
	case Planned:
		return w.planned(in)
	case PlanFailed:
		return w.planFailed(in)
	case StepReport:
		return w.step(in)
	case Breach:
		return w.breach(in)
	case Tick:
		w.tick(in)
		return nil
	case Approve:
		return w.approve(in)
	case Reject:
		return w.reject(in)
	case Skip:
		return w.skip(in)
	case Cancel:
		return w.cancel(in)
	case Supersede:
		return w.supersede(in)
	}
	return deploy.Errorf(deploy.CodeInternal, "unknown input %T", in)
}

func (w *draft) trigger(in Trigger) error {
	if w.d.Status != "" {
		return deploy.Refuse(deploy.RefusedDuplicate, w.d.ID, "the deployment exists")
	}
	w.emit(deploy.EvTriggered, in.Trigger.Why, deploy.TriggeredData{ID: in.ID, ProjectID: in.ProjectID, App: in.App, Trigger: in.Trigger})
	return nil
}

func (w *draft) admit(in Admit) error {
	if w.d.Status != deploy.StatusPending || !w.d.AdmittedAt.IsZero() {
		return w.wrongState("admitted")
	}
	data := deploy.AdmittedData{PlanDeadline: in.PlanDeadline.UTC()}
	if !in.PickUpDeadline.IsZero() {
		data.PickUpDeadline = in.PickUpDeadline.UTC()
	}
	w.emit(deploy.EvAdmitted, deploy.Reason{}, data)
	return nil
}

func (w *draft) assign(in Assign) error {
	if in.Epoch <= w.d.Epoch {
		return deploy.Refuse(deploy.RefusedStaleEpoch, w.d.ID, "epoch %d is not newer than %d", in.Epoch, w.d.Epoch)
	}
	w.emit(deploy.EvAssigned, deploy.Reason{}, deploy.AssignedData{Holder: in.Holder, Epoch: in.Epoch})
	return nil
}

func (w *draft) planned(in Planned) error {
	if err := w.current(in.Epoch); err != nil {
		return err
	}
	if w.d.Status != deploy.StatusPending || w.d.AdmittedAt.IsZero() {
		return deploy.Refuse(deploy.RefusedAttemptClosed, w.d.ID, "the deployment is planned already")
	}
	if why, ok := stopBeforePlan(w.d, in); ok {
		w.finish(deploy.StatusFailure, deploy.EndNone, why)
		return nil
	}
	if heldBack(w.d, in) {
		w.finish(deploy.StatusCancelled, deploy.EndNone, deploy.Why(deploy.ReasonHeld,
			"deployment", in.Held.DeploymentID, "commit", in.Held.Commit.Short()))
		return nil
	}
	w.emit(deploy.EvPlanned, in.Plan.Why, deploy.PlannedData{Plan: in.Plan})
	w.emit(deploy.EvStarted, deploy.Reason{}, deploy.StartedData{Deadline: w.now.Add(in.Plan.Timeout)})
	w.advance()
	return nil
}

// stopBeforePlan names a reason why the plan must not run at all.
func stopBeforePlan(d deploy.Deployment, in Planned) (deploy.Reason, bool) {
	if in.Account != "" && in.Plan.Account != in.Account {
		return deploy.Why(deploy.ReasonAccountChanged, "recorded", in.Account, "found", in.Plan.Account), true
	}
	return deploy.Reason{}, false
}

// heldBack reports whether the plan wants just the state that was rolled back
// before and no person asked for it.
func heldBack(d deploy.Deployment, in Planned) bool {
	return in.Held != nil && in.Held.DesiredDigest == in.Plan.DesiredDigest &&
		d.Trigger.Kind != deploy.OnCommand && len(in.Plan.Stages) > 0
}

func (w *draft) planFailed(in PlanFailed) error {
	if err := w.current(in.Epoch); err != nil {
		return err
	}
	if w.d.Status != deploy.StatusPending || w.d.AdmittedAt.IsZero() {
		return deploy.Refuse(deploy.RefusedAttemptClosed, w.d.ID, "no plan is due")
	}
	w.finish(deploy.StatusFailure, deploy.EndNone, in.Reason)
	return nil
}

func (w *draft) step(in StepReport) error {
	if err := w.current(in.Epoch); err != nil {
		return err
	}
	i := w.d.StageByID(in.Stage)
	if i < 0 {
		return deploy.Errorf(deploy.CodeNotFound, "deployment %s has no stage %s", w.d.ID, in.Stage)
	}
	s := w.d.Stages[i]
	if s.Status != deploy.StageRunning || s.Attempt != in.Attempt || s.Type != deploy.StagePlatform {
		return deploy.Refuse(deploy.RefusedAttemptClosed, w.d.ID, "attempt %d of stage %s is over", in.Attempt, in.Stage)
	}
	if in.Step != s.Step {
		return deploy.Refuse(deploy.RefusedDuplicate, w.d.ID, "step %d of stage %s was reported; due is %d", in.Step, in.Stage, s.Step)
	}
	if in.Failed {
		w.endStage(i, deploy.StageFailure, in.Reason)
		w.turnBack(deploy.StatusFailure, in.Reason)
		return nil
	}
	w.emit(deploy.EvStepDone, deploy.Reason{}, deploy.StepDoneData{Stage: in.Stage, Attempt: in.Attempt, Step: in.Step, LiveDigest: in.LiveDigest})
	if in.Step+1 >= len(s.Steps) {
		w.endStage(i, deploy.StageSuccess, deploy.Reason{})
		w.advance()
	}
	return nil
}

func (w *draft) breach(in Breach) error {
	if err := w.current(in.Epoch); err != nil {
		return err
	}
	if w.d.Status != deploy.StatusRunning {
		return deploy.Refuse(deploy.RefusedState, w.d.ID, "nothing is guarded in %s", w.d.Status)
	}
	w.emit(deploy.EvBreached, in.Reason, struct{}{})
	if in.Foreign {
		w.endCurrent(deploy.StageFailure, in.Reason)
		w.finish(deploy.StatusFailure, deploy.EndNeedsAttention, in.Reason)
		return nil
	}
	w.endCurrent(deploy.StageFailure, in.Reason)
	w.turnBack(deploy.StatusFailure, in.Reason)
	return nil
}

func (w *draft) approve(in Approve) error {
	i, err := w.waitsForPeople(in.Stage)
	if err != nil {
		return err
	}
	s := w.d.Stages[i]
	if err := mayApprove(s, in.By); err != nil {
		return err
	}
	if err := w.keepsRules(in.Rules, in.Stage, in.By, in.Note); err != nil {
		return err
	}
	if in.Seen != "" && (w.d.Plan == nil || w.d.Plan.ChangesBlob != in.Seen) {
		return deploy.Refuse(deploy.RefusedStaleView, w.d.ID, "the changes that were looked at are not those of this deployment: look again, then decide")
	}
	w.emit(deploy.EvApproved, deploy.Reason{}, deploy.ApprovedData{Stage: in.Stage, By: in.By, Note: in.Note, Seen: in.Seen})
	if len(w.d.Stages[i].Given) >= max(1, s.Approvals) {
		w.endStage(i, deploy.StageSuccess, deploy.Why(deploy.ReasonApproved, "by", names(w.d.Stages[i].Given), "note", in.Note))
		w.advance()
	}
	return nil
}

func (w *draft) reject(in Reject) error {
	i, err := w.waitsForPeople(in.Stage)
	if err != nil {
		return err
	}
	if err := mayApprove(w.d.Stages[i], in.By); err != nil && deploy.RefusalOf(err) != deploy.RefusedTwice {
		return err
	}
	in.Rules.NotByAuthor = false // who finds a fault in their own change is the first to be heard
	if err := w.keepsRules(in.Rules, in.Stage, in.By, in.Note); err != nil {
		return err
	}
	why := deploy.Why(deploy.ReasonRejected, "by", in.By, "note", in.Note)
	w.endStage(i, deploy.StageFailure, why)
	w.turnBack(deploy.StatusFailure, why)
	return nil
}

func (w *draft) skip(in Skip) error {
	i := w.d.StageByID(in.Stage)
	if i < 0 {
		return deploy.Errorf(deploy.CodeNotFound, "deployment %s has no stage %s", w.d.ID, in.Stage)
	}
	s := w.d.Stages[i]
	if s.Type == deploy.StagePlatform {
		return deploy.Refuse(deploy.RefusedState, in.Stage, "a %s stage cannot be skipped", s.Name)
	}
	if w.d.Status != deploy.StatusRunning || s.Status != deploy.StageRunning {
		return deploy.Refuse(deploy.RefusedState, in.Stage, "only a running stage can be skipped; this one is %s", s.Status)
	}
	if s.Type == deploy.StageApproval {
		if err := w.maySkipApproval(s, in); err != nil {
			return err
		}
	}
	w.endStage(i, deploy.StageSkipped, deploy.Why(deploy.ReasonSkippedByPerson, "by", in.By, "note", in.Note))
	w.advance()
	return nil
}

func (w *draft) cancel(in Cancel) error {
	if w.d.Status == deploy.StatusRollingBack {
		return deploy.Refuse(deploy.RefusedState, w.d.ID, "the deployment is on its way back and cannot be cancelled")
	}
	why := deploy.Why(deploy.ReasonCancelled, "by", in.By, "note", in.Note)
	choice := in.Choice
	if choice == "" {
		choice = deploy.RollbackAuto
	}
	w.emit(deploy.EvCancelRequested, why, deploy.CancelData{By: in.By, Note: in.Note, Choice: choice})
	w.endCurrent(deploy.StageCancelled, why)
	w.turnBack(deploy.StatusCancelled, why)
	return nil
}

func (w *draft) supersede(in Supersede) error {
	if w.d.Status != deploy.StatusPending || !w.d.AdmittedAt.IsZero() {
		return w.wrongState("superseded")
	}
	w.finish(deploy.StatusCancelled, deploy.EndNone, deploy.Why(deploy.ReasonSuperseded, "by", in.By))
	return nil
}

// advance starts the next stage that is due, or finishes.
func (w *draft) advance() {
	back := w.d.Status == deploy.StatusRollingBack
	for i := range w.d.Stages {
		s := w.d.Stages[i]
		if s.Rollback != back || s.Status.Terminal() {
			continue
		}
		if !s.Skip.IsZero() {
			w.endStage(i, deploy.StageSkipped, s.Skip)
			continue
		}
		w.startStage(i)
		return
	}
	if back {
		w.finish(w.turnedBackStatus(), deploy.EndSnapshot, w.d.Failed)
		return
	}
	w.finish(deploy.StatusSuccess, deploy.EndDeclared, w.d.Plan.Why)
}

func (w *draft) startStage(i int) {
	s := w.d.Stages[i]
	data := deploy.StageStartedData{Stage: s.ID, Attempt: s.Attempt + 1}
	if s.Timeout > 0 {
		data.Deadline = w.now.Add(s.Timeout)
	}
	if s.Type == deploy.StageWait {
		data.Until = w.now.Add(s.Wait)
	}
	w.emit(deploy.EvStageStarted, deploy.Reason{}, data)
}

// turnBack takes the way back, or ends where it is. The current stage has ended.
func (w *draft) turnBack(status deploy.Status, why deploy.Reason) {
	if w.d.Status == deploy.StatusRollingBack {
		w.finish(w.turnedBackStatus(), deploy.EndNeedsAttention, deploy.Why(deploy.ReasonRollbackFailed, "detail", why.String()))
		return
	}
	if !w.d.Touched {
		w.finish(status, deploy.EndNone, why)
		return
	}
	if !w.wantsRollback() {
		w.finish(status, deploy.EndNeedsAttention, why)
		return
	}
	limit := w.d.Plan.RollbackLimit
	if limit <= 0 {
		limit = DefaultRollbackLimit
	}
	w.emit(deploy.EvRollbackStarted, why, deploy.RollbackStartedData{Deadline: w.now.Add(limit)})
	w.advance()
}

func (w *draft) wantsRollback() bool {
	if w.d.Plan == nil || len(w.d.Plan.Rollback) == 0 {
		return false
	}
	if w.d.Cancel != nil {
		switch w.d.Cancel.Choice {
		case deploy.RollbackForce:
			return true
		case deploy.RollbackNever:
			return false
		}
	}
	return w.d.Plan.AutoRollback
}

// turnedBackStatus is the status that a way back leads to: what turned the
// deployment round decides.
func (w *draft) turnedBackStatus() deploy.Status {
	if w.d.Failed.Code == deploy.ReasonCancelled {
		return deploy.StatusCancelled
	}
	return deploy.StatusFailure
}

func (w *draft) endStage(i int, st deploy.StageStatus, why deploy.Reason) {
	w.emit(deploy.EvStageEnded, why, deploy.StageEndedData{Stage: w.d.Stages[i].ID, Status: st})
}

func (w *draft) endCurrent(st deploy.StageStatus, why deploy.Reason) {
	if i := w.d.Current(); i >= 0 {
		w.endStage(i, st, why)
	}
}

func (w *draft) finish(s deploy.Status, e deploy.End, why deploy.Reason) {
	w.emit(deploy.EvFinished, why, deploy.FinishedData{Status: s, End: e})
}

// current guards a report by the epoch of its assignment.
func (w *draft) current(epoch int64) error {
	if epoch != w.d.Epoch {
		return deploy.Refuse(deploy.RefusedStaleEpoch, w.d.ID, "epoch %d is over; %s holds the deployment under epoch %d", epoch, w.d.Holder, w.d.Epoch)
	}
	return nil
}

func (w *draft) wrongState(what string) error {
	return deploy.Refuse(deploy.RefusedState, w.d.ID, "a deployment in %s cannot be %s", w.d.Status, what)
}

func (w *draft) waitsForPeople(stage string) (int, error) {
	i := w.d.StageByID(stage)
	if i < 0 {
		return i, deploy.Errorf(deploy.CodeNotFound, "deployment %s has no stage %s", w.d.ID, stage)
	}
	if s := w.d.Stages[i]; s.Type != deploy.StageApproval || s.Status != deploy.StageRunning {
		return i, deploy.Refuse(deploy.RefusedState, stage, "stage %s does not wait for an approval: it is %s", s.Name, s.Status)
	}
	return i, nil
}

// mayApprove checks one person against a stage.
func mayApprove(s deploy.Stage, by string) error {
	if len(s.Approvers) > 0 {
		ok := false
		for _, a := range s.Approvers {
			ok = ok || a == by
		}
		if !ok {
			return deploy.Refuse(deploy.RefusedNotApprover, s.ID, "%s is not among the approvers of this stage", by)
		}
	}
	for _, g := range s.Given {
		if g.By == by {
			return deploy.Refuse(deploy.RefusedTwice, s.ID, "%s approved before", by)
		}
	}
	return nil
}

// maySkipApproval holds a skip to what an approval is held to, and to their
// number: else it would be the way past the approvers, or past the second pair
// of eyes.
func (w *draft) maySkipApproval(s deploy.Stage, in Skip) error {
	if err := mayApprove(s, in.By); err != nil {
		return err
	}
	if err := w.keepsRules(in.Rules, in.Stage, in.By, in.Note); err != nil {
		return err
	}
	if missing := max(1, s.Approvals) - len(s.Given); missing > 1 {
		return deploy.Refuse(deploy.RefusedMoreNeeded, s.ID, "this stage waits for %d approvals, so one person cannot skip it", missing)
	}
	return nil
}

// keepsRules checks an answer against what the project asks of it.
func (w *draft) keepsRules(r deploy.ApprovalRules, stage, by, note string) error {
	if r.NotByAuthor && w.d.Trigger.IsBy(by) {
		return deploy.Refuse(deploy.RefusedAuthor, stage, "this is a change of %s: the project wants somebody else to decide", by)
	}
	if r.NeedNote && strings.TrimSpace(note) == "" {
		return deploy.Refuse(deploy.RefusedNoNote, stage, "the project wants a note with each answer: say why")
	}
	return nil
}

func names(given []deploy.Approval) string {
	s := ""
	for i, g := range given {
		if i > 0 {
			s += ", "
		}
		s += g.By
	}
	return s
}
