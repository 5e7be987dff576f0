// Package gitrepo opens the repositories of an agent's file for the agent: a
// cheap look at the head, and a bare mirror that is read without checking out.
package gitrepo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Opener opens repositories below one directory that belongs to this process alone.
type Opener struct {
	Dir string
	Git spec.Git
	Log *slog.Logger
}

// repo is a mirror whose head is asked for without a process.
type repo struct {
	*git.Mirror
	remote *git.Remote
}

// Head implements agent.Repo.
func (r repo) Head(ctx context.Context) (string, error) { return r.remote.Head(ctx) }

// Close implements agent.Repo.
func (r repo) Close() {
	r.remote.Close()
	r.Mirror.Close()
}

// Open implements the OpenRepo of agent.Options. The first call for a
// repository clones it.
func (o Opener) Open(ctx context.Context, r spec.Repository) (agent.Repo, error) {
	auth, err := o.auth()
	if err != nil {
		return nil, err
	}
	src := git.Source{URL: r.Remote, Branch: r.Branch, Auth: auth}
	remote, err := git.NewRemote(src, git.RemoteOptions{})
	if err != nil {
		return nil, err
	}
	m, err := git.Open(ctx, git.MirrorOptions{Source: src, Dir: filepath.Join(o.Dir, "mirrors", dirName(r)), Log: o.Log})
	if err != nil {
		remote.Close()
		return nil, err
	}
	return repo{Mirror: m, remote: remote}, nil
}

// dirName is readable and unique for a repository and its branch.
func dirName(r spec.Repository) string {
	h := fnv.New64a()
	h.Write([]byte(r.Remote + "\x00" + r.Branch))
	safe := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '-'
	}, r.RepoID)
	return safe + "-" + hex.EncodeToString(h.Sum(nil))
}

// auth prepares the credentials; a key given as data goes to a file that only
// this user can read.
func (o Opener) auth() (git.Auth, error) {
	a := git.Auth{Username: o.Git.Username, Password: o.Git.Password.Reveal(), SSHKeyFile: o.Git.SSHKeyFile, SSHConfigFile: o.Git.SSHConfigFilePath}
	if o.Git.SSHKeyData == "" {
		return a, nil
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return a, fmt.Errorf("make the agent's directory: %w", err)
	}
	a.SSHKeyFile = filepath.Join(o.Dir, "git-ssh-key")
	if err := os.WriteFile(a.SSHKeyFile, []byte(o.Git.SSHKeyData.Reveal()), 0o600); err != nil {
		return a, errors.Join(errors.New("write the git ssh key"), err)
	}
	return a, nil
}
