package git_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

const repo = "shop.git"

// host is a git host on loopback that remembers what it was asked.
type host struct {
	*githttp.Server
	url string

	mu     sync.Mutex
	asked  []string // "GET info/refs", "POST git-upload-pack ls-refs"
	before func(http.ResponseWriter, *http.Request) bool
}

func newHost(t *testing.T, o githttp.Options) *host {
	t.Helper()
	s, err := githttp.New(t.Context(), t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateRepo(t.Context(), repo, "main"); err != nil {
		t.Fatal(err)
	}
	h := &host{Server: s}
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	h.url = web.URL + "/" + repo
	return h
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/"+repo+"/")
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		for _, command := range []string{"ls-refs", "fetch"} {
			if bytes.Contains(body, []byte("command="+command)) {
				what += " " + command
			}
		}
	}
	h.mu.Lock()
	h.asked = append(h.asked, what)
	before := h.before
	h.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	h.Server.ServeHTTP(w, r)
}

// intercept lets a test answer a request itself, by returning true.
func (h *host) intercept(f func(http.ResponseWriter, *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = f
}

// take returns what was asked since the last call.
func (h *host) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

func (h *host) commit(t *testing.T, c git.Change) string {
	t.Helper()
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Message == "" {
		c.Message = "change"
	}
	sha, err := h.CommitChange(t.Context(), repo, c)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func (h *host) source() git.Source { return git.Source{URL: h.url, Branch: "main"} }

func (h *host) remote(t *testing.T, src git.Source) *git.Remote {
	t.Helper()
	r, err := git.NewRemote(src, git.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func (h *host) mirror(t *testing.T) *git.Mirror {
	t.Helper()
	return openMirror(t, git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "mirror")})
}

func openMirror(t *testing.T, o git.MirrorOptions) *git.Mirror {
	t.Helper()
	m, err := git.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func files(kv ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return m
}

func exists(p string) bool {
	_, err := os.Stat(p)
	return err == nil
}
