package world_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/lambda"
	"github.com/penstock-cd/penstock/internal/platform/platformtest"
	"github.com/penstock-cd/penstock/internal/spec"
	"github.com/penstock-cd/penstock/test/world"
)

// lambdaSubject is Lambda on a local cloud of its own.
func lambdaSubject(t *testing.T) platformtest.Subject {
	t.Helper()
	config, _, err := spec.Parse("provider", []byte("region: us-east-1\nsettleTime: 5s\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := world.NewAWS(t)
	t.Cleanup(func() { a.Close(t) })
	// The platform knows nothing between two steps but its clients, whose making takes most of the time.
	p := lambda.New(lambda.Options{HTTPClient: &http.Client{Transport: a.Cloud.Transport()}, Endpoint: a.Cloud.Endpoint(), Credentials: a.Credentials()})
	return platformtest.Subject{
		Sleep:    time.Sleep,
		Platform: func() platform.Platform { return p },
		App:      deploy.Ref{ID: "app", Name: "web", Kind: lambda.Kind, AgentID: "agent", Path: "web", ConfigFile: "app.pipecd.yaml"},
		Provider: config,
		Source: func(v int) platform.Source {
			f := files(world.LambdaFiles("web", fmt.Sprintf("demo:v%d", v), world.LambdaCanary))
			app, _, err := spec.ReadApplication("web/app.pipecd.yaml", []byte(f["web/app.pipecd.yaml"]))
			if err != nil {
				t.Fatal(err)
			}
			return platform.Source{App: deploy.Ref{ID: "app", Name: "web", Path: "web"}, Config: app, Files: f, ProviderConfig: config}
		},
	}
}

// TestLambdaPassesTheSuite holds Lambda, on the local cloud, to the contract of all platforms.
func TestLambdaPassesTheSuite(t *testing.T) { platformtest.Run(t, lambdaSubject) }
