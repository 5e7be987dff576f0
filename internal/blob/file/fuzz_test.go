package file

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// FuzzDamaged holds that whatever lies where a blob should be is never given out as the blob, and that storing the blob again
// repairs it.
func FuzzDamaged(f *testing.F) {
	content := []byte(strings.Repeat("content ", 40))
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	whole := s.enc.EncodeAll(content, nil)
	for _, b := range [][]byte{nil, {0}, whole, whole[:len(whole)-1], append(bytes.Clone(whole), whole...), s.enc.EncodeAll([]byte("other"), nil)} {
		f.Add(b)
	}
	digest := blob.Digest(content)
	name, err := place(digest)
	if err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		if err := os.WriteFile(path, packed, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := s.Get(t.Context(), digest)
		if err == nil && !bytes.Equal(got, content) || err != nil && deploy.CodeOf(err) != deploy.CodeInternal {
			t.Errorf("%q: %v", got, err)
		}
		if _, err := s.Put(t.Context(), content); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), digest); err != nil || !bytes.Equal(got, content) {
			t.Errorf("after it was stored again: %q, %v", got, err)
		}
	})
}
