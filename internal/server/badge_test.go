package server

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// TestBadges: none until the project wants them, then for whoever has the
// address, and for nobody any more once the project has turned them off.
func TestBadges(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, other := p.register("web"), p.register("api")
		path := func(id string) string {
			res, err := r.apps.GetApplication(r.Context(), connect.NewRequest(&penstockv1.GetApplicationRequest{Application: id}))
			if err != nil {
				r.Fatal(err)
			}
			return res.Msg.Application.BadgePath
		}
		set := func(on bool) {
			res, err := r.project.UpdateProject(r.Context(), connect.NewRequest(&penstockv1.UpdateProjectRequest{Badges: &on}))
			if err != nil || res.Msg.Project.Badges != on {
				r.Fatalf("badges %v: %v, %v", on, res, err)
			}
		}
		status := func(path string) int {
			got, _, body := r.get("GET", path, nil, "")
			if got != http.StatusOK && body != "no such badge, or the project has none any more\n" {
				r.Errorf("%s says %q", path, body)
			}
			return got
		}
		if got := path(app); got != "" {
			r.Fatalf("a badge nobody asked for: %s", got)
		}
		set(true)
		first := path(app)
		if set(true); path(app) != first {
			r.Error("turned on again, the address changed")
		}
		if got := status(first); got != http.StatusOK {
			r.Errorf("with the address: %d", got)
		}
		for name, wrong := range map[string]string{
			"no token": "/badges/default/" + app + "/.svg", "the token of another": strings.Replace(path(other), other, app, 1), "by its name": strings.Replace(first, app, "web", 1),
			"another project": strings.Replace(first, "/default/", "/other/", 1), "an application that is not there": strings.Replace(first, app, "nothing", 1),
		} {
			if got := status(wrong); got != http.StatusNotFound {
				r.Errorf("%s: %d", name, got)
			}
		}
		set(false)
		if got := status(first); got != http.StatusNotFound {
			r.Errorf("turned off: %d", got)
		}
		if set(true); path(app) == first || status(first) != http.StatusNotFound {
			r.Error("an address that was ended works again")
		}
	})
}

func TestBadgeIsKeptForAWhile(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		on := true
		app := r.join2("a", "one").register("web")
		must[*connect.Response[penstockv1.UpdateProjectResponse]](r)(r.project.UpdateProject(r.Context(), connect.NewRequest(&penstockv1.UpdateProjectRequest{Badges: &on})))
		path := must[*connect.Response[penstockv1.GetApplicationResponse]](r)(r.apps.GetApplication(r.Context(), connect.NewRequest(&penstockv1.GetApplicationRequest{Application: app}))).Msg.Application.BadgePath
		_, h, body := r.get("GET", path+"?lang=ja", nil, "")
		if h.Get("Content-Type") != "image/svg+xml; charset=utf-8" || h.Get("Cache-Control") != "public, max-age=30" || h.Get("ETag") == "" || !strings.Contains(body, "不明") {
			r.Errorf("header %v, body %s", h, body)
		}
		if status, _, body := r.get("GET", path+"?lang=ja", map[string]string{"If-None-Match": h.Get("ETag")}, ""); status != http.StatusNotModified || body != "" {
			r.Errorf("what is kept: %d %q", status, body)
		}
		if status, _, body := r.get("GET", path, map[string]string{"If-None-Match": h.Get("ETag")}, ""); status != http.StatusOK || !strings.Contains(body, "unknown") {
			r.Errorf("what changed: %d %q", status, body)
		}
	})
}

func TestBadgeSaysTheWorstFirst(t *testing.T) {
	good := &penstockv1.Good{Versions: []*penstockv1.Version{{Name: "app", Version: "v1.9.0"}}}
	for want, a := range map[string]*penstockv1.Application{
		"web: healthy · v1.9.0": {SyncState: "SYNCED", Health: "HEALTHY", AgentOnline: true, LastGood: good},
		"web: unknown":          {SyncState: "SYNCED", Health: "HEALTHY"},
		"web: unhealthy":        {SyncState: "DEPLOYING", Health: "UNHEALTHY", AgentOnline: true},
		"web: deploying":        {SyncState: "DEPLOYING", Health: "HEALTHY", AgentOnline: true},
		"web: out of sync":      {SyncState: "OUT_OF_SYNC", Health: "HEALTHY", AgentOnline: true},
		"web: progressing":      {SyncState: "SYNCED", Health: "PROGRESSING", AgentOnline: true},
		"web: disabled":         {SyncState: "INVALID_CONFIG", Disabled: true},

		"web: invalid configuration": {SyncState: "INVALID_CONFIG", Health: "UNHEALTHY", AgentOnline: true},
	} {
		a.Name = "web"
		if got := drawBadge(a, ""); !strings.Contains(got, "<title>"+want+"</title>") {
			t.Errorf("want %s: %s", want, got)
		}
	}
}

// FuzzBadge: whatever an application is called, the image is one XML document with no more elements than it has.
func FuzzBadge(f *testing.F) {
	f.Add("web", "v1", "en")
	f.Add(`"><script>alert(1)</script>`, "]]>&", "ja")
	f.Add("\xff\x00", strings.Repeat("版", 200), "")
	f.Fuzz(func(t *testing.T, name, version, lang string) {
		image := drawBadge(&penstockv1.Application{Name: name, LastGood: &penstockv1.Good{Versions: []*penstockv1.Version{{Version: version}}}}, lang)
		elements := 0
		for d := xml.NewDecoder(strings.NewReader(image)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v: %s", err, image)
			}
			if _, ok := token.(xml.StartElement); ok {
				elements++
			}
		}
		if elements != 7 {
			t.Errorf("%d elements: %s", elements, image)
		}
	})
}
