package git_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/git/gitmem"
)

// reader is what both mirrors are to the agent.
type reader interface {
	Fetch(context.Context) (string, error)
	FetchedHead(context.Context) (string, error)
	ChangedPaths(ctx context.Context, old, new string) ([]string, error)
	Commit(context.Context, string) (git.Commit, error)
	ReadFile(ctx context.Context, commit, path string) ([]byte, error)
	List(ctx context.Context, commit, dir string) ([]git.Entry, error)
	FindFiles(ctx context.Context, commit string, match func(string) bool) ([]string, error)
	IsAncestor(ctx context.Context, old, new string) (bool, error)
	Maintain(context.Context) error
	Close()
}

// upstream is the host's side of a contract test.
type upstream struct {
	commit    func(git.Change) string
	forcePush func(sha string)
	head      func(context.Context) (string, error)
	mirror    reader
}

func first() git.Change {
	return git.Change{
		Branch: "main", Message: "first: the shop\nin two lines\n\nA body.\n\nTrailer: yes\n",
		Files: files("apps/a/app.pipecd.yaml", "a1", "apps/a/task.json", "{}", "apps/b/app.pipecd.yaml", "b1",
			"apps/a.txt", "x", "README ü.md", "hello", "odd \"name\"\\", "odd", "empty", ""),
		Symlinks:   files("apps/link", "../README", "apps/dirlink", "a"),
		Submodules: files("vendor/sub", strings.Repeat("5", 40)),
		Author:     git.Signature{Name: "Ada L", Email: "ada@example.com", When: time.Unix(1_700_000_000, 0)},
	}
}

// TestContract runs the same questions against the mirror on disk and the one in
// memory, so that what passes on virtual time passes for real.
func TestContract(t *testing.T) {
	makers := map[string]func(*testing.T) *upstream{"disk": onDisk, "memory": inMemory}
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			t.Run("content", func(t *testing.T) { contractContent(t, make(t)) })
			t.Run("history", func(t *testing.T) { contractHistory(t, make(t)) })
			t.Run("refusals", func(t *testing.T) { contractRefusals(t, make(t)) })
		})
	}
}

func onDisk(t *testing.T) *upstream {
	h := newHost(t, githttp.Options{})
	u := &upstream{
		commit: func(c git.Change) string { return h.commit(t, c) },
		forcePush: func(sha string) {
			if err := h.ForcePush(t.Context(), repo, "main", sha); err != nil {
				t.Fatal(err)
			}
		},
	}
	u.commit(first())
	u.head = h.remote(t, h.source()).Head
	u.mirror = h.mirror(t)
	return u
}

func inMemory(t *testing.T) *upstream {
	r := gitmem.New(gitmem.Options{Name: "shop"})
	m := r.Mirror("main")
	u := &upstream{
		commit: func(c git.Change) string {
			sha, err := r.Commit(c)
			if err != nil {
				t.Fatal(err)
			}
			return sha
		},
		forcePush: func(sha string) {
			if err := r.ForcePush("main", sha); err != nil {
				t.Fatal(err)
			}
		},
		head: m.Head, mirror: m,
	}
	u.commit(first())
	if _, err := m.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return u
}

func contractContent(t *testing.T, u *upstream) {
	ctx := t.Context()
	head, err := u.mirror.FetchedHead(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range first().Files {
		got, err := u.mirror.ReadFile(ctx, head, p)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", p, got, err)
		}
	}
	if got, err := u.mirror.ReadFile(ctx, head, "./apps//a/../a/task.json"); err != nil || string(got) != "{}" {
		t.Errorf("unclean path: %q, %v", got, err)
	}
	c, err := u.mirror.Commit(ctx, head)
	want := git.Commit{
		Hash: head, Subject: "first: the shop in two lines", Message: strings.TrimRight(first().Message, "\n"),
		Author: "Ada L", AuthorEmail: "ada@example.com", Time: time.Unix(1_700_000_000, 0).UTC(),
	}
	if diff := cmp.Diff(want, c); err != nil || diff != "" {
		t.Error(err, diff)
	}
	found, err := u.mirror.FindFiles(ctx, head, func(p string) bool { return strings.HasSuffix(p, "/app.pipecd.yaml") })
	if diff := cmp.Diff([]string{"apps/a/app.pipecd.yaml", "apps/b/app.pipecd.yaml"}, found); err != nil || diff != "" {
		t.Error(err, diff)
	}
	contractList(t, u, head)
}

func contractList(t *testing.T, u *upstream, head string) {
	tests := map[string][]git.Entry{
		"apps": {
			{Name: "a.txt", Path: "apps/a.txt", Kind: git.KindFile},
			{Name: "a", Path: "apps/a", Kind: git.KindDirectory},
			{Name: "b", Path: "apps/b", Kind: git.KindDirectory},
			{Name: "dirlink", Path: "apps/dirlink", Kind: git.KindSymlink},
			{Name: "link", Path: "apps/link", Kind: git.KindSymlink},
		},
		"vendor/": {{Name: "sub", Path: "vendor/sub", Kind: git.KindSubmodule}},
		"": {
			{Name: "README ü.md", Path: "README ü.md", Kind: git.KindFile},
			{Name: "apps", Path: "apps", Kind: git.KindDirectory},
			{Name: "empty", Path: "empty", Kind: git.KindFile},
			{Name: "odd \"name\"\\", Path: "odd \"name\"\\", Kind: git.KindFile},
			{Name: "vendor", Path: "vendor", Kind: git.KindDirectory},
		},
	}
	for dir, want := range tests {
		got, err := u.mirror.List(t.Context(), head, dir)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(git.Entry{}, "Hash")); err != nil || diff != "" {
			t.Errorf("%q: %v %s", dir, err, diff)
		}
		for _, e := range got {
			if len(e.Hash) != 40 {
				t.Errorf("%s has id %q", e.Path, e.Hash)
			}
		}
	}
}

func contractHistory(t *testing.T, u *upstream) {
	ctx := t.Context()
	one, _ := u.mirror.FetchedHead(ctx)
	two := u.commit(git.Change{Branch: "main", Message: "two", Files: files("apps/a/task.json", "{2}", "apps/c/new", "n"), Remove: []string{"apps/b"}})
	if head, err := u.head(ctx); err != nil || head != two {
		t.Fatalf("head %q, %v", head, err)
	}
	if _, err := u.mirror.Commit(ctx, two); !errors.Is(err, git.ErrUnknownCommit) {
		t.Errorf("a commit not fetched: %v", err)
	}
	if head, err := u.mirror.Fetch(ctx); err != nil || head != two {
		t.Fatalf("fetch %q, %v", head, err)
	}
	changed := func(old, new string, want ...string) {
		t.Helper()
		got, err := u.mirror.ChangedPaths(ctx, old, new)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	}
	changed(one, two, "apps/a/task.json", "apps/b/app.pipecd.yaml", "apps/c/new")
	changed(two, one, "apps/a/task.json", "apps/b/app.pipecd.yaml", "apps/c/new")
	changed(two, two)
	if all, err := u.mirror.ChangedPaths(ctx, "", two); err != nil || len(all) != 10 {
		t.Errorf("everything: %v, %v", all, err)
	}
	fork := u.commit(git.Change{Branch: "main", Message: "fork", Parent: one, Files: files("apps/a.txt", "y")})
	if head, err := u.mirror.Fetch(ctx); err != nil || head != fork {
		t.Fatalf("fetch after a force push %q, %v", head, err)
	}
	changed(two, fork, "apps/a.txt", "apps/a/task.json", "apps/b/app.pipecd.yaml", "apps/c/new")
	for _, tt := range []struct {
		old, new string
		want     bool
	}{{one, two, true}, {two, one, false}, {two, fork, false}, {one, fork, true}, {two, two, true}} {
		if got, err := u.mirror.IsAncestor(ctx, tt.old, tt.new); err != nil || got != tt.want {
			t.Errorf("ancestor: %v, %v, want %v", got, err, tt.want)
		}
	}
	u.forcePush(one)
	if head, err := u.mirror.Fetch(ctx); err != nil || head != one {
		t.Errorf("fetch after going back %q, %v", head, err)
	}
	if got, err := u.mirror.ReadFile(ctx, two, "apps/c/new"); err != nil || string(got) != "n" {
		t.Errorf("a commit off the branch: %q, %v", got, err)
	}
	if err := u.mirror.Maintain(ctx); err != nil {
		t.Error(err)
	}
	if c, err := u.mirror.Commit(ctx, two); err != nil || !cmp.Equal(c.Parents, []string{one}) {
		t.Errorf("after maintenance: %+v, %v", c, err)
	}
}

func contractRefusals(t *testing.T, u *upstream) {
	ctx := t.Context()
	head, _ := u.mirror.FetchedHead(ctx)
	for p, want := range map[string]error{
		"apps/link": git.ErrNotRegular, "vendor/sub": git.ErrNotRegular, "apps": git.ErrNotRegular, "apps/dirlink/task.json": git.ErrNotRegular,
		"nothing": git.ErrNotFound, "apps/nothing": git.ErrNotFound, "no/such/dir": git.ErrNotFound, "vendor/sub/x": git.ErrNotRegular, "vendor/sub/x/y": git.ErrNotRegular,
		"": git.ErrInvalid, ".": git.ErrInvalid, "../x": git.ErrInvalid, "/etc/passwd": git.ErrInvalid, "a\nb": git.ErrInvalid, "a/../../b": git.ErrInvalid,
	} {
		got, err := u.mirror.ReadFile(ctx, head, p)
		if !errors.Is(err, want) || got != nil {
			t.Errorf("read %q: %q, %v, want %v", p, got, err, want)
		}
	}
	for p, want := range map[string]error{"nothing": git.ErrNotFound, "vendor/sub": git.ErrNotFound, "apps/a.txt": git.ErrNotRegular, "..": git.ErrInvalid} {
		if _, err := u.mirror.List(ctx, head, p); !errors.Is(err, want) {
			t.Errorf("list %q: %v, want %v", p, err, want)
		}
	}
	for _, sha := range []string{strings.Repeat("f", 40), "HEAD", "main", head[:10], "", "-x", head + "\ninfo x"} {
		_, err1 := u.mirror.Commit(ctx, sha)
		_, err2 := u.mirror.ReadFile(ctx, sha, "empty")
		_, err3 := u.mirror.List(ctx, sha, "")
		_, err4 := u.mirror.FindFiles(ctx, sha, func(string) bool { return true })
		_, err5 := u.mirror.ChangedPaths(ctx, head, sha)
		_, err6 := u.mirror.IsAncestor(ctx, sha, head)
		for i, err := range []error{err1, err2, err3, err4, err5, err6} {
			if !errors.Is(err, git.ErrUnknownCommit) {
				t.Errorf("commit %q, question %d: %v", sha, i+1, err)
			}
		}
	}
	if _, err := u.mirror.ChangedPaths(ctx, strings.Repeat("f", 40), head); !errors.Is(err, git.ErrUnknownCommit) {
		t.Errorf("unknown old: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := u.mirror.ReadFile(cancelled, head, "empty"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := u.mirror.ReadFile(ctx, head, "empty"); err != nil {
		t.Errorf("after a cancelled read: %v", err)
	}
}
