package world

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/server"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// host is the machine of the control plane: its disk outlives every server.
type host struct {
	dir   string
	blobs blob.Store
	log   *slog.Logger
	admin server.Admin
	newID func() string
	disk  disk
	// touched is told, behind each commit, of the deployments that something was written about.
	touched func(deployment string)
	changed atomic.Int64 // how often applications or deployments were written

	mu     sync.Mutex
	inst   *instance
	labels []string // of the transactions that wait for a commit
	wrote  []string // deployments that they write about
	points int
	around func(Commit)
	beside func(func()) // runs something beside the world
	again  func()       // starts a server again
}

// instance is one life of the server.
type instance struct {
	handler  http.Handler
	store    *sqlite.Store
	restored bool // it began on a backup
	ctx      context.Context
	end      context.CancelFunc
	ran      chan struct{} // the clock has stopped
	dead     chan struct{} // killed
	calls    sync.WaitGroup
}

// Commit is a durable write of facts: events or journal entries.
type Commit struct {
	N      int    // from 1
	After  bool   // it is on the disk
	Labels string // what it holds
}

// onCommit sets what is called around each durable write of facts. It runs in
// the goroutine that writes.
func (h *host) onCommit(f func(Commit)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.around = f
}

func (h *host) current() *instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inst
}

// start opens the store and runs a server on it.
func (h *host) start() error {
	h.disk.skew.Store(0)
	h.mu.Lock()
	h.labels, h.wrote = nil, nil // of a start that died
	h.mu.Unlock()
	ctx, end := context.WithCancel(context.Background())
	restored := h.disk.restored.Swap(false)
	st, err := sqlite.Open(ctx, h.dir, sqlite.Options{NoSync: true, Logger: h.log, AroundCommit: h.commit, RestoreIncarnation: restored})
	if err != nil {
		end()
		return err
	}
	srv, err := server.New(ctx, server.Options{
		Store: &labelled{Store: st, host: h}, Blobs: h.blobs, Logger: h.log, Admin: h.admin, NewID: h.newID, Wall: h.disk.wall,
		Project: server.ProjectConfig{ID: Project, Name: Project, AutoRegister: true},
	})
	if err != nil {
		end()
		return fmt.Errorf("start server: %w", errors.Join(err, st.Close()))
	}
	inst := &instance{handler: srv.Handler(), store: st, restored: restored, ctx: ctx, end: end, ran: make(chan struct{}), dead: make(chan struct{})}
	go func() {
		defer close(inst.ran)
		if err := srv.Run(ctx); err != nil {
			h.log.Error("server ended", "error", err)
		}
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inst = inst
	return nil
}

// kill ends the server as the death of its process would: no answer leaves it
// any more. It does not wait; bury does.
func (h *host) kill() *instance {
	h.mu.Lock()
	defer h.mu.Unlock()
	inst := h.inst
	if inst != nil {
		h.inst = nil
		close(inst.dead)
		inst.end()
	}
	return inst
}

// bury waits until nothing of a killed server is at work and releases its files.
func (inst *instance) bury() error {
	<-inst.ran
	inst.calls.Wait()
	return inst.store.Close()
}

// commit is told by the store about each durable commit.
func (h *host) commit(stage string) {
	h.mu.Lock()
	labels, f := h.labels, h.around
	if stage == sqlite.AfterCommit {
		for _, id := range h.wrote {
			h.touched(id)
		}
		h.labels, h.wrote = nil, nil
	}
	text := ""
	for i, l := range labels {
		if i > 0 {
			text += "+"
		}
		text += l
	}
	if text != "" && stage == sqlite.BeforeCommit {
		h.points++
	}
	n := h.points
	h.mu.Unlock()
	if text == "" || h.tear(stage) {
		return
	}
	if f != nil {
		f(Commit{N: n, After: stage == sqlite.AfterCommit, Labels: text})
	}
}

// labelled notes what transactions write, so that durable writes can be told
// from renewals of leases.
type labelled struct {
	*sqlite.Store
	host *host
}

// Update implements store.Store.
func (l *labelled) Update(ctx context.Context, project string, f func(store.Tx) error) error {
	if l.host.disk.full.Load() {
		return errDiskFull
	}
	changed := false
	defer func() { // also behind a failure: it may be in the commit
		if changed {
			l.host.changed.Add(1)
		}
	}()
	return l.Store.Update(ctx, project, func(tx store.Tx) error {
		t := &labelledTx{Tx: tx, future: l.host.disk.future.Load()}
		err := f(t)
		changed = t.changed
		if err == nil && len(t.labels) > 0 {
			l.host.mu.Lock()
			l.host.labels = append(l.host.labels, t.labels...)
			l.host.wrote = append(l.host.wrote, t.wrote...)
			l.host.mu.Unlock()
		}
		return err
	})
}

type labelledTx struct {
	store.Tx
	labels  []string
	wrote   []string
	changed bool // applications or deployments
	future  bool
}

// Append implements store.Tx.
func (t *labelledTx) Append(s store.Stream, after int64, topic string, events []deploy.Event) error {
	for _, e := range events {
		t.labels = append(t.labels, string(e.Type))
	}
	if s.Kind == deploy.StreamDeployment {
		t.wrote = append(t.wrote, s.ID)
	}
	if t.future {
		events = withMore(events)
	}
	return t.Tx.Append(s, after, topic, events)
}

// Put implements store.Tx.
func (t *labelledTx) Put(c store.Collection, r store.Record) error {
	if c.Name == store.Journal.Name {
		t.labels = append(t.labels, "journal")
	}
	t.changes(c)
	return t.Tx.Put(c, r)
}

// Delete implements store.Tx.
func (t *labelledTx) Delete(c store.Collection, key string) error {
	t.changes(c)
	return t.Tx.Delete(c, key)
}

func (t *labelledTx) changes(c store.Collection) {
	t.changed = t.changed || c.Name == store.Deployments.Name || c.Name == store.Applications.Name
}

// StopServer ends the server; it comes back after a time, or with 0 not before StartServer.
func (w *World) StopServer(downFor time.Duration) {
	inst := w.host.kill()
	if inst == nil {
		return
	}
	w.tracef("server killed")
	w.burying.Go(func() {
		if err := inst.bury(); err != nil {
			w.log.Warn("release the store", "error", err)
		}
		if downFor > 0 {
			time.Sleep(downFor)
			w.StartServer()
		}
	})
}

// StartServer starts the server again on what is on the disk, unless it runs or
// somebody else is starting it.
func (w *World) StartServer() {
	if !w.starting.TryLock() {
		return
	}
	defer w.starting.Unlock()
	if w.ended.Load() || w.host.current() != nil {
		return
	}
	err := w.host.start()
	if died := deploy.CodeOf(err) == deploy.CodeUnavailable; err != nil && (died || w.host.disk.full.Load()) {
		w.tracef("the server does not start: %v", err)
		time.AfterFunc(2*time.Second, w.StartServer) // as a service manager does
		return
	} else if err != nil {
		w.Problemf("the server did not start again: %v", err)
		return
	}
	w.tracef("server started")
}
