package git_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/githttp"
)

// sshHost is an ssh server on loopback that runs git for one key.
type sshHost struct {
	port   int
	key    ssh.Signer // of the host
	client string     // file with the key that may come in
}

// newKey makes a key; its file is for ssh, which wants nobody else to read it.
func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, file
}

func newSSHHost(t *testing.T) *sshHost {
	t.Helper()
	h := &sshHost{}
	h.key, _ = newKey(t)
	allowed, file := newKey(t)
	h.client = file
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) == string(allowed.PublicKey().Marshal()) {
			return nil, nil
		}
		return nil, errors.New("unknown key")
	}}
	config.AddHostKey(h.key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	h.port = l.Addr().(*net.TCPAddr).Port
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(ctx, c, config)
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		<-done
	})
	return h
}

// serveSSH runs the commands of one connection.
func serveSSH(ctx context.Context, c net.Conn, config *ssh.ServerConfig) {
	defer c.Close() //nolint:errcheck // the other side is gone or has its answer
	conn, channels, requests, err := ssh.NewServerConn(c, config)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go ssh.DiscardRequests(requests)
	for next := range channels {
		channel, asked, err := next.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range asked {
				if r.Type != "exec" {
					_ = r.Reply(r.Type == "env", nil)
					continue
				}
				_ = r.Reply(true, nil)
				cmd := exec.CommandContext(ctx, "sh", "-c", string(r.Payload[4:]))
				cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
				in, err := cmd.StdinPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					_ = channel.Close()
					return
				}
				go func() {
					buf := make([]byte, 32<<10)
					for {
						n, err := channel.Read(buf)
						if _, werr := in.Write(buf[:n]); err != nil || werr != nil {
							_ = in.Close()
							return
						}
					}
				}()
				_ = cmd.Wait()
				_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(max(0, cmd.ProcessState.ExitCode()))}))
				_ = channel.Close()
			}
		}()
	}
}

func (h *sshHost) name() string { return fmt.Sprintf("[127.0.0.1]:%d", h.port) }

// hostsFile is a known_hosts file that has a key for the host.
func (h *sshHost) hostsFile(t *testing.T, key ssh.PublicKey) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known hosts")
	if err := os.WriteFile(file, []byte(knownhosts.Line([]string{h.name()}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Real git and real ssh against a server that speaks ssh: who the host is, and who
// we are, are both checked, and an error says what to do.
func TestSSHHostKeys(t *testing.T) {
	h, files0 := newHost(t, githttp.Options{}), files("a", "1")
	want := h.commit(t, git.Change{Files: files0})
	s := newSSHHost(t)
	other, otherFile := newKey(t)
	none := filepath.Join(t.TempDir(), "none")
	source := func(a git.Auth) git.Source {
		return git.Source{URL: fmt.Sprintf("ssh://git@127.0.0.1:%d%s", s.port, h.Path(repo)), Branch: "main", Auth: a}
	}
	known := s.hostsFile(t, s.key.PublicKey())
	for name, a := range map[string]git.Auth{
		"in the file":            {SSHKeyFile: s.client, SSHKnownHostsFile: known},
		"beside ssh's own files": {SSHKeyFile: s.client, SSHMoreHostsFile: known},
	} {
		if head, err := h.remote(t, source(a)).Head(t.Context()); err != nil || head != want {
			t.Errorf("%s: poll: %q, %v", name, head, err)
		}
		m := openMirror(t, git.MirrorOptions{Source: source(a), Dir: filepath.Join(t.TempDir(), "m")})
		if got, err := m.ReadFile(t.Context(), want, "a"); err != nil || string(got) != "1" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	print1 := ssh.FingerprintSHA256(s.key.PublicKey())
	for name, x := range map[string]struct {
		auth  git.Auth
		kind  error
		words []string
	}{
		"unknown": {
			git.Auth{SSHKeyFile: s.client, SSHKnownHostsFile: none},
			git.ErrHostKey,
			[]string{s.name(), print1, "ED25519", "no known_hosts file", fmt.Sprintf("ssh-keyscan -t ed25519 -p %d 127.0.0.1", s.port), "git.sshKnownHosts"},
		},
		"changed": {
			git.Auth{SSHKeyFile: s.client, SSHKnownHostsFile: s.hostsFile(t, other.PublicKey())},
			git.ErrHostKey,
			[]string{s.name(), print1, "has another one", "known hosts:1", "somebody may stand in between"},
		},
		"changed, accepting new ones": {
			git.Auth{SSHKeyFile: s.client, SSHKnownHostsFile: s.hostsFile(t, other.PublicKey()), SSHAcceptNew: true},
			git.ErrHostKey,
			[]string{s.name(), print1},
		},
		"our key": {git.Auth{SSHKeyFile: otherFile, SSHKnownHostsFile: known}, git.ErrAuth, []string{"Permission denied"}},
	} {
		_, poll := h.remote(t, source(x.auth)).Head(t.Context())
		_, open := git.Open(t.Context(), git.MirrorOptions{Source: source(x.auth), Dir: filepath.Join(t.TempDir(), "m")})
		for op, err := range map[string]error{"poll": poll, "clone": open} {
			if !errors.Is(err, x.kind) {
				t.Errorf("%s: %s: %v, want %v", name, op, err, x.kind)
				continue
			}
			for _, w := range x.words {
				if !strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(w)) {
					t.Errorf("%s: %s: %q is missing in: %v", name, op, w, err)
				}
			}
		}
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	accept := git.Auth{SSHKeyFile: s.client, SSHKnownHostsFile: fresh, SSHAcceptNew: true}
	if _, err := h.remote(t, source(accept)).Head(t.Context()); err != nil {
		t.Errorf("accepting at first sight: %v", err)
	}
	if kept, err := os.ReadFile(fresh); err != nil || len(kept) == 0 {
		t.Errorf("the key is not kept: %q, %v", kept, err)
	}
}

// The lines that ship are keys, with the fingerprints that the hosts publish.
func TestPublishedHosts(t *testing.T) {
	want := map[string]string{
		"github.com": "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", "gitlab.com": "SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
		"bitbucket.org": "SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
	}
	rest := []byte(git.PublishedHosts)
	for range want {
		_, hosts, key, _, next, err := ssh.ParseKnownHosts(rest)
		if err != nil || len(hosts) != 1 || want[hosts[0]] != ssh.FingerprintSHA256(key) {
			t.Fatalf("%v %v %v", hosts, key, err)
		}
		rest = next
	}
	if len(rest) != 0 {
		t.Errorf("more lines: %s", rest)
	}
}
