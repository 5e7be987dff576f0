package deploy

import (
	"encoding/json"
	"time"
)

// Strategy is how a deployment brings the change out.
type Strategy string

// The strategies.
const (
	StrategyAuto     Strategy = "AUTO" // the planner chooses
	StrategyQuick    Strategy = "QUICK_SYNC"
	StrategyPipeline Strategy = "PIPELINE"
)

// Version is one deployable artefact of a deployment.
type Version struct {
	Kind    string `json:"kind"`    // CONTAINER_IMAGE, S3_OBJECT, GIT_SOURCE, TERRAFORM_MODULE
	Name    string `json:"name"`    // of the container or module
	Version string `json:"version"` // tag or digest
	URL     string `json:"url,omitempty"`
}

// Plan is what a deployment is going to do, with every default resolved. It is
// pinned by the PLANNED event: nothing is read again from git afterwards.
type Plan struct {
	Strategy      Strategy      `json:"strategy"`
	Why           Reason        `json:"why"` // of the strategy
	Versions      []Version     `json:"versions,omitempty"`
	From          []Version     `json:"from,omitempty"`          // what is live
	Stages        []PlanStage   `json:"stages"`                  // in order
	Rollback      []PlanStage   `json:"rollback,omitempty"`      // the way back, empty if there is none
	AutoRollback  bool          `json:"autoRollback"`            // take the way back without asking
	Timeout       time.Duration `json:"timeout"`                 // of the whole deployment, from its start
	RollbackLimit time.Duration `json:"rollbackLimit"`           // of the way back, from its start
	DesiredDigest string        `json:"desiredDigest"`           // of the rendered desired state
	LiveDigest    string        `json:"liveDigest,omitempty"`    // of the snapshot, "" when nothing was live
	PinnedBlob    string        `json:"pinnedBlob,omitempty"`    // sealed blob: desired state and snapshot, readable by the agent only
	ChangesBlob   string        `json:"changesBlob,omitempty"`   // masked difference, readable by people
	Account       string        `json:"account,omitempty"`       // account and region, or cluster, that will be written
	Claims        []Claim       `json:"claims,omitempty"`        // what it will write
	Notes         []Reason      `json:"notes,omitempty"`         // what a reader should know before it runs
	SettleTime    time.Duration `json:"settleTime,omitempty"`    // how long routes take to apply a weight
	FirstDeploy   bool          `json:"firstDeploy,omitempty"`   // nothing was live
	RunningCommit string        `json:"runningCommit,omitempty"` // commit of the last good state
}

// StageType says who carries a stage out.
type StageType string

// The stage types.
const (
	StagePlatform StageType = "PLATFORM" // steps run by the platform in the agent
	StageWait     StageType = "WAIT"     // a timer of the server
	StageApproval StageType = "APPROVAL" // people
)

// StepClass says what may happen to a step when its process must stop.
type StepClass string

// The step classes (architecture, rule 7).
const (
	StepInstant         StepClass = "instant"         // short calls; asked again after a restart
	StepKillable        StepClass = "killable"        // its process group is dead before the lease ends
	StepUninterruptible StepClass = "uninterruptible" // its claim does not expire
)

// PlanStep is one small step of a stage that can be asked for again.
type PlanStep struct {
	Name  string    `json:"name"`
	Class StepClass `json:"class,omitempty"` // empty means instant
}

// PlanStage is a stage with its options resolved.
type PlanStage struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"` // ECS_CANARY_ROLLOUT, WAIT, …
	Desc      string          `json:"desc,omitempty"`
	Type      StageType       `json:"type"`
	Options   json.RawMessage `json:"options,omitempty"` // resolved, the platform's own
	Display   string          `json:"display,omitempty"` // one line for people: "canary 20 %, primary 80 %"
	Steps     []PlanStep      `json:"steps,omitempty"`
	Timeout   time.Duration   `json:"timeout,omitempty"`
	Wait      time.Duration   `json:"wait,omitempty"`
	Approvers []string        `json:"approvers,omitempty"` // empty: anybody with the right
	Approvals int             `json:"approvals,omitempty"` // how many are needed
	Skip      Reason          `json:"skip,omitzero"`       // resolved skipOn: the stage will be skipped
	Exposure  Exposure        `json:"exposure,omitzero"`   // expected share of users on the new version
	Holds     bool            `json:"holds,omitempty"`     // traffic or spare capacity is held from here: guard
}

// Exposure is the share of users, in percent, that a stage puts on the new
// version: From when it begins, To when it ends. It is what is expected, not
// what the weights read: while a primary group is replaced exposure rises
// although the weights stay.
type Exposure struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Claim is one thing a plan will write; unique among open deployments.
type Claim struct {
	Kind string `json:"kind"` // service, rule, targetGroup, alias, state, …
	Key  string `json:"key"`  // qualified by account and region or cluster
}
