// Package words makes English sentences of reasons, for the CLI, the log and
// clients that do not know a code. The page has its own catalogues in the
// reader's language. A code without an entry is rendered as it is, so that
// nothing is ever hidden.
package words

import (
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Sentence renders a reason. {name} in an entry is replaced by the argument;
// a part in [ ] is left out when one of its arguments is missing or empty.
func Sentence(r deploy.Reason) string {
	if r.IsZero() {
		return ""
	}
	text, ok := entry(r.Code)
	if !ok {
		return r.String()
	}
	return fill(text, r.Args)
}

// Known reports whether there is a sentence for a code.
func Known(code string) bool {
	_, ok := entry(code)
	return ok
}

// entry finds the sentence of a code, whoever gives it.
func entry(code string) (string, bool) {
	for _, catalogue := range []map[string]string{sentences, agent, ecs, lambda, fake} {
		if text, ok := catalogue[code]; ok {
			return text, true
		}
	}
	return "", false
}

func fill(entry string, args map[string]string) string {
	var b strings.Builder
	for entry != "" {
		open := strings.IndexByte(entry, '[')
		if open < 0 {
			s, _ := replace(entry, args)
			b.WriteString(s)
			break
		}
		s, _ := replace(entry[:open], args)
		b.WriteString(s)
		end := strings.IndexByte(entry[open:], ']')
		if end < 0 {
			b.WriteString(entry[open:])
			break
		}
		if s, complete := replace(entry[open+1:open+end], args); complete {
			b.WriteString(s)
		}
		entry = entry[open+end+1:]
	}
	return b.String()
}

func replace(s string, args map[string]string) (out string, complete bool) {
	complete = true
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '{')
		j := strings.IndexByte(s, '}')
		if i < 0 || j < i {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		v := readable(args[s[i+1:j]])
		complete = complete && v != ""
		b.WriteString(v)
		s = s[j+1:]
	}
	return b.String(), complete
}

// readable renders an instant as the time of day and a duration without its
// empty parts; every other argument is left as it is. Reasons carry both in
// the forms that programs read.
func readable(v string) string {
	if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
		return at.UTC().Format("15:04:05") + " UTC"
	}
	if _, err := time.ParseDuration(v); err == nil {
		if strings.HasSuffix(v, "m0s") {
			v = strings.TrimSuffix(v, "0s")
		}
		if strings.HasSuffix(v, "h0m") {
			v = strings.TrimSuffix(v, "0m")
		}
	}
	return v
}

// sentences has those of internal/deploy; platforms and the agent have
// catalogues of their own beside it.
var sentences = map[string]string{
	deploy.ReasonUserCommand:       "asked for[ by {by}][: {note}]",
	deploy.ReasonCommit:            "the commit touches {path}",
	deploy.ReasonDrift:             "somebody else changed what is live: {summary}",
	deploy.ReasonNoPipeline:        "quick sync: the file has no pipeline",
	deploy.ReasonAlwaysPipeline:    "pipeline: planner.alwaysUsePipeline is set",
	deploy.ReasonFirstDeployment:   "quick sync: nothing is live yet",
	deploy.ReasonVersionChange:     "pipeline: version {from} → {to}",
	deploy.ReasonChanges:           "pipeline: {count} changes[: {summary}]",
	deploy.ReasonNoChanges:         "nothing to do: live is what commit {commit} declares",
	deploy.ReasonCommitMatcher:     "commitMatcher {pattern} matches the commit message",
	deploy.ReasonPlanFailed:        "no plan could be made: {detail}",
	deploy.ReasonStepFailed:        "step {step} of {stage} failed: {detail}",
	deploy.ReasonStageTimeout:      "stage {stage} did not end within {timeout}",
	deploy.ReasonTimeout:           "the deployment did not end within {timeout}",
	deploy.ReasonRollbackTimeout:   "the way back did not end within {timeout}; look at the live state",
	deploy.ReasonRollbackFailed:    "the way back failed: {detail}",
	deploy.ReasonApproved:          "approved by {by}[: {note}]",
	deploy.ReasonRejected:          "rejected by {by}[: {note}]",
	deploy.ReasonSkippedByPerson:   "skipped by {by}[: {note}]",
	deploy.ReasonSkipOn:            "skipped: skipOn matches commit {commit}",
	deploy.ReasonWaited:            "waited {duration}",
	deploy.ReasonCancelled:         "cancelled by {by}[: {note}]",
	deploy.ReasonSuperseded:        "superseded by the newer deployment {by}",
	deploy.ReasonBreach:            "the guard found: {detail}",
	deploy.ReasonForeignChange:     "somebody else changed the route: {detail}",
	deploy.ReasonHeld:              "held: this state was rolled back in deployment {deployment} (commit {commit}); commit a change or sync by hand",
	deploy.ReasonClaimed:           "{claim} is being written by deployment {holder}; wait for its end",
	deploy.ReasonAccountChanged:    "the credentials reach {found}, but the application was deployed to {recorded}; nothing was written",
	deploy.ReasonNotSettled:        "the live system is not settled: {detail}",
	deploy.ReasonMadeBefore:        "what deployment {deployment} made is live already, but the record does not know of it: it was restored from a backup of before; look at what is live, then sync",
	deploy.ReasonNoRollback:        "the way back was not taken: {why}",
	deploy.ReasonUnknownEvent:      "an event of type {type} is not known to this version",
	deploy.ReasonInactiveStage:     "stage {stage} is not active in this version: {why}",
	deploy.ReasonDisabled:          "the application is disabled",
	deploy.ReasonMoved:             "its file moved in git from {from} to {to}",
	deploy.ReasonInvalidConfig:     "the configuration cannot be used: {detail}",
	deploy.ReasonRollBackTo:        "{by} rolled back to commit {commit}[ (deployment {deployment})][: {note}]",
	deploy.ReasonNotPickedUp:       "no agent of the application picked it up within {limit}; nothing was written: start an agent, then ask again",
	deploy.ReasonAgentLost:         "no agent has carried it on since {since}; traffic rests where it is, and the deployment goes on when an agent is back",
	deploy.ReasonQueued:            "waits for its turn behind deployment {ahead}",
	deploy.ReasonNoAgent:           "no agent of the application is connected: start one, then ask again",
	deploy.ReasonNoAnswer:          "the agent did not answer within {limit}: ask again, or look at the agent's log",
	deploy.ReasonNoCommit:          "no agent has read the branch yet; is an agent with repository {repository} online?",
	deploy.ReasonTooManyQuestions:  "{limit} questions are open already: wait for their answers, then ask again",
	deploy.ReasonAnswerTooLarge:    "the answer has {size} bytes, {limit} can be shown",
	deploy.ReasonCommitNotTouching: "the commit does not touch the application[: {why}][ matches {path}]",
}
