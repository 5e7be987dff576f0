package git_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

// A commit costs one poll and one fetch; reading it asks nobody.
func TestCommitCostsOneFetch(t *testing.T) {
	h := newHost(t, githttp.Options{})
	old := h.commit(t, git.Change{Files: files("apps/a/app.pipecd.yaml", "1", "docs/x", "1")})
	r, m := h.remote(t, h.source()), h.mirror(t)
	want := h.commit(t, git.Change{Files: files("docs/x", "2")})
	h.take()
	if head, err := r.Head(t.Context()); err != nil || head != want {
		t.Fatal(head, err)
	}
	if head, err := m.Fetch(t.Context()); err != nil || head != want {
		t.Fatal(head, err)
	}
	changed, err := m.ChangedPaths(t.Context(), old, want)
	if diff := cmp.Diff([]string{"docs/x"}, changed); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if _, err := m.ReadFile(t.Context(), want, "apps/a/app.pipecd.yaml"); err != nil {
		t.Fatal(err)
	}
	asked := h.take()
	var fetches int
	for _, what := range asked {
		if strings.HasSuffix(what, " fetch") {
			fetches++
		}
	}
	if fetches != 1 || len(asked) != 4 || asked[0] != "POST git-upload-pack ls-refs" {
		t.Errorf("asked: %q", asked)
	}
}

func TestOpenWithoutNetwork(t *testing.T) {
	h := newHost(t, githttp.Options{})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "deep", "er", "m")}
	openMirror(t, o).Close()
	h.intercept(func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true })
	m := openMirror(t, o)
	if head, err := m.FetchedHead(t.Context()); err != nil || head != want {
		t.Errorf("%q, %v", head, err)
	}
	if _, err := m.Fetch(t.Context()); !errors.Is(err, git.ErrUnreachable) {
		t.Errorf("fetch: %v", err)
	}
	if got, err := m.ReadFile(t.Context(), want, "a"); err != nil || string(got) != "1" {
		t.Errorf("after a failed fetch: %q, %v", got, err)
	}
}

func TestOpenAnotherBranch(t *testing.T) {
	h := newHost(t, githttp.Options{})
	h.commit(t, git.Change{Files: files("a", "1")})
	want := h.commit(t, git.Change{Branch: "release/1", Files: files("a", "2")})
	o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m")}
	openMirror(t, o).Close()
	o.Source.Branch = "release/1"
	m := openMirror(t, o)
	if head, err := m.FetchedHead(t.Context()); err != nil || head != want {
		t.Errorf("%q, %v", head, err)
	}
}

func TestOpenRefused(t *testing.T) {
	h := newHost(t, githttp.Options{Username: "me", Password: "s3cret"})
	h.commit(t, git.Change{Files: files("a", "1")})
	with := func(change func(*git.MirrorOptions)) git.MirrorOptions {
		o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m")}
		o.Source.Auth = git.Auth{Username: "me", Password: "s3cret"}
		change(&o)
		return o
	}
	tests := map[string]struct {
		o    git.MirrorOptions
		want error
	}{
		"wrong password": {with(func(o *git.MirrorOptions) { o.Source.Auth.Password = "wr0ng" }), git.ErrAuth},
		"no password":    {with(func(o *git.MirrorOptions) { o.Source.Auth = git.Auth{} }), git.ErrAuth},
		"no branch":      {with(func(o *git.MirrorOptions) { o.Source.Branch = "nothing" }), git.ErrBranchMissing},
		"no repository":  {with(func(o *git.MirrorOptions) { o.Source.URL += "x" }), git.ErrNotRepository},
		"no git":         {with(func(o *git.MirrorOptions) { o.GitPath = "no-such-git" }), git.ErrGitMissing},
		"no directory":   {with(func(o *git.MirrorOptions) { o.Dir = "" }), git.ErrInvalid},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := git.Open(t.Context(), tt.o)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("%v, want %v", err, tt.want)
			}
			left, _ := filepath.Glob(tt.o.Dir + "*")
			for _, p := range left {
				if tt.o.Dir != "" && !strings.HasSuffix(p, ".lock") {
					t.Errorf("left behind: %s", p)
				}
			}
		})
	}
	m := openMirror(t, with(func(*git.MirrorOptions) {}))
	if _, err := m.Fetch(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	h := newHost(t, githttp.Options{})
	h.commit(t, git.Change{Files: files("a", "1")})
	o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m")}
	m := openMirror(t, o)
	if _, err := git.Open(t.Context(), o); !errors.Is(err, git.ErrInUse) || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("%v", err)
	}
	m.Close()
	m.Close()
	openMirror(t, o)
}

func TestClosed(t *testing.T) {
	h := newHost(t, githttp.Options{})
	sha := h.commit(t, git.Change{Files: files("a", "1")})
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m := h.mirror(t)
	if _, err := m.ReadFile(t.Context(), sha, "a"); err != nil {
		t.Fatal(err)
	}
	m.Close()
	_, err1 := m.Fetch(t.Context())
	_, err2 := m.ReadFile(t.Context(), sha, "a")
	_, err3 := m.FindFiles(t.Context(), sha, func(string) bool { return true })
	for _, err := range []error{err1, err2, err3, m.Maintain(t.Context())} {
		if !errors.Is(err, git.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
}

// TestCloneHelper is the process that TestKilledClone kills.
func TestCloneHelper(t *testing.T) {
	url, dir := os.Getenv("PENSTOCK_TEST_CLONE_URL"), os.Getenv("PENSTOCK_TEST_CLONE_DIR")
	if url == "" {
		t.Skip("only as a process of TestKilledClone")
	}
	_, _ = git.Open(context.Background(), git.MirrorOptions{Source: git.Source{URL: url, Branch: "main"}, Dir: dir})
}

func TestKilledClone(t *testing.T) {
	h := newHost(t, githttp.Options{})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	dir := filepath.Join(t.TempDir(), "m")
	release, blocked := make(chan struct{}), make(chan struct{}, 8)
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		blocked <- struct{}{}
		<-release
		w.WriteHeader(500)
		return true
	})
	p := exec.Command(os.Args[0], "-test.run=^TestCloneHelper$")
	p.Env = append(os.Environ(), "PENSTOCK_TEST_CLONE_URL="+h.url, "PENSTOCK_TEST_CLONE_DIR="+dir)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	<-blocked
	_ = p.Process.Kill()
	_ = p.Wait()
	if exists(dir) {
		t.Fatal("half a clone stands where the mirror belongs")
	}
	h.intercept(nil)
	close(release)
	m := openMirror(t, git.MirrorOptions{Source: h.source(), Dir: dir})
	if got, err := m.ReadFile(t.Context(), want, "a"); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCancelledClone(t *testing.T) {
	h := newHost(t, githttp.Options{})
	h.commit(t, git.Change{Files: files("a", "1")})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	h.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			cancel()
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}
		return false
	})
	parent := t.TempDir()
	_, err := git.Open(ctx, git.MirrorOptions{Source: h.source(), Dir: filepath.Join(parent, "m")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	left, _ := os.ReadDir(parent)
	if len(left) != 1 || left[0].Name() != "m.lock" {
		t.Errorf("left: %v", left)
	}
}

// Damage of every kind ends in a new clone, at the latest at the next fetch.
func TestDamagedMirror(t *testing.T) {
	damage := map[string]func(t *testing.T, dir string){
		"empty directory": func(t *testing.T, dir string) { remove(t, dir); mkdir(t, dir) },
		"no HEAD":         func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "HEAD")) },
		"no objects": func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "objects"))
			mkdir(t, filepath.Join(dir, "objects"))
		},
		"bad config":  func(t *testing.T, dir string) { write(t, filepath.Join(dir, "config"), "[core") },
		"cut objects": truncateObjects,
	}
	for name, harm := range damage {
		for _, when := range []string{"closed", "open"} {
			t.Run(name+" "+when, func(t *testing.T) {
				h := newHost(t, githttp.Options{})
				h.commit(t, git.Change{Files: files("a", "1", "b/c", "2")})
				o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m")}
				m := openMirror(t, o)
				if when == "closed" {
					m.Close()
				}
				harm(t, o.Dir)
				if when == "closed" {
					m = openMirror(t, o)
				}
				want := h.commit(t, git.Change{Files: files("a", "3")})
				head, err := m.Fetch(t.Context())
				if err == nil && when == "open" { // damage deeper down shows when it is read
					if _, err := m.ReadFile(t.Context(), head, "b/c"); err != nil {
						head, err = m.Fetch(t.Context())
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				if err != nil || head != want {
					t.Fatalf("fetch: %q, %v", head, err)
				}
				for p, content := range files("a", "3", "b/c", "2") {
					if got, err := m.ReadFile(t.Context(), want, p); err != nil || string(got) != content {
						t.Errorf("%s: %q, %v", p, got, err)
					}
				}
				left, _ := filepath.Glob(o.Dir + ".*-*")
				if len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

func remove(t *testing.T, p string) {
	t.Helper()
	if err := os.RemoveAll(p); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, p string) {
	t.Helper()
	if err := os.Mkdir(p, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, p, content string) {
	t.Helper()
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// truncateObjects cuts every object and pack in half, as a full disk or a power cut does.
func truncateObjects(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if err := os.Chmod(p, 0o644); err != nil {
			return err
		}
		return os.Truncate(p, info.Size()/2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLocksOfAKilledGit(t *testing.T) {
	h := newHost(t, githttp.Options{})
	h.commit(t, git.Change{Files: files("a", "1")})
	o := git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m")}
	m := openMirror(t, o)
	mkdirs := os.MkdirAll(filepath.Join(o.Dir, "refs", "heads"), 0o755)
	write(t, filepath.Join(o.Dir, "refs", "heads", "main.lock"), "")
	want := h.commit(t, git.Change{Files: files("a", "2")})
	if head, err := m.Fetch(t.Context()); err != nil || head != want {
		t.Errorf("%q, %v (%v)", head, err, mkdirs)
	}
}

// The reader process may be killed by anybody; the next read starts another.
func TestReaderProcessDies(t *testing.T) {
	h := newHost(t, githttp.Options{})
	sha := h.commit(t, git.Change{Files: files("a", "1")})
	dir := filepath.Join(t.TempDir(), "m")
	m := openMirror(t, git.MirrorOptions{Source: h.source(), Dir: dir})
	for range 3 {
		if got, err := m.ReadFile(t.Context(), sha, "a"); err != nil || string(got) != "1" {
			t.Fatalf("%q, %v", got, err)
		}
		if n := killReaders(dir); n != 1 {
			t.Skipf("%d reader processes found: no /proc here", n)
		}
	}
}

// killReaders kills the cat-file processes of exactly this mirror.
func killReaders(dir string) (n int) {
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		line, _ := os.ReadFile(p)
		if strings.Contains(string(line), dir+"\x00cat-file") {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			if proc, err := os.FindProcess(pid); err == nil && proc.Kill() == nil {
				n++
			}
		}
	}
	return n
}

func TestLargeFile(t *testing.T) {
	h := newHost(t, githttp.Options{})
	sha := h.commit(t, git.Change{Files: files("fits", strings.Repeat("x", 1000), "large", strings.Repeat("x", 1001))})
	m := openMirror(t, git.MirrorOptions{Source: h.source(), Dir: filepath.Join(t.TempDir(), "m"), MaxFileSize: 1000})
	if got, err := m.ReadFile(t.Context(), sha, "fits"); err != nil || len(got) != 1000 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := m.ReadFile(t.Context(), sha, "large"); !errors.Is(err, git.ErrTooLarge) || !strings.Contains(err.Error(), "1001") {
		t.Errorf("%v", err)
	}
	if got, err := m.ReadFile(t.Context(), sha, "fits"); err != nil || len(got) != 1000 {
		t.Errorf("afterwards: %d bytes, %v", len(got), err)
	}
}

// Reads, listings, fetches, maintenance and a new clone go on side by side, and
// every read gives what its commit holds.
func TestConcurrentReads(t *testing.T) {
	h := newHost(t, githttp.Options{})
	var shas []string
	for i := range 4 {
		shas = append(shas, h.commit(t, git.Change{Files: files("n", fmt.Sprint(i), fmt.Sprintf("d%d/f", i), strings.Repeat("y", 5000*i))}))
	}
	m := h.mirror(t)
	var wg sync.WaitGroup
	var reads atomic.Int64
	stop := make(chan struct{})
	for w := range 4 {
		wg.Go(func() {
			for i := w; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := i % len(shas)
				got, err := m.ReadFile(t.Context(), shas[n], "n")
				if err != nil || string(got) != fmt.Sprint(n) {
					t.Errorf("commit %d: %q, %v", n, got, err)
					return
				}
				if i%16 == w {
					ctx, cancel := context.WithCancel(t.Context())
					go cancel()
					_, _ = m.ReadFile(ctx, shas[n], fmt.Sprintf("d%d/f", n))
				}
				reads.Add(1)
			}
		})
	}
	for i := range 4 {
		want := h.commit(t, git.Change{Files: files("other", fmt.Sprint(i))})
		if head, err := m.Fetch(t.Context()); err != nil || head != want {
			t.Errorf("%q, %v", head, err)
		}
		if found, err := m.FindFiles(t.Context(), want, func(string) bool { return true }); err != nil || len(found) != 6 {
			t.Errorf("%v, %v", found, err)
		}
	}
	if err := m.Maintain(t.Context()); err != nil {
		t.Error(err)
	}
	close(stop)
	wg.Wait()
	t.Logf("%d reads", reads.Load())
}

func TestBranchDeletedAndBack(t *testing.T) {
	h := newHost(t, githttp.Options{})
	sha := h.commit(t, git.Change{Files: files("a", "1")})
	m := h.mirror(t)
	if err := h.DeleteBranch(t.Context(), repo, "main"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Fetch(t.Context()); !errors.Is(err, git.ErrBranchMissing) {
		t.Errorf("%v", err)
	}
	if head, err := m.FetchedHead(t.Context()); err != nil || head != sha {
		t.Errorf("%q, %v", head, err)
	}
	want := h.commit(t, git.Change{Files: files("b", "1")})
	if head, err := m.Fetch(t.Context()); err != nil || head != want {
		t.Errorf("%q, %v", head, err)
	}
}

func TestFetchCutOff(t *testing.T) {
	h := newHost(t, githttp.Options{})
	h.commit(t, git.Change{Files: files("a", "1")})
	m := h.mirror(t)
	want := h.commit(t, git.Change{Files: files("a", "2")})
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(w, "000dpackfile\n0010\x01PACK")
		return true
	})
	if _, err := m.Fetch(t.Context()); err == nil {
		t.Error("half an answer was taken")
	}
	h.intercept(nil)
	if head, err := m.Fetch(t.Context()); err != nil || head != want {
		t.Errorf("%q, %v", head, err)
	}
}
