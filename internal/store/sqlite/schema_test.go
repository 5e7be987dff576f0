package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

func rawFile(t *testing.T, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// column1 returns the first column of all rows.
func column1(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Join(strings.Fields(s), " "))
	}
	return out
}

// TestCreateIsMigrate compares the script for a new database with what goose
// makes of the same files.
func TestCreateIsMigrate(t *testing.T) {
	for _, dir := range []string{"main", "side"} {
		var got [2][]string
		for i, make := range []func(*sql.DB) error{
			func(db *sql.DB) error {
				return migrate(t.Context(), db, "file", dir, Options{Logger: slog.New(slog.DiscardHandler)})
			},
			func(db *sql.DB) error { return byGoose(t.Context(), db, dir) },
		} {
			db := rawFile(t, filepath.Join(t.TempDir(), "x.db"))
			if err := make(db); err != nil {
				t.Fatal(err)
			}
			got[i] = append(column1(t, db, "SELECT type || name || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"),
				column1(t, db, "SELECT version_id || '/' || is_applied FROM "+versions+" ORDER BY id")...)
			for j, s := range got[i] {
				got[i][j] = strings.NewReplacer("( ", "(", " )", ")").Replace(s)
			}
		}
		if diff := cmp.Diff(got[1], got[0]); diff != "" {
			t.Errorf("%s: created (+) differs from migrated (-):\n%s", dir, diff)
		}
	}
}

func byGoose(ctx context.Context, db *sql.DB, dir string) error {
	files, err := fs.Sub(schemas, "schema/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// TestSchemaHasTheCollections finds a table for each collection, with its
// columns, and an index for each column that begins with the project.
func TestSchemaHasTheCollections(t *testing.T) {
	s := memory(t)
	for _, c := range store.Collections() {
		cols := column1(t, s.main, "SELECT name FROM pragma_table_info(?) ORDER BY cid", c.Name)
		want := append([]string{"project_id", "key", "body"}, c.Index...)
		if c.Summary {
			want = append(want, "summary")
		}
		if !slices.Equal(cols, want) {
			t.Errorf("%s has columns %v, want %v", c.Name, cols, want)
		}
		for _, name := range c.Index {
			if name == text {
				continue
			}
			cols := column1(t, s.main, "SELECT name FROM pragma_index_info(?) ORDER BY seqno", c.Name+"_by_"+name)
			if want := []string{"project_id", name, "key"}; !slices.Equal(cols, want) {
				t.Errorf("index of %s by %s has %v, want %v", c.Name, name, cols, want)
			}
		}
	}
}

// TestQueriesUseIndexes asks the planner: no query on the way of a request may
// read a whole table or sort it.
func TestQueriesUseIndexes(t *testing.T) {
	s := memory(t)
	tx := &tx{project: "p"}
	for name, q := range map[string]store.Query{
		"page":        {After: &store.Cursor{Key: "k"}},
		"newest":      {OrderBy: "name", Desc: true, After: &store.Cursor{Value: "v", Key: "k"}},
		"of one":      {Where: map[string][]string{"application_id": {"a"}}},
		"due, oldest": {NotAfter: map[string]string{"timer": "t"}, OrderBy: "timer"},
	} {
		w, err := tx.where(store.Deployments, q, lead{})
		if err != nil {
			t.Fatal(err)
		}
		order, err := w.order(store.Deployments, q)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.main.QueryContext(t.Context(), "EXPLAIN QUERY PLAN SELECT body FROM deployments"+w.text.String()+order, w.args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c int
			var plan string
			if err := rows.Scan(&a, &b, &c, &plan); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(plan, "SEARCH deployments USING INDEX") {
				t.Errorf("%s: %s", name, plan)
			}
		}
		_ = rows.Close()
	}
}

func TestNewerSchema(t *testing.T) {
	for _, file := range []string{MainFile, SideFile} {
		dir := t.TempDir()
		if err := open(t, dir, Options{}).Close(); err != nil {
			t.Fatal(err)
		}
		db := rawFile(t, filepath.Join(dir, file))
		if _, err := db.ExecContext(t.Context(), "INSERT INTO "+versions+" (version_id, is_applied) VALUES (99, 1)"); err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
		_, err := Open(t.Context(), dir, Options{})
		if deploy.CodeOf(err) != deploy.CodeUnsupported || !strings.Contains(err.Error(), "newer version of Penstock") || !strings.Contains(err.Error(), filepath.Join(dir, file)) {
			t.Errorf("%s of schema 99: %v", file, err)
		}
	}
}

func TestDamaged(t *testing.T) {
	for _, c := range []struct{ file, remedy string }{{MainFile, "restore a backup"}, {SideFile, "move it away"}} {
		for name, damage := range map[string]func([]byte){
			"not a database":   func(b []byte) { copy(b, "this is no database at all") },
			"overwritten page": func(b []byte) { copy(b[4096:], strings.Repeat("damage ", 2000)) },
		} {
			dir := t.TempDir()
			if err := open(t, dir, Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, c.file)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			damage(data)
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), dir, Options{})
			if deploy.CodeOf(err) != deploy.CodeInternal || !strings.Contains(fmt.Sprint(err), c.remedy) || !strings.Contains(fmt.Sprint(err), file) {
				t.Errorf("%s, %s: %v", c.file, name, err)
			}
		}
	}
}

func TestOpenWhereItCannot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), file, Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in place of the directory: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "odd name? #1 100%", "new")
	s := open(t, dir, Options{})
	if _, err := os.Stat(filepath.Join(dir, MainFile)); err != nil || s.Dir() != dir {
		t.Errorf("a directory with an odd name: %v", err)
	}
	blocked := t.TempDir()
	if err := os.Mkdir(filepath.Join(blocked, MainFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), blocked, Options{}); deploy.CodeOf(err) != deploy.CodeUnavailable {
		t.Errorf("a directory in place of the file: %v", err)
	}
}

// TestMigratedCounts holds that the migration counts tags as Put does.
func TestMigratedCounts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	err := s.Update(t.Context(), "p", func(tx store.Tx) error {
		for i := range 30 {
			index := map[string]string{"display": []string{"SUCCESS", "FAILURE"}[i%2], "kind": []string{"A", "B", "C"}[i%3], "text": fmt.Sprint("text ", i%4)}
			tags := []string{fmt.Sprint("label:x=", i%5), "who:ann"}
			for _, c := range []store.Collection{store.Deployments, store.Applications} {
				if err := tx.Put(c, store.Record{Key: fmt.Sprint("k", i%20), Index: index, Tags: tags[:1+i%2]}); err != nil {
					return err
				}
			}
		}
		return tx.Delete(store.Deployments, "k3")
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	script, err := fs.ReadFile(schemas, "schema/main/00004_summaries.sql")
	if err != nil {
		t.Fatal(err)
	}
	db := rawFile(t, filepath.Join(dir, MainFile))
	for _, c := range []store.Collection{store.Deployments, store.Applications} {
		table := c.Name + "_tags"
		kept := "SELECT project_id || '/' || tag || '/' || \"" + strings.Join(c.Facets, "\" || '/' || \"") + "\" || '/' || n FROM " + table + " ORDER BY 1"
		want := column1(t, db, kept)
		if len(want) < 10 {
			t.Fatalf("%s has %d rows", table, len(want))
		}
		_, rest, _ := strings.Cut(string(script), "INSERT INTO "+table)
		insert, _, _ := strings.Cut(rest, ";")
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+table+"; INSERT INTO "+table+insert); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, column1(t, db, kept)); diff != "" {
			t.Errorf("%s (-kept +migrated):\n%s", table, diff)
		}
	}
}
