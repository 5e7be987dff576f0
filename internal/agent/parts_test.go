package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// counting counts reads of a mirror.
type counting struct {
	*gitmem.Mirror
	reads atomic.Int64
}

func (c *counting) ReadFile(ctx context.Context, commit, path string) ([]byte, error) {
	c.reads.Add(1)
	return c.Mirror.ReadFile(ctx, commit, path)
}

func TestACommitThatTouchesNothingReadsNothing(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.ready(quick)
		m := &counting{Mirror: b.repo.Mirror("main")}
		b.start(func(o *Options) {
			o.OpenRepo = func(context.Context, spec.Repository) (Repo, error) { return m, nil }
		})
		b.commit(map[string]string{"docs/first": "1"})
		time.Sleep(20 * time.Second)
		before := m.reads.Load()
		for i := range 5 {
			b.commit(map[string]string{fmt.Sprint("docs/", i): "1"})
			time.Sleep(15 * time.Second)
		}
		if n := m.reads.Load() - before; n != 0 {
			t.Errorf("%d files were read for five commits that touch nothing", n)
		}
		if n := len(b.reported()); n < 6 {
			t.Errorf("%d movements reported", n)
		}
	})
}

func TestAnEntryIsStoredBeforePutReturns(t *testing.T) {
	var stored []deploy.JournalEntry
	refuse := false
	j := newJournal([]deploy.JournalEntry{{Key: "object/a", Value: json.RawMessage(`1`)}}, func(_ context.Context, e deploy.JournalEntry) error {
		if refuse {
			return errDown
		}
		stored = append(stored, e)
		return nil
	})
	j.at("s1", 2)
	if err := platform.Remember(t.Context(), j, "object/b", "x"); err != nil || len(stored) != 1 || stored[0].Stage != "s1" || stored[0].Attempt != 2 {
		t.Fatalf("stored %v, %v", stored, err)
	}
	refuse = true
	if err := platform.Remember(t.Context(), j, "object/c", "y"); err == nil {
		t.Error("an entry that was not stored was accepted")
	}
	if _, ok := j.Get("object/c"); ok {
		t.Error("an entry that was not stored can be read")
	}
	if keys := j.Keys("object/"); len(keys) != 2 {
		t.Errorf("keys %v", keys)
	}
}

// A log whose server fails now and then arrives whole, in order and once.
func TestAStageLogArrivesOnceWhateverIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fates := rapid.SliceOfN(rapid.IntRange(0, 2), 0, 12).Draw(rt, "fates")
		lines := rapid.IntRange(1, 400).Draw(rt, "lines")
		width := rapid.IntRange(0, 2000).Draw(rt, "width")
		synctest.Test(t, func(t *testing.T) {
			var got []byte
			send := func(_ context.Context, c client.LogChunk) (bool, error) {
				fate := 0
				if len(fates) > 0 {
					fate, fates = fates[0], fates[1:]
				}
				if fate == 1 { // lost on the way there
					return false, errDown
				}
				if int64(len(got)) == c.Offset {
					got = append(got, c.Data...)
				}
				if len(c.Data) > logChunk {
					t.Errorf("a chunk of %d bytes", len(c.Data))
				}
				if fate == 2 { // lost on the way back
					return false, errDown
				}
				return false, nil
			}
			l := newStageLog(client.LogChunk{}, masker([]string{"pass\nword1"}), send)
			ctx, cancel := context.WithCancelCause(t.Context())
			var wait sync.WaitGroup
			wait.Go(func() { l.run(ctx, newRetries(random("process", "log"), logEvery, maxBackoff)) })
			for i := range lines {
				l.Logf(slog.LevelInfo, "%d %s", i, strings.Repeat("x", width))
				if i%50 == 0 {
					time.Sleep(70 * time.Millisecond)
				}
			}
			time.Sleep(5 * time.Minute)
			cancel(nil)
			wait.Wait()
			all := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
			if len(all) != lines {
				t.Fatalf("%d lines arrived, %d were written", len(all), lines)
			}
			for i, one := range all {
				var line struct{ L, M string }
				if err := json.Unmarshal([]byte(one), &line); err != nil || !strings.HasPrefix(line.M, fmt.Sprint(i, " ")) || line.L != "INFO" {
					t.Fatalf("line %d is %q: %v", i, one, err)
				}
			}
		})
	})
}

func TestAStageLogMasksAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got strings.Builder
		down := true
		l := newStageLog(client.LogChunk{}, masker([]string{"", "abc", "hunter22", "line one\nline two"}), func(_ context.Context, c client.LogChunk) (bool, error) {
			if down {
				return false, errDown
			}
			got.Write(c.Data)
			return false, nil
		})
		l.Logf(slog.LevelWarn, "key hunter22, line two, abc")
		for range 2000 {
			l.Logf(slog.LevelInfo, "%s", strings.Repeat("y", 1000))
		}
		if err := l.flush(t.Context()); err == nil {
			t.Error("flush hides that nothing was sent")
		}
		down = false
		if err := l.flush(t.Context()); err != nil {
			t.Error(err)
		}
		first, _, _ := strings.Cut(got.String(), "\n")
		if !strings.Contains(first, "key ••••, ••••, abc") || !strings.Contains(first, "WARN") {
			t.Errorf("first line %s", first)
		}
		if !strings.Contains(got.String(), "lines were left out") || got.Len() > logBuffer+1000 {
			t.Errorf("%d bytes sent without a notice", got.Len())
		}
	})
}

func TestAFullOrClosedLogIsDropped(t *testing.T) {
	for name, send := range map[string]func(context.Context, client.LogChunk) (bool, error){
		"full": func(context.Context, client.LogChunk) (bool, error) { return true, nil },
		"refused": func(context.Context, client.LogChunk) (bool, error) {
			return false, deploy.Refuse(deploy.RefusedStaleEpoch, "", "")
		},
	} {
		calls := 0
		l := newStageLog(client.LogChunk{}, masker(nil), func(ctx context.Context, c client.LogChunk) (bool, error) {
			calls++
			return send(ctx, c)
		})
		for range 3 {
			l.Logf(slog.LevelInfo, "x")
			if err := l.flush(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if calls != 1 {
			t.Errorf("%s: %d calls, want no more behind the first", name, calls)
		}
	}
}

func TestTheGateEndsCallsBeforeTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		if g.covers() {
			t.Error("open without a session")
		}
		sent := time.Now()
		time.Sleep(2 * time.Second) // the answer was slow: the lease counts from the question
		g.begin(client.Session{ID: "s", Lease: 9 * time.Second}, sent)
		if g.covers() {
			t.Error("open before work was fetched")
		}
		_, gen := g.generation()
		g.opened(gen)
		var last time.Time
		for {
			ctx, leave, ok := g.enter(t.Context())
			if !ok {
				break
			}
			if end, ok := ctx.Deadline(); !ok || end.After(sent.Add(9*time.Second)) {
				t.Fatalf("a call may last until %s, the lease ends %s", end, sent.Add(9*time.Second))
			}
			last = time.Now()
			leave()
			time.Sleep(10 * time.Millisecond)
		}
		if d := last.Sub(sent); d < 5900*time.Millisecond || d > 6*time.Second {
			t.Errorf("the last call began after %s, want 6 s", d)
		}
		time.Sleep(10 * time.Second)
		if !g.renewed(time.Now(), 9*time.Second, 9*time.Second) {
			t.Error("a lease that had run out was not noticed")
		}
		g.opened(gen) // an answer from before
		if g.covers() {
			t.Error("open with work that was fetched before the lease ran out")
		}
	})
}

func TestShutWaitsForCallsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		g.begin(client.Session{ID: "s", Lease: 9 * time.Second}, time.Now())
		_, gen := g.generation()
		g.opened(gen)
		ctx, leave, ok := g.enter(t.Context())
		if !ok {
			t.Fatal("shut")
		}
		shut := false
		go func() {
			g.shut(errSessionOver)
			shut = true
		}()
		synctest.Wait()
		if shut || !errors.Is(context.Cause(ctx), errSessionOver) || g.covers() {
			t.Errorf("shut %v, cause %v, open %v", shut, context.Cause(ctx), g.covers())
		}
		leave()
		synctest.Wait()
		if !shut {
			t.Error("shut did not notice the end of the call")
		}
	})
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ file, option, want time.Duration }{
		{time.Second, 0, 10 * time.Second},
		{time.Minute, 0, time.Minute},
		{time.Minute, 2 * time.Second, 2 * time.Second},
	} {
		o := Options{Config: &spec.Piped{SyncInterval: c.file}, Link: &process{}, OpenRepo: openMirror(nil), PollEvery: c.option, GuardEvery: time.Minute}
		if err := o.prepare(); err != nil || o.PollEvery != c.want {
			t.Errorf("file %s, option %s: polled every %s, %v", c.file, c.option, o.PollEvery, err)
		}
		if o.GuardEvery != 10*time.Second {
			t.Errorf("the guard looks every %s", o.GuardEvery)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an agent without a configuration was made")
	}
}

func TestWithoutCredentials(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:pw@host/r.git": "https://host/r.git", "git@host:o/r.git": "git@host:o/r.git",
		"ssh://git:pw@host/r": "ssh://git@host/r", "https://host/r": "https://host/r",
	} {
		if got := withoutCredentials(in); got != want {
			t.Errorf("%s → %s, want %s", in, got, want)
		}
	}
}

func TestAPlanIsNotMadeOfWhatIsOver(t *testing.T) {
	t0 := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	good := &deploy.Good{LiveDigest: "new", At: t0}
	for name, c := range map[string]struct {
		app   deploy.Application
		live  string
		began time.Time
		now   time.Time
		wait  bool
	}{
		"the first deployment":                     {deploy.Application{}, "", t0, t0, false},
		"what the last one left":                   {deploy.Application{LastGood: good}, "new", t0, t0.Add(time.Second), false},
		"the state before, right behind the end":   {deploy.Application{LastGood: good}, "old", t0.Add(time.Second), t0.Add(time.Second), true},
		"still another one when it cannot be late": {deploy.Application{LastGood: good}, "old", t0.Add(time.Second), t0.Add(readLag), false},
		"behind a way back": {
			deploy.Application{LastGood: good, Hold: &deploy.Hold{At: t0.Add(time.Hour), LiveDigest: "restored"}}, "half way", t0.Add(time.Hour), t0.Add(time.Hour + time.Second), true,
		},
		"the first way back of what somebody else made": {
			deploy.Application{Hold: &deploy.Hold{At: t0, LiveDigest: "restored"}}, "half way", t0, t0.Add(time.Second), true,
		},
		"behind an end that nobody could verify": {
			deploy.Application{LastGood: good, Hold: &deploy.Hold{At: t0.Add(time.Hour)}}, "half way", t0.Add(time.Hour), t0.Add(time.Hour + time.Second), false,
		},
		"a hold that is older than the good state": {deploy.Application{LastGood: good, Hold: &deploy.Hold{At: t0.Add(-time.Hour)}}, "old", t0, t0.Add(readLag), false},
		"a clock far behind the server's": {
			deploy.Application{LastGood: good}, "old", t0.Add(-time.Hour), t0.Add(-time.Hour + readLag), false,
		},
	} {
		w := &draft{app: c.app, began: c.began}
		w.pin.Live.Digest = c.live
		err := w.current(c.now)
		if can, _ := platform.CanRetry(err); (err != nil) != c.wait || err != nil && !can {
			t.Errorf("%s: %v, want a wait: %v", name, err, c.wait)
		}
	}
}
