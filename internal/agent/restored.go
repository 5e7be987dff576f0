package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/platform"
)

// lookedFirst looks at what is live before the first write behind a restored
// record, which may be older than what was done: false when the step does not
// go on. It is once for each restoration, whichever process does it.
func (w *worker) lookedFirst(ctx context.Context, j *job) bool {
	mark, restored := w.journal.Get(deploy.JournalRestored)
	if seen, looked := w.journal.Get(deploy.JournalLooked); !restored || looked && bytes.Equal(seen, mark) {
		return true
	}
	tries := w.a.retries("restored", 500*time.Millisecond, maxBackoff)
	for {
		fine, err := w.lookAtRestored(ctx, j)
		if err == nil && fine {
			w.journal.at(j.stage.ID, j.t.Attempt)
			err = w.journal.Put(ctx, deploy.JournalLooked, mark)
		}
		if err == nil || ctx.Err() != nil || w.a.isStopping() {
			return err == nil && fine
		}
		j.log.Logf(slog.LevelWarn, "the record was restored from a backup and what is live cannot be compared with it yet, trying again: %v", err)
		w.tell(ctx, j.t, j.stage.ID, deploy.Why(ReasonRetrying, "stage", j.stage.Name, "step", "compare with the restored record", "detail", w.detail(err)), &j.told)
		w.pause(ctx, time.Now().Add(tries.next(0)), nil)
	}
}

// lookAtRestored observes, shows it, and compares the routes with the record: a
// difference stops the deployment for a person, because nobody can tell whose
// it is.
func (w *worker) lookAtRestored(ctx context.Context, j *job) (fine bool, err error) {
	live, err := w.a.observe(ctx, j.p, platform.Target{App: j.d.App, Desired: j.state.Desired, ProviderConfig: j.cfg})
	if err != nil {
		return false, fmt.Errorf("observe: %w", err)
	}
	j.log.Logf(slog.LevelInfo, "the record was restored from a backup: what is live was looked at before going on, digest %s", live.Digest)
	w.a.observeSoon(j.d.App.ID)
	if j.stage.Rollback {
		return true, nil // the way back is by effect: it reads before it writes
	}
	breach, err := w.look(ctx, j.d, engine.Due(j.d))
	if err != nil || breach.Kind == platform.BreachNone {
		return err == nil, err
	}
	w.log.Error("what is live differs from the restored record", "kind", string(breach.Kind), "reason", breach.Reason.String())
	w.breached(ctx, breach)
	w.pause(ctx, time.Now().Add(refusedPause), nil)
	return false, nil
}
