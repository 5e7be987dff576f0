package world

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/localcloud/lambda"
	platformlambda "github.com/penstock-cd/penstock/internal/platform/lambda"
	"github.com/penstock-cd/penstock/internal/store"
)

// lambdaAlias is the alias of every function.
const lambdaAlias = "Service"

// LambdaCanary is a pipeline of a function, below spec.
const LambdaCanary = `  pipeline:
    stages:
    - name: LAMBDA_CANARY_ROLLOUT
    - name: LAMBDA_PROMOTE
      with: {percent: 20}
    - name: WAIT
      with: {duration: 60s}
    - name: LAMBDA_PROMOTE
      with: {percent: 100}
`

// LambdaFiles are the files of a function from an image, with a pipeline (what stands below spec, two spaces deep) and more
// lines of the manifest.
func LambdaFiles(name, image, body string, more ...string) map[string]string {
	return map[string]string{
		AppFile(name): "apiVersion: pipecd.dev/v1beta1\nkind: LambdaApp\nspec:\n  name: " + name + "\n  input:\n    functionManifestFile: function.yaml\n" + body,
		path.Join(name, "function.yaml"): "apiVersion: pipecd.dev/v1beta1\nkind: LambdaFunction\nspec:\n  name: " + name + "\n  role: arn:aws:iam::123456789012:role/" + name +
			"\n  image: " + image + "\n  memory: 512\n  timeout: 10\n  environments:\n    IMAGE: " + image + "\n  tags:\n    team: shop\n" + strings.Join(more, ""),
	}
}

// CommitLambda commits a version of a function.
func (w *World) CommitLambda(name, image, body string) string {
	w.T.Helper()
	return w.Commit("main", name+" "+image, LambdaFiles(name, image, body))
}

// lambdaPlatform is the platform of one agent process, or of somebody who looks on.
func lambdaPlatform(a *AWS, client *http.Client) *platformlambda.Platform {
	return platformlambda.New(platformlambda.Options{HTTPClient: client, Endpoint: a.Cloud.Endpoint(), Credentials: a.Credentials()})
}

// restOp names the operation of a call to Lambda.
func restOp(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 2 {
		return ""
	}
	if parts[1] == "tags" {
		return map[string]string{http.MethodGet: "ListTags", http.MethodPost: "TagResource", http.MethodDelete: "UntagResource"}[r.Method]
	}
	key := r.Method
	if len(parts) > 2 {
		key += " name"
	}
	for i, p := range parts[min(3, len(parts)):] {
		if i == 0 {
			key += " " + p
		} else {
			key += " x"
		}
	}
	return map[string]string{
		"POST": "CreateFunction", "GET name": "GetFunction", "DELETE name": "DeleteFunction", "GET name configuration": "GetFunctionConfiguration",
		"PUT name configuration": "UpdateFunctionConfiguration", "PUT name code": "UpdateFunctionCode", "POST name versions": "PublishVersion",
		"GET name versions": "ListVersionsByFunction", "POST name aliases": "CreateAlias", "GET name aliases": "ListAliases", "GET name aliases x": "GetAlias",
		"PUT name aliases x": "UpdateAlias", "DELETE name aliases x": "DeleteAlias",
	}[key]
}

// function finds a function of the cloud.
func (a *AWS) function(name string) (lambda.DumpFunction, bool) {
	for _, f := range a.Cloud.Lambda().Dump().Functions {
		if f.Name == name {
			return f, true
		}
	}
	return lambda.DumpFunction{}, false
}

// Alias describes where the alias of a function sends to, by image: "demo:v1 80 demo:v2 20"; "none" without function or alias.
func (a *AWS) Alias(name string) string {
	f, _ := a.function(name)
	code := map[string]string{}
	for _, v := range f.Versions {
		code[v.Number] = v.Code
	}
	for _, al := range f.Aliases {
		if al.Name != lambdaAlias {
			continue
		}
		rest, text := 100.0, ""
		for n, weight := range al.Weights {
			rest -= 100 * weight
			text += fmt.Sprintf(" %s %.4g", code[n], 100*weight)
		}
		return fmt.Sprintf("%s %.4g%s", code[al.Version], rest, text)
	}
	return "none"
}

// Published lists the versions of a function that there are, by image.
func (a *AWS) Published(name string) string {
	f, ok := a.function(name)
	if !ok {
		return "none"
	}
	var out []string
	for _, v := range f.Versions {
		out = append(out, v.Number+":"+v.Code)
	}
	return strings.Join(out, " ")
}

// LiveFunction makes a function with a version and an alias as somebody without Penstock would: no tags, no record.
func (a *AWS) LiveFunction(ctx context.Context, name, image string) error {
	_, err := a.Lambda.CreateFunction(ctx, &awslambda.CreateFunctionInput{
		FunctionName: &name, Role: aws.String("arn:aws:iam::123456789012:role/" + name), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &image},
		Publish: true,
	})
	if err != nil {
		return err
	}
	_, err = a.Lambda.CreateAlias(ctx, &awslambda.CreateAliasInput{FunctionName: &name, Name: aws.String(lambdaAlias), FunctionVersion: aws.String("1")})
	return err
}

// SetAlias changes an alias as somebody else would: to a version alone.
func (a *AWS) SetAlias(name, number string) error {
	_, err := a.Lambda.UpdateAlias(context.Background(), &awslambda.UpdateAliasInput{
		FunctionName: &name, Name: aws.String(lambdaAlias), FunctionVersion: &number, RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{}},
	})
	return err
}

// invoke sends an event to every function that has been served once, and counts what fails.
func (a *AWS) invoke() {
	for _, f := range a.Cloud.Lambda().Dump().Functions {
		if len(f.Aliases) == 0 {
			continue
		}
		version, res, err := a.Cloud.Lambda().Call(context.Background(), f.Name, lambdaAlias, []byte(`{}`))
		if err == nil && res.Error == "" {
			continue
		}
		a.mu.Lock()
		a.failures++
		if len(a.failed) < 5 {
			a.failed = append(a.failed, fmt.Sprintf("function %s version %s: %v %s", f.Name, version, err, res.Payload))
		}
		a.mu.Unlock()
	}
}

// checkFunctions checks that aliases send only to versions that are there and Active.
func (w *World) checkFunctions() {
	for _, f := range w.AWS.Cloud.Lambda().Dump().Functions {
		state := map[string]string{}
		for _, v := range f.Versions {
			state[v.Number] = v.State
		}
		for _, a := range f.Aliases {
			to := []string{a.Version}
			for n, weight := range a.Weights {
				if weight > 0 {
					to = append(to, n)
				}
			}
			for _, n := range to {
				if state[n] != "Active" {
					w.once(fmt.Sprintf("alias %s of %s sends to version %s, which is %q", a.Name, f.Name, n, state[n]))
				}
			}
		}
	}
}

// checkLambdaEnd checks the newest deployment of a function at rest.
func (w *World) checkLambdaEnd(tx store.Tx, a deploy.Application) error {
	d, ok, err := w.ending(tx, a)
	if err != nil || !ok {
		return err
	}
	live, err := w.observeWith(context.Background(), lambdaPlatform(w.AWS, &http.Client{Transport: w.AWS.Cloud.Transport()}), d)
	if err != nil {
		w.Problemf("observe %s: %v", a.Name, err)
		return nil
	}
	text := w.AWS.Alias(a.Name)
	switch {
	case d.End == deploy.EndDeclared && live.Digest != d.LiveDigest && d.LiveDigest != "":
		w.Problemf("%s of %s is DECLARED with digest %.8s, live is %.8s: %s", d.ID, a.Name, d.LiveDigest, live.Digest, text)
	case d.End == deploy.EndSnapshot && d.Plan.FirstDeploy && live.Exists:
		w.Problemf("%s of %s went back to nothing, live is %s", d.ID, a.Name, text)
	case d.End == deploy.EndSnapshot && !d.Plan.FirstDeploy && live.Digest != d.Plan.LiveDigest:
		w.Problemf("%s of %s is SNAPSHOT, but live is %s", d.ID, a.Name, text)
	case d.End == deploy.EndDeclared && !strings.HasSuffix(text, " 100"):
		w.Problemf("%s of %s is DECLARED, but the alias sends to %s", d.ID, a.Name, text)
	}
	return nil
}

// leftVersions lists the versions that a deployment published and no ledger keeps.
func (w *World) leftVersions(fine func(token string) bool, open map[string]bool) (left []string) {
	for _, f := range w.AWS.Cloud.Lambda().Dump().Functions {
		if open[f.Tags[tagDeployment]] {
			continue
		}
		for _, v := range f.Versions {
			_, token, ours := strings.Cut(v.Description, "(penstock ")
			if token = strings.TrimSuffix(token, ")"); ours && !fine(token) {
				left = append(left, f.Name+":"+v.Number)
			}
		}
	}
	return left
}
