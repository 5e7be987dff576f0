package server

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
)

const maxWebhook = 1 << 20

// githubWebhook takes a push event of GitHub, checks its signature
// (X-Hub-Signature-256, HMAC-SHA256 of the body with the project's secret) and
// wakes the agents that poll the repository. It carries no truth: the agent
// looks at the branch itself.
func (s *Server) githubWebhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		text(w, http.StatusRequestEntityTooLarge, "the body is too large")
		return
	}
	project := r.PathValue("project")
	p, err := s.project(r.Context(), project)
	if err != nil || !signed(body, r.Header.Get("X-Hub-Signature-256"), p.WebhookKey) {
		s.metrics.webhooks.WithLabelValues("refused").Inc()
		if err != nil && deploy.CodeOf(err) != deploy.CodeNotFound {
			s.log.Error("webhook", "error", err)
		}
		text(w, http.StatusUnauthorized, "unknown project, no webhook secret set, or a wrong signature")
		return
	}
	if r.Header.Get("X-GitHub-Event") == "ping" {
		text(w, http.StatusOK, "pong")
		return
	}
	if r.Header.Get("X-GitHub-Event") != "push" {
		s.metrics.webhooks.WithLabelValues("ignored").Inc()
		text(w, http.StatusOK, "only push events are of use here")
		return
	}
	var push struct {
		Ref        string `json:"ref"`
		Repository struct {
			CloneURL string `json:"clone_url"`
			SSHURL   string `json:"ssh_url"`
			GitURL   string `json:"git_url"`
			HTMLURL  string `json:"html_url"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &push); err != nil {
		text(w, http.StatusBadRequest, "the body is not a push event")
		return
	}
	urls := []string{push.Repository.CloneURL, push.Repository.SSHURL, push.Repository.GitURL, push.Repository.HTMLURL}
	n, err := s.wakeRepositories(r.Context(), project, urls, strings.TrimPrefix(push.Ref, "refs/heads/"))
	if err != nil {
		s.log.Error("webhook", "error", err)
		text(w, http.StatusInternalServerError, "the server failed; its log says why")
		return
	}
	s.metrics.webhooks.WithLabelValues("accepted").Inc()
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte(`{"woken":` + itoa(n) + "}\n"))
}

func signed(body []byte, header string, key *webhookKey) bool {
	given, ok := strings.CutPrefix(header, "sha256=")
	if !ok || key == nil {
		return false
	}
	got, err := hex.DecodeString(given)
	want := key.sum(body)
	return err == nil && want != nil && hmac.Equal(got, want)
}

// wakeRepositories wakes the process that polls each repository of these URLs and this branch.
func (s *Server) wakeRepositories(ctx context.Context, project string, urls []string, branch string) (int, error) {
	want := map[string]bool{}
	for _, u := range urls {
		if u != "" {
			want[sameRemote(u)] = true
		}
	}
	type target struct{ session, repo string }
	var found []target
	err := s.view(ctx, project, func(b *book) error {
		all, err := b.sessions(func(x session) bool { return x.ExpiresAt.After(b.now) })
		if err != nil {
			return err
		}
		byAgent := map[string][]session{}
		for _, x := range all {
			byAgent[x.AgentID] = append(byAgent[x.AgentID], x)
		}
		for _, x := range all {
			for _, r := range x.Repositories {
				if r.Branch == branch && want[sameRemote(r.Remote)] && responsible("repo/"+r.ID, byAgent[x.AgentID]) == x.ID {
					found = append(found, target{x.ID, r.ID})
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, t := range found {
		s.hub.wakeRepo(t.session, t.repo)
	}
	return len(found), nil
}

// sameRemote reduces the forms of one remote (https, ssh with and without a
// port, scp-like, with and without .git or a user) to one: host/path.
func sameRemote(u string) string {
	u = strings.ToLower(strings.TrimSpace(u))
	scheme, rest, isURL := strings.Cut(u, "://")
	if !isURL {
		scheme, rest = "ssh", u
		if host, p, ok := strings.Cut(u, ":"); ok && !strings.Contains(host, "/") {
			rest = host + "/" + strings.TrimPrefix(p, "/")
		}
	}
	host, p, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if name, port, ok := strings.Cut(host, ":"); ok && (scheme == "ssh" || scheme == "https" && port == "443" || scheme == "http" && port == "80") {
		host = name
	}
	p = strings.TrimSuffix(strings.Trim(p, "/"), ".git")
	return host + "/" + p
}
