package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

const (
	// maxResources bounds one report of a live state.
	maxResources = 1000
	// liveDoubts is how many observations may fail before the state is told to
	// be unknown: one throttled call is no news.
	liveDoubts = 3
)

// liveReporter observes one application from time to time and reports what changed.
type liveReporter struct {
	a      *Agent
	id     string // of the application
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	now    chan struct{}

	mu  sync.Mutex
	app deploy.Application

	// Of the reporter's own goroutine.
	loaded   string // commit that desired was rendered from
	desired  platform.Desired
	rule     driftRule // of the same commit
	drift    driftWatch
	sent     []byte
	sentAt   time.Time
	failures int
	said     string
}

// reconcileLive starts, feeds and stops reporters. The caller holds a.mu.
func (a *Agent) reconcileLive(ctx context.Context, apps []deploy.Application, readers *sync.WaitGroup) {
	wanted := map[string]bool{}
	for _, app := range apps {
		wanted[app.ID] = true
		if r := a.live[app.ID]; r != nil {
			r.offer(app)
			continue
		}
		rctx, cancel := context.WithCancelCause(ctx)
		r := &liveReporter{a: a, id: app.ID, ctx: rctx, cancel: cancel, now: make(chan struct{}, 1), app: app, log: a.log.With("application", app.Name)}
		a.live[app.ID] = r
		readers.Go(r.run)
	}
	for id, r := range a.live {
		if !wanted[id] {
			r.cancel(errNotOurs)
			delete(a.live, id)
		}
	}
}

// observeSoon asks for an observation of an application, if this process reports it.
func (a *Agent) observeSoon(app string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.live[app]; r != nil {
		kick(r.now)
	}
}

// deploys reports whether a worker of this process is at work on an application.
func (a *Agent) deploys(app string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.workers {
		if !w.ended() && w.app.ID == app {
			return true
		}
	}
	return false
}

func (r *liveReporter) offer(app deploy.Application) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if app.Seq < r.app.Seq {
		return
	}
	if app.Head.Hash != r.app.Head.Hash || app.Current != r.app.Current {
		kick(r.now)
	}
	r.app = app
}

func (r *liveReporter) state() (app deploy.Application, every time.Duration) {
	busy := r.a.deploys(r.id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if busy || r.app.Current != "" {
		return r.app, r.a.opt.GuardEvery
	}
	return r.app, r.a.opt.LiveEvery
}

func (r *liveReporter) run() {
	spread := random(r.a.opt.ProcessID, r.id)
	for r.ctx.Err() == nil {
		app, every := r.state()
		select {
		case r.a.liveSlots <- struct{}{}:
			r.once(app)
			<-r.a.liveSlots
		case <-r.ctx.Done():
			return
		}
		if _, now := r.state(); now < every {
			every = now
		}
		sleep(r.ctx, jitter(spread, every), r.now, nil)
	}
}

// once observes and reports what is new.
func (r *liveReporter) once(app deploy.Application) {
	live, err := r.observe(app)
	if r.ctx.Err() != nil || errors.Is(err, errNothingYet) {
		return
	}
	state := live.State
	if err != nil {
		r.a.met.observed.WithLabelValues("error").Inc()
		if r.failures++; err.Error() != r.said {
			r.said = err.Error()
			r.log.Warn("what is live cannot be observed", "error", err)
		}
		if r.failures < liveDoubts {
			return
		}
		state = deploy.LiveState{Health: deploy.HealthUnknown}
	} else {
		r.failures, r.said = 0, ""
		state.Digest = live.Digest
		if state.Health == "" {
			state.Health = deploy.HealthOf(state.Resources)
		}
	}
	r.report(app, client.Observation{State: state, Comparison: r.compare(app, live, err)}, err == nil)
}

// resendAfter is how old a report of an unchanged state may become: while a
// deployment runs somebody looks at its age, and the server starts a deployment
// against a drift when it hears of it behind the window.
func resendAfter(app deploy.Application, c *client.Comparison) time.Duration {
	switch {
	case app.Current != "":
		return resendBusyEvery
	case c != nil && c.Count > 0 && c.Deploys:
		return resendDriftEvery
	}
	return resendLiveEvery
}

func (r *liveReporter) report(app deploy.Application, o client.Observation, observed bool) {
	state := o.State
	if over := len(state.Resources) - maxResources; over > 0 {
		state.Resources, state.Truncated = state.Resources[:maxResources], state.Truncated+over
	}
	state.At = time.Time{}
	key, err := json.Marshal(client.Observation{State: state, Comparison: o.Comparison})
	if err != nil {
		r.log.Error("encode live state", "error", err)
		return
	}
	if bytes.Equal(key, r.sent) && time.Since(r.sentAt) < resendAfter(app, o.Comparison) {
		if observed {
			r.a.met.observed.WithLabelValues("same").Inc()
		}
		return
	}
	if observed {
		r.a.met.observed.WithLabelValues("changed").Inc()
	}
	state.At = time.Now().UTC()
	o.State = state
	ctx, cancel := context.WithTimeout(r.ctx, callLimit)
	defer cancel()
	if err := r.a.link.ReportLive(ctx, r.a.gate.sessionID(), app.ID, o); err != nil {
		r.a.linkFailed("report live", err)
		r.log.Debug("live state could not be reported", "error", err)
		return
	}
	r.sent, r.sentAt = key, time.Now()
}

// errNothingYet says that git declares nothing that could be observed.
var errNothingYet = errors.New("nothing is declared yet")

// observe looks at what the running commit declares; while a deployment is at
// work, or when nothing good is known, at what the head declares. Where the one
// cannot be used the other is taken.
func (r *liveReporter) observe(app deploy.Application) (live platform.Live, err error) {
	p, err := r.a.platform(app.Kind)
	if err != nil {
		return live, err
	}
	prov, err := r.a.provider(app.Kind, app.Provider)
	if err != nil {
		return live, err
	}
	commits := []deploy.Commit{app.Head}
	if good := app.LastGood; good != nil {
		commits = append(commits, good.Commit)
		if app.Current == "" {
			slices.Reverse(commits)
		}
	}
	err = errNothingYet
	for _, c := range commits {
		sha := c.Hash
		if sha == "" {
			continue
		}
		if sha == r.loaded {
			err = nil
			break
		}
		var file *application
		var d platform.Desired
		if file, d, _, _, err = r.a.desired(r.ctx, app.At(c), sha, p, prov.Config); err == nil {
			r.loaded, r.desired, r.rule = sha, d, driftRule{Enabled: !file.Trigger.OnOutOfSync.Disabled, Window: file.Trigger.OnOutOfSync.MinWindow}
			break
		}
	}
	if err != nil {
		return live, err
	}
	return r.a.observe(r.ctx, p, platform.Target{App: app.Ref, Desired: r.desired, ProviderConfig: prov.Config})
}
