// Package sqlite keeps the control plane's database in two SQLite files of one
// directory: penstock.db holds events and records and is forced to disk with
// every commit; side.db holds logs, live states and heartbeats, of which a
// crash of the machine may take the newest.
//
// One goroutine owns the write transaction of penstock.db. Functions that wait
// for it run one after the other in the same transaction, each behind a
// savepoint, and one commit makes all of them durable. Readers have their own
// connections and never wait for it.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// The files of a store's directory.
const (
	MainFile = "penstock.db"
	SideFile = "side.db"
)

const (
	mainReaders = 8
	sideReaders = 4
	// busyFor is how long a statement waits for another process, such as a
	// shell that looks into the file. Within one process nothing waits.
	busyFor = 5 * time.Second
)

// The stages that Options.AroundCommit is told.
const (
	BeforeCommit = "before"
	AfterCommit  = "after"
)

// Options say how to open a store. The zero value is for production.
type Options struct {
	// Logger takes what an operator should know; nil discards it.
	Logger *slog.Logger
	// RestoreIncarnation gives the store a new incarnation: set it for the
	// first opening of a restored backup, so that leases of the lost future
	// are void and every running deployment is looked at before it goes on.
	RestoreIncarnation bool
	// AroundCommit, if set, is called with BeforeCommit and AfterCommit around
	// every durable commit, before any caller learns of it. A call that panics
	// crashes the store at this point as the death of the process would: calls
	// that wait and all later ones fail, Close releases the files, and the
	// directory can be opened again.
	AroundCommit func(stage string)
	// ReadOnly opens a store that is there beside the server that uses it, for
	// View, Backup and Check: nothing is made, migrated or written.
	ReadOnly bool
	// NoSync leaves writing to the operating system and skips the check for
	// damage. It is for tests: a crash of the machine may destroy the files.
	NoSync bool

	busy time.Duration // instead of busyFor
}

// Store is an open directory. It implements store.Store.
type Store struct {
	dir         string
	temporary   bool // remove dir at Close
	log         *slog.Logger
	codec       *codec
	main, aside *sql.DB
	readers     *pool
	writer      *writer
	side        *side
	lexicon     *lexicon
	incarnation string
	closing     chan struct{}
	closeOnce   sync.Once
	closeErr    error
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a directory, which it makes if needed. It refuses
// damaged files (deploy.CodeInternal), files of a newer version
// (deploy.CodeUnsupported) and places that cannot be written
// (deploy.CodeUnavailable). Reading through the files to find damage takes
// about a second per gigabyte.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.busy == 0 {
		o.busy = busyFor
	}
	if err := place(dir, o.ReadOnly); err != nil {
		return nil, err
	}
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, log: o.Logger, codec: c, closing: make(chan struct{})}
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

// place makes the directory of a store, or wants it to be there.
func place(dir string, there bool) error {
	if !there {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the directory of the store: %w", err)
		}
		return nil
	}
	if isNew(filepath.Join(dir, MainFile)) {
		return &deploy.Error{Code: deploy.CodeNotFound, Object: dir, Message: "there is no database of a control plane in this directory"}
	}
	return nil
}

// OpenMemory opens an empty store that lives as long as it is open. It is for
// tests: small files in a temporary directory that are never forced to disk,
// because SQLite's memory databases would let a writer hold up readers.
func OpenMemory(ctx context.Context) (*Store, error) {
	parent := ""
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		parent = "/dev/shm" // memory, where the system has such a place
	}
	dir, err := os.MkdirTemp(parent, "penstock-store-")
	if err != nil {
		dir, err = os.MkdirTemp("", "penstock-store-")
	}
	if err != nil {
		return nil, fmt.Errorf("make a temporary directory: %w", err)
	}
	s, err := Open(ctx, dir, Options{NoSync: true})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s.temporary = true
	return s, nil
}

func (s *Store) open(ctx context.Context, o Options) error {
	var err error
	mainFile, sideFile := filepath.Join(s.dir, MainFile), filepath.Join(s.dir, SideFile)
	if s.main, err = openFile(ctx, mainFile, "FULL", o, "stop the server and restore a backup"); err != nil {
		return err
	}
	if s.aside, err = openFile(ctx, sideFile, "NORMAL", o, "it holds logs and live states only; move it away and start again to go on without them"); err != nil {
		return err
	}
	if o.ReadOnly {
		err = s.identity(ctx)
	} else {
		err = s.identify(ctx, o.RestoreIncarnation)
	}
	if err != nil {
		return explain(mainFile, err)
	}
	s.readers = newPool(mainReaders, s.closing, errClosed(mainFile), func() (*session, error) {
		return openSession(context.Background(), s.main, true)
	})
	s.lexicon = &lexicon{of: map[[2]string]*entries{}}
	s.side = newSide(s.aside, sideFile, s.codec, s.closing)
	if o.ReadOnly {
		return nil
	}
	ws, err := openSession(ctx, s.main, false)
	if err != nil {
		return explain(mainFile, err)
	}
	s.writer = newWriter(ws, s.codec, mainFile, s.closing, s.log, o.AroundCommit)
	go s.writer.run()
	return nil
}

func openFile(ctx context.Context, file, sync string, o Options, remedy string) (*sql.DB, error) {
	if o.NoSync {
		sync = "OFF"
	}
	dsn, err := source(file, o.busy, sync, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	fresh := isNew(file)
	err = db.PingContext(ctx)
	switch {
	case err != nil && damaged(err):
		err = check(ctx, db, file, remedy)
	case err != nil:
		err = explain(file, err)
	case !fresh && !o.NoSync:
		err = check(ctx, db, file, remedy)
	}
	if err == nil {
		err = migrate(ctx, db, file, migrationsOf(file), o)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func isNew(file string) bool {
	info, err := os.Stat(file)
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
}

func migrationsOf(file string) string {
	if filepath.Base(file) == SideFile {
		return "side"
	}
	return "main"
}

// identify reads the incarnation, or makes one.
func (s *Store) identify(ctx context.Context, restored bool) error {
	fresh := uuid.NewString()
	replace := "OR IGNORE"
	if restored {
		replace = "OR REPLACE"
		s.log.InfoContext(ctx, "the store was restored and has a new incarnation", "incarnation", fresh)
	}
	if _, err := s.main.ExecContext(ctx, "INSERT "+replace+" INTO meta (name, value) VALUES ('incarnation', ?)", fresh); err != nil {
		return err
	}
	return s.identity(ctx)
}

// identity reads the incarnation; a backup that nobody opened yet has none.
func (s *Store) identity(ctx context.Context) error {
	err := s.main.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'incarnation'").Scan(&s.incarnation)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Update implements store.Store. The function runs in the caller's goroutine.
// The context ends the waiting for the turn only: a function that was started
// is completed and its outcome returned. Calling Update inside an Update
// never returns.
func (s *Store) Update(ctx context.Context, project string, f func(store.Tx) error) error {
	if project == "" {
		return invalid("a project id is needed")
	}
	if s.writer == nil {
		return invalid("the store was opened for reading only")
	}
	return s.writer.update(ctx, project, f)
}

// View implements store.Store. Eight views run at once, others wait until one
// ends or their context does; a view inside a view is another one.
func (s *Store) View(ctx context.Context, project string, f func(store.Tx) error) error {
	if project == "" {
		return invalid("a project id is needed")
	}
	file := filepath.Join(s.dir, MainFile)
	sess, err := s.readers.take(ctx)
	if err != nil {
		return explain(file, err)
	}
	defer s.readers.give(sess)
	if _, err := sess.exec("BEGIN"); err != nil {
		return explain(file, err)
	}
	defer sess.rollback()
	t := &tx{session: sess, codec: s.codec, file: file, project: project, readOnly: true, lexicon: s.lexicon}
	defer t.end()
	return f(t)
}

// Side implements store.Store.
func (s *Store) Side() store.Side { return s.side }

// Incarnation implements store.Store.
func (s *Store) Incarnation() string { return s.incarnation }

// Dir is the directory of the files.
func (s *Store) Dir() string { return s.dir }

// Close implements store.Store. Functions that wait for their turn are not
// started any more. A later call returns the same.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.release() })
	return s.closeErr
}

func (s *Store) release() error {
	close(s.closing)
	var errs []error
	if s.writer != nil {
		<-s.writer.stopped
		errs = append(errs, s.writer.session.close())
	}
	if s.readers != nil {
		errs = append(errs, s.readers.close(), s.side.close())
	}
	for _, db := range []*sql.DB{s.main, s.aside} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	s.codec.close()
	if s.temporary {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the store in %s: %w", s.dir, err)
	}
	return nil
}
