package deploy

import "encoding/json"

// QuestionKind is what an agent is asked. Nothing that is asked ever writes.
type QuestionKind string

// The kinds of questions (architecture, rule 14).
const (
	QuestionPlan    QuestionKind = "PLAN"    // what a deployment of the commit would do
	QuestionDiff    QuestionKind = "DIFF"    // what is live against what the commit declares
	QuestionObserve QuestionKind = "OBSERVE" // look now, and report the live state
)

// Answer is the answer to a question, kept as a blob. Values that may be secret
// are masked as in the changes of a plan.
type Answer struct {
	Summary     string          `json:"summary"`
	Text        string          `json:"text"`
	Changes     json.RawMessage `json:"changes,omitempty"`
	Before      json.RawMessage `json:"before,omitempty"` // JSON of change.Document: what is live; left out when it is too large
	After       json.RawMessage `json:"after,omitempty"`  // and what the commit declares
	Plan        *Plan           `json:"plan,omitempty"`   // of a PLAN; nothing is pinned
	FirstDeploy bool            `json:"firstDeploy,omitempty"`
	LiveDigest  string          `json:"liveDigest,omitempty"`
}
