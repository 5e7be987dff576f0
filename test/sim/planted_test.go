package sim

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/test/world"
)

// plantedSeeds is within how many worlds a planted fault must be found. Most are
// found in the first; one that needs a lost lease and a lost call together takes
// about one in six worlds.
const plantedSeeds = 60

// TestPlantedFaults: the simulator must be able to see. Each fault is built in
// on purpose and must be found.
func TestPlantedFaults(t *testing.T) {
	onlySeeds(t)
	faults := map[string]plan{
		"epoch check left out": {wrap: deafToEpochs},
		"lease never ends":     {wrap: endlessLease},
		"wait from zero again": {prepare: waitsAgain},
		"stored state edited":  {prepare: editsState},
		"no successor delay":   {wrap: noDelay, deaths: true},

		"ecs settle step skipped": {ecs: true, settle: time.Millisecond},
		"ecs health not awaited":  {ecs: true, prepare: everythingHealthy, platform: hasty},
		"ecs claim not taken":     {ecs: true, twin: true, wrap: noClaims},
		"ecs ledger not drained":  {ecs: true, wrap: ledgerForgets},
		"ecs token not sent":      {ecs: true, prepare: tokenless},
		"ecs stale read trusted":  {ecs: true, prepare: trustsOldReads},
		"hold not set":            {prepare: forgetsHolds},
	}
	for _, m := range []fake.Mistake{fake.CanaryBeforeWeight, fake.SettleSkipped, fake.SnapshotSkipped, fake.LedgerNotDrained, fake.TokenNotSent, fake.HealthNotAwaited} {
		faults[string(m)] = plan{mistake: m, deaths: m == fake.TokenNotSent}
	}
	if !thorough() {
		// Each kind of check once: traffic, the record, one writer.
		maps.DeleteFunc(faults, func(name string, _ plan) bool {
			return name != string(fake.CanaryBeforeWeight) && name != "wait from zero again" && name != "stored state edited"
		})
	}
	plantedOf.Store(int64(len(faults)))
	for name, p := range faults {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= plantedSeeds; seed++ {
				var problems []string
				inWorld(t, func(t *testing.T) { problems = run(t, seed, p) })
				if len(problems) > 0 {
					t.Logf("found with seed %d: %.300s", seed, problems[0])
					planted.Add(1)
					return
				}
			}
			t.Errorf("not found within %d seeds", plantedSeeds)
		})
	}
}

// deafLink repeats an old assignment for ever and claims to hold the epoch of
// today: what a server without epoch check would let through.
type deafLink struct {
	agent.Link
	w *world.World

	mu  sync.Mutex
	old map[string]client.Assignment
}

func deafToEpochs(w *world.World) func(*world.Process, agent.Link) agent.Link {
	return func(_ *world.Process, l agent.Link) agent.Link {
		return &deafLink{Link: l, w: w, old: map[string]client.Assignment{}}
	}
}

func (l *deafLink) GetWork(ctx context.Context, session string) (client.Work, error) {
	work, err := l.Link.GetWork(ctx, session)
	l.mu.Lock()
	defer l.mu.Unlock()
	got := map[string]bool{}
	for _, a := range work.Assignments {
		got[a.Deployment.ID] = true
		l.old[a.Deployment.ID] = a
	}
	for id, a := range l.old {
		if d, ok := l.epoch(id); !got[id] && ok && !d.Status.Terminal() {
			a.Deployment, a.WriteAfter = d, 0
			work.Assignments = append(work.Assignments, a)
		}
	}
	return work, err
}

func (l *deafLink) epoch(id string) (deploy.Deployment, bool) {
	if !l.w.Up() {
		return deploy.Deployment{}, false
	}
	var d deploy.Deployment
	found := false
	l.w.View(func(tx store.Tx) error {
		rec, ok, err := tx.Get(store.Deployments, id)
		if err != nil || !ok {
			return err
		}
		found = true
		return json.Unmarshal(rec.Body, &d)
	})
	return d, found
}

func (l *deafLink) Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error) {
	if d, ok := l.epoch(r.DeploymentID); ok {
		r.Epoch = d.Epoch
	}
	return l.Link.Report(ctx, session, r)
}

func (l *deafLink) PutJournal(ctx context.Context, session, deployment string, epoch int64, e []deploy.JournalEntry) error {
	if d, ok := l.epoch(deployment); ok {
		epoch = d.Epoch
	}
	return l.Link.PutJournal(ctx, session, deployment, epoch, e)
}

// endlessLink lets the agent believe in a lease that nobody extends until it is
// told that its session is over, and in journal entries that nobody keeps.
type endlessLink struct{ agent.Link }

func endlessLease(*world.World) func(*world.Process, agent.Link) agent.Link {
	return func(_ *world.Process, l agent.Link) agent.Link { return endlessLink{l} }
}

func (l endlessLink) Renew(ctx context.Context, session string, seen int64) (client.Renewal, error) {
	r, err := l.Link.Renew(ctx, session, seen)
	if deploy.RefusalOf(err) == client.ReasonSessionOver {
		return client.Renewal{}, err
	}
	if err != nil {
		r.Grant = seen
	}
	r.Lease, r.Left, r.Incarnation = time.Hour, time.Hour, endlessIncarnation
	return r, nil
}

func (l endlessLink) Hello(ctx context.Context, h client.Hello) (client.Session, error) {
	s, err := l.Link.Hello(ctx, h)
	s.Incarnation = endlessIncarnation
	s.Lease = time.Hour
	return s, err
}

func (l endlessLink) PutJournal(ctx context.Context, session, deployment string, epoch int64, e []deploy.JournalEntry) error {
	_ = l.Link.PutJournal(ctx, session, deployment, epoch, e)
	return nil
}

// endlessIncarnation stands for whatever the store's is.
const endlessIncarnation = "the same"

// changedLink changes what passes between an agent and the control plane.
type changedLink struct {
	agent.Link
	work    func(*client.Work)
	report  func(*client.Report)
	journal func(deploy.JournalEntry) bool // whether it is kept
}

func (l changedLink) GetWork(ctx context.Context, session string) (client.Work, error) {
	work, err := l.Link.GetWork(ctx, session)
	if l.work != nil {
		l.work(&work)
	}
	return work, err
}

func (l changedLink) Report(ctx context.Context, session string, r client.Report) (deploy.Deployment, error) {
	if l.report != nil {
		l.report(&r)
	}
	return l.Link.Report(ctx, session, r)
}

func (l changedLink) PutJournal(ctx context.Context, session, deployment string, epoch int64, entries []deploy.JournalEntry) error {
	if l.journal != nil {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e deploy.JournalEntry) bool { return !l.journal(e) })
	}
	if len(entries) == 0 {
		return nil
	}
	return l.Link.PutJournal(ctx, session, deployment, epoch, entries)
}

// noDelay lets a successor write at once.
func noDelay(*world.World) func(*world.Process, agent.Link) agent.Link {
	return func(_ *world.Process, l agent.Link) agent.Link {
		return changedLink{Link: l, work: func(w *client.Work) {
			for i := range w.Assignments {
				w.Assignments[i].WriteAfter = 0
			}
		}}
	}
}

// noClaims lets plans claim nothing.
func noClaims(*world.World) func(*world.Process, agent.Link) agent.Link {
	return func(_ *world.Process, l agent.Link) agent.Link {
		return changedLink{Link: l, report: func(r *client.Report) {
			if r.Plan != nil {
				plan := *r.Plan
				plan.Claims = nil
				r.Plan = &plan
			}
		}}
	}
}

// ledgerForgets keeps no entry that says that an object is gone or stays.
func ledgerForgets(*world.World) func(*world.Process, agent.Link) agent.Link {
	return func(_ *world.Process, l agent.Link) agent.Link {
		return changedLink{Link: l, journal: func(e deploy.JournalEntry) bool {
			var o deploy.LedgerObject
			if !strings.HasPrefix(e.Key, deploy.JournalObjectPrefix) || json.Unmarshal(e.Value, &o) != nil {
				return true
			}
			return o.State != deploy.LedgerRemoved && o.State != deploy.LedgerKept
		}}
	}
}

// waitsAgain sets the timer of every running wait anew, as a server would that
// forgets what it waits for when it starts.
func waitsAgain(w *world.World) {
	w.Go(func() {
		for !w.Ended() {
			time.Sleep(30 * time.Second)
			w.Tamper(func(tx store.Tx, d deploy.Deployment) (deploy.Deployment, error) {
				i := d.Current()
				if i < 0 || d.Stages[i].Type != deploy.StageWait {
					return d, nil
				}
				s := d.Stages[i]
				e := deploy.NewEvent(deploy.EvStageStarted, time.Now(), deploy.Reason{}, deploy.StageStartedData{Stage: s.ID, Attempt: s.Attempt, Until: time.Now().Add(s.Wait)})
				e.ID, e.Actor = "tampered-"+time.Now().Format(time.RFC3339Nano), "server"
				if err := tx.Append(store.Stream{Kind: deploy.StreamDeployment, ID: d.ID}, store.AnyLength, d.App.ID, []deploy.Event{e}); err != nil {
					return d, err
				}
				return engine.Apply(d, e)
			})
		}
	})
}

// editsState changes a stored state without an event.
func editsState(w *world.World) {
	w.Go(func() {
		for !w.Ended() {
			time.Sleep(time.Minute)
			w.Tamper(func(_ store.Tx, d deploy.Deployment) (deploy.Deployment, error) {
				d.Touched = !d.Touched
				return d, nil
			})
		}
	})
}
