// Package server is the control plane: it keeps the record, applies the rules
// and tells everybody what is due. It runs engine.Decide and stores events and
// the folded state in one transaction, hands deployments to live agents,
// fires timers, answers people and scripts, and serves the page.
//
// One file per subject: book.go is the transaction that everything goes
// through, sessions.go and assign.go the agents' leases, rpc_*.go the
// services, watch.go the push to readers, clock.go the timers.
package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/store"
)

// Defaults of the lease clock (architecture, rule 12).
const (
	DefaultLease      = 9 * time.Second
	DefaultRenewEvery = 3 * time.Second
	// leaseMargin is added to a dead holder's expiry and longest call before a successor writes.
	leaseMargin = time.Second
	// planLimit bounds the time from admission to a plan.
	planLimit = 15 * time.Minute
	// pickUpLimit is how long what a person asked for may be without a live
	// agent before that is told as a failure.
	pickUpLimit = 60 * time.Second
)

// Options are what a server needs. Store and Blobs are required.
type Options struct {
	Store  store.Store
	Blobs  blob.Store
	Logger *slog.Logger
	// Web is the built page; nil serves none.
	Web fs.FS
	// Admin is the break-glass login of every project that Config names.
	Admin Admin
	// Project is created when the store is empty.
	Project ProjectConfig
	// WebAddress is the public URL of the page, for links and for agents.
	WebAddress string
	Version    string
	Lease      time.Duration // 0: DefaultLease
	RenewEvery time.Duration // 0: DefaultRenewEvery
	// Registry takes the metrics; nil makes one.
	Registry *prometheus.Registry
	// NewID makes ids; nil makes UUIDv7, which are ordered by time.
	NewID func() string
	// Wall reads the clock of the host; nil means time.Now. Tests set it.
	Wall func() time.Time
}

// Admin is the static admin login.
type Admin struct {
	Username string
	// PasswordHash is argon2id in PHC form; empty switches the login off.
	PasswordHash string
}

// ProjectConfig is a project made at the first start.
type ProjectConfig struct {
	ID, Name      string
	AutoRegister  bool
	WebhookSecret string
}

// Server is a control plane. Make it with New, serve Handler, call Run.
type Server struct {
	opt        Options
	log        *slog.Logger
	hub        *hub
	handler    http.Handler
	metrics    *metrics
	logins     *loginGuard
	limits     *limits
	deliveries *deliveries
	clock      *hostClock
	nudge      chan struct{} // the clock looks again: an instant may have come nearer

	mu    sync.Mutex
	ready bool
}

// New prepares a server: it makes the first project if there is none and
// extends all sessions by one lease, because nobody could renew while no
// server ran. On a restored store it voids them instead.
func New(ctx context.Context, opt Options) (*Server, error) {
	if opt.Store == nil || opt.Blobs == nil {
		return nil, errors.New("server: a store and blobs are needed")
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Lease == 0 {
		opt.Lease = DefaultLease
	}
	if opt.RenewEvery == 0 {
		opt.RenewEvery = DefaultRenewEvery
	}
	if opt.Registry == nil {
		opt.Registry = prometheus.NewRegistry()
	}
	if opt.NewID == nil {
		opt.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if opt.Project.ID == "" {
		opt.Project = ProjectConfig{ID: "default", Name: "default"}
	}
	s := &Server{opt: opt, log: opt.Logger, hub: newHub(), logins: newLoginGuard(opt.Admin.Username), limits: newLimits(callsPerSecond, callsAtOnce), nudge: make(chan struct{}, 1), clock: newHostClock(opt.Wall)}
	s.deliveries = newDeliveries(s.now())
	s.metrics = newMetrics(opt.Registry)
	if err := s.ensureProject(ctx); err != nil {
		return nil, fmt.Errorf("prepare project: %w", err)
	}
	if err := s.resume(ctx); err != nil {
		return nil, fmt.Errorf("take up sessions: %w", err)
	}
	s.handler = s.routes()
	return s, nil
}

// Handler serves every protocol on one port: Connect, gRPC and gRPC-Web, the
// page, webhooks, health and metrics.
func (s *Server) Handler() http.Handler { return s.handler }

// Run fires timers and expires leases until the context ends.
func (s *Server) Run(ctx context.Context) error {
	s.setReady(true)
	defer s.setReady(false)
	defer s.hub.close()
	return s.runClock(ctx)
}

func (s *Server) setReady(v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = v
}

func (s *Server) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

// now is the wall clock of the record.
func (s *Server) now() time.Time { return s.clock.now() }
