// Package githubapp makes the git credentials of a GitHub App: it signs a short
// statement with the app's key, and GitHub gives a token for one installation that
// may read files and is good for an hour.
//
// Sources: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/
// generating-a-json-web-token-jwt-for-a-github-app, …/generating-an-installation-access-token-for-a-github-app
// and …/authenticating-as-a-github-app-installation (user name x-access-token).
package githubapp

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/git"
)

const (
	// username goes with an installation's token over https.
	username = "x-access-token"
	// statementFor is how long a signed statement is valid; GitHub takes at most ten minutes.
	statementFor = 9 * time.Minute
	// clockSlack is how far our clock may be ahead of GitHub's.
	clockSlack = time.Minute
	// RenewBefore is how long before its end a token is replaced: the longest fetch.
	RenewBefore = 10 * time.Minute
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 64 << 10
	callLimit = 20 * time.Second
)

const hintKey = "check git.githubApp in the agent's configuration (appID and private key belong together) and the clock of this machine"

// Options describe an app. ID and Key are required.
type Options struct {
	// ID is the app's id or client id.
	ID string
	// Installation is the id of the installation; empty means that it is looked up from the repository.
	Installation string
	// Key is the app's private key in PEM form, PKCS #1 or #8.
	Key []byte
	// API is the address of the REST API, without a slash at its end.
	API string
	// Client sends the requests; nil means http.DefaultClient.
	Client *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// App makes tokens. It is safe for concurrent use, and asks once for all repositories of an owner.
type App struct {
	opt Options
	key *rsa.PrivateKey

	mu            sync.Mutex
	installations map[string]string // by owner
	tokens        map[string]token  // by installation
}

type token struct {
	value string
	ends  time.Time
	asked chan struct{} // holds one token: one request at a time
}

// New checks the key; it sends nothing.
func New(o Options) (*App, error) {
	bad := func(why string) error {
		return &git.Error{Op: "read the key of the GitHub App", Kind: git.ErrInvalid, Detail: why, Hint: "give the .pem file that GitHub made for the app, unchanged"}
	}
	block, _ := pem.Decode(o.Key)
	if block == nil {
		return nil, bad("it is not in PEM form")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, bad("it is no private key")
		}
		var ok bool
		if key, ok = any.(*rsa.PrivateKey); !ok {
			return nil, bad("it is no RSA key")
		}
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &App{opt: o, key: key, installations: map[string]string{}, tokens: map[string]token{}}, nil
}

// Serves reports whether the app's tokens are for a repository: one over https on
// the host of the API. owner and name are those of the repository.
func (a *App) Serves(remote string) (owner, name string, ok bool) {
	u, err := url.Parse(remote)
	api, err2 := url.Parse(a.opt.API)
	if err != nil || err2 != nil || u.Scheme != api.Scheme {
		return "", "", false
	}
	host := api.Host
	if host == "api.github.com" {
		host = "github.com"
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if !strings.EqualFold(u.Host, host) || len(parts) != 2 || parts[0] == "" {
		return "", "", false
	}
	return parts[0], strings.TrimSuffix(parts[1], ".git"), true
}

// Repository is the source of tokens for one repository.
func (a *App) Repository(owner, name string) git.TokenSource { return &source{a, owner, name} }

type source struct {
	app         *App
	owner, name string
}

// Token implements git.TokenSource.
func (s *source) Token(ctx context.Context) (user, password string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	id, err := s.app.installation(ctx, s.owner, s.name)
	if err != nil {
		return "", "", err
	}
	password, err = s.app.token(ctx, id)
	return username, password, err
}

// Refused implements git.TokenSource.
func (s *source) Refused(password string) {
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	for id, t := range s.app.tokens {
		if t.value == password {
			t.value = ""
			s.app.tokens[id] = t
		}
	}
}

// installation finds out which installation serves an owner's repositories.
func (a *App) installation(ctx context.Context, owner, name string) (string, error) {
	a.mu.Lock()
	known := a.installations[owner]
	a.mu.Unlock()
	if known = or(a.opt.Installation, known); known != "" {
		return known, nil
	}
	var found struct {
		ID int64 `json:"id"`
	}
	path := "/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + "/installation"
	if err := a.call(ctx, "find the GitHub App's installation for "+owner+"/"+name, http.MethodGet, path, nil, &found); err != nil {
		return "", err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.installations[owner] = strconv.FormatInt(found.ID, 10)
	return a.installations[owner], nil
}

func (a *App) known(installation string) token {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.tokens[installation]
	if !ok {
		t.asked = make(chan struct{}, 1)
		a.tokens[installation] = t
	}
	return t
}

func (a *App) good(t token) bool { return t.value != "" && a.opt.Now().Add(RenewBefore).Before(t.ends) }

// token returns the token of an installation, a new one before the old one ends.
func (a *App) token(ctx context.Context, installation string) (string, error) {
	t := a.known(installation)
	if a.good(t) {
		return t.value, nil
	}
	select {
	case t.asked <- struct{}{}:
	case <-ctx.Done():
		return "", &git.Error{Op: "ask for a token of the GitHub App", Cause: context.Cause(ctx)}
	}
	defer func() { <-t.asked }()
	if t = a.known(installation); a.good(t) { // somebody else has asked meanwhile
		return t.value, nil
	}
	var made struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	path := "/app/installations/" + url.PathEscape(installation) + "/access_tokens"
	want := strings.NewReader(`{"permissions":{"contents":"read"}}`)
	if err := a.call(ctx, "ask for a token of the GitHub App", http.MethodPost, path, want, &made); err != nil {
		return "", err
	}
	if made.Token == "" || made.Expires.IsZero() {
		return "", &git.Error{Op: "ask for a token of the GitHub App", Repo: a.opt.API, Kind: git.ErrUnreachable, Detail: "the answer holds no token"}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	t.value, t.ends = made.Token, made.Expires
	a.tokens[installation] = t
	return t.value, nil
}

// call sends one signed request. An answer other than 2xx is an *git.Error.
func (a *App) call(ctx context.Context, op, method, path string, body io.Reader, into any) error {
	fail := func(kind, cause error, detail, hint string) error {
		return &git.Error{Op: op, Repo: a.opt.API, Kind: kind, Cause: cause, Detail: detail, Hint: hint}
	}
	statement, err := a.statement()
	if err != nil {
		return fail(git.ErrInvalid, err, "the app's key cannot sign", hintKey)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.opt.API+path, body)
	if err != nil {
		return fail(git.ErrInvalid, nil, "git.githubApp.apiURL is no address", "")
	}
	req.Header.Set("Authorization", "Bearer "+statement)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	res, err := a.opt.Client.Do(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return fail(nil, context.Canceled, "", "")
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fail(git.ErrUnreachable, err, err.Error(), "check name, network, proxy and certificates; it is asked again at the next poll")
	}
	defer res.Body.Close() //nolint:errcheck // the answer has been read or given up
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fail(git.ErrUnreachable, err, "the answer was cut off", "it is asked again at the next poll")
	}
	if res.StatusCode/100 != 2 {
		return a.refusal(fail, res.StatusCode, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fail(git.ErrUnreachable, nil, "the answer is not GitHub's", "check git.githubApp.apiURL; of GitHub Enterprise Server it ends with /api/v3")
	}
	return nil
}

func (a *App) refusal(fail func(kind, cause error, detail, hint string) error, status int, data []byte) error {
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(data, &said) // without it the status has to do
	if len(said.Message) > 200 {
		said.Message = said.Message[:200]
	}
	detail := strings.TrimSpace(fmt.Sprintf("status %d %s", status, strings.ToValidUTF8(said.Message, "?")))
	switch {
	case status == http.StatusUnauthorized:
		return fail(git.ErrAuth, nil, detail, hintKey)
	case status == http.StatusNotFound:
		return fail(git.ErrAuth, nil, detail, "install the app for this repository's owner and give it the repository, or correct installationID")
	case status == http.StatusTooManyRequests, status == http.StatusForbidden && strings.Contains(strings.ToLower(said.Message), "rate limit"), status >= 500:
		return fail(git.ErrUnreachable, nil, detail, "GitHub cannot answer at the moment; it is asked again at the next poll")
	}
	return fail(git.ErrAuth, nil, detail, "the app needs the permission Contents: read, and its installation may be suspended")
}

// statement is the JSON Web Token (RFC 7519, RS256) that proves who the app is.
func (a *App) statement() (string, error) {
	now := a.opt.Now()
	claims, err := json.Marshal(struct {
		IssuedAt int64  `json:"iat"`
		Ends     int64  `json:"exp"`
		Issuer   string `json:"iss"`
	}{now.Add(-clockSlack).Unix(), now.Add(statementFor - clockSlack).Unix(), a.opt.ID})
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + enc.EncodeToString(signature), nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
