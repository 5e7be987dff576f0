//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// verb runs `penstock server …` to its end and gives what it printed and its exit status.
func verb(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), penstock, append([]string{"server"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func wantVerb(t *testing.T, status int, parts []string, args ...string) {
	t.Helper()
	out, got := verb(t, args...)
	if got != status {
		t.Fatalf("penstock server %s ended with %d, want %d: %s", strings.Join(args, " "), got, status, out)
	}
	says(t, "penstock server "+args[0], out, parts...)
}

// checked wants a data directory or a backup in which all is well.
func checked(t *testing.T, dir string) {
	t.Helper()
	out, status := verb(t, "check", "--json", "--data-dir", dir)
	var f struct {
		Deployments, Events, Blobs int
		Problems                   []string
	}
	must(t, json.Unmarshal([]byte(out), &f))
	if status != 0 || len(f.Problems) > 0 || f.Deployments == 0 || f.Events == 0 || f.Blobs == 0 {
		t.Errorf("check of %s ended with %d and found %+v", dir, status, f)
	}
}

// cli runs a verb of the program as the admin.
func (r *ring) cli(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), penstock, args...)
	cmd.Env = append(os.Environ(), "PENSTOCK_SERVER="+r.server.url, "PENSTOCK_TOKEN="+r.token)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("penstock %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// inWait ships the next version and waits until the canary has its share.
func (r *ring) inWait() string {
	r.t.Helper()
	d := r.ship()
	r.reach(d.Id, "the wait", time.Minute, func(_ *penstockv1.Deployment, s *penstockv1.Stage) bool { return s != nil && s.Name == "WAIT" })
	return d.Id
}

// restore kills the control plane and starts it again over a backup.
func (r *ring) restore(backup string) {
	r.t.Helper()
	r.server.kill()
	fresh := filepath.Join(r.t.TempDir(), "data")
	wantVerb(r.t, 0, []string{"restored to " + fresh}, "restore", "--from", backup, "--data-dir", fresh)
	r.data = fresh
	r.startServer()
}

// A backup is made while the control plane and a canary run. Restored at once, the canary goes on to its end. Restored when
// the canary has gone further than the backup knows, nothing is written: the deployment stops for a person with the
// difference, and the next commit is deployed.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	r := newRing(t, "11s")
	r.first()
	backup := filepath.Join(t.TempDir(), "backups", "one")

	id := r.inWait()
	wantVerb(t, 0, []string{"backed up to " + backup}, "backup", "--data-dir", r.data, "--to", backup)
	wantVerb(t, 5, []string{"new directory"}, "backup", "--data-dir", r.data, "--to", backup)
	wantVerb(t, 5, []string{"has files"}, "restore", "--from", backup, "--data-dir", r.data)
	wantVerb(t, 1, []string{"another server uses the data directory"}, "--data-dir", r.data, "--listen", "127.0.0.1:0")
	wantVerb(t, 3, []string{"no database"}, "check", "--data-dir", t.TempDir())
	checked(t, r.data)
	checked(t, backup)
	r.restore(backup)
	restored := time.Now()
	r.ends(id, 2*time.Minute)
	toTheEnd := time.Since(restored)
	r.account()

	id = r.inWait()
	second := filepath.Join(t.TempDir(), "two")
	wantVerb(t, 0, nil, "backup", "--data-dir", r.data, "--to", second)
	r.ends(id, time.Minute)
	r.restore(second)
	restored = time.Now()
	d := r.reach(id, "a stop for a person", time.Minute, func(d *penstockv1.Deployment, _ *penstockv1.Stage) bool { return d.FinishedAt != nil })
	if d.Display != "NEEDS_ATTENTION" || d.GetReason().GetCode() != "ECS_FOREIGN_WEIGHTS" {
		t.Errorf("a record behind what is live ended as %s, %s: %s", d.Display, d.GetReason().GetCode(), d.GetReason().GetText())
	}
	if w := r.calls.writes(restored, time.Now()); len(w) > 0 {
		t.Errorf("before anybody looked agents wrote: %+v", w)
	}
	// A person who looks sees the exact difference, and what the deployment created.
	says(t, "penstock deployment get", r.cli("deployment", "get", id), "NEEDS_ATTENTION", "expected primary 80 %, canary 20 %, found", "taskSet", "CREATED")
	onlyVersion(t, r.cloud.Router().Addr(r.route.Listener), r.now(), time.Second)
	r.ends(r.ship().Id, 2*time.Minute)
	total, failed := r.users.sum()
	figures(t, map[string]any{"test": "backup and restore", "to_the_end_seconds": toTheEnd.Seconds(), "requests": total, "failed": failed})
}
