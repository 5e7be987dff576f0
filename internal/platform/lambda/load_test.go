package lambda

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// files is an application with its manifest, by path.
type files map[string]string

func (f files) ReadFile(_ context.Context, p string) ([]byte, error) {
	s, ok := f[p]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(s), nil
}

const head = "apiVersion: pipecd.dev/v1beta1\nkind: LambdaApp\nspec:\n  name: shop\n"

const canary = `  pipeline:
    stages:
      - name: LAMBDA_CANARY_ROLLOUT
      - name: LAMBDA_PROMOTE
        with: {percent: 20}
      - name: LAMBDA_PROMOTE
        with: {percent: 100}
`

// full is a manifest with every field.
const full = `apiVersion: pipecd.dev/v1beta1
kind: LambdaFunction
spec:
  name: shop
  role: arn:aws:iam::123456789012:role/shop
  s3Bucket: builds
  s3Key: shop/17.zip
  s3ObjectVersion: q7
  handler: bootstrap
  runtime: provided.al2023
  memory: 512
  timeout: 30
  architectures: [{name: arm64}]
  ephemeralStorage: {size: 1024}
  environments: {GREETING: hello}
  tags: {team: shop}
  layers: ["arn:aws:lambda:eu-west-1:123456789012:layer:base:3"]
  vpcConfig: {securityGroupIds: [sg-1], subnetIds: [subnet-2, subnet-1]}
`

func manifest(lines string) string {
	return "apiVersion: pipecd.dev/v1beta1\nkind: LambdaFunction\nspec:\n" + lines
}

// small is a valid manifest but for one line in place of a field of it.
func small(field, line string) string {
	out := ""
	for _, f := range [][2]string{
		{"name", "  name: shop\n"}, {"role", "  role: arn:aws:iam::1:role/shop\n"}, {"image", "  image: demo:v1\n"}, {"memory", "  memory: 128\n"}, {"timeout", "  timeout: 3\n"},
	} {
		if f[0] != field {
			out += f[1]
		}
	}
	return manifest(out + line)
}

func load(t *testing.T, app, function string) (platform.Desired, error) {
	t.Helper()
	a, _, err := spec.ReadApplication("shop/app.pipecd.yaml", []byte(app))
	if err != nil {
		return platform.Desired{}, err
	}
	src := platform.Source{App: deploy.Ref{Name: "shop", Path: "shop"}, Config: a, Files: files{"shop/function.yaml": function}}
	return New(Options{}).Load(t.Context(), src)
}

func TestLoadTakesEveryField(t *testing.T) {
	d, err := load(t, head+canary, full)
	if err != nil || len(d.Warnings) > 0 {
		t.Fatal(err, d.Warnings)
	}
	got, err := platform.DecodeBody[desired]("desired state", d.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := &desired{
		Name: "shop", Alias: "Service", Settle: 10 * time.Second, Tags: tags{"team": "shop"}, Source: source{Bucket: "builds", Key: "shop/17.zip", ObjectVersion: "q7"},
		Config: config{
			Role: "arn:aws:iam::123456789012:role/shop", Handler: "bootstrap", Runtime: "provided.al2023", Memory: 512, Timeout: 30, Storage: 1024,
			Environment: map[string]string{"GREETING": "hello"}, Layers: []string{"arn:aws:lambda:eu-west-1:123456789012:layer:base:3"}, Architecture: "arm64",
			SecurityGroups: []string{"sg-1"}, Subnets: []string{"subnet-2", "subnet-1"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]deploy.Version{{Kind: "S3_OBJECT", Name: "shop/17.zip", Version: "q7", URL: "s3://builds/shop/17.zip"}}, d.Versions); diff != "" {
		t.Error(diff)
	}
}

func TestMistakesAreLocated(t *testing.T) {
	for name, c := range map[string]struct{ app, function, want string }{
		"no manifest":       {head + "  input: {functionManifestFile: other.yaml}\n", full, "app.pipecd.yaml:5:33: spec.input.functionManifestFile: the file shop/other.yaml does not exist"},
		"outside":           {head + "  input: {functionManifestFile: ../../x.yaml}\n", full, "lies outside of the repository"},
		"alias of digits":   {head + "  input: {alias: '12'}\n", full, "app.pipecd.yaml:5:18: spec.input.alias: must be 1 to 128 letters"},
		"percent":           {head + "  pipeline: {stages: [{name: LAMBDA_PROMOTE, with: {percent: 120}}]}\n", full, "app.pipecd.yaml:5:62: spec.pipeline.stages[0].with.percent: must be between 0 and 100"},
		"no object":         {head, "- a\n", "function.yaml:1:1: the file must hold one object"},
		"wrong kind":        {head, strings.Replace(full, "LambdaFunction", "Function", 1), "function.yaml:2:7: kind"},
		"no name":           {head, small("name", ""), "spec.name"},
		"an ARN as name":    {head, small("name", "  name: arn:aws:lambda:x:1:function:shop\n"), "function.yaml:8:9: spec.name: must be 1 to 64 letters"},
		"no ARN as role":    {head, small("role", "  role: shop\n"), "function.yaml:8:9: spec.role: must be the ARN of a role"},
		"memory":            {head, small("memory", "  memory: 64\n"), "function.yaml:8:11: spec.memory: must be between 128 and 32768, found 64"},
		"timeout":           {head, small("timeout", "  timeout: 901\n"), "function.yaml:8:12: spec.timeout: must be between 1 and 900"},
		"storage":           {head, small("", "  ephemeralStorage: {size: 100}\n"), "spec.ephemeralStorage.size: must be between 512 and 10240"},
		"no code":           {head, small("image", ""), "the manifest names no code"},
		"no handler":        {head, small("image", "  s3Bucket: b\n  s3Key: k\n  runtime: provided.al2023\n"), "spec.handler"},
		"no key":            {head, small("image", "  s3Bucket: b\n  handler: h\n  runtime: r\n"), "spec.s3Key"},
		"two architectures": {head, small("", "  architectures: [{name: arm64}, {name: x86_64}]\n"), "a function has one architecture, found 2"},
		"architecture":      {head, small("", "  architectures: [{name: arm}]\n"), "spec.architectures[0].name"},
		"our tags":          {head, small("", "  tags: {pipecd-dev-piped: x}\n"), "belongs to the deployment"},
		"layers and image":  {head, small("", "  layers: [a]\n"), "a function from an image has no layers"},
		"half a VPC":        {head, small("", "  vpcConfig: {subnetIds: [a]}\n"), "work only together"},
		"git":               {head, small("image", "  source: {git: x, ref: main}\n  handler: h\n  runtime: r\n"), "function.yaml:8:11: spec.source: functions are not built from git by this version"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.app, c.function)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestRemarks(t *testing.T) {
	for name, c := range map[string]struct{ function, want string }{
		"unknown key":          {small("", "  colour: red\n"), "colour"},
		"handler and image":    {small("", "  handler: h\n"), "the code is the image"},
		"object that may move": {small("image", "  s3Bucket: b\n  s3Key: k\n  handler: h\n  runtime: r\n"), "without its version"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := load(t, head, c.function)
			if err != nil || !strings.Contains(d.Warnings.String(), c.want) {
				t.Errorf("warnings %q (%v), want %q", d.Warnings, err, c.want)
			}
		})
	}
}

func TestImages(t *testing.T) {
	for ref, want := range map[string][2]string{
		"reg.example:5000/shop:v2": {"shop", "v2"}, "shop": {"shop", "latest"}, "a/b@sha256:77": {"b", "sha256:77"}, "a/b:v1@sha256:77": {"b", "v1"},
	} {
		if name, v := platform.SplitImage(ref); [2]string{name, v} != want {
			t.Errorf("%s: %s %s, want %v", ref, name, v, want)
		}
	}
}

// TestOrderAndDefaultsAreNoDifference: what AWS fills in or reorders is no drift; the order of layers is.
func TestOrderAndDefaultsAreNoDifference(t *testing.T) {
	base := config{Role: "r", Memory: 128, Timeout: 3, Storage: 512, Architecture: "x86_64", Layers: []string{"a", "b"}, Subnets: []string{"1", "2"}, SecurityGroups: []string{"s"}}
	same, other := base, base
	same.Storage, same.Architecture, same.Subnets = 0, "", []string{"2", "1"}
	other.Layers = []string{"b", "a"}
	if platform.Digest(configView(base)) != platform.Digest(configView(same)) {
		t.Error("defaults or the order of subnets are a difference")
	}
	if platform.Digest(configView(base)) == platform.Digest(configView(other)) {
		t.Error("the order of layers is no difference")
	}
}

// TestDriftHidesValues: a changed variable is drift, and neither value is shown.
func TestDriftHidesValues(t *testing.T) {
	d, err := load(t, head, small("", "  environments: {TOKEN: s3cret}\n"))
	if err != nil {
		t.Fatal(err)
	}
	des, _ := platform.DecodeBody[desired]("desired state", d.Body)
	conf := des.Config
	conf.Environment = map[string]string{"TOKEN": "0ther"}
	snap := &snapshot{
		Function: &function{Name: "shop"}, Alias: &alias{Version: "1"}, Versions: map[string]version{"1": {Number: "1", Config: conf, Image: "demo:v1", Package: packageImage}},
	}
	want, have := driftViews(des, snap)
	text := change.Diff(have, want, diffOptions()).Text()
	if !strings.Contains(text, "TOKEN") || strings.Contains(text, "s3cret") || strings.Contains(text, "0ther") {
		t.Errorf("drift: %s", text)
	}
}
