package client_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestLoginsAreKeptForTheirOwnerOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "penstock", "config.json")
	empty, err := client.LoadLogins(file)
	if err != nil || len(empty.Contexts) != 0 {
		t.Fatalf("a missing file: %v, %v", empty, err)
	}
	want := client.Logins{Current: "a", Contexts: map[string]client.Login{"a": {Server: "https://a", Project: "p", User: "mai", Token: "t", ExpiresAt: now}}}
	for range 2 { // made, then replaced
		if err := client.SaveLogins(file, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := client.LoadLogins(file)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%s%v", d, err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("beside the file: %v, %v", left, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := client.LoadLogins(file); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a file that others can read: %v", err)
	}
}

func TestDamagedLoginsSayWhichFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.LoadLogins(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestChoose(t *testing.T) {
	l := client.Logins{Current: "prod", Contexts: map[string]client.Login{
		"prod":  {Server: "https://prod", Token: "prod-token"},
		"stage": {Server: "https://stage", Token: "stage-token"},
		"old":   {Server: "https://old", Token: "old-token", ExpiresAt: now.Add(-time.Second)},
	}}
	for name, c := range map[string]struct {
		context, server, envServer, envToken string
		want                                 client.Login
		code                                 deploy.Code
	}{
		"current":                           {want: l.Contexts["prod"]},
		"by name":                           {context: "stage", want: l.Contexts["stage"]},
		"a flag wins over the environment":  {context: "stage", envServer: "https://prod", envToken: "x", want: l.Contexts["stage"]},
		"the environment wins":              {envServer: "https://stage", envToken: "env", want: client.Login{Server: "https://stage", Token: "env"}},
		"token of the environment":          {envToken: "env", want: client.Login{Server: "https://prod", Token: "env"}},
		"login of the server that is named": {server: "stage", want: l.Contexts["stage"]},
		"no token for a foreign server":     {server: "https://elsewhere", want: client.Login{Server: "https://elsewhere"}, code: deploy.CodeUnauthorized},
		"expired":                           {context: "old", want: l.Contexts["old"], code: deploy.CodeUnauthorized},
		"unknown":                           {context: "none", code: deploy.CodeUnauthorized},
		"both":                              {context: "prod", server: "https://prod", code: deploy.CodeInvalid},
		"http to another machine":           {envServer: "http://prod", envToken: "x", code: deploy.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{client.EnvServer: c.envServer, client.EnvToken: c.envToken}
			got, err := l.Choose(client.Choice{Context: c.context, Server: c.server, Now: now, Getenv: func(k string) string { return env[k] }})
			if deploy.CodeOf(err) != c.code {
				t.Fatalf("got error %v, want code %q", err, c.code)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNobodyIsLoggedIn(t *testing.T) {
	_, err := client.Logins{}.Choose(client.Choice{Getenv: func(string) string { return "" }})
	if deploy.CodeOf(err) != deploy.CodeUnauthorized {
		t.Errorf("got %v", err)
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"penstock.example.com":        "https://penstock.example.com",
		"penstock.example.com:8443":   "https://penstock.example.com:8443",
		"https://example.com/a/":      "https://example.com/a",
		"127.0.0.1:8080":              "http://127.0.0.1:8080",
		"localhost:8080":              "http://localhost:8080",
		"[::1]:8080":                  "http://[::1]:8080",
		"http://localhost:8080/":      "http://localhost:8080",
		"http://penstock.example.com": "",
		"http://127.0.0.1.evil.com":   "",
		"ftp://localhost":             "",
		"https://user:pw@host":        "",
		"https://host/?q":             "",
		"":                            "",
		"a b":                         "",
	} {
		got, err := client.ParseServer(text, false)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := client.ParseServer("http://penstock.example.com", true); err != nil || got != "http://penstock.example.com" {
		t.Errorf("insecure: %q, %v", got, err)
	}
}
