// Package githttp is a git host for the demo and the tests: it serves bare
// repositories below one directory over smart HTTP through git's own
// http-backend, and writes commits into them without a checkout.
//
// It is not meant to face a network: listen on loopback only.
package githttp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// maxBody bounds one request, in bytes.
const maxBody = 256 << 20

// Push is one branch or tag that a client's push moved.
type Push struct {
	// Repo is the name given to CreateRepo.
	Repo string
	// Ref is the full name, such as "refs/heads/main".
	Ref string
	// Old is empty for a new ref, New for a deleted one.
	Old, New string
}

// Options of a server; the zero value serves everybody at once.
type Options struct {
	// Username and Password are asked for when Password is set.
	Username, Password string
	// Latency is added to every request.
	Latency time.Duration
	// OnPush is called after a successful push over HTTP, once per moved ref, in the
	// request's goroutine; the client may have its answer already. It must not write
	// to the same repository.
	OnPush func(Push)
	// GitPath is the git binary; empty means "git" in PATH.
	GitPath string
	// Log receives the complaints of git; nil means nobody.
	Log *slog.Logger
}

// Server is an http.Handler over the repositories below one directory.
type Server struct {
	root    string
	opt     Options
	runner  *gitexec.Runner
	backend string
	latency atomic.Int64

	mu    sync.Mutex
	locks map[string]*sync.Mutex // one writer per repository
}

// New returns a server for the directory, which is created when missing. It fails
// when git or its http-backend is not there.
func New(ctx context.Context, root string, o Options) (*Server, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("git server: %w", err)
	}
	if err := os.MkdirAll(abs, 0o755); err != nil {
		return nil, fmt.Errorf("git server: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{root: abs, opt: o, runner: gitexec.New(gitexec.Options{Path: o.GitPath}), locks: map[string]*sync.Mutex{}}
	s.latency.Store(int64(o.Latency))
	if _, err := s.runner.CheckVersion(ctx); err != nil {
		return nil, fmt.Errorf("git server: %w", err)
	}
	out, err := s.runner.Run(ctx, "", nil, "--exec-path")
	if err != nil {
		return nil, fmt.Errorf("git server: %w", err)
	}
	s.backend = filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(s.backend); err != nil {
		return nil, fmt.Errorf("git server: this git has no http-backend (%w); install the full git package", err)
	}
	return s, nil
}

// SetLatency changes the time added to every request from now on.
func (s *Server) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }

// Path is the directory of a repository, for a file remote.
func (s *Server) Path(repo string) string { return filepath.Join(s.root, repo) }

// ServeHTTP answers git clients; the first path element is the repository.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := pause(r.Context(), time.Duration(s.latency.Load())); err != nil {
		return // the client has gone
	}
	if !s.allowed(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "user name and password are needed", http.StatusUnauthorized)
		return
	}
	repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if err := s.exists(repo); err != nil {
		http.Error(w, "no such repository", http.StatusNotFound)
		return
	}
	if !strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.Method != http.MethodPost {
		s.serve(w, r)
		return
	}
	s.receive(w, r, repo)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) allowed(r *http.Request) bool {
	if s.opt.Password == "" {
		return true
	}
	user, password, _ := r.BasicAuth()
	name := subtle.ConstantTimeCompare([]byte(user), []byte(s.opt.Username))
	pass := subtle.ConstantTimeCompare([]byte(password), []byte(s.opt.Password))
	return name&pass == 1
}

// receive compares the refs before and after, which says what the push really did.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, repo string) {
	lock := s.lock(repo)
	lock.Lock()
	defer lock.Unlock()
	before, err := s.refs(r.Context(), repo)
	if err != nil {
		http.Error(w, "the repository cannot be read", http.StatusInternalServerError)
		return
	}
	s.serve(w, r)
	if s.opt.OnPush == nil {
		return
	}
	after, err := s.refs(context.WithoutCancel(r.Context()), repo)
	if err != nil {
		s.opt.Log.Error("git server: refs after a push", "repository", repo, "error", err)
		return
	}
	for _, p := range moved(repo, before, after) {
		s.opt.OnPush(p)
	}
}

// serve hands the request to git. CGI has no chunked bodies, and git sends large
// pushes so: those go through a file first.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength < 0 {
		f, err := spool(r.Body)
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			http.Error(w, "the push is too large for this server", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request could not be read", http.StatusBadRequest)
			return
		}
		defer os.Remove(f.Name()) //nolint:errcheck // in the temporary directory
		defer f.Close()           //nolint:errcheck // only read from here on
		size, _ := f.Seek(0, io.SeekEnd)
		_, _ = f.Seek(0, io.SeekStart)
		r.Body, r.ContentLength, r.TransferEncoding = f, size, nil
	}
	h := &cgi.Handler{
		Path: s.backend,
		Dir:  s.root,
		Env: []string{
			"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=git", "LC_ALL=C",
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		},
		InheritEnv: []string{"PATH", "TMPDIR"},
		Stderr:     logWriter{s.opt.Log},
	}
	h.ServeHTTP(w, r)
}

func spool(body io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "penstock-push-")
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(f, body); err != nil {
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, err
	}
	return f, nil
}

type logWriter struct{ log *slog.Logger }

func (l logWriter) Write(p []byte) (int, error) {
	l.log.Warn("git server complains", "output", strings.TrimSpace(string(p)))
	return len(p), nil
}

// lock is the one of a repository: pushes and commits to it are one after another.
func (s *Server) lock(repo string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.locks[repo]
	if l == nil {
		l = &sync.Mutex{}
		s.locks[repo] = l
	}
	return l
}

func (s *Server) exists(repo string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`).MatchString(repo) {
		return fmt.Errorf("git server: %q is not a repository name: letters, digits, dot, dash and underscore", repo)
	}
	if _, err := os.Stat(filepath.Join(s.root, repo, "HEAD")); err != nil {
		return fmt.Errorf("git server: no repository %q", repo)
	}
	return nil
}

// refs lists every ref of a repository.
func (s *Server) refs(ctx context.Context, repo string) (map[string]string, error) {
	out, err := s.runner.Run(ctx, s.Path(repo), nil, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		hash, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = hash
	}
	return refs, nil
}

func moved(repo string, before, after map[string]string) []Push {
	var pushes []Push
	for ref, now := range after {
		if before[ref] != now {
			pushes = append(pushes, Push{Repo: repo, Ref: ref, Old: before[ref], New: now})
		}
	}
	for ref, old := range before {
		if after[ref] == "" {
			pushes = append(pushes, Push{Repo: repo, Ref: ref, Old: old})
		}
	}
	return pushes
}

var _ http.Handler = (*Server)(nil)

// defaultAuthor stands in where a commit names nobody.
func defaultAuthor() git.Signature {
	return git.Signature{Name: "Penstock", Email: "penstock@localhost"}
}
