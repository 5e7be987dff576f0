// Package client is what every user of the API shares: the generated clients
// with credentials, request ids, retries and errors in the product's own form,
// helpers that follow a deployment through restarts of the server, stored
// logins, and the agent's link.
package client

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
)

// DefaultCallLimit bounds one call that answers once, retries included, when
// the caller's context has no deadline.
const DefaultCallLimit = 30 * time.Second

// Config says which control plane to talk to, and as whom.
type Config struct {
	// Server is the base URL, as ParseServer returns it.
	Server string
	// Token is a session token or an API key; empty sends none.
	Token string
	// HTTPClient carries the calls; nil means one of its own.
	HTTPClient connect.HTTPClient
	// Version is the program's own, for the user agent.
	Version string
}

// Client talks to one control plane. It is safe for use by several goroutines.
// Every error it returns holds a *deploy.Error, see Next for what to do about it.
type Client struct {
	Applications penstockv1connect.ApplicationServiceClient
	Deployments  penstockv1connect.DeploymentServiceClient
	Decisions    penstockv1connect.DecisionServiceClient
	Projects     penstockv1connect.ProjectServiceClient
	Watches      penstockv1connect.WatchServiceClient

	server string
}

// New returns a client. Nothing is sent yet.
func New(c Config) *Client {
	hc := c.HTTPClient
	if hc == nil {
		hc = &http.Client{Transport: transport()}
	}
	opts := connect.WithInterceptors(
		// In this order: what is outside sees what is inside.
		translator{server: c.Server},
		retrier{},
		stamper{token: c.Token, agent: userAgent(c.Version)},
	)
	return &Client{
		Applications: penstockv1connect.NewApplicationServiceClient(hc, c.Server, opts),
		Deployments:  penstockv1connect.NewDeploymentServiceClient(hc, c.Server, opts),
		Decisions:    penstockv1connect.NewDecisionServiceClient(hc, c.Server, opts),
		Projects:     penstockv1connect.NewProjectServiceClient(hc, c.Server, opts),
		Watches:      penstockv1connect.NewWatchServiceClient(hc, c.Server, opts),
		server:       c.Server,
	}
}

// Server is the base URL of the control plane.
func (c *Client) Server() string { return c.server }

// transport is the standard one with shorter patience for a host that does not answer.
func transport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	t.TLSHandshakeTimeout = 5 * time.Second
	return t
}

func userAgent(version string) string {
	if version == "" {
		version = "unknown"
	}
	return "penstock/" + version
}

// ParseServer makes a base URL of what a person writes: host:port gets https,
// or http when the host is this machine. Plain http to another machine would
// show the credential to everybody between, so it is refused unless insecure
// is set.
func ParseServer(text string, insecure bool) (string, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "/")
	if text == "" {
		return "", deploy.Errorf(deploy.CodeInvalid, "the address of the server is empty")
	}
	bare := !strings.Contains(text, "://")
	if bare {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", deploy.Errorf(deploy.CodeInvalid, "%q is not the address of a server; write it as https://host or host:port", text)
	}
	local := loopback(u.Hostname())
	switch {
	case bare && local:
		u.Scheme = "http"
	case u.Scheme == "http" && !local && !insecure:
		return "", deploy.Errorf(deploy.CodeInvalid, "%s would send the credential unencrypted to another machine; use https, or --insecure to do it all the same", text)
	case u.Scheme != "http" && u.Scheme != "https":
		return "", deploy.Errorf(deploy.CodeInvalid, "%q is not http or https", u.Scheme)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// All reads a list page by page. fetch returns one page and the token of the
// next one, empty on the last. A limit of 0 means everything.
func All[T any](limit int, fetch func(token string, size int32) ([]T, string, error)) ([]T, error) {
	const largest = 200
	var out []T
	for token := ""; ; {
		size := largest
		if limit > 0 {
			size = min(limit-len(out), largest)
		}
		items, next, err := fetch(token, int32(size))
		if err != nil {
			return out, err
		}
		out = append(out, items...)
		if limit > 0 && len(out) >= limit {
			return out[:limit], nil // a server may send more than was asked for
		}
		if next == "" || next == token {
			return out, nil
		}
		token = next
	}
}
