package secret_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/secret"
)

// endpoint answers both services by operation and the name asked for.
func endpoint(t *testing.T, answers map[string]string) *secret.AWS {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Name, SecretId string
			WithDecryption bool
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		op := r.Header.Get("X-Amz-Target")
		if strings.HasSuffix(op, "GetParameter") && !in.WithDecryption {
			t.Error("the parameter is not asked for in the clear")
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		body, ok := answers[in.Name+in.SecretId]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			body = `{"__type": "ParameterNotFound", "message": "no such thing"}`
		} else if strings.Contains(body, "__type") {
			w.WriteHeader(http.StatusBadRequest)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return &secret.AWS{Load: func(context.Context) (aws.Config, error) {
		return aws.Config{Region: "eu-west-1", BaseEndpoint: &srv.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}, nil
	}}
}

func TestReadsParametersAndSecrets(t *testing.T) {
	a := endpoint(t, map[string]string{
		"/piped":  `{"Parameter": {"Name": "/piped", "Value": "kind: Piped"}}`,
		"text":    `{"SecretString": "kind: Piped"}`,
		"binary":  `{"SecretBinary": "a2luZDogUGlwZWQ="}`,
		"nothing": `{}`,
		"denied":  `{"__type": "AccessDeniedException", "message": "not you"}`,
	})
	for _, c := range []struct {
		name string
		read func(context.Context, string) ([]byte, error)
		code deploy.Code
	}{
		{"/piped", a.Parameter, ""},
		{"text", a.Secret, ""},
		{"binary", a.Secret, ""},
		{"nothing", a.Secret, deploy.CodeNotFound},
		{"nothing", a.Parameter, deploy.CodeNotFound},
		{"absent", a.Parameter, deploy.CodeNotFound},
		{"denied", a.Secret, deploy.CodeDenied},
	} {
		got, err := c.read(t.Context(), c.name)
		if deploy.CodeOf(err) != c.code {
			t.Errorf("%s: error %v, want code %q", c.name, err, c.code)
			continue
		}
		if err == nil && string(got) != "kind: Piped" {
			t.Errorf("%s = %q", c.name, got)
		}
		if err != nil && !strings.Contains(err.Error(), c.name) {
			t.Errorf("the error does not name %s: %v", c.name, err)
		}
	}
}
