package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

const hookSecret = "a-secret-of-the-webhook"

func mac(key, body string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(body))
	return m.Sum(nil)
}

// hookKind is one kind of host as its documentation describes its requests.
type hookKind struct {
	path string
	// push is the body for the branch main of org/repo on git.example; its event header says so.
	push, event, eventName string
	other                  string // an event of no use
	// sign makes the header that proves where a body comes from.
	sign func(secret, body string) (header, value string)
	more map[string]string // what else the host sends
	// signsBody: another body with the same header is refused.
	signsBody bool
}

func hexSign(header, prefix string) func(secret, body string) (string, string) {
	return func(secret, body string) (string, string) {
		return header, prefix + hex.EncodeToString(mac(secret, body))
	}
}

func hookKinds() map[string]hookKind {
	like := `{"ref":"refs/heads/main","repository":{"clone_url":"https://git.example/org/repo.git","ssh_url":"git@git.example:org/repo.git","html_url":"https://git.example/org/repo"}}`
	gitlab := `{"object_kind":"push","event_name":"push","ref":"refs/heads/main","project":{"git_ssh_url":"git@git.example:org/repo.git","git_http_url":"https://git.example/org/repo.git","web_url":"https://git.example/org/repo"}}`
	return map[string]hookKind{
		"github": {
			path: "github", push: like, event: "X-GitHub-Event", eventName: "push", other: "issues", signsBody: true,
			sign: hexSign("X-Hub-Signature-256", "sha256="), more: map[string]string{"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		},
		"gitlab token": {
			path: "gitlab", push: gitlab, event: "X-Gitlab-Event", eventName: "Push Hook", other: "Issue Hook",
			sign: func(secret, _ string) (string, string) { return "X-Gitlab-Token", secret },
			more: map[string]string{"X-Gitlab-Event-UUID": "13792a34-cac6-4fda-95a8-c58e00a3954e"},
		},
		"gitlab of the whole instance": {
			path: "gitlab", push: gitlab, event: "X-Gitlab-Event", eventName: "System Hook", other: "Job Hook",
			sign: func(secret, _ string) (string, string) { return "X-Gitlab-Token", secret },
		},
		"bitbucket cloud": {
			path: "bitbucket", event: "X-Event-Key", eventName: "repo:push", other: "issue:created", signsBody: true,
			push: `{"push":{"changes":[{"old":{"type":"branch","name":"main"},"new":{"type":"branch","name":"main"}}]},"repository":{"full_name":"org/repo","links":{"html":{"href":"https://git.example/org/repo"}}}}`,
			sign: hexSign("X-Hub-Signature", "sha256="), more: map[string]string{"X-Request-UUID": "c6d1b3b8", "X-Hook-UUID": "{b}", "X-Attempt-Number": "1"},
		},
		"bitbucket data center": {
			path: "bitbucket", event: "X-Event-Key", eventName: "repo:refs_changed", other: "pr:opened", signsBody: true,
			push: `{"eventKey":"repo:refs_changed","repository":{"slug":"repo","project":{"key":"ORG"},"links":{"clone":[{"href":"ssh://git@git.example:7999/org/repo.git","name":"ssh"},{"href":"https://git.example/scm/org/repo.git","name":"http"}]}},"changes":[{"refId":"refs/heads/main","type":"UPDATE"}]}`,
			sign: hexSign("X-Hub-Signature", "sha256="), more: map[string]string{"X-Request-Id": "a"},
		},
		"bitbucket data center without addresses": {
			path: "bitbucket", event: "X-Event-Key", eventName: "repo:refs_changed", other: "repo:modified", signsBody: true,
			push: `{"eventKey":"repo:refs_changed","repository":{"slug":"repo","project":{"key":"ORG"}},"changes":[{"refId":"refs/heads/main","type":"UPDATE"}]}`,
			sign: hexSign("X-Hub-Signature", "sha256="),
		},
		"gitea": {
			path: "gitea", push: like, event: "X-Gitea-Event", eventName: "push", other: "repository", signsBody: true,
			sign: hexSign("X-Gitea-Signature", ""), more: map[string]string{"X-Gitea-Delivery": "f6266f16", "X-GitHub-Event": "push"},
		},
		"forgejo": {
			path: "forgejo", push: like, event: "X-Forgejo-Event", eventName: "push", other: "release", signsBody: true,
			sign: hexSign("X-Forgejo-Signature", ""), more: map[string]string{"X-Gitea-Signature": "00", "X-Gitea-Event": "push"},
		},
	}
}

// hookRig is a server with two processes of one agent, whose wake-ups are caught.
type hookRig struct {
	*rig
	woken map[string]chan string
}

// onHookRig runs f with a server that has the secret and a repository git@git.example:org/repo, branch main.
func onHookRig(t *testing.T, secret string, f func(r hookRig)) {
	t.Helper()
	onRig(t, func(o *Options) {
		o.Project = ProjectConfig{ID: "default", Name: "d", WebhookSecret: secret}
	}, func(r *rig) {
		h := hookRig{r, map[string]chan string{}}
		id, key := r.agent("a")
		for _, name := range []string{"one", "two"} {
			p := r.join(id, key, name)
			c := make(chan string, 100)
			h.woken[name] = c
			s, err := p.link.Wait(r.Context(), connect.NewRequest(&penstockv1.WaitRequest{SessionId: p.session}))
			if err != nil {
				r.Fatal(err)
			}
			go func() {
				for s.Receive() {
					c <- strings.Join(s.Msg().RepoIds, ",")
				}
			}()
		}
		h.drain()
		f(h)
		time.Sleep(20 * time.Second) // both leases run out, which ends the streams
	})
}

// drain lists who was woken for which repositories since the last time.
func (h hookRig) drain() (got []string) {
	synctest.Wait()
	for name, c := range h.woken {
		for len(c) > 0 {
			if repos := <-c; repos != "" {
				got = append(got, name+":"+repos)
			}
		}
	}
	return got
}

// post sends a body as a host of this kind does; change alters the headers before.
func (h hookRig) post(k hookKind, project, event, body, secret string, change func(map[string]string)) (int, string) {
	h.Helper()
	header := map[string]string{"Content-Type": "application/json"}
	maps.Copy(header, k.more)
	header[k.event] = event
	name, value := k.sign(secret, body)
	header[name] = value
	if change != nil {
		change(header)
	}
	status, _, text := h.get("POST", "/webhooks/"+k.path+"/"+project, header, body)
	return status, text
}

func TestWebhooksOfEveryHost(t *testing.T) {
	for name, k := range hookKinds() {
		t.Run(name, func(t *testing.T) { onHookRig(t, hookSecret, func(r hookRig) { checkHookKind(r, k) }) })
	}
}

func checkHookKind(r hookRig, k hookKind) {
	signature, _ := k.sign("", "")
	without := func(h map[string]string) { delete(h, signature) }
	for name, x := range map[string]struct {
		project, event, body, secret string
		change                       func(map[string]string)
		status                       int
		woken                        bool
	}{
		"push":                     {status: http.StatusAccepted, woken: true},
		"charset in the type":      {status: http.StatusAccepted, woken: true, change: func(h map[string]string) { h["Content-Type"] = "application/json; charset=utf-8" }},
		"wrong signature":          {secret: "another", status: http.StatusUnauthorized},
		"no signature":             {change: without, status: http.StatusUnauthorized},
		"an empty signature":       {change: func(h map[string]string) { h[signature] = "" }, status: http.StatusUnauthorized},
		"a signature of nonsense":  {change: func(h map[string]string) { h[signature] = "zz" }, status: http.StatusUnauthorized},
		"unknown project":          {project: "other", status: http.StatusUnauthorized},
		"another event":            {event: k.other, status: http.StatusOK},
		"no event":                 {change: func(h map[string]string) { clearEvents(h) }, status: http.StatusOK},
		"another branch":           {body: strings.ReplaceAll(k.push, "main", "dev"), status: http.StatusAccepted},
		"another repository":       {body: strings.ReplaceAll(k.push, "repo", "other"), event: k.eventName, status: http.StatusAccepted},
		"a push of nothing":        {body: `{"event_name":"push"}`, status: http.StatusAccepted},
		"not a push":               {body: `{"event_name":"push","repository":7,"project":7}`, status: http.StatusBadRequest},
		"larger than it may be":    {body: strings.Repeat(" ", maxWebhook+1), status: http.StatusRequestEntityTooLarge},
		"a form":                   {change: func(h map[string]string) { h["Content-Type"] = "application/x-www-form-urlencoded" }, status: http.StatusUnsupportedMediaType},
		"no content type":          {change: func(h map[string]string) { delete(h, "Content-Type") }, status: http.StatusUnsupportedMediaType},
		"a form without signature": {change: func(h map[string]string) { without(h); h["Content-Type"] = "text/plain" }, status: http.StatusUnauthorized},
	} {
		if name == "another repository" { // its events and addresses hold the word too
			x.body = strings.NewReplacer("org/repo", "org/other", `"slug":"repo"`, `"slug":"other"`).Replace(k.push)
		}
		status, text := r.post(k, or(x.project, "default"), or(x.event, k.eventName), or(x.body, k.push), or(x.secret, hookSecret), x.change)
		if status != x.status {
			r.Errorf("%s: status %d (%s), want %d", name, status, text, x.status)
		}
		got := r.drain()
		if want := map[bool]int{true: 1}[x.woken]; len(got) != want || want == 1 && !strings.HasSuffix(got[0], ":repo") {
			r.Errorf("%s: woken %v, want %d and only the one that is responsible", name, got, want)
		}
	}
	if k.signsBody {
		was := k.sign
		k.sign = func(secret, _ string) (string, string) { return was(secret, "{}") }
		if status, _ := r.post(k, "default", k.eventName, k.push, hookSecret, nil); status != http.StatusUnauthorized || r.drain() != nil {
			r.Errorf("the signature of another body: %d", status)
		}
	}
}

// TestWebhooksAreShown: what a host sent and what strangers sent are told apart,
// and nothing of a project that does not exist is remembered.
func TestWebhooksAreShown(t *testing.T) {
	onHookRig(t, hookSecret, func(r hookRig) {
		k := hookKinds()["github"]
		list := func() map[string]*penstockv1.Webhook {
			res, err := r.project.GetWebhooks(r.Context(), connect.NewRequest(&penstockv1.GetWebhooksRequest{}))
			if err != nil {
				r.Fatal(err)
			}
			if !res.Msg.SecretSet || res.Msg.Since.AsTime().IsZero() {
				r.Errorf("secret set %v, since %v", res.Msg.SecretSet, res.Msg.Since)
			}
			out := map[string]*penstockv1.Webhook{}
			for _, w := range res.Msg.Webhooks {
				out[w.Host] = w
			}
			return out
		}
		if w := list()["github"]; w.Path != "/webhooks/github/default" || w.Last != nil || w.Refused != nil {
			r.Errorf("before the first: %v", w)
		}
		r.post(k, "default", k.eventName, k.push, hookSecret, nil)
		r.post(k, "default", k.eventName, k.push, "another", nil)
		r.post(k, "other", k.eventName, k.push, hookSecret, nil)
		got := list()
		if w := got["github"]; w.Last.GetStatus() != http.StatusAccepted || w.Last.GetWoken() != 1 || w.Refused.GetStatus() != http.StatusUnauthorized || w.Last.At == nil {
			r.Errorf("github: %v", w)
		}
		if w := got["gitlab"]; len(got) != 5 || w.Last != nil || w.Refused != nil {
			r.Errorf("gitlab, which sent nothing: %v", w)
		}
		r.drain()
	})
}

func clearEvents(h map[string]string) {
	for name := range h {
		if strings.HasSuffix(name, "-Event") || name == "X-Event-Key" {
			delete(h, name)
		}
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Hosts repeat deliveries, and who has caught one can repeat it under any id: it
// wakes one process and leaves no trace in the record.
func TestAReplayedWebhookDoesNothingButLook(t *testing.T) {
	const repeats = 50
	for name, k := range hookKinds() {
		t.Run(name, func(t *testing.T) {
			onHookRig(t, hookSecret, func(r hookRig) {
				before := r.st.updates.Load()
				for i := range repeats {
					status, text := r.post(k, "default", k.eventName, k.push, hookSecret, func(h map[string]string) {
						if i%2 == 1 {
							h["X-GitHub-Delivery"], h["X-Gitea-Delivery"], h["X-Request-UUID"] = strconv.Itoa(i), strconv.Itoa(i), strconv.Itoa(i)
						}
					})
					if status != http.StatusAccepted || text != "{\"woken\":1}\n" {
						r.Fatalf("repeat %d: %d %s", i, status, text)
					}
				}
				got := r.drain()
				if len(got) == 0 || len(got) > repeats {
					r.Errorf("%d wake-ups", len(got))
				}
				for _, g := range got {
					if g != got[0] {
						r.Errorf("woken %s and %s", got[0], g)
					}
				}
				if after := r.st.updates.Load(); after != before {
					r.Errorf("the record went from %d to %d", before, after)
				}
			})
		})
	}
}

func TestPingsOfHosts(t *testing.T) {
	onHookRig(t, hookSecret, func(r hookRig) {
		for kind, event := range map[string]string{"github": "ping", "bitbucket data center": "diagnostics:ping"} {
			k := hookKinds()[kind]
			if status, text := r.post(k, "default", event, `{"test":true}`, hookSecret, nil); status != http.StatusOK || text != "pong\n" {
				r.Errorf("%s: %d %q", kind, status, text)
			}
			if status, _ := r.post(k, "default", event, `{}`, "another", nil); status != http.StatusUnauthorized {
				r.Errorf("%s with a wrong signature: %d", kind, status)
			}
		}
		if got := r.drain(); got != nil {
			r.Errorf("woken %v", got)
		}
	})
}

// GitLab's signing token: the vector is computed here as the Standard Webhooks
// specification describes it, from the key behind the prefix.
func TestGitLabSigningToken(t *testing.T) {
	raw := "thirty-two bytes of a random key"
	secret := "whsec_" + base64.StdEncoding.EncodeToString([]byte(raw))
	k := hookKinds()["gitlab token"]
	onHookRig(t, secret, func(r hookRig) {
		send := func(key, body string, age time.Duration, change func(map[string]string)) int {
			stamp := strconv.FormatInt(time.Now().Add(-age).Unix(), 10)
			status, _ := r.post(k, "default", k.eventName, body, secret, func(h map[string]string) {
				delete(h, "X-Gitlab-Token")
				h["webhook-id"], h["webhook-timestamp"] = "id-1", stamp
				h["webhook-signature"] = "v1," + base64.StdEncoding.EncodeToString(mac(key, fmt.Sprintf("id-1.%s.%s", stamp, body)))
				if change != nil {
					change(h)
				}
			})
			return status
		}
		for name, x := range map[string]struct {
			key    string
			body   string
			age    time.Duration
			change func(map[string]string)
			want   int
		}{
			"right":                   {want: http.StatusAccepted},
			"a new key beside an old": {change: func(h map[string]string) { h["webhook-signature"] = "v1,AAAA " + h["webhook-signature"] }, want: http.StatusAccepted},
			"four minutes old":        {age: 4 * time.Minute, want: http.StatusAccepted},
			"a replay":                {age: 6 * time.Minute, want: http.StatusUnauthorized},
			"of the future":           {age: -6 * time.Minute, want: http.StatusUnauthorized},
			"another key":             {key: "another", want: http.StatusUnauthorized},
			"the encoded key":         {key: secret, want: http.StatusUnauthorized},
			"another id":              {change: func(h map[string]string) { h["webhook-id"] = "id-2" }, want: http.StatusUnauthorized},
			"another time":            {change: func(h map[string]string) { h["webhook-timestamp"] += "0" }, want: http.StatusUnauthorized},
			"no time":                 {change: func(h map[string]string) { delete(h, "webhook-timestamp") }, want: http.StatusUnauthorized},
			"no signature":            {change: func(h map[string]string) { delete(h, "webhook-signature") }, want: http.StatusUnauthorized},
			"an empty signature":      {change: func(h map[string]string) { h["webhook-signature"] = "" }, want: http.StatusUnauthorized},
			"a form":                  {change: func(h map[string]string) { h["Content-Type"] = "application/x-www-form-urlencoded" }, want: http.StatusUnsupportedMediaType},
			"no content type":         {change: func(h map[string]string) { delete(h, "Content-Type") }, want: http.StatusUnsupportedMediaType},
			"larger than it may be":   {body: strings.Repeat(" ", maxWebhook+1), want: http.StatusRequestEntityTooLarge},
			"another version":         {change: func(h map[string]string) { h["webhook-signature"] = "v2" + h["webhook-signature"][2:] }, want: http.StatusUnauthorized},
			"wrong, and the right token": {change: func(h map[string]string) {
				h["webhook-signature"], h["X-Gitlab-Token"] = "v1,AAAA", secret
			}, want: http.StatusUnauthorized},
		} {
			if got := send(or(x.key, raw), or(x.body, k.push), x.age, x.change); got != x.want {
				r.Errorf("%s: %d, want %d", name, got, x.want)
			}
		}
	})
	onHookRig(t, hookSecret, func(r hookRig) { // a secret that is no signing token signs nothing
		status, _ := r.post(k, "default", k.eventName, k.push, hookSecret, func(h map[string]string) { h["webhook-signature"] = "v1,AAAA" })
		if status != http.StatusUnauthorized {
			r.Errorf("a signature without a signing token: %d", status)
		}
	})
}

func TestWithoutASecretEveryWebhookIsRefused(t *testing.T) {
	onHookRig(t, "", func(r hookRig) {
		for name, k := range hookKinds() {
			for _, secret := range []string{"", hookSecret} {
				if status, _ := r.post(k, "default", k.eventName, k.push, secret, nil); status != http.StatusUnauthorized {
					r.Errorf("%s with %q: %d", name, secret, status)
				}
			}
		}
	})
}

func TestAPushOfBitbucketNamesBranchesAndNoTags(t *testing.T) {
	for body, want := range map[string]string{
		`{"push":{"changes":[{"new":{"type":"tag","name":"main"}},{"new":null,"old":{"type":"branch","name":"gone"}}]}}`: "[gone]",
		`{"changes":[{"refId":"refs/tags/main"},{"refId":"refs/heads/a/b"}]}`:                                            "[a/b]",
		`{"push":{"changes":[]}}`: "[]",
	} {
		p, err := readBitbucketPush([]byte(body))
		if err != nil || fmt.Sprint(p.branches) != want {
			t.Errorf("%s: %v, %v, want %s", body, p.branches, err, want)
		}
	}
	// Without an address the end of the path decides, by whole elements.
	p := pushed{path: "ORG/repo", branches: []string{"main"}}
	for remote, want := range map[string]bool{
		"https://git.example/scm/org/repo.git": true, "ssh://git@git.example:7999/org/repo.git": true,
		"https://git.example/scm/theorg/repo.git": false, "https://git.example/scm/org/repo2.git": false,
	} {
		if got := p.touches(remote, "main"); got != want {
			t.Errorf("%s: %v", remote, got)
		}
	}
}
