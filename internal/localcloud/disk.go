package localcloud

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// part is a service with state worth keeping.
type part interface {
	Save() ([]byte, error)
	Load([]byte) error
}

// disk keeps the parts' state in one file. Changes are written together after a short pause, so that a burst of calls costs one write.
type disk struct {
	dir   string // empty: nothing is kept
	clock clock.Clock
	log   *slog.Logger
	parts map[string]part

	mu     sync.Mutex
	timer  clock.Timer
	ready  bool // loaded, not yet closed
	saving sync.Mutex
}

const (
	stateFile = "localcloud.json"
	savePause = 200 * time.Millisecond
)

// loadOrder puts target groups before the services whose tasks register with them.
func loadOrder() []string { return []string{"elb", "ssm", "secrets", "ecs", "lambda"} }

func (d *disk) load() error {
	if d.dir == "" {
		return nil
	}
	body, err := os.ReadFile(filepath.Join(d.dir, stateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("local cloud: load state: %w", err)
	}
	if err == nil {
		if err := d.decode(body); err != nil {
			return fmt.Errorf("local cloud: load %s: %w; remove the file to start empty", filepath.Join(d.dir, stateFile), err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ready = true
	return nil
}

func (d *disk) decode(body []byte) error {
	var saved map[string]json.RawMessage
	if err := json.Unmarshal(body, &saved); err != nil {
		return err
	}
	var sum string
	if err := json.Unmarshal(saved[sumKey], &sum); err != nil || sum != sumOf(saved) {
		return errors.New("its content is not what was saved, it was damaged or edited")
	}
	for _, name := range loadOrder() {
		if saved[name] == nil || d.parts[name] == nil {
			continue
		}
		if err := d.parts[name].Load(saved[name]); err != nil {
			return err
		}
	}
	return nil
}

// sumKey keeps the checksum beside the parts. Parts refer to each other and a part
// trusts what it saved; that one of them was changed is found here and not by the
// first call that meets what is missing.
const sumKey = "sha256"

// sumOf is the checksum of all parts, in hexadecimal.
func sumOf(saved map[string]json.RawMessage) string {
	h := sha256.New()
	for _, name := range loadOrder() {
		if saved[name] == nil {
			continue // a service that was not there yet
		}
		_, _ = fmt.Fprintf(h, "%s %d ", name, len(saved[name])) // never fails (hash.Hash)
		_, _ = h.Write(saved[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// dirty says that something changed.
func (d *disk) dirty() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ready || d.timer != nil {
		return
	}
	d.timer = d.clock.AfterFunc(savePause, func() {
		d.mu.Lock()
		d.timer = nil
		ready := d.ready
		d.mu.Unlock()
		if !ready {
			return
		}
		if err := d.save(); err != nil {
			d.log.Error("local cloud: state not saved", "error", err)
		}
	})
}

// close writes the last state; nothing is written afterwards.
func (d *disk) close() error {
	d.mu.Lock()
	ready := d.ready
	d.ready = false
	if d.timer != nil {
		d.timer.Stop()
	}
	d.mu.Unlock()
	if !ready {
		return nil
	}
	return d.save()
}

func (d *disk) save() error {
	d.saving.Lock()
	defer d.saving.Unlock()
	saved := map[string]json.RawMessage{}
	for name, p := range d.parts {
		body, err := p.Save()
		if err != nil {
			return fmt.Errorf("save %s: %w", name, err)
		}
		saved[name] = body
	}
	saved[sumKey] = json.RawMessage(strconv.Quote(sumOf(saved)))
	body, err := json.Marshal(saved)
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	target := filepath.Join(d.dir, stateFile)
	if err := os.WriteFile(target+".new", body, 0o600); err != nil { // secrets are in it
		return fmt.Errorf("save state: %w", err)
	}
	if err := os.Rename(target+".new", target); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}
