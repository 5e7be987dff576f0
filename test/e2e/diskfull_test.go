//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/client"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// The disk of the data directory runs full under a running control plane: changes are refused with a sentence that says so,
// reading goes on, and when there is space again everything does, without a restart.
func TestDiskFull(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.Mkdir(dir, 0o700))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
			t.Skip("a small disk can only be made by root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := startServer(t, "--data-dir", dir)
	in, err := client.New(client.Config{Server: s.url}).Projects.Login(t.Context(), connect.NewRequest(&penstockv1.LoginRequest{Username: adminName, Password: adminPassword}))
	must(t, err)
	n := 0
	change := func() (status int, answer string) {
		n++
		res, body := post(t, s.url+"/penstock.v1.ProjectService/RegisterAgent", "application/json", in.Msg.Token, fmt.Appendf(nil, `{"name":"agent-%d"}`, n))
		return res.StatusCode, string(body)
	}
	if status, answer := change(); status != http.StatusOK {
		t.Fatalf("with space a change was answered %d: %s", status, answer)
	}

	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	refused := await(t, 30*time.Second, "a refused change", func() (string, error) {
		if status, answer := change(); status != http.StatusOK {
			return answer, nil
		}
		return "", errors.New("there is still room in the database")
	})
	var e struct{ Code, Message string }
	must(t, json.Unmarshal([]byte(refused), &e))
	if e.Code != "unavailable" || !strings.Contains(e.Message, "the disk is full") || !strings.Contains(e.Message, "free space") {
		t.Errorf("on a full disk a change was answered %s", refused)
	}
	if res, body := post(t, s.url+"/penstock.v1.ProjectService/ListAgents", "application/json", in.Msg.Token, []byte("{}")); res.StatusCode != http.StatusOK {
		t.Errorf("on a full disk reading was answered %s: %s", res.Status, body)
	}

	must(t, os.Remove(ballast))
	if status, answer := change(); status != http.StatusOK {
		t.Errorf("with space again a change was answered %d: %s", status, answer)
	}
	res, body := post(t, s.url+"/penstock.v1.ProjectService/ListAgents", "application/json", in.Msg.Token, []byte(`{"page":{"pageSize":200}}`))
	if last := fmt.Sprintf(`"agent-%d"`, n); res.StatusCode != http.StatusOK || !strings.Contains(string(body), last) {
		t.Errorf("the newest agent %s is not there: %s", last, body)
	}
	wantVerb(t, 0, []string{"0 problems"}, "check", "--data-dir", dir)
}

// fill writes a file until the disk takes no more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	must(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}
