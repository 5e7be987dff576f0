package agent

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// backup is a record as it was at one instant.
type backup struct {
	d       deploy.Deployment
	journal []deploy.JournalEntry
	epoch   int64
}

func (r *record) backup() (b backup) {
	r.set(func() { b = backup{r.d, slices.Clone(r.journal), r.epoch} })
	return b
}

// restore puts a record in the place of the newer one, as a control plane over a restored store does: no session is known,
// and whoever carries the deployment on is told. Epochs begin again where the backup has them.
func (r *record) restore(b backup) {
	r.set(func() {
		r.d, r.journal, r.epoch = b.d, b.journal, b.epoch
		r.incarnation, r.sessions = "another", r.sessions+1
		r.journal = append(r.journal, deploy.JournalEntry{Key: deploy.JournalRestored, Value: json.RawMessage(`"another"`)})
		for c := range r.wake {
			close(c)
			delete(r.wake, c)
		}
	})
}

// restoredInMidStep is an agent whose record falls back from the middle of the promotion to the wait before it.
func (b *bench) restoredInMidStep() (promoted func() bool) {
	b.t.Helper()
	b.ready(pipeline)
	stuck := true
	b.world.run = func(ctx context.Context, s platform.Step, j platform.Journal) (platform.Outcome, error) {
		b.world.mu.Lock()
		waits := stuck && s.Stage.Name == "FAKE_PROMOTE" && s.Name == "write"
		b.world.mu.Unlock()
		if waits {
			return platform.Outcome{Progress: platform.Waiting, After: time.Second}, nil
		}
		return b.world.do(ctx, s, j)
	}
	b.start()
	b.commit(map[string]string{"web/version": "v2"})
	b.until("the wait", time.Minute, stageIs("WAIT", deploy.StageRunning))
	was := b.rec.backup()
	// The lost future has the epoch that the restored record will give next.
	b.rec.set(func() { b.rec.sessions++ })
	b.until("the promotion", 2*time.Minute, func(d deploy.Deployment) bool { return slices.Contains(b.world.did(), "FAKE_PROMOTE/write") })
	b.world.locked(func() { stuck, b.world.runs = false, nil })
	b.rec.restore(was)
	return func() bool { return len(b.world.did()) > 0 }
}

// A process that knows more than the restored record goes back to what the record says, and looks before it writes.
func TestARestoredRecordIsLookedAtAndGoesOn(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.world.observeErr = nil
		promoted := b.restoredInMidStep()
		b.world.locked(func() { b.world.observeErr = errors.New("throttled") })
		time.Sleep(time.Minute)
		b.until("another try to look", time.Minute, func(deploy.Deployment) bool {
			return slices.ContainsFunc(b.rec.waiting, func(r deploy.Reason) bool { return r.Args["step"] == "compare with the restored record" })
		})
		if promoted() {
			t.Fatalf("without a look at what is live it did %v", b.world.did())
		}
		b.world.locked(func() { b.world.observeErr = nil })
		d := b.until("the end", 2*time.Minute, finished)
		if d.Status != deploy.StatusSuccess || b.world.version != "v2" || b.world.atOnce != 1 {
			t.Errorf("ended %s with %s live: %s; %d writes at once", d.Status, b.world.version, d.Reason, b.world.atOnce)
		}
		looked := slices.ContainsFunc(b.rec.journal, func(e deploy.JournalEntry) bool {
			return e.Key == deploy.JournalLooked && string(e.Value) == `"another"`
		})
		if !looked {
			t.Error("the look is not in the journal: the next process would look again")
		}
	})
}

// What is live went further than the record knows: nothing is written, a person looks.
func TestARestoredRecordThatDiffersStops(t *testing.T) {
	inBubble(t, func(b *bench) {
		promoted := b.restoredInMidStep()
		b.world.locked(func() {
			b.world.guard = func(platform.Held) (platform.Breach, error) {
				return platform.Breach{Kind: platform.BreachForeign, Reason: deploy.Why(deploy.ReasonBreach, "detail", "100 % on the canary, the record says 20")}, nil
			}
		})
		d := b.until("the end", 2*time.Minute, finished)
		if d.End != deploy.EndNeedsAttention || d.Reason.Args["detail"] != "100 % on the canary, the record says 20" || promoted() {
			t.Errorf("ended %s %s: %s; did %v", d.Status, d.End, d.Reason, b.world.did())
		}
	})
}

// A renewal that is answered from another store ends the session at once.
func TestAnotherIncarnationEndsTheSession(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.start()
		time.Sleep(time.Second)
		b.rec.set(func() { b.rec.incarnation = "another" })
		time.Sleep(testLease / 3)
		b.rec.set(func() {
			if n := len(slices.DeleteFunc(slices.Clone(b.rec.calls), func(c string) bool { return c != "hello" })); n != 2 {
				t.Errorf("%d hellos, want a second one for the other store", n)
			}
		})
	})
}
