package awswire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/aws/smithy-go/middleware"
)

const sdk = "github.com/aws/aws-sdk-go-v2/service/"

// served lists, per SDK module, the operations the local cloud serves, and a client through which their types are found.
var served = []struct {
	module string
	client any
	ops    string
}{
	{"ecs", &ecs.Client{}, `CreateCluster DescribeClusters ListClusters CreateService DescribeServices ListServices UpdateService DeleteService
		RegisterTaskDefinition DescribeTaskDefinition DeregisterTaskDefinition ListTaskDefinitions CreateTaskSet DescribeTaskSets UpdateTaskSet DeleteTaskSet
		UpdateServicePrimaryTaskSet RunTask StopTask ListTasks DescribeTasks TagResource UntagResource ListTagsForResource`},
	{"ssm", &ssm.Client{}, "GetParameter GetParameters GetParametersByPath PutParameter DeleteParameter"},
	{"secretsmanager", &secretsmanager.Client{}, "GetSecretValue CreateSecret PutSecretValue DescribeSecret DeleteSecret"},
	{"elasticloadbalancingv2", &elb.Client{}, `CreateLoadBalancer CreateTargetGroup CreateListener CreateRule DescribeLoadBalancers DescribeListeners DescribeRules
		DescribeTargetGroups DescribeTargetHealth DescribeTags AddTags RemoveTags ModifyListener ModifyRule ModifyTargetGroup SetRulePriorities DeleteRule DeleteListener
		DeleteTargetGroup DeleteLoadBalancer RegisterTargets DeregisterTargets DescribeTargetGroupAttributes ModifyTargetGroupAttributes DescribeListenerAttributes
		ModifyListenerAttributes DescribeLoadBalancerAttributes`},
	{"sts", &sts.Client{}, "GetCallerIdentity AssumeRole AssumeRoleWithWebIdentity"},
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", sdk+module).Output()
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		t.Skipf("module %s is not in the module cache: %v", module, err)
	}
	return string(bytes.TrimSpace(out))
}

// shapes returns new values of the input and output types of an operation, found on the client's method.
func shapes(t *testing.T, client any, op string) (in, out any) {
	t.Helper()
	method := reflect.ValueOf(client).MethodByName(op)
	if !method.IsValid() {
		t.Fatalf("the SDK has no operation %s", op)
	}
	return reflect.New(method.Type().In(1).Elem()).Interface(), reflect.New(method.Type().Out(0).Elem()).Interface()
}

func snapshotBody(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// request: "POST /", blank, headers, blank, body; response: status and headers, blank, body
	parts := bytes.SplitN(raw, []byte("\n\n"), 3)
	return parts[len(parts)-1]
}

func jsonValue(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return v
}

// Every request the SDK can write must arrive with all its members: what was decoded is written again and compared with the snapshot.
func TestRequestSnapshotsArriveWhole(t *testing.T) {
	for _, s := range served {
		dir := moduleDir(t, s.module)
		for op := range strings.FieldsSeq(s.ops) {
			t.Run(s.module+"/"+op, func(t *testing.T) {
				in, _ := shapes(t, s.client, op)
				body := snapshotBody(t, filepath.Join(dir, "request_snapshot", op+".request.snap"))
				if s.module == "sts" || s.module == "elasticloadbalancingv2" {
					checkForm(t, s.module, op, in, body)
					return
				}
				codec := newJSONCodec()
				if err := codec.decode(body, in); err != nil {
					t.Fatal(err)
				}
				again, err := codec.encode(in)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(jsonValue(t, body), jsonValue(t, again)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// checkForm decodes a form and lets the SDK write it again.
func checkForm(t *testing.T, module, op string, in any, body []byte) {
	t.Helper()
	want, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeForm(want, in); err != nil {
		t.Fatal(err)
	}
	var got url.Values
	client := queryClient(module, doFunc(func(r *http.Request) (*http.Response, error) {
		sent, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		got, err = url.ParseQuery(string(sent))
		return nil, errors.Join(err, errors.New("captured"))
	}))
	_, _ = invoke(client, op, in) // the answer is an error made up to end the call
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

type doFunc func(*http.Request) (*http.Response, error)

func (f doFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

var testCredential = Credential{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}

func awsCredentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: testCredential.AccessKeyID, SecretAccessKey: testCredential.SecretAccessKey}, nil
	})
}

func queryClient(module string, h aws.HTTPClient) any {
	base := aws.String("http://127.0.0.1:4566")
	dropValidation := []func(*middleware.Stack) error{func(s *middleware.Stack) error { _, _ = s.Initialize.Remove("OperationInputValidation"); return nil }}
	if module == "sts" {
		return sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: base, HTTPClient: h, Credentials: awsCredentials(), RetryMaxAttempts: 1, APIOptions: dropValidation})
	}
	return elb.New(elb.Options{Region: "us-east-1", BaseEndpoint: base, HTTPClient: h, Credentials: awsCredentials(), RetryMaxAttempts: 1, APIOptions: dropValidation})
}

func invoke(client any, op string, in any) (any, error) {
	results := reflect.ValueOf(client).MethodByName(op).Call([]reflect.Value{reflect.ValueOf(context.Background()), reflect.ValueOf(in)})
	err, _ := results[1].Interface().(error)
	return results[0].Interface(), err
}

// What the server writes is what the SDK's own response snapshots say.
func TestJSONResponseSnapshotsRoundTrip(t *testing.T) {
	for _, s := range served[:3] {
		dir := moduleDir(t, s.module)
		for op := range strings.FieldsSeq(s.ops) {
			t.Run(s.module+"/"+op, func(t *testing.T) {
				_, out := shapes(t, s.client, op)
				path := filepath.Join(dir, "response_snapshot", op+".response.snap")
				if _, err := os.Stat(path); err != nil {
					t.Skip("the SDK has no snapshot")
				}
				body := snapshotBody(t, path)
				codec := newJSONCodec()
				if err := codec.decode(body, out); err != nil {
					t.Fatal(err)
				}
				again, err := codec.encodeAnswer(out)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(jsonValue(t, body), jsonValue(t, again)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// fill sets every member of an SDK type, to depth.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				fill(v.Field(i), depth-1)
			}
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), depth)
			fill(v.Index(1), depth)
		}
	case reflect.String:
		v.SetString("a <b> & \"c\"")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	}
}

// The SDK reads from the XML exactly what the handler returned.
func TestQueryResponsesRoundTrip(t *testing.T) {
	for _, s := range served[3:] {
		for op := range strings.FieldsSeq(s.ops) {
			t.Run(s.module+"/"+op, func(t *testing.T) {
				in, want := shapes(t, s.client, op)
				fill(reflect.ValueOf(want).Elem(), 8)
				client := queryClient(s.module, doFunc(func(*http.Request) (*http.Response, error) {
					body, err := encodeXML(op, "http://example/", "req-1", want)
					if err != nil {
						return nil, err
					}
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}, nil
				}))
				got, err := invoke(client, op, in)
				if err != nil {
					t.Fatal(err)
				}
				ignore := cmpopts.IgnoreTypes(middleware.Metadata{})
				if diff := cmp.Diff(want, got, ignore, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func testServer(intercept Interceptor, services ...Service) *httptest.Server {
	return httptest.NewServer(NewServer(Config{
		Lookup:    func(id string) (Credential, bool) { return testCredential, id == testCredential.AccessKeyID },
		Now:       time.Now,
		RequestID: func() string { return "11111111-2222-3333-4444-555555555555" },
		Intercept: intercept,
		Log:       slog.New(slog.DiscardHandler),
	}, services...))
}
