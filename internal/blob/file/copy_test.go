package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
)

func TestCopyTo(t *testing.T) {
	from, to := opened(t, t.TempDir()), opened(t, t.TempDir())
	want := map[string]string{}
	for _, text := range []string{"", "one", "another"} {
		digest, err := from.Put(t.Context(), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want[digest] = text
	}
	for _, stranger := range []string{"note.txt", "ab/short.zst", unfinished + "/half"} {
		path := filepath.Join(from.dir, filepath.FromSlash(stranger))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := from.CopyTo(t.Context(), to); err != nil || n != len(want) {
		t.Fatalf("copied %d, %v; want %d", n, err, len(want))
	}
	for digest, text := range want {
		if got, err := to.Get(t.Context(), digest); err != nil || string(got) != text {
			t.Errorf("%s in the copy: %q, %v", digest, got, err)
		}
	}
}

func TestCopyToLeavesOutWhatIsDamaged(t *testing.T) {
	from, to := opened(t, t.TempDir()), opened(t, t.TempDir())
	bad, err := from.Put(t.Context(), []byte("damaged"))
	if err != nil {
		t.Fatal(err)
	}
	good, err := from.Put(t.Context(), []byte("good"))
	if err != nil {
		t.Fatal(err)
	}
	name, err := place(bad)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from.dir, filepath.FromSlash(name)), []byte("no frame"), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := from.CopyTo(t.Context(), to)
	if n != 1 || deploy.CodeOf(err) != deploy.CodeInternal {
		t.Errorf("copied %d, %v; want the good one and an error", n, err)
	}
	if _, err := to.Get(t.Context(), good); err != nil {
		t.Error(err)
	}
}

func opened(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
