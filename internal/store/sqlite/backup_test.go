package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// TestBackup copies a store while writers go on, and opens the copy: it is one
// moment of the original under a new incarnation.
func TestBackup(t *testing.T) {
	s := open(t, t.TempDir(), Options{NoSync: true})
	key := store.LogKey{Project: "p", Deployment: "d", Stage: "s", Attempt: 1}
	if _, err := s.Side().AppendLog(t.Context(), key, 1, 0, []byte("line\n")); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range crashWriters {
		if _, err := writeBoth(t.Context(), s, w, -1); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := writeBoth(t.Context(), s, w, round); err != nil {
					t.Error(err)
				}
			}
		})
	}
	to := filepath.Join(t.TempDir(), "copy")
	before := lengths(t, s)
	if err := s.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	after := lengths(t, s)
	close(stop)
	wg.Wait()

	restored := open(t, to, Options{RestoreIncarnation: true})
	got := lengths(t, restored)
	for w := range crashWriters {
		name := fmt.Sprint("w", w)
		if got[name] < before[name] || got[name] > after[name] {
			t.Errorf("%s: the copy has %d, the original had %d before and %d after", name, got[name], before[name], after[name])
		}
	}
	if text, err := restored.Side().ReadLog(t.Context(), key, 0, 100); err != nil || string(text) != "line\n" {
		t.Errorf("log of the copy: %q, %v", text, err)
	}
	if restored.Incarnation() == s.Incarnation() {
		t.Error("the restored store has the incarnation of the original")
	}
	if _, err := writeBoth(t.Context(), restored, 0, 0); err != nil {
		t.Errorf("writing to the copy: %v", err)
	}
	first := restored.Incarnation()
	if err := restored.Close(); err != nil {
		t.Error(err)
	}
	if again := open(t, to, Options{}); again.Incarnation() != first {
		t.Error("the incarnation changes with every opening")
	}
}

func TestBackupToWhatIsThere(t *testing.T) {
	s := memory(t)
	if err := s.Backup(t.Context(), t.TempDir()); deploy.CodeOf(err) != deploy.CodeExists {
		t.Errorf("backup to a directory that is there: %v", err)
	}
	parent := t.TempDir()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), filepath.Join(parent, "copy")); deploy.CodeOf(err) != deploy.CodeUnavailable {
		t.Errorf("backup of a closed store: %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("a failed backup leaves %v, %v", left, err)
	}
}

func TestMemoryLeavesNothing(t *testing.T) {
	s := memory(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Dir()); !os.IsNotExist(err) {
		t.Errorf("the directory of a closed memory store: %v", err)
	}
}

func TestCodec(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	text := make([]byte, 100_000)
	for n, max := range map[int]int{0: 1, 1: 2, compressAbove: compressAbove + 1, compressAbove + 1: 100, len(text): 200} {
		stored := c.encode(text[:n])
		back, err := c.decode(stored)
		if err != nil || len(back) != n || len(stored) > max {
			t.Errorf("%d bytes are stored as %d and come back as %d, %v", n, len(stored), len(back), err)
		}
	}
	if stored := c.encode(noise(5000)); len(stored) != 5001 {
		t.Errorf("what does not compress takes %d bytes for 5000", len(stored))
	}
	for _, bad := range [][]byte{nil, {7, 1}, {compressed, 1, 2, 3}} {
		if _, err := c.decode(bad); err == nil {
			t.Errorf("decoded %v", bad)
		}
	}
}

func TestSideDiskFull(t *testing.T) {
	s := memory(t)
	limit := func(pages int) {
		sess, err := s.side.writers.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer s.side.writers.give(sess)
		var got int
		if _, err := sess.row(fmt.Sprintf("PRAGMA max_page_count = %d", pages), nil, &got); err != nil {
			t.Fatal(err)
		}
	}
	key := store.LogKey{Project: "p", Deployment: "d", Stage: "s", Attempt: 1}
	limit(30)
	if _, err := s.Side().AppendLog(t.Context(), key, 1, 0, noise(1<<20)); deploy.CodeOf(err) != deploy.CodeUnavailable {
		t.Errorf("append to log: %v", err)
	}
	if _, err := s.Side().AppendLog(t.Context(), key, 1, 0, []byte("small\n")); err != nil {
		t.Errorf("after a refused chunk: %v", err)
	}
	limit(1 << 30)
	if _, err := s.Side().AppendLog(t.Context(), key, 1, 6, []byte("more\n")); err != nil {
		t.Error(err)
	}
	if text, err := s.Side().ReadLog(t.Context(), key, 0, 100); err != nil || string(text) != "small\nmore\n" {
		t.Errorf("log = %q, %v", text, err)
	}
}

// TestCancelledView asks for a reader with an ended context, and for one while
// all are lent.
func TestCancelledView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory(t)
		why := errors.New("no longer wanted")
		ctx, cancel := context.WithCancelCause(t.Context())
		leave := make(chan struct{})
		var wg sync.WaitGroup
		for range mainReaders {
			wg.Go(func() {
				if err := s.View(t.Context(), "p", func(store.Tx) error { <-leave; return nil }); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		var waiting error
		wg.Go(func() { waiting = s.View(ctx, "p", func(store.Tx) error { return nil }) })
		synctest.Wait()
		cancel(why)
		synctest.Wait()
		close(leave)
		wg.Wait()
		if !errors.Is(waiting, why) {
			t.Errorf("a view that waited: %v", waiting)
		}
		if err := s.View(ctx, "p", func(store.Tx) error { return nil }); !errors.Is(err, why) {
			t.Errorf("a view with an ended context: %v", err)
		}
	})
}
