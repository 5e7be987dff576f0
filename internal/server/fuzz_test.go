package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/blob/mem"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/store/sqlite"
)

// fuzzServer is a server on real time that nothing calls but the fuzzer.
func fuzzServer(f *testing.F, secret string) *Server {
	f.Helper()
	st, err := sqlite.OpenMemory(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = st.Close() })
	s, err := New(f.Context(), Options{
		Store: st, Blobs: &mem.Store{}, Logger: slog.New(slog.DiscardHandler), Version: "test", Admin: Admin{Username: "admin", PasswordHash: passwordHash()},
		Project: ProjectConfig{ID: "default", Name: "d", WebhookSecret: secret},
	})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// FuzzWebhook holds that no body of a host brings the server down or makes it fail, and that nothing of it is acted on without
// a right signature.
func FuzzWebhook(f *testing.F) {
	const secret = "a-secret-of-the-webhook"
	h := fuzzServer(f, secret).Handler()
	for _, body := range []string{
		`{"ref":"refs/heads/main","repository":{"clone_url":"https://git.example/org/repo.git","ssh_url":"git@git.example:org/repo.git"}}`,
		`{}`, `[]`, `null`, `{"ref":1}`, `{"repository":null}`, `{"ref":"refs/tags/x","repository":{"clone_url":"::"}}`, "", "\xff", `{"ref":"a","ref":"b"}`,
	} {
		f.Add("push", []byte(body), "")
		f.Add("ping", []byte(body), "sha256=00")
	}
	f.Fuzz(func(t *testing.T, event string, body []byte, header string) {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		right := "sha256=" + hex.EncodeToString(mac.Sum(nil))
		for _, signature := range []string{header, right} {
			req := httptest.NewRequest(http.MethodPost, "/webhooks/github/default", bytes.NewReader(body))
			req.Header["X-Github-Event"], req.Header["X-Hub-Signature-256"] = []string{event}, []string{signature}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, req)
			if w.Code >= 500 {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if !strings.EqualFold(signature, right) && w.Code != http.StatusUnauthorized {
				t.Errorf("status %d for the signature %q", w.Code, signature)
			}
			if signature == right && w.Code == http.StatusUnauthorized {
				t.Error("the right signature is refused")
			}
		}
	})
}

// FuzzPageToken holds that a page token is read as it was written, and one of somebody else refused as their mistake.
func FuzzPageToken(f *testing.F) {
	f.Add(writeToken(store.Cursor{Value: "2026", Key: "d1"}))
	f.Add("")
	f.Add("e30")
	f.Add("bnVsbA")
	f.Add("!")
	f.Add(strings.Repeat("a", 2001))
	f.Fuzz(func(t *testing.T, token string) {
		c, err := readToken(token)
		if err != nil {
			if deploy.CodeOf(err) != deploy.CodeInvalid {
				t.Errorf("%v", err)
			}
			return
		}
		if again, err := readToken(writeToken(c)); err != nil || again != c {
			t.Errorf("%q is %+v, which is %+v, %v", token, c, again, err)
		}
	})
}

// FuzzWatchCursor holds that a cursor names a place that exists or starts over; it is never refused, because a reader cannot mend it.
func FuzzWatchCursor(f *testing.F) {
	s := fuzzServer(f, "")
	inc := s.opt.Store.Incarnation()
	for _, c := range []string{"", ".", inc + ".0", inc + ".1", inc + ".-1", inc + ".99999999999999999999", "x.1", inc} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		pos, reset, err := s.startOf(t.Context(), "default", cursor)
		if err != nil || pos < 0 {
			t.Fatalf("%q: %d, %v", cursor, pos, err)
		}
		again, resetAgain, err := s.startOf(t.Context(), "default", s.writeCursor(pos))
		if err != nil || again != pos || resetAgain {
			t.Errorf("%q starts at %d (%v), its cursor at %d (%v): %v", cursor, pos, reset, again, resetAgain, err)
		}
	})
}

// FuzzRemote holds that the forms of one remote are one, whoever is named in them.
func FuzzRemote(f *testing.F) {
	f.Add("git.example", "org/repo")
	f.Add("h", "")
	f.Add("[::1]", "a")
	f.Add("a@b", "/c.git/")
	f.Fuzz(func(t *testing.T, host, path string) {
		sameRemote(host + path) // no panic, whatever it is
		if host == "" || path == "" || strings.ContainsAny(host+path, "/:@ \t\r\n\v\f") || strings.HasSuffix(strings.ToLower(path), ".git") || strings.TrimSpace(host+path) != host+path {
			return
		}
		want := sameRemote("https://" + host + "/org/" + path)
		for _, form := range []string{
			"https://user:secret@" + host + "/org/" + path + ".git", "git@" + host + ":org/" + path + ".git", "ssh://git@" + host + ":22/org/" + path, "https://" + host + ":443/org/" + path + "/",
		} {
			if got := sameRemote(form); got != want {
				t.Errorf("%q is %q, %q is %q", "https://"+host+"/org/"+path, want, form, got)
			}
		}
		if withoutUser("https://user:secret@"+host+"/x") != "https://"+host+"/x" {
			t.Errorf("a user stays in %q", withoutUser("https://user:secret@"+host+"/x"))
		}
	})
}
