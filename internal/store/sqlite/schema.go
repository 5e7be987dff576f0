package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/penstock-cd/penstock/internal/deploy"
)

//go:embed schema
var schemas embed.FS

// versions is the table in which goose notes what was applied.
const versions = "goose_db_version"

// migrate brings a database to the newest schema. A new one gets all of it in
// one transaction, so that a crash leaves nothing half made; an older one is
// brought up by goose, step by step.
func migrate(ctx context.Context, db *sql.DB, file, dir string, o Options) error {
	logger := o.Logger
	files, err := fs.Sub(schemas, "schema/"+dir)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithSlog(logger), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	have, err := schemaVersion(ctx, db)
	switch {
	case err != nil:
		return explain(file, err)
	case have > newest:
		return &deploy.Error{Code: deploy.CodeUnsupported, Object: file, Message: fmt.Sprintf(
			"this database has schema %d, made by a newer version of Penstock; this version knows up to %d: start the newer version, or restore a backup from before the upgrade", have, newest)}
	case have == newest:
		return nil
	case o.ReadOnly:
		return &deploy.Error{Code: deploy.CodeUnsupported, Object: file, Message: fmt.Sprintf(
			"this database has schema %d and this version works with %d: use the version that runs the server, or let this one start it once", have, newest)}
	case have == 0:
		return explain(file, create(ctx, db, files, sources))
	}
	logger.InfoContext(ctx, "bringing the database to a newer schema", "file", file, "from", have, "to", newest)
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bring %s from schema %d to %d: %w", file, have, newest, explain(file, err))
	}
	return nil
}

// schemaVersion returns the version of a database, 0 when it is new.
func schemaVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = ?", versions).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	var v sql.NullInt64
	err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM "+versions+" WHERE is_applied").Scan(&v)
	return v.Int64, err
}

// create applies every migration as one script, and notes them as goose does.
func create(ctx context.Context, db *sql.DB, files fs.FS, sources []*goose.Source) error {
	var script strings.Builder
	script.WriteString("CREATE TABLE " + versions + " (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')));\n")
	script.WriteString("INSERT INTO " + versions + " (version_id, is_applied) VALUES (0, 1);\n")
	for _, src := range sources {
		text, err := fs.ReadFile(files, src.Path)
		if err != nil {
			return err
		}
		script.Write(text)
		fmt.Fprintf(&script, "INSERT INTO %s (version_id, is_applied) VALUES (%d, 1);\n", versions, src.Version)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, script.String()); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// check looks for damage. It reads the whole file.
func check(ctx context.Context, db *sql.DB, file, remedy string) error {
	var answer string
	err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&answer)
	if err == nil && answer == "ok" {
		return nil
	}
	if err != nil && !damaged(err) {
		return explain(file, err)
	}
	return &deploy.Error{Code: deploy.CodeInternal, Object: file, Message: "the database is damaged: " + remedy, Err: errOr(err, answer)}
}
