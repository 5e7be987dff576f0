package deploy

import (
	"encoding/json"
	"fmt"
	"time"
)

// StreamKind says what a stream of events is about.
type StreamKind string

// The streams.
const (
	StreamDeployment  StreamKind = "deployment"
	StreamApplication StreamKind = "application"
	StreamChain       StreamKind = "chain"
	StreamAgent       StreamKind = "agent"
	StreamProject     StreamKind = "project"
)

// MaxEventBytes is the limit of one stored event; MaxDeploymentEvents the
// budget of one deployment. Larger things are blobs referred to by digest.
const (
	MaxEventBytes       = 16 << 10
	MaxDeploymentEvents = 2000
)

// Event is one recorded fact. It is never changed after it was stored.
type Event struct {
	ID     string          `json:"id"`     // unique in the project; made by the one who reports
	Type   EventType       `json:"type"`   //
	Schema int             `json:"schema"` // version of Data
	At     time.Time       `json:"at"`     // UTC
	Actor  string          `json:"actor"`  // user:name, agent:process, key:name, server
	Cause  string          `json:"cause"`  // request id or event id that brought it about
	Reason Reason          `json:"reason,omitzero"`
	Data   json.RawMessage `json:"data,omitempty"` // one of the …Data types; unknown fields survive here
}

// EventType names a fact.
type EventType string

// Events of a deployment stream.
const (
	EvTriggered       EventType = "TRIGGERED"
	EvAdmitted        EventType = "ADMITTED"
	EvAssigned        EventType = "ASSIGNED"
	EvPlanned         EventType = "PLANNED"
	EvStarted         EventType = "STARTED"
	EvStageStarted    EventType = "STAGE_STARTED"
	EvStepDone        EventType = "STEP_DONE"
	EvStageEnded      EventType = "STAGE_ENDED"
	EvApproved        EventType = "APPROVED"
	EvCancelRequested EventType = "CANCEL_REQUESTED"
	EvBreached        EventType = "BREACHED"
	EvRollbackStarted EventType = "ROLLBACK_STARTED"
	EvFinished        EventType = "FINISHED"
)

// Events of an application stream.
const (
	EvAppRegistered EventType = "APP_REGISTERED"
	EvAppUpdated    EventType = "APP_UPDATED"
	EvAppEnabled    EventType = "APP_ENABLED"
	EvAppDisabled   EventType = "APP_DISABLED"
	EvAppDeleted    EventType = "APP_DELETED"
	EvAppHeadMoved  EventType = "APP_HEAD_MOVED"
	EvAppInvalid    EventType = "APP_INVALID"
	EvAppValid      EventType = "APP_VALID"
	EvAppQueued     EventType = "APP_QUEUED"
	EvAppSuperseded EventType = "APP_SUPERSEDED"
	EvAppAdmitted   EventType = "APP_ADMITTED"
	EvAppEnded      EventType = "APP_DEPLOYMENT_ENDED"
	EvAppReleased   EventType = "APP_RELEASED"
	EvAppDrifted    EventType = "APP_DRIFTED"
	EvAppInSync     EventType = "APP_IN_SYNC"
)

// Events of agent and project streams; they are folded by the store's views,
// not by the engine, and make the audit trail complete.
const (
	EvAgentRegistered EventType = "AGENT_REGISTERED"
	EvAgentKeyAdded   EventType = "AGENT_KEY_ADDED"
	EvAgentKeyRemoved EventType = "AGENT_KEY_REMOVED"
	EvAgentDisabled   EventType = "AGENT_DISABLED"
	EvAgentEnabled    EventType = "AGENT_ENABLED"
	EvProjectCreated  EventType = "PROJECT_CREATED"
	EvProjectUpdated  EventType = "PROJECT_UPDATED"
	EvLoggedIn        EventType = "LOGGED_IN"
)

// TriggeredData is the data of EvTriggered.
type TriggeredData struct {
	ID        string  `json:"id"`
	ProjectID string  `json:"projectId"`
	App       Ref     `json:"app"`
	Trigger   Trigger `json:"trigger"`
}

// AdmittedData is the data of EvAdmitted: the deployment left the queue and is
// to be planned until the deadline.
type AdmittedData struct {
	PlanDeadline time.Time `json:"planDeadline"`
	// PickUpDeadline is set where a person waits: without a live agent at this instant the deployment fails.
	PickUpDeadline time.Time `json:"pickUpDeadline,omitzero"`
}

// AssignedData is the data of EvAssigned.
type AssignedData struct {
	Holder string `json:"holder"`
	Epoch  int64  `json:"epoch"`
}

// PlannedData is the data of EvPlanned.
type PlannedData struct {
	Plan Plan `json:"plan"`
}

// StartedData is the data of EvStarted.
type StartedData struct {
	Deadline time.Time `json:"deadline"`
}

// StageStartedData is the data of EvStageStarted. All instants are absolute.
type StageStartedData struct {
	Stage    string    `json:"stage"`
	Attempt  int       `json:"attempt"`
	Deadline time.Time `json:"deadline,omitzero"`
	Until    time.Time `json:"until,omitzero"`
}

// StepDoneData is the data of EvStepDone.
type StepDoneData struct {
	Stage   string `json:"stage"`
	Attempt int    `json:"attempt"`
	Step    int    `json:"step"` // index of the step that is done
	// LiveDigest is the live state read back behind the last write, if it was.
	LiveDigest string `json:"liveDigest,omitempty"`
}

// StageEndedData is the data of EvStageEnded; the event's reason says why.
type StageEndedData struct {
	Stage  string      `json:"stage"`
	Status StageStatus `json:"status"`
}

// ApprovedData is the data of EvApproved.
type ApprovedData struct {
	Stage string `json:"stage"`
	By    string `json:"by"`
	Note  string `json:"note,omitempty"`
	Seen  string `json:"seen,omitempty"` // digest of the changes on the person's screen
}

// CancelData is the data of EvCancelRequested.
type CancelData struct {
	By     string         `json:"by"`
	Note   string         `json:"note,omitempty"`
	Choice RollbackChoice `json:"choice"`
}

// RollbackStartedData is the data of EvRollbackStarted; the event's reason is
// what turned the deployment back.
type RollbackStartedData struct {
	Deadline time.Time `json:"deadline"`
}

// FinishedData is the data of EvFinished.
type FinishedData struct {
	Status Status `json:"status"`
	End    End    `json:"end,omitempty"`
}

// AppData is the data of EvAppRegistered and EvAppUpdated.
type AppData struct {
	ProjectID string `json:"projectId"`
	App       Ref    `json:"app"`
}

// HeadData is the data of EvAppHeadMoved.
type HeadData struct {
	MovementID string `json:"movementId"`
	Old        string `json:"old,omitempty"`
	Commit     Commit `json:"commit"`
	Due        bool   `json:"due"`
}

// AppInvalidData is the data of EvAppInvalid.
type AppInvalidData struct {
	Commit string `json:"commit"`
	Detail string `json:"detail"`
}

// QueueData is the data of EvAppQueued, EvAppSuperseded and EvAppAdmitted.
type QueueData struct {
	DeploymentID string      `json:"deploymentId"`
	Trigger      TriggerKind `json:"trigger,omitempty"`
	Commit       string      `json:"commit,omitempty"`
}

// AppEndedData is the data of EvAppEnded.
type AppEndedData struct {
	DeploymentID string `json:"deploymentId"`
	Status       Status `json:"status"`
	End          End    `json:"end,omitempty"`
	Good         *Good  `json:"good,omitempty"` // the new last good state
	Hold         *Hold  `json:"hold,omitempty"` // the application is held
	Account      string `json:"account,omitempty"`
}

// DriftData is the data of EvAppDrifted.
type DriftData struct {
	ID      string `json:"id"`
	Digest  string `json:"digest"`
	Count   int    `json:"count"`
	Summary string `json:"summary"`
	Blob    string `json:"blob,omitempty"`
}

// NewEvent builds an event without id, actor and cause, which the caller of
// Decide knows. It panics if data cannot be encoded, which no …Data type can cause.
func NewEvent(t EventType, at time.Time, why Reason, data any) Event {
	e := Event{Type: t, Schema: 1, At: at.UTC(), Reason: why}
	if data != nil {
		b, err := json.Marshal(data)
		if err != nil {
			panic(fmt.Sprintf("deploy: encode %s: %v", t, err))
		}
		e.Data = b
	}
	return e
}

// Decode reads the data of an event.
func Decode[T any](e Event) (T, error) {
	var v T
	if len(e.Data) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return v, fmt.Errorf("decode %s %s: %w", e.Type, e.ID, err)
	}
	return v, nil
}
