// Package gitmem is a git repository in memory for tests on virtual time: no
// process, no socket, no file. A Repo is the host's side, where tests write; a
// Mirror is the agent's side, with the methods of git.Remote and git.Mirror and the
// same errors, and like them it knows only what it has fetched.
package gitmem

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/git"
)

// Options of a repository; the zero value is one without a name that answers at once.
type Options struct {
	// Name stands in errors where an address would.
	Name string
	// Now dates commits without a time of their own; nil means time.Now, which is
	// virtual inside a synctest bubble.
	Now func() time.Time
	// Latency is how long every request to the host takes.
	Latency time.Duration
}

// Repo is a repository on its host. Safe for concurrent use.
type Repo struct {
	opt Options

	mu       sync.Mutex
	branches map[string]string
	previous map[string]string // where a branch was before its last move
	commits  map[string]*snapshot
	failure  error
	stale    int
	requests Requests
}

// Requests counts what mirrors asked of the host.
type Requests struct{ Heads, Fetches int }

// snapshot is a commit with its whole content.
type snapshot struct {
	git.Commit
	files map[string]file
}

type file struct {
	kind    git.Kind
	content string
}

// New returns an empty repository.
func New(o Options) *Repo {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Name == "" {
		o.Name = "memory"
	}
	return &Repo{opt: o, branches: map[string]string{}, previous: map[string]string{}, commits: map[string]*snapshot{}}
}

// Commit writes a change and returns the commit's id, which depends on nothing but
// the change, its parent and its time. Another parent than the tip moves the branch as
// a force push does.
func (r *Repo) Commit(c git.Change) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parent := c.Parent
	if parent == "" {
		parent = r.branches[c.Branch]
	}
	next := &snapshot{files: map[string]file{}}
	if parent != "" {
		base := r.commits[parent]
		if base == nil {
			return "", fmt.Errorf("commit to %s: no commit %q to build on", r.opt.Name, parent)
		}
		next.files = maps.Clone(base.files)
		next.Parents = []string{parent}
	}
	if err := next.apply(c); err != nil {
		return "", fmt.Errorf("commit to %s: %w", r.opt.Name, err)
	}
	r.describe(next, c)
	next.Hash = next.hash()
	r.commits[next.Hash] = next
	r.move(c.Branch, next.Hash)
	return next.Hash, nil
}

// File is the content of a file at a commit, also of one that no branch leads to
// any more and that no mirror can fetch.
func (r *Repo) File(commit, name string) (content []byte, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.commits[commit]; s != nil {
		f, ok := s.files[name]
		return []byte(f.content), ok
	}
	return nil, false
}

func (r *Repo) describe(s *snapshot, c git.Change) {
	a := c.Author
	if a.Name == "" && a.Email == "" {
		a.Name, a.Email = "Penstock", "penstock@localhost"
	}
	if a.When.IsZero() {
		a.When = r.opt.Now()
	}
	s.Message = strings.TrimRight(c.Message, "\n")
	s.Subject = git.Subject(s.Message)
	s.Author, s.AuthorEmail = a.Name, a.Email
	s.Time = a.When.UTC().Truncate(time.Second)
}

func (r *Repo) move(branch, sha string) {
	if r.branches[branch] != sha {
		r.previous[branch] = r.branches[branch]
	}
	r.branches[branch] = sha
}

// ForcePush moves a branch to any commit that the repository holds.
func (r *Repo) ForcePush(branch, sha string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.commits[sha] == nil {
		return fmt.Errorf("force push to %s: no commit %q", r.opt.Name, sha)
	}
	r.move(branch, sha)
	return nil
}

// DeleteBranch removes a branch; its commits stay.
func (r *Repo) DeleteBranch(branch string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.branches, branch)
}

// Fail makes every request to the host fail with this kind, such as
// git.ErrUnreachable or git.ErrAuth; nil heals it. What was fetched stays readable.
func (r *Repo) Fail(kind error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failure = kind
}

// AnswerOld makes the next n polls return where the branch was before its last
// move, as a lagging replica of a git host does.
func (r *Repo) AnswerOld(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = n
}

// Requests says how often the host was asked.
func (r *Repo) Requests() Requests {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Mirror returns the agent's side of one branch, with nothing fetched yet.
func (r *Repo) Mirror(branch string) *Mirror {
	return &Mirror{repo: r, branch: branch, known: map[string]*snapshot{}}
}

// request is one round trip to the host.
func (r *Repo) request(ctx context.Context, op string) error {
	if r.opt.Latency > 0 {
		t := time.NewTimer(r.opt.Latency)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return &git.Error{Op: op, Repo: r.opt.Name, Cause: context.Cause(ctx)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return &git.Error{Op: op, Repo: r.opt.Name, Kind: r.failure}
	}
	return nil
}

// apply writes a change as git does: a file takes the place of a directory and the
// other way round.
func (s *snapshot) apply(c git.Change) error {
	for _, p := range c.Remove {
		clean, err := git.CleanPath(p)
		if err != nil {
			return err
		}
		s.remove(clean)
	}
	for kind, paths := range map[git.Kind]map[string]string{
		git.KindFile: c.Files, git.KindSymlink: c.Symlinks, git.KindSubmodule: c.Submodules,
	} {
		for p, content := range paths {
			clean, err := git.CleanPath(p)
			if err != nil || clean == "" {
				return fmt.Errorf("%q is no path of a file", p)
			}
			s.put(clean, file{kind, content})
		}
	}
	return nil
}

func (s *snapshot) put(p string, f file) {
	s.remove(p)
	for i, c := range p {
		if c == '/' {
			delete(s.files, p[:i])
		}
	}
	s.files[p] = f
}

func (s *snapshot) remove(p string) {
	delete(s.files, p)
	maps.DeleteFunc(s.files, func(name string, _ file) bool { return strings.HasPrefix(name, p+"/") })
}

func (s *snapshot) hash() string {
	h := sha1.New() //nolint:gosec // the length and look of git's ids, not a secret
	_, _ = fmt.Fprintf(h, "%q %q %q %q %d\n", s.Parents, s.Message, s.Author, s.AuthorEmail, s.Time.Unix())
	s.hashBelow(h, "")
	return hex.EncodeToString(h.Sum(nil))
}

// hashBelow feeds every file below a directory prefix into h.
func (s *snapshot) hashBelow(h io.Writer, prefix string) {
	for _, p := range s.paths() {
		if strings.HasPrefix(p, prefix) {
			_, _ = fmt.Fprintf(h, "%s %q %q\n", s.files[p].kind, p[len(prefix):], s.files[p].content)
		}
	}
}

// paths lists every file in git's order.
func (s *snapshot) paths() []string { return slices.Sorted(maps.Keys(s.files)) }
