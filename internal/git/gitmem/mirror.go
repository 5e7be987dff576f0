package gitmem

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/penstock-cd/penstock/internal/git"
)

// Mirror is what the agent has of a Repo: where its branch is, asked anew each
// time, and the commits that it has fetched. Safe for concurrent use.
type Mirror struct {
	repo   *Repo
	branch string

	mu    sync.Mutex
	head  string
	known map[string]*snapshot
}

// Head asks the host where the branch is, as git.Remote does.
func (m *Mirror) Head(ctx context.Context) (string, error) {
	if err := m.repo.request(ctx, "poll"); err != nil {
		return "", err
	}
	r := m.repo
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests.Heads++
	head := r.branches[m.branch]
	if old := r.previous[m.branch]; r.stale > 0 && old != "" {
		r.stale--
		head = old
	}
	if head == "" {
		return "", m.missing("poll")
	}
	return head, nil
}

func (m *Mirror) missing(op string) error {
	return &git.Error{
		Op: op, Repo: m.repo.opt.Name, Kind: git.ErrBranchMissing, Detail: fmt.Sprintf("%q", m.branch),
		Hint: "check `branch` of this repository in the agent's configuration",
	}
}

// Fetch takes over the branch with all its ancestors and returns its head.
func (m *Mirror) Fetch(ctx context.Context) (string, error) {
	if err := m.repo.request(ctx, "fetch"); err != nil {
		return "", err
	}
	r := m.repo
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests.Fetches++
	head := r.branches[m.branch]
	if head == "" {
		return "", m.missing("fetch")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.head = head
	for sha := head; sha != "" && m.known[sha] == nil; {
		c := r.commits[sha]
		m.known[sha] = c
		sha = ""
		if len(c.Parents) > 0 {
			sha = c.Parents[0]
		}
	}
	return head, nil
}

// FetchedHead is the head as it was fetched last.
func (m *Mirror) FetchedHead(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head == "" {
		return "", m.missing("read the branch of")
	}
	return m.head, nil
}

// Forget drops a commit from the mirror, as git's garbage collection does after a
// force push.
func (m *Mirror) Forget(sha string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, sha)
}

// Maintain does nothing: memory needs no packing.
func (m *Mirror) Maintain(context.Context) error { return nil }

// Close does nothing; it is there because a mirror on disk has it.
func (m *Mirror) Close() {}

func (m *Mirror) get(ctx context.Context, op, sha string) (*snapshot, error) {
	if ctx.Err() != nil {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Cause: context.Cause(ctx)}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.known[sha]; s != nil {
		return s, nil
	}
	return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrUnknownCommit, Detail: fmt.Sprintf("%.12s is not in the mirror", sha)}
}

// Commit returns one fetched commit.
func (m *Mirror) Commit(ctx context.Context, sha string) (git.Commit, error) {
	s, err := m.get(ctx, "read a commit of", sha)
	if err != nil {
		return git.Commit{}, err
	}
	c := s.Commit
	c.Parents = slices.Clone(c.Parents)
	return c, nil
}

// ChangedPaths lists the files that differ; an empty old means every file of new.
func (m *Mirror) ChangedPaths(ctx context.Context, old, new string) ([]string, error) {
	to, err := m.get(ctx, "compare commits of", new)
	if err != nil {
		return nil, err
	}
	if old == "" {
		return to.paths(), nil
	}
	from, err := m.get(ctx, "compare commits of", old)
	if err != nil {
		return nil, err
	}
	var changed []string
	for _, p := range to.paths() {
		if was, ok := from.files[p]; !ok || was != to.files[p] {
			changed = append(changed, p)
		}
	}
	for _, p := range from.paths() {
		if _, ok := to.files[p]; !ok {
			changed = append(changed, p)
		}
	}
	slices.Sort(changed)
	return changed, nil
}

// ReadFile returns a regular file at a commit.
func (m *Mirror) ReadFile(ctx context.Context, commit, file string) ([]byte, error) {
	op := fmt.Sprintf("read %q of", file)
	clean, err := git.CleanPath(file)
	if err == nil && clean == "" {
		err = fmt.Errorf("%w: no file is named", git.ErrInvalid)
	}
	if err != nil {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Cause: err}
	}
	s, err := m.get(ctx, op, commit)
	if err != nil {
		return nil, err
	}
	f, ok := s.files[clean]
	kind := f.kind
	switch {
	case !ok && len(s.list(clean)) > 0:
		kind = git.KindDirectory
	case !ok && s.belowFile(clean) != "":
		kind = s.files[s.belowFile(clean)].kind
		if why, regular := git.NotRegular(kind); !regular {
			return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrNotRegular, Detail: fmt.Sprintf("%q is in its way: %s", s.belowFile(clean), why)}
		}
		kind = git.KindDirectory
	case !ok:
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrNotFound, Detail: fmt.Sprintf("commit %.12s", commit)}
	}
	if why, ok := git.NotRegular(kind); !ok {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrNotRegular, Detail: why}
	}
	if git.IsLFSPointer([]byte(f.content)) {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrLFS, Detail: git.LFSDetail, Hint: git.LFSHint}
	}
	return []byte(f.content), nil
}

// belowFile is the parent that is no directory, empty when there is none.
func (s *snapshot) belowFile(p string) string {
	for i := strings.LastIndexByte(p, '/'); i >= 0; i = strings.LastIndexByte(p, '/') {
		p = p[:i]
		if _, ok := s.files[p]; ok {
			return p
		}
	}
	return ""
}

// FindFiles lists the paths at a commit that match, in git's order.
func (m *Mirror) FindFiles(ctx context.Context, commit string, match func(name string) bool) ([]string, error) {
	s, err := m.get(ctx, "list files of", commit)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range s.paths() {
		if match(p) {
			names = append(names, p)
		}
	}
	return names, nil
}

// List lists one directory at a commit, in git's order; "" is the root.
func (m *Mirror) List(ctx context.Context, commit, dir string) ([]git.Entry, error) {
	op := fmt.Sprintf("list %q of", dir)
	clean, err := git.CleanPath(dir)
	if err != nil {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Cause: err}
	}
	s, err := m.get(ctx, op, commit)
	if err != nil {
		return nil, err
	}
	if f, ok := s.files[clean]; ok && f.kind != git.KindSubmodule {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrNotRegular, Detail: fmt.Sprintf("%q is no directory", clean)}
	}
	entries := s.list(clean)
	if len(entries) == 0 && clean != "" {
		return nil, &git.Error{Op: op, Repo: m.repo.opt.Name, Kind: git.ErrNotFound, Detail: fmt.Sprintf("commit %.12s", commit)}
	}
	return entries, nil
}

func (s *snapshot) list(dir string) []git.Entry {
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
	seen := map[string]bool{}
	var entries []git.Entry
	for _, p := range s.paths() {
		rest, ok := strings.CutPrefix(p, prefix)
		if !ok {
			continue
		}
		name, _, nested := strings.Cut(rest, "/")
		if seen[name] {
			continue
		}
		seen[name] = true
		entries = append(entries, s.entry(prefix, name, nested))
	}
	return entries
}

func (s *snapshot) entry(prefix, name string, nested bool) git.Entry {
	e := git.Entry{Name: name, Path: prefix + name}
	h := sha1.New() //nolint:gosec // the length and look of git's ids, not a secret
	if nested {
		e.Kind = git.KindDirectory
		s.hashBelow(h, e.Path+"/")
	} else {
		f := s.files[e.Path]
		e.Kind = f.kind
		if f.kind == git.KindSubmodule {
			e.Hash = f.content
			return e
		}
		_, _ = h.Write([]byte(f.content))
	}
	e.Hash = hex.EncodeToString(h.Sum(nil))
	return e
}

// IsAncestor reports whether old is new or comes before it.
func (m *Mirror) IsAncestor(ctx context.Context, old, new string) (bool, error) {
	if _, err := m.get(ctx, "compare commits of", old); err != nil {
		return false, err
	}
	for sha := new; ; {
		s, err := m.get(ctx, "compare commits of", sha)
		if err != nil {
			return false, err
		}
		if sha == old {
			return true, nil
		}
		if len(s.Parents) == 0 {
			return false, nil
		}
		sha = s.Parents[0]
	}
}
