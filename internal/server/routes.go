package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/store"
)

// schemeHeader tells handlers behind Connect whether the browser used TLS; it
// is set here and taken out of what clients send.
const schemeHeader = "Penstock-Scheme"

// compressFrom is the size from which answers are compressed.
const compressFrom = 8 << 10

// maxMessage bounds one message: a sealed blob is the largest.
const maxMessage = 10 << 20

func sortBy[T any, K cmp.Ordered](list []T, key func(T) K) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}

// routes joins everything that is served on the one port.
func (s *Server) routes() http.Handler {
	opts := []connect.HandlerOption{
		// Small answers are not worth a compressor's memory: most are small.
		connect.WithCompressMinBytes(compressFrom),
		connect.WithRecover(s.recovered), connect.WithInterceptors(guard{s}), connect.WithReadMaxBytes(maxMessage), connect.WithSendMaxBytes(maxMessage),
	}
	api := http.NewServeMux()
	api.Handle(penstockv1connect.NewApplicationServiceHandler(s, opts...))
	api.Handle(penstockv1connect.NewDeploymentServiceHandler(s, opts...))
	api.Handle(penstockv1connect.NewDecisionServiceHandler(s, opts...))
	api.Handle(penstockv1connect.NewProjectServiceHandler(s, opts...))
	api.Handle(penstockv1connect.NewWatchServiceHandler(s, opts...))
	api.Handle(penstockv1connect.NewAgentServiceHandler(s, opts...))

	mux := http.NewServeMux()
	csrf := http.NewCrossOriginProtection()
	for _, svc := range []string{
		penstockv1connect.ApplicationServiceName, penstockv1connect.DeploymentServiceName, penstockv1connect.DecisionServiceName, penstockv1connect.ProjectServiceName,
		penstockv1connect.WatchServiceName, penstockv1connect.AgentServiceName,
	} {
		mux.Handle("/"+svc+"/", plainAnswers(csrf.Handler(api)))
	}
	for _, host := range gitHosts() {
		mux.HandleFunc("POST "+webhookPath+host.name+"/{project}", s.webhook(host))
	}
	mux.HandleFunc("GET "+badgesPath+"{project}/{application}/{token}", s.badge)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.opt.Registry, promhttp.HandlerOpts{}))
	if s.opt.Web != nil {
		mux.Handle("/", page404(s.opt.Web))
	}
	return withScheme(mux)
}

// plainAnswers keeps browsers from making anything of an answer but data, and
// from keeping it.
func plainAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

// recovered answers for a call that panicked: the others go on.
func (s *Server) recovered(_ context.Context, spec connect.Spec, _ http.Header, cause any) error {
	s.log.Error("panic", "procedure", spec.Procedure, "cause", cause, "stack", string(debug.Stack()))
	return connect.NewError(connect.CodeInternal, errors.New("the server failed; its log says why"))
}

func withScheme(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del(schemeHeader)
		if r.TLS != nil {
			r.Header.Set(schemeHeader, "https")
		}
		next.ServeHTTP(w, r)
	})
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strings.TrimSuffix(body, "\n") + "\n"))
}

// readyz answers 200 when timers run and the store answers.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	if !s.isReady() {
		text(w, http.StatusServiceUnavailable, "starting or stopping")
		return
	}
	err := s.opt.Store.View(ctx, store.System, func(tx store.Tx) error {
		_, err := tx.Count(store.Projects, store.Query{})
		return err
	})
	if err != nil {
		s.log.Error("not ready", "error", err)
		text(w, http.StatusServiceUnavailable, "the store does not answer")
		return
	}
	text(w, http.StatusOK, "ready")
}
