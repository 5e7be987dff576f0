package git

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// endpoint is a checked Source: the address without credentials, and the
// credentials apart from it.
type endpoint struct {
	url     string
	display string
	http    bool
	branch  string
	auth    Auth
	fixed   credentials // of the configuration; none with a source of tokens

	mu      sync.Mutex
	secrets []string // what is never shown
	// tokenInURL: the address holds a token where the user name goes.
	tokenInURL bool
}

// credentials are what one request or command is sent with.
type credentials struct {
	header   string // value of Authorization, empty without credentials
	password string // of a source of tokens
}

func newEndpoint(src Source) (*endpoint, error) {
	e := &endpoint{branch: src.Branch, auth: src.Auth}
	if err := checkBranch(src.Branch); err != nil {
		return nil, err
	}
	if err := e.parseURL(src.URL); err != nil {
		return nil, err
	}
	e.display = e.url
	// A configured user name alone is no credential: sending it would make hosts
	// refuse what they show to everybody. A token in the address is one.
	if e.http && e.auth.Tokens == nil && (e.auth.Password != "" || e.tokenInURL) {
		e.fixed.header = e.basic(e.auth.Username, e.auth.Password)
	}
	e.hide(e.auth.Password)
	return e, nil
}

// basic is the value of Authorization for a user name and a password.
func (e *endpoint) basic(username, password string) string {
	if username == "" {
		username = "git"
	}
	pair := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	e.hide(pair)
	return "Basic " + pair
}

// maxSecrets bounds how many tokens of the past are kept out of messages.
const maxSecrets = 60

// hide keeps a secret, in every form that it travels in, out of what people see.
func (e *endpoint) hide(secret string) {
	if secret == "" {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		if !slices.Contains(e.secrets, form) {
			e.secrets = append(e.secrets, form)
		}
	}
	e.secrets = e.secrets[max(0, len(e.secrets)-maxSecrets):]
}

// credentials are those of the configuration, or new ones of the source of tokens.
func (e *endpoint) credentials(ctx context.Context) (credentials, error) {
	if !e.http || e.auth.Tokens == nil {
		return e.fixed, nil
	}
	username, password, err := e.auth.Tokens.Token(ctx)
	if err != nil {
		return credentials{}, err
	}
	e.hide(password)
	return credentials{header: e.basic(username, password), password: password}, nil
}

// refused tells the source of tokens about a token that the host does not take.
func (e *endpoint) refused(c credentials) {
	if c.password != "" {
		e.auth.Tokens.Refused(c.password)
	}
}

func scpForm() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9.-]+:[^/:][^:]*$|^(?:[A-Za-z0-9._-]+@)[A-Za-z0-9.-]+:/?[^:]+$`)
}

func (e *endpoint) parseURL(raw string) error {
	bad := func(why string) error {
		return &Error{Op: "read the repository address", Kind: ErrInvalid, Detail: why, Hint: "use https://host/path.git, git@host:path.git, ssh://…, file://… or an absolute path"}
	}
	switch {
	case raw == "" || strings.HasPrefix(raw, "-") || strings.ContainsAny(raw, "\x00\r\n"):
		return bad("the address is empty or holds characters that no address has")
	case filepath.IsAbs(raw):
		e.url = (&url.URL{Scheme: "file", Path: raw}).String()
		return nil
	case !strings.Contains(raw, "://"):
		if !scpForm().MatchString(raw) {
			return bad("the address has no form that git knows")
		}
		e.url = raw
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return bad("the address is not a URL") // err would repeat the address with its credentials
	}
	return e.takeURL(u, bad)
}

func (e *endpoint) takeURL(u *url.URL, bad func(string) error) error {
	password, hasPassword := u.User.Password()
	switch u.Scheme {
	case "http", "https":
		if u.Host == "" {
			return bad("the address names no host")
		}
		if u.User != nil && e.auth.Password == "" {
			e.auth.Username, e.auth.Password = u.User.Username(), password
			if !hasPassword { // a token alone stands where the name goes
				e.tokenInURL = true
				e.hide(u.User.Username())
			}
		}
		u.User, u.RawQuery, u.Fragment = nil, "", ""
		u.Path = strings.TrimRight(u.Path, "/")
		e.http = true
	case "ssh":
		if hasPassword {
			return bad("an ssh address cannot carry a password")
		}
		if u.Host == "" || strings.HasPrefix(u.Hostname(), "-") {
			return bad("the address names no host")
		}
	case "file":
	default:
		return bad(fmt.Sprintf("git over %q is not supported", u.Scheme))
	}
	e.url = u.String()
	return nil
}

// runner has the credentials in the environment of its commands. The header is
// bound to scheme and host, and redirects are not followed with it, so that it
// reaches nobody else.
func (e *endpoint) runner(gitPath string, c credentials) *gitexec.Runner {
	o := gitexec.Options{Path: gitPath, Settings: []gitexec.Setting{
		{Key: "http.lowSpeedLimit", Value: "1"},
		{Key: "http.lowSpeedTime", Value: "60"},
	}}
	if c.header != "" {
		u, _ := url.Parse(e.url)
		o.Settings = append(o.Settings,
			gitexec.Setting{Key: "http." + u.Scheme + "://" + u.Host + "/.extraHeader", Value: "Authorization: " + c.header},
			gitexec.Setting{Key: "http.followRedirects", Value: "false"})
	}
	o.Env = append(o.Env, "GIT_SSH_COMMAND="+e.sshCommand("BatchMode=yes"))
	return gitexec.New(o)
}

// redact removes every credential from words that came from outside.
func (e *endpoint) redact(s string) string {
	e.mu.Lock()
	secrets := slices.Clone(e.secrets)
	e.mu.Unlock()
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "***")
	}
	return regexp.MustCompile(`(https?://)[^/\s@']+@`).ReplaceAllString(s, "$1***@")
}

func (e *endpoint) ref() string { return "refs/heads/" + e.branch }

// checkBranch refuses what git would refuse, and what could be read as an option
// or a pattern.
func checkBranch(name string) error {
	bad := name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") ||
		strings.HasSuffix(name, ".") || strings.HasSuffix(name, ".lock") || strings.Contains(name, "..") || strings.Contains(name, "//") ||
		strings.Contains(name, "@{") || strings.Contains(name, "/.") || strings.HasPrefix(name, ".") || strings.ContainsAny(name, " ~^:?*[\\\x7f")
	for _, r := range name {
		bad = bad || r < 0x20
	}
	if bad {
		return &Error{Op: "read the branch name", Kind: ErrInvalid, Detail: fmt.Sprintf("%q is not a branch name", name), Hint: hintBranch}
	}
	return nil
}
