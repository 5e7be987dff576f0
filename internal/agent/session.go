package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// keepSession holds a session until the context ends: a new one whenever the
// control plane says that the old one is over or its store was restored.
func (a *Agent) keepSession(ctx context.Context) {
	tries := a.retries("session", 500*time.Millisecond, maxBackoff)
	var said string
	for ctx.Err() == nil {
		sent := time.Now()
		s, err := a.hello(ctx)
		if err != nil {
			a.met.apiErrors.WithLabelValues("hello").Inc()
			if ctx.Err() == nil && err.Error() != said {
				said = err.Error()
				a.log.Error("no session with the control plane: nothing is written until there is one", "error", err)
			}
			sleep(ctx, tries.next(0), nil, nil)
			continue
		}
		said = ""
		tries.reset()
		a.log.Info("session begun", "agent", s.AgentName, "session", s.ID, "lease", s.Lease)
		a.gate.begin(s, sent)
		a.woken.Store(0)
		kick(a.workKick)
		why := a.attend(ctx, s)
		if ctx.Err() != nil {
			return
		}
		a.log.Warn("session over, beginning a new one", "session", s.ID, "reason", why)
		// The successor of what this session held is told at once that nobody is at work.
		a.gate.shut(errSessionOver)
	}
}

// attend follows the wake-ups of a session and renews it until it is over.
func (a *Agent) attend(ctx context.Context, s client.Session) (why string) {
	var stream sync.WaitGroup
	defer stream.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errSessionOver)
	stream.Go(func() { a.follow(ctx, s.ID) })
	return a.renew(ctx, s)
}

func (a *Agent) hello(ctx context.Context) (client.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	s, err := a.link.Hello(ctx, a.introduction())
	if err == nil && (s.ID == "" || s.Lease <= 0) {
		err = errors.New("hello: the answer has no session or no lease")
	}
	return s, err
}

// introduction says who this process is and what it can do.
func (a *Agent) introduction() client.Hello {
	h := client.Hello{ProcessID: a.opt.ProcessID, Host: a.opt.Host, Version: a.opt.Version}
	for _, r := range a.opt.Config.Repositories {
		if a.repos[r.RepoID].spec == r {
			h.Repositories = append(h.Repositories, client.LinkRepository{ID: r.RepoID, Remote: withoutCredentials(r.Remote), Branch: r.Branch})
		}
	}
	for kind, p := range a.platforms {
		for _, v := range a.opt.Config.PlatformProviders {
			if v.Type == platformOf(kind) {
				h.Providers = append(h.Providers, client.LinkProvider{Name: v.Name, Kind: string(kind)})
			}
		}
		for _, s := range p.Stages() {
			h.Stages = append(h.Stages, client.LinkStage{Kind: string(kind), Name: s.Name, Desc: s.Desc})
		}
	}
	slices.SortFunc(h.Providers, func(x, y client.LinkProvider) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name))
	})
	slices.SortFunc(h.Stages, func(x, y client.LinkStage) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Name, y.Name))
	})
	return h
}

// renew extends the lease until the session is over and says why it is.
func (a *Agent) renew(ctx context.Context, s client.Session) (why string) {
	every := orDefault(s.RenewEvery, s.Lease/3)
	lost, seen := false, int64(0)
	pause := every
	for {
		sleep(ctx, pause, a.sessionKick, nil)
		if ctx.Err() != nil {
			return "the process stops"
		}
		sent := time.Now()
		r, err := a.renewOnce(ctx, s.ID, seen, every)
		switch {
		case err == nil && r.Incarnation != s.Incarnation:
			return "the store was restored"
		case err == nil:
			seen = r.Grant
			if a.gate.renewed(sent, orDefault(r.Lease, s.Lease), r.Left) {
				a.log.Warn("the lease had run out: fetching work before anything is written")
				kick(a.workKick)
			}
			if lost {
				a.log.Info("the control plane answers again")
				a.gate.answered()
			}
			if lost || r.Woken != a.woken.Load() { // the stream may be dead without having said so
				kick(a.streamKick)
			}
			lost, pause = false, every
		case sessionOver(err):
			return "the control plane does not know it any more"
		case ctx.Err() != nil:
			return "the process stops"
		default:
			a.met.apiErrors.WithLabelValues("renew").Inc()
			if !lost {
				a.log.Warn("cannot renew the lease: no new write begins, the guard goes on", "error", err)
			}
			lost, pause = true, min(every, time.Second)
		}
	}
}

func (a *Agent) renewOnce(ctx context.Context, session string, seen int64, limit time.Duration) (client.Renewal, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return a.link.Renew(ctx, session, seen)
}

func sessionOver(err error) bool {
	return deploy.CodeOf(err) == deploy.CodeUnauthorized && deploy.RefusalOf(err) == client.ReasonSessionOver
}

// linkFailed counts a failed call; a session that is over is renewed at once.
func (a *Agent) linkFailed(call string, err error) {
	a.met.apiErrors.WithLabelValues(call).Inc()
	if sessionOver(err) {
		kick(a.sessionKick)
	}
}
