package sim

import (
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
	"github.com/penstock-cd/penstock/test/world"
)

// turnsBack is how soon the way back begins when the guard can see a breach and
// the owner of the deployment lives; lookEvery is how often these tests look.
const (
	turnsBack = 10 * time.Second
	lookEvery = 500 * time.Millisecond
)

const longWait = `  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 20m}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: FAKE_CANARY_CLEAN
`

const longECSWait = `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 30}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: WAIT
      with: {duration: 20m}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`

// TestBreachTurnsBack: a canary that turns bad in the middle of a long wait is
// taken back at once, not at the end of the wait.
func TestBreachTurnsBack(t *testing.T) {
	onlySeeds(t)
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(t *testing.T) {
			w := world.New(t, world.Options{Agents: 2, RouteLag: 8 * time.Second, Latency: 5 * time.Millisecond})
			defer w.Close()
			course{first: app(noPipeline, map[string]string{"version": "v1"})}.begin(w)
			w.Commit("main", "v2", map[string]string{world.AppFile("web"): app(longWait, map[string]string{"version": "v2", "unhealthyAfter": "3m"})})
			turns(t, w, func() bool {
				s, _ := w.Cloud.Service("web")
				for _, x := range s.Sets {
					if x.Version == "v2" && x.Replicas > 0 {
						return x.Healthy(time.Now()) > 0
					}
				}
				return false
			})
		})
	})
	t.Run("ecs", func(t *testing.T) {
		t.Parallel()
		inWorld(t, func(t *testing.T) {
			w := world.New(t, world.Options{Agents: 2, Latency: 5 * time.Millisecond, AWS: true, AWSOptions: crashCloud})
			defer w.Close()
			course{first: noPipeline, body: longECSWait}.begin(w)
			w.AWS.Behave("v2", memory.Behaviour{UnhealthyAfter: 4 * time.Minute})
			w.CommitECS("web", "v2", longECSWait)
			turns(t, w, func() bool {
				for _, c := range w.AWS.Cloud.ECS().Dump().Clusters {
					for _, x := range c.Tasks {
						for _, g := range x.Targets {
							if x.Image == "v2" && g.Health == "healthy" {
								return true
							}
						}
					}
				}
				return false
			})
		})
	})
}

// turns waits for the new version to be well and then to be well no more, and
// wants the way back to begin in time and to end where it should.
func turns(t *testing.T, w *world.World, well func() bool) {
	t.Helper()
	begin := time.Now()
	look := func(what string, limit time.Duration, done func() bool) {
		for from := time.Now(); !done(); w.Tick(lookEvery) {
			if time.Since(from) > limit {
				report(t, w, what+": not within "+limit.String())
				t.FailNow()
			}
		}
	}
	look("the new version is well", 3*time.Minute, well)
	look("the wait", 5*time.Minute, func() bool {
		d, _ := w.Deployment("web", 2)
		i := d.Current()
		return i >= 0 && d.Stages[i].Type == "WAIT"
	})
	if !well() {
		t.Fatalf("after %s the new version is ill before the wait", time.Since(begin))
	}
	look("the new version turns bad", 10*time.Minute, func() bool { return !well() })
	bad := time.Now()
	look("the way back", turnsBack+lookEvery, func() bool {
		d, _ := w.Deployment("web", 2)
		return !d.RollbackAt.IsZero()
	})
	t.Logf("the way back began %s after the new version had turned bad", time.Since(bad))
	settle(w, 2, "")
	w.Tick(30 * time.Second)
	examine(t, w, "after the way back")
	if d, _ := w.Deployment("web", 2); d.Display() != "ROLLED_BACK" {
		report(t, w, "ended as "+d.Display())
	}
}
