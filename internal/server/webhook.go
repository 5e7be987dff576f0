package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
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
	if err != nil || p.WebhookSecret == "" || !signed(body, r.Header.Get("X-Hub-Signature-256"), p.WebhookSecret) {
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

func signed(body []byte, header, secret string) bool {
	given, ok := strings.CutPrefix(header, "sha256=")
	if !ok {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	got, err := hex.DecodeString(given)
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// wakeRepositories wakes the process that polls each repository of these URLs and this branch.
func (s *Server) wakeRepositories(ctx context.Context, project string, urls []string, branch string) (int, error) {
	want := map[string]bool{}
	for _, u := range urls {
		if u != "" {
			want[sameRemote(u)] = true
		}
	}
	n := 0
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
					s.hub.wakeRepo(x.ID, r.ID)
					n++
				}
			}
		}
		return nil
	})
	return n, err
}

// sameRemote reduces the forms of one remote (https, ssh, with and without
// .git) to one: host/path.
func sameRemote(u string) string {
	u = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(u), "/"), ".git")
	if i := strings.Index(u, "://"); i >= 0 {
		u = u[i+3:]
	} else if host, p, ok := strings.Cut(u, ":"); ok && !strings.Contains(host, "/") {
		u = host + "/" + p
	}
	if i := strings.LastIndex(u[:max(0, strings.IndexByte(u+"/", '/'))], "@"); i >= 0 {
		u = u[i+1:]
	}
	return strings.ToLower(u)
}
