package launch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/agent/gitrepo"
	"github.com/penstock-cd/penstock/internal/agent/piped"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/platform"
)

// AgentConfig says how an agent is run.
type AgentConfig struct {
	Config *piped.Config
	// DataDir holds the git mirrors; it belongs to this process alone.
	DataDir   string
	Platforms []platform.Platform
	Version   string
	Logger    *slog.Logger
	Metrics   *prometheus.Registry
	// TLS configures the link to a control plane behind TLS; nil means the system's pool.
	TLS *tls.Config
	// GuardEvery and PollEvery override the agent's periods; 0 keeps them.
	GuardEvery, PollEvery time.Duration
}

// NewAgent joins an agent with its link and repositories.
func NewAgent(c AgentConfig) (*agent.Agent, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	for _, w := range c.Config.Warnings {
		c.Logger.Warn("configuration", "at", fmt.Sprintf("%s:%d:%d", w.File, w.Line, w.Column), "problem", w.Message, "hint", w.Hint)
	}
	opener := &gitrepo.Opener{Dir: c.DataDir, Git: c.Config.Piped.Git, Log: c.Logger}
	link := client.NewLink(linkClient(c.TLS), c.Config.URL, c.Config.Key.Reveal())
	return agent.New(agent.Options{
		Config: c.Config.Piped, Key: c.Config.Key, Link: link, Platforms: c.Platforms, OpenRepo: opener.Open,
		Logger: c.Logger, Metrics: c.Metrics, Version: c.Version, GuardEvery: c.GuardEvery, PollEvery: c.PollEvery,
	})
}

// linkClient is the HTTP client of the link: HTTP/2 where TLS negotiates it,
// HTTP/1.1 otherwise, which any proxy passes. It has no overall timeout,
// because one stream stays open; calls carry their own.
func linkClient(conf *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = conf
	t.MaxIdleConnsPerHost = 16
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 5 * time.Second}
	return &http.Client{Transport: t}
}

// ServeAgentAdmin answers /healthz and /metrics of an agent until the context
// ends. An empty address serves nothing.
func ServeAgentAdmin(ctx context.Context, addr string, reg *prometheus.Registry, healthy func() bool) error {
	if addr == "" {
		<-ctx.Done()
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s for health and metrics: %w; choose another with --admin-listen, or \"\" for none", addr, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	answer := func(w http.ResponseWriter, _ *http.Request) {
		if !healthy() {
			http.Error(w, "no session with the control plane", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", answer)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case <-ctx.Done():
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	case err := <-done:
		return err
	}
}
