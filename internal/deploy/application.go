package deploy

import (
	"path"
	"strings"
	"time"
)

// Kind names the platform of an application by the `kind` word of its file
// (ECSApp, LambdaApp, …). It is opaque outside the platform's own package.
type Kind string

// Ref names an application and where its files are.
type Ref struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Kind       Kind              `json:"kind"`
	AgentID    string            `json:"agentId"`             // the identity (not the process) that deploys it
	Provider   string            `json:"provider"`            // platform provider in the agent's file
	RepoID     string            `json:"repoId"`              // repository in the agent's file
	Branch     string            `json:"branch"`              // the branch that is deployed
	Path       string            `json:"path"`                // directory of the application, "" for the root
	ConfigFile string            `json:"configFile"`          // file name in that directory
	Labels     map[string]string `json:"labels,omitempty"`    // from the file
	Desc       string            `json:"desc,omitempty"`      // from the file
	RemoteURL  string            `json:"remoteUrl,omitempty"` // of the repository, without credentials
}

// Commit is a commit as the record keeps it.
type Commit struct {
	Hash    string    `json:"hash"`
	Subject string    `json:"subject,omitempty"` // first line of the message, at most 200 runes
	Author  string    `json:"author,omitempty"`
	Email   string    `json:"email,omitempty"` // of the author
	Time    time.Time `json:"time,omitzero"`
	URL     string    `json:"url,omitempty"`
	File    string    `json:"file,omitempty"` // path of the application's file at this commit; empty where it was not recorded
}

// At is the application with the folder and the file that it had at a commit: folders are renamed, commits are not.
func (r Ref) At(c Commit) Ref {
	if c.File == "" {
		return r
	}
	dir, file := path.Split(c.File)
	r.Path, r.ConfigFile = strings.TrimSuffix(dir, "/"), file
	return r
}

// Short returns the first seven characters of the hash.
func (c Commit) Short() string {
	if len(c.Hash) > 7 {
		return c.Hash[:7]
	}
	return c.Hash
}

// Good is the last state of an application that was declared, reached and verified.
type Good struct {
	DeploymentID  string    `json:"deploymentId"`
	Commit        Commit    `json:"commit"`
	DesiredDigest string    `json:"desiredDigest"`
	LiveDigest    string    `json:"liveDigest"`
	Versions      []Version `json:"versions,omitempty"`
	At            time.Time `json:"at"`
}

// LastEnd is when the last deployment ended that reached what it declared or
// took it back, and the digest of what it left behind; zero when that is unknown.
func (a Application) LastEnd() (at time.Time, digest string) {
	if a.LastGood != nil {
		at, digest = a.LastGood.At, a.LastGood.LiveDigest
	}
	if a.Hold != nil && a.Hold.At.After(at) {
		at, digest = a.Hold.At, a.Hold.LiveDigest
	}
	if digest == "" {
		return time.Time{}, ""
	}
	return at, digest
}

// Hold keeps an application at a desired state that had to be rolled back:
// only a newer digest or a person's sync starts again.
type Hold struct {
	DeploymentID  string    `json:"deploymentId"`
	Commit        Commit    `json:"commit"`
	DesiredDigest string    `json:"desiredDigest"`
	Reason        Reason    `json:"reason"`
	At            time.Time `json:"at"`
	// LiveDigest is what the way back restored; "" where that is unknown.
	LiveDigest string `json:"liveDigest,omitempty"`
}

// Drift is what is live otherwise than the last good deployment declared it:
// somebody else changed it. It is compared while no deployment is at work.
type Drift struct {
	// ID names the observation: the event that first saw the difference. It
	// stays as long as the difference does, also behind a deployment that did
	// not mend it, so that no difference is deployed against twice.
	ID      string    `json:"id"`
	Digest  string    `json:"digest"`         // of the masked differences
	Count   int       `json:"count"`          // differing fields, from 1
	Summary string    `json:"summary"`        // for people, masked
	Blob    string    `json:"blob,omitempty"` // the masked differences, from what is declared to what is live
	At      time.Time `json:"at"`             // when it was first seen
	// Stale says that a deployment has ended since: whether it still differs
	// is not known before the next observation.
	Stale bool `json:"stale,omitempty"`
	// Tried is the deployment that the drift started, if it did.
	Tried string `json:"tried,omitempty"`
}

// SyncState says how git and the live system compare.
type SyncState string

// The sync states, in the words of the reference.
const (
	SyncUnknown   SyncState = "UNKNOWN"
	SyncSynced    SyncState = "SYNCED"
	SyncDeploying SyncState = "DEPLOYING"
	SyncOutOfSync SyncState = "OUT_OF_SYNC"
	SyncInvalid   SyncState = "INVALID_CONFIG"
)

// Application is the fold of an application stream: what crosses its deployments.
type Application struct {
	Ref
	ProjectID    string         `json:"projectId"`
	RegisteredAt time.Time      `json:"registeredAt,omitzero"`
	Disabled     bool           `json:"disabled,omitempty"`
	Deleted      bool           `json:"deleted,omitempty"`
	Queue        []Queued       `json:"queue,omitempty"`      // pending deployments, oldest first
	Current      string         `json:"current,omitempty"`    // the one deployment that is planned or runs
	LastGood     *Good          `json:"lastGood,omitempty"`   // newest verified state
	Hold         *Hold          `json:"hold,omitempty"`       // set by a rollback
	Account      string         `json:"account,omitempty"`    // cloud account or cluster of the first deployment
	Head         Commit         `json:"head"`                 // newest commit seen that touches the application
	MovementID   string         `json:"movementId,omitempty"` // id of the branch movement that brought it
	LastID       string         `json:"lastId,omitempty"`     // newest deployment of any result
	LastDisplay  string         `json:"lastDisplay,omitempty"`
	LastAt       time.Time      `json:"lastAt,omitzero"`   // when it was triggered
	Invalid      *InvalidConfig `json:"invalid,omitempty"` // the file at head cannot be used
	Drift        *Drift         `json:"drift,omitempty"`   // nil: none was seen
	Seq          int64          `json:"seq"`               // events applied
	Parked       string         `json:"parked,omitempty"`  // type of an unknown event, see Deployment.Parked
}

// Queued is one pending deployment in the queue of its application.
type Queued struct {
	ID      string      `json:"id"`
	Trigger TriggerKind `json:"trigger"`
	Commit  string      `json:"commit"`
}

// InvalidConfig is why the file at head cannot be used.
type InvalidConfig struct {
	Commit string    `json:"commit"`
	Detail string    `json:"detail"` // file:line:column: message, one per line
	At     time.Time `json:"at"`
}

// Drifted reports whether what is live is known to differ from what the last
// good deployment declared.
func (a Application) Drifted() bool { return a.Drift != nil && !a.Drift.Stale }

// Sync derives the sync state that lists show.
func (a Application) Sync() SyncState {
	switch {
	case a.Invalid != nil:
		return SyncInvalid
	case a.Current != "" || len(a.Queue) > 0:
		return SyncDeploying
	case a.Hold != nil || a.Drifted():
		return SyncOutOfSync
	case a.LastGood == nil:
		return SyncUnknown
	}
	return SyncSynced
}
