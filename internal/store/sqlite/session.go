package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"time"
)

// maxStatements bounds the prepared statements that a session keeps; queries
// differ by the number of their values.
const maxStatements = 256

// session is one connection with its prepared statements. It is used by one
// goroutine at a time. Statements are never interrupted: they are short, and
// an interrupt would cost the connection.
type session struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// source is the data source name of a database file. One that is read only is
// not made when it is not there.
func source(file string, busy time.Duration, sync string, readOnly bool) (string, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", file, err)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}
	wait := "busy_timeout(" + strconv.FormatInt(busy.Milliseconds(), 10) + ")"
	if readOnly {
		u.RawQuery = url.Values{"mode": {"ro"}, "_dqs": {"0"}, "_pragma": {wait, "temp_store(MEMORY)"}}.Encode()
		return u.String(), nil
	}
	u.RawQuery = url.Values{
		"_dqs": {"0"}, // a misspelt column is an error, not a string
		"_pragma": {
			wait,
			"journal_mode(WAL)",
			"synchronous(" + sync + ")",
			"journal_size_limit(67108864)", // give the disk back after a burst
			"temp_store(MEMORY)",
		},
	}.Encode()
	return u.String(), nil
}

func openSession(ctx context.Context, db *sql.DB, queryOnly bool) (*session, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, stmts: map[string]*sql.Stmt{}}
	if queryOnly {
		if _, err := conn.ExecContext(ctx, "PRAGMA query_only = ON"); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *session) prepare(query string) (*sql.Stmt, error) {
	if st, ok := s.stmts[query]; ok {
		return st, nil
	}
	if len(s.stmts) >= maxStatements {
		s.forget()
	}
	st, err := s.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	s.stmts[query] = st
	return st, nil
}

func (s *session) exec(query string, args ...any) (sql.Result, error) {
	st, err := s.prepare(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(context.Background(), args...)
}

// row reads one row; false when there is none.
func (s *session) row(query string, args []any, into ...any) (bool, error) {
	st, err := s.prepare(query)
	if err != nil {
		return false, err
	}
	err = st.QueryRowContext(context.Background(), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// rows calls each for every row of the answer.
func (s *session) rows(query string, args []any, each func(scan func(...any) error) error) error {
	st, err := s.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *session) begin() error {
	_, err := s.exec("BEGIN IMMEDIATE")
	return err
}

func (s *session) commit() error {
	_, err := s.exec("COMMIT")
	return err
}

// rollback ends the transaction. SQLite ends it by itself after some errors,
// so there may be none left, which is as good.
func (s *session) rollback() { _, _ = s.exec("ROLLBACK") }

// write runs f in a transaction of its own.
func (s *session) write(f func() error) (err error) {
	if err := s.begin(); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			s.rollback()
		}
	}()
	if err := f(); err != nil {
		return err
	}
	if err := s.commit(); err != nil {
		return err
	}
	done = true
	return nil
}

func (s *session) forget() {
	for q, st := range s.stmts {
		_ = st.Close()
		delete(s.stmts, q)
	}
}

func (s *session) close() error {
	s.forget()
	return s.conn.Close()
}

// pool lends sessions to readers, opening them when they are first needed.
type pool struct {
	open    func() (*session, error)
	idle    chan *session
	slots   chan struct{} // one for each session that was opened
	closing chan struct{}
	closed  error // what a caller gets once closing is closed
}

func newPool(size int, closing chan struct{}, closed error, open func() (*session, error)) *pool {
	return &pool{open: open, idle: make(chan *session, size), slots: make(chan struct{}, size), closing: closing, closed: closed}
}

func (p *pool) take(ctx context.Context) (*session, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("wait for the database: %w", context.Cause(ctx))
	}
	select {
	case <-p.closing:
		return nil, p.closed
	case s := <-p.idle:
		return s, nil
	default:
	}
	select {
	case <-p.closing:
		return nil, p.closed
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the database: %w", context.Cause(ctx))
	case s := <-p.idle:
		return s, nil
	case p.slots <- struct{}{}:
		s, err := p.open()
		if err != nil {
			<-p.slots
			return nil, err
		}
		return s, nil
	}
}

func (p *pool) give(s *session) { p.idle <- s }

// close waits until every session is back and closes them.
func (p *pool) close() error {
	var errs []error
	for range cap(p.idle) {
		select {
		case s := <-p.idle:
			errs = append(errs, s.close())
		case p.slots <- struct{}{}: // never opened
		}
	}
	return errors.Join(errs...)
}
