package git

import (
	"errors"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

func TestAddresses(t *testing.T) {
	tests := []struct {
		in, want string
		http     bool
	}{
		{"https://example.com/org/repo.git", "https://example.com/org/repo.git", true},
		{"https://example.com/org/repo/", "https://example.com/org/repo", true},
		{"https://me:secret@example.com/r", "https://example.com/r", true},
		{"https://token@example.com/r?x=1#y", "https://example.com/r", true},
		{"git@example.com:org/repo.git", "git@example.com:org/repo.git", false},
		{"example.com:org/repo.git", "example.com:org/repo.git", false},
		{"git@example.com:/srv/repo.git", "git@example.com:/srv/repo.git", false},
		{"ssh://git@example.com:2222/org/repo", "ssh://git@example.com:2222/org/repo", false},
		{"file:///srv/repo", "file:///srv/repo", false},
		{"/srv/repo dir", "file:///srv/repo%20dir", false},
	}
	for _, tt := range tests {
		e, err := newEndpoint(Source{URL: tt.in, Branch: "main"})
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
			continue
		}
		if e.url != tt.want || e.http != tt.http {
			t.Errorf("%s: got %s (http %v)", tt.in, e.url, e.http)
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	for _, in := range []string{
		"", "-oProxyCommand=x", "--upload-pack=x", "ext::sh -c x", "git://example.com/r", "https:///r", "ssh://-oProxyCommand=x/r",
		"ssh://git:secret@example.com/r", "relative/dir", "https://a\nb/r", "fd::3", "https://me:secret@exa mple/%zz",
	} {
		_, err := newEndpoint(Source{URL: in, Branch: "main"})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", in, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", in, err)
		}
	}
}

func TestBranchNames(t *testing.T) {
	for _, ok := range []string{"main", "release/1.2", "a-b_c", "user@host"} {
		if err := checkBranch(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "-x", "a..b", "a b", "a:b", "*", "a\n", "/a", "a/", "a.lock", "a@{1}", ".a", "a/.b", "a."} {
		if err := checkBranch(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCredentialsStayHidden(t *testing.T) {
	e, err := newEndpoint(Source{URL: "https://example.com/r", Branch: "main", Auth: Auth{Username: "me", Password: "s3cr&t/x"}})
	if err != nil {
		t.Fatal(err)
	}
	said := "fatal: https://me:other@example.com/r s3cr&t/x s3cr%26t%2Fx " + strings.TrimPrefix(e.fixed.header, "Basic ") + " Authentication failed"
	err = e.remoteFailure(t.Context(), "fetch", "", &gitexec.ExitError{Command: "fetch", Code: 128, Stderr: said})
	for _, secret := range []string{"s3cr", "other", strings.TrimPrefix(e.fixed.header, "Basic ")} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows in %v", secret, err)
		}
	}
	if !errors.Is(err, ErrAuth) {
		t.Errorf("kind of %v", err)
	}
	cmd := e.runner("", e.fixed).Command(t.Context(), "/x", "fetch")
	if args := strings.Join(cmd.Args, " "); strings.Contains(args, "s3cr") || strings.Contains(args, "Basic") {
		t.Errorf("command line: %s", args)
	}
	env := strings.Join(cmd.Env, "\n")
	for _, want := range []string{"http.https://example.com/.extraHeader", "Authorization: Basic ", "http.followRedirects"} {
		if !strings.Contains(env, want) {
			t.Errorf("environment lacks %q", want)
		}
	}
}

func TestSSHCommandIsQuoted(t *testing.T) {
	e, err := newEndpoint(Source{URL: "git@example.com:r", Branch: "main", Auth: Auth{SSHKeyFile: "/keys/it's $(mine)"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.sshCommand(); !strings.Contains(got, `'-i' '/keys/it'\''s $(mine)' '-o' 'IdentitiesOnly=yes'`) || !strings.Contains(got, "StrictHostKeyChecking=yes") {
		t.Errorf("%s", got)
	}
}

func TestWhatGitSays(t *testing.T) {
	e, _ := newEndpoint(Source{URL: "https://example.com/r", Branch: "main"})
	tests := map[string]error{
		"fatal: unable to access 'https://example.com/r/': Could not resolve host: example.com":                                               ErrUnreachable,
		"fatal: unable to access 'https://example.com/r/': Failed to connect to example.com port 443: Connection refused":                     ErrUnreachable,
		"fatal: unable to access 'https://example.com/r/': The requested URL returned error: 503":                                             ErrUnreachable,
		"fatal: unable to access 'https://example.com/r/': The requested URL returned error: 403":                                             ErrAuth,
		"fatal: could not read Username for 'https://example.com': terminal prompts disabled":                                                 ErrAuth,
		"git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.":                                      ErrAuth,
		"fatal: couldn't find remote ref refs/heads/main":                                                                                     ErrBranchMissing,
		"warning: Could not find remote branch main to clone.\nfatal: Remote branch main not found in upstream origin":                        ErrBranchMissing,
		"fatal: repository 'https://example.com/r/' not found":                                                                                ErrNotRepository,
		"fatal: '/x' does not appear to be a git repository\nfatal: Could not read from remote repository.":                                   ErrNotRepository,
		"fatal: https://example.com/r/info/refs not valid: is this a git repository?":                                                         ErrNotRepository,
		"fatal: detected dubious ownership in repository at '/srv/r'":                                                                         ErrNotRepository,
		"ssh: Could not resolve hostname example.com: Name or service not known\nfatal: Could not read from remote repository.":               ErrUnreachable,
		"ssh: connect to host example.com port 22: Connection timed out\r\nfatal: Could not read from remote repository.":                     ErrUnreachable,
		"fatal: transport 'ext' not allowed":                                                                                                  ErrInvalid,
		"fatal: unable to access 'https://example.com/r/': SSL certificate problem: unable to get local issuer certificate":                   ErrUnreachable,
		"fatal: unable to access 'https://example.com/r/': server certificate verification failed. CAfile: none CRLfile: none":                ErrUnreachable,
		"error: RPC failed; curl 18 transfer closed with outstanding read data remaining\nfatal: early EOF\nfatal: fetch-pack: invalid input": ErrUnreachable,
	}
	for said, want := range tests {
		err := e.remoteFailure(t.Context(), "fetch", "", &gitexec.ExitError{Command: "fetch", Code: 128, Stderr: said})
		if !errors.Is(err, want) {
			t.Errorf("%s\n\tgave %v", said, err)
		}
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "https://example.com/r") {
			t.Errorf("words: %q", err)
		}
	}
}

func TestWhatCountsAsACredential(t *testing.T) {
	tests := map[string]struct {
		src  Source
		want string
	}{
		"nothing":              {Source{URL: "https://h/r"}, ""},
		"a user name alone":    {Source{URL: "https://h/r", Auth: Auth{Username: "piped"}}, ""},
		"a token alone":        {Source{URL: "https://h/r", Auth: Auth{Password: "t"}}, "Basic Z2l0OnQ="},
		"both":                 {Source{URL: "https://h/r", Auth: Auth{Username: "me", Password: "t"}}, "Basic bWU6dA=="},
		"both in the address":  {Source{URL: "https://me:t@h/r", Auth: Auth{Username: "piped"}}, "Basic bWU6dA=="},
		"token in the address": {Source{URL: "https://t@h/r", Auth: Auth{Username: "piped"}}, "Basic dDo="},
		"configured one wins":  {Source{URL: "https://x:y@h/r", Auth: Auth{Username: "me", Password: "t"}}, "Basic bWU6dA=="},
		"ssh sends none":       {Source{URL: "git@h:r", Auth: Auth{Username: "me", Password: "t"}}, ""},
	}
	for name, tt := range tests {
		tt.src.Branch = "main"
		e, err := newEndpoint(tt.src)
		if err != nil || e.fixed.header != tt.want {
			t.Errorf("%s: %q, %v; want %q", name, e.fixed.header, err, tt.want)
		}
	}
}
