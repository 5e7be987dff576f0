package githttp_test

import (
	"context"
	"crypto/rand"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

// client is a person with a clone.
type client struct {
	t   *testing.T
	dir string
}

func (c client) run(ok bool, args ...string) string {
	c.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if (err == nil) != ok {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func start(t *testing.T, o githttp.Options) (s *githttp.Server, url string) {
	t.Helper()
	s, err := githttp.New(t.Context(), filepath.Join(t.TempDir(), "repos"), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateRepo(t.Context(), "shop.git", "main"); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL + "/shop.git"
}

func TestPush(t *testing.T) {
	pushes := make(chan githttp.Push, 10)
	s, url := start(t, githttp.Options{OnPush: func(p githttp.Push) { pushes <- p }})
	one, err := s.Commit(t.Context(), "shop.git", "main", "one", map[string]string{"a/b": "1"}, git.Signature{Name: "Ada", Email: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	c := client{t, t.TempDir()}
	c.run(true, "clone", "-q", url, ".")
	if got := c.run(true, "log", "-1", "--format=%H %an %ae %s"); got != one+" Ada ada@example.com one" {
		t.Errorf("log: %s", got)
	}
	if len(pushes) != 0 {
		t.Error("a clone or a direct commit counted as a push")
	}
	big := make([]byte, 3<<20) // above git's post buffer: sent in chunks
	_, _ = rand.Read(big)
	if err := os.WriteFile(filepath.Join(c.dir, "big"), big, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(true, "add", "big")
	c.run(true, "commit", "-q", "-m", "two")
	two := c.run(true, "rev-parse", "HEAD")
	c.run(true, "push", "-q", "origin", "main")
	expect(t, pushes, githttp.Push{Repo: "shop.git", Ref: "refs/heads/main", Old: one, New: two})
	c.run(true, "push", "-q", "origin", "main:other")
	expect(t, pushes, githttp.Push{Repo: "shop.git", Ref: "refs/heads/other", New: two})
	c.run(true, "push", "-q", "origin", ":other")
	expect(t, pushes, githttp.Push{Repo: "shop.git", Ref: "refs/heads/other", Old: two})
	c.run(true, "push", "-q", "-f", "origin", one+":main")
	expect(t, pushes, githttp.Push{Repo: "shop.git", Ref: "refs/heads/main", Old: two, New: one})
	c.run(true, "push", "-q", "origin", one+":main") // nothing new
	c.run(true, "fetch", "-q", "--filter=blob:none", "origin", two)
	if len(pushes) != 0 {
		t.Errorf("one push too many: %+v", <-pushes)
	}
}

func expect(t *testing.T, pushes <-chan githttp.Push, want githttp.Push) {
	t.Helper()
	select {
	case got := <-pushes:
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	case <-time.After(15 * time.Second):
		t.Fatalf("no push; want %+v", want)
	}
}

func TestRefusedPushFiresNothing(t *testing.T) {
	pushes := make(chan githttp.Push, 10)
	s, url := start(t, githttp.Options{OnPush: func(p githttp.Push) { pushes <- p }})
	c := client{t, t.TempDir()}
	commit := func(content string) {
		if _, err := s.Commit(t.Context(), "shop.git", "main", "m", map[string]string{"a": content}, git.Signature{}); err != nil {
			t.Fatal(err)
		}
	}
	commit("1")
	c.run(true, "clone", "-q", url, ".")
	commit("2")
	c.run(true, "commit", "-q", "--allow-empty", "-m", "mine")
	c.run(false, "push", "-q", "origin", "main")
	if len(pushes) != 0 {
		t.Errorf("%+v", <-pushes)
	}
}

func TestCredentials(t *testing.T) {
	s, url := start(t, githttp.Options{Username: "me", Password: "s3cret"})
	if _, err := s.Commit(t.Context(), "shop.git", "main", "m", map[string]string{"a": "1"}, git.Signature{}); err != nil {
		t.Fatal(err)
	}
	c := client{t, t.TempDir()}
	c.run(false, "ls-remote", url)
	c.run(false, "ls-remote", strings.Replace(url, "//", "//me:wrong@", 1))
	c.run(false, "ls-remote", strings.Replace(url, "//", "//you:s3cret@", 1))
	c.run(true, "ls-remote", strings.Replace(url, "//", "//me:s3cret@", 1))
	c.run(false, "ls-remote", strings.Replace(url, "//", "//me:s3cret@", 1)+"x")
}

func TestLatencyAndCancel(t *testing.T) {
	s, _ := start(t, githttp.Options{})
	s.SetLatency(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/shop.git/info/refs", nil))
	s.SetLatency(30 * time.Millisecond)
	begin := time.Now()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/nothing", nil))
	if d := time.Since(begin); d < 30*time.Millisecond {
		t.Errorf("answered after %v", d)
	}
}

func TestWriting(t *testing.T) {
	s, url := start(t, githttp.Options{})
	ctx := t.Context()
	change := func(c git.Change) string {
		t.Helper()
		c.Branch = "main"
		sha, err := s.CommitChange(ctx, "shop.git", c)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	one := change(git.Change{Files: map[string]string{`q "uo" \te`: "1", "d/x": "2", "d/y": "3", "gone": "4"}, Symlinks: map[string]string{"l": "d/x"}})
	two := change(git.Change{Files: map[string]string{"d": "now a file"}, Remove: []string{"gone", "never-was"}})
	c := client{t, t.TempDir()}
	c.run(true, "clone", "-q", url, ".")
	if got := c.run(true, "ls-tree", "-r", "-z", "--name-only", "HEAD"); got != "d\x00l\x00q \"uo\" \\te\x00" {
		t.Errorf("%q", got)
	}
	if err := s.ForcePush(ctx, "shop.git", "main", one); err != nil {
		t.Fatal(err)
	}
	fork := change(git.Change{Files: map[string]string{"f": "1"}})
	c.run(true, "fetch", "-q")
	if got := c.run(true, "log", "--format=%H", "origin/main"); got != fork+"\n"+one {
		t.Errorf("history %q, without %s", got, two)
	}
	if err := s.DeleteBranch(ctx, "shop.git", "main"); err != nil {
		t.Fatal(err)
	}
	if got := c.run(true, "ls-remote", "origin"); got != "" {
		t.Errorf("left: %s", got)
	}
}

func TestRefusals(t *testing.T) {
	s, _ := start(t, githttp.Options{})
	ctx := t.Context()
	for _, name := range []string{"", "..", "a/b", "-x", ".git", "shop.git"} {
		if err := s.CreateRepo(ctx, name, "main"); err == nil {
			t.Errorf("created %q", name)
		}
	}
	for what, c := range map[string]git.Change{
		"path":   {Branch: "main", Files: map[string]string{"../x": ""}},
		"root":   {Branch: "main", Files: map[string]string{"": ""}},
		"author": {Branch: "main", Author: git.Signature{Name: "a\nb"}},
		"parent": {Branch: "main", Parent: strings.Repeat("1", 40)},
		"branch": {Branch: "a b"},
	} {
		if sha, err := s.CommitChange(ctx, "shop.git", c); err == nil {
			t.Errorf("%s: wrote %s", what, sha)
		}
	}
	if _, err := s.Commit(ctx, "other.git", "main", "m", nil, git.Signature{}); err == nil {
		t.Error("wrote into nothing")
	}
	if _, err := githttp.New(ctx, t.TempDir(), githttp.Options{GitPath: "no-such-git"}); err == nil {
		t.Error("a server without git")
	}
}
