package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Backup writes a copy of the store to a new directory while the store goes
// on working. Each file is one consistent snapshot. The directory appears
// under its name when it is complete and on disk. To restore, open the copy
// once with Options.RestoreIncarnation.
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

// flush forces a file or a directory to disk.
func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
