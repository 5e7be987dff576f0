//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// The pages in a real browser, over a running demo: the login page without a session, the list and the deployment with one.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	b := browser{t: t, program: chromium(t)}
	p := start(t, nil, "demo", "--listen", "127.0.0.1:0", "--scenario", "approval")
	login := await(t, 30*time.Second, "the demo's address", func() ([]string, error) {
		m := regexp.MustCompile(`PENSTOCK_SERVER=(\S+) PENSTOCK_TOKEN=(\S+)`).FindStringSubmatch(p.out.String() + p.err.String())
		if m == nil {
			return nil, errors.New("not printed yet")
		}
		return m[1:], nil
	})
	if !hasPages(t, login[0]) {
		if os.Getenv("CI") != "" {
			t.Fatal("this program was built without the pages")
		}
		t.Skip("this program was built without the pages (Node was missing)")
	}
	api := client.New(client.Config{Server: login[0], Token: login[1]})
	// Approval: the pipeline stands still while the browser looks.
	d := await(t, 2*time.Minute, "the deployment to wait for approval", func() (*penstockv1.Deployment, error) {
		return waiting(t.Context(), api)
	})
	b.shows(login[0]+"/", "password")
	inside := withSession(t, login[0], login[1])
	b.shows(inside+"/applications", "shop")
	b.shows(inside+"/deployments/"+d.Id, "shop", "ECS_CANARY_ROLLOUT", "ECS_TRAFFIC_ROUTING", "WAIT_APPROVAL", "ECS_PRIMARY_ROLLOUT", "ECS_CANARY_CLEAN")
}

// waiting gives the deployment whose approval stage runs.
func waiting(ctx context.Context, api *client.Client) (*penstockv1.Deployment, error) {
	list, err := api.Deployments.ListDeployments(ctx, connect.NewRequest(&penstockv1.ListDeploymentsRequest{Statuses: []string{"RUNNING"}}))
	if err != nil {
		return nil, err
	}
	for _, d := range list.Msg.Deployments {
		for _, s := range d.Stages {
			if s.Type == "APPROVAL" && s.Status == "RUNNING" {
				return d, nil
			}
		}
	}
	return nil, fmt.Errorf("%d deployments run, none waits for approval", len(list.Msg.Deployments))
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no browser is installed: apt-get install chromium")
	}
	t.Skip("no browser is installed: apt-get install chromium")
	return ""
}

func hasPages(t *testing.T, url string) bool {
	t.Helper()
	res, err := http.Get(url + "/")
	must(t, err)
	defer res.Body.Close()
	var page bytes.Buffer
	_, err = page.ReadFrom(res.Body)
	must(t, err)
	return res.StatusCode == http.StatusOK && strings.Contains(page.String(), "<script")
}

// withSession is a proxy that signs every request in: a browser that only prints a page cannot fill in a form.
func withSession(t *testing.T, target, token string) string {
	t.Helper()
	u, err := url.Parse(target)
	must(t, err)
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // the page's own origin
		r.Out.Header.Set("Authorization", "Bearer "+token)
	}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	srv := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + ln.Addr().String()
}

// browser prints pages as they are after their scripts have run.
type browser struct {
	t       *testing.T
	program string
}

// shows loads a page until it contains all texts, ignoring case.
func (b browser) shows(page string, texts ...string) {
	b.t.Helper()
	await(b.t, time.Minute, page, func() (bool, error) {
		dom := strings.ReplaceAll(strings.ToLower(b.dom(page)), "<wbr>", "") // where a long name may break
		for _, text := range texts {
			if !strings.Contains(dom, strings.ToLower(text)) {
				return false, fmt.Errorf("%q is not on the page:\n%s", text, tail(dom, 40))
			}
		}
		return true, nil
	})
}

func (b browser) dom(page string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 40*time.Second)
	defer cancel()
	// Root needs --no-sandbox; the pages are our own and local.
	cmd := exec.CommandContext(ctx, b.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+b.t.TempDir(), "--virtual-time-budget=6000", "--dump-dom", page)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		b.t.Logf("the browser ended with %v: %s", err, tail(words.String(), 5))
	}
	return string(out)
}
