package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/launch"
	"github.com/penstock-cd/penstock/internal/server"
	"github.com/penstock-cd/penstock/web"
)

// serverFlags are the settings of `penstock server`.
type serverFlags struct {
	dataDir, listen, cert, key, webAddress, project, adminUser string
	autoRegister                                               bool
	logs                                                       logFlags
}

func newServerCommand(s streams) *cobra.Command {
	var f serverFlags
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run the control plane: record, rules, web page and API on one port",
		Long: `Run the control plane. Everything it keeps is in --data-dir. At the first start an admin login is made and its
password printed once; PENSTOCK_ADMIN_PASSWORD sets one instead.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return runServer(cmd.Context(), s, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.dataDir, "data-dir", "penstock-data", "directory of the database and the blobs")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the one port")
	fl.StringVar(&f.cert, "tls-cert", "", "certificate file; with --tls-key serves TLS")
	fl.StringVar(&f.key, "tls-key", "", "key file of the certificate")
	fl.StringVar(&f.webAddress, "web-address", "", "public URL of the page, for links")
	fl.StringVar(&f.project, "project", "default", "id of the project made at the first start")
	fl.StringVar(&f.adminUser, "admin-user", "admin", "user name of the admin login when PENSTOCK_ADMIN_PASSWORD is set")
	fl.BoolVar(&f.autoRegister, "auto-register", false, "a new project registers applications found in git by itself")
	f.logs.add(cmd)
	return cmd
}

func runServer(ctx context.Context, s streams, f serverFlags) error {
	trimHeap(s.Getenv)
	if (f.cert == "") != (f.key == "") {
		return usagef("--tls-cert and --tls-key go together")
	}
	log, err := f.logs.logger(s)
	if err != nil {
		return err
	}
	admin := server.Admin{Username: f.adminUser}
	made := ""
	if p := s.Getenv("PENSTOCK_ADMIN_PASSWORD"); p != "" {
		admin.PasswordHash = server.HashPassword(p)
	} else if admin, made, err = launch.AdminLogin(s.path(f.dataDir), newPassword); err != nil {
		return err
	}
	srv, err := launch.StartServer(ctx, launch.ServerConfig{
		DataDir: s.path(f.dataDir), Listen: f.listen, CertFile: f.cert, KeyFile: f.key, WebAddress: f.webAddress, Admin: admin,
		Project: server.ProjectConfig{ID: f.project, Name: f.project, AutoRegister: f.autoRegister},
		Web:     web.Dist(), Version: programVersion(), Logger: log, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	log.Info("control plane is up", "url", srv.URL, "data", f.dataDir)
	if made != "" {
		fmt.Fprintf(s.Out, "The admin login was made. It is shown this once:\n  user %s\n  password %s\n", admin.Username, made)
	}
	err = srv.Wait(ctx)
	if cerr := srv.Close(); err == nil {
		err = cerr
	}
	log.Info("control plane stopped")
	return err
}

func newPassword() string {
	b := make([]byte, 15)
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// logFlags choose how a long-running program logs.
type logFlags struct{ level, format string }

func (l *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.level, "log-level", "info", "debug, info, warn or error")
	cmd.Flags().StringVar(&l.format, "log-format", "text", "text or json")
}

func (l *logFlags) logger(s streams) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.level)); err != nil {
		return nil, usagef("--log-level %q is not debug, info, warn or error", l.level)
	}
	opts := &slog.HandlerOptions{Level: level}
	switch strings.ToLower(l.format) {
	case "text":
		return slog.New(slog.NewTextHandler(s.Err, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.Err, opts)), nil
	}
	return nil, usagef("--log-format %q is not text or json", l.format)
}
