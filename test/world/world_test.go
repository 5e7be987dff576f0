package world_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/test/world"
)

// TestFirstDeployment is the whole line once: a commit becomes a running
// service, and the next commit a canary.
func TestFirstDeployment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Options{})
		defer w.Close()
		w.Commit("main", "v1", map[string]string{world.AppFile("web"): world.FakeApp("web", map[string]string{"version": "v1", "startAfter": "3s"}, world.FakeCanary)})
		w.Tick(time.Minute)
		d, ok := w.Deployment("web", 1)
		if !ok || d.Display() != "SUCCESS" {
			t.Fatalf("deployment 1 is %s (%s)\n%s", d.Display(), d.Reason, w.Log())
		}
		w.Commit("main", "v2", map[string]string{world.AppFile("web"): world.FakeApp("web", map[string]string{"version": "v2", "startAfter": "3s"}, world.FakeCanary)})
		w.Tick(5 * time.Minute)
		d, ok = w.Deployment("web", 2)
		if !ok || d.Display() != "SUCCESS" {
			t.Fatalf("deployment 2 is %s (%s)\n%s", d.Display(), d.Reason, w.Log())
		}
		s, _ := w.Cloud.Service("web")
		if got, want := s.Text(time.Now()), "*primary:v2×2(2) 100/0 size=1"; got != want {
			t.Errorf("live is %s, want %s", got, want)
		}
		w.CheckRecord(&world.Memory{})
		w.CheckCloud()
		w.CheckEnds()
		for _, p := range w.Problems() {
			t.Error(p)
		}
	})
}
