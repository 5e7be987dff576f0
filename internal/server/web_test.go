package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
)

// TestFormsAndLinksOfOtherSitesDoNothing sends what a page of another site can
// make a browser send with the cookie: forms, which have three content types,
// and links.
func TestFormsAndLinksOfOtherSitesDoNothing(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		procedure := penstockv1connect.ProjectServiceSaveViewProcedure
		body := `{"view":{"name":"x","path":"/applications"}}`
		ask := func(method, path, kind, origin string) int {
			h := map[string]string{"Cookie": sessionCookie + "=" + r.token}
			if kind != "" {
				h["Content-Type"] = kind
			}
			if origin != "" {
				h["Origin"] = origin
			}
			status, _, _ := r.get(method, path, h, body)
			return status
		}
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
			if got := ask("POST", procedure, kind, ""); got != http.StatusUnsupportedMediaType {
				r.Errorf("content type %q: status %d", kind, got)
			}
		}
		for _, method := range []string{"GET", "PUT", "HEAD"} { // what changes is not to be had by a link
			if got := ask(method, procedure+"?encoding=json&message=%7B%7D", "", ""); got != http.StatusMethodNotAllowed {
				r.Errorf("%s: status %d", method, got)
			}
		}
		if got := ask("POST", procedure, "application/json", "https://evil.example"); got != http.StatusForbidden {
			r.Errorf("from another origin: status %d", got)
		}
		if got := ask("POST", procedure, "application/json", "http://server"); got != http.StatusOK {
			r.Errorf("from the own page: status %d", got)
		}
	})
}

// TestBodiesAreBounded sends more than a message may have.
func TestBodiesAreBounded(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		h := map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + r.token}
		for name, x := range map[string]struct {
			size, status int
		}{"small": {100, http.StatusBadRequest}, "beyond the limit": {maxMessage + 100, http.StatusTooManyRequests}} {
			body := `{"view":{"name":"` + strings.Repeat("x", x.size) + `","path":"/"}}`
			if status, _, text := r.get("POST", penstockv1connect.ProjectServiceSaveViewProcedure, h, body); status != x.status {
				r.Errorf("%s: %d %.200s", name, status, text)
			}
		}
	})
}

// TestAnswersAreDataOnly looks at the headers of the API.
func TestAnswersAreDataOnly(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		h := map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + r.token}
		_, got, _ := r.get("POST", penstockv1connect.ProjectServiceWhoAmIProcedure, h, "{}")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got.Get(name) != want {
				r.Errorf("%s: %q, want %q", name, got.Get(name), want)
			}
		}
		for _, way := range []string{"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} {
			if strings.Contains(contentPolicy, way) {
				r.Errorf("the policy of the page has %s", way)
			}
		}
	})
}
