package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"strings"
)

// TriggerKind is what started a deployment, in the reference's words.
type TriggerKind string

// The trigger kinds.
const (
	OnCommit    TriggerKind = "ON_COMMIT"
	OnCommand   TriggerKind = "ON_COMMAND"
	OnOutOfSync TriggerKind = "ON_OUT_OF_SYNC"
	OnChain     TriggerKind = "ON_CHAIN"
)

// Trigger is the cause of a deployment.
type Trigger struct {
	Kind     TriggerKind `json:"kind"`
	Key      string      `json:"key"` // idempotency key, see TriggerKey
	Commit   Commit      `json:"commit"`
	Branch   string      `json:"branch,omitempty"`
	By       string      `json:"by,omitempty"` // the person, for a command
	Strategy Strategy    `json:"strategy,omitempty"`
	Why      Reason      `json:"why,omitzero"`
	RetryOf  string      `json:"retryOf,omitempty"` // deployment that a person asked to try again
	// RollBackTo is the earlier deployment whose commit a person goes back to.
	RollBackTo string `json:"rollBackTo,omitempty"`
	Note       string `json:"note,omitempty"` // what the person wrote
}

// TriggerKey is the idempotency key of a trigger: an application never gets
// two deployments with the same key. The cause is the branch movement for
// onCommit (so A→B→A deploys three times), the request for onCommand, the
// drift observation for onOutOfSync, (chain, node) for onChain.
func TriggerKey(kind TriggerKind, applicationID, cause string) string {
	h := sha256.Sum256([]byte(string(kind) + "\x00" + applicationID + "\x00" + cause))
	return hex.EncodeToString(h[:16])
}

// PathMatcher decides about one changed path.
type PathMatcher interface{ Match(path string) bool }

// CommitRule is the onCommit part of an application's trigger configuration
// with its patterns compiled. A nil matcher matches nothing.
type CommitRule struct {
	Disabled bool
	Dir      string      // the application's directory, "" for the root
	Paths    PathMatcher // further paths that count as touching the application
	Ignores  PathMatcher // one changed path that matches stops the trigger
}

// Touches decides whether a set of changed paths is due for an application
// (behaviour reference 1.2, in its order: disabled, ignores, paths, directory).
func (r CommitRule) Touches(changed []string) (bool, Reason) {
	if r.Disabled {
		return false, Why(ReasonCommitNotTouching, "why", "trigger.onCommit.disabled")
	}
	for _, p := range changed {
		if r.Ignores != nil && r.Ignores.Match(p) {
			return false, Why(ReasonCommitNotTouching, "why", "trigger.onCommit.ignores", "path", p)
		}
	}
	for _, p := range changed {
		if r.Paths != nil && r.Paths.Match(p) {
			return true, Why(ReasonCommit, "path", p)
		}
	}
	for _, p := range changed {
		if InDir(p, r.Dir) {
			return true, Why(ReasonCommit, "path", p)
		}
	}
	return false, Why(ReasonCommitNotTouching)
}

// InDir reports whether a slash-separated path lies in a directory ("" or "."
// is the root). Containment is by path element, never by string prefix.
func InDir(p, dir string) bool {
	dir = path.Clean(dir)
	if dir == "." || dir == "/" {
		return true
	}
	return strings.HasPrefix(path.Clean(p), strings.TrimPrefix(dir, "/")+"/")
}
