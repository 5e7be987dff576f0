package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/penstock-cd/penstock/internal/store"
)

// logNotice is the last line of a log that reached the cap.
const logNotice = "[the log of this attempt ends here: it reached its limit of 4 MiB]\n"

// logRoom is how much of a log is the writer's; the notice, and a line end in
// front of it, take the rest.
const logRoom = store.MaxLogBytes - len(logNotice) - 1

// side implements store.Side on side.db.
type side struct {
	file    string
	codec   *codec
	writers *pool // of one
	readers *pool
}

func newSide(db *sql.DB, file string, c *codec, closing chan struct{}) *side {
	open := func(queryOnly bool) func() (*session, error) {
		return func() (*session, error) { return openSession(context.Background(), db, queryOnly) }
	}
	closed := errClosed(file)
	return &side{
		file: file, codec: c,
		writers: newPool(1, closing, closed, open(false)),
		readers: newPool(sideReaders, closing, closed, open(true)),
	}
}

func (s *side) close() error { return errors.Join(s.writers.close(), s.readers.close()) }

// with lends a session to f and explains its error.
func (s *side) with(ctx context.Context, p *pool, what string, f func(*session) error) error {
	sess, err := p.take(ctx)
	if err == nil {
		defer p.give(sess)
		err = f(sess)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(s.file, err))
	}
	return nil
}

// AppendLog implements store.Side.
func (s *side) AppendLog(ctx context.Context, k store.LogKey, epoch, offset int64, data []byte) (full bool, err error) {
	if k.Project == "" || k.Deployment == "" || k.Stage == "" || offset < 0 {
		return false, invalid("append to log: project, deployment, stage and an offset from 0 are needed")
	}
	err = s.with(ctx, s.writers, "append to log", func(sess *session) error {
		return sess.write(func() error {
			full, err = s.appendChunk(sess, k, epoch, offset, data)
			return err
		})
	})
	return full, err
}

func (s *side) appendChunk(sess *session, k store.LogKey, epoch, offset int64, data []byte) (bool, error) {
	var size, full int64
	_, err := sess.row("SELECT size, is_full FROM logs WHERE project_id = ? AND deployment_id = ? AND stage_id = ? AND attempt = ?", logArgs(k), &size, &full)
	if err != nil || full != 0 || len(data) == 0 {
		return full != 0, err
	}
	if int(size)+len(data) > logRoom {
		data, full = cut(data, logRoom-int(size)), 1
	}
	res, err := sess.exec("INSERT OR IGNORE INTO chunks (project_id, deployment_id, stage_id, attempt, epoch, sent, start, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		append(logArgs(k), epoch, offset, size, s.codec.encode(data))...)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err // stored before
	}
	_, err = sess.exec(`INSERT INTO logs (project_id, deployment_id, stage_id, attempt, size, is_full) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (project_id, deployment_id, stage_id, attempt) DO UPDATE SET size = excluded.size, is_full = excluded.is_full`,
		append(logArgs(k), size+int64(len(data)), full)...)
	return full != 0, err
}

// cut returns the beginning of a chunk that has room, up to the end of its
// last whole line or, in a line without end, of its last whole character,
// and the notice behind it.
func cut(data []byte, room int) []byte {
	kept := data[:room]
	if end := bytes.LastIndexByte(kept, '\n'); end >= 0 {
		kept = kept[:end+1]
	}
	for range utf8.UTFMax - 1 {
		if r, n := utf8.DecodeLastRune(kept); r != utf8.RuneError || n != 1 {
			break
		}
		kept = kept[:len(kept)-1]
	}
	out := append([]byte(nil), kept...)
	if len(kept) == 0 || kept[len(kept)-1] != '\n' {
		out = append(out, '\n') // the line before may have no end either
	}
	return append(out, logNotice...)
}

// ReadLog implements store.Side.
func (s *side) ReadLog(ctx context.Context, k store.LogKey, from int64, limit int) ([]byte, error) {
	if from < 0 || limit < 1 {
		return nil, invalid("read log: an offset from 0 and a size from 1 are needed")
	}
	var out []byte
	err := s.with(ctx, s.readers, "read log", func(sess *session) error {
		return sess.rows(`SELECT start, data FROM chunks WHERE project_id = ?1 AND deployment_id = ?2 AND stage_id = ?3 AND attempt = ?4
			AND start >= coalesce((SELECT max(start) FROM chunks WHERE project_id = ?1 AND deployment_id = ?2 AND stage_id = ?3 AND attempt = ?4 AND start <= ?5), 0)
			AND start < ?5 + ?6 ORDER BY start`,
			append(logArgs(k), from, limit), func(scan func(...any) error) error {
				var start int64
				var stored []byte
				if err := scan(&start, &stored); err != nil {
					return err
				}
				data, err := s.codec.decode(stored)
				if err != nil {
					return err
				}
				data = data[min(int64(len(data)), max(0, from-start)):]
				out = append(out, data[:min(len(data), limit-len(out))]...)
				return nil
			})
	})
	return out, err
}

func logArgs(k store.LogKey) []any { return []any{k.Project, k.Deployment, k.Stage, k.Attempt} }

// PutSide implements store.Side.
func (s *side) PutSide(ctx context.Context, project, kind, key string, at time.Time, value []byte) error {
	if project == "" || kind == "" {
		return invalid("put side value: project and kind are needed")
	}
	return s.with(ctx, s.writers, "put side value", func(sess *session) error {
		_, err := sess.exec(`INSERT INTO side (project_id, kind, "key", at, value) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (project_id, kind, "key") DO UPDATE SET at = excluded.at, value = excluded.value`,
			project, kind, key, store.Instant(at), s.codec.encode(value))
		return err
	})
}

// GetSide implements store.Side.
func (s *side) GetSide(ctx context.Context, project, kind, key string) (value []byte, at time.Time, found bool, err error) {
	err = s.with(ctx, s.readers, "get side value", func(sess *session) error {
		var stored []byte
		var when string
		found, err = sess.row(`SELECT at, value FROM side WHERE project_id = ? AND kind = ? AND "key" = ?`, []any{project, kind, key}, &when, &stored)
		if err != nil || !found {
			return err
		}
		if at, err = parseInstant(when); err != nil {
			return err
		}
		value, err = s.codec.decode(stored)
		return err
	})
	return value, at, found && err == nil, err
}
