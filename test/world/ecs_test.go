package world_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/ecs"
	"github.com/penstock-cd/penstock/internal/platform/platformtest"
	"github.com/penstock-cd/penstock/internal/spec"
	"github.com/penstock-cd/penstock/test/world"
)

// files are the files of one version.
type files map[string]string

func (f files) ReadFile(_ context.Context, name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(text), nil
}

func ecsFiles(a *world.AWS, version int) files {
	group := func(arn string) string {
		return "{targetGroupArn: '" + arn + "', containerName: web, containerPort: 80}"
	}
	return files{
		"web/app.pipecd.yaml": `apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: web
  input:
    serviceDefinitionFile: servicedef.yaml
    taskDefinitionFile: taskdef.yaml
    targetGroups:
      primary: ` + group(a.Primary) + `
      canary: ` + group(a.Canary) + `
  pipeline:
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
		"web/servicedef.yaml": `cluster: demo
serviceName: web
desiredCount: 2
deploymentController: {type: EXTERNAL}
launchType: FARGATE
networkConfiguration:
  awsvpcConfiguration: {subnets: [subnet-1], assignPublicIp: ENABLED}
`,
		"web/taskdef.yaml": fmt.Sprintf(`family: web
networkMode: awsvpc
cpu: '256'
memory: '512'
requiresCompatibilities: [FARGATE]
containerDefinitions:
- name: web
  image: demo:v%d
  portMappings: [{containerPort: 80}]
`, version),
	}
}

// ecsSubject is ECS on a local cloud of its own, with files of each version.
func ecsSubject(t *testing.T, of func(a *world.AWS, version int) files) platformtest.Subject {
	t.Helper()
	config, _, err := spec.Parse("provider", []byte("region: us-east-1\nsettleTime: 5s\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := world.NewAWS(t)
	t.Cleanup(func() { a.Close(t) })
	return platformtest.Subject{
		Sleep: time.Sleep,
		Platform: func() platform.Platform {
			return ecs.New(ecs.Options{HTTPClient: &http.Client{Transport: a.Cloud.Transport()}, Endpoint: a.Cloud.Endpoint(), Credentials: a.Credentials()})
		},
		App:      deploy.Ref{ID: "app", Name: "web", Kind: ecs.Kind, AgentID: "agent", Path: "web", ConfigFile: "app.pipecd.yaml"},
		Provider: config,
		Source: func(v int) platform.Source {
			f := of(a, v)
			app, _, err := spec.ReadApplication("web/app.pipecd.yaml", []byte(f["web/app.pipecd.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			return platform.Source{App: deploy.Ref{ID: "app", Name: "web", Path: "web"}, Config: app, Files: f, ProviderConfig: config}
		},
	}
}

// TestECSPassesTheSuite holds ECS, on the local cloud, to the contract of all
// platforms.
func TestECSPassesTheSuite(t *testing.T) {
	platformtest.Run(t, func(t *testing.T) platformtest.Subject { return ecsSubject(t, ecsFiles) })
}
