package git

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

const (
	// pollLimit bounds the answer to a poll, in bytes: 100,000 branches that share a prefix.
	pollLimit = 8 << 20
	// pollTimeout bounds one poll where the caller's context allows more.
	pollTimeout = 20 * time.Second
	// errorBody is how much of an error page is looked at, in bytes.
	errorBody = 512
	// maxRedirects is how often a moved repository is followed on its own host.
	maxRedirects = 3
	// oldServerPolls is how many polls go through git before version 2 is tried again.
	oldServerPolls = 100
)

// Remote answers where a branch is. Over http(s) a poll is one request of protocol
// version 2 and no process; over ssh, for files, and where the server does not
// speak version 2, it is one "git ls-remote". It is safe for concurrent use.
type Remote struct {
	end    *endpoint
	client *http.Client
	own    bool
	git    string // the binary

	mu      sync.Mutex
	url     string // where the repository answers now, after redirects on its host
	command int    // for so many polls git is asked, because the server does not speak version 2
	checked bool   // the git binary was found new enough
}

// RemoteOptions are what a Remote may be given; the zero value is fine.
type RemoteOptions struct {
	// Client sends the requests; nil means one of its own with the proxies of the environment.
	Client *http.Client
	// GitPath is the git binary; empty means "git" in PATH. It is used only where no
	// process-free way exists.
	GitPath string
}

// NewRemote checks the address; it sends nothing.
func NewRemote(src Source, o RemoteOptions) (*Remote, error) {
	end, err := newEndpoint(src)
	if err != nil {
		return nil, err
	}
	r := &Remote{end: end, git: o.GitPath, url: end.url}
	if o.Client != nil {
		c := *o.Client
		r.client = &c
	} else {
		r.client, r.own = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}, true
	}
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r, nil
}

// Close drops idle connections of a client that the Remote made itself.
func (r *Remote) Close() {
	if r.own {
		r.client.CloseIdleConnections()
	}
}

// Head returns the full id of the branch's newest commit. The error is one of
// ErrUnreachable, ErrAuth, ErrBranchMissing, ErrNotRepository, or the context's.
func (r *Remote) Head(ctx context.Context) (string, error) {
	r.mu.Lock()
	target, command := r.url, r.command > 0
	if command {
		r.command--
	}
	r.mu.Unlock()
	if command || !r.end.http {
		return r.lsRemote(ctx)
	}
	for range maxRedirects {
		head, moved, err := r.ask(ctx, target)
		switch {
		case err != nil && isOldServer(err):
			return r.fallBack(ctx)
		case err != nil:
			return "", err
		case moved == "":
			r.remember(target)
			return head, nil
		}
		target = moved
	}
	return "", r.fail(ErrNotRepository, "redirected more than three times", hintRepository)
}

func (r *Remote) remember(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.url = target
}

// errOldServer marks answers of a git server that does not speak version 2.
var errOldServer = errors.New("the server does not speak git protocol version 2")

func isOldServer(err error) bool { return errors.Is(err, errOldServer) }

// fallBack asks through git, and keeps to it for a while once that has worked: the
// server may have been replaced, or the answer was an accident.
func (r *Remote) fallBack(ctx context.Context) (string, error) {
	head, err := r.lsRemote(ctx)
	if err == nil {
		r.mu.Lock()
		r.command = oldServerPolls
		r.mu.Unlock()
	}
	return head, err
}

// ask sends one request. moved is the new base address when the host redirects.
func (r *Remote) ask(ctx context.Context, base string) (head, moved string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	cred, err := r.end.credentials(ctx)
	if err != nil {
		return "", "", err
	}
	body := lsRefsRequest(r.end.ref())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/git-upload-pack", bytes.NewReader(body))
	if err != nil {
		return "", "", r.fail(ErrInvalid, "the address cannot be requested", "")
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	req.Header.Set("Accept", "application/x-git-upload-pack-result")
	req.Header.Set("Git-Protocol", "version=2")
	req.Header.Set("User-Agent", "git/2 (penstock)") // some hosts answer only to names that begin so
	if cred.header != "" {
		req.Header.Set("Authorization", cred.header)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return "", "", r.networkFailure(err)
	}
	defer resp.Body.Close() //nolint:errcheck // the answer has been read or given up
	if resp.StatusCode != http.StatusOK {
		return r.refused(resp, base, cred)
	}
	head, err = r.answer(resp)
	return head, "", err
}

func (r *Remote) answer(resp *http.Response) (string, error) {
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "application/x-git-upload-pack-result") {
		return "", r.fail(ErrNotRepository, fmt.Sprintf("the answer is %q and not git's", ct), hintRepository)
	}
	limit := &io.LimitedReader{R: resp.Body, N: pollLimit}
	head, err := findRef(bufio.NewReader(limit), r.end.ref())
	var refused *serverError
	switch {
	case err == nil && head != "":
		_, _ = io.CopyN(io.Discard, resp.Body, errorBody) // to the end, so that the connection is kept
		return head, nil
	case err == nil:
		return "", r.fail(ErrBranchMissing, fmt.Sprintf("%q", r.end.branch), hintBranch)
	case limit.N <= 0:
		return "", r.fail(ErrTooLarge, fmt.Sprintf("more than %d MiB of branches", pollLimit>>20), "")
	case errors.As(err, &refused), errors.Is(err, errLine), errors.Is(err, errEmpty):
		return "", fmt.Errorf("%w: %w", errOldServer, err)
	case errors.Is(err, errPkt):
		return "", r.fail(ErrNotRepository, err.Error(), hintRepository)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "", r.fail(ErrUnreachable, "the answer was cut off", hintReach)
	}
	return "", r.networkFailure(err)
}

// refused turns a status other than 200 into a redirect or an error.
func (r *Remote) refused(resp *http.Response, base string, cred credentials) (head, moved string, err error) {
	status := fmt.Sprintf("status %d", resp.StatusCode)
	text, _ := io.ReadAll(io.LimitReader(resp.Body, errorBody))
	if t := resp.Header.Get("Content-Type"); strings.HasPrefix(t, "text/plain") && len(text) > 0 {
		status += " " + oneLine(r.end.redact(string(text)))
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized && cred.header == "":
		return "", "", r.fail(ErrAuth, status+": the repository asks for credentials", hintAuth)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		r.end.refused(cred)
		return "", "", r.fail(ErrAuth, status, hintAuth)
	case code == http.StatusNotFound, code == http.StatusGone:
		return "", "", r.fail(ErrNotRepository, status, hintRepository)
	case code >= 300 && code < 400:
		moved, err = r.redirect(resp, base)
		return "", moved, err
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return "", "", r.fail(ErrUnreachable, status, "the host has a problem of its own; it is asked again at the next poll")
	}
	return "", "", fmt.Errorf("%w: %s", errOldServer, status)
}

// redirect follows a move on the same host only: the credential is for that host.
func (r *Remote) redirect(resp *http.Response, base string) (string, error) {
	to, err := resp.Location()
	from, err2 := url.Parse(base)
	if err != nil || err2 != nil {
		return "", r.fail(ErrNotRepository, "redirected to nowhere", hintRepository)
	}
	path, ok := strings.CutSuffix(to.Path, "/git-upload-pack")
	same := to.Scheme == from.Scheme && to.Host == from.Host
	to = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: path} // without a query or a name
	if !ok || !same {
		return "", r.fail(ErrNotRepository, "redirected to "+to.String(), "if that is right, write it as `remote` of this repository")
	}
	return to.String(), nil
}

func (r *Remote) networkFailure(err error) error {
	var unknown x509.UnknownAuthorityError
	var verify *tls.CertificateVerificationError
	hint := hintReach
	switch {
	case errors.Is(err, context.Canceled):
		return &Error{Op: "poll", Repo: r.end.display, Cause: context.Canceled}
	case errors.As(err, &unknown), errors.As(err, &verify):
		hint = "the certificate is not trusted here; name the authority's certificates in SSL_CERT_FILE"
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // its text repeats the address
	}
	return &Error{Op: "poll", Repo: r.end.display, Kind: ErrUnreachable, Detail: oneLine(r.end.redact(err.Error())), Hint: hint, Cause: err}
}

func (r *Remote) fail(kind error, detail, hint string) error {
	return &Error{Op: "poll", Repo: r.end.display, Kind: kind, Detail: detail, Hint: hint}
}

// lsRemote asks through a git process.
func (r *Remote) lsRemote(ctx context.Context) (string, error) {
	cred, err := r.end.credentials(ctx)
	if err != nil {
		return "", err
	}
	runner := r.end.runner(r.git, cred)
	if err := r.checkGit(ctx, runner); err != nil {
		return "", err
	}
	out, err := runner.Run(ctx, "", nil, "ls-remote", "-q", "--", r.end.url, r.end.ref())
	if err != nil {
		err = r.end.remoteFailure(ctx, "poll", r.git, err)
		if errors.Is(err, ErrAuth) {
			r.end.refused(cred)
		}
		return "", err
	}
	for line := range strings.Lines(string(out)) {
		hash, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && name == r.end.ref() && isHash(hash) { // the pattern matches the end of other names too
			return hash, nil
		}
	}
	return "", r.fail(ErrBranchMissing, fmt.Sprintf("%q", r.end.branch), hintBranch)
}

func (r *Remote) checkGit(ctx context.Context, runner *gitexec.Runner) error {
	r.mu.Lock()
	done := r.checked
	r.mu.Unlock()
	if done {
		return nil
	}
	if _, err := runner.CheckVersion(ctx); err != nil {
		return &Error{Op: "poll", Repo: r.end.display, Cause: err}
	}
	r.mu.Lock()
	r.checked = true
	r.mu.Unlock()
	return nil
}
