package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/plan"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// reasonError is an error whose reason is to be told as it is.
type reasonError struct{ why deploy.Reason }

func (e reasonError) Error() string { return e.why.String() }

// plan makes the plan of a deployment and reports it. What trying again can
// cure is tried again until the server's deadline for plans.
func (w *worker) plan(ctx context.Context, d deploy.Deployment) {
	tries, began := w.a.retries("plan", 500*time.Millisecond, maxBackoff), time.Now()
	for ctx.Err() == nil && !w.a.isStopping() {
		p, pin, err := w.a.makePlan(ctx, d, w.app, began)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			w.pin = pin
			w.log.Info("planned", "strategy", string(p.Strategy), "why", p.Why.String(), "stages", len(p.Stages))
			if err = w.report(ctx, client.Report{Plan: &p}); err == nil {
				return
			}
			err = platform.Final(err)
		}
		can, after := platform.CanRetry(err)
		if !can {
			w.planFailed(ctx, err)
			return
		}
		w.log.Warn("no plan could be made, trying again", "error", err)
		w.pause(ctx, time.Now().Add(tries.next(after)), nil)
	}
}

func (w *worker) planFailed(ctx context.Context, err error) {
	why := w.a.whyNoPlan(err)
	w.log.Error("no plan could be made", "reason", why.String())
	if err := w.report(ctx, client.Report{PlanFailed: &why}); err != nil {
		w.log.Error("the failed plan could not be told", "error", err)
	}
}

// whyNoPlan is the reason, for people, of an error of planning. Secrets are masked.
func (a *Agent) whyNoPlan(err error) deploy.Reason {
	var re reasonError
	var files spec.Errors
	switch {
	case errors.As(err, &re):
		return re.why
	case errors.As(err, &files):
		return deploy.Why(deploy.ReasonInvalidConfig, "detail", clip(a.masks.Replace(files.Error()), maxDetail))
	}
	return deploy.Why(deploy.ReasonPlanFailed, "detail", clip(a.masks.Replace(err.Error()), maxDetail))
}

// draft is a plan in the making.
type draft struct {
	a      *Agent
	d      deploy.Deployment
	app    deploy.Application
	p      platform.Platform
	cfg    spec.Node
	repo   Repo
	commit git.Commit
	file   *application
	began  time.Time // of the first try
	pin    pinned
	in     plan.Input
}

// makePlan reads the files, looks at what is, and decides what is to be done.
// Nothing is written but two blobs. Errors are marked Final unless trying again
// can help.
func (a *Agent) makePlan(ctx context.Context, d deploy.Deployment, app deploy.Application, began time.Time) (p deploy.Plan, _ *pinned, err error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error("planning panicked", "deployment", d.ID, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = platform.Final(fmt.Errorf("internal error while planning: %v; the agent's log has more", r))
		}
	}()
	w := &draft{a: a, d: d, app: app, began: began}
	if err := w.load(ctx); err != nil {
		return p, nil, err
	}
	if err := w.look(ctx); err != nil {
		return p, nil, err
	}
	var changes change.Changes
	if p, changes, err = w.choose(); err != nil {
		return p, nil, platform.Final(err)
	}
	if len(p.Stages) > 0 {
		if err := a.putPinned(ctx, d.ID, &w.pin); err != nil {
			return p, nil, err
		}
		p.PinnedBlob = w.pin.blob
	}
	if !w.pin.Live.Exists {
		if changes, err = w.p.Compare(platform.State{Live: &w.pin.Live}, platform.State{Desired: &w.pin.Desired}); err != nil {
			return p, nil, platform.Final(fmt.Errorf("compare nothing with the desired state: %w", err))
		}
	}
	if !changes.Empty() {
		if p.ChangesBlob, err = a.putChanges(ctx, changes); err != nil {
			return p, nil, err
		}
	}
	return p, &w.pin, nil
}

// load reads the application file and lets the platform render what should be.
func (w *draft) load(ctx context.Context) error {
	var err error
	if w.p, err = w.a.platform(w.d.App.Kind); err != nil {
		return platform.Final(err)
	}
	prov, err := w.a.provider(w.d.App.Kind, w.d.App.Provider)
	if err != nil {
		return platform.Final(err)
	}
	w.cfg = prov.Config
	sha := w.d.Trigger.Commit.Hash
	if sha == "" {
		sha = w.app.Head.Hash
	}
	if w.file, w.pin.Desired, w.repo, w.commit, err = w.a.desired(ctx, w.d.App, sha, w.p, w.cfg); err != nil {
		return err
	}
	return nil
}

// application is a decoded application file with the remarks about it.
type application struct {
	*spec.Application
	warnings spec.Warnings
}

// desired renders what a commit declares for an application.
func (a *Agent) desired(ctx context.Context, app deploy.Ref, sha string, p platform.Platform, cfg spec.Node) (file *application, out platform.Desired, _ Repo, c git.Commit, err error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error("reading an application panicked", "application", app.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = platform.Final(fmt.Errorf("internal error while reading the application's files: %v; the agent's log has more", r))
		}
	}()
	r := a.repos[app.RepoID]
	if r == nil {
		return nil, out, nil, c, platform.Final(deploy.Errorf(deploy.CodeNotFound, "%s has no repository %q: add it there", a.opt.Config.File, app.RepoID))
	}
	repo, c, err := r.commit(ctx, sha)
	if err != nil {
		return nil, out, nil, c, gitError(err)
	}
	name := spec.ApplicationFile(app.Path, app.ConfigFile)
	data, err := repo.ReadFile(ctx, sha, name)
	if errors.Is(err, git.ErrNotFound) {
		return nil, out, nil, c, platform.Final(missingFile(name, c.Hash))
	}
	if err != nil {
		return nil, out, nil, c, gitError(err)
	}
	decoded, warnings, err := spec.ReadApplication(name, data, a.opt.Kinds...)
	if decoded == nil {
		return nil, out, nil, c, platform.Final(err)
	}
	file = &application{decoded, warnings}
	if kind := a.kindOf(decoded); kind != app.Kind {
		return nil, out, nil, c, platform.Final(spec.Join(err, spec.Error{
			File: name, Line: file.Pos.Line, Column: file.Pos.Column,
			Message: fmt.Sprintf("the application was registered as %s, this file is of kind %s", app.Kind, kind), Hint: "register it anew to change its kind",
		}))
	}
	out, lerr := p.Load(ctx, platform.Source{App: app, Config: decoded, Commit: commitOf(c), Files: files{repo, sha}, ProviderConfig: cfg})
	var mistakes spec.Errors
	switch {
	case err != nil && errors.As(lerr, &mistakes):
		err = platform.Final(spec.Join(err, lerr))
	case err != nil:
		err = platform.Final(err)
	case lerr != nil && gitTemporary(lerr):
		err = lerr
	case lerr != nil:
		err = platform.Final(lerr)
	}
	return file, out, repo, c, err
}

func missingFile(name, commit string) error {
	return spec.Errors{{File: name, Message: fmt.Sprintf("there is no such file at commit %.7s", commit), Hint: "restore it, or delete the application"}}
}

// gitError marks what asking the repository again cannot cure.
func gitError(err error) error {
	if gitTemporary(err) {
		return platform.Retryable(err, 0)
	}
	return platform.Final(err)
}

// look observes what is live and gathers what is known of the running commit.
func (w *draft) look(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	begin := time.Now()
	g.Go(func() (err error) {
		w.pin.Live, err = w.a.observe(ctx, w.p, platform.Target{App: w.d.App, Desired: w.pin.Desired, ProviderConfig: w.cfg})
		if err != nil {
			return fmt.Errorf("look at what is live: %w", err)
		}
		return w.current(begin)
	})
	g.Go(func() error {
		w.running(ctx)
		return nil
	})
	return g.Wait()
}

// readLag is how old an answer of a cloud about itself may be.
const readLag = 65 * time.Second

// current is an error while what was seen may be the state before the last
// deployment: a cloud may answer late, the process that read the end back may be
// another one, and a plan and its snapshot would be made of what is over. What
// still differs after that time was changed by somebody else.
func (w *draft) current(now time.Time) error {
	ended, want := w.app.LastEnd()
	if ended.IsZero() || now.Sub(ended) >= readLag || now.Sub(w.began) >= readLag || digestOf(w.pin.Live) == want {
		return nil
	}
	return platform.Retryable(errors.New("what is live is not what the last deployment left: the answer may be older than its end"), time.Second)
}

// observe calls the platform; a panic is an error of ours.
func (a *Agent) observe(ctx context.Context, p platform.Platform, t platform.Target) (live platform.Live, err error) {
	defer func() {
		if r := recover(); r != nil {
			a.log.Error("an observation panicked", "application", t.App.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = platform.Final(fmt.Errorf("internal error of the platform: %v; the agent's log has more", r))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	return p.Observe(ctx, t)
}

// running reads the commit of the last good state, if it can still be read: a
// plan is possible without.
func (w *draft) running(ctx context.Context) {
	good := w.app.LastGood
	if good == nil || good.Commit.Hash == "" {
		return
	}
	w.in.RunningCommit = good.Commit.Hash
	changed, err := w.repo.ChangedPaths(ctx, good.Commit.Hash, w.commit.Hash)
	if err != nil {
		w.a.log.Warn("what changed since the running commit is unknown", "deployment", w.d.ID, "commit", good.Commit.Short(), "error", err)
	} else {
		w.in.Changed = append([]string{}, changed...)
	}
	_, desired, _, _, err := w.a.desired(ctx, w.d.App.At(good.Commit), good.Commit.Hash, w.p, w.cfg)
	if err != nil {
		w.a.log.Warn("the running commit cannot be read", "deployment", w.d.ID, "commit", good.Commit.Short(), "error", err)
		return
	}
	w.pin.LastGood = &desired
}

// choose decides what is done and lets the platform plan its part. Pure.
func (w *draft) choose() (p deploy.Plan, changes change.Changes, err error) {
	live, desired := &w.pin.Live, &w.pin.Desired
	if slices.Contains(live.Makers, w.d.ID) {
		// Its steps would take what they made for what was there before, and remove it.
		return p, changes, reasonError{deploy.Why(deploy.ReasonMadeBefore, "deployment", w.d.ID)}
	}
	if len(live.Unsettled) > 0 && w.d.Trigger.Kind != deploy.OnCommand {
		return p, changes, reasonError{deploy.Why(deploy.ReasonNotSettled, "detail", clip(joinReasons(live.Unsettled), maxDetail))}
	}
	if live.Exists {
		if changes, err = w.p.Compare(platform.State{Live: live}, platform.State{Desired: desired}); err != nil {
			return p, changes, fmt.Errorf("compare live and desired state: %w", err)
		}
	}
	w.in.LiveDigest = digestOf(*live)
	w.in.App, w.in.Trigger, w.in.CommitMessage = w.file.Application, w.d.Trigger, w.commit.Message
	w.in.Exists, w.in.Changes, w.in.From, w.in.To = live.Exists, changes, live.Versions, desired.Versions
	w.in.DesiredDigest, w.in.Account = desired.Digest, live.Account
	choice, err := plan.Choose(w.in)
	if err != nil {
		return p, changes, err
	}
	var part platform.PlanPart
	if !choice.Nothing {
		if part, err = w.p.Plan(w.platformInput(choice)); err != nil {
			return p, changes, err
		}
	}
	if p, err = plan.Assemble(w.in, choice, part); err != nil {
		return p, changes, err
	}
	p.Notes = append(append(p.Notes, live.Notes...), w.warnings()...)
	return p, changes, nil
}

// maxWarnings and maxWarning bound what of the remarks about the files goes into a plan.
const (
	maxWarnings = 8
	maxWarning  = 300
)

// warnings are the remarks about the files, such as configuration without effect in this version.
func (w *draft) warnings() []deploy.Reason {
	var out []deploy.Reason
	for _, one := range append(slices.Clone(w.file.warnings), w.pin.Desired.Warnings...) {
		if len(out) == maxWarnings {
			break
		}
		out = append(out, deploy.Why(ReasonFileWarning, "detail", clip(one.Error(), maxWarning)))
	}
	return out
}

func (w *draft) platformInput(c plan.Choice) platform.PlanInput {
	in := platform.PlanInput{App: w.d.App, Desired: w.pin.Desired, Live: w.pin.Live, Strategy: c.Strategy, LastGood: w.pin.LastGood}
	if c.Strategy != deploy.StrategyPipeline {
		return in
	}
	for i, s := range w.file.Stages {
		in.PipelineNames = append(in.PipelineNames, s.Name)
		if !plan.IsGeneric(s) {
			in.Stages = append(in.Stages, platform.StageRequest{Index: i, ID: s.ID, Name: s.Name, With: s.With})
		}
	}
	return in
}

func joinReasons(rs []deploy.Reason) string {
	parts := make([]string, len(rs))
	for i, r := range rs {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}

// changesBlob is the form of a plan's differences for readers; secrets are masked already.
type changesBlob struct {
	Summary string         `json:"summary"`
	Text    string         `json:"text"`
	Changes change.Changes `json:"changes"`
	// Before and After are both sides whole, as change.Document.
	Before *change.Document `json:"before,omitempty"`
	After  *change.Document `json:"after,omitempty"`
}

func (a *Agent) putChanges(ctx context.Context, c change.Changes) (string, error) {
	before, after := c.Documents()
	data, err := json.Marshal(changesBlob{Summary: c.Summary(), Text: c.Text(), Changes: c, Before: &before, After: &after})
	if err != nil {
		return "", platform.Final(fmt.Errorf("encode changes: %w", err))
	}
	return a.putBlob(ctx, data)
}
