//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// transcript collects what a process writes; it can be read while the process runs.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// program is one started process of the program under test.
type program struct {
	t        *testing.T
	name     string
	cmd      *exec.Cmd
	out, err transcript
	ended    chan struct{} // closed when it has ended
	status   error
}

// start runs `penstock args...` until the test ends. Its log is shown when the test fails.
func start(t *testing.T, env []string, args ...string) *program {
	t.Helper()
	p := &program{t: t, name: args[0], cmd: exec.Command(penstock, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.status = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(p.err.String(), 60))
		}
	})
	return p
}

// stop asks the process to end and waits; one that does not within 45 s is killed and fails the test.
func (p *program) stop() {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(45 * time.Second):
		p.t.Errorf("%s did not end within 45 s of SIGTERM", p.name)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// await polls until ask gives a value, and fails with the last reason after the time.
func await[T any](t *testing.T, within time.Duration, what string, ask func() (T, error)) T {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		v, err := ask()
		if err == nil {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(50 * time.Millisecond) // a real process on the other side: there is no event to wait for
	}
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cloud is a local cloud in a process of its own.
type cloud struct {
	*program
	Endpoint        string `json:"endpoint"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	AdminToken      string `json:"adminToken"`
}

func startCloud(t *testing.T, profile string) *cloud {
	t.Helper()
	c := &cloud{program: start(t, nil, "localcloud", "--json", "--profile", profile)}
	await(t, 20*time.Second, "the local cloud's address", func() (bool, error) {
		return true, json.Unmarshal([]byte(c.out.String()), c)
	})
	return c
}

// env is what AWS clients read their credential from.
func (c *cloud) env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey, "AWS_DEFAULT_REGION=us-east-1", "AWS_PAGER=",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// admin calls the admin endpoint and decodes its answer.
func (c *cloud) admin(method, path string, body, into any) {
	c.t.Helper()
	var in bytes.Buffer
	if body != nil {
		must(c.t, json.NewEncoder(&in).Encode(body))
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.Endpoint+"/_admin/"+path, &in)
	must(c.t, err)
	req.Header.Set("Authorization", "Bearer "+c.AdminToken)
	res, err := http.DefaultClient.Do(req)
	must(c.t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	must(c.t, err)
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if into != nil {
		must(c.t, json.Unmarshal(answer, into))
	}
}

// listenerAddr gives the socket of a listener.
func (c *cloud) listenerAddr(arn string) string {
	c.t.Helper()
	var state struct {
		Listeners []struct{ ARN, Address string } `json:"listeners"`
	}
	c.admin(http.MethodGet, "state", nil, &state)
	for _, l := range state.Listeners {
		if l.ARN == arn && l.Address != "" {
			return l.Address
		}
	}
	c.t.Fatalf("listener %s has no socket: %+v", arn, state)
	return ""
}

// answers sends n requests to the router and counts them by the version that answered.
func answers(t *testing.T, addr string, n int) map[string]int {
	t.Helper()
	count := map[string]int{}
	for range n {
		res, err := http.Get("http://" + addr + "/")
		must(t, err)
		var body struct{ Version string }
		err = json.NewDecoder(res.Body).Decode(&body)
		must(t, errors.Join(err, res.Body.Close()))
		if res.StatusCode != http.StatusOK {
			t.Fatalf("the router answered %s", res.Status)
		}
		count[body.Version]++
	}
	return count
}

// onlyVersion waits until all of n requests are answered by the version.
func onlyVersion(t *testing.T, addr, version string, within time.Duration) {
	t.Helper()
	await(t, within, "only "+version+" answers", func() (bool, error) {
		if got := answers(t, addr, 20); got[version] != 20 {
			return false, fmt.Errorf("answers by version: %v", got)
		}
		return true, nil
	})
}
