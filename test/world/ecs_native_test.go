package world_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform/platformtest"
	"github.com/penstock-cd/penstock/test/world"
)

// TestNativeECSPassesTheSuite holds services of the deployment controller ECS, on
// the local cloud, to the contract of all platforms.
func TestNativeECSPassesTheSuite(t *testing.T) {
	const (
		canary = "CANARY, canaryConfiguration: {canaryBakeTimeInMinutes: 0}"
		linear = "LINEAR, linearConfiguration: {stepBakeTimeInMinutes: 0}"
	)
	pipelines := map[string]string{
		"ROLLING": `  pipeline:
    stages:
    - name: ECS_PRIMARY_ROLLOUT
`,
		canary: `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 50}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: ECS_PRIMARY_ROLLOUT
    - name: ECS_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: ECS_CANARY_CLEAN
`,
		"BLUE_GREEN": `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 100}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 100}
    - name: ECS_CANARY_CLEAN
`,
		linear: `  pipeline:
    stages:
    - name: ECS_CANARY_ROLLOUT
      with: {scale: 100}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 25}
    - name: ECS_TRAFFIC_ROUTING
      with: {canary: 75}
    - name: ECS_PRIMARY_ROLLOUT
`,
	}
	subject := func(t *testing.T, strategy string) platformtest.Subject {
		return ecsSubject(t, func(a *world.AWS, v int) files {
			return a.NativeFiles("web", fmt.Sprintf("demo:v%d", v), strategy, pipelines[strategy])
		})
	}
	// The other strategies go the same steps with other shares: there and back again, which exchanges the target groups.
	for _, strategy := range []string{linear, "BLUE_GREEN", "ROLLING"} {
		t.Run(strategy[:6], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := subject(t, strategy)
				platformtest.Deploy(t, s, 1, deploy.StrategyQuick)
				for v := 2; v <= 4; v++ {
					platformtest.Deploy(t, s, v, deploy.StrategyPipeline)
				}
			})
		})
	}
	platformtest.Run(t, func(t *testing.T) platformtest.Subject { return subject(t, canary) })
}
