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

// Authors lists, in lower case, whose change it is: who started the deployment
// and who wrote the commit. A committer is known by name, by address and by the
// address's local part, because one of them is what the person logs in with.
func (t Trigger) Authors() []string {
	seen, out := map[string]bool{"": true}, []string(nil)
	local, _, _ := strings.Cut(t.Commit.Email, "@")
	for _, name := range []string{t.By, t.Commit.Author, t.Commit.Email, local} {
		if name = strings.ToLower(strings.TrimSpace(name)); !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// KeyName begins the name of an API key where people are named too.
const KeyName = "key:"

// IsBy says that a person is among the authors. A key named like a person is
// that person's.
func (t Trigger) IsBy(person string) bool {
	person = strings.TrimPrefix(strings.ToLower(person), KeyName)
	for _, name := range t.Authors() {
		if strings.TrimPrefix(name, KeyName) == person {
			return true
		}
	}
	return false
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
