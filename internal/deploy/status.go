package deploy

// Status is the state of a deployment in the words users know from PipeCD.
type Status string

// The states of a deployment. The permitted moves are in Transitions.
const (
	StatusPending     Status = "PENDING"      // waits in the application's queue, or is being planned
	StatusPlanned     Status = "PLANNED"      // the plan is pinned; nothing was written yet
	StatusRunning     Status = "RUNNING"      // its pipeline is at work
	StatusRollingBack Status = "ROLLING_BACK" // on the way back to the recorded live state
	StatusSuccess     Status = "SUCCESS"
	StatusFailure     Status = "FAILURE"
	StatusCancelled   Status = "CANCELLED"
)

// Terminal reports whether a deployment in this state never changes again.
func (s Status) Terminal() bool {
	return s == StatusSuccess || s == StatusFailure || s == StatusCancelled
}

// Transitions is the whole table of permitted moves between states of a
// deployment. docs/contributing/transitions.md shows the same table to people
// and a test keeps the two equal.
var Transitions = map[Status][]Status{
	"":                {StatusPending},
	StatusPending:     {StatusPlanned, StatusFailure, StatusCancelled},
	StatusPlanned:     {StatusRunning, StatusFailure, StatusCancelled},
	StatusRunning:     {StatusRollingBack, StatusSuccess, StatusFailure, StatusCancelled},
	StatusRollingBack: {StatusFailure, StatusCancelled},
	StatusSuccess:     {},
	StatusFailure:     {},
	StatusCancelled:   {},
}

// CanBecome reports whether the move from s to next is in Transitions.
func (s Status) CanBecome(next Status) bool {
	for _, t := range Transitions[s] {
		if t == next {
			return true
		}
	}
	return false
}

// End says in what state a finished deployment left the live system.
type End string

// The ends of a deployment.
const (
	EndNone           End = ""                // not finished, or finished before the first write
	EndDeclared       End = "DECLARED"        // live is what git declares
	EndSnapshot       End = "SNAPSHOT"        // live is, by effect, what it was before the first write
	EndNeedsAttention End = "NEEDS_ATTENTION" // neither could be verified: a person must look, the difference is recorded
)

// Display is the word that a person reads for a status and its end:
// ROLLED_BACK is a failure or a cancellation that returned to the snapshot.
func Display(s Status, e End) string {
	switch {
	case e == EndNeedsAttention:
		return "NEEDS_ATTENTION"
	case e == EndSnapshot && (s == StatusFailure || s == StatusCancelled):
		return "ROLLED_BACK"
	}
	return string(s)
}

// StageStatus is the state of one stage.
type StageStatus string

// The states of a stage.
const (
	StageNotStarted StageStatus = "NOT_STARTED_YET"
	StageRunning    StageStatus = "RUNNING"
	StageSuccess    StageStatus = "SUCCESS"
	StageFailure    StageStatus = "FAILURE"
	StageCancelled  StageStatus = "CANCELLED"
	StageSkipped    StageStatus = "SKIPPED"
	StageExited     StageStatus = "EXITED" // ended the whole deployment early, as a success
)

// Terminal reports whether a stage in this state is over.
func (s StageStatus) Terminal() bool {
	return s != StageNotStarted && s != StageRunning && s != ""
}

// Passed reports whether the pipeline goes on behind a stage in this state.
func (s StageStatus) Passed() bool { return s == StageSuccess || s == StageSkipped }
