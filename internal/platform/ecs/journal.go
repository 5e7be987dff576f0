package ecs

import (
	"time"

	"github.com/penstock-cd/penstock/internal/platform"
)

// Journal keys, beside the undo ledger. Their values are the types below.
const (
	keyRevision  = "ecs/revision"
	keyWeights   = "ecs/weights"
	keyCount     = "ecs/count"
	keyTask      = "ecs/task"
	keyVerify    = "ecs/verify-since"
	keyUnseen    = "ecs/unseen/"    // + what is not shown: since when
	keyProven    = "ecs/proven/"    // + task set: since when each of its tasks is seen running
	keySet       = "ecs/set/"       // + role
	keyUnhealthy = "ecs/unhealthy/" // + role
)

// Types of objects in the ledger.
const (
	objRevision = "taskDefinition"
	objSet      = "taskSet"
	objService  = "service"
	objTask     = "task"
	objAttach   = "ruleAction"
)

// revisionRecord is the revision that the deployment runs. Ours says that it was registered by this deployment.
type revisionRecord struct {
	ARN   string `json:"arn"`
	Ours  bool   `json:"ours,omitempty"`
	Token string `json:"token,omitempty"`
}

// setRecord is a task set that the deployment created.
type setRecord struct {
	ARN   string    `json:"arn"`
	Token string    `json:"token"`
	At    time.Time `json:"at"` // when it was created, or first found
}

// weightsRecord is what the deployment last wrote to its routes, in percent. While Writing, what was before may still be
// read; Attach means that the canary group was only added.
type weightsRecord struct {
	platform.Written

	Primary     int  `json:"primary"`
	Canary      int  `json:"canary"`
	Back        bool `json:"back,omitempty"` // the snapshot's actions are being restored
	PrevCanary  int  `json:"prevCanary,omitempty"`
	HasPrevious bool `json:"hasPrevious,omitempty"`
}

// keyCall is the journal's entry of the calls to a service that take no token, a callRecord.
const keyCall = "ecs/call"

// callRecord is the newest call of them. While Open, it is on its way or its answer never came.
type callRecord struct {
	At   time.Time `json:"at"`
	Open bool      `json:"open,omitempty"`
	// Doubt is the instant of the newest call before it whose answer never came.
	Doubt time.Time `json:"doubt,omitzero"`
}

// quiet is from when on none of them can take effect any more.
func (c callRecord) quiet() time.Time {
	last := c.Doubt
	if c.Open && c.At.After(last) {
		last = c.At
	}
	if last.IsZero() {
		return last
	}
	return last.Add(lateLimit)
}

// countRecord is a desired count that the deployment wrote.
type countRecord struct {
	From int `json:"from"`
	To   int `json:"to"`
}
