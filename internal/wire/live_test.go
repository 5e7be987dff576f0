package wire_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/wire"
)

func TestLiveStateSurvivesTheWire(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 5, time.UTC)
	for name, want := range map[string]deploy.LiveState{
		"empty": {},
		"full": {
			At: at, Digest: "d1", Health: deploy.HealthProgressing, Truncated: 3,
			Resources: []deploy.Resource{
				{ID: "s", Kind: "Service", Name: "web", Health: deploy.HealthHealthy},
				{ID: "t", Parent: "s", Kind: "TaskSet", Name: "a", Health: deploy.HealthUnhealthy, Status: "ACTIVE", Variant: "canary", Version: "v2", Fields: map[string]string{"cpu": "256"}, Created: at, Reason: deploy.Why("ECS_TASKS_FAILING", "count", "3"), Events: []deploy.ResourceEvent{{At: at, Text: "(service web) failed"}}, URL: "https://console.example/x"},
			},
			Traffic: []deploy.Traffic{{Route: "rule", Groups: []deploy.Share{
				{Group: "blue", Variant: "primary", Percent: 80, Healthy: 2, Total: 3, Versions: map[string]int{"v1": 2}},
				{Group: "green", Percent: 20},
			}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := proto.Marshal(wire.LiveState(want))
			if err != nil {
				t.Fatal(err)
			}
			var m penstockv1.LiveState
			if err := proto.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, wire.LiveStateFromWire(&m)); diff != "" {
				t.Errorf("the state changed on its way (-sent +got):\n%s", diff)
			}
		})
	}
}
