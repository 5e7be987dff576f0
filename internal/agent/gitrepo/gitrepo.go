// Package gitrepo opens the repositories of an agent's file for the agent: a
// cheap look at the head, and a bare mirror that is read without checking out.
package gitrepo

import (
	"context"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/penstock-cd/penstock/internal/agent"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githubapp"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Opener opens repositories below one directory that belongs to this process alone.
type Opener struct {
	Dir string
	Git spec.Git
	Log *slog.Logger

	mu  sync.Mutex
	app *githubapp.App // made when it is first needed, so that repositories share its tokens
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
func (o *Opener) Open(ctx context.Context, r spec.Repository) (agent.Repo, error) {
	auth, err := o.auth(r.Remote)
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

// auth prepares the credentials for one repository; what is given as data goes to
// a file that only this user can read.
func (o *Opener) auth(remote string) (git.Auth, error) {
	g := o.Git
	a := git.Auth{
		Username: g.Username, Password: g.Password.Reveal(), SSHKeyFile: g.SSHKeyFile, SSHConfigFile: g.SSHConfigFilePath,
		SSHKnownHostsFile: g.SSHKnownHostsFile, SSHAcceptNew: g.SSHAcceptNew,
	}
	var err error
	if g.SSHKeyData != "" {
		if a.SSHKeyFile, err = o.keep("git-ssh-key", g.SSHKeyData.Reveal()); err != nil {
			return a, err
		}
	}
	switch {
	case g.SSHKnownHosts != "":
		a.SSHKnownHostsFile, err = o.keep("git-known-hosts", strings.TrimRight(g.SSHKnownHosts, "\n")+"\n")
	case g.SSHKnownHostsFile == "":
		a.SSHMoreHostsFile, err = o.keep("git-published-hosts", git.PublishedHosts)
	}
	if err != nil || g.GitHubApp == nil {
		return a, err
	}
	a.Tokens, err = o.tokens(remote)
	return a, err
}

// keep writes a file into the agent's directory.
func (o *Opener) keep(name, content string) (string, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return "", fmt.Errorf("make the agent's directory: %w", err)
	}
	file, err := filepath.Abs(filepath.Join(o.Dir, name))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return "", fmt.Errorf("write %s for git: %w", name, err)
	}
	return file, nil
}

// tokens is the source of credentials for a repository of the host that the GitHub
// App belongs to; nil for others, to which nothing is sent.
func (o *Opener) tokens(remote string) (git.TokenSource, error) {
	app, err := o.githubApp()
	if err != nil {
		return nil, err
	}
	owner, name, ok := app.Serves(remote)
	if !ok {
		return nil, nil
	}
	return app.Repository(owner, name), nil
}

func (o *Opener) githubApp() (*githubapp.App, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.app != nil {
		return o.app, nil
	}
	g := o.Git.GitHubApp
	key := []byte(g.PrivateKeyData.Reveal())
	if g.PrivateKeyFile != "" {
		var err error
		if key, err = os.ReadFile(g.PrivateKeyFile); err != nil {
			return nil, fmt.Errorf("read the key of the GitHub App: %w", err)
		}
	}
	var err error
	o.app, err = githubapp.New(githubapp.Options{ID: g.AppID, Installation: g.InstallationID, Key: key, API: g.APIURL})
	return o.app, err
}
