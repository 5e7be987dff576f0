package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/penstock-cd/penstock/internal/blob/file"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

const (
	blobDir   = "blobs"
	adminFile = "admin.json"
)

// Backup copies a data directory to a new one while a server may use it: the
// database at one instant, then the blobs, which are written before anything
// names them. It returns the number of blobs. A damaged blob is left out and
// told; everything else is complete then.
func Backup(ctx context.Context, dataDir, to string) (blobs int, err error) {
	st, err := sqlite.Open(ctx, dataDir, sqlite.Options{ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", dataDir, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := st.Backup(ctx, to); err != nil {
		return 0, err
	}
	return copyRest(ctx, dataDir, to)
}

// copyRest copies what stands beside the database.
func copyRest(ctx context.Context, from, to string) (blobs int, err error) {
	if err := copyAdmin(from, to); err != nil {
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(from, blobDir)); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	src, err := file.Open(filepath.Join(from, blobDir))
	if err != nil {
		return 0, err
	}
	dst, err := file.Open(filepath.Join(to, blobDir))
	if err != nil {
		return 0, errors.Join(err, src.Close())
	}
	blobs, err = src.CopyTo(ctx, dst)
	return blobs, errors.Join(err, src.Close(), dst.Close())
}

// copyAdmin copies the generated admin login, if there is one.
func copyAdmin(from, to string) error {
	b, err := os.ReadFile(filepath.Join(from, adminFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the admin login: %w", err)
	}
	if err := os.WriteFile(filepath.Join(to, adminFile), b, 0o600); err != nil {
		return fmt.Errorf("copy the admin login: %w", err)
	}
	return nil
}

// Restore makes a data directory of a backup. The store has a new incarnation
// from then on: the server that opens it voids all leases, and agents look at
// what is live before they go on (architecture, rule 12). A directory that is
// there and not empty is refused.
func Restore(ctx context.Context, from, dataDir string) (blobs int, err error) {
	if err := wantEmpty(dataDir); err != nil {
		return 0, err
	}
	st, err := sqlite.Open(ctx, from, sqlite.Options{ReadOnly: true})
	if err != nil {
		return 0, fmt.Errorf("open the backup: %w", err)
	}
	err = st.Check(ctx)
	partial := filepath.Clean(dataDir) + ".restoring"
	if err == nil {
		err = st.Backup(ctx, partial)
	}
	if err = errors.Join(err, st.Close()); err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(partial) }() // after the renaming there is nothing
	if blobs, err = copyRest(ctx, from, partial); err != nil {
		return 0, err
	}
	fresh, err := sqlite.Open(ctx, partial, sqlite.Options{RestoreIncarnation: true})
	if err != nil {
		return 0, fmt.Errorf("open what was restored: %w", err)
	}
	if err := fresh.Close(); err != nil {
		return 0, err
	}
	if err := os.Remove(dataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("make way for the restored data: %w", err)
	}
	return blobs, os.Rename(partial, dataDir)
}

func wantEmpty(dir string) error {
	there, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(there) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return &deploy.Error{Code: deploy.CodeExists, Object: dir, Message: "a backup is restored to a new or empty directory, this one has files: move them away, or name another one"}
}

// Findings is what a check went through.
type Findings struct {
	Deployments  int `json:"deployments"`
	Applications int `json:"applications"`
	Events       int `json:"events"`
	Blobs        int `json:"blobs"`
	// Problems are sentences for a person; none means that all is well.
	Problems []string `json:"problems"`
}

// Check reads a data directory through while a server may use it: both
// database files, every stream folded again and compared with the state that
// is kept of it, what lists read compared with that state, every blob against
// its digest.
func Check(ctx context.Context, dataDir string) (f Findings, err error) {
	f.Problems = []string{}
	st, err := sqlite.Open(ctx, dataDir, sqlite.Options{ReadOnly: true})
	if err != nil {
		return f, fmt.Errorf("open %s: %w", dataDir, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := st.Check(ctx); err != nil {
		f.Problems = append(f.Problems, err.Error())
		return f, nil
	}
	projects, err := keys(ctx, st, store.System, store.Projects)
	if err != nil {
		return f, err
	}
	for _, project := range projects {
		indexed := false
		err := st.View(ctx, store.System, func(tx store.Tx) (err error) {
			indexed, err = index.Current(tx, project)
			return err
		})
		if err != nil {
			return f, err
		}
		if err := f.streams(ctx, st, project, indexed); err != nil {
			return f, err
		}
	}
	return f, f.blobs(ctx, filepath.Join(dataDir, blobDir))
}

// streams folds the streams of a project. What lists read is compared if this
// version of the program made it.
func (f *Findings) streams(ctx context.Context, st *sqlite.Store, project string, indexed bool) error {
	for kind, c := range map[deploy.StreamKind]store.Collection{deploy.StreamApplication: store.Applications, deploy.StreamDeployment: store.Deployments} {
		ids, err := keys(ctx, st, project, c)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := f.stream(ctx, st, project, store.Stream{Kind: kind, ID: id}, c, indexed); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream folds one stream, on one snapshot with its state.
func (f *Findings) stream(ctx context.Context, st *sqlite.Store, project string, s store.Stream, c store.Collection, indexed bool) error {
	return st.View(ctx, project, func(tx store.Tx) error {
		rec, ok, err := tx.Get(c, s.ID)
		if err != nil || !ok {
			return err
		}
		var events []deploy.Event
		for after := int64(0); ; {
			stored, err := tx.Read(s, after, 1000)
			if err != nil {
				return err
			}
			for _, e := range stored {
				events, after = append(events, e.Event), e.Seq
			}
			if len(stored) < 1000 {
				break
			}
		}
		f.Events += len(events)
		var same bool
		if s.Kind == deploy.StreamApplication {
			f.Applications++
			same, err = folds(engine.FoldApp, events, rec.Body)
		} else {
			f.Deployments++
			same, err = folds(engine.Fold, events, rec.Body)
		}
		if err != nil {
			f.Problems = append(f.Problems, fmt.Sprintf("%s %s: its %d events cannot be folded: %v", s.Kind, s.ID, len(events), err))
		} else if !same {
			f.Problems = append(f.Problems, fmt.Sprintf("%s %s: the fold of its %d events is not the state that is kept", s.Kind, s.ID, len(events)))
		}
		if !indexed {
			return nil
		}
		return f.listed(tx, s.Kind, c, rec)
	})
}

// listed compares what lists read with the state that is kept.
func (f *Findings) listed(tx store.Tx, kind deploy.StreamKind, c store.Collection, rec store.Record) error {
	want, err := made(kind, rec)
	if err != nil {
		f.Problems = append(f.Problems, fmt.Sprintf("%s %s: its state cannot be read: %v", kind, rec.Key, err))
		return nil
	}
	differs, err := index.Differs(tx, c, want)
	if len(differs) > 0 {
		f.Problems = append(f.Problems, fmt.Sprintf("%s %s: lists show another state than the one that is kept: %s", kind, rec.Key, strings.Join(differs, ", ")))
	}
	return err
}

// made is the record that belongs to a kept state.
func made(kind deploy.StreamKind, rec store.Record) (store.Record, error) {
	if kind == deploy.StreamApplication {
		var a deploy.Application
		if err := json.Unmarshal(rec.Body, &a); err != nil {
			return rec, err
		}
		return index.Application(a, rec.Index["health"])
	}
	var d deploy.Deployment
	if err := json.Unmarshal(rec.Body, &d); err != nil {
		return rec, err
	}
	return index.Deployment(d)
}

// blobs verifies every blob.
func (f *Findings) blobs(ctx context.Context, dir string) (err error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	b, err := file.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.Each(ctx, func(digest string) error {
		f.Blobs++
		if _, err := b.Get(ctx, digest); err != nil {
			f.Problems = append(f.Problems, err.Error())
		}
		return nil
	})
}

// keys lists the keys of a collection.
func keys(ctx context.Context, st *sqlite.Store, project string, c store.Collection) ([]string, error) {
	var out []string
	err := st.View(ctx, project, func(tx store.Tx) error {
		for q := (store.Query{Limit: 1000}); ; {
			recs, err := tx.List(c, q)
			if err != nil {
				return err
			}
			for _, r := range recs {
				out = append(out, r.Key)
			}
			if len(recs) < q.Limit {
				return nil
			}
			q.After = &store.Cursor{Key: recs[len(recs)-1].Key}
		}
	})
	return out, err
}

// folds compares the fold of events with a kept state.
func folds[T any](fold func([]deploy.Event) (T, error), events []deploy.Event, kept []byte) (bool, error) {
	folded, err := fold(events)
	if err != nil {
		return false, err
	}
	return engine.Agrees(kept, folded)
}
