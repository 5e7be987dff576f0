package deploy

import (
	"fmt"
	"sort"
	"strings"
)

// Reason says why something is as it is: a stable code and its arguments,
// never a sentence. Sentences are made at the edge, in the reader's language
// (package words for the CLI, the message catalogues for the page).
type Reason struct {
	Code string            `json:"code,omitempty"`
	Args map[string]string `json:"args,omitempty"`
}

// Why builds a Reason from a code and pairs of argument name and value. A
// value without a name is dropped.
func Why(code string, pairs ...string) Reason {
	r := Reason{Code: code}
	for i := 0; i+1 < len(pairs); i += 2 {
		if r.Args == nil {
			r.Args = make(map[string]string, len(pairs)/2)
		}
		r.Args[pairs[i]] = pairs[i+1]
	}
	return r
}

// IsZero reports whether there is no reason.
func (r Reason) IsZero() bool { return r.Code == "" }

// String renders the reason for logs: CODE key="value" in key order.
func (r Reason) String() string {
	keys := make([]string, 0, len(r.Args))
	for k := range r.Args {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	b.WriteString(r.Code)
	for _, k := range keys {
		fmt.Fprintf(&b, " %s=%q", k, r.Args[k])
	}
	return b.String()
}

// Reason codes that the centre itself gives. Platforms add their own, prefixed
// with their kind. Every code has an entry in package words.
const (
	ReasonUserCommand       = "USER_COMMAND"          // a person asked
	ReasonCommit            = "COMMIT"                // args: commit
	ReasonDrift             = "DRIFT"                 // args: count, summary: what is live was changed by somebody else
	ReasonNoPipeline        = "NO_PIPELINE"           // quick sync: no pipeline in the file
	ReasonAlwaysPipeline    = "ALWAYS_USE_PIPELINE"   // pipeline: planner.alwaysUsePipeline
	ReasonFirstDeployment   = "FIRST_DEPLOYMENT"      // quick sync: nothing is live yet
	ReasonVersionChange     = "VERSION_CHANGE"        // pipeline; args: from, to
	ReasonChanges           = "CHANGES"               // pipeline; args: count, summary
	ReasonNoChanges         = "NO_CHANGES"            // nothing differs; args: commit
	ReasonCommitMatcher     = "COMMIT_MATCHER"        // args: pattern
	ReasonPlanFailed        = "PLAN_FAILED"           // args: detail
	ReasonStepFailed        = "STEP_FAILED"           // args: stage, step, detail
	ReasonStageTimeout      = "STAGE_TIMEOUT"         // args: stage, timeout
	ReasonTimeout           = "DEPLOYMENT_TIMEOUT"    // args: timeout
	ReasonRollbackTimeout   = "ROLLBACK_TIMEOUT"      // args: timeout
	ReasonRollbackFailed    = "ROLLBACK_FAILED"       // args: detail
	ReasonApproved          = "APPROVED"              // args: by, note
	ReasonRejected          = "REJECTED"              // args: by, note
	ReasonSkippedByPerson   = "SKIPPED_BY_PERSON"     // args: by, note
	ReasonSkipOn            = "SKIP_ON"               // args: rule
	ReasonWaited            = "WAITED"                // args: duration
	ReasonCancelled         = "CANCELLED"             // args: by, note
	ReasonSuperseded        = "SUPERSEDED"            // args: by (the newer deployment)
	ReasonBreach            = "BREACH"                // args: detail
	ReasonForeignChange     = "FOREIGN_CHANGE"        // args: detail
	ReasonHeld              = "HELD"                  // args: deployment, commit
	ReasonClaimed           = "CLAIMED"               // args: claim, holder
	ReasonAccountChanged    = "ACCOUNT_CHANGED"       // args: recorded, found
	ReasonNotSettled        = "NOT_SETTLED"           // args: detail
	ReasonMadeBefore        = "MADE_BEFORE"           // what a deployment that has done nothing made is live already; args: deployment
	ReasonNoRollback        = "NO_ROLLBACK"           // the way back was not asked for; args: why
	ReasonUnknownEvent      = "UNKNOWN_EVENT"         // args: type
	ReasonInactiveStage     = "INACTIVE_STAGE"        // args: stage, why
	ReasonDisabled          = "APPLICATION_DISABLED"  // args: none
	ReasonMoved             = "APPLICATION_MOVED"     // args: from, to (application files)
	ReasonInvalidConfig     = "INVALID_CONFIGURATION" // args: detail
	ReasonCommitNotTouching = "NOT_TOUCHED"           // the commit does not touch the application
	ReasonRollBackTo        = "ROLL_BACK_TO"          // a person went back to an earlier deployment; args: by, deployment, commit, note
	ReasonNotPickedUp       = "NOT_PICKED_UP"         // no live agent took what a person asked for; args: limit
	ReasonAgentLost         = "AGENT_LOST"            // nobody carries the deployment on; args: since
	ReasonQueued            = "QUEUED"                // waits for its turn; args: ahead (the deployment that runs)
	ReasonNoAgent           = "NO_AGENT"              // a question: no agent of the application is connected
	ReasonNoAnswer          = "NO_ANSWER"             // a question: no answer in time; args: limit
	ReasonNoCommit          = "NO_COMMIT"             // a question: no commit is known yet; args: repository
	ReasonTooManyQuestions  = "TOO_MANY_QUESTIONS"    // a question: as many are open as may be; args: limit
	ReasonAnswerTooLarge    = "ANSWER_TOO_LARGE"      // a question: args: size, limit
)
