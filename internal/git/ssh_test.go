package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

// An ssh remote goes through git and ssh, with the given key and without prompts. A
// stand-in for ssh writes down how it was called and runs the command here.
func TestSSHRemote(t *testing.T) {
	h := newHost(t, githttp.Options{})
	want := h.commit(t, git.Change{Files: files("a", "1")})
	bin := t.TempDir()
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >> " + bin + "/calls\nfor last; do :; done\nexec sh -c \"$last\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	src := git.Source{URL: "git@example.com:" + h.Path(repo), Branch: "main", Auth: git.Auth{SSHKeyFile: "/keys/my key"}}
	if head, err := h.remote(t, src).Head(t.Context()); err != nil || head != want {
		t.Fatalf("poll: %q, %v", head, err)
	}
	m := openMirror(t, git.MirrorOptions{Source: src, Dir: filepath.Join(t.TempDir(), "m")})
	if got, err := m.ReadFile(t.Context(), want, "a"); err != nil || string(got) != "1" {
		t.Errorf("%q, %v", got, err)
	}
	calls, err := os.ReadFile(filepath.Join(bin, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, arg := range []string{"-i\n/keys/my key\n", "BatchMode=yes\n", "IdentitiesOnly=yes\n", "git@example.com\n"} {
		if strings.Count(string(calls), arg) != 2 {
			t.Errorf("%q in the calls:\n%s", arg, calls)
		}
	}
}
