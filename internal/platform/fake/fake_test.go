package fake_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/fake"
	"github.com/penstock-cd/penstock/internal/platform/platformtest"
	"github.com/penstock-cd/penstock/internal/spec"
)

const file = `apiVersion: pipecd.dev/v1beta1
kind: FakeApp
spec:
  name: web
  input:
    version: v%d
    startAfter: 3s
  pipeline:
    stages:
    - name: FAKE_CANARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {canary: 20}
    - name: FAKE_PRIMARY_ROLLOUT
    - name: FAKE_TRAFFIC_ROUTING
      with: {primary: 100}
    - name: FAKE_CANARY_CLEAN
`

type noFiles struct{}

func (noFiles) ReadFile(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }

func source(t *testing.T, text string) platform.Source {
	t.Helper()
	app, _, err := spec.ReadApplication("web/app.pipecd.yaml", []byte(text), fake.KindInfo())
	if err != nil {
		t.Fatal(err)
	}
	return platform.Source{Config: app, Files: noFiles{}}
}

// TestSuite: the fake platform is held to the contract of all platforms, and
// no run leaves a group with traffic without capacity.
func TestSuite(t *testing.T) {
	platformtest.Run(t, func(t *testing.T) platformtest.Subject {
		c := fake.NewCloud("fake/1")
		c.RouteLag, c.Latency = 8*time.Second, 10*time.Millisecond
		t.Cleanup(func() {
			for _, b := range c.Broken() {
				t.Error(b)
			}
		})
		return platformtest.Subject{
			Sleep:    time.Sleep,
			Platform: func() platform.Platform { return fake.New(fake.Options{Cloud: c, By: "a1"}) },
			App:      deploy.Ref{ID: "app", Name: "web", Kind: fake.Kind},
			Source:   func(v int) platform.Source { return source(t, fmt.Sprintf(file, v)) },
		}
	})
}

func TestMistakesInFiles(t *testing.T) {
	p := fake.New(fake.Options{Cloud: fake.NewCloud("x")})
	for name, c := range map[string]struct{ input, want string }{
		"unknown key":      {"version: v1\n    verion: v2", "web/app.pipecd.yaml:6:"},
		"no version":       {"replicas: 2", "version"},
		"too few replicas": {"version: v1\n    replicas: -1", "replicas is -1"},
		"missing file":     {"manifest: m.yaml", "web/m.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.Load(t.Context(), source(t, "apiVersion: pipecd.dev/v1beta1\nkind: FakeApp\nspec:\n  input:\n    "+c.input+"\n"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestCloudSeesBrokenTraffic: what the invariants rest on is itself tried.
func TestCloudSeesBrokenTraffic(t *testing.T) {
	for name, c := range map[string]struct {
		mistake fake.Mistake
		want    bool
	}{
		"none":                 {fake.NoMistake, false},
		"canary before weight": {fake.CanaryBeforeWeight, true},
		"settle skipped":       {fake.SettleSkipped, true},
		"health not awaited":   {fake.HealthNotAwaited, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cloud := fake.NewCloud("x")
				cloud.RouteLag = 8 * time.Second
				s := platformtest.Subject{
					Sleep:    time.Sleep,
					Platform: func() platform.Platform { return fake.New(fake.Options{Cloud: cloud, Mistake: c.mistake}) },
					App:      deploy.Ref{ID: "app", Name: "web", Kind: fake.Kind},
					Source:   func(v int) platform.Source { return source(t, fmt.Sprintf(file, v)) },
				}
				platformtest.Deploy(t, s, 1, deploy.StrategyQuick)
				platformtest.Deploy(t, s, 2, deploy.StrategyPipeline)
				if got := len(cloud.Broken()) > 0; got != c.want {
					t.Errorf("broken: %v", cloud.Broken())
				}
			})
		})
	}
}

// TestTokensMakeOnce: a creation that comes again with its token makes nothing.
func TestTokensMakeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := fake.NewCloud("x")
		lost := 0
		cloud.Intercept(func(w fake.Write) fake.Verdict {
			if w.Op == "create" && lost == 0 {
				lost++
				return fake.Verdict{Err: context.DeadlineExceeded} // done, but the caller does not know
			}
			return fake.Verdict{}
		}, nil)
		s := platformtest.Subject{
			Sleep:    time.Sleep,
			Platform: func() platform.Platform { return fake.New(fake.Options{Cloud: cloud}) },
			App:      deploy.Ref{ID: "app", Name: "web", Kind: fake.Kind},
			Source:   func(v int) platform.Source { return source(t, fmt.Sprintf(file, v)) },
		}
		platformtest.Deploy(t, s, 1, deploy.StrategyQuick)
		if created, repeated := cloud.Created(); created != 1 || repeated != 1 {
			t.Errorf("created %d, repeated %d", created, repeated)
		}
	})
}
