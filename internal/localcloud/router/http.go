package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Limits of a load balancer as the guide gives them: connections to targets
// are given up after 10 s ("HTTP 504"), idle ones after 60 s ("Connection idle
// timeout", the default). Targets must keep idle connections longer than that.
const (
	connectTimeout = 10 * time.Second
	idleTimeout    = 60 * time.Second
	// clientClosed is what a load balancer logs when the client left first
	// ("HTTP 460").
	clientClosed = 460
	// serverName is in the header Server of answers without a target.
	serverName = "awselb/2.0"
)

// port is the real socket of one listener.
type port struct {
	addr   string
	server *http.Server
}

func (p *port) close() { _ = p.server.Close() }

// open listens on a loopback address and serves the listener there.
func (r *Router) open(arn, addr string) (*port, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listener address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("listener address %q: not a loopback address", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open listener: %w", err)
	}
	p := &port{addr: l.Addr().String(), server: &http.Server{
		Handler:           r.Handler(arn),
		ReadHeaderTimeout: idleTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}}
	r.servers.Go(func() { _ = p.server.Serve(l) })
	return p, nil
}

// decisionKey carries the decision from the handler to the proxy.
type decisionKey struct{}

// Handler serves one listener over HTTP. A listener of protocol HTTPS is
// served in clear text too: certificates are checked for presence only.
func (r *Router) Handler(listenerARN string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ln := (*r.listeners.Load())[listenerARN]
		if ln == nil {
			answer(w, http.StatusServiceUnavailable)
			return
		}
		d := r.choose(ln, requestOf(req))
		if d.status != 0 && !r.table.Routes(listenerARN).HideServer {
			w.Header().Set("Server", serverName)
		}
		switch {
		case d.redirect != nil:
			w.Header().Set("Location", location(*d.redirect, req))
			w.WriteHeader(d.status)
		case d.fixed != nil:
			fixed(w, *d.fixed)
		case d.status != 0:
			answer(w, d.status)
		default:
			r.proxy.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), decisionKey{}, &d)))
			return // counted by the proxy
		}
		r.stats.add(d, d.status)
	})
}

// answer is the load balancer's own short page.
func answer(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	_, _ = fmt.Fprintf(w, "<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n", title, title)
}

func fixed(w http.ResponseWriter, f FixedResponse) {
	if f.ContentType != "" {
		w.Header().Set("Content-Type", f.ContentType)
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// location fills the placeholders of a redirect (API reference,
// RedirectActionConfig). The port of the request is the one the client used.
func location(rd Redirect, req *http.Request) string {
	host, portText := req.Host, "80"
	if h, p, err := net.SplitHostPort(req.Host); err == nil {
		host, portText = h, p
	}
	fill := strings.NewReplacer(
		"#{protocol}", "http", "#{host}", host, "#{port}", portText,
		"#{path}", strings.TrimPrefix(req.URL.EscapedPath(), "/"), "#{query}", req.URL.RawQuery,
	)
	or := func(s, def string) string {
		if s == "" {
			s = def
		}
		return fill.Replace(s)
	}
	out := strings.ToLower(or(rd.Protocol, "#{protocol}")) + "://" +
		net.JoinHostPort(or(rd.Host, "#{host}"), or(rd.Port, "#{port}")) + or(rd.Path, "/#{path}")
	if q := or(rd.Query, "#{query}"); q != "" {
		out += "?" + q
	}
	return out
}

// newProxy returns the handler that carries out a decision, and a function
// that closes its idle connections.
func newProxy(r *Router) (http.Handler, func()) {
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: connectTimeout}).DialContext,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       idleTimeout,
		ResponseHeaderTimeout: idleTimeout,
		DisableCompression:    true,
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:        r.rewrite,
		Transport:      transport,
		FlushInterval:  -1, // pass streams on as they come
		BufferPool:     &buffers{},
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ModifyResponse: r.modifyResponse,
		ErrorHandler:   r.failed,
	}
	return proxy, transport.CloseIdleConnections
}

func decided(ctx context.Context) *decision {
	d, _ := ctx.Value(decisionKey{}).(*decision)
	return d
}

// rewrite addresses the target and sets the headers a load balancer adds
// (guide, "HTTP headers and Application Load Balancers").
func (r *Router) rewrite(pr *httputil.ProxyRequest) {
	d := decided(pr.In.Context())
	pr.Out.URL.Scheme = "http"
	pr.Out.URL.Host = d.target.Addr
	pr.Out.URL.RawQuery = pr.In.URL.RawQuery // as it came, even where it cannot be parsed
	pr.Out.Host = pr.In.Host
	for _, name := range []string{"X-Forwarded-Host", "Forwarded"} { // passed on untouched
		if v, ok := pr.In.Header[name]; ok {
			pr.Out.Header[name] = v
		}
	}

	client, _, err := net.SplitHostPort(pr.In.RemoteAddr)
	if err != nil {
		client = pr.In.RemoteAddr
	}
	if prior := strings.Join(pr.In.Header.Values("X-Forwarded-For"), ", "); prior != "" {
		client = prior + ", " + client
	}
	pr.Out.Header.Set("X-Forwarded-For", client)
	pr.Out.Header.Set("X-Forwarded-Proto", "http")
	snap := r.table.Routes(d.listener)
	pr.Out.Header.Set("X-Forwarded-Port", fmt.Sprint(snap.Port))

	trace := r.traceID(r.opts.Clock.Now().Unix())
	if in := pr.In.Header.Get("X-Amzn-Trace-Id"); strings.Contains(in, "Root=") {
		trace = "Self=" + trace + ";" + in
	} else {
		trace = "Root=" + trace
	}
	pr.Out.Header.Set("X-Amzn-Trace-Id", trace)
}

func formatTrace(unix int64, hi uint64, lo uint32) string {
	return fmt.Sprintf("1-%08x-%016x%08x", unix, hi, lo)
}

func (r *Router) modifyResponse(resp *http.Response) error {
	d := decided(resp.Request.Context())
	for _, c := range d.cookies {
		resp.Header.Add("Set-Cookie", c.String())
	}
	r.stats.add(*d, resp.StatusCode)
	return nil
}

// failed answers for a target that did not: 504 when it took too long to
// connect or answer, 502 when it refused or reset the connection.
func (r *Router) failed(w http.ResponseWriter, req *http.Request, err error) {
	d := decided(req.Context())
	var netErr net.Error
	status := http.StatusBadGateway
	switch {
	case req.Context().Err() != nil:
		r.stats.add(*d, clientClosed)
		return
	case errors.As(err, &netErr) && netErr.Timeout():
		status = http.StatusGatewayTimeout
	}
	r.log.Debug("target did not answer", "listener", d.listener, "group", d.group, "target", d.target.ID,
		"address", d.target.Addr, "status", status, "error", err)
	r.stats.add(*d, status)
	if !r.table.Routes(d.listener).HideServer {
		w.Header().Set("Server", serverName)
	}
	answer(w, status)
}

// buffers reuses copy buffers between requests.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }

// URL returns the address of a listener's socket as a URL, nil if it has none.
func (r *Router) URL(listenerARN string) *url.URL {
	addr := r.Addr(listenerARN)
	if addr == "" {
		return nil
	}
	return &url.URL{Scheme: "http", Host: addr, Path: "/"}
}
