package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

const (
	selectEvent = `SELECT stream_kind, stream_id, seq, pos, topic, id, type, schema, at, actor, cause, reason, `
	insertEvent = `INSERT INTO events (project_id, stream_kind, stream_id, seq, topic, id, type, schema, at, actor, cause, reason, data) VALUES `
	eventValues = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	// eventsAtOnce is how many events one statement looks for or writes.
	eventsAtOnce = 32
)

// batchOf is how many of n one statement takes: a power of two, so that there
// are few statements to prepare.
func batchOf(n int) int {
	for k := eventsAtOnce; ; k /= 2 {
		if k <= n {
			return k
		}
	}
}

// Append implements store.Streams. A repeated event is told apart before the
// place in the stream is compared: who repeats a call knows an old place.
// Everything is looked at before the first row is written, so a function that
// takes an error and goes on has stored none of the events.
func (t *tx) Append(s store.Stream, after int64, topic string, events []deploy.Event) error {
	if err := t.writable(); err != nil {
		return fmt.Errorf("append to %s %s: %w", s.Kind, s.ID, err)
	}
	if s.Kind == "" || s.ID == "" {
		return invalid("append: a stream needs a kind and an id")
	}
	reasons, err := t.judge(s, events)
	if err != nil {
		return err
	}
	after, err = t.place(s, after, len(events))
	if err != nil {
		return err
	}
	for from := 0; from < len(events); {
		n := batchOf(len(events) - from)
		args := make([]any, 0, 13*n)
		for i := from; i < from+n; i++ {
			e := events[i]
			args = append(args, t.project, string(s.Kind), s.ID, after+int64(i)+1, topic,
				e.ID, string(e.Type), e.Schema, store.Instant(e.At), e.Actor, e.Cause, reasons[i], t.codec.encode(e.Data))
		}
		if _, err := t.exec(insertEvent+eventValues+strings.Repeat(", "+eventValues, n-1), args...); err != nil {
			return fmt.Errorf("append %s to %s %s: %w", events[from].Type, s.Kind, s.ID, err)
		}
		from += n
	}
	return nil
}

// duplicates refuses events whose ids are stored or are twice among them.
func (t *tx) duplicates(events []deploy.Event) error {
	seen := make(map[string]bool, len(events))
	for _, e := range events {
		if seen[e.ID] {
			return duplicate(e.ID)
		}
		seen[e.ID] = true
	}
	for from := 0; from < len(events); {
		n := batchOf(len(events) - from)
		args := make([]any, 1, n+1)
		args[0] = t.project
		for _, e := range events[from : from+n] {
			args = append(args, e.ID)
		}
		var id string
		found, err := t.row("SELECT id FROM events WHERE project_id = ? AND id IN (?"+strings.Repeat(", ?", n-1)+") LIMIT 1", args, &id)
		if err != nil {
			return fmt.Errorf("look for event %s: %w", events[from].ID, err)
		}
		if found {
			return duplicate(id)
		}
		from += n
	}
	return nil
}

// judge refuses events by themselves and returns their encoded reasons.
func (t *tx) judge(s store.Stream, events []deploy.Event) ([]string, error) {
	for _, e := range events {
		if e.ID == "" || e.Type == "" {
			return nil, invalid("append to %s %s: an event needs an id and a type", s.Kind, s.ID)
		}
	}
	if err := t.duplicates(events); err != nil {
		return nil, err
	}
	reasons := make([]string, len(events))
	for i, e := range events {
		var err error
		if reasons[i], err = encodeReason(e.Reason); err != nil {
			return nil, err
		}
		if n := len(e.ID) + len(e.Type) + len(e.Actor) + len(e.Cause) + len(reasons[i]) + len(e.Data); n > deploy.MaxEventBytes {
			return nil, &deploy.Error{Code: deploy.CodeTooLarge, Object: e.ID, Message: fmt.Sprintf(
				"%s has %d bytes, an event has at most %d: put the large part into a blob and refer to its digest", e.Type, n, deploy.MaxEventBytes)}
		}
	}
	return reasons, nil
}

// place compares where the caller believes the stream to end with where it
// does, and returns the latter.
func (t *tx) place(s store.Stream, after int64, more int) (int64, error) {
	var last int64
	_, err := t.row("SELECT coalesce(max(seq), 0) FROM events WHERE project_id = ? AND stream_kind = ? AND stream_id = ?",
		[]any{t.project, string(s.Kind), s.ID}, &last)
	switch {
	case err != nil:
		return 0, fmt.Errorf("find the end of %s %s: %w", s.Kind, s.ID, err)
	case after != store.AnyLength && last != after:
		return 0, &deploy.Error{Code: deploy.CodeConflict, Object: s.ID, Message: fmt.Sprintf(
			"the %s has %d events, the caller has seen %d: read it again and decide anew", s.Kind, last, after)}
	case s.Kind == deploy.StreamDeployment && last+int64(more) > deploy.MaxDeploymentEvents:
		return 0, &deploy.Error{Code: deploy.CodeTooLarge, Object: s.ID, Message: fmt.Sprintf(
			"a deployment has at most %d events, this one has %d", deploy.MaxDeploymentEvents, last)}
	}
	return last, nil
}

// Read implements store.Streams.
func (t *tx) Read(s store.Stream, after int64, limit int) ([]store.Stored, error) {
	if err := t.ready(); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", s.Kind, s.ID, err)
	}
	if limit < 1 {
		return nil, invalid("read %s %s: a limit from 1 is needed, not %d", s.Kind, s.ID, limit)
	}
	var out []store.Stored
	err := t.rows(selectEvent+`data FROM events WHERE project_id = ? AND stream_kind = ? AND stream_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
		[]any{t.project, string(s.Kind), s.ID, after, limit}, t.collect(&out, true))
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", s.Kind, s.ID, err)
	}
	return out, nil
}

// Since implements store.Streams. The newest position is the one that SQLite
// keeps for AUTOINCREMENT: it does not go back when events are removed.
func (t *tx) Since(after int64, limit int) ([]store.Stored, int64, error) {
	if err := t.ready(); err != nil {
		return nil, 0, fmt.Errorf("read changes: %w", err)
	}
	if limit < 1 {
		return nil, 0, invalid("read changes: a limit from 1 is needed, not %d", limit)
	}
	var newest int64
	if _, err := t.row("SELECT seq FROM sqlite_sequence WHERE name = 'events'", nil, &newest); err != nil {
		return nil, 0, fmt.Errorf("read changes: %w", err)
	}
	if newest <= after {
		return nil, newest, nil
	}
	var out []store.Stored
	err := t.rows(selectEvent+`NULL FROM events WHERE project_id = ? AND pos > ? ORDER BY pos LIMIT ?`,
		[]any{t.project, after, limit}, t.collect(&out, false))
	if err != nil {
		return nil, 0, fmt.Errorf("read changes: %w", err)
	}
	return out, newest, nil
}

// collect adds rows of selectEvent to out.
func (t *tx) collect(out *[]store.Stored, withData bool) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		var e store.Stored
		var at, reason string
		var data []byte
		err := scan(&e.Stream.Kind, &e.Stream.ID, &e.Seq, &e.Pos, &e.Topic, &e.ID, &e.Type, &e.Schema, &at, &e.Actor, &e.Cause, &reason, &data)
		if err != nil {
			return err
		}
		if e.At, err = parseInstant(at); err != nil {
			return fmt.Errorf("event %s: %w", e.ID, err)
		}
		if reason != "" {
			if err := json.Unmarshal([]byte(reason), &e.Reason); err != nil {
				return fmt.Errorf("event %s: read its reason: %w", e.ID, err)
			}
		}
		if withData {
			if e.Data, err = t.codec.decode(data); err != nil {
				return fmt.Errorf("event %s: read its data: %w", e.ID, err)
			}
		}
		*out = append(*out, e)
		return nil
	}
}

func encodeReason(r deploy.Reason) (string, error) {
	if r.Code == "" && len(r.Args) == 0 {
		return "", nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode reason %s: %w", r.Code, err)
	}
	return string(b), nil
}

// parseInstant reads what store.Instant wrote.
func parseInstant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
