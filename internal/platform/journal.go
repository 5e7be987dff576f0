package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Remember stores a value under a key of the journal, durably.
func Remember[T any](ctx context.Context, j Journal, key string, v T) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("journal %s: %w", key, err)
	}
	if err := j.Put(ctx, key, b); err != nil {
		return fmt.Errorf("journal %s: %w", key, err)
	}
	return nil
}

// Recall reads a value that Remember stored; false when there is none.
func Recall[T any](j Journal, key string) (T, bool, error) {
	var v T
	b, ok := j.Get(key)
	if !ok {
		return v, false, nil
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, false, Final(fmt.Errorf("journal %s: %w", key, err))
	}
	return v, true, nil
}

// Since notes durably since when something lasts that is seen for the first time
// at now, and returns when that was.
func Since(ctx context.Context, j Journal, key string, now time.Time) (time.Time, error) {
	since, known, err := Recall[time.Time](j, key)
	if err != nil || known && !since.IsZero() {
		return since, err
	}
	return now, Remember(ctx, j, key, now)
}

// Over ends what Since began.
func Over(ctx context.Context, j Journal, key string) error {
	since, known, err := Recall[time.Time](j, key)
	if err != nil || !known || since.IsZero() {
		return err
	}
	return Remember(ctx, j, key, time.Time{})
}

// Ledger is the undo ledger of a deployment: what it created or is about to,
// and what became of it. It lives in the journal, so it survives every process.
type Ledger struct{ J Journal }

func ledgerKey(typ, token string) string {
	return deploy.JournalObjectPrefix + typ + "/" + token
}

// Intend notes that an object is about to be created under a token. It must be
// called before the creating call.
func (l Ledger) Intend(ctx context.Context, typ, token, note string) error {
	if o, ok, err := l.Find(typ, token); err != nil || ok && o.State != deploy.LedgerRemoved {
		return err
	}
	return Remember(ctx, l.J, ledgerKey(typ, token), deploy.LedgerObject{Type: typ, Token: token, State: deploy.LedgerIntended, Note: note})
}

// Created notes the identity of an object that was intended.
func (l Ledger) Created(ctx context.Context, typ, token, id string) error {
	return l.set(ctx, typ, token, func(o *deploy.LedgerObject) { o.ID, o.State = id, deploy.LedgerCreated })
}

// Removed notes that an object is gone, or was never created.
func (l Ledger) Removed(ctx context.Context, typ, token string) error {
	return l.set(ctx, typ, token, func(o *deploy.LedgerObject) { o.State = deploy.LedgerRemoved })
}

// Kept notes that an object is part of the declared end.
func (l Ledger) Kept(ctx context.Context, typ, token string) error {
	return l.set(ctx, typ, token, func(o *deploy.LedgerObject) { o.State = deploy.LedgerKept })
}

func (l Ledger) set(ctx context.Context, typ, token string, f func(*deploy.LedgerObject)) error {
	o, _, err := l.Find(typ, token)
	if err != nil {
		return err
	}
	before := o
	o.Type, o.Token = typ, token
	f(&o)
	if o == before {
		return nil
	}
	return Remember(ctx, l.J, ledgerKey(typ, token), o)
}

// Find returns the entry of one object.
func (l Ledger) Find(typ, token string) (deploy.LedgerObject, bool, error) {
	return Recall[deploy.LedgerObject](l.J, ledgerKey(typ, token))
}

// Open lists the objects that were intended or created and neither removed nor
// kept, in key order. The way back must account for each.
func (l Ledger) Open() ([]deploy.LedgerObject, error) {
	var open []deploy.LedgerObject
	for _, k := range l.J.Keys(deploy.JournalObjectPrefix) {
		o, ok, err := Recall[deploy.LedgerObject](l.J, k)
		if err != nil {
			return nil, err
		}
		if ok && (o.State == deploy.LedgerIntended || o.State == deploy.LedgerCreated) {
			open = append(open, o)
		}
	}
	return open, nil
}

// MemJournal is a Journal in memory whose Put can be observed. The zero value
// is ready. The agent uses it as its cache, tests as the whole journal.
type MemJournal struct {
	Entries map[string]json.RawMessage
	// OnPut is called before an entry is kept; its error refuses the entry.
	OnPut func(ctx context.Context, key string, value json.RawMessage) error
}

// Get implements Journal.
func (m *MemJournal) Get(key string) (json.RawMessage, bool) {
	v, ok := m.Entries[key]
	return v, ok
}

// Put implements Journal.
func (m *MemJournal) Put(ctx context.Context, key string, value json.RawMessage) error {
	if m.OnPut != nil {
		if err := m.OnPut(ctx, key, value); err != nil {
			return err
		}
	}
	if m.Entries == nil {
		m.Entries = make(map[string]json.RawMessage)
	}
	m.Entries[key] = value
	return nil
}

// Keys implements Journal.
func (m *MemJournal) Keys(prefix string) []string {
	var keys []string
	for k := range m.Entries {
		if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	return keys
}
