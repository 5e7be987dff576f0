// Package demosvc is the service that the demo and the tests deploy: a small
// HTTP server that answers with its version and can be told to be slow, to
// fail, to turn unhealthy, never to become healthy, or to exit.
package demosvc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// keepAlive is how long an idle connection is kept: longer than a load
// balancer keeps it (60 s), so that it is never this side that closes a
// connection on which a request is just being sent.
const keepAlive = 90 * time.Second

// Config is one instance of the service.
type Config struct {
	// Listen are the addresses (host:port) to serve on; at least one.
	Listen []string
	// Version and TaskID are shown in every answer.
	Version, TaskID string
	// Behaviour at the start; /admin/behave changes it later.
	Behaviour Behaviour
	// ExitAfter ends the service by itself, 0 for never.
	ExitAfter time.Duration
	// ExitCode is the status of that end.
	ExitCode int
	// Grace bounds the time for requests under way once the service shall
	// stop; 0 means 25 s, just below the default time before a task is killed.
	Grace time.Duration
	// Logger defaults to one that drops everything.
	Logger *slog.Logger
}

// Behaviour is how the service misbehaves. The zero value is a healthy service.
type Behaviour struct {
	// Latency is waited before every answer but that of the health check.
	Latency time.Duration
	// ErrorRate is the share of requests, 0 to 1, that are answered with 500.
	ErrorRate float64
	// NeverHealthy makes the health check answer 503 from the start.
	NeverHealthy bool
	// UnhealthyAfter makes it answer 503 once so much time has passed, counted
	// from when it was set; 0 for never.
	UnhealthyAfter time.Duration
}

// ExitError is returned by Run when the service was told to exit.
type ExitError struct{ Code int }

// Error implements error.
func (e *ExitError) Error() string { return fmt.Sprintf("told to exit with status %d", e.Code) }

// server is the running service.
type server struct {
	cfg      Config
	hostname string
	exit     chan int

	mu        sync.Mutex
	behaviour Behaviour
	since     time.Time // when behaviour was set
}

// Run serves until ctx ends, then finishes the requests under way and returns
// nil. It returns an *ExitError when the service was told to exit, and another
// error when it cannot listen.
func Run(ctx context.Context, cfg Config) error {
	if len(cfg.Listen) == 0 {
		return errors.New("demo service: no address to listen on")
	}
	if cfg.Grace == 0 {
		cfg.Grace = 25 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("demo service: %w", err)
	}
	s := &server{cfg: cfg, hostname: hostname, exit: make(chan int, 1), behaviour: cfg.Behaviour, since: time.Now()}
	listeners, err := listenAll(cfg.Listen)
	if err != nil {
		return err
	}
	return s.serve(ctx, listeners)
}

func listenAll(addrs []string) ([]net.Listener, error) {
	var out []net.Listener
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			for _, open := range out {
				_ = open.Close()
			}
			return nil, fmt.Errorf("demo service: %w", err)
		}
		out = append(out, l)
	}
	return out, nil
}

func (s *server) serve(ctx context.Context, listeners []net.Listener) error {
	web := &http.Server{Handler: s.handler(), IdleTimeout: keepAlive, ReadHeaderTimeout: keepAlive}
	failed := make(chan error, len(listeners))
	var serving sync.WaitGroup
	for _, l := range listeners {
		s.cfg.Logger.Info("listening", "address", l.Addr().String(), "version", s.cfg.Version)
		serving.Go(func() { failed <- web.Serve(l) })
	}
	var after <-chan time.Time
	if s.cfg.ExitAfter > 0 {
		timer := time.NewTimer(s.cfg.ExitAfter)
		defer timer.Stop()
		after = timer.C
	}
	var end error
	select {
	case <-ctx.Done():
	case <-after:
		end = &ExitError{s.cfg.ExitCode}
	case code := <-s.exit:
		end = &ExitError{code}
	case err := <-failed:
		end = fmt.Errorf("demo service: %w", err)
	}
	if exit := (*ExitError)(nil); errors.As(end, &exit) {
		_ = web.Close() // a crash does not wait
	} else {
		s.cfg.Logger.Info("stopping", "grace", s.cfg.Grace)
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
		defer cancel()
		if err := web.Shutdown(stopping); err != nil {
			_ = web.Close()
		}
	}
	serving.Wait()
	return end
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.root)
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("POST /admin/behave", s.behave)
	return mux
}

func (s *server) current() (b Behaviour, healthy bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b = s.behaviour
	unhealthy := b.NeverHealthy || b.UnhealthyAfter > 0 && time.Since(s.since) >= b.UnhealthyAfter
	return b, !unhealthy
}

// Answer is the body of every answer of the service.
type Answer struct {
	Version  string `json:"version"`
	TaskID   string `json:"taskId"`
	Hostname string `json:"hostname"`
}

func (s *server) root(w http.ResponseWriter, r *http.Request) {
	b, _ := s.current()
	if b.Latency > 0 {
		timer := time.NewTimer(b.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("X-Demo-Version", s.cfg.Version)
	if b.ErrorRate > 0 && rand.Float64() < b.ErrorRate {
		http.Error(w, "told to fail", http.StatusInternalServerError)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/plain") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintf(w, "%s %s %s\n", s.cfg.Version, s.cfg.TaskID, s.hostname)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(Answer{s.cfg.Version, s.cfg.TaskID, s.hostname})
}

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	if _, healthy := s.current(); !healthy {
		http.Error(w, "unhealthy", http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// order is the body of /admin/behave; members that are absent change nothing.
// Durations are written as in Go ("150ms").
type order struct {
	Latency        *string  `json:"latency"`
	ErrorRate      *float64 `json:"errorRate"`
	Healthy        *bool    `json:"healthy"`
	UnhealthyAfter *string  `json:"unhealthyAfter"`
	Exit           *int     `json:"exit"`
}

// behave changes the behaviour. It is for this machine only: neither a caller
// from elsewhere nor one whose request came through the router is served.
func (s *server) behave(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Origin") != "" {
		http.Error(w, "only for direct calls from this machine", http.StatusForbidden)
		return
	}
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&o); err != nil {
		http.Error(w, "body: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.apply(o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
	if o.Exit != nil {
		select {
		case s.exit <- *o.Exit:
		default: // told already
		}
	}
}

func (s *server) apply(o order) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.behaviour
	if o.Latency != nil {
		d, err := time.ParseDuration(*o.Latency)
		if err != nil || d < 0 {
			return fmt.Errorf("latency %q is not a duration", *o.Latency)
		}
		b.Latency = d
	}
	if o.UnhealthyAfter != nil {
		d, err := time.ParseDuration(*o.UnhealthyAfter)
		if err != nil || d < 0 {
			return fmt.Errorf("unhealthyAfter %q is not a duration", *o.UnhealthyAfter)
		}
		b.UnhealthyAfter = d
	}
	if o.ErrorRate != nil {
		if *o.ErrorRate < 0 || *o.ErrorRate > 1 {
			return fmt.Errorf("errorRate %v is not within 0 and 1", *o.ErrorRate)
		}
		b.ErrorRate = *o.ErrorRate
	}
	if o.Healthy != nil {
		b.NeverHealthy = !*o.Healthy
		if *o.Healthy && o.UnhealthyAfter == nil {
			b.UnhealthyAfter = 0
		}
	}
	s.behaviour, s.since = b, time.Now()
	return nil
}

// Main runs the service as a process of its own: configured by environment
// variables (see FromEnv), ended by SIGTERM or SIGINT. Where the Lambda
// runtime interface is offered, it is a function instead. It returns the exit
// status.
func Main(ctx context.Context, getenv func(string) string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg, err := FromEnv(getenv)
	if err != nil {
		log.Error("cannot start", "error", err)
		return 2
	}
	cfg.Logger = log
	if getenv(envRuntime) != "" {
		return function(ctx, cfg)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err = Run(ctx, cfg)
	var exit *ExitError
	switch {
	case errors.As(err, &exit):
		log.Error("exiting", "status", exit.Code)
		return exit.Code
	case err != nil:
		log.Error("cannot run", "error", err)
		return 1
	}
	return 0
}
