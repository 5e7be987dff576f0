package git

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// FuzzEndpoint holds that an address is refused, or kept without its password and in a form that git takes for no option.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{
		"https://host/a.git", "https://user:secret@host/a.git", "https://token@host/a", "git@host:a/b.git", "ssh://git@host:22/a", "file:///a", "/a/b", "http://host:80/a?b#c",
		"--upload-pack=x", "https://u:p%40ss@host/a", "ssh://-oProxyCommand=x/a", "ext::sh -c x", "https://[::1]/a", "ssh://u:secret@h/a", "http://%zz", "a:b",
	} {
		f.Add(s, "main")
	}
	for _, b := range []string{"", "-x", "a..b", "a/.b", "a.lock", "@{u}", "a b", "ü", "a\x00", "feature/x"} {
		f.Add("https://host/a.git", b)
	}
	f.Fuzz(func(t *testing.T, address, branch string) {
		if err := checkBranch(branch); err == nil && (branch == "" || branch[0] == '-' || strings.ContainsAny(branch, " \n\x00:*?[\\^~")) {
			t.Errorf("%q passes as a branch", branch)
		}
		e, err := newEndpoint(Source{URL: address, Branch: "main"})
		if err != nil {
			if p := secretIn(address); p != "" && strings.Contains(err.Error(), p) {
				t.Errorf("the error holds the password: %v", err)
			}
			return
		}
		if e.url == "" || e.url[0] == '-' || strings.ContainsAny(e.url, "\x00\r\n") {
			t.Errorf("%q became %q", address, e.url)
		}
		if e.http && strings.Contains(strings.TrimPrefix(strings.TrimPrefix(e.url, "https://"), "http://"), "@") && e.fixed.header != "" {
			if host, _, _ := strings.Cut(strings.SplitN(e.url, "://", 2)[1], "/"); strings.Contains(host, "@") {
				t.Errorf("a credential stays in %q", e.url)
			}
		}
		for _, s := range e.secrets {
			if s != "" && len(s) > 8 && strings.Contains(e.redact("a "+s+" b"), s) {
				t.Errorf("%q is not taken out of words", s)
			}
		}
		if e.fixed.header != "" {
			e.runner("git", e.fixed) // reads the address again
		}
	})
}

// secretIn is a password that stands out enough in an address to be looked for.
func secretIn(address string) string {
	_, rest, ok := strings.Cut(address, "://")
	userinfo, _, at := strings.Cut(rest, "@")
	_, password, colon := strings.Cut(userinfo, ":")
	if !ok || !at || !colon || len(password) < 6 || strings.ContainsAny(password, "/?#") {
		return ""
	}
	return password
}

// FuzzCatFile holds that any output of git's reader process gives the objects that were asked for, within their limits, or an error.
func FuzzCatFile(f *testing.F) {
	f.Add([]byte(hashA + " blob 5\nhello\n" + hashB + " commit 3\n"))
	f.Add([]byte("main missing\nx missing\n"))
	f.Add([]byte(hashA + " blob 9223372036854775807\nx\n"))
	f.Add([]byte(hashA + " blob -1\n"))
	f.Add([]byte(hashA + " blob 100\nshort"))
	f.Add([]byte("fatal: not a git repository\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		p := &catProcess{out: bufio.NewReader(bytes.NewReader(out))}
		for _, q := range []query{{name: "main", contents: true, limit: 64}, {name: "x"}} {
			r, err := p.read(q)
			if err != nil {
				return
			}
			switch {
			case r.missing && (r.hash != "" || r.data != nil):
				t.Errorf("missing and there: %+v", r)
			case !r.missing && (!isHash(r.hash) || r.size < 0):
				t.Errorf("%+v", r)
			case r.data != nil && (!q.contents || int64(len(r.data)) != r.size || r.size > q.limit):
				t.Errorf("%d bytes of %d, limit %d", len(r.data), r.size, q.limit)
			}
		}
	})
}
