package githttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/git"
)

// CreateRepo makes an empty bare repository that takes pushes, partial clones and
// requests for any commit. branch is what HEAD names.
func (s *Server) CreateRepo(ctx context.Context, repo, branch string) error {
	if err := s.exists(repo); err == nil {
		return fmt.Errorf("git server: repository %q exists", repo)
	} else if strings.Contains(err.Error(), "not a repository name") {
		return err
	}
	dir := s.Path(repo)
	if _, err := s.runner.Run(ctx, "", nil, "init", "-q", "--bare", "--template=", "--initial-branch="+branch, "--", dir); err != nil {
		return fmt.Errorf("git server: %w", err)
	}
	for _, kv := range [][2]string{
		{"http.receivepack", "true"},
		{"uploadpack.allowFilter", "true"},
		{"uploadpack.allowAnySHA1InWant", "true"},
		{"receive.autogc", "false"},
		{"core.logAllRefUpdates", "true"},
	} {
		if _, err := s.runner.Run(ctx, dir, nil, "config", kv[0], kv[1]); err != nil {
			return fmt.Errorf("git server: %w", err)
		}
	}
	return nil
}

// Commit writes files on top of a branch, which is created when missing, and
// returns the new commit's id. OnPush is not called: nothing was pushed.
func (s *Server) Commit(ctx context.Context, repo, branch, message string, files map[string]string, author git.Signature) (string, error) {
	return s.CommitChange(ctx, repo, git.Change{Branch: branch, Message: message, Files: files, Author: author})
}

// CommitChange writes any change: removed files, symlinks, submodules, or another
// parent than the tip, which moves the branch as a force push does.
func (s *Server) CommitChange(ctx context.Context, repo string, c git.Change) (string, error) {
	if err := s.exists(repo); err != nil {
		return "", err
	}
	lock := s.lock(repo)
	lock.Lock()
	defer lock.Unlock()
	refs, err := s.refs(ctx, repo)
	if err != nil {
		return "", fmt.Errorf("git server: %w", err)
	}
	ref := "refs/heads/" + c.Branch
	if c.Parent == "" {
		c.Parent = refs[ref]
	}
	stream, err := importStream(ref, c)
	if err != nil {
		return "", fmt.Errorf("git server: %w", err)
	}
	out, err := s.runner.Run(ctx, s.Path(repo), bytes.NewReader(stream), "fast-import", "--quiet", "--force", "--done", "--date-format=raw")
	if err != nil {
		return "", fmt.Errorf("git server: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// importStream is the change in the language of git-fast-import(1).
func importStream(ref string, c git.Change) ([]byte, error) {
	author := c.Author
	if author.Name == "" && author.Email == "" {
		author.Name, author.Email = defaultAuthor().Name, defaultAuthor().Email
	}
	if author.When.IsZero() {
		author.When = time.Now()
	}
	if strings.ContainsAny(author.Name+author.Email, "<>\n\x00") {
		return nil, errors.New("the author's name or address holds characters that git does not allow")
	}
	b := &bytes.Buffer{}
	fmt.Fprintf(b, "commit %s\nmark :1\ncommitter %s <%s> %d +0000\n", ref, author.Name, author.Email, author.When.Unix())
	data(b, c.Message)
	if c.Parent != "" {
		fmt.Fprintf(b, "from %s\n", c.Parent)
	}
	if err := writePaths(b, c); err != nil {
		return nil, err
	}
	b.WriteString("\nget-mark :1\ndone\n")
	return b.Bytes(), nil
}

func writePaths(b *bytes.Buffer, c git.Change) error {
	var bad error
	quoted := func(p string) string {
		clean, err := git.CleanPath(p)
		if err != nil || clean == "" {
			bad = errors.Join(bad, fmt.Errorf("%q is no path of a file", p))
		}
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean) + `"`
	}
	for _, p := range c.Remove {
		fmt.Fprintf(b, "D %s\n", quoted(p))
	}
	for _, p := range slices.Sorted(maps.Keys(c.Files)) {
		fmt.Fprintf(b, "M 100644 inline %s\n", quoted(p))
		data(b, c.Files[p])
	}
	for _, p := range slices.Sorted(maps.Keys(c.Symlinks)) {
		fmt.Fprintf(b, "M 120000 inline %s\n", quoted(p))
		data(b, c.Symlinks[p])
	}
	for _, p := range slices.Sorted(maps.Keys(c.Submodules)) {
		fmt.Fprintf(b, "M 160000 %s %s\n", c.Submodules[p], quoted(p))
	}
	return bad
}

func data(b *bytes.Buffer, content string) { fmt.Fprintf(b, "data %d\n%s\n", len(content), content) }

// ForcePush moves a branch to any commit that the repository holds.
func (s *Server) ForcePush(ctx context.Context, repo, branch, sha string) error {
	return s.updateRef(ctx, repo, "refs/heads/"+branch, sha)
}

// DeleteBranch removes a branch; its commits stay until git collects them.
func (s *Server) DeleteBranch(ctx context.Context, repo, branch string) error {
	return s.updateRef(ctx, repo, "-d", "refs/heads/"+branch)
}

func (s *Server) updateRef(ctx context.Context, repo string, args ...string) error {
	if err := s.exists(repo); err != nil {
		return err
	}
	lock := s.lock(repo)
	lock.Lock()
	defer lock.Unlock()
	if _, err := s.runner.Run(ctx, s.Path(repo), nil, append([]string{"update-ref"}, args...)...); err != nil {
		return fmt.Errorf("git server: %w", err)
	}
	return nil
}
