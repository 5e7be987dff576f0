package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

func put(key string, body []byte) func(store.Tx) error {
	return func(tx store.Tx) error { return tx.Put(store.Agents, store.Record{Key: key, Body: body}) }
}

func keysOf(t *testing.T, s *Store) []string {
	t.Helper()
	var out []string
	err := s.View(t.Context(), "p", func(tx store.Tx) error {
		rs, err := tx.List(store.Agents, store.Query{Limit: 1000})
		for _, r := range rs {
			out = append(out, r.Key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// together runs functions in one transaction, in order: they queue up behind
// one that holds the writer. It must be called inside a bubble.
func together(t *testing.T, s *Store, fs ...func(store.Tx) error) []error {
	t.Helper()
	errs := make([]error, len(fs))
	leave := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = s.Update(t.Context(), "p", func(store.Tx) error { <-leave; return nil })
	})
	synctest.Wait()
	for i, f := range fs {
		wg.Go(func() { errs[i] = s.Update(t.Context(), "p", f) })
		synctest.Wait()
	}
	close(leave)
	wg.Wait()
	return errs
}

// TestBubble is what the scenarios on virtual time rely on: in a bubble the
// store works, takes no virtual time and lets time pass while it idles.
func TestBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := memory(t)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Minute)
				if err := s.Update(t.Context(), "p", put(fmt.Sprintf("%02d", i), nil)); err != nil {
					t.Error(err)
				}
				if err := s.Side().PutSide(t.Context(), "p", "k", "k", time.Now(), nil); err != nil {
					t.Error(err)
				}
				if n := len(keysOf(t, s)); n != i+1 {
					t.Errorf("after %d minutes %d records, want %d", i, n, i+1)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 19*time.Minute {
			t.Errorf("the store took %v of virtual time", took-19*time.Minute)
		}
	})
}

func TestGroupCommit(t *testing.T) {
	var stages []string
	hook := func(stage string) { stages = append(stages, stage) }
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{NoSync: true, AroundCommit: hook})
		own := errors.New("own")
		var saw []string
		errs := together(t, s,
			put("a", nil),
			func(tx store.Tx) error { return errors.Join(put("b", nil)(tx), own) },
			func(tx store.Tx) error {
				for _, key := range []string{"a", "b"} {
					if _, ok, _ := tx.Get(store.Agents, key); ok {
						saw = append(saw, key)
					}
				}
				return put("c", nil)(tx)
			})
		if errs[0] != nil || !errors.Is(errs[1], own) || errs[2] != nil {
			t.Errorf("errors = %v, want the second only", errs)
		}
		if !slices.Equal(saw, []string{"a"}) {
			t.Errorf("the third function saw %v, want what succeeded before it", saw)
		}
		if got := keysOf(t, s); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("stored %v", got)
		}
		if !slices.Equal(stages, []string{BeforeCommit, AfterCommit}) {
			t.Errorf("hook was told %v, want one commit for all", stages)
		}
		if err := s.Update(t.Context(), "p", func(store.Tx) error { return own }); !errors.Is(err, own) {
			t.Error(err)
		}
		if len(stages) != 2 {
			t.Errorf("a failed function alone was committed: %v", stages)
		}
	})
}

// TestDiskFull lets one function of a shared transaction run into the limit of
// the file. The others are stored, also if they ran before it.
func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		err := s.Update(t.Context(), "p", func(inner store.Tx) error {
			var pages int
			_, err := inner.(*tx).row("PRAGMA page_count", nil, &pages)
			return errors.Join(err, limitPages(inner.(*tx), pages+20))
		})
		if err != nil {
			t.Fatal(err)
		}
		ignoring := func(tx store.Tx) error {
			_ = put("ignored-huge", noise(1<<20))(tx)
			_ = put("ignored-small", nil)(tx) // must not be stored alone
			return nil
		}
		errs := together(t, s, put("a", []byte("small")), put("huge", noise(1<<20)), put("b", []byte("small")), ignoring)
		for i, want := range []deploy.Code{"", deploy.CodeUnavailable, "", deploy.CodeUnavailable} {
			if deploy.CodeOf(errs[i]) != want {
				t.Errorf("function %d: %v, want code %q", i, errs[i], want)
			}
		}
		if text := fmt.Sprint(errs[1]); !strings.Contains(text, "free space") || !strings.Contains(text, MainFile) {
			t.Errorf("the message does not say what to do and where: %s", text)
		}
		if got := keysOf(t, s); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("stored %v, want a and b", got)
		}
		if err := s.Update(t.Context(), "p", put("alone", noise(1<<20))); deploy.CodeOf(err) != deploy.CodeUnavailable {
			t.Errorf("alone: %v", err)
		}
		if err := s.Update(t.Context(), "p", func(inner store.Tx) error { return limitPages(inner.(*tx), 1<<30) }); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), "p", put("huge", noise(1<<20))); err != nil {
			t.Errorf("after space was made: %v", err)
		}
	})
}

func limitPages(t *tx, n int) error {
	var got int
	_, err := t.row(fmt.Sprintf("PRAGMA max_page_count = %d", n), nil, &got)
	return err
}

// noise makes bytes that do not compress.
func noise(n int) []byte {
	out, x := make([]byte, n), uint64(1)
	for i := range out {
		x = x*6364136223846793005 + 1442695040888963407
		out[i] = byte(x >> 56)
	}
	return out
}

// TestCrashAroundCommit crashes at both stages of each commit and opens the
// directory again: before, nothing is stored; after, everything is, although
// no caller was told.
func TestCrashAroundCommit(t *testing.T) {
	for _, c := range []struct {
		stage string
		want  []string
	}{
		{BeforeCommit, []string{"first"}},
		{AfterCommit, []string{"first", "x", "y"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			armed := false
			s := open(t, dir, Options{NoSync: true, AroundCommit: func(stage string) {
				if armed && stage == c.stage {
					panic("power cut")
				}
			}})
			if err := s.Update(t.Context(), "p", put("first", nil)); err != nil {
				t.Fatal(err)
			}
			armed = true
			for i, err := range together(t, s, put("x", nil), put("y", nil)) {
				if deploy.CodeOf(err) != deploy.CodeUnavailable || !strings.Contains(err.Error(), "power cut") {
					t.Errorf("%s: function %d: %v", c.stage, i, err)
				}
			}
			if err := s.Update(t.Context(), "p", put("z", nil)); deploy.CodeOf(err) != deploy.CodeUnavailable {
				t.Errorf("%s: a crashed store takes a write: %v", c.stage, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = open(t, dir, Options{NoSync: true})
			if got := keysOf(t, s); !slices.Equal(got, c.want) {
				t.Errorf("%s: after the crash %v, want %v", c.stage, got, c.want)
			}
		})
	}
}

func TestCloseWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		leave := make(chan struct{})
		var wg sync.WaitGroup
		var running, reading, waiting error
		wg.Go(func() {
			running = s.Update(t.Context(), "p", func(tx store.Tx) error { <-leave; return put("k", nil)(tx) })
		})
		wg.Go(func() { reading = s.View(t.Context(), "p", func(store.Tx) error { <-leave; return nil }) })
		synctest.Wait()
		closed := false
		wg.Go(func() { _ = s.Close(); closed = true })
		synctest.Wait()
		wg.Go(func() { waiting = s.Update(t.Context(), "p", put("late", nil)) })
		synctest.Wait()
		if closed {
			t.Error("closed while functions run")
		}
		close(leave)
		wg.Wait()
		if running != nil || reading != nil || deploy.CodeOf(waiting) != deploy.CodeUnavailable {
			t.Errorf("running: %v, reading: %v, late: %v", running, reading, waiting)
		}
	})
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{busy: time.Millisecond})
	other := open(t, dir, Options{})
	err := other.Update(t.Context(), "p", func(store.Tx) error {
		return s.Update(t.Context(), "p", put("k", nil))
	})
	if deploy.CodeOf(err) != deploy.CodeUnavailable || !strings.Contains(err.Error(), filepath.Join(dir, MainFile)) || !strings.Contains(err.Error(), "only one server") {
		t.Errorf("a second writer: %v", err)
	}
	if err := s.Update(t.Context(), "p", put("k", nil)); err != nil {
		t.Errorf("after the other one is done: %v", err)
	}
}

// TestLostCommit takes the transaction away under a commit: the functions are
// run once more, each alone, and stored once.
func TestLostCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *Store
		commits := 0
		s = open(t, t.TempDir(), Options{NoSync: true, AroundCommit: func(stage string) {
			if commits++; stage == BeforeCommit && commits == 1 {
				s.writer.session.rollback()
			}
		}})
		runs := 0
		increment := func(tx store.Tx) error {
			runs++
			r, _, err := tx.Get(store.Agents, "n")
			return errors.Join(err, put("n", append(r.Body, '+'))(tx))
		}
		for i, err := range together(t, s, increment, increment, increment) {
			if err != nil {
				t.Errorf("function %d: %v", i, err)
			}
		}
		err := s.View(t.Context(), "p", func(tx store.Tx) error {
			r, _, err := tx.Get(store.Agents, "n")
			if string(r.Body) != "+++" || runs != 6 {
				t.Errorf("after %d runs %q, want each run twice and stored once", runs, r.Body)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestMoreThanOneBatch(t *testing.T) {
	commits := 0
	hook := func(stage string) {
		if stage == AfterCommit {
			commits++
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Options{NoSync: true, AroundCommit: hook})
		fs := make([]func(store.Tx) error, 2*maxBatch)
		for i := range fs {
			fs[i] = put(fmt.Sprint(i), nil)
		}
		for i, err := range together(t, s, fs...) {
			if err != nil {
				t.Errorf("function %d: %v", i, err)
			}
		}
		if n := len(keysOf(t, s)); n != len(fs) || commits != 3 {
			t.Errorf("%d stored by %d commits, want %d by 3", n, commits, len(fs))
		}
	})
}
