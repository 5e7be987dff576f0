package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

func appendAndRead(t *testing.T, s store.Store) {
	first, second := events("a", 3), events("b", 2)
	second[0].At, second[0].Data, second[0].Reason = time.Time{}, nil, deploy.Reason{}
	second[1].Data = json.RawMessage(`{"long":"` + string(bytes.Repeat([]byte("compress me "), 900)) + `"}`)
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 0, first))
	must(t, appendEvents(t.Context(), s, "p", deployment("other"), 0, events("c", 1)))
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 3, second))
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 5, nil))

	got := readAll(t, s, "p", deployment("d"))
	var plain []deploy.Event
	for i, e := range got {
		plain = append(plain, e.Event)
		if e.Seq != int64(i)+1 || e.Topic != "topic" || e.Stream != deployment("d") || i > 0 && e.Pos <= got[i-1].Pos {
			t.Errorf("event %d is at %+v seq %d pos %d topic %q", i, e.Stream, e.Seq, e.Pos, e.Topic)
		}
	}
	same(t, "events", plain, append(first, second...))
	view(t, s, "p", func(tx store.Tx) error {
		page, err := tx.Read(deployment("d"), 1, 2)
		if err != nil || len(page) != 2 || page[0].Seq != 2 || page[1].Seq != 3 {
			t.Errorf("read after 1, 2 at most: %v, %v", page, err)
		}
		none, err := tx.Read(store.Stream{Kind: deploy.StreamApplication, ID: "d"}, 0, 9)
		if err != nil || len(none) != 0 {
			t.Errorf("a stream of another kind has %v, %v", none, err)
		}
		_, err = tx.Read(deployment("d"), 0, 0)
		wantCode(t, "read without limit", err, deploy.CodeInvalid)
		return nil
	})
}

func appendConflict(t *testing.T, s store.Store) {
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 0, events("a", 2)))
	for _, after := range []int64{-2, 0, 1, 3} {
		err := appendEvents(t.Context(), s, "p", deployment("d"), after, events("b", 1))
		wantCode(t, fmt.Sprintf("append after %d", after), err, deploy.CodeConflict)
	}
	wantCode(t, "append nothing at an old place", appendEvents(t.Context(), s, "p", deployment("d"), 1, nil), deploy.CodeConflict)
	if n := len(readAll(t, s, "p", deployment("d"))); n != 2 {
		t.Errorf("%d events after refused appends, want 2", n)
	}
}

// appendAnyLength appends without knowing the end, twice in one transaction.
func appendAnyLength(t *testing.T, s store.Store) {
	const n = store.AnyLength
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), n, events("a", 2)))
	update(t, s, "p", func(tx store.Tx) error {
		must(t, tx.Append(deployment("d"), n, "", events("b", 1)))
		return tx.Append(deployment("d"), n, "", events("c", 2))
	})
	var ids []string
	for i, e := range readAll(t, s, "p", deployment("d")) {
		ids = append(ids, e.ID)
		if e.Seq != int64(i)+1 {
			t.Errorf("event %s has seq %d, want %d", e.ID, e.Seq, i+1)
		}
	}
	same(t, "ids", ids, []string{"a-0", "a-1", "b-0", "c-0", "c-1"})
	err := appendEvents(t.Context(), s, "p", deployment("d"), n, events("b", 1))
	if deploy.RefusalOf(err) != deploy.RefusedDuplicate {
		t.Errorf("a repeated event: %v, want refused as %s", err, deploy.RefusedDuplicate)
	}
	wantCode(t, "beyond the budget", appendEvents(t.Context(), s, "p", deployment("d"), n, events("e", deploy.MaxDeploymentEvents-4)), deploy.CodeTooLarge)
}

func appendDuplicate(t *testing.T, s store.Store) {
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 0, events("a", 2)))
	first := readAll(t, s, "p", deployment("d"))
	changed := events("a", 1)
	changed[0].Actor = "somebody else"
	twice := append(events("b", 1), events("b", 1)...)
	for _, c := range []struct {
		name   string
		to     store.Stream
		after  int64
		events []deploy.Event
	}{
		{"repeated call", deployment("d"), 0, events("a", 2)},
		{"repeated id at the end", deployment("d"), 2, changed},
		{"behind a new event", deployment("d"), 2, append(events("b", 1), changed...)},
		{"in another stream", deployment("e"), 0, changed},
		{"twice in one call", deployment("d"), 2, twice},
	} {
		err := appendEvents(t.Context(), s, "p", c.to, c.after, c.events)
		if deploy.CodeOf(err) != deploy.CodeRefused || deploy.RefusalOf(err) != deploy.RefusedDuplicate {
			t.Errorf("%s: %v, want refused as %s", c.name, err, deploy.RefusedDuplicate)
		}
	}
	// A function that takes the refusal for an answer stores nothing of the call.
	update(t, s, "p", func(tx store.Tx) error {
		if err := tx.Append(deployment("d"), 2, "", append(events("b", 1), changed...)); err == nil {
			t.Error("a repeated event was stored")
		}
		return nil
	})
	same(t, "events", readAll(t, s, "p", deployment("d")), first)
	must(t, appendEvents(t.Context(), s, "q", deployment("d"), 0, events("a", 1))) // ids belong to a project
}

func appendLimits(t *testing.T, s store.Store) {
	large := events("large", 1)
	large[0].Data = json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), deploy.MaxEventBytes)) + `"`)
	wantCode(t, "large event", appendEvents(t.Context(), s, "p", deployment("d"), 0, large), deploy.CodeTooLarge)
	large[0].Data = large[0].Data[:deploy.MaxEventBytes-1000]
	large[0].Data[len(large[0].Data)-1] = '"'
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 0, large))

	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 1, events("a", deploy.MaxDeploymentEvents-2)))
	wantCode(t, "two beyond the budget less one",
		appendEvents(t.Context(), s, "p", deployment("d"), deploy.MaxDeploymentEvents-1, events("b", 2)), deploy.CodeTooLarge)
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), deploy.MaxDeploymentEvents-1, events("c", 1)))
	wantCode(t, "beyond the budget",
		appendEvents(t.Context(), s, "p", deployment("d"), deploy.MaxDeploymentEvents, events("e", 1)), deploy.CodeTooLarge)
	app := store.Stream{Kind: deploy.StreamApplication, ID: "app"} // lives for years
	must(t, appendEvents(t.Context(), s, "p", app, 0, events("f", deploy.MaxDeploymentEvents+1)))

	nameless := events("g", 1)
	nameless[0].ID = ""
	wantCode(t, "event without id", appendEvents(t.Context(), s, "p", app, deploy.MaxDeploymentEvents+1, nameless), deploy.CodeInvalid)
}

func since(t *testing.T, s store.Store) {
	ask := func(after int64, limit int) (es []store.Stored, newest int64) {
		view(t, s, "p", func(tx store.Tx) (err error) {
			es, newest, err = tx.Since(after, limit)
			return err
		})
		return es, newest
	}
	if es, newest := ask(0, 10); len(es) != 0 || newest != 0 {
		t.Errorf("empty store: %v, newest %d", es, newest)
	}
	must(t, appendEvents(t.Context(), s, "p", deployment("a"), 0, events("a", 2)))
	must(t, appendEvents(t.Context(), s, "q", deployment("b"), 0, events("b", 2)))
	must(t, appendEvents(t.Context(), s, "p", deployment("c"), 0, events("c", 2)))

	all, newest := ask(0, 10)
	var ids []string
	for _, e := range all {
		ids = append(ids, e.ID)
		if len(e.Data) != 0 {
			t.Errorf("event %s comes with its data", e.ID)
		}
		if e.Topic != "topic" || e.Type != deploy.EvStepDone || e.Reason.Code != "BECAUSE" || e.Actor != "agent:a" || e.Seq == 0 {
			t.Errorf("event %+v is incomplete", e)
		}
	}
	same(t, "ids", ids, []string{"a-0", "a-1", "c-0", "c-1"})
	if newest != all[3].Pos {
		t.Errorf("newest = %d, the last event is at %d", newest, all[3].Pos)
	}
	if page, n := ask(all[0].Pos, 2); len(page) != 2 || page[0].ID != "a-1" || page[1].ID != "c-0" || n != newest {
		t.Errorf("after the first, 2 at most: %v, newest %d", page, n)
	}
	if rest, n := ask(newest, 10); len(rest) != 0 || n != newest {
		t.Errorf("behind the newest: %v, newest %d, want %d", rest, n, newest)
	}
	must(t, appendEvents(t.Context(), s, "q", deployment("b"), 2, events("d", 1)))
	if rest, n := ask(newest, 10); len(rest) != 0 || n <= newest {
		t.Errorf("another project's event: %v, newest %d, want more than %d", rest, n, newest)
	}
}

func projectsAreApart(t *testing.T, s store.Store) {
	must(t, appendEvents(t.Context(), s, "p", deployment("d"), 0, events("a", 2)))
	update(t, s, "p", func(tx store.Tx) error {
		return tx.Put(store.Agents, store.Record{Key: "k", Body: []byte("of p"), Index: map[string]string{"name": "n"}})
	})
	update(t, s, "q", func(tx store.Tx) error {
		if es, err := tx.Read(deployment("d"), 0, 10); err != nil || len(es) != 0 {
			t.Errorf("q reads %v, %v", es, err)
		}
		if es, _, err := tx.Since(0, 10); err != nil || len(es) != 0 {
			t.Errorf("q sees changes %v, %v", es, err)
		}
		if _, ok, err := tx.Get(store.Agents, "k"); err != nil || ok {
			t.Errorf("q gets a record of p (%v)", err)
		}
		if rs, err := tx.List(store.Agents, store.Query{Limit: 10}); err != nil || len(rs) != 0 {
			t.Errorf("q lists %v, %v", rs, err)
		}
		if err := tx.Delete(store.Agents, "k"); err != nil {
			t.Error(err)
		}
		return tx.Put(store.Agents, store.Record{Key: "k", Body: []byte("of q")})
	})
	view(t, s, "p", func(tx store.Tx) error {
		r, ok, err := tx.Get(store.Agents, "k")
		if err != nil || !ok || string(r.Body) != "of p" {
			t.Errorf("p gets %q, %v, %v", r.Body, ok, err)
		}
		n, err := tx.Count(store.Agents, store.Query{})
		if n != 1 {
			t.Errorf("p counts %d", n)
		}
		return err
	})
	wantCode(t, "update without project", s.Update(t.Context(), "", func(store.Tx) error { return nil }), deploy.CodeInvalid)
	wantCode(t, "view without project", s.View(t.Context(), "", func(store.Tx) error { return nil }), deploy.CodeInvalid)
}
