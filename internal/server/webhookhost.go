package server

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// gitHost is what differs between the webhooks of git hosts.
type gitHost struct {
	name string // the element of the path, and the label of the metric
	// proof is the header that shows where a request comes from, for people.
	proof string
	// signed checks it against the project's secret, in constant time.
	signed func(h http.Header, body []byte, key *webhookKey, now time.Time) bool
	isPing func(h http.Header) bool
	isPush func(h http.Header, body []byte) bool
	read   func(body []byte) (pushed, error)
}

// pushed is a push as far as it says whom to wake.
type pushed struct {
	urls     []string // forms of the repository's address
	path     string   // its last elements, from a host that sends no address
	branches []string
}

// touches reports whether a repository of an agent is the one of the push.
func (p pushed) touches(remote, branch string) bool {
	named := false
	for _, b := range p.branches {
		named = named || b == branch
	}
	if !named {
		return false
	}
	have := sameRemote(remote)
	for _, u := range p.urls {
		if u != "" && sameRemote(u) == have {
			return true
		}
	}
	return p.path != "" && strings.HasSuffix(have, "/"+strings.ToLower(p.path))
}

// gitHosts are the hosts whose webhooks are understood, in the order of the documentation.
func gitHosts() []gitHost {
	gitea := gitHost{
		name: "gitea", proof: "X-Gitea-Signature", signed: giteaSigned,
		// Their test button sends a push of the last commit, no event of its own.
		isPing: func(http.Header) bool { return false },
		isPush: func(h http.Header, _ []byte) bool { return firstOf(h, "X-Forgejo-Event", "X-Gitea-Event") == "push" },
		read:   readGitHubPush, // the same names in the body
	}
	forgejo := gitea
	forgejo.name, forgejo.proof = "forgejo", "X-Forgejo-Signature"
	return []gitHost{
		{
			// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries:
			// X-Hub-Signature-256 is "sha256=" and the HMAC-SHA256 of the body in hex.
			// The id of the delivery, X-GitHub-Delivery, is not signed.
			name: "github", proof: "X-Hub-Signature-256",
			signed: func(h http.Header, body []byte, key *webhookKey, _ time.Time) bool {
				return signed(body, h.Get("X-Hub-Signature-256"), key)
			},
			isPing: func(h http.Header) bool { return h.Get("X-GitHub-Event") == "ping" },
			isPush: func(h http.Header, _ []byte) bool { return h.Get("X-GitHub-Event") == "push" },
			read:   readGitHubPush,
		},
		{
			name: "gitlab", proof: "X-Gitlab-Token or webhook-signature", signed: gitlabSigned,
			// GitLab's test button sends an event of the kind that is tested.
			isPing: func(http.Header) bool { return false },
			isPush: isGitLabPush, read: readGitLabPush,
		},
		{
			// Cloud, https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/, and Data Center,
			// https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html: X-Hub-Signature is
			// "sha256=" and the HMAC-SHA256 of the body in hex. The ids, X-Request-UUID and X-Request-Id, are not signed.
			name: "bitbucket", proof: "X-Hub-Signature",
			signed: func(h http.Header, body []byte, key *webhookKey, _ time.Time) bool {
				return signed(body, h.Get("X-Hub-Signature"), key)
			},
			isPing: func(h http.Header) bool { return h.Get("X-Event-Key") == "diagnostics:ping" }, // Data Center's test
			isPush: func(h http.Header, _ []byte) bool {
				switch h.Get("X-Event-Key") {
				case "repo:push", "repo:refs_changed", "mirror:repo_synchronized":
					return true
				}
				return false
			},
			read: readBitbucketPush,
		},
		gitea, forgejo,
	}
}

func firstOf(h http.Header, names ...string) string {
	for _, n := range names {
		if v := h.Get(n); v != "" {
			return v
		}
	}
	return ""
}

// signed checks "sha256=" and the HMAC of the body in hex.
func signed(body []byte, header string, key *webhookKey) bool {
	given, ok := strings.CutPrefix(header, "sha256=")
	return ok && hexSigned(body, given, key)
}

func hexSigned(body []byte, given string, key *webhookKey) bool {
	got, err := hex.DecodeString(given)
	want := key.sum(body)
	return err == nil && want != nil && hmac.Equal(got, want)
}

// giteaSigned checks the HMAC-SHA256 of the body in hex, without a prefix: Gitea's
// X-Gitea-Signature (https://docs.gitea.com/usage/webhooks) and Forgejo's
// X-Forgejo-Signature (https://forgejo.org/docs/latest/user/webhooks/), which is the
// one that counts where both are sent. The id, X-Gitea-Delivery, is not signed.
func giteaSigned(h http.Header, body []byte, key *webhookKey, _ time.Time) bool {
	return hexSigned(body, firstOf(h, "X-Forgejo-Signature", "X-Gitea-Signature"), key)
}

// signingAge is how far the time of a signed request may be from ours: what the
// Standard Webhooks libraries allow.
const signingAge = 5 * time.Minute

// gitlabSigned checks either of GitLab's proofs
// (https://docs.gitlab.com/user/project/integrations/webhooks/). The older one is the
// secret itself in X-Gitlab-Token: it is compared by what is kept of it. The newer is
// a signing token, "whsec_" and a key in base64: webhook-signature holds "v1," and
// the HMAC-SHA256 of "id.timestamp.body" in base64, several divided by spaces
// (https://www.standardwebhooks.com). A request that has a signature is judged by it.
func gitlabSigned(h http.Header, body []byte, key *webhookKey, now time.Time) bool {
	list := h.Get("webhook-signature")
	if list == "" {
		token := h.Get("X-Gitlab-Token")
		return token != "" && newWebhookKey(token).equal(key)
	}
	stamp := h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > signingAge || key.Signing == nil {
		return false
	}
	want := key.Signing.sum([]byte(h.Get("webhook-id") + "." + stamp + "." + string(body)))
	for one := range strings.FieldsSeq(list) {
		given, v1 := strings.CutPrefix(one, "v1,")
		got, err := base64.StdEncoding.DecodeString(given)
		if v1 && err == nil && want != nil && hmac.Equal(got, want) {
			return true
		}
	}
	return false
}

// branchOf is the branch of a full name of a reference; false for a tag.
func branchOf(ref string) (string, bool) { return strings.CutPrefix(ref, "refs/heads/") }

func oneBranch(ref string) []string {
	if b, ok := branchOf(ref); ok {
		return []string{b}
	}
	return nil
}

// readGitHubPush reads a push event of GitHub, Gitea and Forgejo.
func readGitHubPush(body []byte) (pushed, error) {
	var p struct {
		Ref        string `json:"ref"`
		Repository struct {
			CloneURL string `json:"clone_url"`
			SSHURL   string `json:"ssh_url"`
			GitURL   string `json:"git_url"`
			HTMLURL  string `json:"html_url"`
		} `json:"repository"`
	}
	err := json.Unmarshal(body, &p)
	r := p.Repository
	return pushed{urls: []string{r.CloneURL, r.SSHURL, r.GitURL, r.HTMLURL}, branches: oneBranch(p.Ref)}, err
}

// isGitLabPush: hooks of projects and groups name the event in a header; a hook of
// the whole instance says "System Hook" there and names it in the body.
func isGitLabPush(h http.Header, body []byte) bool {
	switch h.Get("X-Gitlab-Event") {
	case "Push Hook":
		return true
	case "System Hook":
		var e struct {
			Name string `json:"event_name"`
		}
		return json.Unmarshal(body, &e) == nil && e.Name == "push"
	}
	return false
}

func readGitLabPush(body []byte) (pushed, error) {
	var p struct {
		Ref     string `json:"ref"`
		Project struct {
			HTTP string `json:"git_http_url"`
			SSH  string `json:"git_ssh_url"`
			Web  string `json:"web_url"`
		} `json:"project"`
	}
	err := json.Unmarshal(body, &p)
	return pushed{urls: []string{p.Project.HTTP, p.Project.SSH, p.Project.Web}, branches: oneBranch(p.Ref)}, err
}

// readBitbucketPush reads the events of both products. Data Center sends addresses
// to clone from since 7; before, only the key of the project and the repository's
// name, which are the end of every address.
func readBitbucketPush(body []byte) (pushed, error) {
	type branch struct {
		Type string `json:"type"`
		Name string `json:"name"`
	}
	var p struct {
		Push struct {
			Changes []struct {
				New *branch `json:"new"`
				Old *branch `json:"old"`
			} `json:"changes"`
		} `json:"push"`
		Changes []struct {
			RefID string `json:"refId"`
		} `json:"changes"`
		Repository struct {
			Slug    string `json:"slug"`
			Project struct {
				Key string `json:"key"`
			} `json:"project"`
			Links struct {
				HTML struct {
					Href string `json:"href"`
				} `json:"html"`
				Clone []struct {
					Href string `json:"href"`
				} `json:"clone"`
			} `json:"links"`
		} `json:"repository"`
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return pushed{}, err
	}
	r := p.Repository
	out := pushed{urls: []string{r.Links.HTML.Href}}
	for _, l := range r.Links.Clone {
		out.urls = append(out.urls, l.Href)
	}
	for _, c := range p.Push.Changes {
		for _, b := range []*branch{c.New, c.Old} {
			if b != nil && b.Type == "branch" {
				out.branches = append(out.branches, b.Name)
			}
		}
	}
	for _, c := range p.Changes {
		out.branches = append(out.branches, oneBranch(c.RefID)...)
	}
	if r.Links.HTML.Href == "" && len(r.Links.Clone) == 0 && r.Project.Key != "" && r.Slug != "" {
		out.path = r.Project.Key + "/" + r.Slug
	}
	return out, nil
}
