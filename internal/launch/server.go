// Package launch joins the parts into the two long-running programs, for the
// commands and for the demo, which runs both in one process. It may know every
// part; nothing but cmd/penstock and internal/demo imports it.
package launch

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-cd/penstock/internal/blob/file"
	"github.com/penstock-cd/penstock/internal/server"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// ServerConfig says how a control plane is run.
type ServerConfig struct {
	// DataDir holds the database, the blobs and the generated admin login.
	DataDir string
	// Listen is the address of the one port.
	Listen string
	// CertFile and KeyFile switch TLS on.
	CertFile, KeyFile string
	WebAddress        string // "" derives it from the listener
	Admin             server.Admin
	Project           server.ProjectConfig
	Web               fs.FS
	Version           string
	Logger            *slog.Logger
	Registry          *prometheus.Registry
	// NoSync trades durability for speed: for the demo's throw-away data only.
	NoSync bool
}

// Server is a running control plane.
type Server struct {
	*server.Server
	// URL is where it listens.
	URL string

	unlock func() error
	store  *sqlite.Store
	blobs  *file.Store
	http   *http.Server
	stop   context.CancelCauseFunc
	ended  chan error
}

// errStopped is the cause with which a stopping server ends its loops.
var errStopped = errors.New("the server was asked to stop")

// StartServer opens the data, listens and serves. It returns when the port
// answers; Close ends everything.
func StartServer(ctx context.Context, c ServerConfig) (*Server, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{ended: make(chan error, 2)}
	var err error
	if s.unlock, err = lock(c.DataDir); err != nil {
		return nil, err
	}
	if s.store, err = sqlite.Open(ctx, c.DataDir, sqlite.Options{Logger: c.Logger, NoSync: c.NoSync}); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", c.DataDir, err), s.unlock())
	}
	if s.blobs, err = file.Open(filepath.Join(c.DataDir, "blobs")); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", c.DataDir, err), s.store.Close(), s.unlock())
	}
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w; another program may have the port, choose one with --listen", c.Listen, err), s.closeData())
	}
	s.URL = url(ln.Addr(), c.CertFile != "")
	if c.WebAddress == "" {
		c.WebAddress = s.URL
	}
	s.Server, err = server.New(ctx, server.Options{
		Store: s.store, Blobs: s.blobs, Logger: c.Logger, Web: c.Web, Admin: c.Admin, Project: c.Project,
		WebAddress: c.WebAddress, Version: c.Version, Registry: c.Registry,
	})
	if err != nil {
		return nil, errors.Join(err, ln.Close(), s.closeData())
	}
	if err := s.serve(ln, c); err != nil {
		return nil, errors.Join(err, ln.Close(), s.closeData())
	}
	return s, nil
}

// serve begins answering and firing timers.
func (s *Server) serve(ln net.Listener, c ServerConfig) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler: s.Handler(), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(c.Logger.Handler(), slog.LevelWarn),
	}
	if c.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return fmt.Errorf("load the certificate: %w", err)
		}
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
		ln = tls.NewListener(ln, s.http.TLSConfig)
	}
	loop, stop := context.WithCancelCause(context.Background())
	s.stop = stop
	// The end of the loop ends the streams; calls that are at work are not
	// cancelled with it, they have until the end of Close.
	go func() { s.ended <- s.Run(loop) }()
	go func() {
		err := s.http.Serve(ln)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.ended <- err
	}()
	return nil
}

// Wait returns when the context ends or a part of the server fails.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.ended:
		s.ended <- err
		return err
	}
}

// Close ends streams, finishes calls within ten seconds and closes the data.
func (s *Server) Close() error {
	s.stop(errStopped)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	return errors.Join(err, <-s.ended, <-s.ended, s.closeData())
}

func (s *Server) closeData() error {
	return errors.Join(s.blobs.Close(), s.store.Close(), s.unlock())
}

func url(a net.Addr, tls bool) string {
	if tls {
		return "https://" + a.String()
	}
	return "http://" + a.String()
}

// AdminLogin returns the admin login kept in the data directory, made at the
// first start with a random password. The password is returned only when it
// was made now: it is shown once and kept as a hash.
func AdminLogin(dataDir string, newPassword func() string) (server.Admin, string, error) {
	path := filepath.Join(dataDir, "admin.json")
	var a server.Admin
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(b, &a); err != nil {
			return a, "", fmt.Errorf("read %s: %w", path, err)
		}
		return a, "", nil
	case !errors.Is(err, fs.ErrNotExist):
		return a, "", fmt.Errorf("read the admin login: %w", err)
	}
	password := newPassword()
	a = server.Admin{Username: "admin", PasswordHash: server.HashPassword(password)}
	if b, err = json.Marshal(a); err != nil {
		return a, "", err
	}
	if err := writePrivate(path, b); err != nil {
		return server.Admin{}, "", err
	}
	return a, password, nil
}

// writePrivate writes a file that only the owner reads, whole or not at all: a
// half-written login would lock everybody out at the next start.
func writePrivate(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make %s: %w", filepath.Dir(path), err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
