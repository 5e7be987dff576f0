//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/penstock-cd/penstock/internal/git"
)

// sshd is OpenSSH's own server on loopback, with a host key of its own and one user key that may come in.
type sshd struct {
	dir, addr string
	key       ssh.PublicKey // of the host
	client    string        // file with the key that may come in
	said      *transcript   // the server's own log
}

// sshdProgram finds the server: Debian puts it where only root's PATH looks.
func sshdProgram(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"sshd", "/usr/sbin/sshd"} {
		if path, err := exec.LookPath(name); err == nil {
			full, err := filepath.Abs(path) // it starts itself again and wants to know where it is
			must(t, err)
			return full
		}
	}
	t.Fatal("no SSH server is installed: apt-get install openssh-server")
	return ""
}

// sshKey makes a key pair: the private half in a file of dir, the public half as a line for known_hosts and authorized_keys.
func sshKey(t *testing.T, dir, name string) (file string, public ssh.PublicKey) {
	t.Helper()
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	block, err := ssh.MarshalPrivateKey(private, "")
	must(t, err)
	file = filepath.Join(dir, name)
	must(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	public, err = ssh.NewPublicKey(pub)
	must(t, err)
	return file, public
}

func startSSHD(t *testing.T) *sshd {
	t.Helper()
	s := &sshd{dir: t.TempDir(), said: &transcript{}}
	path := sshdProgram(t)
	if os.Getuid() == 0 { // root's server locks itself into this directory, which only the service's start would make
		must(t, os.MkdirAll("/run/sshd", 0o755))
	}
	hostKey, public := sshKey(t, s.dir, "host")
	s.key = public
	allowed := filepath.Join(s.dir, "authorized")
	s.client, public = sshKey(t, s.dir, "client")
	must(t, os.WriteFile(allowed, ssh.MarshalAuthorizedKey(public), 0o600))
	ln, err := net.Listen("tcp", "127.0.0.1:0") // sshd takes no port 0: a free one is looked for
	must(t, err)
	s.addr = ln.Addr().String()
	must(t, ln.Close())
	host, port, err := net.SplitHostPort(s.addr)
	must(t, err)
	config := filepath.Join(s.dir, "sshd_config")
	must(t, os.WriteFile(config, []byte(strings.Join([]string{
		"ListenAddress " + host, "Port " + port, "HostKey " + hostKey, "AuthorizedKeysFile " + allowed, "PidFile none", "StrictModes no", "UsePAM no",
		"PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "LogLevel VERBOSE", "",
	}, "\n")), 0o600))
	cmd := exec.Command(path, "-D", "-e", "-f", config)
	cmd.Stderr = s.said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd: %s", s.said)
		}
	})
	await(t, 20*time.Second, "the SSH server's greeting", func() (bool, error) {
		c, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err != nil {
			return false, fmt.Errorf("%w: %s", err, s.said)
		}
		defer c.Close() //nolint:errcheck // it was only greeted
		return true, c.SetDeadline(time.Now().Add(time.Second))
	})
	return s
}

// known writes a known_hosts file that has a key for the server.
func (s *sshd) known(t *testing.T, name string, key ssh.PublicKey) string {
	t.Helper()
	file := filepath.Join(s.dir, name)
	must(t, os.WriteFile(file, []byte(knownhosts.Line([]string{knownhosts.Normalize(s.addr)}, key)+"\n"), 0o600))
	return file
}

// TestGitOverARealSSHServer: polls, clones and reads over OpenSSH; a host that is not the one that is known, a host that nobody knows and a key that nobody
// let in are refused in words that say what to do; submodules and Git LFS say that their content is elsewhere.
func TestGitOverARealSSHServer(t *testing.T) {
	s := startSSHD(t)
	_, stranger := sshKey(t, s.dir, "stranger-host")
	wrongKey, _ := sshKey(t, s.dir, "stranger")
	bare, want := bareRepository(t)
	me, err := user.Current()
	must(t, err)
	right := git.Auth{SSHKeyFile: s.client, SSHKnownHostsFile: s.known(t, "right", s.key), SSHConfigFile: os.DevNull}
	source := func(edit func(*git.Auth)) git.Source {
		auth := right
		edit(&auth)
		return git.Source{URL: "ssh://" + me.Username + "@" + s.addr + bare, Branch: "main", Auth: auth}
	}
	nobody := filepath.Join(s.dir, "nobody")
	must(t, os.WriteFile(nobody, nil, 0o600))
	for name, c := range map[string]struct {
		edit func(*git.Auth)
		kind error
		says []string
	}{
		"the right key of the host":   {edit: func(*git.Auth) {}},
		"another key of the host":     {func(a *git.Auth) { a.SSHKnownHostsFile = s.known(t, "wrong", stranger) }, git.ErrHostKey, []string{ssh.FingerprintSHA256(s.key), "somebody may stand in between"}},
		"a host that nobody knows":    {func(a *git.Auth) { a.SSHKnownHostsFile = nobody }, git.ErrHostKey, []string{ssh.FingerprintSHA256(s.key), "ssh-keyscan", "git.sshKnownHosts"}},
		"a key that nobody let in":    {func(a *git.Auth) { a.SSHKeyFile = wrongKey }, git.ErrAuth, []string{"publickey"}},
		"a host that is taken as new": {edit: func(a *git.Auth) { a.SSHKnownHostsFile, a.SSHAcceptNew = filepath.Join(s.dir, "learnt"), true }},
	} {
		t.Run(name, func(t *testing.T) {
			src := source(c.edit)
			remote, err := git.NewRemote(src, git.RemoteOptions{})
			must(t, err)
			head, err := remote.Head(t.Context())
			m, cloneErr := git.Open(t.Context(), git.MirrorOptions{Source: src, Dir: filepath.Join(t.TempDir(), "mirror")})
			if c.kind == nil {
				must(t, err)
				must(t, cloneErr)
				defer m.Close()
				if head != want {
					t.Errorf("head %s, want %s", head, want)
				}
				contents(t, m, want)
				return
			}
			for _, err := range []error{err, cloneErr} {
				if !errors.Is(err, c.kind) {
					t.Fatalf("%v is not %v", err, c.kind)
				}
				for _, word := range c.says {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("%q is not in %q", word, err)
					}
				}
			}
		})
	}
}

// bareRepository has an application, a file in Git LFS and a submodule; want is the head of main.
func bareRepository(t *testing.T) (bare, head string) {
	t.Helper()
	dir := t.TempDir()
	work := filepath.Join(dir, "work")
	bare = filepath.Join(dir, "shop.git")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q", "-b", "main", work)
	must(t, os.WriteFile(filepath.Join(work, "app.yaml"), []byte("one\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(work, "large"), []byte("version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("a", 64)+"\nsize 12345\n"), 0o600))
	run("-C", work, "add", ".")
	run("-C", work, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("b", 40)+",shared")
	run("-C", work, "commit", "-q", "-m", "one")
	run("clone", "-q", "--bare", work, bare)
	return bare, run("-C", work, "rev-parse", "HEAD")
}

func contents(t *testing.T, m *git.Mirror, commit string) {
	t.Helper()
	if b, err := m.ReadFile(t.Context(), commit, "app.yaml"); err != nil || string(b) != "one\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := m.ReadFile(t.Context(), commit, "large"); !errors.Is(err, git.ErrLFS) || !strings.Contains(err.Error(), ".gitattributes") {
		t.Errorf("a pointer of Git LFS: %v", err)
	}
	if _, err := m.ReadFile(t.Context(), commit, "shared/app.yaml"); !errors.Is(err, git.ErrNotRegular) || !strings.Contains(err.Error(), "submodule") {
		t.Errorf("a file of a submodule: %v", err)
	}
}
