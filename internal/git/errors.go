package git

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// The kinds of failure. Use errors.Is; the *Error around them has the words.
var (
	// ErrUnreachable: the host did not answer, or answered that it cannot at the
	// moment. Asking again later can help.
	ErrUnreachable = errors.New("git host unreachable")
	// ErrAuth: the credentials are missing, wrong or not allowed to read.
	ErrAuth = errors.New("access refused")
	// ErrHostKey: the ssh host's key is unknown, or another one than is known.
	ErrHostKey = errors.New("ssh host key not accepted")
	// ErrBranchMissing: the repository has no such branch.
	ErrBranchMissing = errors.New("branch not found")
	// ErrNotRepository: something answered, but there is no git repository.
	ErrNotRepository = errors.New("not a git repository")
	// ErrUnknownCommit: the mirror does not hold the commit: not fetched, or gone
	// after a force push. The caller treats everything as changed.
	ErrUnknownCommit = errors.New("unknown commit")
	// ErrNotFound: the commit has no such path.
	ErrNotFound = errors.New("no such file in the commit")
	// ErrTooLarge: the file or the answer is larger than the limit.
	ErrTooLarge = errors.New("too large")
	// ErrNotRegular: the path is a symlink, a submodule or a directory where a file is needed.
	ErrNotRegular = errors.New("not a regular file")
	// ErrLFS: the path holds a Git LFS pointer, and the content is elsewhere.
	ErrLFS = errors.New("kept in Git LFS")
	// ErrCorrupt: the mirror on disk is damaged. The next Fetch clones it again.
	ErrCorrupt = errors.New("mirror damaged")
	// ErrInUse: another process has the mirror's directory.
	ErrInUse = errors.New("mirror directory in use")
	// ErrClosed: the mirror was closed.
	ErrClosed = errors.New("mirror closed")
	// ErrInvalid: the address, branch or path cannot be used.
	ErrInvalid = errors.New("invalid")
	// ErrGitMissing: there is no git binary.
	ErrGitMissing = gitexec.ErrMissing
	// ErrGitTooOld: the git binary is older than 2.36.
	ErrGitTooOld = gitexec.ErrTooOld
)

// Error is every error of this package.
type Error struct {
	// Op is what was being done: "poll", "clone", "fetch", "read apps/a/app.pipecd.yaml".
	Op string
	// Repo is the address without credentials.
	Repo string
	// Kind is one of the Err… values, or nil when none fits.
	Kind error
	// Detail is what git or the network said, without credentials.
	Detail string
	// Hint is what a person can do, empty when there is nothing better than the detail.
	Hint string
	// Cause is the error below, such as context.Canceled.
	Cause error
}

// Error is one line: what failed, where, why, and what to do.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Repo != "" {
		b.WriteString(" " + e.Repo)
	}
	for _, part := range []string{e.reason(), e.Detail} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

func (e *Error) reason() string {
	switch {
	case e.Kind != nil:
		return e.Kind.Error()
	case e.Detail == "" && e.Cause != nil:
		return e.Cause.Error()
	}
	return ""
}

// Unwrap gives the kind and the cause to errors.Is.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// symptom maps git's words to a kind. Order matters: the first match wins.
type symptom struct {
	words []string
	kind  error
	hint  string
}

func symptoms() []symptom {
	return []symptom{
		{
			[]string{"authentication failed", "could not read username", "could not read password", "permission denied", "error: 401", "error: 403", "invalid credentials"},
			ErrAuth, hintAuth,
		},
		{[]string{"couldn't find remote ref", "remote branch", "no such ref was fetched"}, ErrBranchMissing, hintBranch},
		{
			[]string{
				"could not resolve host", "failed to connect", "couldn't connect", "connection refused", "connection reset", "timed out", "no route to host",
				"network is unreachable", "connection closed", "kex_exchange", "error: 5", "error: 429", "operation too slow", "early eof", "hung up unexpectedly", "empty reply",
				"ssl certificate", "certificate verif", "could not resolve hostname", "proxy",
			},
			ErrUnreachable, hintReach,
		},
		{[]string{"dubious ownership"}, ErrNotRepository, "the directory belongs to another user; run as its owner"},
		{[]string{"transport '", "not allowed"}, ErrInvalid, "use https, http, ssh or file"},
		{
			[]string{"not found", "does not appear to be a git repository", "is this a git repository", "error: 404", "does not exist", "could not read from remote repository"},
			ErrNotRepository, hintRepository,
		},
	}
}

const (
	hintAuth       = "check user name and password (or ssh key) under `git` in the agent's configuration, and that they may read this repository"
	hintBranch     = "check `branch` of this repository in the agent's configuration"
	hintReach      = "check name, network, proxy and certificates; it is asked again at the next poll"
	hintRepository = "check `remote` of this repository in the agent's configuration, and that the credentials may see it"
)

// damage are git's words for a repository that cannot be repaired by trying again.
func damage() []string {
	return []string{
		"bad object", "is corrupt", "is empty", "not a git repository", "missing blob", "missing tree", "unable to read tree", "unable to read", "loose object",
		"packfile", "pack has", "index file corrupt", "did not send all necessary objects", "bad tree", "could not parse", "inflate", "broken", "bad config", "invalid sha1 pointer",
	}
}

// remoteFailure turns an error of a command that spoke to the remote into an *Error.
func (e *endpoint) remoteFailure(ctx context.Context, op, gitPath string, err error) error {
	var known *Error
	if errors.As(err, &known) {
		return err
	}
	if hostKeyRefused(err) {
		return e.hostKeyFailure(ctx, op, gitPath, err)
	}
	out := &Error{Op: op, Repo: e.display, Cause: err}
	var exit *gitexec.ExitError
	if !errors.As(err, &exit) {
		return out
	}
	out.Cause, out.Detail = nil, oneLine(e.redact(exit.Stderr))
	lower := strings.ToLower(exit.Stderr)
	for _, s := range symptoms() {
		for _, w := range s.words {
			if strings.Contains(lower, w) {
				out.Kind, out.Hint = s.kind, s.hint
				return out
			}
		}
	}
	if out.Detail == "" {
		out.Detail = fmt.Sprintf("git %s ended with status %d", exit.Command, exit.Code)
	}
	return out
}

func looksDamaged(err error) bool {
	var exit *gitexec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	lower := strings.ToLower(exit.Stderr)
	for _, w := range damage() {
		if strings.Contains(lower, w) {
			return true
		}
	}
	return false
}

// oneLine joins git's lines, so that an error stays one log line.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
}
