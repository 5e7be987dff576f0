package server

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// maxWebhook bounds a body, in bytes. Hosts list the commits of a push in it; a
// larger one is refused, and the branch is found by the next poll.
const maxWebhook = 1 << 20

// webhookPath begins the path of every webhook.
const webhookPath = "/webhooks/"

// webhook takes the events of one kind of git host, checks where they come from
// and wakes the agents that poll the repository. It carries no truth: the agent
// looks at the branch itself. That is why deliveries are not remembered: a
// repeated one makes an agent look once more and changes nothing, hosts repeat
// them on purpose, and but for one scheme the id of a delivery stands outside of
// what is signed, so that a memory of ids would stop nobody.
func (s *Server) webhook(host gitHost) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := s.takeWebhook(host, w, r)
		s.metrics.webhooks.WithLabelValues(host.name, t.result).Inc()
		if t.known {
			s.deliveries.note(r.PathValue("project"), host.name, delivery{at: s.now(), status: t.status, woken: t.woken, proven: t.proven})
		}
		if t.status == http.StatusAccepted {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(t.status)
			_, _ = io.WriteString(w, `{"woken":`+itoa(t.woken)+"}\n")
			return
		}
		text(w, t.status, t.answer)
	}
}

// taken is what became of a webhook.
type taken struct {
	status         int
	answer, result string
	woken          int
	known, proven  bool // the project exists; the host sent it
}

// Results of a webhook, as the metric counts them.
const (
	webhookAccepted = "accepted"
	webhookRefused  = "refused" // not proven to come from the host
	webhookIgnored  = "ignored" // a ping, or an event of no use
	webhookInvalid  = "invalid" // cannot be read
	webhookFailed   = "failed"  // our own failure
)

func (s *Server) takeWebhook(host gitHost, w http.ResponseWriter, r *http.Request) (t taken) {
	say := func(status int, answer, result string) taken {
		t.status, t.answer, t.result = status, answer, result
		return t
	}
	failed := func(err error) taken {
		s.log.Error("webhook", "error", err)
		return say(http.StatusInternalServerError, "the server failed; its log says why", webhookFailed)
	}
	project := r.PathValue("project")
	p, err := s.project(r.Context(), project)
	if err != nil && deploy.CodeOf(err) != deploy.CodeNotFound {
		return failed(err)
	}
	t.known = err == nil
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhook))
	if err != nil {
		return say(http.StatusRequestEntityTooLarge, "the body is larger than 1 MiB, or did not arrive whole", webhookInvalid)
	}
	if t.proven = t.known && p.WebhookKey != nil && host.signed(r.Header, body, p.WebhookKey, s.now()); !t.proven {
		return say(http.StatusUnauthorized, "unknown project, no webhook secret set, or a wrong or missing "+host.proof, webhookRefused)
	}
	switch kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err != nil || kind != "application/json":
		return say(http.StatusUnsupportedMediaType, "the body has to be application/json: choose that content type in the host's settings of the webhook", webhookInvalid)
	case host.isPing(r.Header):
		return say(http.StatusOK, "pong", webhookIgnored)
	case !host.isPush(r.Header, body):
		return say(http.StatusOK, "only push events are of use here", webhookIgnored)
	}
	push, err := host.read(body)
	if err != nil {
		return say(http.StatusBadRequest, "the body is not a push event", webhookInvalid)
	}
	if t.woken, err = s.wakeRepositories(r.Context(), project, push); err != nil {
		return failed(err)
	}
	return say(http.StatusAccepted, "", webhookAccepted)
}

// wakeRepositories wakes the process that polls each repository and branch of a push.
func (s *Server) wakeRepositories(ctx context.Context, project string, push pushed) (int, error) {
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
				if push.touches(r.Remote, r.Branch) && responsible("repo/"+r.ID, byAgent[x.AgentID]) == x.ID {
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
