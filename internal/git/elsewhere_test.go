package git_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"

// What is not in the repository is said to be elsewhere, with the path and the
// reason, and never read as if it were the file.
func TestFilesThatAreElsewhere(t *testing.T) {
	h := newHost(t, githttp.Options{})
	first := h.commit(t, git.Change{Files: files("a", "1")})
	sha := h.commit(t, git.Change{
		Files:      files("web/taskdef.yaml", pointer, "web/about.txt", "version https://git-lfs.github.com/spec/v1\nis what a pointer begins with"),
		Submodules: map[string]string{"shared": first, "deep/er/sub": first}, Symlinks: map[string]string{"link": "web"},
	})
	m := h.mirror(t)
	for name, x := range map[string]struct {
		kind  error
		words []string
	}{
		"web/taskdef.yaml":       {git.ErrLFS, []string{"web/taskdef.yaml", "pointer", ".gitattributes"}},
		"shared/app.yaml":        {git.ErrNotRegular, []string{"shared/app.yaml", `"shared" is in its way`, "submodule", "give the other repository"}},
		"shared/a/b/app.yaml":    {git.ErrNotRegular, []string{`"shared" is in its way`, "submodule"}},
		"deep/er/sub/x/app.yaml": {git.ErrNotRegular, []string{`"deep/er/sub" is in its way`, "submodule"}},
		"link/x/app.yaml":        {git.ErrNotRegular, []string{`"link" is in its way`, "symlink"}},
		"shared":                 {git.ErrNotRegular, []string{"submodule"}},
		"deep/none/app.yaml":     {git.ErrNotFound, nil},
		"none/er/app.yaml":       {git.ErrNotFound, nil},
		"a/b/app.yaml":           {git.ErrNotRegular, []string{`"a" is in its way`}},
	} {
		_, err := m.ReadFile(t.Context(), sha, name)
		if !errors.Is(err, x.kind) {
			t.Errorf("%s: %v, want %v", name, err, x.kind)
			continue
		}
		for _, w := range x.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is missing in: %v", name, w, err)
			}
		}
	}
	if got, err := m.ReadFile(t.Context(), sha, "web/about.txt"); err != nil || len(got) == 0 {
		t.Errorf("a text about pointers: %q, %v", got, err)
	}
}
