package world

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// disk is what can be wrong with the machine of the control plane.
type disk struct {
	full     atomic.Bool
	future   atomic.Bool  // the server is of a version that writes more
	skew     atomic.Int64 // of the wall clock, nanoseconds
	astray   atomic.Int64 // how far the server's own clock may be off because of it, nanoseconds
	restored atomic.Bool  // the next start is on a restored backup
	tear     atomic.Pointer[tear]
}

func (d *disk) wall() time.Time { return time.Now().Add(time.Duration(d.skew.Load())) }

// errDiskFull is what the store answers without space.
var errDiskFull = &deploy.Error{Code: deploy.CodeUnavailable, Object: sqlite.MainFile, Message: "the disk is full, nothing of this change was stored: free space on that disk and try again"}

// DiskFull lets the store refuse every write for a time.
func (w *World) DiskFull(d time.Duration) {
	w.tracef("disk full for %s", d)
	w.host.disk.full.Store(true)
	time.AfterFunc(d, func() { w.host.disk.full.Store(false) })
}

// SetServerClock sets the wall clock of the control plane's machine, for a time.
// When a server starts it is right again.
func (w *World) SetServerClock(by, d time.Duration) {
	w.tracef("the server's clock is set by %s for %s", by, d)
	w.host.disk.skew.Store(int64(by))
	w.host.disk.astray.Add(int64(d/20 + time.Second))
	time.AfterFunc(d, func() { w.host.disk.skew.Store(0) })
}

// early reports whether an instant of the server's clock has not come yet. That
// clock follows one that is set by a twentieth of the time that passes, so it may
// be off by that much afterwards.
func (w *World) early(at time.Time) (by time.Duration, yes bool) {
	by = time.Until(at)
	return by, by > time.Duration(w.host.disk.astray.Load())
}

// Upgrade lets the server write events with fields that this version does not know, or no longer.
func (w *World) Upgrade(future bool) {
	w.tracef("the server writes fields of a newer version: %v", future)
	w.host.disk.future.Store(future)
}

// Repair ends everything that is wrong with the machine of the control plane,
// and what the cloud leaves out.
func (w *World) Repair() {
	w.host.disk.full.Store(false)
	w.host.disk.skew.Store(0)
	w.host.disk.tear.Store(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aws.partial = nil
}

// withMore adds what a newer version might say to events.
func withMore(events []deploy.Event) []deploy.Event {
	events = slices.Clone(events)
	for i := range events {
		if data := bytes.TrimSpace(events[i].Data); len(data) > 1 && data[0] == '{' {
			more := []byte(`{"future":{"answer":42,"list":[1,"two"]}`)
			if !bytes.Equal(data, []byte("{}")) {
				more = append(more, ',')
			}
			events[i].Data = json.RawMessage(append(more, data[1:]...))
		}
		events[i].Schema++
	}
	return events
}

// AppendUnknown appends an event of a type of the future to the newest open
// deployment of an application, as a newer server would have. It returns the
// deployment, "" when none is open.
func (w *World) AppendUnknown(app string) string {
	inst := w.host.current()
	if inst == nil {
		return ""
	}
	all := w.Deployments(app)
	if len(all) == 0 || all[len(all)-1].Status.Terminal() {
		return ""
	}
	id := all[len(all)-1].ID
	err := inst.store.Update(context.Background(), Project, func(tx store.Tx) error {
		rec, ok, err := tx.Get(store.Deployments, id)
		if err != nil || !ok {
			return err
		}
		var d deploy.Deployment
		if err := json.Unmarshal(rec.Body, &d); err != nil {
			return err
		}
		e := deploy.NewEvent("TELEPORTED", time.Now(), deploy.Reason{}, map[string]any{"to": "mars", "speed": 3})
		e.ID, e.Actor, e.Schema = "future-"+id, "server", 7
		if err := tx.Append(store.Stream{Kind: deploy.StreamDeployment, ID: id}, store.AnyLength, d.App.ID, []deploy.Event{e}); err != nil {
			return err
		}
		if d, err = engine.Apply(d, e); err != nil {
			return err
		}
		if rec.Body, err = json.Marshal(d); err != nil {
			return err
		}
		return tx.Put(store.Deployments, rec)
	})
	if err != nil {
		w.Problemf("append an unknown event: %v", err)
	}
	w.watch.touched(id)
	w.tracef("an event of an unknown type for %s", id)
	return id
}

// tear is a commit that the machine does not survive.
type tear struct {
	cut  func(n int64) int64 // from 0 to n: how much of the commit reached the disk
	down time.Duration
	size int64 // of the log before it
	done func(kept, of int64)
	inst *instance
}

// TearLog lets the next durable write of facts be the last one of the server:
// of what it adds to the write-ahead log only a part reaches the disk, and
// nobody is told. The server starts again after a time.
func (w *World) TearLog(cut func(n int64) int64, down time.Duration) {
	w.host.disk.tear.Store(&tear{cut: cut, down: down, done: func(kept, of int64) {
		w.tracef("the machine of the server dies: %d of %d bytes of a commit are on the disk", kept, of)
	}})
	w.host.mu.Lock()
	w.host.beside = func(f func()) { w.burying.Go(f) }
	w.host.again = w.StartServer
	w.host.mu.Unlock()
}

// tear reports whether it has the commit: nothing else happens to it then.
func (h *host) tear(stage string) bool {
	t := h.disk.tear.Load()
	if t == nil {
		return false
	}
	wal := filepath.Join(h.dir, sqlite.MainFile+"-wal")
	if stage == sqlite.BeforeCommit {
		if info, err := os.Stat(wal); err == nil {
			t.size = info.Size()
		}
		t.inst = h.kill() // nobody sees what is not on the disk
		return t.inst != nil
	}
	h.disk.tear.Store(nil)
	if t.inst == nil {
		return false
	}
	h.torn(t, wal)
	panic("the machine dies")
}

// torn keeps the files as the dying machine leaves them, and puts them back
// when nothing holds them any more.
func (h *host) torn(t *tear, wal string) {
	files := map[string][]byte{}
	for _, name := range []string{filepath.Join(h.dir, sqlite.MainFile), wal} {
		data, err := os.ReadFile(name)
		if err != nil {
			h.log.Error("keep the torn files", "error", err)
			data = nil
		}
		files[name] = data
	}
	// A log that was begun anew is overwritten from its start: then all of the commit is there.
	if log := files[wal]; int64(len(log)) > t.size {
		kept := t.cut(int64(len(log)) - t.size)
		t.done(kept, int64(len(log))-t.size)
		files[wal] = log[:t.size+kept]
	}
	h.beside(func() {
		if err := t.inst.bury(); err != nil {
			h.log.Warn("release the store", "error", err)
		}
		_ = os.Remove(filepath.Join(h.dir, sqlite.MainFile+"-shm"))
		for name, data := range files {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				h.log.Error("put the torn files back", "error", err)
			}
		}
		time.Sleep(t.down)
		h.again()
	})
}

// Backup copies the store while it is at work; Restore puts it back.
func (w *World) Backup() (restore func(down time.Duration), err error) {
	inst := w.host.current()
	if inst == nil {
		return nil, errNoServer
	}
	dir := w.host.dir + "-backup"
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := inst.store.Backup(context.Background(), dir); err != nil {
		return nil, err
	}
	w.T.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.tracef("backup taken")
	return func(down time.Duration) { w.restore(dir, down) }, nil
}

func (w *World) restore(dir string, down time.Duration) {
	inst := w.host.kill()
	if inst == nil {
		return
	}
	w.tracef("server killed, the backup is restored")
	w.rewound.Store(true)
	w.burying.Go(func() {
		if err := inst.bury(); err != nil {
			w.log.Warn("release the store", "error", err)
		}
		for _, name := range []string{sqlite.MainFile, sqlite.SideFile} {
			file := filepath.Join(w.host.dir, name)
			for _, old := range []string{file, file + "-wal", file + "-shm"} {
				_ = os.Remove(old)
			}
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err == nil {
				err = os.WriteFile(file, data, 0o600)
			}
			if err != nil {
				w.Problemf("restore %s: %v", name, err)
			}
		}
		w.host.disk.restored.Store(true)
		w.watch.forget()
		time.Sleep(down)
		w.StartServer()
	})
}

// forget drops what was known of a record that was replaced by an older one.
func (a *watch) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.copies {
		a.dirty[id] = true
	}
	clear(a.verdicts)
	clear(a.free)
	clear(a.apps)
}

// Forget makes a checker forget what it has seen of a record that was replaced
// by an older one.
func (m *Memory) Forget() { *m = Memory{} }
