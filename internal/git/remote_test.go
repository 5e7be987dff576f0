package git_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

func TestPollIsOneRequest(t *testing.T) {
	h := newHost(t, githttp.Options{})
	r := h.remote(t, h.source())
	for i := range 3 {
		want := h.commit(t, git.Change{Files: files("a", fmt.Sprint(i))})
		h.commit(t, git.Change{Branch: "main-2", Files: files("a", fmt.Sprint(-i))})
		got, err := r.Head(t.Context())
		if err != nil || got != want {
			t.Fatalf("head %q, %v; want %q", got, err, want)
		}
		if diff := cmp.Diff([]string{"POST git-upload-pack ls-refs"}, h.take()); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestPollBranchMissing(t *testing.T) {
	h := newHost(t, githttp.Options{})
	r := h.remote(t, h.source())
	for _, state := range []string{"empty repository", "other branch only"} {
		_, err := r.Head(t.Context())
		if !errors.Is(err, git.ErrBranchMissing) || !strings.Contains(err.Error(), `"main"`) || !strings.Contains(err.Error(), h.url) {
			t.Errorf("%s: %v", state, err)
		}
		h.commit(t, git.Change{Branch: "other", Files: files("a", "1")})
	}
}

func TestPollCredentials(t *testing.T) {
	h := newHost(t, githttp.Options{Username: "me", Password: "s3cret"})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	tests := map[string]struct {
		auth git.Auth
		err  error
	}{
		"right":   {auth: git.Auth{Username: "me", Password: "s3cret"}},
		"wrong":   {auth: git.Auth{Username: "me", Password: "wr0ng"}, err: git.ErrAuth},
		"missing": {err: git.ErrAuth},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := h.source()
			src.Auth = tt.auth
			got, err := h.remote(t, src).Head(t.Context())
			if !errors.Is(err, tt.err) || err == nil && got != want {
				t.Fatalf("%q, %v", got, err)
			}
			if err != nil && (strings.Contains(err.Error(), "wr0ng") || !strings.Contains(err.Error(), "configuration")) {
				t.Errorf("words: %v", err)
			}
		})
	}
	inURL := git.Source{URL: strings.Replace(h.url, "http://", "http://me:s3cret@", 1), Branch: "main"}
	if got, err := h.remote(t, inURL).Head(t.Context()); err != nil || got != want {
		t.Errorf("credentials in the address: %q, %v", got, err)
	}
}

func TestPollAnswers(t *testing.T) {
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	git200 := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = w.Write([]byte(body))
		}
	}
	endless := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		line := "00401111111111111111111111111111111111111111 refs/heads/main-22\n"
		for range 1 << 18 {
			if _, err := w.Write([]byte(line)); err != nil {
				return
			}
		}
	}
	tests := map[string]struct {
		h    http.HandlerFunc
		want error
	}{
		"forbidden":  {status(403), git.ErrAuth},
		"not found":  {status(404), git.ErrNotRepository},
		"a web page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello")) }, git.ErrNotRepository},
		"overloaded": {status(503), git.ErrUnreachable},
		"rate limit": {status(429), git.ErrUnreachable},
		"cut off":    {git200("0040111"), git.ErrUnreachable},
		"too much":   {endless, git.ErrTooLarge},
		"not git's":  {git200("hello world"), git.ErrNotRepository},
		"other host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.invalid"+r.URL.Path, http.StatusMovedPermanently)
		}, git.ErrNotRepository},
		"endless move": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, git.ErrNotRepository},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(tt.h)
			defer web.Close()
			r, err := git.NewRemote(git.Source{URL: web.URL + "/r", Branch: "main"}, git.RemoteOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err = r.Head(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

func TestPollUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	r, err := git.NewRemote(git.Source{URL: "http://me:s3cret@" + addr + "/r", Branch: "main"}, git.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = r.Head(t.Context())
	if !errors.Is(err, git.ErrUnreachable) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func TestPollCancelled(t *testing.T) {
	h := newHost(t, githttp.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	h.intercept(func(_ http.ResponseWriter, r *http.Request) bool { cancel(); <-r.Context().Done(); return true })
	if _, err := h.remote(t, h.source()).Head(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, git.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// A host may answer under another path, as it does for a renamed repository: the
// next poll goes there at once.
func TestPollFollowsAMoveOnTheHost(t *testing.T) {
	h := newHost(t, githttp.Options{Username: "me", Password: "s3cret"})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if rest, ok := strings.CutPrefix(r.URL.Path, "/old/"); ok {
			http.Redirect(w, r, "/"+repo+"/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return true
		}
		return false
	})
	src := git.Source{URL: strings.TrimSuffix(h.url, repo) + "old", Branch: "main", Auth: git.Auth{Username: "me", Password: "s3cret"}}
	r := h.remote(t, src)
	for _, requests := range []int{2, 1} {
		h.take()
		if got, err := r.Head(t.Context()); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
		if got := h.take(); len(got) != requests {
			t.Errorf("%d requests: %v", len(got), got)
		}
	}
	m := openMirror(t, git.MirrorOptions{Source: src, Dir: t.TempDir() + "/m"})
	if got, err := m.Fetch(t.Context()); err != nil || got != want {
		t.Errorf("mirror: %q, %v", got, err)
	}
}

// A server of protocol version 0 takes the request for a malformed one.
func TestPollOldServer(t *testing.T) {
	h := newHost(t, githttp.Options{})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	h.intercept(func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Git-Protocol"); return false })
	r := h.remote(t, h.source())
	for range 2 {
		if got, err := r.Head(t.Context()); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if diff := cmp.Diff([]string{"POST git-upload-pack ls-refs", "GET info/refs", "GET info/refs"}, h.take()); diff != "" {
		t.Error(diff)
	}
}

func TestPollThroughGit(t *testing.T) {
	h := newHost(t, githttp.Options{})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	h.commit(t, git.Change{Branch: "x/refs/heads/main", Files: files("a", "2")})
	for _, url := range []string{h.Path(repo), "file://" + h.Path(repo)} {
		if got, err := h.remote(t, git.Source{URL: url, Branch: "main"}).Head(t.Context()); err != nil || got != want {
			t.Errorf("%s: %q, %v", url, got, err)
		}
		if _, err := h.remote(t, git.Source{URL: url, Branch: "heads/main"}).Head(t.Context()); !errors.Is(err, git.ErrBranchMissing) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := h.remote(t, git.Source{URL: t.TempDir(), Branch: "main"}).Head(t.Context()); !errors.Is(err, git.ErrNotRepository) {
		t.Errorf("%v", err)
	}
}
