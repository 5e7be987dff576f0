// Package engine decides what happens in a deployment and in the queue of an
// application. It is two functions for each stream, never one:
//
//	Decide(state, input, now) → events    all policy
//	Apply(state, event)       → state     only records the fact
//
// Decide may look at the state, the input and the instant it was given; Apply
// looks at the event alone: it reads no clock, no configuration and no
// default, so that a stream folds to the same state for ever. Due derives from
// a state what must be done now; nothing is sent that could not be derived.
//
// The server runs Decide and stores the events together with the folded state
// in one transaction. A refusal is a *deploy.Error that names its reason.
package engine

import (
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Input is something that happened to a deployment: a report, a command, a tick.
type Input interface{ isInput() }

// Trigger begins a deployment.
type Trigger struct {
	ID        string
	ProjectID string
	App       deploy.Ref
	Trigger   deploy.Trigger
}

// Admit takes the deployment out of the queue: it is to be planned until the deadline.
type Admit struct {
	PlanDeadline time.Time
	// PickUpDeadline, unless zero, is when a deployment that no live agent has fails.
	PickUpDeadline time.Time
}

// Assign gives the deployment to an agent process under a new epoch.
type Assign struct {
	Holder string
	Epoch  int64
}

// Planned reports the plan.
type Planned struct {
	Epoch int64
	Plan  deploy.Plan
	// Held is the hold of the application, if there is one.
	Held *deploy.Hold
	// Account is the account recorded at the first deployment, "" if there was none.
	Account string
}

// PlanFailed reports that no plan could be made.
type PlanFailed struct {
	Epoch  int64
	Reason deploy.Reason
}

// StepReport reports a step that is done or failed. A step that is still
// waiting is not an event.
type StepReport struct {
	Epoch      int64
	Stage      string
	Attempt    int
	Step       int
	Failed     bool
	Reason     deploy.Reason // of a failure
	LiveDigest string        // read back behind the last write, may be empty
}

// Breach reports what the guard found.
type Breach struct {
	Epoch   int64
	Foreign bool // somebody else changed the route
	Reason  deploy.Reason
}

// Tick says that time has passed. Watched means that a live agent holds the
// deployment: a WAIT that nobody looked at does not count as passed.
type Tick struct{ Watched bool }

// Approve is one person's approval. Seen is the digest of the changes that the
// person looked at, "" when the client did not say. Rules are the project's.
type Approve struct {
	Stage, By, Note, Seen string
	Rules                 deploy.ApprovalRules
}

// Reject is one person's refusal: the deployment goes back.
type Reject struct {
	Stage, By, Note string
	Rules           deploy.ApprovalRules
}

// Skip ends a wait or an approval as skipped. An approval is skipped only by who
// may approve it, under the same rules, and when one approval is missing.
type Skip struct {
	Stage, By, Note string
	Rules           deploy.ApprovalRules
}

// Cancel asks to stop.
type Cancel struct {
	By, Note string
	Choice   deploy.RollbackChoice
}

// Supersede ends a pending deployment in favour of a newer one.
type Supersede struct{ By string }

func (Trigger) isInput()    {}
func (Admit) isInput()      {}
func (Assign) isInput()     {}
func (Planned) isInput()    {}
func (PlanFailed) isInput() {}
func (StepReport) isInput() {}
func (Breach) isInput()     {}
func (Tick) isInput()       {}
func (Approve) isInput()    {}
func (Reject) isInput()     {}
func (Skip) isInput()       {}
func (Cancel) isInput()     {}
func (Supersede) isInput()  {}
