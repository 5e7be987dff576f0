package sqlite

import (
	"database/sql"
	"errors"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

var (
	errEnded    = errors.New("the transaction has ended")
	errReadOnly = errors.New("a view cannot write")
)

// tx is a transaction in one project. After an error of the database every
// call fails: SQLite may have ended the transaction by itself, and what
// followed would be stored alone.
type tx struct {
	session  *session
	codec    *codec
	file     string
	project  string
	readOnly bool
	lexicon  *lexicon // of views
	ended    bool
	failed   error // the first error of the database
}

var _ store.Tx = (*tx)(nil)

func (t *tx) end() { t.ended = true }

// ready tells why a call cannot be made.
func (t *tx) ready() error {
	switch {
	case t.ended:
		return errEnded
	case t.failed != nil:
		return explain(t.file, t.failed)
	}
	return nil
}

func (t *tx) writable() error {
	if t.readOnly {
		return errReadOnly
	}
	return t.ready()
}

// fail notes an error of the database and explains it.
func (t *tx) fail(err error) error {
	if err == nil {
		return nil
	}
	if broken(err) && t.failed == nil {
		t.failed = err
	}
	return explain(t.file, err)
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	res, err := t.session.exec(query, args...)
	return res, t.fail(err)
}

func (t *tx) row(query string, args []any, into ...any) (bool, error) {
	ok, err := t.session.row(query, args, into...)
	return ok, t.fail(err)
}

func (t *tx) rows(query string, args []any, each func(scan func(...any) error) error) error {
	return t.fail(t.session.rows(query, args, each))
}

// duplicate is the refusal of an event id that is stored already.
func duplicate(id string) error {
	return deploy.Refuse(deploy.RefusedDuplicate, id, "an event with this id was stored before: the first answer holds")
}
