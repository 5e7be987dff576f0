package awswire

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/schemas"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/traits"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/restjson1"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// nowhere is a handler that only gives an operation its types.
func nowhere[In, Out any](schema *smithy.Schema) Operation {
	return Op(func(context.Context, *In) (*Out, error) { return new(Out), nil }).At(schema)
}

// restOps are the operations of Lambda that the local cloud serves.
func restOps() []Operation {
	return []Operation{
		nowhere[lambda.CreateFunctionInput, lambda.CreateFunctionOutput](schemas.CreateFunction),
		nowhere[lambda.GetFunctionInput, lambda.GetFunctionOutput](schemas.GetFunction),
		nowhere[lambda.GetFunctionConfigurationInput, lambda.GetFunctionConfigurationOutput](schemas.GetFunctionConfiguration),
		nowhere[lambda.ListFunctionsInput, lambda.ListFunctionsOutput](schemas.ListFunctions),
		nowhere[lambda.UpdateFunctionCodeInput, lambda.UpdateFunctionCodeOutput](schemas.UpdateFunctionCode),
		nowhere[lambda.UpdateFunctionConfigurationInput, lambda.UpdateFunctionConfigurationOutput](schemas.UpdateFunctionConfiguration),
		nowhere[lambda.DeleteFunctionInput, lambda.DeleteFunctionOutput](schemas.DeleteFunction),
		nowhere[lambda.PublishVersionInput, lambda.PublishVersionOutput](schemas.PublishVersion),
		nowhere[lambda.ListVersionsByFunctionInput, lambda.ListVersionsByFunctionOutput](schemas.ListVersionsByFunction),
		nowhere[lambda.CreateAliasInput, lambda.CreateAliasOutput](schemas.CreateAlias),
		nowhere[lambda.GetAliasInput, lambda.GetAliasOutput](schemas.GetAlias),
		nowhere[lambda.ListAliasesInput, lambda.ListAliasesOutput](schemas.ListAliases),
		nowhere[lambda.UpdateAliasInput, lambda.UpdateAliasOutput](schemas.UpdateAlias),
		nowhere[lambda.DeleteAliasInput, lambda.DeleteAliasOutput](schemas.DeleteAlias),
		nowhere[lambda.TagResourceInput, lambda.TagResourceOutput](schemas.TagResource),
		nowhere[lambda.UntagResourceInput, lambda.UntagResourceOutput](schemas.UntagResource),
		nowhere[lambda.ListTagsInput, lambda.ListTagsOutput](schemas.ListTags),
		nowhere[lambda.CreateFunctionUrlConfigInput, lambda.CreateFunctionUrlConfigOutput](schemas.CreateFunctionUrlConfig),
		nowhere[lambda.GetFunctionUrlConfigInput, lambda.GetFunctionUrlConfigOutput](schemas.GetFunctionUrlConfig),
		nowhere[lambda.DeleteFunctionUrlConfigInput, lambda.DeleteFunctionUrlConfigOutput](schemas.DeleteFunctionUrlConfig),
		nowhere[lambda.InvokeInput, lambda.InvokeOutput](schemas.Invoke),
	}
}

// snapshotRequest reads a request that the SDK has written: method and URI, blank, headers, blank, body.
func snapshotRequest(t *testing.T, path string) (*http.Request, []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line, rest, _ := strings.Cut(string(raw), "\n")
	method, uri, _ := strings.Cut(strings.TrimSpace(line), " ")
	head, body, _ := strings.Cut(strings.TrimPrefix(rest, "\n"), "\n\n")
	if !strings.Contains(strings.SplitN(head, "\n", 2)[0], ": ") {
		head, body = "", head
	}
	req := httptest.NewRequest(method, "http://127.0.0.1"+uri, strings.NewReader(body))
	for l := range strings.Lines(head) {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), ": "); ok {
			req.Header.Set(k, v)
		}
	}
	return req, []byte(body)
}

// TestRESTSnapshotsArriveWhole: every request that the SDK can write finds its operation and arrives with all its members:
// what was decoded is written again by the SDK and compared.
func TestRESTSnapshotsArriveWhole(t *testing.T) {
	dir := moduleDir(t, "lambda")
	server := NewServer(Config{RequestID: func() string { return "id" }, Now: time.Now}, REST("lambda", restOps()...))
	protocol := restjson1.New(schemas.AWSGirApiService)
	for _, op := range restOps() {
		t.Run(op.Name(), func(t *testing.T) {
			httpReq, body := snapshotRequest(t, filepath.Join(dir, "request_snapshot", op.Name()+".request.snap"))
			req := &request{http: httpReq}
			if found, err := server.readREST(httptest.NewRecorder(), req); err != nil || !found || req.op != op.Name() {
				t.Fatalf("%s %s is %q: %v", httpReq.Method, httpReq.URL, req.op, err)
			}
			in := op.NewInput()
			if err := server.json.decodeREST(req, in); err != nil {
				t.Fatal(err)
			}
			shape, ok := in.(smithy.Serializable)
			if !ok {
				t.Fatalf("%T cannot be serialised", in)
			}
			again, ok := smithyhttp.NewStackRequest().(*smithyhttp.Request)
			if !ok {
				t.Fatal("the SDK's request has another type")
			}
			again.URL.Host = "127.0.0.1"
			schema := schemaOf(shape)
			if err := protocol.SerializeRequest(t.Context(), smithy.NewOperationSchema(schemaNamed(t, op), schema, schema), shape, again); err != nil {
				t.Fatal(err)
			}
			built := again.Build(t.Context())
			if built.Method != httpReq.Method || built.URL.EscapedPath() != httpReq.URL.EscapedPath() || built.URL.Query().Encode() != httpReq.URL.Query().Encode() {
				t.Errorf("written again as %s %s, was %s %s", built.Method, built.URL.RequestURI(), httpReq.Method, httpReq.URL.RequestURI())
			}
			var text bytes.Buffer
			if built.Body != nil {
				_, _ = text.ReadFrom(built.Body)
			}
			if got, want := strings.TrimSpace(text.String()), strings.TrimSpace(string(body)); got != want && !sameJSON(t, got, want) {
				t.Errorf("body written again:\n%s\nwas\n%s", got, want)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	if !strings.HasPrefix(a, "{") || !strings.HasPrefix(b, "{") {
		return false
	}
	return compactJSON(t, a) == compactJSON(t, b)
}

// TestRESTRefusals: errors have Lambda's form, an unknown path is one, and a wrong number in a query is no panic.
func TestRESTRefusals(t *testing.T) {
	refuse := Op(func(context.Context, *lambda.GetFunctionInput) (*lambda.GetFunctionOutput, error) {
		return nil, &awserr.Error{Code: "ResourceNotFoundException", Message: "Function not found: x", Status: http.StatusNotFound}
	}).At(schemas.GetFunction)
	refuse.unsigned = true
	list := nowhere[lambda.ListFunctionsInput, lambda.ListFunctionsOutput](schemas.ListFunctions).Unsigned()
	server := NewServer(Config{RequestID: func() string { return "id" }, Now: time.Now, Lookup: func(string) (Credential, bool) { return Credential{}, false }}, REST("lambda", refuse, list))
	for _, c := range []struct {
		method, path, code string
		status             int
	}{
		{"GET", "/2015-03-31/functions/x", "ResourceNotFoundException", 404},
		{"GET", "/2015-03-31/functions?MaxItems=many", "SerializationException", 400},
		{"GET", "/2015-03-31/nothing", "UnknownOperationException", 404},
		{"PATCH", "/2015-03-31/functions/x", "UnknownOperationException", 404},
	} {
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, httptest.NewRequest(c.method, "http://127.0.0.1"+c.path, nil))
		if rec.Code != c.status || rec.Header().Get("X-Amzn-ErrorType") != c.code || !strings.Contains(rec.Body.String(), `"message"`) {
			t.Errorf("%s %s: %d %s %s, want %d %s", c.method, c.path, rec.Code, rec.Header().Get("X-Amzn-ErrorType"), rec.Body, c.status, c.code)
		}
	}
}

// compactJSON brings an object into one form.
func compactJSON(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(jsonValue(t, []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// schemaNamed finds the schema of an operation by its place.
func schemaNamed(t *testing.T, op Operation) *smithy.Schema {
	t.Helper()
	path := "/" + strings.Join(op.route.parts, "/")
	return smithy.NewSchema(smithy.ShapeID{Namespace: "com.amazonaws.lambda", Name: op.Name()}, smithy.ShapeTypeOperation, 0, &traits.HTTP{Method: op.route.method, URI: path, Code: op.route.status})
}
