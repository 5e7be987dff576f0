package history

import (
	"context"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/test/world"
)

// quickCloud is the local cloud of the stories on ECS.
var quickCloud = world.AWSOptions{
	Seed: 7, Every: 500 * time.Millisecond,
	Profile: localcloud.Profile{Name: "history", Latency: 20 * time.Millisecond, Nodes: 2, WeightLagMin: 2 * time.Second, WeightLagMax: 10 * time.Second, Watch: 2 * time.Second},
}

const (
	allAtOnce    = "  description: everything at once\n"
	ecsBlueGreen = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 100}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 100}
    - name: WAIT_APPROVAL
      with: {timeout: 30m}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`
)

// onECS are the stories on ECS.
var onECS = map[string]story{
	"ecs-canary": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		until(w, 2, "SUCCESS")
	},
	"ecs-canary-cancelled": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		during(w, 2, "ECS_PRIMARY_ROLLOUT", func(id, _ string) error { return w.Cancel("bob", id, "") })
		until(w, 2, "ROLLED_BACK")
	},
	"ecs-sick-canary": func(w *world.World) {
		w.AWS.Behave("v2", memory.Behaviour{UnhealthyAfter: time.Minute})
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		until(w, 2, "ROLLED_BACK")
	},
	"ecs-blue-green": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", ecsBlueGreen)
		during(w, 2, "WAIT_APPROVAL", func(id, stage string) error { return w.Decide("approve", "bob", id, stage) })
		until(w, 2, "SUCCESS")
	},
	"ecs-blue-green-rejected": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", ecsBlueGreen)
		during(w, 2, "WAIT_APPROVAL", func(id, stage string) error { return w.Decide("reject", "bob", id, stage) })
		until(w, 2, "ROLLED_BACK")
	},
	"ecs-quick-sync-fails": func(w *world.World) {
		w.AWS.Behave("v2", memory.Behaviour{FailToStart: true})
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", allAtOnce)
		until(w, 2, "ROLLED_BACK")
	},
	"ecs-first-deployment-fails": func(w *world.World) {
		w.AWS.Behave("v1", memory.Behaviour{FailToStart: true})
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "ROLLED_BACK")
	},
	"ecs-adoption": func(w *world.World) {
		if err := w.AWS.Live(context.Background(), "web", "v0"); err != nil {
			w.T.Fatal(err)
		}
		w.Tick(40 * time.Second)
		w.CommitECS("web", "v1", world.ArticleCanary)
		until(w, 1, "SUCCESS")
	},
	"ecs-weights-changed": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		during(w, 2, "WAIT", func(string, string) error { return w.AWS.SetWeights(50, 50) })
		until(w, 2, "NEEDS_ATTENTION")
	},
	"ecs-taken-over": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		during(w, 2, "ECS_PRIMARY_ROLLOUT", func(string, string) error {
			w.Process("a1").Kill()
			w.StartAgent("b1")
			w.StopServer(4 * time.Second)
			return nil
		})
		until(w, 2, "SUCCESS")
	},
	"ecs-backup-restored": func(w *world.World) {
		w.CommitECS("web", "v1", allAtOnce)
		until(w, 1, "SUCCESS")
		w.CommitECS("web", "v2", world.ArticleCanary)
		during(w, 2, "WAIT", func(string, string) error {
			restore, err := w.Backup()
			if err == nil {
				w.Tick(10 * time.Second)
				restore(3 * time.Second)
			}
			return err
		})
		until(w, 2, "SUCCESS")
	},
}

// during does something as soon as a stage of the n-th deployment runs.
func during(w *world.World, n int, stage string, f func(deployment, stage string) error) {
	for range 600 {
		w.Tick(500 * time.Millisecond)
		d, _ := w.Deployment("web", n)
		if i := d.Current(); i >= 0 && d.Stages[i].Name == stage {
			if err := f(d.ID, d.Stages[i].ID); err != nil {
				w.T.Error(err)
			}
			return
		}
	}
	w.T.Errorf("stage %s was not reached", stage)
}
