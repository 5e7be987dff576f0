package server

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
)

func TestALostLeaseMovesWhatWasHeldBehindADelay(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		first := r.join(id, key, "one")
		_, d := first.running("web", "d1")
		second := r.join(id, key, "two")
		stop := second.keepAlive()
		defer stop()
		_, err := first.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: first.session}))
		if err != nil {
			r.Fatal(err)
		}
		expiry := time.Now().Add(DefaultLease)
		if a := second.work().Assignments; len(a) != 0 {
			r.Fatalf("moved before the lease ran out: %v", a)
		}
		time.Sleep(DefaultLease + 10*time.Millisecond)
		a := second.work().Assignments
		if len(a) != 1 || a[0].DeploymentId != d || a[0].Epoch != 2 {
			r.Fatalf("assignments %v", a)
		}
		want := expiry.Add(DefaultLease/3 + leaseMargin)
		if got := time.Now().Add(a[0].WriteAfter.AsDuration()); !got.Equal(want) {
			r.Errorf("the successor may write at %v, want %v", got, want)
		}
		_, err = first.report(d, step(1, "roll", 0, "DONE", ""))
		wantCode(r, "a report of the old holder", err, deploy.CodeUnauthorized, reasonSessionOver)
		_, err = second.report(d, step(1, "roll", 0, "DONE", ""))
		wantCode(r, "a report under the old epoch", err, deploy.CodeRefused, deploy.RefusedStaleEpoch)
		// The successor goes at once; the one behind it still waits for the first.
		third := r.join(id, key, "three")
		if _, err := second.link.Leave(r.Context(), connect.NewRequest(&penstockv1.LeaveRequest{SessionId: second.session})); err != nil {
			r.Fatal(err)
		}
		a = third.work().Assignments
		if len(a) != 1 || a[0].Epoch != 3 || !time.Now().Add(a[0].WriteAfter.AsDuration()).Equal(want) {
			r.Errorf("behind a graceful leave: %v, want to wait until %v", a, want)
		}
		if !strings.Contains(r.log.String(), "agent process lost") {
			r.Error("the loss is not in the log")
		}
	})
}

func TestAGracefulLeaveMovesAtOnce(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		first := r.join(id, key, "one")
		_, d := first.running("web", "d1")
		second := r.join(id, key, "two")
		if _, err := first.link.Leave(r.Context(), connect.NewRequest(&penstockv1.LeaveRequest{SessionId: first.session})); err != nil {
			r.Fatal(err)
		}
		a := second.work().Assignments
		if len(a) != 1 || a[0].DeploymentId != d || a[0].WriteAfter != nil {
			r.Errorf("assignments %v, want one that may write now", a)
		}
		if _, err := first.link.Leave(r.Context(), connect.NewRequest(&penstockv1.LeaveRequest{SessionId: first.session})); err != nil {
			r.Errorf("leaving twice: %v", err)
		}
		second.hello("two") // it lost its link and begins anew
		if a = second.work().Assignments; len(a) != 1 || a[0].Epoch != 3 || a[0].WriteAfter != nil {
			r.Errorf("the same process anew: %v", a)
		}
	})
}

func TestWithoutAnyProcessWorkWaitsForOne(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		_, d := p.running("web", "d1")
		time.Sleep(time.Minute)
		if x := r.deployment(d); x.Status != "RUNNING" {
			r.Errorf("status %s", x.Status)
		}
		q := r.join(id, key, "two")
		if a := q.work().Assignments; len(a) != 1 || a[0].Epoch != 2 || a[0].WriteAfter != nil {
			r.Errorf("a minute later: %v, want no more delay", a)
		}
	})
}

func TestARestartExtendsLeases(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, d := p.running("web", "d1")
		r.end()
		time.Sleep(time.Hour)
		r.opt.Registry = nil
		r.start()
		time.Sleep(DefaultLease - time.Second)
		if _, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session})); err != nil {
			r.Errorf("renew behind a restart: %v", err)
		}
		if a := p.work().Assignments; len(a) != 1 || a[0].DeploymentId != d || a[0].Epoch != 1 {
			r.Errorf("assignments %v, want it kept", a)
		}
		r.restart()
		time.Sleep(DefaultLease + time.Second)
		_, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session}))
		wantCode(r, "renew after one lease more", err, deploy.CodeUnauthorized, reasonSessionOver)
	})
}

// TestAProcessThatDoesNotHearLosesItsLease: its renewals come, our answers do
// not reach it. It stops by its own clock; the record must not wait for it.
func TestAProcessThatDoesNotHearLosesItsLease(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		_, d := p.running("web", "d1")
		other := r.join(id, key, "two")
		defer other.keepAlive()()
		granted, nothing := time.Now(), int64(0)
		for time.Since(granted) < DefaultLease {
			_, _ = p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session, Seen: &nothing}))
			time.Sleep(time.Second)
		}
		_, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session, Seen: &nothing}))
		wantCode(r, "renew a lease after the only grant", err, deploy.CodeUnauthorized, reasonSessionOver)
		time.Sleep(time.Second)
		a := other.work().Assignments
		if len(a) != 1 || a[0].DeploymentId != d || a[0].Epoch != 2 {
			r.Errorf("assignments of the other process %v, want the deployment", a)
		}
	})
}

// TestALostAnswerCostsNoLease: the next renewal tells what is left, the one
// behind it is whole again.
func TestALostAnswerCostsNoLease(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		seen := int64(0)
		for i, want := range []struct {
			left  time.Duration
			grant int64
			lost  bool
		}{
			{DefaultLease, 1, false},
			{DefaultLease, 2, true},
			{DefaultLease - 3*time.Second, 2, false},
			{DefaultLease, 3, false},
		} {
			res, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session, Seen: &seen}))
			if err != nil {
				r.Fatal(err)
			}
			if m := res.Msg; m.Left.AsDuration() != want.left || m.Grant != want.grant || m.Lease.AsDuration() != DefaultLease {
				r.Errorf("answer %d: %v, want %v left of grant %d", i, m, want.left, want.grant)
			}
			if !want.lost {
				seen = res.Msg.Grant
			}
			time.Sleep(3 * time.Second)
		}
	})
}

func TestARestoredStoreVoidsLeases(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		p.running("web", "d1")
		r.end()
		r.st.incarnation = "another"
		r.opt.Registry = nil
		r.start()
		_, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session}))
		wantCode(r, "renew", err, deploy.CodeUnauthorized, reasonSessionOver)
		p.hello("one")
		a := p.work().Assignments
		if want := DefaultLease + DefaultLease/3 + leaseMargin; len(a) != 1 || a[0].Epoch != 2 || a[0].WriteAfter.AsDuration() != want {
			r.Errorf("assignments %v, want a new epoch that waits %v for processes the record does not know", a, want)
		}
		r.restart() // the incarnation is known now
		if _, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session})); err != nil {
			r.Error(err)
		}
	})
}

func TestADamagedDeploymentKeepsNobodyFromWorking(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		_, parked := p.running("parked", "d1")
		_, broken := p.running("broken", "d2")
		_, gone := p.running("gone", "d3")
		_, good := p.running("good", "d4")
		r.spoilt = true
		err := r.st.Update(r.Context(), "default", func(tx store.Tx) error {
			rec, _, err := tx.Get(store.Deployments, parked)
			if err != nil {
				return err
			}
			rec.Body = []byte(strings.Replace(string(rec.Body), `{`, `{"parked":"FROM_THE_FUTURE",`, 1))
			if err := tx.Put(store.Deployments, rec); err != nil {
				return err
			}
			if rec, _, err = tx.Get(store.Deployments, broken); err != nil {
				return err
			}
			rec.Body = []byte(`{"id":`)
			if err := tx.Put(store.Deployments, rec); err != nil {
				return err
			}
			return tx.Delete(store.Deployments, gone)
		})
		if err != nil {
			r.Fatal(err)
		}
		if a := p.work().Assignments; len(a) != 1 || a[0].DeploymentId != good {
			r.Errorf("assignments %v, want only %s", a, good)
		}
		time.Sleep(20 * time.Second) // the lease runs out
		q := r.join(id, key, "two")
		if a := q.work().Assignments; len(a) != 1 || a[0].DeploymentId != good || a[0].Epoch != 2 {
			r.Errorf("assignments behind the lease %v, want %s", a, good)
		}
		if !strings.Contains(r.log.String(), broken) {
			r.Error("the damaged one is not in the log")
		}
	})
}

func TestHelloIsChecked(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "one")
		hello := func(m *penstockv1.HelloRequest) error {
			_, err := p.link.Hello(r.Context(), connect.NewRequest(m))
			return err
		}
		wantCode(r, "too new", hello(&penstockv1.HelloRequest{MinVersion: 2, MaxVersion: 3, ProcessId: "x"}), deploy.CodeUnsupported, "")
		wantCode(r, "no process", hello(&penstockv1.HelloRequest{MinVersion: 1, MaxVersion: 1}), deploy.CodeInvalid, "")
		wantCode(r, "too much", hello(&penstockv1.HelloRequest{MinVersion: 1, MaxVersion: 1, ProcessId: "x", Providers: make([]*penstockv1.Provider, maxDeclaration+1)}), deploy.CodeInvalid, "")
		var err error
		for i := range maxProcesses {
			err = hello(&penstockv1.HelloRequest{MinVersion: 1, MaxVersion: 1, ProcessId: "p" + itoa(i)})
		}
		wantCode(r, "too many processes", err, deploy.CodeExhausted, "")
	})
}

// waitStream reads the wake-ups of a session.
func (p *process) waitStream(ctx context.Context) (woken chan *penstockv1.WaitResponse, over chan error) {
	woken, over = make(chan *penstockv1.WaitResponse, 100), make(chan error, 1)
	go func() {
		s, err := p.link.Wait(ctx, connect.NewRequest(&penstockv1.WaitRequest{SessionId: p.session}))
		if err != nil {
			over <- err
			return
		}
		for s.Receive() {
			woken <- s.Msg()
		}
		over <- s.Err()
	}()
	synctest.Wait()
	return woken, over
}

func TestWakeUps(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		head := r.headOf(p)
		woken, over := p.waitStream(r.Context())
		first := <-woken
		if !first.Work {
			r.Error("the first message does not say that the stream stands")
		}
		p.moved(head, "I", app)
		synctest.Wait()
		if m := <-woken; len(woken) != 0 || !m.Work || m.Woken <= first.Woken {
			r.Errorf("a new deployment woke nobody, or more than once: %v behind %v", m, first)
		} else if res, err := p.link.Renew(r.Context(), connect.NewRequest(&penstockv1.RenewRequest{SessionId: p.session})); err != nil || res.Msg.Woken != m.Woken {
			r.Errorf("a renewal says woken %v (%v), want %d as the stream", res, err, m.Woken)
		}
		// A newer stream of the session takes over; wake-ups meanwhile are not lost.
		newer, newerOver := p.waitStream(r.Context())
		wantCode(r, "the older stream", <-over, deploy.CodeUnauthorized, reasonSessionOver)
		<-newer
		r.srv.hub.wakeRepo(p.session, "repo")
		synctest.Wait()
		if m := <-newer; len(m.RepoIds) != 1 {
			r.Errorf("woken for %v", m)
		}
		time.Sleep(2 * DefaultLease)
		wantCode(r, "the stream of a lost lease", <-newerOver, deploy.CodeUnauthorized, reasonSessionOver)
		_, over = p.waitStream(r.Context())
		wantCode(r, "a stream of a session that is over", <-over, deploy.CodeUnauthorized, reasonSessionOver)
		r.srv.hub.mu.Lock()
		left := len(r.srv.hub.agents)
		r.srv.hub.mu.Unlock()
		if left != 0 {
			r.Errorf("%d waiters leaked", left)
		}
	})
}

func TestStreamsEndWithTheServer(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		_, wait := p.waitStream(r.Context())
		_, watch := r.watch(r.Context(), &penstockv1.WatchRequest{})
		_, logs := r.stageLog(r.Context(), &penstockv1.ReadStageLogRequest{DeploymentId: id, StageId: "roll", Follow: true})
		r.end()
		r.opt.Registry = nil
		for name, c := range map[string]chan error{"Wait": wait, "Watch": watch, "ReadStageLog": logs} {
			select {
			case err := <-c:
				wantCode(r, name, err, deploy.CodeUnavailable, "")
			case <-time.After(time.Second):
				r.Errorf("%s goes on behind the end of the server", name)
			}
		}
		r.start()
	})
}
