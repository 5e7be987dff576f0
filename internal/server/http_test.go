package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/store"
)

func TestHealthAndMetrics(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		check := func(path string, status int, text string) {
			r.Helper()
			got, _, body := r.get("GET", path, nil, "")
			if got != status || !strings.Contains(body, text) {
				r.Errorf("%s: %d %.80q, want %d %q", path, got, body, status, text)
			}
		}
		check("/healthz", 200, "ok")
		check("/readyz", 200, "ready")
		_, _, _ = r.get("POST", penstockv1connect.ProjectServiceWhoAmIProcedure, map[string]string{"Content-Type": "application/json"}, "{}")
		check("/metrics", 200, `penstock_rpc_seconds_count{code="unauthorized",procedure="WhoAmI"} 1`)
		check("/metrics", 200, "go_goroutines")
		check("/", 404, "")
		r.end()
		check("/readyz", 503, "starting or stopping")
		check("/healthz", 200, "ok")
		r.opt.Registry = nil
		r.start()
	})
}

func TestTheStoreDecidesWhetherTheServerIsReady(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		r.end()
		r.srv.setReady(true)
		r.srv.opt.Store = failing{r.st}
		if status, _, body := r.get("GET", "/readyz", nil, ""); status != 503 || strings.Contains(body, "disk") {
			r.Errorf("%d %s", status, body)
		}
		r.opt.Registry = nil
		r.start()
	})
}

// failing is a store that cannot be read.
type failing struct{ *counted }

func (failing) View(context.Context, string, func(store.Tx) error) error {
	return errors.New("disk I/O error")
}

func TestThePage(t *testing.T) {
	page := fstest.MapFS{
		"index.html":            {Data: []byte("<html>page</html>")},
		"assets/app-1234.js":    {Data: []byte("plain")},
		"assets/app-1234.js.br": {Data: []byte("brotli")},
		"assets/app-1234.js.gz": {Data: []byte("zipped")},
		"favicon.svg":           {Data: []byte("<svg/>")},
	}
	onRig(t, func(o *Options) { o.Web = page }, func(r *rig) {
		for name, x := range map[string]struct {
			method, path, accept string
			status               int
			body, encoding, kind string
			cache                string
		}{
			"root":               {"GET", "/", "", 200, "<html>page</html>", "", "text/html", "no-cache"},
			"a route":            {"GET", "/deployments/0194", "", 200, "<html>page</html>", "", "text/html", "no-cache"},
			"an asset":           {"GET", "/assets/app-1234.js", "", 200, "plain", "", "text/javascript", "immutable"},
			"brotli":             {"GET", "/assets/app-1234.js", "gzip, deflate, br", 200, "brotli", "br", "text/javascript", "immutable"},
			"gzip":               {"GET", "/assets/app-1234.js", "gzip", 200, "zipped", "gzip", "text/javascript", "immutable"},
			"not precompressed":  {"GET", "/favicon.svg", "br", 200, "<svg/>", "", "image/svg+xml", "no-cache"},
			"an asset that went": {"GET", "/assets/app-0000.js", "", 404, "not found\n", "", "text/plain", ""},
			"out of the tree":    {"GET", "/assets/%2e%2e/%2e%2e/etc/passwd.txt", "", 404, "not found\n", "", "text/plain", ""},
			"another method":     {"POST", "/", "", 405, "only GET is answered here\n", "", "text/plain", ""},
		} {
			status, h, body := r.get(x.method, x.path, map[string]string{"Accept-Encoding": x.accept}, "")
			if status != x.status || body != x.body || h.Get("Content-Encoding") != x.encoding || !strings.HasPrefix(h.Get("Content-Type"), x.kind) || !strings.Contains(h.Get("Cache-Control"), x.cache) {
				r.Errorf("%s: %d %q %v", name, status, body, h)
			}
			if x.status == 200 && (!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") == "") {
				r.Errorf("%s: headers %v", name, h)
			}
		}
	})
	onRig(t, func(o *Options) { o.Web = fstest.MapFS{} }, func(r *rig) {
		if status, _, body := r.get("GET", "/", nil, ""); status != 404 || !strings.Contains(body, "make build") {
			r.Errorf("a binary without the page: %d %s", status, body)
		}
	})
}

func TestErrorsCrossTheWireWithTheirCode(t *testing.T) {
	log := &bytes.Buffer{}
	s := &Server{log: slog.New(slog.NewTextHandler(log, nil))}
	for code, want := range wireCodes {
		err := s.wireError("P", fmt.Errorf("outer: %w", &deploy.Error{Code: code, Reason: "R", Object: "o", Message: "words", Err: errors.New("/secret/path")}))
		if got := connect.CodeOf(err); got != want || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %v and no cause", code, err, want)
		}
		if d := detail(err); d == nil || d.Code != string(code) || code != deploy.CodeInternal && (d.Reason != "R" || d.Object != "o") {
			t.Errorf("%s: detail %v", code, d)
		}
	}
	for _, err := range []error{errors.New("secret"), deploy.Errorf(deploy.CodeInternal, "secret"), &deploy.Error{Code: "made up", Message: "secret"}} {
		if got := s.wireError("P", err); connect.CodeOf(got) != connect.CodeInternal || strings.Contains(got.Error(), "secret") {
			t.Errorf("%v", got)
		}
	}
	if n := strings.Count(log.String(), "internal error"); n != 4 {
		t.Errorf("%d of our own faults in the log, want 4", n)
	}
	if got := connect.CodeOf(s.wireError("P", context.Canceled)); got != connect.CodeCanceled {
		t.Errorf("%v", got)
	}
	if got := connect.CodeOf(s.wireError("P", fmt.Errorf("x: %w", context.DeadlineExceeded))); got != connect.CodeDeadlineExceeded {
		t.Errorf("%v", got)
	}
}

func TestAPanicEndsOneCall(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		r.srv.opt.Blobs = nil
		status, _, body := r.get("POST", penstockv1connect.AgentServicePutBlobProcedure, map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + p.key}, `{"sessionId":"`+p.session+`"}`)
		if status != http.StatusInternalServerError || strings.Contains(body, "nil pointer") || !strings.Contains(r.log.String(), "nil pointer") {
			r.Errorf("%d %s", status, body)
		}
	})
}
