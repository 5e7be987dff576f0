package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

var errOwn = errors.New("the function's own error")

// count reads the number that a record holds.
func count(tx store.Tx, key string) (int, error) {
	r, ok, err := tx.Get(store.Requests, key)
	if err != nil || !ok {
		return 0, err
	}
	return strconv.Atoi(string(r.Body))
}

func setCount(tx store.Tx, key string, n int) error {
	return tx.Put(store.Requests, store.Record{Key: key, Body: []byte(strconv.Itoa(n))})
}

func increment(tx store.Tx, key string) error {
	n, err := count(tx, key)
	if err != nil {
		return err
	}
	return setCount(tx, key, n+1)
}

func wantCount(t *testing.T, s store.Store, key string, want int) {
	t.Helper()
	view(t, s, "p", func(tx store.Tx) error {
		n, err := count(tx, key)
		if n != want {
			t.Errorf("%s = %d, want %d", key, n, want)
		}
		return err
	})
}

func updateIsAtomic(t *testing.T, s store.Store) {
	write := func(tx store.Tx) error {
		return errors.Join(
			tx.Append(deployment("d"), 0, "", events("a", 2)),
			tx.Append(store.Stream{Kind: deploy.StreamApplication, ID: "x"}, 0, "", events("b", 1)),
			increment(tx, "n"), tx.Delete(store.Requests, "old"))
	}
	update(t, s, "p", func(tx store.Tx) error { return setCount(tx, "old", 7) })
	err := s.Update(t.Context(), "p", func(tx store.Tx) error { return errors.Join(write(tx), errOwn) })
	if !errors.Is(err, errOwn) {
		t.Errorf("update = %v, want the function's own error", err)
	}
	if n := len(readAll(t, s, "p", deployment("d"))); n != 0 {
		t.Errorf("%d events of a failed update are there", n)
	}
	wantCount(t, s, "n", 0)
	wantCount(t, s, "old", 7)
	update(t, s, "p", write)
	if n := len(readAll(t, s, "p", deployment("d"))); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	wantCount(t, s, "n", 1)
	wantCount(t, s, "old", 0)
}

func updatePanics(t *testing.T, s store.Store) {
	func() {
		defer func() {
			if p := recover(); p != "oh" {
				t.Errorf("recovered %v in the caller, want its own panic", p)
			}
		}()
		_ = s.Update(t.Context(), "p", func(tx store.Tx) error {
			must(t, setCount(tx, "n", 1))
			panic("oh")
		})
	}()
	func() {
		defer func() { _ = recover() }()
		_ = s.View(t.Context(), "p", func(store.Tx) error { panic("oh") })
	}()
	wantCount(t, s, "n", 0)
	update(t, s, "p", func(tx store.Tx) error { return setCount(tx, "n", 2) })
	wantCount(t, s, "n", 2)
}

func updateCancelled(t *testing.T, s store.Store) {
	why := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // was started when its context ends: it completes
		if err := s.Update(ctx, "p", func(tx store.Tx) error {
			close(entered)
			<-leave
			return setCount(tx, "started", 1)
		}); err != nil {
			t.Errorf("the started function: %v", err)
		}
	})
	<-entered
	wg.Go(func() { // waits behind it
		err := s.Update(ctx, "p", func(tx store.Tx) error { return setCount(tx, "waiting", 1) })
		if !errors.Is(err, why) {
			t.Errorf("the waiting function: %v, want the cause of the cancel", err)
		}
		close(leave) // only the one that gave up lets the first one go on
	})
	cancel(why)
	wg.Wait()
	wantCount(t, s, "started", 1)
	wantCount(t, s, "waiting", 0)
	if err := s.Update(ctx, "p", func(tx store.Tx) error { return setCount(tx, "waiting", 1) }); !errors.Is(err, why) {
		t.Errorf("update with an ended context: %v", err)
	}
	wantCount(t, s, "waiting", 0)
}

func failuresBesideSuccesses(t *testing.T, s store.Store) {
	const n = 60
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := s.Update(t.Context(), "p", func(tx store.Tx) error {
				if err := errors.Join(increment(tx, "n"), setCount(tx, fmt.Sprint("own-", i), 1)); err != nil {
					return err
				}
				if i%3 == 0 {
					return fmt.Errorf("number %d: %w", i, errOwn)
				}
				return nil
			})
			if want := i%3 == 0; errors.Is(err, errOwn) != want || want && err.Error() != fmt.Sprintf("number %d: %v", i, errOwn) {
				t.Errorf("update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	wantCount(t, s, "n", n-n/3)
	for i := range n {
		wantCount(t, s, fmt.Sprint("own-", i), min(i%3, 1))
	}
}

func updatesAreSerialised(t *testing.T, s store.Store) {
	const writers, each = 8, 25
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := s.Update(t.Context(), "p", func(tx store.Tx) error { return increment(tx, "n") }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantCount(t, s, "n", writers*each)
}

// cursorsUnderWriters lets a reader follow Since while writers append, some of
// them in vain: every event must come, once, in the order of positions.
func cursorsUnderWriters(t *testing.T, s store.Store) {
	const writers, each = 6, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", w, i)
				_ = s.Update(t.Context(), "p", func(tx store.Tx) error {
					return errors.Join(tx.Append(deployment(fmt.Sprint(w)), int64(i), "", events("void-"+id, 1)), errOwn)
				})
				if err := appendEvents(t.Context(), s, "p", deployment(fmt.Sprint(w)), int64(i), events(id, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stopped := make(chan struct{})
	go func() { wg.Wait(); close(stopped) }()
	var seen []store.Stored
	var at int64
	for last := false; ; {
		var page []store.Stored
		view(t, s, "p", func(tx store.Tx) (err error) {
			var newest int64
			page, newest, err = tx.Since(at, 7)
			if len(page) == 0 && newest > at {
				t.Errorf("nothing after %d, but %d is visible", at, newest)
			}
			return err
		})
		for _, e := range page {
			if e.Pos <= at {
				t.Fatalf("position %d comes after %d", e.Pos, at)
			}
			at = e.Pos
		}
		seen = append(seen, page...)
		if len(page) == 0 {
			if last {
				break
			}
			select {
			case <-stopped:
				last = true
			default:
			}
		}
	}
	if len(seen) != writers*each {
		t.Errorf("the reader saw %d events, want %d", len(seen), writers*each)
	}
	next := map[string]int64{}
	for _, e := range seen {
		if next[e.Stream.ID]++; e.Seq != next[e.Stream.ID] {
			t.Fatalf("stream %s: event %d came when %d was due", e.Stream.ID, e.Seq, next[e.Stream.ID])
		}
	}
}

func viewIsASnapshot(t *testing.T, s store.Store) {
	update(t, s, "p", func(tx store.Tx) error { return setCount(tx, "n", 1) })
	view(t, s, "p", func(tx store.Tx) error {
		if n, err := count(tx, "n"); n != 1 || err != nil {
			t.Errorf("n = %d, %v", n, err)
		}
		// A writer does not wait for the reader, nor the reader for the writer.
		update(t, s, "p", func(w store.Tx) error {
			wantCount(t, s, "n", 1)
			return errors.Join(setCount(w, "n", 2), w.Append(deployment("d"), 0, "", events("a", 1)))
		})
		if n, err := count(tx, "n"); n != 1 || err != nil {
			t.Errorf("after the write n = %d, %v, want the snapshot's 1", n, err)
		}
		if es, newest, err := tx.Since(0, 10); len(es) != 0 || newest != 0 || err != nil {
			t.Errorf("the snapshot sees %v, newest %d, %v", es, newest, err)
		}
		return nil
	})
	wantCount(t, s, "n", 2)
	if err := s.View(t.Context(), "p", func(store.Tx) error { return errOwn }); !errors.Is(err, errOwn) {
		t.Errorf("view = %v, want the function's own error", err)
	}
}

// wordsOfASnapshot asks an older and a newer view in turns: what one of them
// found is nothing to the other.
func wordsOfASnapshot(t *testing.T, s store.Store) {
	put := func(key, text, tag string) {
		update(t, s, "p", func(tx store.Tx) error {
			return tx.Put(store.Applications, store.Record{Key: key, Index: map[string]string{"text": text}, Tags: []string{tag}})
		})
	}
	want := func(tx store.Tx, q store.Query, keys ...string) {
		t.Helper()
		q.Limit = 10
		found, err := tx.List(store.Applications, q)
		must(t, err)
		tags, err := tx.TallyTags(store.Applications, q, "x", 10)
		must(t, err)
		var names []string
		for _, r := range found {
			names = append(names, r.Key)
		}
		same(t, "found", names, keys)
		same(t, "tags", len(tags), min(len(keys), 1))
	}
	pay, red := store.Query{Contains: map[string][]string{"text": {"pay"}}}, store.Query{Tags: []string{"x=red"}}
	put("a", "payments", "x=red")
	put("b", "search", "x=blue")
	view(t, s, "p", func(older store.Tx) error {
		want(older, pay, "a")
		put("b", "payments too", "x=red")
		for range 2 {
			view(t, s, "p", func(newer store.Tx) error {
				want(newer, pay, "a", "b")
				want(newer, red, "a", "b")
				return nil
			})
			want(older, pay, "a")
			want(older, red, "a")
		}
		return nil
	})
	update(t, s, "p", func(tx store.Tx) error {
		must(t, tx.Delete(store.Applications, "a"))
		want(tx, pay, "b")
		return nil
	})
	view(t, s, "p", func(tx store.Tx) error { want(tx, red, "b"); return nil })
	view(t, s, "q", func(tx store.Tx) error { want(tx, red); return nil })
}

func viewCannotWrite(t *testing.T, s store.Store) {
	view(t, s, "p", func(tx store.Tx) error {
		for name, err := range map[string]error{
			"append": tx.Append(deployment("d"), 0, "", events("a", 1)),
			"put":    tx.Put(store.Agents, store.Record{Key: "k"}),
			"delete": tx.Delete(store.Agents, "k"),
		} {
			if err == nil {
				t.Errorf("%s in a view succeeds", name)
			}
		}
		return nil
	})
}

func endedTransaction(t *testing.T, s store.Store) {
	var kept []store.Tx
	keep := func(tx store.Tx) error { kept = append(kept, tx); return nil }
	update(t, s, "p", keep)
	view(t, s, "p", keep)
	for _, tx := range kept {
		if err := tx.Put(store.Agents, store.Record{Key: "late"}); err == nil {
			t.Error("a transaction that has ended can write")
		}
		if _, _, err := tx.Get(store.Agents, "late"); err == nil {
			t.Error("a transaction that has ended can read")
		}
	}
}

func closed(t *testing.T, s store.Store) {
	must(t, s.Close())
	nothing := func(store.Tx) error { return nil }
	wantCode(t, "update", s.Update(t.Context(), "p", nothing), deploy.CodeUnavailable)
	wantCode(t, "view", s.View(t.Context(), "p", nothing), deploy.CodeUnavailable)
	_, err := s.Side().AppendLog(t.Context(), store.LogKey{Project: "p", Deployment: "d", Stage: "s"}, 1, 0, []byte("x"))
	wantCode(t, "append to log", err, deploy.CodeUnavailable)
}
