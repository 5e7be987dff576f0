package githubapp_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/git/githubapp"
)

// github is an API like GitHub's on loopback, with a clock of its own.
type github struct {
	t   *testing.T
	key *rsa.PrivateKey

	mu     sync.Mutex
	now    time.Time
	asked  map[string]int
	made   int
	answer func(w http.ResponseWriter, path string) bool // true: it has answered
}

func newGitHub(t *testing.T) (*github, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	g := &github{t: t, key: key, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), asked: map[string]int{}}
	web := httptest.NewServer(g)
	t.Cleanup(web.Close)
	return g, web.URL
}

func (g *github) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *github) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func (g *github) count(path string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[path]
}

// checkStatement is what GitHub does with a JWT.
func (g *github) checkStatement(r *http.Request) error {
	text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(text, ".")
	if !ok || len(parts) != 3 {
		return errors.New("no statement")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&g.key.PublicKey, crypto.SHA256, sum[:], signature); err != nil {
		return err
	}
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	switch now := g.now.Unix(); {
	case err != nil:
		return err
	case claims.Iss != "12345", claims.Iat > now, claims.Exp <= now, claims.Exp-claims.Iat > 600:
		return fmt.Errorf("claims %+v at %d", claims, now)
	}
	return nil
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	g.asked[what]++
	if g.answer != nil && g.answer(w, what) {
		return
	}
	if err := g.checkStatement(r); err != nil {
		http.Error(w, `{"message":"A JSON web token could not be decoded"}`, http.StatusUnauthorized)
		return
	}
	switch what {
	case "GET /repos/org/one/installation", "GET /repos/org/two/installation":
		_, _ = fmt.Fprint(w, `{"id":77}`)
	case "POST /app/installations/77/access_tokens":
		var want struct{ Permissions map[string]string }
		if err := json.NewDecoder(r.Body).Decode(&want); err != nil || fmt.Sprint(want.Permissions) != "map[contents:read]" {
			g.t.Errorf("asked for %v, %v", want.Permissions, err)
		}
		g.made++
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token":"ghs_token-%d","expires_at":%q}`, g.made, g.now.Add(time.Hour).Format(time.RFC3339))
	default:
		http.Error(w, `{"message":"Not Found"}`, http.StatusNotFound)
	}
}

func (g *github) app(api string, change func(*githubapp.Options)) *githubapp.App {
	g.t.Helper()
	o := githubapp.Options{ID: "12345", API: api, Now: g.clock, Key: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(g.key)})}
	if change != nil {
		change(&o)
	}
	a, err := githubapp.New(o)
	if err != nil {
		g.t.Fatal(err)
	}
	return a
}

const tokens = "POST /app/installations/77/access_tokens"

func TestATokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	g, api := newGitHub(t)
	app := g.app(api, nil)
	one, two := app.Repository("org", "one"), app.Repository("org", "two")
	expect := func(s git.TokenSource, want string, asked int) {
		t.Helper()
		user, got, err := s.Token(t.Context())
		if err != nil || got != want || user != "x-access-token" || g.count(tokens) != asked {
			t.Fatalf("%s %q, %v after %d requests; want %s after %d", user, got, err, g.count(tokens), want, asked)
		}
	}
	expect(one, "ghs_token-1", 1)
	expect(two, "ghs_token-1", 1) // one owner, one installation, one token
	g.pass(49 * time.Minute)
	expect(one, "ghs_token-1", 1)
	g.pass(2 * time.Minute) // nine minutes are left
	expect(one, "ghs_token-2", 2)
	one.Refused("ghs_token-1") // an old one: no matter
	expect(two, "ghs_token-2", 2)
	two.Refused("ghs_token-2")
	expect(one, "ghs_token-3", 3)
	if n := g.count("GET /repos/org/one/installation") + g.count("GET /repos/org/two/installation"); n != 1 {
		t.Errorf("the installation was looked up %d times", n)
	}
	var wait sync.WaitGroup
	one.Refused("ghs_token-3")
	for range 20 {
		wait.Go(func() { _, _, _ = two.Token(t.Context()) })
	}
	wait.Wait()
	expect(one, "ghs_token-4", 4) // asked once by all of them
}

func TestAppsErrors(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	status := func(code int, body string) func(http.ResponseWriter, string) bool {
		return func(w http.ResponseWriter, _ string) bool { http.Error(w, body, code); return true }
	}
	for name, x := range map[string]struct {
		change func(*githubapp.Options)
		answer func(http.ResponseWriter, string) bool
		repo   string
		kind   error
		words  string
	}{
		"another key": {change: func(o *githubapp.Options) { o.Key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}) }, kind: git.ErrAuth, words: "clock of this machine"},
		"another app": {change: func(o *githubapp.Options) { o.ID = "999" }, kind: git.ErrAuth, words: "appID"},
		"a clock gone wrong": {change: func(o *githubapp.Options) {
			o.Now = func() time.Time { return time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC) }
		}, kind: git.ErrAuth, words: "clock"},
		"not installed": {repo: "private", kind: git.ErrAuth, words: "install the app"},
		"suspended":     {answer: status(403, `{"message":"This installation has been suspended"}`), kind: git.ErrAuth, words: "suspended"},
		"rate limit":    {answer: status(403, `{"message":"API rate limit exceeded"}`), kind: git.ErrUnreachable, words: "next poll"},
		"down":          {answer: status(502, `<html>`), kind: git.ErrUnreachable, words: "502"},
		"not GitHub":    {answer: status(200, `<html>`), kind: git.ErrUnreachable, words: "/api/v3"},
		"no token":      {answer: status(200, `{"id":77}`), kind: git.ErrUnreachable, words: "no token"},
		"nobody there":  {change: func(o *githubapp.Options) { o.API = "http://127.0.0.1:1" }, kind: git.ErrUnreachable, words: "refused"},
	} {
		g, api := newGitHub(t)
		g.answer = x.answer
		repo := x.repo
		if repo == "" {
			repo = "one"
		}
		_, token, err := g.app(api, x.change).Repository("org", repo).Token(t.Context())
		if !errors.Is(err, x.kind) || !strings.Contains(err.Error(), x.words) || token != "" {
			t.Errorf("%s: %q, %v", name, token, err)
		}
		if err != nil && (strings.Contains(err.Error(), "eyJ") || strings.Contains(err.Error(), "PRIVATE")) {
			t.Errorf("%s: a secret in %v", name, err)
		}
	}
	for name, key := range map[string]string{"nothing": "", "no key": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "words": "key"} {
		if _, err := githubapp.New(githubapp.Options{ID: "1", Key: []byte(key)}); !errors.Is(err, git.ErrInvalid) || !strings.Contains(err.Error(), ".pem") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyTheAppsHostIsServed(t *testing.T) {
	g, _ := newGitHub(t)
	for remote, want := range map[string]string{
		"https://github.com/org/one.git": "org/one", "https://GitHub.com/org/one": "org/one", "https://gitlab.com/org/one": "", "http://github.com/org/one": "",
		"git@github.com:org/one.git": "", "https://github.com.evil.example/org/one": "", "https://github.com/org": "", "https://github.com/a/b/c": "",
	} {
		owner, name, ok := g.app("https://api.github.com", nil).Serves(remote)
		if got := strings.Trim(owner+"/"+name, "/"); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", remote, got, ok)
		}
	}
	if owner, name, ok := g.app("https://ghe.example/api/v3", nil).Serves("https://ghe.example/org/one.git"); !ok || owner != "org" || name != "one" {
		t.Errorf("Enterprise: %s %s %v", owner, name, ok)
	}
}

// A repository is polled, cloned and fetched with tokens that change, and a token
// that the host does not take any more is replaced.
func TestARepositoryIsReadWithTokens(t *testing.T) {
	g, api := newGitHub(t)
	app := g.app(api, nil)
	host, err := githttp.New(t.Context(), t.TempDir(), githttp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.CreateRepo(t.Context(), "one", "main"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	valid := "ghs_token-1"
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		want := valid
		mu.Unlock()
		if user, password, _ := r.BasicAuth(); user != "x-access-token" || password != want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		host.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	commit := func(content string) string {
		sha, err := host.CommitChange(t.Context(), "one", git.Change{Branch: "main", Message: "m", Files: map[string]string{"a": content}, Author: git.Signature{Name: "n", Email: "e@example.com"}})
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	first := commit("1")
	src := git.Source{URL: web.URL + "/one", Branch: "main", Auth: git.Auth{Tokens: app.Repository("org", "one")}}
	remote, err := git.NewRemote(src, git.RemoteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remote.Close)
	m, err := git.Open(t.Context(), git.MirrorOptions{Source: src, Dir: filepath.Join(t.TempDir(), "m")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if head, err := remote.Head(t.Context()); err != nil || head != first {
		t.Fatalf("%q, %v", head, err)
	}
	mu.Lock()
	valid = "ghs_token-2" // the first was revoked
	mu.Unlock()
	second := commit("2")
	if _, err := remote.Head(t.Context()); !errors.Is(err, git.ErrAuth) || strings.Contains(err.Error(), "ghs_token") {
		t.Fatalf("a refused token: %v", err)
	}
	if head, err := remote.Head(t.Context()); err != nil || head != second {
		t.Fatalf("with a new token: %q, %v", head, err)
	}
	if head, err := m.Fetch(t.Context()); err != nil || head != second {
		t.Fatalf("fetch with a new token: %q, %v", head, err)
	}
	mu.Lock()
	valid = "ghs_token-3"
	mu.Unlock()
	if _, err := m.Fetch(t.Context()); !errors.Is(err, git.ErrAuth) || strings.Contains(err.Error(), "ghs_token") {
		t.Fatalf("a refused token at a fetch: %v", err)
	}
	if _, err := m.Fetch(t.Context()); err != nil {
		t.Fatalf("fetch with the next token: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g.pass(time.Hour)
	if _, err := remote.Head(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, git.ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
}
