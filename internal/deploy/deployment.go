package deploy

import (
	"encoding/json"
	"time"
)

// Deployment is the fold of a deployment stream.
type Deployment struct {
	ID        string  `json:"id"`
	ProjectID string  `json:"projectId"`
	App       Ref     `json:"app"`
	Trigger   Trigger `json:"trigger"`

	Status Status `json:"status"`
	End    End    `json:"end,omitempty"`
	Reason Reason `json:"reason,omitzero"` // why it is in this status
	// Failed is the reason that turned the deployment back or ended it; it
	// stays when the way back succeeds.
	Failed Reason `json:"failed,omitzero"`

	Plan   *Plan   `json:"plan,omitempty"`
	Stages []Stage `json:"stages,omitempty"` // the plan's stages, then those of the way back

	Holder string  `json:"holder,omitempty"` // agent process that has it
	Epoch  int64   `json:"epoch,omitempty"`  // grows with each assignment
	Cancel *Cancel `json:"cancel,omitempty"` // a cancel was asked for

	TriggeredAt  time.Time `json:"triggeredAt,omitzero"`
	AdmittedAt   time.Time `json:"admittedAt,omitzero"` // left the queue
	PlannedAt    time.Time `json:"plannedAt,omitzero"`
	StartedAt    time.Time `json:"startedAt,omitzero"`
	RollbackAt   time.Time `json:"rollbackAt,omitzero"`
	FinishedAt   time.Time `json:"finishedAt,omitzero"`
	PlanDeadline time.Time `json:"planDeadline,omitzero"`
	// PickUpDeadline is when what a person asked for fails unless a live agent has it.
	PickUpDeadline time.Time `json:"pickUpDeadline,omitzero"`
	Deadline       time.Time `json:"deadline,omitzero"` // of the pipeline, later of the way back

	// LiveDigest is the live state that was read back behind the last write.
	LiveDigest string `json:"liveDigest,omitempty"`

	// Touched is set with the first step of the platform: from then on an
	// end without a verified state needs attention.
	Touched bool `json:"touched,omitempty"`
	// Parked is the type of an event that this version does not know. A
	// parked deployment takes no input until a person or a newer server acts.
	Parked string `json:"parked,omitempty"`
	Seq    int64  `json:"seq"` // events applied
}

// Stage is a planned stage and what became of it.
type Stage struct {
	PlanStage
	Rollback  bool        `json:"rollback,omitempty"`
	Status    StageStatus `json:"status"`
	Attempt   int         `json:"attempt,omitempty"` // from 1
	Step      int         `json:"step,omitempty"`    // index of the step that is due
	Reason    Reason      `json:"reason,omitzero"`
	StartedAt time.Time   `json:"startedAt,omitzero"`
	EndedAt   time.Time   `json:"endedAt,omitzero"`
	Deadline  time.Time   `json:"deadline,omitzero"` // of this attempt
	Until     time.Time   `json:"until,omitzero"`    // end of a WAIT
	Given     []Approval  `json:"given,omitempty"`
}

// Approval is one person's answer to a WAIT_APPROVAL.
type Approval struct {
	By   string `json:"by"`
	Note string `json:"note,omitempty"`
	// Seen is the digest of the changes that were on the person's screen.
	Seen string    `json:"seen,omitempty"`
	At   time.Time `json:"at"`
}

// ApprovalRules are what a project asks of every answer to a WAIT_APPROVAL,
// whatever its stage says.
type ApprovalRules struct {
	// NotByAuthor refuses approvals, and skips of an approval, by whoever wrote
	// the commit or started the deployment. An author may always reject.
	NotByAuthor bool `json:"notByAuthor,omitempty"`
	// NeedNote refuses an answer without a note.
	NeedNote bool `json:"needNote,omitempty"`
}

// RollbackChoice is what a person asks of a cancel.
type RollbackChoice string

// The choices of a cancel.
const (
	RollbackAuto  RollbackChoice = "AUTO"  // as the file says
	RollbackForce RollbackChoice = "FORCE" // take the way back
	RollbackNever RollbackChoice = "NEVER" // stay where it is
)

// Cancel is a request to stop a deployment.
type Cancel struct {
	By     string         `json:"by"`
	Note   string         `json:"note,omitempty"`
	Choice RollbackChoice `json:"choice"`
	At     time.Time      `json:"at"`
}

// Current returns the index of the stage that is running, or -1.
func (d Deployment) Current() int {
	for i := range d.Stages {
		if d.Stages[i].Status == StageRunning {
			return i
		}
	}
	return -1
}

// StageByID returns the index of a stage, or -1.
func (d Deployment) StageByID(id string) int {
	for i := range d.Stages {
		if d.Stages[i].ID == id {
			return i
		}
	}
	return -1
}

// Display is the word that a person reads.
func (d Deployment) Display() string { return Display(d.Status, d.End) }

// JournalEntry is one durable note of a step: an intent before a creation, an
// identity after it, or what a later step must know. Keys are unique in a
// deployment; a later entry replaces an earlier one.
type JournalEntry struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Stage   string          `json:"stage,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	At      time.Time       `json:"at"`
}

// Notes about a record that was restored from a backup. Their value is the
// incarnation of the store, a JSON string.
const (
	// JournalRestored is left by the control plane: what is live may be ahead of the record.
	JournalRestored = "restored"
	// JournalLooked is the answer of the agent that looked before its next write.
	JournalLooked = "looked"
)

// JournalObjectPrefix begins the keys of the undo ledger: what the deployment
// created (or is about to) and what became of it.
const JournalObjectPrefix = "object/"

// LedgerObject is the value of a ledger entry.
type LedgerObject struct {
	Type  string      `json:"type"`           // taskSet, taskDefinition, ruleAction, …
	Token string      `json:"token"`          // idempotency token or tag of the creation
	ID    string      `json:"id,omitempty"`   // identity, once known
	State LedgerState `json:"state"`          // what became of it
	Note  string      `json:"note,omitempty"` // for people
}

// LedgerState is what became of an object in the ledger.
type LedgerState string

// The ledger states.
const (
	LedgerIntended LedgerState = "INTENDED" // about to be created: it may or may not exist
	LedgerCreated  LedgerState = "CREATED"
	LedgerRemoved  LedgerState = "REMOVED"
	LedgerKept     LedgerState = "KEPT" // part of the declared end
)
