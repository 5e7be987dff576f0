package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
)

// ready is a repository with v1 deployed, and a newer commit with v2 that nobody has seen.
func (b *bench) ready(file string) {
	b.t.Helper()
	b.seen(b.commit(map[string]string{"web/app.pipecd.yaml": file, "web/version": "v1"}))
}

var pipelineRuns = []string{"FAKE_CANARY/prepare", "FAKE_CANARY/write", "FAKE_PROMOTE/prepare", "FAKE_PROMOTE/write"}

func TestACommitBecomesADeployment(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		b.start()
		time.Sleep(time.Second)
		sha := b.commit(map[string]string{"web/version": "v2"})
		d := b.until("the deployment", 2*time.Minute, finished)
		if d.Status != deploy.StatusSuccess || d.End != deploy.EndDeclared || d.Trigger.Commit.Hash != sha {
			t.Fatalf("ended %s %s at %s: %s", d.Status, d.End, d.Trigger.Commit.Hash, d.Reason)
		}
		if diff := cmp.Diff(pipelineRuns, b.world.did()); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
		if d.LiveDigest != "live-v2" || !slices.Equal(b.rec.verified, []string{"live-v2"}) {
			t.Errorf("verified %q, told %v; want live-v2 once", d.LiveDigest, b.rec.verified)
		}
		if d.Plan.Strategy != deploy.StrategyPipeline || d.Plan.Why.Code != deploy.ReasonVersionChange || d.Plan.Account != "acc" {
			t.Errorf("plan %s %s %s", d.Plan.Strategy, d.Plan.Why, d.Plan.Account)
		}
		for i, s := range d.Stages[1:3] {
			if gap := s.StartedAt.Sub(d.Stages[i].EndedAt); gap != 0 {
				t.Errorf("%s began %s behind the stage before", s.Name, gap)
			}
		}
		if first := d.Stages[0]; first.EndedAt.Sub(first.StartedAt) != 0 {
			t.Errorf("two instant steps took %s", first.EndedAt.Sub(first.StartedAt))
		}
		if string(b.rec.blobs[d.Plan.PinnedBlob]) == "" || strings.Contains(string(b.rec.blobs[d.Plan.PinnedBlob]), "version") {
			t.Error("the pinned state is missing or can be read")
		}
		if text := string(b.rec.blobs[d.Plan.ChangesBlob]); !strings.Contains(text, "v2") || !strings.Contains(text, `"after":{"text":"`) {
			t.Errorf("changes: %s", text)
		}
		log := b.rec.logs["stage-0/1/1"]
		if !strings.Contains(log, "doing FAKE_CANARY/write") || strings.Contains(log, "agent-key") {
			t.Errorf("stage log lacks its lines or shows the key: %s", log)
		}
	})
}

func TestNothingToDoIsAPlanWithoutStages(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		b.start()
		b.commit(map[string]string{"web/README.md": "words"})
		d := b.until("the deployment", time.Minute, finished)
		if d.Status != deploy.StatusSuccess || len(d.Stages) != 0 || d.Reason.Code != deploy.ReasonNoChanges || len(b.world.did()) != 0 {
			t.Errorf("%s, %d stages, %s, runs %v", d.Status, len(d.Stages), d.Reason, b.world.did())
		}
	})
}

// A process dies at every point of the pipeline; another one ends what it began.
func TestResumeAfterAKillAtEachStep(t *testing.T) {
	for k := range pipelineRuns {
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d effect %v", k, effect), func(t *testing.T) {
				inBubble(t, func(b *bench) {
					b.ready(pipeline)
					var first *process
					calls := 0
					b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
						now := false
						b.world.locked(func() {
							calls++
							now = calls == k+1
						})
						if now {
							var out platform.Outcome
							if effect {
								out, _ = b.world.do(ctx, s, j)
							}
							b.rec.set(func() { first.dead = true })
							return out, errors.New("killed")
						}
						return b.world.do(ctx, s, j)
					}
					var end func()
					b.world.locked(func() {
						first, end = b.start(func(o *Options) { o.Drain = time.Millisecond })
					})
					b.commit(map[string]string{"web/version": "v2"})
					b.until("the kill", 2*time.Minute, func(deploy.Deployment) (dead bool) {
						b.rec.set(func() { dead = first.dead })
						return dead
					})
					end()
					before := len(b.world.did())
					b.start()
					d := b.until("the deployment", 3*time.Minute, finished)
					if d.Status != deploy.StatusSuccess || b.world.version != "v2" || d.LiveDigest != "live-v2" {
						t.Fatalf("ended %s, live %s: %s", d.Status, b.world.version, d.Reason)
					}
					if d.Cancel != nil || d.Epoch < 2 {
						t.Errorf("epoch %d, cancel %v: a restart is another epoch and no cancel", d.Epoch, d.Cancel)
					}
					if got := b.world.did(); got[before] != got[before-1] || b.world.atOnce > 1 {
						t.Errorf("the successor went on with %s behind %s; %d writes at once", got[before], got[before-1], b.world.atOnce)
					}
				})
			})
		}
	}
}

func TestCancelInMidStepWaitsForTheStep(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		var cause error
		var returned time.Time
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			if s.Rollback || s.Name != "write" {
				return b.world.do(ctx, s, j)
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(700 * time.Millisecond) // the call at work comes to its end
			returned = time.Now()
			return platform.Outcome{}, ctx.Err()
		}
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the step", time.Minute, func(deploy.Deployment) bool { return slices.Contains(b.world.did(), "FAKE_CANARY/write") })
		b.rec.command(t, engine.Cancel{By: "ann", Choice: deploy.RollbackForce})
		d := b.until("the way back", time.Minute, finished)
		if !errors.Is(cause, errDueChanged) {
			t.Errorf("the step ended because of %v", cause)
		}
		if d.Display() != "ROLLED_BACK" || d.Status != deploy.StatusCancelled || b.world.version != "v1" {
			t.Errorf("ended %s %s, live %s", d.Status, d.End, b.world.version)
		}
		want := []string{"FAKE_CANARY/prepare", "FAKE_CANARY/write", "FAKE_ROLLBACK/prepare", "FAKE_ROLLBACK/write"}
		if diff := cmp.Diff(want, b.world.did()); diff != "" || b.world.atOnce != 1 {
			t.Errorf("%d writes at once; steps (-want +got):\n%s", b.world.atOnce, diff)
		}
		if i := d.StageByID("rollback"); returned.IsZero() || d.FinishedAt.Before(returned) || d.Stages[i].Status != deploy.StageSuccess {
			t.Errorf("the way back ended %s, the cancelled step returned %s", d.FinishedAt, returned)
		}
	})
}

func TestALostLeaseStopsWritesBeforeItRunsOut(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		var began, ended []time.Time
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			if s.Stage.Name != "FAKE_CANARY" || s.Name != "write" {
				return b.world.do(ctx, s, j)
			}
			b.world.locked(func() { began = append(began, time.Now()) })
			select { // a call that always takes as long as it may
			case <-ctx.Done():
			case <-time.After(2500 * time.Millisecond):
			}
			b.world.locked(func() { ended = append(ended, time.Now()) })
			return platform.AskAgain(100*time.Millisecond, deploy.Why("SETTLING"))
		}
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the step", time.Minute, func(deploy.Deployment) (ok bool) {
			b.world.locked(func() { ok = len(ended) > 2 })
			return ok
		})
		down := time.Now()
		b.rec.set(func() {
			b.rec.down = true
			for c := range b.rec.wake {
				close(c)
				delete(b.rec.wake, c)
			}
		})
		var guarded, looks, n int
		b.world.locked(func() { guarded = b.world.guarded })
		time.Sleep(time.Minute)
		b.world.mu.Lock()
		if last := ended[len(ended)-1]; last.Sub(down) > testLease {
			t.Errorf("a write was at work %s behind the last possible renewal, the lease is %s", last.Sub(down), testLease)
		}
		if len(began) != len(ended) {
			t.Error("a write is still at work")
		}
		n, looks = len(began), b.world.guarded-guarded
		b.world.mu.Unlock()
		if looks < 10 {
			t.Errorf("the guard looked %d times in the minute without a server", looks)
		}
		written := func() (more bool) {
			b.world.locked(func() { more = len(began) > n })
			return more
		}
		b.rec.set(func() { b.rec.down, b.rec.workDown, b.rec.calls = false, true, nil })
		time.Sleep(20 * time.Second)
		if written() {
			t.Error("written under the new lease before work was fetched: another process may have it")
		}
		b.rec.set(func() { b.rec.workDown = false })
		b.until("writes", time.Minute, func(deploy.Deployment) bool { return written() })
		b.rec.set(func() {
			if i, j := slices.Index(b.rec.calls, "renew"), slices.Index(b.rec.calls, "got work"); i < 0 || j < i {
				t.Errorf("calls on return: %v; want work got behind the renewal", b.rec.calls)
			}
		})
	})
}

func TestASessionThatIsOverInterruptsWrites(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		var causes []error
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			if len(causes) == 0 && s.Name == "write" {
				b.rec.set(func() { b.rec.sessions++ }) // the server forgot the session
				<-ctx.Done()
				causes = append(causes, context.Cause(ctx))
				return platform.Outcome{}, ctx.Err()
			}
			return b.world.do(ctx, s, j)
		}
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		d := b.until("the deployment", 3*time.Minute, finished)
		if len(causes) != 1 || !errors.Is(causes[0], errSessionOver) && !errors.Is(causes[0], errCallDeadline) {
			t.Errorf("the write was interrupted by %v", causes)
		}
		if d.Status != deploy.StatusSuccess || d.Epoch != 2 || b.world.atOnce != 1 {
			t.Errorf("ended %s under epoch %d, %d writes at once", d.Status, d.Epoch, b.world.atOnce)
		}
	})
}

func TestNoWriteBeforeAnEarlierHolderIsDone(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		b.rec.set(func() { b.rec.writeAfter = 13 * time.Second })
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the plan", 30*time.Second, func(d deploy.Deployment) bool { return d.Status == deploy.StatusRunning })
		assigned := time.Now()
		synctest.Wait()
		b.until("the first write", 30*time.Second, func(deploy.Deployment) bool { return len(b.world.did()) > 0 })
		if waited := time.Since(assigned); waited < 12800*time.Millisecond || waited > 13500*time.Millisecond {
			t.Errorf("the first write came %s behind the assignment, want 13 s", waited)
		}
		b.rec.set(func() {
			if len(b.rec.waiting) == 0 || b.rec.waiting[0].Code != ReasonEarlierHolder {
				t.Errorf("told to wait for %v", b.rec.waiting)
			}
		})
	})
}

func TestTheGuardFindsABreachDuringAWait(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the wait", time.Minute, stageIs("WAIT", deploy.StageRunning))
		time.Sleep(7 * time.Second)
		b.world.mu.Lock()
		b.world.guard = func(platform.Held) (platform.Breach, error) {
			return platform.Breach{}, errors.New("throttled")
		}
		b.world.mu.Unlock()
		time.Sleep(12 * time.Second)
		if d := b.rec.deployment(); d.Status != deploy.StatusRunning || len(b.rec.breaches) > 0 {
			t.Fatalf("a guard that cannot look is no breach: %s", d.Status)
		}
		bad := time.Now()
		var held platform.Held
		b.world.mu.Lock()
		b.world.guard = func(h platform.Held) (platform.Breach, error) {
			held = h
			return platform.Breach{Kind: platform.BreachHealth, Reason: deploy.Why(deploy.ReasonBreach, "detail", "2 of 2 targets unhealthy")}, nil
		}
		b.world.mu.Unlock()
		d := b.until("the way back", 20*time.Second, finished)
		if took := time.Since(bad); took > DefaultGuardEvery+time.Second {
			t.Errorf("found after %s", took)
		}
		if d.Display() != "ROLLED_BACK" || d.Failed.Args["detail"] != "2 of 2 targets unhealthy" || b.world.version != "v1" {
			t.Errorf("ended %s: %s", d.Display(), d.Failed)
		}
		if held.Stage.Name != "WAIT" || held.Desired.Digest != "digest-v2" || held.Live.Digest != "live-v1" {
			t.Errorf("the guard was shown stage %s, %s, %s", held.Stage.Name, held.Desired.Digest, held.Live.Digest)
		}
		if _, ok := held.Journal.Get("intent/stage-0/write"); !ok {
			t.Error("the guard does not see the journal")
		}
	})
}

// What the guard found while nobody could be told is told later, also when it
// cannot look any more by then; a look that finds nothing takes it back.
func TestABreachIsNotForgotten(t *testing.T) {
	for name, healed := range map[string]bool{"it cannot look any more": false, "all is well again": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(pipeline)
				b.start()
				b.commit(map[string]string{"web/version": "v2"})
				b.until("the wait", time.Minute, stageIs("WAIT", deploy.StageRunning))
				guard := func(f func(platform.Held) (platform.Breach, error)) {
					b.world.mu.Lock()
					defer b.world.mu.Unlock()
					b.world.guard = f
				}
				sick := func(platform.Held) (platform.Breach, error) {
					return platform.Breach{Kind: platform.BreachHealth, Reason: deploy.Why(deploy.ReasonBreach, "detail", "sick")}, nil
				}
				blind := func(platform.Held) (platform.Breach, error) { return platform.Breach{}, errors.New("throttled") }
				well := func(platform.Held) (platform.Breach, error) { return platform.Breach{}, nil }
				b.rec.set(func() { b.rec.down = true })
				guard(sick)
				time.Sleep(DefaultGuardEvery + time.Second)
				if guard(blind); healed {
					guard(well)
					time.Sleep(DefaultGuardEvery + time.Second)
					guard(blind)
				}
				b.rec.set(func() { b.rec.down = false })
				time.Sleep(DefaultGuardEvery + time.Second)
				if n := len(b.rec.breaches); healed && n != 0 || !healed && n != 1 {
					t.Errorf("%d breaches were reported once the control plane answered", n)
				}
			})
		})
	}
}

// What our own write left half done is not somebody else's change.
func TestAForeignChangeIsNotSeenInOurOwnDoubt(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		fails := true
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			b.world.mu.Lock()
			failing := fails && s.Name == "write"
			b.world.mu.Unlock()
			if failing {
				return platform.Outcome{}, platform.Retryable(errors.New("the answer was lost"), 20*time.Second)
			}
			return b.world.do(ctx, s, j)
		}
		b.world.guard = func(platform.Held) (platform.Breach, error) {
			return platform.Breach{Kind: platform.BreachForeign}, nil
		}
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("a try", time.Minute, func(deploy.Deployment) bool { return len(b.world.did()) > 1 })
		time.Sleep(15 * time.Second)
		b.world.locked(func() {
			if n := len(b.rec.breaches); n != 0 || b.world.guarded < 2 {
				t.Errorf("%d breaches told, %d looks", n, b.world.guarded)
			}
			fails = false
		})
		d := b.until("the end", time.Minute, finished)
		if d.End != deploy.EndNeedsAttention || len(b.rec.breaches) != 1 || b.rec.breaches[0].Kind != "FOREIGN" {
			t.Errorf("ended %s %s with %v", d.Status, d.End, b.rec.breaches)
		}
	})
}

func TestErrorsOfAStep(t *testing.T) {
	for name, c := range map[string]struct {
		errs   []error // of the first calls
		panics bool
		status deploy.Status
		detail string
	}{
		"retryable": {errs: []error{platform.Retryable(errors.New("throttled"), time.Second), errors.New("unmarked")}, status: deploy.StatusSuccess},
		"final":     {errs: []error{platform.Final(errors.New("no such cluster"))}, status: deploy.StatusFailure, detail: "no such cluster"},
		"panic":     {panics: true, status: deploy.StatusFailure, detail: "internal error of the platform: out of range"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(quick)
				n := 0
				b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
					if c.panics && !s.Rollback {
						panic("out of range")
					}
					if n++; n <= len(c.errs) {
						return platform.Outcome{}, c.errs[n-1]
					}
					return b.world.do(ctx, s, j)
				}
				b.start()
				b.commit(map[string]string{"web/version": "v2"})
				d := b.until("the deployment", 2*time.Minute, finished)
				if d.Status != c.status || !strings.Contains(d.Failed.Args["detail"], c.detail) {
					t.Errorf("ended %s: %s", d.Status, d.Failed)
				}
				if name == "retryable" && (len(b.rec.waiting) != 2 || b.rec.waiting[0].Code != ReasonRetrying) {
					t.Errorf("told %v, want each error once", b.rec.waiting)
				}
			})
		})
	}
}

func TestAWaitingReasonIsToldOnce(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		n := 0
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			if n++; n <= 6 {
				return platform.AskAgain(2*time.Second, deploy.Why("HEALTHY_TARGETS", "have", fmt.Sprint(n/4)))
			}
			return b.world.do(ctx, s, j)
		}
		b.start()
		b.commit(map[string]string{"web/version": "v2"})
		d := b.until("the deployment", 2*time.Minute, finished)
		if took := d.FinishedAt.Sub(d.StartedAt); took < 12*time.Second || took > 13*time.Second {
			t.Errorf("six waits of 2 s took %s", took)
		}
		if len(b.rec.waiting) != 2 {
			t.Errorf("told %v", b.rec.waiting)
		}
	})
}

func TestAGracefulStopLetsTheStepReturn(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
			select {
			case <-ctx.Done():
				return platform.Outcome{}, context.Cause(ctx)
			case <-time.After(2 * time.Second):
				return b.world.do(ctx, s, j)
			}
		}
		_, end := b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the step", time.Minute, func(deploy.Deployment) bool { return len(b.world.did()) == 1 })
		end()
		d := b.rec.deployment()
		if d.Stages[0].Step != 1 || d.Status != deploy.StatusRunning || d.Cancel != nil || b.rec.left != 1 {
			t.Fatalf("step %d, %s, left %d times: the step at hand was not finished", d.Stages[0].Step, d.Status, b.rec.left)
		}
		if len(b.world.did()) != 1 {
			t.Error("another step began while stopping")
		}
		b.start()
		if d := b.until("the deployment", 3*time.Minute, finished); d.Status != deploy.StatusSuccess {
			t.Errorf("ended %s: %s", d.Status, d.Reason)
		}
		if diff := cmp.Diff(pipelineRuns, b.world.did()); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	})
}

func TestAnotherKeyCannotCarryOn(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(pipeline)
		_, end := b.start()
		b.commit(map[string]string{"web/version": "v2"})
		b.until("the wait", time.Minute, stageIs("WAIT", deploy.StageRunning))
		end()
		b.start(func(o *Options) { o.Key = "rotated" })
		d := b.until("the end", 3*time.Minute, finished)
		if d.End != deploy.EndNeedsAttention || !strings.Contains(d.Failed.Args["detail"], "key is another one") {
			t.Errorf("ended %s %s: %s", d.Status, d.End, d.Failed)
		}
	})
}

func TestRemarksAboutFilesAreInThePlan(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start()
		b.commit(map[string]string{"web/app.pipecd.yaml": quick + "  notification: {mentions: [{event: DEPLOYMENT_FAILED, slackusers: [ann]}]}\n", "web/version": "v2"})
		d := b.until("the deployment", time.Minute, finished)
		if d.Status != deploy.StatusSuccess || len(d.Plan.Notes) == 0 || d.Plan.Notes[0].Code != ReasonFileWarning || !strings.Contains(d.Plan.Notes[0].Args["detail"], "web/app.pipecd.yaml:5:") {
			t.Errorf("%s: notes %v", d.Status, d.Plan.Notes)
		}
	})
}

// A stream that died without a word is replaced when the control plane answers again.
func TestASilentStreamIsReplaced(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		b.start(func(o *Options) { o.PollEvery = time.Hour })
		time.Sleep(time.Second)
		b.rec.set(func() {
			b.rec.down = true
			clear(b.rec.wake) // nobody writes to the old streams any more, and nobody closes them
		})
		time.Sleep(5 * time.Second)
		b.rec.set(func() { b.rec.down = false })
		time.Sleep(5 * time.Second)
		b.commit(map[string]string{"web/version": "v2"})
		b.rec.set(func() { b.rec.ring(client.Wakeup{Repos: []string{"r"}}) })
		if d := b.until("the deployment", 5*time.Second, finished); d.Status != deploy.StatusSuccess {
			t.Errorf("ended %s", d.Status)
		}
	})
}

// deaf is a link that is dead for a time without saying so: what is asked
// meanwhile is never answered, also when the link is well again.
type deaf struct {
	Link
	on atomic.Bool
}

func (d *deaf) hang(ctx context.Context) error {
	if d.on.Load() {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (d *deaf) Hello(ctx context.Context, h client.Hello) (client.Session, error) {
	if err := d.hang(ctx); err != nil {
		return client.Session{}, err
	}
	return d.Link.Hello(ctx, h)
}

func (d *deaf) Renew(ctx context.Context, session string, seen int64) (client.Renewal, error) {
	if err := d.hang(ctx); err != nil {
		return client.Renewal{}, err
	}
	return d.Link.Renew(ctx, session, seen)
}

func (d *deaf) GetWork(ctx context.Context, session string) (client.Work, error) {
	if err := d.hang(ctx); err != nil {
		return client.Work{}, err
	}
	return d.Link.GetWork(ctx, session)
}

// silent is a link whose stream of wake-ups was cut without either end having
// been told: the renewals say what it should have told.
type silent struct {
	Link
	woken atomic.Int64
	opens atomic.Int64
	down  atomic.Bool // the stream cannot be opened
}

func (s *silent) Renew(ctx context.Context, session string, seen int64) (client.Renewal, error) {
	r, err := s.Link.Renew(ctx, session, seen)
	r.Woken = s.woken.Load()
	return r, err
}

func (s *silent) Wait(ctx context.Context, _ string, f func(client.Wakeup)) error {
	if s.down.Load() {
		return errDown
	}
	s.opens.Add(1)
	f(client.Wakeup{Work: true, Woken: s.woken.Load()})
	<-ctx.Done()
	return ctx.Err()
}

func TestAStreamThatDiedInSilenceIsFound(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		var link *silent
		b.start(func(o *Options) {
			link = &silent{Link: o.Link}
			o.Link = link
		})
		time.Sleep(time.Minute)
		if n := link.opens.Load(); n != 1 {
			t.Errorf("the stream was opened %d times in a quiet minute, want once", n)
		}
		b.rec.set(func() { b.rec.calls = nil })
		link.woken.Add(1)
		time.Sleep(testLease/3 + time.Second)
		if n := link.opens.Load(); n != 2 {
			t.Errorf("the stream was opened %d times, want it anew behind a renewal that knows more", n)
		}
		b.rec.set(func() {
			if !slices.Contains(b.rec.calls, "got work") {
				t.Errorf("no work was fetched; calls: %v", b.rec.calls)
			}
		})
	})
}

// Behind a time in which no stream could be opened, the first one stays: that
// others were asked for meanwhile does not end it.
func TestAStreamThatCouldNotBeOpenedStays(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		var link *silent
		b.start(func(o *Options) {
			link = &silent{Link: o.Link}
			link.down.Store(true)
			o.Link = link
		})
		link.woken.Store(1)
		time.Sleep(2 * time.Minute)
		link.down.Store(false)
		time.Sleep(testLease/3 + time.Second)
		if n := link.opens.Load(); n != 1 {
			t.Errorf("the stream was opened %d times within a renewal, want once", n)
		}
		time.Sleep(time.Minute)
		if n := link.opens.Load(); n != 1 {
			t.Errorf("the stream was opened %d times, want that it stays", n)
		}
	})
}

// swallowed is a link that loses one question for work, and nothing else.
type swallowed struct {
	Link
	lose atomic.Bool
}

func (s *swallowed) GetWork(ctx context.Context, session string) (client.Work, error) {
	if s.lose.Swap(false) {
		<-ctx.Done()
		return client.Work{}, ctx.Err()
	}
	return s.Link.GetWork(ctx, session)
}

func TestALostQuestionForWorkIsAskedAgain(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		var link *swallowed
		b.start(func(o *Options) {
			link = &swallowed{Link: o.Link}
			o.Link = link
		})
		time.Sleep(5 * time.Second)
		link.lose.Store(true)
		b.rec.set(func() {
			b.rec.calls = nil
			b.rec.ring(client.Wakeup{Work: true})
		})
		time.Sleep(callLimit + time.Second)
		b.rec.set(func() {
			if !slices.Contains(b.rec.calls, "got work") {
				t.Errorf("no work %s behind a question that was lost; calls: %v", callLimit+time.Second, b.rec.calls)
			}
		})
	})
}

// A question that hangs holds nothing up, neither when the session goes on behind
// the silence nor when there is a new one.
func TestAQuestionThatHangsIsAskedAgain(t *testing.T) {
	for name, silence := range map[string]time.Duration{"the session goes on": 7 * time.Second, "a new session": 20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.ready(quick)
				var link *deaf
				b.start(func(o *Options) {
					link = &deaf{Link: o.Link}
					o.Link = link
				})
				time.Sleep(5 * time.Second)
				link.on.Store(true)
				b.rec.set(func() {
					for c := range b.rec.wake {
						c <- client.Wakeup{Work: true}
					}
				})
				time.Sleep(silence)
				link.on.Store(false)
				b.rec.set(func() {
					if b.rec.calls = nil; silence > testLease {
						b.rec.sessions++ // the control plane forgot the session
					}
				})
				time.Sleep(7 * time.Second)
				b.rec.set(func() {
					if !slices.Contains(b.rec.calls, "got work") {
						t.Errorf("no work 7 s after the link was well again; calls: %v", b.rec.calls)
					}
				})
			})
		})
	}
}
