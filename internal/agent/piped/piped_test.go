package piped_test

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/agent/piped"
	"github.com/penstock-cd/penstock/internal/deploy"
)

const file = `apiVersion: pipecd.dev/v1beta1
kind: Piped
spec:
  projectID: p
  pipedID: a
  pipedKeyData: c2VjcmV0LWtleQo=
  apiAddress: control.example.com:443
`

type store map[string]string

func (s store) get(name string) ([]byte, error) {
	if v, ok := s[name]; ok {
		return []byte(v), nil
	}
	return nil, deploy.Errorf(deploy.CodeNotFound, "no %s", name)
}

func (s store) Parameter(_ context.Context, name string) ([]byte, error) {
	return s.get("ssm/" + name)
}

func (s store) Secret(_ context.Context, id string) ([]byte, error) { return s.get("sm/" + id) }

func TestEverySource(t *testing.T) {
	path := filepath.Join(t.TempDir(), "piped.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(file))
	s := store{"ssm/plain": file, "ssm/b64": encoded + "\n", "sm/plain": file, "sm/b64": encoded[:40] + "\n" + encoded[40:]}
	for _, src := range []piped.Source{
		{File: path}, {Data: encoded}, {AWSSSMParameter: "plain"}, {AWSSSMParameter: "b64"}, {AWSSecret: "plain"}, {AWSSecret: "b64"},
	} {
		c, err := piped.Read(t.Context(), src, piped.Options{Store: s})
		if err != nil {
			t.Errorf("%+v: %v", src, err)
			continue
		}
		if c.Key.Reveal() != "secret-key" || c.URL != "https://control.example.com:443" || c.Piped.PipedID != "a" {
			t.Errorf("%+v: key %q, url %s, id %s", src, c.Key.Reveal(), c.URL, c.Piped.PipedID)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	with := func(content string) (*piped.Config, error) {
		if err := os.WriteFile(key, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(file, "pipedKeyData: c2VjcmV0LWtleQo=", "pipedKeyFile: "+key, 1)
		return piped.Read(t.Context(), piped.Source{Data: base64.StdEncoding.EncodeToString([]byte(text))}, piped.Options{})
	}
	if c, err := with("from-file\n"); err != nil || c.Key.Reveal() != "from-file" {
		t.Errorf("key file: %v", err)
	}
	for _, bad := range []string{"", " \n", "two words"} {
		if _, err := with(bad); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("key %q: error %v does not name the file", bad, err)
		}
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(file, "pipedKeyData: c2VjcmV0LWtleQo=", "pipedKeyFile: "+key, 1)
	if _, err := piped.Read(t.Context(), piped.Source{Data: base64.StdEncoding.EncodeToString([]byte(text))}, piped.Options{}); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("missing key file: %v", err)
	}
}

func TestExactlyOneSource(t *testing.T) {
	for _, src := range []piped.Source{{}, {File: "a", Data: "b"}, {AWSSecret: "a", AWSSSMParameter: "b"}} {
		if _, err := piped.Read(t.Context(), src, piped.Options{Store: store{}}); err == nil || !strings.Contains(err.Error(), "exactly one") {
			t.Errorf("%+v: %v", src, err)
		}
	}
	for _, src := range []piped.Source{{File: filepath.Join(t.TempDir(), "none")}, {Data: "%%%"}, {AWSSecret: "none"}, {AWSSSMParameter: "none"}, {Data: base64.StdEncoding.EncodeToString([]byte("kind: Other"))}} {
		if _, err := piped.Read(t.Context(), src, piped.Options{Store: store{}}); err == nil {
			t.Errorf("%+v was read", src)
		}
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		in       string
		insecure bool
		want     string // "" is refused
	}{
		{"control.example.com:443", false, "https://control.example.com:443"},
		{"127.0.0.1:8080", false, "http://127.0.0.1:8080"},
		{"localhost:8080", false, "http://localhost:8080"},
		{"[::1]:8080", false, "http://[::1]:8080"},
		{"http://127.0.0.1:8080/", false, "http://127.0.0.1:8080"},
		{"https://control.example.com/base/", false, "https://control.example.com/base"},
		{"http://control.example.com", false, ""},
		{"http://control.example.com", true, "http://control.example.com"},
		{"control.example.com:80", true, "http://control.example.com:80"},
		{"ftp://control.example.com", true, ""},
		{"https://user:pw@control.example.com", false, ""},
		{"", false, ""},
		{"bad host", false, ""},
	} {
		got, err := piped.Address(c.in, c.insecure)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Address(%q, %v) = %q, %v; want %q", c.in, c.insecure, got, err, c.want)
		}
	}
}
