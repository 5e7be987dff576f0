package server

import (
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// contentPolicy lets the page load nothing from elsewhere.
const contentPolicy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// page404 serves the built page: files under their hashed names for ever,
// everything else that looks like a route as index.html.
func page404(dist fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			text(w, http.StatusMethodNotAllowed, "only GET is answered here")
			return
		}
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		if strings.HasPrefix(name, "assets/") {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		} else {
			h.Set("Cache-Control", "no-cache")
		}
		if name == "" || path.Ext(name) == "" {
			name = "index.html"
		}
		serveFile(w, r, dist, name)
	})
}

// serveFile sends a file, precompressed when the build made such a copy and
// the browser takes it.
func serveFile(w http.ResponseWriter, r *http.Request, dist fs.FS, name string) {
	h := w.Header()
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		h.Set("Content-Type", t)
	}
	h.Add("Vary", "Accept-Encoding")
	accepted := r.Header.Get("Accept-Encoding")
	for _, enc := range []struct{ name, ext string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if !strings.Contains(accepted, enc.name) {
			continue
		}
		if f, err := dist.Open(name + enc.ext); err == nil {
			h.Set("Content-Encoding", enc.name)
			send(w, f)
			return
		}
	}
	f, err := dist.Open(name)
	if err != nil {
		h.Del("Content-Type")
		h.Del("Cache-Control")
		if name == "index.html" {
			text(w, http.StatusNotFound, "this binary was built without the page: run make build with Node 20 or newer")
			return
		}
		text(w, http.StatusNotFound, "not found")
		return
	}
	send(w, f)
}

func send(w http.ResponseWriter, f fs.File) {
	defer func() { _ = f.Close() }()
	_, _ = io.Copy(w, f)
}
