package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/penstock-cd/penstock/internal/git/gitexec"
)

// PublishedHosts are lines for a known_hosts file: the Ed25519 keys that the large
// hosts publish, so that nobody has to accept a key at first sight. Sources:
// https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints,
// https://docs.gitlab.com/user/gitlab_com/#ssh-known_hosts-entries, https://bitbucket.org/site/ssh.
const PublishedHosts = `github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
gitlab.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf
bitbucket.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO
`

// sshCommand is what git starts for an ssh remote; options win over what follows.
func (e *endpoint) sshCommand(options ...string) string {
	var args []string
	for _, o := range append(options, "ConnectTimeout=15", "ServerAliveInterval=15") {
		args = append(args, "-o", o)
	}
	if f := e.auth.SSHConfigFile; f != "" {
		args = append(args, "-F", f)
	}
	if f := e.auth.SSHKeyFile; f != "" {
		args = append(args, "-i", f, "-o", "IdentitiesOnly=yes")
	}
	switch f, more := e.auth.SSHKnownHostsFile, e.auth.SSHMoreHostsFile; {
	case f != "":
		args = append(args, "-o", "UserKnownHostsFile="+sshPath(f), "-o", "GlobalKnownHostsFile="+os.DevNull)
	case more != "":
		args = append(args, "-o", "GlobalKnownHostsFile=/etc/ssh/ssh_known_hosts "+sshPath(more))
	}
	checking := "StrictHostKeyChecking=yes"
	if e.auth.SSHAcceptNew {
		checking = "StrictHostKeyChecking=accept-new"
	}
	args = append(args, "-o", checking)
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'" // git gives the whole to a shell
	}
	return "ssh " + strings.Join(args, " ")
}

// sshPath quotes a path for an option of ssh that takes several. ssh replaces
// "%" there.
func sshPath(p string) string { return `"` + strings.ReplaceAll(p, "%", "%%") + `"` }

// hostKeyRefused reports whether ssh ended because of the host's key.
func hostKeyRefused(err error) bool {
	var exit *gitexec.ExitError
	return errors.As(err, &exit) && strings.Contains(strings.ToLower(exit.Stderr), "host key verification failed")
}

// hostKeyFailure says which host showed which key. ssh tells that of an unknown host
// only when it is talkative, so it is asked once more; the key is refused again.
func (e *endpoint) hostKeyFailure(ctx context.Context, op, gitPath string, err error) error {
	var exit *gitexec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	talkative := gitexec.New(gitexec.Options{Path: gitPath, Env: []string{"GIT_SSH_COMMAND=" + e.sshCommand("BatchMode=yes", "LogLevel=DEBUG1")}})
	_, again := talkative.Run(ctx, "", nil, "ls-remote", "-q", "--", e.url, e.ref())
	said := ""
	var more *gitexec.ExitError
	if errors.As(again, &more) {
		said = more.Stderr
	}
	host, key := sshHost(said), find(said, `Server host key: (\S+ SHA256:\S+)`)
	if key == "" {
		key = find(exit.Stderr, `(SHA256:[A-Za-z0-9+/=]+)`)
	}
	out := &Error{Op: op, Repo: e.display, Kind: ErrHostKey}
	scan := strings.TrimPrefix(host, "[")
	if name, port, ok := strings.Cut(scan, "]:"); ok {
		scan = "-p " + port + " " + name
	}
	if strings.Contains(exit.Stderr, "IDENTIFICATION HAS CHANGED") {
		out.Detail = fmt.Sprintf("%s shows the key %s, and %s has another one for it", or(host, "the host"), or(key, "(not told)"), or(find(exit.Stderr, `Offending \S+ key in ([^\r\n]+:\d+)`), "a known_hosts file"))
		out.Hint = "somebody may stand in between: ask whoever runs the host whether its key was changed, and only then replace the line"
		return out
	}
	out.Detail = fmt.Sprintf("%s shows the key %s, and no known_hosts file has one for it", or(host, "the host"), or(key, "(not told)"))
	out.Hint = fmt.Sprintf("compare it with what the host publishes, then put its line (ssh-keyscan -t ed25519 %s prints it) into git.sshKnownHosts of the agent's configuration", or(scan, "HOST"))
	return out
}

// sshHost is how known_hosts names the host of a connection: with its port unless that is 22.
func sshHost(said string) string {
	host := find(said, `Connecting to (\S+) (?:\[\S+\] )?port \d+`)
	port := find(said, `Connecting to \S+ (?:\[\S+\] )?port (\d+)`)
	if port != "" && port != "22" {
		return "[" + host + "]:" + port
	}
	return host
}

func find(text, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
