// Package platform is the contract between the agent and the systems that
// applications run on. A platform (ECS, Lambda, Kubernetes, Cloud Run,
// Terraform, a remote one, the fake) is one package that implements Platform;
// platform/builtin is the visible list of them and platformtest the suite that
// all must pass.
//
// # Contract
//
// Kind, Stages, Plan and Compare are pure and may be called at any time, from
// any goroutine. Load reads files through Source only. Observe and Guard read
// the cloud and never write. Run is the only method that writes.
//
// The agent calls Load and Observe (concurrently), then Compare and Plan, and
// pins the result. Afterwards it calls Run for one step at a time of one
// deployment; different deployments run concurrently. A step may be asked for
// again at any time: after a crash, by another process, with the journal of
// all that was noted before. So a step looks before it creates, notes the
// intent before and the identity after, and writes absolute values.
//
// A platform never sleeps, polls in a loop, retries or reads a clock of its
// own: it does one thing and returns an Outcome; the agent's loop owns
// waiting, retrying and deadlines. Step.Now is the time to reason with.
//
// Outcome says what became of the step. An error means that we could not do
// it; wrap it with Retryable or Final when the platform knows whether trying
// again can help (unwrapped errors are retried until the stage's deadline).
// Throttling is Retryable with the wait that the API asked for.
//
// Every write carries the context's deadline (a third of the session lease),
// SDK retries included. A write that was refused after such a deadline is not
// known to have failed: the next call must look.
package platform

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Platform is one system that applications are deployed to.
type Platform interface {
	// Kind is the `kind` word of the application file that this platform reads.
	Kind() deploy.Kind
	// Stages lists the stages a user may write and what their options mean; it
	// feeds lint, schema, docs and the page.
	Stages() []StageInfo
	// Load reads the application's files at a commit and renders what should
	// be. Mistakes in the files are spec.Errors with file, line and column.
	Load(ctx context.Context, src Source) (Desired, error)
	// Observe reads what is. A target that does not exist is Live{Exists: false}, not an error.
	Observe(ctx context.Context, t Target) (Live, error)
	// Compare lists the differences that matter between two states. Pure.
	Compare(from, to State) (change.Changes, error)
	// Plan resolves the platform's stages against the desired and the live
	// state: options, steps, expected exposure, what will be written, the way
	// back. What cannot work is refused here, before the first write. Pure.
	Plan(in PlanInput) (PlanPart, error)
	// Run does one step. See the contract above.
	Run(ctx context.Context, s Step, j Journal) (Outcome, error)
}

// Guarded is a platform that moves traffic or holds spare capacity: somebody
// looks while a deployment holds either (architecture, rule 11).
type Guarded interface {
	// Guard compares what is with what the deployment last wrote, by its
	// journal. It reads only. BreachNone means that all is as it should be.
	Guard(ctx context.Context, h Held) (Breach, error)
}

// StageInfo describes a stage that a user may write.
type StageInfo struct {
	Name    string // ECS_CANARY_ROLLOUT
	Desc    string // one sentence
	Options []OptionInfo
}

// OptionInfo describes one option of a stage.
type OptionInfo struct {
	Name    string
	Type    string // percent, duration, bool, string, int
	Default string
	Desc    string
}

// Files reads the files of a commit. Paths are relative to the repository
// root, slash separated and may not leave it.
type Files interface {
	ReadFile(ctx context.Context, path string) ([]byte, error)
}

// Source is what Load reads from.
type Source struct {
	App    deploy.Ref
	Config *spec.Application // the decoded application file
	Commit deploy.Commit
	Files  Files
	// ProviderConfig is the `config` node of the platform provider in the agent's file.
	ProviderConfig spec.Node
}

// Desired is what should be: the platform's own rendering and its digest.
type Desired struct {
	Kind     deploy.Kind      `json:"kind"`
	Digest   string           `json:"digest"`             // of the rendered desired state, equal for equal effect
	Versions []deploy.Version `json:"versions,omitempty"` //
	Body     json.RawMessage  `json:"body"`               // may hold secrets: it leaves the agent only sealed
	// AutoRollback is the platform's default for the way back.
	AutoRollback bool `json:"autoRollback"`
	// Warnings are remarks about the files: unknown keys, options without effect.
	Warnings spec.Warnings `json:"warnings,omitempty"`
}

// Target says what to observe.
type Target struct {
	App            deploy.Ref
	Desired        Desired // what git declares: names the service, groups, …
	ProviderConfig spec.Node
}

// Live is what is.
type Live struct {
	Exists  bool            `json:"exists"`
	Account string          `json:"account"` // account and region, or cluster identity
	Digest  string          `json:"digest"`  // equal for equal effect
	Body    json.RawMessage `json:"body"`    // the snapshot; may hold secrets: sealed as Desired.Body
	// Unsettled lists why a deployment should not start from here: a run in
	// progress by somebody else, capacity below what the file wants, …
	Unsettled []deploy.Reason `json:"unsettled,omitempty"`
	// Makers are the deployments that made what is live, as far as the platform
	// can tell: one that is about to begin is among them only when its record was
	// restored from a backup.
	Makers   []string         `json:"makers,omitempty"`
	Versions []deploy.Version `json:"versions,omitempty"`
	State    deploy.LiveState `json:"state"` // for people, masked
	Notes    []deploy.Reason  `json:"notes,omitempty"`
}

// State is one side of a comparison: exactly one of the two is set.
type State struct {
	Desired *Desired
	Live    *Live
}

// StageRequest is one stage of the file that the platform must resolve.
type StageRequest struct {
	Index int
	ID    string
	Name  string
	With  spec.Node
}

// PlanInput is what Plan resolves.
type PlanInput struct {
	App      deploy.Ref
	Desired  Desired
	Live     Live
	Strategy deploy.Strategy // QUICK_SYNC or PIPELINE
	Stages   []StageRequest  // the platform's stages of the pipeline in order, empty for quick sync
	// PipelineNames lists all stages of the pipeline in order, generic ones
	// included, so that exposure can be followed through.
	PipelineNames []string
	// LastGood is the desired state of the last good deployment, nil when unknown.
	LastGood *Desired
}

// PlanPart is the platform's part of a plan.
type PlanPart = plan.Part

// Step is one step to do.
type Step struct {
	DeploymentID string
	ProjectID    string
	App          deploy.Ref
	Commit       deploy.Commit
	Plan         deploy.Plan
	Stage        deploy.PlanStage
	Attempt      int
	Name         string // of the step
	Rollback     bool   // the stage belongs to the way back
	Desired      Desired
	Live         Live // the snapshot: live state before first touch
	// Token is the idempotency token of this step: equal whenever the same
	// deployment, stage, attempt and step are asked for.
	Token          string
	Now            time.Time // wall clock of the agent, for ages and settle times
	ProviderConfig spec.Node
	Log            LogSink
}

// LogSink takes the lines of the stage log. It never blocks for long and
// masks what was declared secret.
type LogSink interface {
	Logf(level slog.Level, format string, args ...any)
}

// Journal keeps what steps must know of each other and of an earlier attempt.
// Entries live as long as the deployment.
type Journal interface {
	// Get returns the latest value of a key.
	Get(key string) (json.RawMessage, bool)
	// Put stores a value durably before it returns.
	Put(ctx context.Context, key string, value json.RawMessage) error
	// Keys lists the keys with a prefix in sorted order.
	Keys(prefix string) []string
}

// Progress is what became of a step.
type Progress string

// The outcomes of a step.
const (
	Done    Progress = "DONE"    // go on with the next step
	Waiting Progress = "WAITING" // ask the same step again after a while
	Failed  Progress = "FAILED"  // the step failed: the stage fails
)

// Outcome is what became of one step.
type Outcome struct {
	Progress Progress
	After    time.Duration // with Waiting: when to ask again
	Reason   deploy.Reason // with Waiting what is waited for, with Failed why
	// Settling marks a Waiting that only lets routes settle: it is not
	// counted as coordination time.
	Settling bool
}

// DoneNow is the outcome of a finished step.
func DoneNow() (Outcome, error) { return Outcome{Progress: Done}, nil }

// AskAgain is the outcome of a step that is still waiting for something.
func AskAgain(after time.Duration, why deploy.Reason) (Outcome, error) {
	return Outcome{Progress: Waiting, After: after, Reason: why}, nil
}

// Fail is the outcome of a step that failed for a reason in the user's world.
func Fail(why deploy.Reason) (Outcome, error) {
	return Outcome{Progress: Failed, Reason: why}, nil
}

// Held is what Guard looks at.
type Held struct {
	DeploymentID   string
	App            deploy.Ref
	Plan           deploy.Plan
	Stage          deploy.PlanStage // the stage that is running
	Desired        Desired
	Live           Live // the snapshot
	Journal        Journal
	Now            time.Time
	ProviderConfig spec.Node
}

// BreachKind says what Guard found.
type BreachKind string

// The kinds of breach.
const (
	BreachNone    BreachKind = ""
	BreachHealth  BreachKind = "HEALTH"  // the new version is unhealthy or dies: go back
	BreachForeign BreachKind = "FOREIGN" // somebody else changed the route: stop, a person must look
)

// Breach is what Guard found, with the exact difference.
type Breach struct {
	Kind   BreachKind
	Reason deploy.Reason
	// Traffic is what was read on the way, for the page.
	Traffic []deploy.Traffic
}

// retry is an error that knows whether trying again can help.
type retry struct {
	err   error
	can   bool
	after time.Duration
}

func (r *retry) Error() string { return r.err.Error() }
func (r *retry) Unwrap() error { return r.err }

// Retryable marks an error as one that trying again can cure, not before after.
func Retryable(err error, after time.Duration) error {
	return &retry{err: err, can: true, after: after}
}

// Final marks an error that trying again cannot cure: the step fails.
func Final(err error) error { return &retry{err: err} }

// CanRetry says whether trying again can help and after how long at the
// earliest (0: the caller's own back-off). Unmarked errors can be retried.
func CanRetry(err error) (bool, time.Duration) {
	var r *retry
	if errors.As(err, &r) {
		return r.can, r.after
	}
	return true, 0
}
