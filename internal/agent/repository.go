package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/spec"
)

// repository is a repository of the agent's file, opened when it is first needed.
type repository struct {
	spec  spec.Repository
	open  func(ctx context.Context, r spec.Repository) (Repo, error)
	token chan struct{} // held while opening, so that one clone is made

	mu   sync.Mutex
	repo Repo
}

// get opens the repository once; a failure is tried again by the next caller.
func (r *repository) get(ctx context.Context) (Repo, error) {
	select {
	case r.token <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-r.token }()
	if repo := r.opened(); repo != nil {
		return repo, nil
	}
	repo, err := r.open(ctx, r.spec)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repo = repo
	return repo, nil
}

func (r *repository) opened() Repo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repo
}

func (r *repository) close() {
	if repo := r.opened(); repo != nil {
		repo.Close()
	}
}

// commit makes sure that a commit is here and describes it.
func (r *repository) commit(ctx context.Context, sha string) (Repo, git.Commit, error) {
	repo, err := r.get(ctx)
	if err != nil {
		return nil, git.Commit{}, err
	}
	c, err := repo.Commit(ctx, sha)
	if !errors.Is(err, git.ErrUnknownCommit) {
		return repo, c, err
	}
	if _, err := repo.Fetch(ctx); err != nil {
		return repo, c, err
	}
	c, err = repo.Commit(ctx, sha)
	return repo, c, err
}

// files reads the files of one commit for a platform.
type files struct {
	repo   Repo
	commit string
}

// ReadFile implements platform.Files. A file that is not there is fs.ErrNotExist.
func (f files) ReadFile(ctx context.Context, path string) ([]byte, error) {
	data, err := f.repo.ReadFile(ctx, f.commit, path)
	if errors.Is(err, git.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return data, err
}

// gitTemporary reports whether asking a repository again can help.
func gitTemporary(err error) bool {
	return errors.Is(err, git.ErrUnreachable) || errors.Is(err, git.ErrCorrupt) || errors.Is(err, git.ErrInUse) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// commitOf is a commit as the record keeps it.
func commitOf(c git.Commit) deploy.Commit {
	subject := []rune(c.Subject)
	if len(subject) > 200 {
		subject = append(subject[:199], '…')
	}
	return deploy.Commit{Hash: c.Hash, Subject: string(subject), Author: c.Author, Email: c.AuthorEmail, Time: c.Time}
}

// withoutCredentials removes user name and password from an address.
func withoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.User == nil || !strings.Contains(remote, "://") {
		return remote
	}
	if u.Scheme == "ssh" {
		u.User = url.User(u.User.Username())
	} else {
		u.User = nil
	}
	return u.String()
}
