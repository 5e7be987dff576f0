package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	lib "modernc.org/sqlite/lib"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

const (
	queueLength = 1024
	// maxBatch bounds how many functions share a commit, and with it how long
	// the first of them waits.
	maxBatch = 256
)

// The states of a request.
const (
	queued int32 = iota
	started
	givenUp
)

// errAbandoned is the outcome of a function that panicked or left its
// goroutine: nobody is there to hear of it or to run it again.
var errAbandoned = errors.New("the function did not return")

// request is one call of Update on its way through the writer. Its function
// runs in the caller's goroutine, so that a panic and a failed test end where
// they belong; the channels hand the transaction over and back.
type request struct {
	project string
	state   atomic.Int32
	grant   chan *tx   // the transaction is the caller's
	ran     chan error // the caller is done with it
	done    chan error // the outcome, after the commit
	err     error      // what the function returned; the writer's
}

// serve runs the function each time the transaction is handed over.
func (r *request) serve(t *tx, f func(store.Tx) error) {
	err := errAbandoned
	defer func() {
		t.end()
		r.ran <- err
	}()
	err = f(t)
}

// writer owns the write transaction.
type writer struct {
	session *session
	codec   *codec
	file    string
	log     *slog.Logger
	around  func(stage string)
	queue   chan *request
	closing chan struct{}
	stopped chan struct{} // closed when run has returned
	crashed error         // set before stopped is closed; nil after an orderly end
}

func newWriter(s *session, c *codec, file string, closing chan struct{}, log *slog.Logger, around func(string)) *writer {
	if around == nil {
		around = func(string) {}
	}
	return &writer{
		session: s, codec: c, file: file, log: log, around: around,
		queue: make(chan *request, queueLength), closing: closing, stopped: make(chan struct{}),
	}
}

// update brings a function through the writer, in the caller's goroutine.
func (w *writer) update(ctx context.Context, project string, f func(store.Tx) error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("wait to write: %w", context.Cause(ctx))
	}
	r := &request{project: project, grant: make(chan *tx), ran: make(chan error, 1), done: make(chan error, 1)}
	select {
	case <-w.closing:
		return errClosed(w.file)
	case <-w.stopped:
		return w.end()
	default:
	}
	select {
	case <-w.stopped:
		return w.end()
	case <-ctx.Done():
		return fmt.Errorf("wait to write: %w", context.Cause(ctx))
	case w.queue <- r:
	}
	cancelled := ctx.Done()
	for {
		select {
		case t := <-r.grant:
			r.serve(t, f)
		case err := <-r.done:
			return err
		case <-cancelled:
			if r.state.CompareAndSwap(queued, givenUp) {
				return fmt.Errorf("wait to write: %w", context.Cause(ctx))
			}
			cancelled = nil // it was started: its outcome counts
		case <-w.stopped:
			select {
			case err := <-r.done: // answered just before the end
				return err
			default:
				return w.end()
			}
		}
	}
}

func (w *writer) end() error {
	if w.crashed != nil {
		return &deploy.Error{Code: deploy.CodeUnavailable, Object: w.file, Message: "the store has crashed: open it again", Err: w.crashed}
	}
	return errClosed(w.file)
}

// run serves requests until the store is closed or crashes. Who still waits
// in the queue then sees stopped.
func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case <-w.closing:
			return
		default:
		}
		select {
		case <-w.closing:
			return
		case r := <-w.queue:
			if w.crashed = w.batch(r); w.crashed != nil {
				w.log.Error("the store crashed around a commit", "file", w.file, "cause", w.crashed)
				return
			}
		}
	}
}

// next returns a request that waits, nil when there is none.
func (w *writer) next() *request {
	select {
	case r := <-w.queue:
		return r
	default:
		return nil
	}
}

// batch runs a request and all that wait behind it in one transaction and
// tells them the outcome after the commit: also a function that failed may
// have seen what another one wrote. When the transaction is lost on the way,
// each gets another try alone, so that one cannot take the others with it.
// The error returned is the cause of a crash.
func (w *writer) batch(first *request) error {
	if err := w.session.begin(); err != nil {
		w.refuse(first, err)
		return nil
	}
	var ran []*request
	var lost error
	for r := first; r != nil; r = w.next() {
		if r.state.CompareAndSwap(queued, started) {
			ran = append(ran, r)
			lost = w.try(r)
		}
		if lost != nil || len(ran) == maxBatch {
			break // before another one is taken from the queue
		}
	}
	err, crashed := w.finish(ran, lost)
	switch {
	case crashed != nil:
		return crashed
	case err == nil:
		answer(ran)
		return nil
	case len(ran) == 1 || resultOf(err) == lib.SQLITE_IOERR: // a failing disk is not asked twice
		w.log.Error("a transaction failed", "file", w.file, "functions", len(ran), "error", err)
		for _, r := range ran {
			r.err = explain(w.file, err)
		}
		answer(ran)
		return nil
	}
	w.log.Warn("a shared transaction failed, its functions are run one by one", "file", w.file, "functions", len(ran), "error", err)
	return w.oneByOne(ran)
}

func (w *writer) oneByOne(ran []*request) error {
	for _, r := range ran {
		if errors.Is(r.err, errAbandoned) {
			continue
		}
		if err := w.session.begin(); err != nil {
			r.err = explain(w.file, err)
			answer([]*request{r})
			continue
		}
		err, crashed := w.finish([]*request{r}, w.try(r))
		if crashed != nil {
			return crashed
		}
		if err != nil {
			r.err = explain(w.file, err)
		}
		answer([]*request{r})
	}
	return nil
}

// try runs one function behind a savepoint and keeps what it returned. The
// error returned means that the whole transaction is lost.
func (w *writer) try(r *request) error {
	if _, err := w.session.exec("SAVEPOINT f"); err != nil {
		return err
	}
	t := &tx{session: w.session, codec: w.codec, file: w.file, project: r.project}
	r.grant <- t
	r.err = <-r.ran
	if t.failed != nil && r.err == nil {
		r.err = explain(w.file, t.failed) // the function did not care
	}
	if r.err != nil {
		if _, err := w.session.exec("ROLLBACK TO f"); err != nil {
			if t.failed != nil {
				return t.failed
			}
			return err
		}
	}
	_, err := w.session.exec("RELEASE f")
	return err
}

// finish commits what succeeded. err means that nothing was stored.
func (w *writer) finish(ran []*request, lost error) (err, crashed error) {
	if lost != nil {
		w.session.rollback()
		return lost, nil
	}
	good := 0
	for _, r := range ran {
		if r.err == nil {
			good++
		}
	}
	if good == 0 {
		w.session.rollback()
		return nil, nil
	}
	if crashed := w.call(BeforeCommit); crashed != nil {
		w.session.rollback()
		return nil, crashed
	}
	if err := w.session.commit(); err != nil {
		w.session.rollback()
		return err, nil
	}
	return nil, w.call(AfterCommit)
}

// call tells the hook; the error is what it panicked with.
func (w *writer) call(stage string) (crashed error) {
	defer func() {
		if p := recover(); p != nil {
			crashed = fmt.Errorf("crash %s a commit: %v", stage, p)
		}
	}()
	w.around(stage)
	return nil
}

func (w *writer) refuse(r *request, err error) {
	if r.state.CompareAndSwap(queued, started) {
		r.err = explain(w.file, err)
		answer([]*request{r})
	}
}

func answer(ran []*request) {
	for _, r := range ran {
		r.done <- r.err
	}
}
