package server

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
)

func TestAWaitEndsOnTime(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.waits("web")
		until := r.deployment(id).Stages[1].Until.AsTime()
		defer p.keepAlive()()
		time.Sleep(time.Until(until) - time.Millisecond)
		if s := r.deployment(id).Stages[1]; s.Status != "RUNNING" {
			r.Errorf("a millisecond before its end: %s", s.Status)
		}
		time.Sleep(20 * time.Millisecond)
		if s := r.deployment(id).Stages; s[1].Status != "SUCCESS" || !s[2].StartedAt.AsTime().Equal(until) {
			r.Errorf("behind its end: %s, the next stage began at %v, want %v", s[1].Status, s[2].StartedAt.AsTime(), until)
		}
	})
}

func TestAWaitThatNobodyGuardsStaysAndCostsNoWrites(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		_, d := p.waits("web")
		time.Sleep(2 * time.Minute) // the lease ran out, then the WAIT
		before := r.st.updates.Load()
		time.Sleep(5 * time.Minute)
		if n := r.st.updates.Load() - before; n != 0 {
			r.Errorf("%d transactions for a WAIT that nobody guards", n)
		}
		if s := r.deployment(d).Stages[1]; s.Status != "RUNNING" {
			r.Errorf("the WAIT is %s", s.Status)
		}
		q := r.join(id, key, "two")
		defer q.keepAlive()()
		time.Sleep(time.Second)
		if s := r.deployment(d).Stages[1]; s.Status != "SUCCESS" {
			r.Errorf("guarded again: %s", s.Status)
		}
	})
}

func TestManyThatNobodyGuardsDoNotHideOne(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		err := r.st.Update(r.Context(), "default", func(tx store.Tx) error {
			for i := range 3*dueBatch + 1 {
				d := deploy.Deployment{
					ID: "wait" + itoa(i), ProjectID: "default", Status: deploy.StatusRunning, Deadline: time.Now().Add(time.Hour),
					Stages: []deploy.Stage{{PlanStage: deploy.PlanStage{ID: "w", Type: deploy.StageWait}, Status: deploy.StageRunning, Until: time.Now().Add(time.Second)}},
				}
				rec, err := index.Deployment(d)
				if err != nil {
					return err
				}
				if err := tx.Put(store.Deployments, rec); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			r.Fatal(err)
		}
		p := r.join2("a", "one")
		_, id := p.waits("web")
		defer p.keepAlive()()
		time.Sleep(61 * time.Second)
		if s := r.deployment(id).Stages[1]; s.Status != "SUCCESS" {
			r.Errorf("the WAIT is %s", s.Status)
		}
	})
}

func TestDeadlines(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		defer p.keepAlive()()
		app := p.register("web")
		head := r.headOf(p)
		id := p.moved(head, "I", app)
		time.Sleep(planLimit + time.Second)
		if d := r.deployment(id); d.Status != "FAILURE" || d.Reason.Code != deploy.ReasonPlanFailed {
			r.Errorf("no plan in time: %s %v", d.Status, d.Reason)
		}
		late := p.moved("I", "J", app)
		if _, err := p.report(late, planned(1, plan("d1"))); err != nil {
			r.Fatal(err)
		}
		time.Sleep(time.Hour + time.Second)
		if d := r.deployment(late); d.Status != "ROLLING_BACK" || d.Failed.Code != deploy.ReasonTimeout {
			r.Errorf("behind its deadline: %s %v", d.Status, d.Failed)
		}
	})
}

func TestAnIdleServerWritesNothing(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		r.register2()
		time.Sleep(time.Minute)
		before := r.st.updates.Load()
		time.Sleep(9 * time.Minute)
		if n := r.st.updates.Load() - before; n > 4 { // one pass of cleaning
			r.Errorf("%d transactions in nine idle minutes", n)
		}
	})
}

// register2 makes an application whose process has gone.
func (r *rig) register2() {
	p := r.join2("a", "one")
	p.register("web")
	_, _ = p.link.Leave(r.Context(), connect.NewRequest(&penstockv1.LeaveRequest{SessionId: p.session}))
}

func TestCleaning(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, done := p.running("web", "d1")
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed)), step(1, "back", 0, "DONE", "")} {
			if _, err := p.report(done, m); err != nil {
				r.Fatal(err)
			}
		}
		open := p.moved(r.headOf(p), "I", app)
		short, _, err := r.srv.issue(r.Context(), entry{project: "default"}, credential{Kind: "session", Project: "default", Owner: "x", Role: policy.RoleViewer, ExpiresAt: time.Now().Add(time.Hour)}, noFact)
		if err != nil {
			r.Fatal(err)
		}
		count := func(c store.Collection) (n int) {
			r.Helper()
			err := r.st.View(r.Context(), "default", func(tx store.Tx) (err error) { n, err = tx.Count(c, store.Query{}); return err })
			if err != nil {
				r.Fatal(err)
			}
			return n
		}
		tidy := newTidier(r.srv)
		tidy.next = time.Time{}
		tidy.now(r.Context())
		if count(store.Requests) == 0 || count(store.Triggers) != 2 {
			r.Fatal("what is new was removed")
		}
		r.end() // the clock would clean by itself, and slowly
		time.Sleep(triggerLife + time.Hour)
		tidy.next = time.Time{}
		tidy.now(r.Context())
		if n := count(store.Requests); n != 0 {
			r.Errorf("%d answers to old requests", n)
		}
		if n := count(store.Triggers); n != 1 { // of the deployment that is open
			r.Errorf("%d causes", n)
		}
		if _, ok := r.record(store.System, "credentials", hashSecret(short)); ok {
			r.Error("an expired credential is kept")
		}
		if _, ok := r.record(store.System, "credentials", hashSecret(r.token)); !ok {
			r.Error("a good credential was removed")
		}
		if _, ok := r.record(store.System, "requests", incarnationKey); !ok {
			r.Error("the incarnation was forgotten")
		}
		r.opt.Registry = nil
		r.start()
		if r.deployment(open).Status == "" || r.deployment(done).Display != "ROLLED_BACK" {
			r.Error("deployments were removed")
		}
		if strings.Contains(r.log.String(), "level=ERROR") {
			r.Error(r.log.String())
		}
	})
}
