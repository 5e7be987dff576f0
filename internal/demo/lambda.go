package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// lambdaAlias is the alias that the function's URL belongs to: the default of applications.
const lambdaAlias = "Service"

// lambdaTarget is a function behind a function URL.
type lambdaTarget struct {
	w   *world
	url string
}

func (*lambdaTarget) prepare(context.Context) error { return nil } // function and alias are Penstock's to make

func (*lambdaTarget) provider() (name, kind string) { return "lambda", "LAMBDA" }

func (t *lambdaTarget) files(sc scenario, version string) map[string]string {
	return map[string]string{appDir + "/app.pipecd.yaml": lambdaAppFile(sc.share, t.w.opt.Wait, sc.approval), appDir + "/function.yaml": functionFile(version)}
}

func (*lambdaTarget) edited() string { return appDir + "/function.yaml" }

func (t *lambdaTarget) entrance() string { return t.url }

// open makes a URL for the alias that the first deployment created.
func (t *lambdaTarget) open(ctx context.Context) error {
	u, err := awslambda.NewFromConfig(t.w.cloud.AWSConfig()).CreateFunctionUrlConfig(ctx, &awslambda.CreateFunctionUrlConfigInput{
		FunctionName: aws.String(appDir), Qualifier: aws.String(lambdaAlias), AuthType: types.FunctionUrlAuthTypeNone,
	})
	if err != nil {
		return err
	}
	t.url = aws.ToString(u.FunctionUrl)
	return nil
}

// sample reads the alias. Its own version is the primary one, another one with a weight the canary.
func (t *lambdaTarget) sample() sample {
	s := sample{at: time.Now(), expected: map[string]float64{}, weights: map[string]float64{"primary": 0, "canary": 0}}
	for _, f := range t.w.cloud.Lambda().Dump().Functions {
		images := map[string]string{}
		for _, v := range f.Versions {
			_, images[v.Number], _ = strings.Cut(v.Code, ":")
		}
		for _, a := range f.Aliases {
			rest := 1.0
			for n, weight := range a.Weights {
				s.expected[images[n]] += weight
				s.weights["canary"] += 100 * weight
				rest -= weight
			}
			s.expected[images[a.Version]] += rest
			s.weights["primary"] += 100 * rest
		}
	}
	return s
}

// failedOnCanary is 0: a function URL does not tell which version failed, and in the scenarios of functions none does.
func (*lambdaTarget) failedOnCanary() int { return 0 }

// lambdaAppFile renders app.pipecd.yaml of a function.
func lambdaAppFile(share int, wait time.Duration, approval bool) string {
	stages := []string{
		"      - name: LAMBDA_CANARY_ROLLOUT",
		fmt.Sprintf("      - name: LAMBDA_PROMOTE\n        with: {percent: %d}", share),
		waitStages(wait, approval),
		"      - name: LAMBDA_PROMOTE\n        with: {percent: 100}",
	}
	return fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: LambdaApp
spec:
  name: shop
  labels:
    env: demo
  description: The demo's web shop as a function. Commit a change to %[1]s/function.yaml and watch it roll out.
  input:
    functionManifestFile: function.yaml
  pipeline:
    stages:
%[2]s
`, appDir, strings.Join(stages, "\n"))
}

// functionFile renders the function's manifest of a version.
func functionFile(version string) string {
	return fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: LambdaFunction
spec:
  name: %[1]s
  role: arn:aws:iam::123456789012:role/%[1]s
  image: demo:%[2]s
  memory: 256
  timeout: 10
  environments:
    GREETING: hello from %[2]s
  tags:
    team: shop
`, appDir, version)
}
