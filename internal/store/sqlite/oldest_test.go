package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// TestOldestDatabase opens the oldest database that is to be supported, kept as SQL in testdata/oldest and never made anew:
// every later version brings it forward with all that is in it.
func TestOldestDatabase(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{MainFile, SideFile} {
		script, err := os.ReadFile(filepath.Join("testdata", "oldest", strings.TrimSuffix(file, ".db")+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		db := rawFile(t, filepath.Join(dir, file))
		if _, err := db.ExecContext(t.Context(), string(script)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if got := s.Incarnation(); got != "30133fd5-b112-42c3-9926-400ace16ce5e" {
		t.Errorf("bringing it forward made the incarnation %q", got)
	}
	err := s.View(t.Context(), "p", func(tx store.Tx) error {
		events, err := tx.Read(app("w0"), 0, 10)
		if err != nil {
			return err
		}
		if len(events) != 3 || events[2].ID != "w0-3" || events[2].Type != deploy.EvStepDone || len(events[2].Data) == 0 || events[2].Pos != 5 {
			t.Errorf("events %+v", events)
		}
		due, err := tx.List(store.Deployments, store.Query{OrderBy: "timer", NotAfter: map[string]string{"timer": "2026-11-23T12:00:00.000000000Z"}, Limit: 10})
		if err != nil {
			return err
		}
		if len(due) != 1 || due[0].Key != "d1" || !strings.HasPrefix(string(due[0].Body), `{"id":"d1","status":"RUNNING"`) || len(due[0].Body) < 5000 || due[0].Index["open"] != "1" {
			t.Errorf("what is due: %d records", len(due))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	key := store.LogKey{Project: "p", Deployment: "d1", Stage: "s", Attempt: 1}
	if text, err := s.Side().ReadLog(t.Context(), key, 0, 100); err != nil || string(text) != "line\n" {
		t.Errorf("log %q, %v", text, err)
	}
	if v, _, ok, err := s.Side().GetSide(t.Context(), "p", "live", "a1"); err != nil || !ok || string(v) != "live" {
		t.Errorf("side value %q, %v, %v", v, ok, err)
	}
	if n, err := writeBoth(t.Context(), s, 0, 0); err != nil || n != 4 {
		t.Errorf("going on with it: %d, %v", n, err)
	}
}

// TestReadOnly looks into a store beside the one that writes it.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), dir, Options{ReadOnly: true}); deploy.CodeOf(err) != deploy.CodeNotFound {
		t.Errorf("a directory without a database: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("looking made %v, %v", left, err)
	}
	s := open(t, dir, Options{})
	if _, err := writeBoth(t.Context(), s, 0, 0); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, Options{ReadOnly: true})
	if r.Incarnation() != s.Incarnation() {
		t.Errorf("incarnation %q beside %q", r.Incarnation(), s.Incarnation())
	}
	if got := lengths(t, r)["w0"]; got != 1 {
		t.Errorf("%d events are seen, want 1", got)
	}
	if _, err := writeBoth(t.Context(), s, 0, 1); err != nil {
		t.Errorf("writing beside a reader: %v", err)
	}
	if got := lengths(t, r)["w0"]; got != 2 {
		t.Errorf("%d events are seen behind another write, want 2", got)
	}
	if _, err := writeBoth(t.Context(), r, 0, 2); deploy.CodeOf(err) != deploy.CodeInvalid {
		t.Errorf("writing through the reader: %v", err)
	}
	if err := r.Backup(t.Context(), filepath.Join(t.TempDir(), "copy")); err != nil {
		t.Errorf("backup beside the writer: %v", err)
	}
}
