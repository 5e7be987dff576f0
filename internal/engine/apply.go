package engine

import (
	"fmt"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Apply records one fact in the state of a deployment. The state given is not
// changed. An event of an unknown type parks the deployment: nothing can be
// said about a state that a newer version wrote. An event whose data cannot be
// read is an error; the stream is then damaged.
func Apply(d deploy.Deployment, e deploy.Event) (deploy.Deployment, error) {
	d.Seq++
	d.Stages = append([]deploy.Stage(nil), d.Stages...)
	f, ok := appliers[e.Type]
	if !ok {
		d.Parked = string(e.Type)
		return d, nil
	}
	if err := f(&d, e); err != nil {
		return d, fmt.Errorf("apply %s: %w", e.Type, err)
	}
	return d, nil
}

// Fold applies the events of a stream in order.
func Fold(events []deploy.Event) (deploy.Deployment, error) {
	var d deploy.Deployment
	for _, e := range events {
		var err error
		if d, err = Apply(d, e); err != nil {
			return d, err
		}
	}
	return d, nil
}

// appliers is the visible list of facts that this version knows.
var appliers = map[deploy.EventType]func(*deploy.Deployment, deploy.Event) error{
	deploy.EvTriggered:       with(applyTriggered),
	deploy.EvAdmitted:        with(applyAdmitted),
	deploy.EvAssigned:        with(applyAssigned),
	deploy.EvPlanned:         with(applyPlanned),
	deploy.EvStarted:         with(applyStarted),
	deploy.EvStageStarted:    with(applyStageStarted),
	deploy.EvStepDone:        with(applyStepDone),
	deploy.EvStageEnded:      with(applyStageEnded),
	deploy.EvApproved:        with(applyApproved),
	deploy.EvCancelRequested: with(applyCancel),
	deploy.EvBreached:        with(applyBreached),
	deploy.EvRollbackStarted: with(applyRollbackStarted),
	deploy.EvFinished:        with(applyFinished),
}

func with[T any](f func(*deploy.Deployment, deploy.Event, T)) func(*deploy.Deployment, deploy.Event) error {
	return func(d *deploy.Deployment, e deploy.Event) error {
		data, err := deploy.Decode[T](e)
		if err != nil {
			return err
		}
		f(d, e, data)
		return nil
	}
}

func applyTriggered(d *deploy.Deployment, e deploy.Event, t deploy.TriggeredData) {
	d.ID, d.ProjectID, d.App, d.Trigger = t.ID, t.ProjectID, t.App, t.Trigger
	d.Status, d.TriggeredAt, d.Reason = deploy.StatusPending, e.At, e.Reason
}

func applyAdmitted(d *deploy.Deployment, e deploy.Event, a deploy.AdmittedData) {
	d.AdmittedAt, d.PlanDeadline, d.PickUpDeadline = e.At, a.PlanDeadline, a.PickUpDeadline
}

func applyAssigned(d *deploy.Deployment, _ deploy.Event, a deploy.AssignedData) {
	d.Holder, d.Epoch = a.Holder, a.Epoch
}

func applyPlanned(d *deploy.Deployment, e deploy.Event, p deploy.PlannedData) {
	plan := p.Plan
	d.Plan, d.Status, d.PlannedAt, d.Reason = &plan, deploy.StatusPlanned, e.At, plan.Why
	d.Stages = nil
	for _, s := range plan.Stages {
		d.Stages = append(d.Stages, deploy.Stage{PlanStage: s, Status: deploy.StageNotStarted})
	}
	for _, s := range plan.Rollback {
		d.Stages = append(d.Stages, deploy.Stage{PlanStage: s, Status: deploy.StageNotStarted, Rollback: true})
	}
}

func applyStarted(d *deploy.Deployment, e deploy.Event, s deploy.StartedData) {
	d.Status, d.StartedAt, d.Deadline = deploy.StatusRunning, e.At, s.Deadline
}

func applyStageStarted(d *deploy.Deployment, e deploy.Event, s deploy.StageStartedData) {
	i := d.StageByID(s.Stage)
	if i < 0 {
		return
	}
	st := &d.Stages[i]
	st.Status, st.Attempt, st.Step = deploy.StageRunning, s.Attempt, 0
	st.StartedAt, st.Deadline, st.Until = e.At, s.Deadline, s.Until
	if st.Type == deploy.StagePlatform {
		d.Touched = true
	}
}

func applyStepDone(d *deploy.Deployment, _ deploy.Event, s deploy.StepDoneData) {
	if i := d.StageByID(s.Stage); i >= 0 {
		d.Stages[i].Step = s.Step + 1
	}
	if s.LiveDigest != "" {
		d.LiveDigest = s.LiveDigest
	}
}

func applyStageEnded(d *deploy.Deployment, e deploy.Event, s deploy.StageEndedData) {
	if i := d.StageByID(s.Stage); i >= 0 {
		d.Stages[i].Status, d.Stages[i].EndedAt, d.Stages[i].Reason = s.Status, e.At, e.Reason
	}
}

func applyApproved(d *deploy.Deployment, e deploy.Event, a deploy.ApprovedData) {
	i := d.StageByID(a.Stage)
	if i < 0 {
		return
	}
	given := append([]deploy.Approval(nil), d.Stages[i].Given...)
	d.Stages[i].Given = append(given, deploy.Approval{By: a.By, Note: a.Note, Seen: a.Seen, At: e.At})
}

func applyCancel(d *deploy.Deployment, e deploy.Event, c deploy.CancelData) {
	d.Cancel = &deploy.Cancel{By: c.By, Note: c.Note, Choice: c.Choice, At: e.At}
}

func applyBreached(d *deploy.Deployment, e deploy.Event, _ struct{}) { d.Reason = e.Reason }

func applyRollbackStarted(d *deploy.Deployment, e deploy.Event, r deploy.RollbackStartedData) {
	d.Status, d.RollbackAt, d.Deadline = deploy.StatusRollingBack, e.At, r.Deadline
	d.Reason, d.Failed = e.Reason, e.Reason
}

func applyFinished(d *deploy.Deployment, e deploy.Event, f deploy.FinishedData) {
	d.Status, d.End, d.FinishedAt, d.Reason = f.Status, f.End, e.At, e.Reason
	if f.Status != deploy.StatusSuccess && d.Failed.IsZero() {
		d.Failed = e.Reason
	}
}
