package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

const (
	// maxTree bounds one directory, in bytes: about a million entries.
	maxTree = 64 << 20
	// maxCommit bounds one commit object, in bytes.
	maxCommit = 4 << 20
	// maxName bounds one path in a listing, in bytes.
	maxName = 64 << 10
)

// FetchedHead is the head of the branch as it was fetched last; it asks nobody.
func (m *Mirror) FetchedHead(ctx context.Context) (string, error) {
	replies, err := m.ask(ctx, "read the branch of", query{name: m.end.ref()}, query{name: m.end.ref() + "^{tree}"})
	if err != nil {
		return "", err
	}
	switch {
	case replies[0].missing:
		return "", &Error{Op: "read the branch of", Repo: m.end.display, Kind: ErrBranchMissing, Detail: fmt.Sprintf("%q", m.end.branch), Hint: hintBranch}
	case replies[1].missing:
		return "", m.localFailure("read the branch of", fmt.Errorf("%w: the head's tree is missing", errObject))
	}
	return replies[0].hash, nil
}

// ask talks to the reader process while the directory stays in place.
func (m *Mirror) ask(ctx context.Context, op string, queries ...query) ([]reply, error) {
	m.swap.RLock()
	defer m.swap.RUnlock()
	replies, err := m.cat.ask(ctx, queries...)
	if err != nil {
		return nil, m.localFailure(op, err)
	}
	return replies, nil
}

// stream runs a listing command while the directory stays in place.
func (m *Mirror) stream(ctx context.Context, op string, each func(name string), args ...string) error {
	m.swap.RLock()
	defer m.swap.RUnlock()
	if m.closed.Load() {
		return &Error{Op: op, Repo: m.end.display, Kind: ErrClosed}
	}
	if err := m.runner.Stream(ctx, m.dir, func(r io.Reader) error { return eachName(r, each) }, args...); err != nil {
		return m.localFailure(op, err)
	}
	return nil
}

// eachName splits a listing that was asked for with -z.
func eachName(r io.Reader, each func(string)) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 0, 4096), maxName)
	s.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			return i + 1, data[:i], nil
		}
		if atEOF && len(data) > 0 {
			return 0, nil, io.ErrUnexpectedEOF
		}
		return 0, nil, nil
	})
	for s.Scan() {
		each(s.Text())
	}
	return s.Err()
}

func (m *Mirror) unknown(op, sha string) error {
	detail := fmt.Sprintf("%.12s is not in the mirror", sha)
	if !isHash(sha) {
		detail = fmt.Sprintf("%.80q is not a full commit id", sha)
	}
	return &Error{Op: op, Repo: m.end.display, Kind: ErrUnknownCommit, Detail: detail, Hint: "it was never on the branch, or a force push removed it"}
}

// need makes sure that every commit is there, so that what a command says later
// means damage and nothing else.
func (m *Mirror) need(ctx context.Context, op string, shas ...string) error {
	var queries []query
	for _, sha := range shas {
		if !isHash(sha) {
			return m.unknown(op, sha)
		}
		queries = append(queries, query{name: sha + "^{commit}"})
	}
	replies, err := m.ask(ctx, op, queries...)
	if err != nil {
		return err
	}
	for i, r := range replies {
		if r.missing {
			return m.unknown(op, shas[i])
		}
	}
	return nil
}

// Commit returns one commit by its full id; ErrUnknownCommit when the mirror does
// not have it.
func (m *Mirror) Commit(ctx context.Context, sha string) (Commit, error) {
	const op = "read a commit of"
	if !isHash(sha) {
		return Commit{}, m.unknown(op, sha)
	}
	replies, err := m.ask(ctx, op, query{name: sha + "^{commit}", contents: true, limit: maxCommit})
	switch {
	case err != nil:
		return Commit{}, err
	case replies[0].missing:
		return Commit{}, m.unknown(op, sha)
	case replies[0].data == nil:
		return Commit{}, &Error{Op: op, Repo: m.end.display, Kind: ErrTooLarge, Detail: sha}
	}
	c, err := parseCommit(replies[0].hash, replies[0].data)
	if err != nil {
		return Commit{}, m.localFailure(op, err)
	}
	return c, nil
}

// ChangedPaths lists the files that differ between two commits: added, changed and
// deleted ones, a rename as both. An empty old means every file of new. It returns
// ErrUnknownCommit when the mirror lacks one of them: the caller then treats
// everything as changed.
func (m *Mirror) ChangedPaths(ctx context.Context, old, new string) ([]string, error) {
	const op = "compare commits of"
	if old == "" {
		return m.FindFiles(ctx, new, func(string) bool { return true })
	}
	if err := m.need(ctx, op, old, new); err != nil || old == new {
		return nil, err
	}
	var names []string
	err := m.stream(ctx, op, func(name string) { names = append(names, name) },
		"diff-tree", "-r", "--name-only", "-z", "--no-renames", "--no-commit-id", old, new, "--")
	return names, err
}

// FindFiles lists the paths at a commit that match, in git's order. Symlinks and
// submodules are listed as files are.
func (m *Mirror) FindFiles(ctx context.Context, commit string, match func(name string) bool) ([]string, error) {
	const op = "list files of"
	if err := m.need(ctx, op, commit); err != nil {
		return nil, err
	}
	var names []string
	err := m.stream(ctx, op, func(name string) {
		if match(name) {
			names = append(names, name)
		}
	}, "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
	return names, err
}

// IsAncestor reports whether the branch could move from old to new without a force
// push; a commit is its own ancestor.
func (m *Mirror) IsAncestor(ctx context.Context, old, new string) (bool, error) {
	const op = "compare commits of"
	if err := m.need(ctx, op, old, new); err != nil {
		return false, err
	}
	m.swap.RLock()
	defer m.swap.RUnlock()
	if m.closed.Load() {
		return false, &Error{Op: op, Repo: m.end.display, Kind: ErrClosed}
	}
	_, err := m.runner.Run(ctx, m.dir, nil, "merge-base", "--is-ancestor", old, new)
	var exit *gitexec.ExitError
	if errors.As(err, &exit) && exit.Code == 1 {
		return false, nil
	}
	if err != nil {
		return false, m.localFailure(op, err)
	}
	return true, nil
}

// List lists one directory at a commit, in git's order; "" is the root. Errors:
// ErrUnknownCommit, ErrNotFound, ErrNotRegular for something that is no directory.
func (m *Mirror) List(ctx context.Context, commit, dir string) ([]Entry, error) {
	op := fmt.Sprintf("list %q of", dir)
	clean, err := CleanPath(dir)
	if err != nil {
		return nil, &Error{Op: op, Repo: m.end.display, Cause: err}
	}
	if !isHash(commit) {
		return nil, m.unknown(op, commit)
	}
	found, err := m.ask(ctx, op, query{name: commit + "^{commit}"}, query{name: commit + ":" + clean})
	if err != nil {
		return nil, err
	}
	tree := found[1]
	switch {
	case found[0].missing:
		return nil, m.unknown(op, commit)
	case tree.missing:
		return nil, m.notFound(op, commit)
	case tree.kind != "tree":
		return nil, &Error{Op: op, Repo: m.end.display, Kind: ErrNotRegular, Detail: fmt.Sprintf("%q is no directory", clean)}
	}
	return m.tree(ctx, op, clean, tree)
}

func (m *Mirror) notFound(op, commit string) error {
	return &Error{Op: op, Repo: m.end.display, Kind: ErrNotFound, Detail: fmt.Sprintf("commit %.12s", commit)}
}

// tree reads the entries of a tree that is known to be there.
func (m *Mirror) tree(ctx context.Context, op, dir string, tree reply) ([]Entry, error) {
	if tree.size > maxTree {
		return nil, &Error{Op: op, Repo: m.end.display, Kind: ErrTooLarge, Detail: fmt.Sprintf("directory %q", dir)}
	}
	content, err := m.ask(ctx, op, query{name: tree.hash, contents: true, limit: maxTree})
	if err != nil {
		return nil, err
	}
	if content[0].missing {
		return nil, m.localFailure(op, fmt.Errorf("%w: tree %s is missing", errObject, tree.hash))
	}
	entries, err := parseTree(content[0].data, dir, len(tree.hash)/2)
	if err != nil {
		return nil, m.localFailure(op, err)
	}
	return entries, nil
}

// ReadFile returns a regular file at a commit. Errors: ErrUnknownCommit,
// ErrNotFound, ErrTooLarge, ErrNotRegular for symlinks, submodules and
// directories: a symlink is not followed, because it may point out of the
// application's directory.
func (m *Mirror) ReadFile(ctx context.Context, commit, file string) ([]byte, error) {
	op := fmt.Sprintf("read %q of", file)
	clean, err := CleanPath(file)
	if err == nil && clean == "" {
		err = fmt.Errorf("%w: no file is named", ErrInvalid)
	}
	if err != nil {
		return nil, &Error{Op: op, Repo: m.end.display, Cause: err}
	}
	entry, size, err := m.lookUp(ctx, op, commit, clean)
	if err != nil {
		return nil, err
	}
	if size > m.maxFile {
		return nil, &Error{
			Op: op, Repo: m.end.display, Kind: ErrTooLarge, Detail: fmt.Sprintf("%d bytes, at most %d are read", size, m.maxFile),
			Hint: "keep large files out of the application's directory",
		}
	}
	content, err := m.ask(ctx, op, query{name: entry.Hash, contents: true, limit: m.maxFile})
	if err != nil {
		return nil, err
	}
	if content[0].missing {
		return nil, m.localFailure(op, fmt.Errorf("%w: %s is missing", errObject, entry.Hash))
	}
	if IsLFSPointer(content[0].data) {
		return nil, &Error{Op: op, Repo: m.end.display, Kind: ErrLFS, Detail: LFSDetail, Hint: LFSHint}
	}
	return content[0].data, nil
}

// What is said of a file that is kept in Git LFS.
const (
	LFSDetail = "the repository holds a pointer only, and objects of Git LFS are not fetched"
	LFSHint   = "commit the file itself: take its pattern out of .gitattributes, then git add --renormalize"
)

// IsLFSPointer reports whether a file's content stands for one in Git LFS
// (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md).
func IsLFSPointer(data []byte) bool {
	return len(data) < 1024 && bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/v1\n")) && bytes.Contains(data, []byte("\noid sha256:"))
}

// blocked finds what a path would have to go through and cannot: a submodule or a
// symlink where a directory is needed. Without one the path is just not there.
func (m *Mirror) blocked(ctx context.Context, op, commit, dir string) error {
	parts := strings.Split(dir, "/")
	for i, part := range parts {
		parent, here := path.Join(parts[:i]...), path.Join(parts[:i+1]...)
		entries, err := m.List(ctx, commit, parent)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == part })
		if at < 0 {
			return m.notFound(op, commit)
		}
		why, regular := NotRegular(entries[at].Kind)
		if regular {
			why = "it is a file"
		}
		if entries[at].Kind != KindDirectory {
			return &Error{
				Op: op, Repo: m.end.display, Kind: ErrNotRegular, Detail: fmt.Sprintf("%q is in its way: %s", here, why),
				Hint: "move the files into this repository, or give the other repository to the agent",
			}
		}
	}
	return m.notFound(op, commit)
}

// lookUp finds a regular file and its size. The directory is read as well, because
// the reader process does not say what is a symlink.
func (m *Mirror) lookUp(ctx context.Context, op, commit, clean string) (Entry, int64, error) {
	if !isHash(commit) {
		return Entry{}, 0, m.unknown(op, commit)
	}
	dir, name := path.Split(clean)
	dir = strings.TrimSuffix(dir, "/")
	found, err := m.ask(ctx, op, query{name: commit + "^{commit}"}, query{name: commit + ":" + dir}, query{name: commit + ":" + clean})
	if err != nil {
		return Entry{}, 0, err
	}
	if found[0].missing {
		return Entry{}, 0, m.unknown(op, commit)
	}
	switch {
	case found[1].missing, found[1].kind == "commit":
		return Entry{}, 0, m.blocked(ctx, op, commit, dir)
	case found[1].kind != "tree":
		return Entry{}, 0, &Error{Op: op, Repo: m.end.display, Kind: ErrNotRegular, Detail: fmt.Sprintf("%q is no directory, and symlinks are not followed", dir)}
	}
	entries, err := m.tree(ctx, op, dir, found[1])
	if err != nil {
		return Entry{}, 0, err
	}
	for _, e := range entries {
		if e.Name != name {
			continue
		}
		if err := m.regular(op, e); err != nil {
			return Entry{}, 0, err
		}
		if found[2].missing {
			return Entry{}, 0, m.localFailure(op, fmt.Errorf("%w: %s is missing", errObject, e.Hash))
		}
		return e, found[2].size, nil
	}
	return Entry{}, 0, m.notFound(op, commit)
}

func (m *Mirror) regular(op string, e Entry) error {
	detail, ok := NotRegular(e.Kind)
	if ok {
		return nil
	}
	return &Error{Op: op, Repo: m.end.display, Kind: ErrNotRegular, Detail: detail, Hint: "commit the file itself"}
}

// NotRegular says in words why an entry cannot be read as a file; ok for one that can.
func NotRegular(k Kind) (why string, ok bool) {
	switch k {
	case KindFile, KindExecutable:
		return "", true
	case KindSymlink:
		return "it is a symlink, and symlinks are not followed", false
	case KindSubmodule:
		return "it is a submodule, and submodules are not fetched", false
	}
	return "it is a directory", false
}
