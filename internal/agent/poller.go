package agent

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/spec"
)

const (
	// againFrom bounds how often one poll looks again because the record had
	// another head than we thought.
	againFrom = 5
	// oldAnswers is how many polls in a row must show the branch at an ancestor
	// of the known head before it is believed: a replica of the host that lags
	// shows the same, and a branch that was set back can wait half a minute.
	oldAnswers = 3
	// maxPollPause is the longest time between two polls of a repository that fails.
	maxPollPause = time.Minute
)

// poller watches one branch: one small request each time, and nothing else
// unless it moved or applications were never looked at.
type poller struct {
	a      *Agent
	repo   *repository
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelCauseFunc
	now    chan struct{} // look at once

	mu    sync.Mutex
	work  client.RepositoryWork
	apps  map[string]deploy.Application
	place *places  // of apps
	young []string // applications without a head, which may be new
	reset bool     // the record's head is news

	// Of the poller's own goroutine.
	head   string              // that the record is known to have
	rules  map[string]*appRule // by application: what its file says at head
	again  map[string]bool     // applications whose place changed, to be looked at again
	looked map[string]string   // application → commit at which it was looked at for the first time
	told   string              // error that was reported
	files  string              // commit at which the application files were reported last
	offers map[string]offered  // by file: what was reported of it
	filed  bool                // they were reported at all
	stale  int                 // polls that showed an ancestor
	tidied time.Time           // when the mirror was maintained
}

func newPoller(ctx context.Context, a *Agent, r *repository) *poller {
	ctx, cancel := context.WithCancelCause(ctx)
	return &poller{
		a: a, repo: r, ctx: ctx, cancel: cancel, now: make(chan struct{}, 1), log: a.log.With("repository", r.spec.RepoID),
		rules: map[string]*appRule{}, looked: map[string]string{}, again: map[string]bool{}, offers: map[string]offered{}, place: newPlaces(nil),
	}
}

// offer takes what the record knows. A new application is looked at at once.
func (p *poller) offer(w client.RepositoryWork) {
	p.mu.Lock()
	defer p.mu.Unlock()
	apps := make(map[string]deploy.Application, len(w.Applications))
	var young []string
	same := len(w.Applications) == len(p.apps)
	for _, app := range w.Applications {
		apps[app.ID] = app
		was, known := p.apps[app.ID]
		if !known {
			kick(p.now)
		}
		if known && (was.Path != app.Path || was.ConfigFile != app.ConfigFile) {
			p.again[app.ID] = true // whoever moved it may have seen less than we did: it is looked at where it is now
			kick(p.now)
		}
		same = same && known && was.Path == app.Path && was.ConfigFile == app.ConfigFile && was.Deleted == app.Deleted
		if app.Head.Hash == "" && !app.Deleted {
			young = append(young, app.ID)
		}
	}
	if !same {
		p.place = newPlaces(apps)
	}
	if w.Head != p.work.Head {
		p.reset = true
	}
	p.work, p.apps, p.young = w, apps, young
}

// follow takes over the head of the record when that is news: another process
// reported one, or a backup was restored. News that is older than our own last
// report does no harm: the report is repeated and changes nothing.
func (p *poller) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reset {
		p.head, p.reset = p.work.Head, false
	}
}

func (p *poller) run() {
	tries, spread := p.a.retries("poll", p.a.opt.PollEvery, max(p.a.opt.PollEvery, maxPollPause)), random(p.a.opt.ProcessID, "pause")
	p.tidied = time.Now()
	for p.ctx.Err() == nil {
		p.tidy()
		pause := jitter(spread, p.a.opt.PollEvery)
		err := p.poll(p.ctx)
		switch {
		case p.ctx.Err() != nil:
			return
		case err != nil:
			pause = tries.next(p.a.opt.PollEvery)
			p.failed(err)
		default:
			tries.reset()
		}
		sleep(p.ctx, pause, p.now, nil)
	}
}

// tidy lets git pack its mirror once a day.
func (p *poller) tidy() {
	m, ok := p.repo.opened().(interface {
		Maintain(ctx context.Context) error
	})
	if !ok || time.Since(p.tidied) < 24*time.Hour {
		return
	}
	p.tidied = time.Now()
	if err := m.Maintain(p.ctx); err != nil && p.ctx.Err() == nil {
		p.log.Warn("a mirror could not be maintained", "error", err)
	}
}

// failed tells why a repository cannot be read, once for each reason. The
// control plane's own failures are not the repository's.
func (p *poller) failed(err error) {
	p.a.met.polls.WithLabelValues("error").Inc()
	text := p.a.masks.Replace(err.Error())
	var ours *deploy.Error
	if errors.As(err, &ours) {
		p.log.Warn("what was seen in a repository could not be reported", "error", text)
		p.a.linkFailed("report head", err)
		return
	}
	if text == p.told {
		return
	}
	p.log.Error("a repository cannot be read; others go on", "error", text)
	if _, err := p.reportHead(p.ctx, client.HeadReport{Error: clip(text, maxDetail)}); err != nil {
		p.a.linkFailed("report head", err)
		return
	}
	p.told = text
}

// poll looks once.
func (p *poller) poll(ctx context.Context) error {
	repo, err := p.repo.get(ctx)
	if err != nil {
		return err
	}
	head, err := repo.Head(ctx)
	if err != nil {
		return err
	}
	p.follow()
	fresh := p.fresh()
	if head == p.head && len(fresh) == 0 && p.filed && p.told == "" {
		p.stale = 0
		p.a.met.polls.WithLabelValues("same").Inc()
		return nil
	}
	if head != p.head && p.lags(ctx, repo, head) {
		return nil
	}
	if head != p.head {
		p.a.met.polls.WithLabelValues("moved").Inc()
		if head, err = repo.Fetch(ctx); err != nil {
			return err
		}
	} else {
		p.a.met.polls.WithLabelValues("same").Inc()
		if err := ensure(ctx, repo, head); err != nil {
			return err
		}
	}
	return p.moved(ctx, repo, head)
}

// lags reports whether the host showed the branch where it was before.
func (p *poller) lags(ctx context.Context, repo Repo, head string) bool {
	if p.head == "" {
		return false
	}
	before, err := repo.IsAncestor(ctx, head, p.head)
	if err != nil || !before {
		p.stale = 0
		return false
	}
	if p.stale++; p.stale >= oldAnswers {
		p.stale = 0
		return false
	}
	p.a.met.polls.WithLabelValues("same").Inc()
	p.log.Info("the host shows an older head; waiting whether it stays", "head", head, "known", p.head)
	return true
}

// ensure fetches when the mirror does not hold a commit yet.
func ensure(ctx context.Context, repo Repo, sha string) error {
	_, err := repo.Commit(ctx, sha)
	if errors.Is(err, git.ErrUnknownCommit) {
		_, err = repo.Fetch(ctx)
	}
	return err
}

// fresh lists the applications that were never looked at.
func (p *poller) fresh() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]bool{}
	for _, id := range p.young {
		if p.looked[id] == "" {
			out[id] = true
		}
	}
	for id := range p.again {
		out[id] = true
	}
	return out
}

// moved reports a movement from the head that the record has to the new one,
// looking again from there when the record turns out to have another.
func (p *poller) moved(ctx context.Context, repo Repo, head string) error {
	c, err := repo.Commit(ctx, head)
	if err != nil {
		return err
	}
	for range againFrom {
		old, fresh := p.head, p.fresh()
		changed, all, err := p.changed(ctx, repo, old, head)
		if err != nil {
			return err
		}
		report := client.HeadReport{Old: old, New: head, Commit: commitOf(c), Candidates: p.candidates(ctx, repo, move{old, head, changed, all, fresh})}
		answer, err := p.reportHead(ctx, report)
		if err != nil {
			return err
		}
		if answer.Head != "" && answer.Head != head {
			p.log.Info("the record has another head: looking again from there", "thought", old, "has", answer.Head)
			p.head = answer.Head
			p.forget()
			continue
		}
		p.accepted(head, old, fresh, answer, report)
		return p.discover(ctx, repo, move{old: old, new: head, changed: changed, all: all})
	}
	return deploy.Errorf(deploy.CodeConflict, "the record of branch %s moves faster than it can be read", p.repo.spec.Branch)
}

// forget makes every application file be read again.
func (p *poller) forget() {
	clear(p.rules)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.place = newPlaces(p.apps)
}

// changed lists the paths between two heads; all says that every path counts,
// because the former head is unknown.
func (p *poller) changed(ctx context.Context, repo Repo, old, head string) (paths []string, all bool, err error) {
	switch old {
	case head:
		return nil, false, nil
	case "":
		return nil, true, nil
	}
	paths, err = repo.ChangedPaths(ctx, old, head)
	if errors.Is(err, git.ErrUnknownCommit) {
		p.log.Warn("the former head is unknown (a force push?): every application counts as touched", "old", old, "new", head)
		return nil, true, nil
	}
	return paths, false, err
}

// accepted notes that the record has the new head.
func (p *poller) accepted(head, old string, fresh map[string]bool, answer client.HeadAnswer, report client.HeadReport) {
	if head != old || len(report.Candidates) > 0 {
		p.log.Info("branch seen", "old", old, "new", head, "candidates", len(report.Candidates), "deployments", len(answer.DeploymentIDs))
	}
	p.head, p.told, p.stale = head, "", 0
	p.mu.Lock()
	for id := range fresh {
		p.looked[id] = head
		delete(p.again, id)
	}
	p.follows(report.Candidates)
	p.mu.Unlock()
	if len(answer.DeploymentIDs) > 0 {
		kick(p.a.workKick)
	}
}

// follows takes over where applications went before the record is fetched again:
// the next movement may touch their new folders.
func (p *poller) follows(reported []client.Candidate) {
	for _, c := range reported {
		if app, ok := p.apps[c.ApplicationID]; ok && c.MovedFile != "" {
			p.log.Info("the folder of an application was renamed in git; its registration follows", "application", app.Name, "from", spec.ApplicationFile(app.Path, app.ConfigFile), "to", path.Join(c.MovedPath, c.MovedFile))
			app.Path, app.ConfigFile = c.MovedPath, c.MovedFile
			p.apps[c.ApplicationID] = app
			p.place = newPlaces(p.apps)
		}
	}
}

func (p *poller) reportHead(ctx context.Context, r client.HeadReport) (client.HeadAnswer, error) {
	session := p.a.gate.sessionID()
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	r.RepoID, r.Branch = p.repo.spec.RepoID, p.repo.spec.Branch
	answer, err := p.a.link.ReportHead(ctx, session, r)
	if err == nil {
		return answer, nil
	}
	var e *deploy.Error
	if !errors.As(err, &e) {
		err = &deploy.Error{Code: deploy.CodeUnavailable, Message: "report head", Err: err}
	}
	return answer, err
}
