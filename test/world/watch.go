package world

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/store"
)

// What must happen in time, from the moment at which somebody is able to do it.
const (
	lease = 9 * time.Second // of a session
	// backWithOwner and backWithout are how soon the way back begins behind a
	// verdict: with the owner that found it, and when another one has to take over.
	backWithOwner = 10 * time.Second
	backWithout   = 25 * time.Second
	// unownedFor is how long nobody may have an application or a deployment:
	// until the lease of a dead process ends, and 15 s.
	unownedFor = 15*time.Second + lease
	// lookedWithin is how old the last look of the guard may be when a deployment goes on behind a wait.
	lookedWithin = 15 * time.Second
	watchEvery   = time.Second
)

// verdict is a reason to go back that a process has found.
type verdict struct {
	deployment, what string
	// Of a step that failed; "" for the guard.
	stage   string
	attempt int
	step    string

	by *Process
	at time.Time
}

type observation struct {
	began  time.Time
	digest string
}

// watch looks on at what agents find and whether they act in time. It keeps a
// copy of the newest state of each deployment that changed, so that looking
// costs next to nothing.
type watch struct {
	mu       sync.Mutex
	dirty    map[string]bool // deployments whose copy may be old
	copies   map[string]deploy.Deployment
	verdicts map[string]verdict   // by deployment
	back     map[string]bool      // the way back was asked for, by deployment
	looks    map[string]time.Time // when the guard last looked, by deployment
	free     map[string]time.Time // since when nobody has it, by deployment or application
	apps     map[string]bool      // that were ever given to a process
	said     map[string]bool
	server   *instance
	since    time.Time // the server answers
	restored time.Time // it began on a backup
}

func newWatch() *watch {
	return &watch{
		dirty: map[string]bool{}, copies: map[string]deploy.Deployment{}, verdicts: map[string]verdict{}, back: map[string]bool{},
		looks: map[string]time.Time{}, free: map[string]time.Time{}, apps: map[string]bool{}, said: map[string]bool{},
	}
}

// known is what the watch knows of a process.
type known struct {
	trouble time.Time // when something last kept it from its work
	leaving bool
	still   time.Time // it stands still until then
	apps    map[string]bool
	done    map[string]judgement
	looks   map[string]observation // by application
}

func (a *watch) touched(deployment string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dirty[deployment] = true
}

func (a *watch) turned(deployment string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.back[deployment] = true
}

func (a *watch) found(p *Process, v verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old, ok := a.verdicts[v.deployment]; ok && old.by == p {
		return
	}
	v.by, v.at = p, time.Now()
	a.verdicts[v.deployment] = v
}

// looked: the guard could look, and found nothing, or nothing any more.
func (a *watch) looked(p *Process, deployment string, clear bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looks[deployment] = time.Now()
	if v, ok := a.verdicts[deployment]; ok && clear && v.by == p && v.stage == "" {
		delete(a.verdicts, deployment)
	}
}

func (a *watch) done(p *Process, key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.known.done[key] = judgement{time.Now()}
}

func (a *watch) wasDone(p *Process, key string) (judgement, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	j, ok := p.known.done[key]
	return j, ok
}

func (a *watch) observed(p *Process, app string, o observation) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.began.After(p.known.looks[app].began) { // two may look at once, and the earlier end later
		p.known.looks[app] = o
	}
}

func (a *watch) lastLook(p *Process, app string) observation {
	a.mu.Lock()
	defer a.mu.Unlock()
	return p.known.looks[app]
}

// given notes what a process was told to look after.
func (a *watch) given(p *Process, w client.Work) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.known.apps = map[string]bool{}
	for _, app := range w.Applications {
		p.known.apps[app.ID], a.apps[app.ID] = true, true
	}
}

// release notes that nobody has to look after an application any more.
func (a *watch) release(app string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.apps, app)
}

// troubled notes that something keeps a process from its work right now.
func (a *watch) troubled(p *Process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.known.trouble = time.Now()
}

// stands notes that a process stands still. What it was about to send waits for
// the end of this time, also when it is woken earlier.
func (a *watch) stands(p *Process, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.known.still = later(p.known.still, until)
}

func (a *watch) leaves(p *Process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p.known.leaving = true
}

func (a *watch) deployment(id string) (deploy.Deployment, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.copies[id]
	return d, ok
}

// refresh reads what changed since the last look.
func (w *World) refresh(inst *instance) bool {
	a := w.watch
	a.mu.Lock()
	ids := slices.Collect(maps.Keys(a.dirty))
	clear(a.dirty)
	a.mu.Unlock()
	if len(ids) == 0 {
		return true
	}
	err := inst.store.View(context.Background(), Project, func(tx store.Tx) error {
		for _, id := range ids {
			rec, ok, err := tx.Get(store.Deployments, id)
			if err != nil {
				return err
			}
			var d deploy.Deployment
			if ok {
				if err := json.Unmarshal(rec.Body, &d); err != nil {
					return err
				}
			}
			a.mu.Lock()
			if ok {
				a.copies[id] = d
			} else {
				delete(a.copies, id)
			}
			a.mu.Unlock()
		}
		return nil
	})
	if err != nil {
		for _, id := range ids {
			a.touched(id)
		}
	}
	return err == nil
}

// watchOn looks every second until the world ends.
func (w *World) watchOn() {
	for !w.ended.Load() {
		time.Sleep(watchEvery)
		w.lookOn(time.Now())
	}
}

// lookOn is one look.
func (w *World) lookOn(now time.Time) {
	live := w.Live()
	inst := w.host.current()
	a := w.watch
	a.mu.Lock()
	if inst != a.server || inst == nil {
		if inst != nil && inst.restored {
			a.restored = now
		}
		a.server, a.since = inst, now
		for id := range a.copies {
			a.dirty[id] = true
		}
	}
	if w.host.disk.full.Load() {
		a.since = now // it answers, but can keep nothing
	}
	for _, p := range live {
		if !p.able(now) {
			p.known.trouble = now
		}
	}
	a.mu.Unlock()
	if inst == nil || !w.refresh(inst) || w.ended.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, v := range a.verdicts {
		if w.settled(v) {
			delete(a.verdicts, id)
			continue
		}
		w.lateBack(v, live, now)
	}
	for id, d := range a.copies {
		if d.Status.Terminal() || d.AdmittedAt.IsZero() || d.Parked != "" {
			delete(a.free, id)
			if d.Status.Terminal() {
				delete(a.looks, id)
			}
			continue
		}
		owned := slices.ContainsFunc(live, func(p *Process) bool { return holderOf(p.Name) == d.Holder && !p.known.leaving })
		w.unowned("deployment "+id, owned, live, now)
	}
	for app := range a.apps {
		owned := slices.ContainsFunc(live, func(p *Process) bool { return p.known.apps[app] && !p.known.leaving })
		w.unowned("application "+app, owned, live, now)
	}
}

// able reports whether nothing keeps a process from server and cloud at this
// moment. The lock of the watch is held.
func (p *Process) able(now time.Time) bool {
	if now.Before(p.known.still) || !p.Link.reaches(now) {
		return false
	}
	return p.cloud == nil || p.cloud.reaches(now)
}

func (l *Link) reaches(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.cut && !l.oneWay
}

func (l *awsLink) reaches(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.cutUntil)
}

// settled reports whether nothing is to be done about a verdict any more: the
// way back is asked for, the deployment is over, or the record has gone on
// without the process that found it.
func (w *World) settled(v verdict) bool {
	d, ok := w.watch.copies[v.deployment]
	switch {
	case !ok || d.Status.Terminal() || d.Parked != "":
		return true
	case d.Status == deploy.StatusRollingBack:
		return w.watch.back[v.deployment]
	case d.Holder != holderOf(v.by.Name) || v.by.Dead():
		return true // nobody else knows
	case v.stage == "":
		return false
	}
	t := engine.Due(d)
	if t.Work != engine.DueStep {
		return true
	}
	s := d.Stages[t.Stage]
	return s.ID != v.stage || t.Attempt != v.attempt || t.Step >= len(s.Steps) || s.Steps[t.Step].Name != v.step
}

// lateBack tells when the way back does not begin in time.
func (w *World) lateBack(v verdict, live []*Process, now time.Time) {
	d := w.watch.copies[v.deployment]
	i := slices.IndexFunc(live, func(p *Process) bool { return holderOf(p.Name) == d.Holder })
	if i < 0 || live[i].known.leaving {
		return // until somebody has it: see unowned
	}
	p, limit := live[i], backWithOwner
	since := later(v.at, p.known.trouble, w.watch.since)
	if p != v.by {
		limit = backWithout
		since = later(since, w.watch.free["deployment "+d.ID])
	}
	if a := w.watch; v.at.Before(a.restored.Add(backWithout)) { // it has to wait for processes that the backup does not know
		limit, since = backWithout, later(since, a.restored)
	}
	if late := now.Sub(since); late > limit+watchEvery {
		w.complain("late: the way back of " + d.ID + " has not begun, although " + v.what)
	}
}

func later(ts ...time.Time) (last time.Time) {
	for _, t := range ts {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// unowned tells when nobody has something for too long although somebody could.
func (w *World) unowned(what string, owned bool, live []*Process, now time.Time) {
	a := w.watch
	if owned {
		delete(a.free, what)
		return
	}
	if a.free[what].IsZero() {
		a.free[what] = now
	}
	for _, p := range live {
		if !p.known.leaving && now.Sub(later(a.free[what], p.known.trouble, a.since)) > unownedFor+watchEvery {
			w.complain("late: nobody has " + what + ", although " + p.Name + " could have it")
			return
		}
	}
}

// goesOn checks the first step behind a wait or an approval: somebody looked
// while traffic was split.
func (w *World) goesOn(s platform.Step) {
	before, held := deploy.PlanStage{Type: deploy.StagePlatform}, false
	for _, x := range s.Plan.Stages {
		if x.ID == s.Stage.ID {
			break
		}
		if before = x; x.Type == deploy.StagePlatform {
			held = x.Holds
		}
	}
	if s.Rollback || !held || before.Type == deploy.StagePlatform || len(s.Stage.Steps) == 0 || s.Name != s.Stage.Steps[0].Name {
		return
	}
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	if look := w.watch.looks[s.DeploymentID]; time.Since(look) > lookedWithin {
		w.complain("evidence: " + s.DeploymentID + " goes on behind " + before.ID + ", but nobody has looked at it for " + time.Since(look).String())
	}
}

// complain tells once. The lock is held.
func (w *World) complain(text string) {
	if !w.watch.said[text] {
		w.watch.said[text] = true
		w.Problemf("%s %s", time.Now().Format(time.TimeOnly), text)
	}
}
