package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Backup writes a copy of the store to a new directory while the store goes
// on working. Each file is one consistent snapshot. The directory appears
// under its name when it is complete and on disk. The copy has no incarnation:
// whoever opens it first gives it a new one, because time has gone on without it.
func (s *Store) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return &deploy.Error{Code: deploy.CodeExists, Object: path, Message: "a backup is written to a new directory, this one is there already"}
	}
	if err := s.backup(ctx, path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) error {
	select {
	case <-s.closing:
		return errClosed(s.dir)
	default:
	}
	parent := filepath.Dir(filepath.Clean(path))
	partial, err := os.MkdirTemp(parent, ".backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial) // after the renaming there is nothing
	for file, db := range map[string]*sql.DB{MainFile: s.main, SideFile: s.aside} {
		to := filepath.Join(partial, file)
		if _, err := db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
			return explain(to, err)
		}
		if file == MainFile {
			if err := forget(ctx, to); err != nil {
				return explain(to, err)
			}
		}
		if err := flush(to); err != nil {
			return err
		}
	}
	if err := flush(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return flush(parent)
}

// forget takes the incarnation out of a copy.
func forget(ctx context.Context, file string) error {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(file)}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM meta WHERE name = 'incarnation'")
	return errors.Join(err, db.Close())
}

// Check reads both files through and looks for damage of any kind, also for
// indexes that do not fit their tables. It takes some seconds per gigabyte.
func (s *Store) Check(ctx context.Context) error {
	for file, db := range map[string]*sql.DB{MainFile: s.main, SideFile: s.aside} {
		var answer string
		err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&answer)
		if err != nil {
			return explain(filepath.Join(s.dir, file), err)
		}
		if answer != "ok" {
			return &deploy.Error{
				Code: deploy.CodeInternal, Object: filepath.Join(s.dir, file), Err: errors.New(answer), Message: "the database is damaged: stop the server and restore a backup",
			}
		}
	}
	return nil
}

// flush forces a file or a directory to disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
