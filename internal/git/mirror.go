package git

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// DefaultMaxFileSize is the largest file that ReadFile returns, in bytes.
const DefaultMaxFileSize = 10 << 20

// MirrorOptions say what is mirrored and where.
type MirrorOptions struct {
	Source Source
	// Dir is the directory of this mirror alone. Its parent is created. A file
	// Dir+".lock" beside it keeps other processes out.
	Dir string
	// MaxFileSize bounds ReadFile, in bytes; 0 means DefaultMaxFileSize.
	MaxFileSize int64
	// GitPath is the git binary; empty means "git" in PATH.
	GitPath string
	// Log receives what a person would want to know (a mirror cloned again); nil means nobody.
	Log *slog.Logger
}

// Mirror is a bare copy of one branch of a repository. It is never checked out:
// files are read from git's own storage at a commit. Safe for concurrent use;
// reads go on while a fetch runs.
type Mirror struct {
	end     *endpoint
	dir     string
	maxFile int64
	gitPath string
	log     *slog.Logger
	unlock  func()

	write   chan struct{} // holds one token: one fetch, clone or maintenance at a time
	swap    sync.RWMutex  // held for writing only while the directory is replaced or closed
	runner  *gitexec.Runner
	url     string // guarded by write; differs from end.url after a redirect on the host
	cat     *catFile
	damaged atomic.Bool
	closed  atomic.Bool
}

// Open opens the mirror, cloning it when the directory is missing or damaged. With
// a mirror on disk it needs no network. Errors: those of Fetch, ErrInUse,
// ErrGitMissing, ErrGitTooOld.
func Open(ctx context.Context, o MirrorOptions) (*Mirror, error) {
	end, err := newEndpoint(o.Source)
	if err != nil {
		return nil, err
	}
	m := &Mirror{
		end: end, maxFile: o.MaxFileSize, gitPath: o.GitPath, log: o.Log, url: end.url,
		runner: end.runner(o.GitPath, end.fixed), write: make(chan struct{}, 1),
	}
	m.write <- struct{}{}
	if m.maxFile <= 0 {
		m.maxFile = DefaultMaxFileSize
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if _, err := m.runner.CheckVersion(ctx); err != nil {
		return nil, &Error{Op: "open mirror of", Repo: end.display, Cause: err}
	}
	if err := m.takeDir(o.Dir); err != nil {
		return nil, err
	}
	m.cat = newCatFile(m.runner, m.dir)
	if err := m.prepare(ctx); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// takeDir locks the directory against other processes and removes what a killed
// process left.
func (m *Mirror) takeDir(dir string) error {
	fail := func(kind, cause error, detail, hint string) error {
		return &Error{Op: "open mirror of", Repo: m.end.display, Kind: kind, Cause: cause, Detail: detail, Hint: hint}
	}
	abs, err := filepath.Abs(dir)
	if dir == "" || err != nil {
		return fail(ErrInvalid, err, "no directory for the mirror", "")
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return fail(nil, err, err.Error(), "the agent needs a directory that it can write to")
	}
	unlock, err := lockFile(abs + ".lock")
	if errors.Is(err, ErrInUse) {
		return fail(ErrInUse, nil, abs, "give each agent process its own data directory")
	}
	if err != nil {
		return fail(nil, err, err.Error(), "the agent needs a directory that it can write to")
	}
	m.dir, m.unlock = abs, unlock
	for _, pattern := range []string{abs + ".clone-*", abs + ".old-*"} {
		left, _ := filepath.Glob(pattern)
		for _, p := range left {
			_ = os.RemoveAll(p) // an orphaned git may still write there; the next start removes the rest
		}
	}
	m.removeStaleLocks()
	return nil
}

// prepare makes sure that the directory holds a usable mirror with the branch.
func (m *Mirror) prepare(ctx context.Context) error {
	if _, err := os.Stat(m.dir); errors.Is(err, os.ErrNotExist) {
		return m.clone(ctx)
	}
	out, err := m.runner.Run(ctx, m.dir, nil, "rev-parse", "--is-bare-repository")
	if ctx.Err() != nil {
		return &Error{Op: "open mirror of", Repo: m.end.display, Cause: context.Cause(ctx)}
	}
	if err != nil || strings.TrimSpace(string(out)) != "true" {
		m.log.WarnContext(ctx, "mirror on disk is damaged, cloning it again", "repository", m.end.display)
		return m.clone(ctx)
	}
	if _, err := m.FetchedHead(ctx); err == nil {
		return nil
	} else if errors.Is(err, ErrCorrupt) {
		m.log.WarnContext(ctx, "mirror on disk is damaged, cloning it again", "repository", m.end.display, "error", err)
		return m.clone(ctx)
	}
	_, err = m.Fetch(ctx) // another branch than the last time
	return err
}

// Close ends the reader process and gives the directory free. Calls that come
// later return ErrClosed.
func (m *Mirror) Close() {
	if m.closed.Swap(true) {
		return
	}
	<-m.write // a running fetch ends first
	m.swap.Lock()
	defer m.swap.Unlock()
	m.cat.close()
	m.unlock()
	m.write <- struct{}{}
}

// begin takes the turn to change the mirror.
func (m *Mirror) begin(ctx context.Context, op string) (end func(), err error) {
	select {
	case <-m.write:
	case <-ctx.Done():
		return nil, &Error{Op: op, Repo: m.end.display, Cause: context.Cause(ctx)}
	}
	if m.closed.Load() {
		m.write <- struct{}{}
		return nil, &Error{Op: op, Repo: m.end.display, Kind: ErrClosed}
	}
	return func() { m.write <- struct{}{} }, nil
}

// Fetch brings the branch up to date, force pushes included, and returns its head.
// A damaged mirror is cloned again. Errors: ErrUnreachable, ErrAuth,
// ErrBranchMissing, ErrNotRepository, ErrClosed, or the context's; the mirror then
// stays as it was.
func (m *Mirror) Fetch(ctx context.Context) (string, error) {
	end, err := m.begin(ctx, "fetch")
	if err != nil {
		return "", err
	}
	defer end()
	if m.damaged.Load() {
		if err := m.cloneLocked(ctx); err != nil {
			return "", err
		}
		return m.FetchedHead(ctx)
	}
	err = m.fetch(ctx)
	if err != nil && m.repair(ctx, err) {
		err = m.fetch(ctx)
	}
	if looksDamaged(err) && m.isDamaged(ctx) {
		m.log.WarnContext(ctx, "mirror on disk is damaged, cloning it again", "repository", m.end.display)
		err = m.cloneLocked(ctx)
	}
	if err != nil {
		return "", m.end.remoteFailure(ctx, "fetch", m.gitPath, err)
	}
	head, err := m.FetchedHead(ctx)
	if errors.Is(err, ErrCorrupt) {
		if err := m.cloneLocked(ctx); err != nil {
			return "", err
		}
		return m.FetchedHead(ctx)
	}
	return head, err
}

// speak runs a command that speaks to the remote, with credentials of this moment.
func (m *Mirror) speak(ctx context.Context, dir string, args ...string) error {
	cred, err := m.end.credentials(ctx)
	if err != nil {
		return err
	}
	_, err = m.end.runner(m.gitPath, cred).Run(ctx, dir, nil, args...)
	if err != nil && cred.password != "" && errors.Is(m.end.remoteFailure(ctx, "", m.gitPath, err), ErrAuth) {
		m.end.refused(cred)
	}
	return err
}

func (m *Mirror) fetch(ctx context.Context) error {
	return m.speak(ctx, m.dir, "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
		"--", m.url, "+"+m.end.ref()+":"+m.end.ref())
}

// repair removes what stands in the way of a second try, and reports whether a
// second try makes sense: locks of a killed git, or a repository that moved on its host.
func (m *Mirror) repair(ctx context.Context, err error) bool {
	var exit *gitexec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	switch {
	case strings.Contains(exit.Stderr, ".lock': File exists"):
		m.removeStaleLocks() // nobody else: the directory and the turn are ours
		return true
	case strings.Contains(exit.Stderr, "returned error: 30"):
		return m.followMove(ctx)
	}
	return false
}

// followMove finds the new address on the same host with the poll's own rules: git
// must not follow by itself, it would take the credential to any host.
func (m *Mirror) followMove(ctx context.Context) bool {
	src := Source{URL: m.end.url, Branch: m.end.branch, Auth: m.end.auth}
	r, err := NewRemote(src, RemoteOptions{GitPath: m.gitPath})
	if err != nil {
		return false
	}
	defer r.Close()
	if _, err := r.Head(ctx); err != nil || r.url == m.url {
		return false
	}
	m.url = r.url
	return true
}

// isDamaged tells a damaged mirror from a damaged remote: it walks from the branch
// through everything that the mirror should hold.
func (m *Mirror) isDamaged(ctx context.Context) bool {
	_, err := m.runner.Run(ctx, m.dir, nil, "fsck", "--connectivity-only", "--no-dangling", "--no-progress")
	return err != nil && ctx.Err() == nil
}

func (m *Mirror) clone(ctx context.Context) error {
	end, err := m.begin(ctx, "clone")
	if err != nil {
		return err
	}
	defer end()
	return m.cloneLocked(ctx)
}

// cloneLocked clones beside the mirror and puts the result in its place by a
// rename, so that a kill at any moment leaves either a whole mirror or none.
func (m *Mirror) cloneLocked(ctx context.Context) error {
	tmp, err := os.MkdirTemp(filepath.Dir(m.dir), filepath.Base(m.dir)+".clone-")
	if err != nil {
		return &Error{Op: "clone", Repo: m.end.display, Cause: err}
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // the next Open removes what is left
	bare := filepath.Join(tmp, "bare")
	run := func() error {
		return m.speak(ctx, "", "clone", "-q", "--bare", "--single-branch", "--no-tags", "--template=",
			"--branch", m.end.branch, "--", m.url, bare)
	}
	err = run()
	if err != nil && m.repair(ctx, err) {
		err = run()
	}
	if err != nil {
		return m.end.remoteFailure(ctx, "clone", m.gitPath, err)
	}
	if err := m.replace(bare); err != nil {
		return &Error{Op: "clone", Repo: m.end.display, Cause: err}
	}
	return nil
}

// replace waits for readers, then exchanges the directory.
func (m *Mirror) replace(bare string) error {
	m.swap.Lock()
	defer m.swap.Unlock()
	m.cat.restart()
	old, err := os.MkdirTemp(filepath.Dir(m.dir), filepath.Base(m.dir)+".old-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(old) //nolint:errcheck // the next Open removes what is left
	if err := os.Rename(m.dir, filepath.Join(old, "bare")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(bare, m.dir); err != nil {
		return err
	}
	m.damaged.Store(false)
	return nil
}

// Maintain packs what fetches left behind and refreshes the commit graph. Once a
// day is enough; reads go on meanwhile.
func (m *Mirror) Maintain(ctx context.Context) error {
	end, err := m.begin(ctx, "maintain")
	if err != nil {
		return err
	}
	defer end()
	_, err = m.runner.Run(ctx, m.dir, nil, "maintenance", "run", "--quiet",
		"--task=loose-objects", "--task=incremental-repack", "--task=commit-graph", "--task=pack-refs")
	if err != nil {
		return m.localFailure("maintain", err)
	}
	m.cat.restart() // it may hold deleted packs open
	return nil
}

// removeStaleLocks removes the lock files of git processes that were killed.
func (m *Mirror) removeStaleLocks() {
	_ = filepath.WalkDir(m.dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be listed cannot hold a lock of ours
		}
		if d.IsDir() && len(d.Name()) == 2 && filepath.Base(filepath.Dir(p)) == "objects" {
			return filepath.SkipDir // loose objects: many, and never locked
		}
		if !d.IsDir() && strings.HasSuffix(p, ".lock") {
			_ = os.Remove(p)
		}
		return nil
	})
}

// localFailure is an error of a command that only read the mirror. One that looks
// like damage marks the mirror for the next Fetch.
func (m *Mirror) localFailure(op string, err error) error {
	e := &Error{Op: op, Repo: m.end.display, Cause: err}
	var exit *gitexec.ExitError
	switch {
	case errors.Is(err, ErrClosed):
		e.Kind, e.Cause = ErrClosed, nil
	case errors.Is(err, errObject) || looksDamaged(err):
		m.damaged.Store(true)
		e.Kind, e.Hint = ErrCorrupt, "the next fetch clones it again"
		e.Detail = fmt.Sprintf("%v", oneLine(m.end.redact(err.Error())))
	case errors.As(err, &exit):
		e.Detail = oneLine(m.end.redact(exit.Stderr))
	}
	return e
}
