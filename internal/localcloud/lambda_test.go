package localcloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// setup is how long functions are set up in these tests.
const setup = 2 * time.Second

// functions is a world with a client for Lambda.
type functions struct {
	*world
	api *awslambda.Client
}

func inFunctions(t *testing.T, o worldOptions, f func(w functions)) {
	t.Helper()
	if o.Profile.Name == "" {
		o.Profile = Profile{Name: "test", Nodes: 1, FunctionSetup: setup}
	}
	inWorld(t, o, func(w *world) {
		f(functions{w, awslambda.NewFromConfig(w.cloud.AWSConfig(), func(o *awslambda.Options) { o.Retryer = aws.NopRetryer{} })})
	})
}

var (
	fn   = aws.String("shop")
	live = aws.String("live")
)

func (w functions) create(image string) {
	w.t.Helper()
	got(w.api.CreateFunction(w.ctx, &awslambda.CreateFunctionInput{
		FunctionName: fn, Role: aws.String("arn:aws:iam::123456789012:role/shop"), PackageType: types.PackageTypeImage, Code: &types.FunctionCode{ImageUri: &image},
		Tags: map[string]string{"team": "shop"},
	}))(w.t)
}

// publish brings code to $LATEST and publishes it.
func (w functions) publish(image string) string {
	w.t.Helper()
	got(w.api.UpdateFunctionCode(w.ctx, &awslambda.UpdateFunctionCodeInput{FunctionName: fn, ImageUri: &image}))(w.t)
	time.Sleep(setup + time.Second)
	return *got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn}))(w.t).Version
}

func (w functions) state() string {
	w.t.Helper()
	c := got(w.api.GetFunctionConfiguration(w.ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: fn}))(w.t)
	return string(c.State) + " " + string(c.LastUpdateStatus)
}

// TestFunctionStates: Pending, then Active; InProgress, then Successful or Failed; what comes meanwhile is refused.
func TestFunctionStates(t *testing.T) {
	inFunctions(t, worldOptions{Behaviours: map[string]memory.Behaviour{"bad": {FailToStart: true, FailReason: "no entry point"}}}, func(w functions) {
		w.create("v1")
		if got := w.state(); got != "Pending " {
			t.Errorf("created: %s", got)
		}
		_, err := w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn})
		refused(t, err, "ResourceConflictException", "in the following state: Pending")
		_, err = w.api.Invoke(w.ctx, &awslambda.InvokeInput{FunctionName: fn})
		refused(t, err, "ResourceConflictException", "Pending")
		time.Sleep(setup + time.Second)
		if got := w.state(); got != "Active Successful" {
			t.Errorf("set up: %s", got)
		}
		got(w.api.UpdateFunctionConfiguration(w.ctx, &awslambda.UpdateFunctionConfigurationInput{FunctionName: fn, MemorySize: aws.Int32(256)}))(t)
		if got := w.state(); got != "Active InProgress" {
			t.Errorf("updated: %s", got)
		}
		_, err = w.api.UpdateFunctionCode(w.ctx, &awslambda.UpdateFunctionCodeInput{FunctionName: fn, ImageUri: aws.String("v2")})
		refused(t, err, "ResourceConflictException", "An update is in progress")
		got(w.api.Invoke(w.ctx, &awslambda.InvokeInput{FunctionName: fn}))(t) // as it was before
		time.Sleep(setup + time.Second)
		got(w.api.UpdateFunctionCode(w.ctx, &awslambda.UpdateFunctionCodeInput{FunctionName: fn, ImageUri: aws.String("bad")}))(t)
		time.Sleep(setup + time.Second)
		c := got(w.api.GetFunction(w.ctx, &awslambda.GetFunctionInput{FunctionName: fn}))(t)
		if c.Configuration.LastUpdateStatus != types.LastUpdateStatusFailed || aws.ToString(c.Configuration.LastUpdateStatusReason) != "no entry point" || c.Tags["team"] != "shop" {
			t.Errorf("%+v", c.Configuration)
		}
		_, err = w.api.UpdateFunctionCode(w.ctx, &awslambda.UpdateFunctionCodeInput{FunctionName: fn, ImageUri: aws.String("missing")})
		refused(t, err, "InvalidParameterValueException", "does not exist")
	})
}

// TestVersions: they count up, do not change, and are not published twice for nothing.
func TestVersions(t *testing.T) {
	inFunctions(t, worldOptions{}, func(w functions) {
		w.create("v1")
		time.Sleep(setup + time.Second)
		one := got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn, Description: aws.String("first")}))(t)
		again := got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn, Description: aws.String("second")}))(t)
		if *one.Version != "1" || *again.Version != "1" || *again.Description != "first" {
			t.Errorf("published %s, again %s %q", *one.Version, *again.Version, *again.Description)
		}
		if two := w.publish("v2"); two != "2" {
			t.Errorf("published %s", two)
		}
		old := got(w.api.GetFunction(w.ctx, &awslambda.GetFunctionInput{FunctionName: fn, Qualifier: aws.String("1")}))(t)
		if *old.Code.ImageUri != "v1" || old.Tags != nil || !strings.HasSuffix(*old.Configuration.FunctionArn, ":function:shop:1") {
			t.Errorf("version 1 is %+v", old)
		}
		_, err := w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn, CodeSha256: one.CodeSha256})
		refused(t, err, "InvalidParameterValueException", "CodeSHA256")
		_, err = w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn, RevisionId: aws.String("x")})
		refused(t, err, "PreconditionFailedException", "RevisionId")
		time.Sleep(setup + time.Second)
		got(w.api.DeleteFunction(w.ctx, &awslambda.DeleteFunctionInput{FunctionName: fn, Qualifier: aws.String("2")}))(t)
		if three := w.publish("v3"); three != "3" {
			t.Errorf("behind a deleted version comes %s", three)
		}
		var numbers []string
		for _, v := range got(w.api.ListVersionsByFunction(w.ctx, &awslambda.ListVersionsByFunctionInput{FunctionName: fn}))(t).Versions {
			numbers = append(numbers, *v.Version)
		}
		if diff := cmp.Diff([]string{"$LATEST", "1", "3"}, numbers); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAliases: weights need two published versions of one role, writes the present revision; what is left out stays.
func TestAliases(t *testing.T) {
	inFunctions(t, worldOptions{}, func(w functions) {
		w.create("v1")
		time.Sleep(setup + time.Second)
		w.publish("v2")
		w.publish("v3")
		a := got(w.api.CreateAlias(w.ctx, &awslambda.CreateAliasInput{FunctionName: fn, Name: live, FunctionVersion: aws.String("1")}))(t)
		_, err := w.api.CreateAlias(w.ctx, &awslambda.CreateAliasInput{FunctionName: fn, Name: live, FunctionVersion: aws.String("1")})
		refused(t, err, "ResourceConflictException", "already exists")
		split := func(weights map[string]float64, revision *string) (*awslambda.UpdateAliasOutput, error) {
			return w.api.UpdateAlias(w.ctx, &awslambda.UpdateAliasInput{
				FunctionName: fn, Name: live, RevisionId: revision, RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: weights},
			})
		}
		b := got(split(map[string]float64{"2": 0.2}, a.RevisionId))(t)
		_, err = split(map[string]float64{"2": 0.3}, a.RevisionId)
		refused(t, err, "PreconditionFailedException", "RevisionId")
		for weights, want := range map[string]string{`{"1": 0.2}`: "already included", `{"$LATEST": 0.2}`: "$LATEST", `{"2": 1.5}`: "between 0 and 1", `{"7": 0.1}`: "not found"} {
			var m map[string]float64
			must(t, json.Unmarshal([]byte(weights), &m))
			if _, err := split(m, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", weights, err, want)
			}
		}
		c := got(w.api.UpdateAlias(w.ctx, &awslambda.UpdateAliasInput{FunctionName: fn, Name: live, Description: aws.String("x"), RevisionId: b.RevisionId}))(t)
		if c.RoutingConfig.AdditionalVersionWeights["2"] != 0.2 || *c.RevisionId == *b.RevisionId {
			t.Errorf("what was left out did not stay: %+v", c)
		}
		_, err = w.api.DeleteFunction(w.ctx, &awslambda.DeleteFunctionInput{FunctionName: fn, Qualifier: aws.String("2")})
		refused(t, err, "ResourceConflictException", "referenced by alias live")
		_, err = w.api.GetAlias(w.ctx, &awslambda.GetAliasInput{FunctionName: fn, Name: aws.String("other")})
		var gone *types.ResourceNotFoundException
		if !errors.As(err, &gone) {
			t.Errorf("an unknown alias: %v", err)
		}
	})
}

// TestWeightsPerInvocation: 20 % of the invocations of an alias are answered by the other version.
func TestWeightsPerInvocation(t *testing.T) {
	inFunctions(t, worldOptions{}, func(w functions) {
		w.create("v1")
		time.Sleep(setup + time.Second)
		got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn}))(t)
		w.publish("v2")
		time.Sleep(setup + time.Second)
		got(w.api.CreateAlias(w.ctx, &awslambda.CreateAliasInput{
			FunctionName: fn, Name: live, FunctionVersion: aws.String("1"), RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: map[string]float64{"2": 0.2}},
		}))(t)
		const n = 2000
		counts := map[string]int{}
		for range n {
			out := got(w.api.Invoke(w.ctx, &awslambda.InvokeInput{FunctionName: aws.String("shop:live"), Payload: []byte(`{}`)}))(t)
			counts[*out.ExecutedVersion]++
		}
		if share := float64(counts["2"]) / n; counts["1"]+counts["2"] != n || math.Abs(share-0.2) > 0.03 {
			t.Errorf("answered: %v", counts)
		}
	})
}

// TestFunctionURL: a request becomes an event, the answer a response; a URL goes with its alias.
func TestFunctionURL(t *testing.T) {
	inFunctions(t, worldOptions{}, func(w functions) {
		w.create("v1")
		time.Sleep(setup + time.Second)
		got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn}))(t)
		time.Sleep(setup + time.Second)
		got(w.api.CreateAlias(w.ctx, &awslambda.CreateAliasInput{FunctionName: fn, Name: live, FunctionVersion: aws.String("1")}))(t)
		u := got(w.api.CreateFunctionUrlConfig(w.ctx, &awslambda.CreateFunctionUrlConfigInput{FunctionName: fn, Qualifier: live, AuthType: types.FunctionUrlAuthTypeNone}))(t)
		same := got(w.api.GetFunctionUrlConfig(w.ctx, &awslambda.GetFunctionUrlConfigInput{FunctionName: fn, Qualifier: live}))(t)
		id, _, _ := strings.Cut(strings.TrimPrefix(*u.FunctionUrl, "http://"), ".")
		ask := func() *http.Response {
			rec := httptest.NewRecorder()
			w.cloud.Lambda().ServeURL(id, rec, httptest.NewRequest(http.MethodGet, *u.FunctionUrl, nil))
			return rec.Result()
		}
		res := ask()
		body, _ := io.ReadAll(res.Body)
		if *same.FunctionUrl != *u.FunctionUrl || res.StatusCode != 200 || string(body) != `{"code":"v1","version":"1"}` {
			t.Errorf("%s answers %d %s", *u.FunctionUrl, res.StatusCode, body)
		}
		got(w.api.DeleteAlias(w.ctx, &awslambda.DeleteAliasInput{FunctionName: fn, Name: live}))(t)
		if res := ask(); res.StatusCode != http.StatusNotFound {
			t.Errorf("the URL of a deleted alias answers %d", res.StatusCode)
		}
	})
}

// TestFunctionTags: they belong to the function, and ARNs with a qualifier have none.
func TestFunctionTags(t *testing.T) {
	inFunctions(t, worldOptions{}, func(w functions) {
		w.create("v1")
		arn := aws.String("arn:aws:lambda:us-east-1:123456789012:function:shop")
		got(w.api.TagResource(w.ctx, &awslambda.TagResourceInput{Resource: arn, Tags: map[string]string{"a": "1", "b": "2"}}))(t)
		got(w.api.UntagResource(w.ctx, &awslambda.UntagResourceInput{Resource: arn, TagKeys: []string{"a", "team"}}))(t)
		if diff := cmp.Diff(map[string]string{"b": "2"}, got(w.api.ListTags(w.ctx, &awslambda.ListTagsInput{Resource: arn}))(t).Tags); diff != "" {
			t.Error(diff)
		}
		_, err := w.api.ListTags(w.ctx, &awslambda.ListTagsInput{Resource: aws.String(*arn + ":live")})
		refused(t, err, "InvalidParameterValueException", "not supported")
	})
}

// TestFunctionFaults: throttling has Lambda's own form, and a lost answer is one whose call took effect.
func TestFunctionFaults(t *testing.T) {
	p := Profile{Name: "limited", Nodes: 1, Throttle: map[string]Bucket{"lambda:write": {Burst: 2, Rate: 0.001}}}
	inFunctions(t, worldOptions{Profile: p}, func(w functions) {
		w.create("v1")
		time.Sleep(time.Second)
		got(w.cloud.Inject(Fault{Operation: "lambda.PublishVersion", LostResponse: true, Count: 1}))(t)
		if _, err := w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn}); err == nil {
			t.Error("a lost answer arrived")
		}
		if n := len(w.cloud.Lambda().Dump().Functions[0].Versions); n != 1 {
			t.Errorf("%d versions behind a call whose answer was lost", n)
		}
		_, err := w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn})
		refused(t, err, "TooManyRequestsException", "Rate exceeded")
		time.Sleep(time.Second)
		got(w.api.Invoke(w.ctx, &awslambda.InvokeInput{FunctionName: fn}))(t) // no part of the control plane
	})
}

// TestFunctionsSurviveARestart: what was being set up begins that again.
func TestFunctionsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	inFunctions(t, worldOptions{StateDir: dir}, func(w functions) {
		w.create("v1")
		time.Sleep(setup + time.Second)
		got(w.api.PublishVersion(w.ctx, &awslambda.PublishVersionInput{FunctionName: fn}))(t)
	})
	body, err := os.ReadFile(dir + "/" + stateFile)
	if err != nil || !bytes.Contains(body, []byte("shop")) {
		t.Fatal(err, "nothing was kept")
	}
	inFunctionsAgain(t, dir, func(w functions) {
		time.Sleep(setup + time.Second)
		f := w.cloud.Lambda().Dump().Functions[0]
		if f.Name != "shop" || len(f.Versions) != 1 || f.Versions[0].State != "Active" {
			t.Errorf("kept: %+v", f)
		}
	})
}

// inFunctionsAgain opens a cloud on the state that another one left.
func inFunctionsAgain(t *testing.T, dir string, f func(w functions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, worldOptions{StateDir: dir, Profile: Profile{Name: "test", Nodes: 1, FunctionSetup: setup}})
		defer w.close()
		f(functions{w, awslambda.NewFromConfig(w.cloud.AWSConfig())})
	})
}
