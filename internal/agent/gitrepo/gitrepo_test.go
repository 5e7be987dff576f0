package gitrepo_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/penstock-cd/penstock/internal/agent/gitrepo"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
	"github.com/penstock-cd/penstock/internal/spec"
)

func TestRepositoriesAreMirroredOverHTTP(t *testing.T) {
	host, err := githttp.New(t.Context(), filepath.Join(t.TempDir(), "host"), githttp.Options{Username: "piped", Password: "pw"})
	if err != nil {
		t.Skip(err)
	}
	srv := httptest.NewServer(host)
	defer srv.Close()
	if err := host.CreateRepo(t.Context(), "apps", "main"); err != nil {
		t.Fatal(err)
	}
	sha, err := host.CommitChange(t.Context(), "apps", git.Change{Branch: "main", Message: "one", Files: map[string]string{"web/app.pipecd.yaml": "x"}, Author: git.Signature{Name: "jo", Email: "jo@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "mirrors")
	open := gitrepo.Opener{Git: spec.Git{Username: "piped", Password: "pw", SSHKeyData: "key"}, Dir: dir}
	r, err := open.Open(t.Context(), spec.Repository{RepoID: "team/../apps", Remote: srv.URL + "/apps", Branch: "main"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if head, err := r.Head(t.Context()); err != nil || head != sha {
		t.Errorf("head %s, %v; want %s", head, err, sha)
	}
	if data, err := r.ReadFile(t.Context(), sha, "web/app.pipecd.yaml"); err != nil || string(data) != "x" {
		t.Errorf("file %q, %v", data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Errorf("mirrors %v, %v", entries, err)
	}
	if key, err := os.Stat(filepath.Join(dir, "git-ssh-key")); err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("ssh key file: %v, %v", key, err)
	}
}
