package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/spec"
)

// GitOptions say how repositories are mirrored on disk.
type GitOptions struct {
	Git spec.Git // of the agent's file
	// Dir holds one mirror for each repository; no other process may use it.
	Dir    string
	Client *http.Client // nil: the standard one
	Logger *slog.Logger
}

// GitRepos opens repositories as mirrors on disk, for Options.OpenRepo.
func GitRepos(opt GitOptions) func(ctx context.Context, r spec.Repository) (Repo, error) {
	return func(ctx context.Context, r spec.Repository) (Repo, error) {
		keyFile, err := sshKeyFile(opt)
		if err != nil {
			return nil, err
		}
		src := git.Source{URL: r.Remote, Branch: r.Branch, Auth: git.Auth{
			Password: opt.Git.Password.Reveal(), SSHKeyFile: keyFile, SSHConfigFile: opt.Git.SSHConfigFilePath,
		}}
		if src.Auth.Password != "" {
			src.Auth.Username = opt.Git.Username
		}
		remote, err := git.NewRemote(src, git.RemoteOptions{Client: opt.Client})
		if err != nil {
			return nil, err
		}
		m, err := git.Open(ctx, git.MirrorOptions{Source: src, Dir: filepath.Join(opt.Dir, mirrorName(r)), Log: opt.Logger})
		if err != nil {
			remote.Close()
			return nil, err
		}
		return &gitRepo{m, remote}, nil
	}
}

// gitRepo is a mirror on disk with its remote.
type gitRepo struct {
	*git.Mirror
	remote *git.Remote
}

// Head implements Repo.
func (g *gitRepo) Head(ctx context.Context) (string, error) { return g.remote.Head(ctx) }

// Close implements Repo.
func (g *gitRepo) Close() {
	g.remote.Close()
	g.Mirror.Close()
}

// mirrorName is the directory of a mirror: readable, and another one when the
// remote or the branch changes.
func mirrorName(r spec.Repository) string {
	h := sha256.Sum256([]byte(r.Remote + "\x00" + r.Branch))
	clean := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			return c
		}
		return '-'
	}, r.RepoID)
	return clip(clean, 40) + "-" + hex.EncodeToString(h[:6]) + ".git"
}

// sshKeyFile writes a key that the configuration holds itself to a file that
// only this user can read.
func sshKeyFile(opt GitOptions) (string, error) {
	if opt.Git.SSHKeyData == "" {
		return opt.Git.SSHKeyFile, nil
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return "", fmt.Errorf("write ssh key: %w", err)
	}
	name := filepath.Join(opt.Dir, "ssh-key")
	if err := os.WriteFile(name, []byte(strings.TrimRight(opt.Git.SSHKeyData.Reveal(), "\n")+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write ssh key: %w", err)
	}
	return name, nil
}
