// Package storetest is the suite that every implementation of store.Store
// passes. It says in code what the contract says in words.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// Open returns an empty store. The suite closes it.
type Open func(t *testing.T) store.Store

// Run checks everything that does not need a second opening.
func Run(t *testing.T, open Open) {
	for _, part := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"append and read", appendAndRead},
		{"append conflict", appendConflict},
		{"append at any length", appendAnyLength},
		{"append duplicate", appendDuplicate},
		{"append limits", appendLimits},
		{"since", since},
		{"update is atomic", updateIsAtomic},
		{"update panics", updatePanics},
		{"update cancelled", updateCancelled},
		{"failures beside successes", failuresBesideSuccesses},
		{"updates are serialised", updatesAreSerialised},
		{"cursors under writers", cursorsUnderWriters},
		{"view is a snapshot", viewIsASnapshot},
		{"words of a snapshot", wordsOfASnapshot},
		{"view cannot write", viewCannotWrite},
		{"ended transaction", endedTransaction},
		{"projects are apart", projectsAreApart},
		{"records", records},
		{"every collection", everyCollection},
		{"conditions", conditions},
		{"paging under inserts", pagingUnderInserts},
		{"wrong queries", wrongQueries},
		{"records against a model", recordsAgainstModel},
		{"streams against a model", streamsAgainstModel},
		{"log", logChunks},
		{"log cap", logCap},
		{"log in pieces", logInPieces},
		{"logs are apart", logsAreApart},
		{"side values", sideValues},
		{"closed", closed},
	} {
		t.Run(part.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			part.test(t, s)
		})
	}
}

// Reopen checks that a store keeps everything when it is closed and opened
// again. open is called several times for the same place.
func Reopen(t *testing.T, open Open) {
	s := open(t)
	k := store.LogKey{Project: "p", Deployment: "d", Stage: "s", Attempt: 1}
	update(t, s, "p", func(tx store.Tx) error {
		return errors.Join(
			tx.Append(deployment("d"), 0, "app", events("e", 3)),
			tx.Put(store.Agents, store.Record{Key: "a", Body: []byte("body"), Index: map[string]string{"name": "n"}}))
	})
	_, err := s.Side().AppendLog(t.Context(), k, 1, 0, []byte("line\n"))
	must(t, err)
	must(t, s.Side().PutSide(t.Context(), "p", "live", "a", moment(1), []byte("live")))
	before, incarnation := readAll(t, s, "p", deployment("d")), s.Incarnation()
	must(t, s.Close())

	s = open(t)
	defer s.Close()
	if incarnation == "" || s.Incarnation() != incarnation {
		t.Errorf("incarnation %q became %q", incarnation, s.Incarnation())
	}
	same(t, "events", readAll(t, s, "p", deployment("d")), before)
	update(t, s, "p", func(tx store.Tx) error {
		if r, ok, err := tx.Get(store.Agents, "a"); err != nil || !ok || string(r.Body) != "body" || r.Index["name"] != "n" {
			t.Errorf("record = %v, %v, %v", r, ok, err)
		}
		return tx.Append(deployment("d"), 3, "app", events("f", 1))
	})
	if all := readAll(t, s, "p", deployment("d")); len(all) != 4 || all[3].Pos <= before[2].Pos {
		t.Errorf("after reopening the next event is %+v", all)
	}
	text, err := s.Side().ReadLog(t.Context(), k, 0, 100)
	if err != nil || string(text) != "line\n" {
		t.Errorf("log = %q, %v", text, err)
	}
	v, at, ok, err := s.Side().GetSide(t.Context(), "p", "live", "a")
	if err != nil || !ok || string(v) != "live" || !at.Equal(moment(1)) {
		t.Errorf("side value = %q at %v, %v, %v", v, at, ok, err)
	}
}

func deployment(id string) store.Stream { return store.Stream{Kind: deploy.StreamDeployment, ID: id} }

func moment(i int) time.Time {
	return time.Date(2030, 1, 2, 3, 4, 5, 678_901_234, time.UTC).Add(time.Duration(i) * time.Second)
}

// events makes n events with ids that begin with prefix.
func events(prefix string, n int) []deploy.Event {
	out := make([]deploy.Event, n)
	for i := range out {
		out[i] = deploy.Event{
			ID: fmt.Sprintf("%s-%d", prefix, i), Type: deploy.EvStepDone, Schema: 1, At: moment(i), Actor: "agent:a", Cause: "request",
			Reason: deploy.Why("BECAUSE", "n", fmt.Sprint(i)), Data: json.RawMessage(fmt.Sprintf(`{"step":%d,"unknown":"kept"}`, i)),
		}
	}
	return out
}

func update(t *testing.T, s store.Store, project string, f func(store.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), project, f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t *testing.T, s store.Store, project string, f func(store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), project, f); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func appendEvents(ctx context.Context, s store.Store, project string, to store.Stream, after int64, es []deploy.Event) error {
	return s.Update(ctx, project, func(tx store.Tx) error { return tx.Append(to, after, "topic", es) })
}

func readAll(t *testing.T, s store.Store, project string, from store.Stream) []store.Stored {
	t.Helper()
	var out []store.Stored
	view(t, s, project, func(tx store.Tx) (err error) {
		out, err = tx.Read(from, 0, deploy.MaxDeploymentEvents+1)
		return err
	})
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantCode(t *testing.T, what string, err error, code deploy.Code) {
	t.Helper()
	if err == nil || deploy.CodeOf(err) != code {
		t.Errorf("%s: error = %v (%s), want code %s", what, err, deploy.CodeOf(err), code)
	}
}
