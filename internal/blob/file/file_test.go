package file

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/blob/blobtest"
	"github.com/penstock-cd/penstock/internal/deploy"
)

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, t.TempDir()) })
}

// stored puts text and returns its digest and its file.
func stored(t *testing.T, s *Store, text string) (digest, file string) {
	t.Helper()
	digest, err := s.Put(t.Context(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	name, err := place(digest)
	if err != nil {
		t.Fatal(err)
	}
	return digest, filepath.Join(s.dir, filepath.FromSlash(name))
}

func TestKeptOverReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	digest, _ := stored(t, s, "kept")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := open(t, dir).Get(t.Context(), digest)
	if err != nil || string(got) != "kept" {
		t.Errorf("get = %q, %v", got, err)
	}
}

func TestCompressed(t *testing.T) {
	_, file := stored(t, open(t, t.TempDir()), strings.Repeat("the same line\n", 10_000))
	if info, err := os.Stat(file); err != nil || info.Size() > 1000 {
		t.Errorf("140 kB of one line: %v, %v", info, err)
	}
}

// TestDamaged changes the file in several ways: it is never an answer, and
// storing the content again mends it.
func TestDamaged(t *testing.T) {
	s := open(t, t.TempDir())
	text := strings.Repeat("content ", 50)
	digest, file := stored(t, s, text)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{
		"empty":       {},
		"cut":         whole[:len(whole)-3],
		"flipped":     flipped,
		"no zstd":     []byte("plain text"),
		"other blob":  s.enc.EncodeAll([]byte("other"), nil),
		"huge frames": s.enc.EncodeAll(make([]byte, 64<<20), nil),
	} {
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), digest); deploy.CodeOf(err) != deploy.CodeInternal || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
		stored(t, s, text)
		if got, err := s.Get(t.Context(), digest); err != nil || string(got) != text {
			t.Errorf("%s: after storing it again: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestEmptyContentIsVerified guards the one content whose digest belongs to
// no bytes at all, which is also what an unreadable file gives.
func TestEmptyContentIsVerified(t *testing.T) {
	s := open(t, t.TempDir())
	digest, file := stored(t, s, "")
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), digest); deploy.CodeOf(err) != deploy.CodeInternal {
		t.Errorf("a damaged file of nothing: %v", err)
	}
}

func TestNothingHalfWrittenStays(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	stored(t, s, "a")
	tmp := filepath.Join(dir, unfinished)
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("after a put: %v, %v", left, err)
	}
	old, young := filepath.Join(tmp, "old"), filepath.Join(tmp, "young")
	for _, file := range []string{old, young} {
		if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * leftOver)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("an old unfinished file: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("another process's file: %v", err)
	}
}

// TestNoWayOut puts a link to another directory in the place of a folder.
func TestNoWayOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := open(t, dir)
	digest := blob.Digest([]byte("a"))
	name, err := place(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, filepath.Dir(name))); err != nil {
		t.Skip(err)
	}
	if _, err := s.Put(t.Context(), []byte("a")); err == nil {
		t.Error("a blob was written outside of the directory")
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("outside: %v", left)
	}
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in place of the directory: %v", err)
	}
}
