package agent

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// journal is the durable journal of one deployment with a copy in memory. An
// entry is stored at the control plane before Put returns.
type journal struct {
	mu  sync.Mutex
	mem platform.MemJournal
	put func(ctx context.Context, e deploy.JournalEntry) error
	// stage and attempt are those of the step at work.
	stage   string
	attempt int
}

func newJournal(entries []deploy.JournalEntry, put func(context.Context, deploy.JournalEntry) error) *journal {
	j := &journal{put: put, mem: platform.MemJournal{Entries: make(map[string]json.RawMessage, len(entries))}}
	for _, e := range entries {
		j.mem.Entries[e.Key] = e.Value
	}
	return j
}

// at says which step writes from now on.
func (j *journal) at(stage string, attempt int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stage, j.attempt = stage, attempt
}

// Get implements platform.Journal.
func (j *journal) Get(key string) (json.RawMessage, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mem.Get(key)
}

// Keys implements platform.Journal.
func (j *journal) Keys(prefix string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mem.Keys(prefix)
}

// Put implements platform.Journal.
func (j *journal) Put(ctx context.Context, key string, value json.RawMessage) error {
	j.mu.Lock()
	e := deploy.JournalEntry{Key: key, Value: value, Stage: j.stage, Attempt: j.attempt}
	j.mu.Unlock()
	if err := j.put(ctx, e); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.mem.Put(ctx, key, value)
}
