package launch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/blob/file"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// dataDir is a data directory with one deployment and one blob; mistake changes the state that is kept of the deployment.
func dataDir(t *testing.T, mistake func(*deploy.Deployment)) (dir, digest string) {
	t.Helper()
	return dataDirWith(t, mistake, func(*store.Record) {})
}

// dataDirWith lets a change of the record pass that the state does not have.
func dataDirWith(t *testing.T, mistake func(*deploy.Deployment), change func(*store.Record)) (dir, digest string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	st, err := sqlite.Open(t.Context(), dir, sqlite.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	events, err := engine.Decide(deploy.Deployment{}, engine.Trigger{ID: "d1", ProjectID: "p", App: deploy.Ref{ID: "a1", Name: "web"}, Trigger: deploy.Trigger{Kind: deploy.OnCommit}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	d, err := engine.Fold(events)
	if err != nil {
		t.Fatal(err)
	}
	if mistake != nil {
		mistake(&d)
	}
	rec, err := index.Deployment(d)
	if err != nil {
		t.Fatal(err)
	}
	change(&rec)
	for i := range events {
		events[i].ID = "e" + string(rune('0'+i))
	}
	err = st.Update(t.Context(), "p", func(tx store.Tx) error {
		if err := tx.Append(store.Stream{Kind: deploy.StreamDeployment, ID: "d1"}, store.AnyLength, "a1", events); err != nil {
			return err
		}
		return tx.Put(store.Deployments, rec)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = st.Update(t.Context(), store.System, func(tx store.Tx) error {
		return errors.Join(tx.Put(store.Projects, store.Record{Key: "p", Body: []byte("{}")}), index.MarkCurrent(tx, "p"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	blobs, err := file.Open(filepath.Join(dir, blobDir))
	if err != nil {
		t.Fatal(err)
	}
	if digest, err = blobs.Put(t.Context(), []byte("a blob")); err != nil {
		t.Fatal(err)
	}
	if err := blobs.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, adminFile), []byte(`{"Username":"admin"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, digest
}

func incarnation(t *testing.T, dir string) string {
	t.Helper()
	st, err := sqlite.Open(t.Context(), dir, sqlite.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	return st.Incarnation()
}

func TestBackupAndRestore(t *testing.T) {
	dir, _ := dataDir(t, nil)
	backup, fresh := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "fresh")
	if n, err := Backup(t.Context(), dir, backup); err != nil || n != 1 {
		t.Fatalf("backup: %d blobs, %v", n, err)
	}
	if got := incarnation(t, backup); got != "" {
		t.Errorf("the backup has the incarnation %q: a server on a plain copy of it would not know that time has gone on", got)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil { // an empty directory will do
		t.Fatal(err)
	}
	if n, err := Restore(t.Context(), backup, fresh); err != nil || n != 1 {
		t.Fatalf("restore: %d blobs, %v", n, err)
	}
	if was, is := incarnation(t, dir), incarnation(t, fresh); is == "" || is == was {
		t.Errorf("the incarnation was %q and is %q after the restoration", was, is)
	}
	for _, d := range []string{dir, backup, fresh} {
		f, err := Check(t.Context(), d)
		if err != nil || len(f.Problems) > 0 || f.Deployments != 1 || f.Events == 0 || f.Blobs != 1 {
			t.Errorf("check of %s: %+v, %v", d, f, err)
		}
		if info, err := os.Stat(filepath.Join(d, adminFile)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the admin login in %s: %v, %v", d, info, err)
		}
	}
	if left, err := filepath.Glob(fresh + "?*"); err != nil || len(left) > 0 {
		t.Errorf("restoring leaves %v", left)
	}
	if _, err := Restore(t.Context(), backup, dir); deploy.CodeOf(err) != deploy.CodeExists {
		t.Errorf("restore over other data: %v", err)
	}
	if _, err := Restore(t.Context(), t.TempDir(), filepath.Join(t.TempDir(), "x")); deploy.CodeOf(err) != deploy.CodeNotFound {
		t.Errorf("restore of nothing: %v", err)
	}
	if _, err := Backup(t.Context(), dir, backup); deploy.CodeOf(err) != deploy.CodeExists {
		t.Errorf("backup over a backup: %v", err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	t.Run("a state that is not its fold", func(t *testing.T) {
		dir, _ := dataDir(t, func(d *deploy.Deployment) { d.App.Name = "another" })
		f, err := Check(t.Context(), dir)
		if err != nil || len(f.Problems) != 1 || !strings.Contains(f.Problems[0], "d1") {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("a list that shows something else", func(t *testing.T) {
		dir, _ := dataDirWith(t, nil, func(r *store.Record) { r.Summary, r.Index["display"] = nil, "SUCCESS" })
		f, err := Check(t.Context(), dir)
		if err != nil || len(f.Problems) != 1 || !strings.HasSuffix(f.Problems[0], "display, summary") {
			t.Errorf("%+v, %v", f, err)
		}
	})
	t.Run("a blob", func(t *testing.T) {
		dir, digest := dataDir(t, nil)
		hex := strings.TrimPrefix(digest, "sha256:")
		if err := os.WriteFile(filepath.Join(dir, blobDir, hex[:2], hex[2:]+".zst"), []byte("rot"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Check(t.Context(), dir)
		if err != nil || len(f.Problems) != 1 || !strings.Contains(f.Problems[0], digest) {
			t.Errorf("%+v, %v", f, err)
		}
		if _, err := Backup(t.Context(), dir, filepath.Join(t.TempDir(), "b")); deploy.CodeOf(err) != deploy.CodeInternal {
			t.Errorf("a backup without a blob is told as %v", err)
		}
	})
	t.Run("the database", func(t *testing.T) {
		dir, _ := dataDir(t, nil)
		path := filepath.Join(dir, sqlite.MainFile)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		const page = 4096 // its beginning says what it holds; the middle of an empty one holds nothing
		for i := len(b) / 2 / page * page; i < len(b)/2/page*page+2000; i++ {
			b[i] ^= 0xff
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := Check(t.Context(), dir); err == nil && len(f.Problems) == 0 {
			t.Error("damage in the middle of the file was not found")
		}
	})
}

func TestOneServerOnADirectory(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("a second server on the directory: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := lock(dir)
	if err != nil {
		t.Fatalf("behind the end of the first: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
