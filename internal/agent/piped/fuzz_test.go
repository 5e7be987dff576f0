package piped

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

const fuzzed = "apiVersion: pipecd.dev/v1beta1\nkind: Piped\nspec:\n  projectID: p\n  pipedID: id\n  pipedKeyData: c2VjcmV0LW1hcmtlcg==\n  apiAddress: localhost:8080\n"

// FuzzConfigData holds that a configuration given on the command line is read as the one in a file, or refused without
// repeating it: it holds the agent's key.
func FuzzConfigData(f *testing.F) {
	f.Add(base64.StdEncoding.EncodeToString([]byte(fuzzed)))
	f.Add("!!!")
	f.Add("")
	f.Add(base64.StdEncoding.EncodeToString([]byte("spec: [")))
	f.Add(" YQ ==\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Read(t.Context(), Source{Data: text}, Options{})
		if err != nil {
			if key := "c2VjcmV0LW1hcmtlcg"; strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "secret-marker") {
				t.Errorf("the error holds the key: %v", err)
			}
			return
		}
		if c.Key == "" || c.URL == "" || c.Piped == nil {
			t.Errorf("%+v", c)
		}
		if strings.Contains(c.Warnings.String(), c.Key.Reveal()) && len(c.Key.Reveal()) > 8 {
			t.Errorf("a warning holds the key: %s", c.Warnings)
		}
	})
}

// FuzzAddress holds that the address of the control plane keeps its host, never sends the key in the clear to another machine
// and is read again alike.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"host:443", "host", "http://127.0.0.1:1", "https://h/", "http://h", "localhost", "[::1]:8080", "u@h", "h?x", "ftp://h", "https://", "%", "//h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Address(text, false)
		if err != nil {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			t.Errorf("%q became %q: %v", text, got, err)
		}
		if again, err := Address(got, false); err != nil || again != got {
			t.Errorf("%q became %q, which becomes %q: %v", text, got, again, err)
		}
	})
}
