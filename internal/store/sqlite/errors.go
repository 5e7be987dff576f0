package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// resultOf returns SQLite's primary result code of an error, 0 when it is not
// SQLite's.
func resultOf(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff // the rest is the extended part
	}
	return 0
}

// explain turns an error of the database into one that says what to do. file
// is the path of the database. Other errors stay as they are.
func explain(file string, err error) error {
	code, what := deploy.CodeUnavailable, ""
	switch resultOf(err) {
	case 0:
		return err
	case lib.SQLITE_FULL:
		what = "the disk is full, nothing of this change was stored: free space on that disk and try again"
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		what = "another process holds the write lock of the database: only one server may use it, stop the other one"
	case lib.SQLITE_READONLY, lib.SQLITE_PERM:
		what = "the database cannot be written: check the owner and mode of the file and its directory, and whether the disk is mounted read-only"
	case lib.SQLITE_CANTOPEN:
		what = "the database cannot be opened: check that the directory exists and may be read and written"
	case lib.SQLITE_IOERR:
		what = "the disk reports an error: check the system log and the disk, then restart the server"
	case lib.SQLITE_NOMEM:
		what = "the database has no memory left: give the server more"
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		code, what = deploy.CodeInternal, "the database is damaged: stop the server and restore a backup"
	default:
		code, what = deploy.CodeInternal, "the database refused a statement"
	}
	return &deploy.Error{Code: code, Object: file, Message: what, Err: err}
}

// broken tells whether an error means that the transaction cannot go on, as
// against one that answers the caller's question.
func broken(err error) bool { return resultOf(err) != 0 }

func errClosed(file string) error {
	return &deploy.Error{Code: deploy.CodeUnavailable, Object: file, Message: "the store is closed"}
}

// invalid makes the error for a call that the contract does not allow.
func invalid(format string, args ...any) error {
	return &deploy.Error{Code: deploy.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}

func damaged(err error) bool {
	r := resultOf(err)
	return r == lib.SQLITE_CORRUPT || r == lib.SQLITE_NOTADB
}

// errOr returns err, or an error that says text.
func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}
