package ecs

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestBadFiles loads broken applications and compares every error, with file, line and column, with the golden section
// "errors".
func TestBadFiles(t *testing.T) {
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(names) < 20 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fl, want := files{}, ""
			var keep []txtar.File
			for _, f := range ar.Files {
				if f.Name == "errors" {
					want = string(f.Data)
					continue
				}
				fl[f.Name] = string(f.Data)
				keep = append(keep, f)
			}
			_, _, err = load(t, fl)
			if err == nil {
				t.Fatal("accepted")
			}
			got := err.Error() + "\n"
			if *update {
				ar.Files = append(keep, txtar.File{Name: "errors", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoadTakesWhatTeamsHave(t *testing.T) {
	fl := appFiles("1.2", "")
	fl["shop/servicedef.yaml"] = `{"clusterArn": "c", "serviceName": "shop", "Role": "r", "desiredCount": 2, "launchTyp": "FARGATE", "loadBalancers": [{"targetGroupArn": "x"}]}`
	fl["shop/taskdef.yaml"] = `{"Family": "shop", "revision": 7, "cpu": 256, "containerDefinitions": [{"name": "web", "image": "registry:5000/a/shop@sha256:abc", "portMappings": [{"containerPort": 80}], "environment": [{"name": "PORT", "value": 80}], "dockerLabels": {"a.B": "c"}}]}`
	d, _, err := load(t, fl)
	if err != nil {
		t.Fatal(err)
	}
	w := d.Warnings.String()
	if !strings.Contains(w, `unknown key "launchTyp" has no effect (did you mean launchType?)`) || !strings.Contains(w, "shop/servicedef.yaml:1:") || !strings.Contains(w, "loadBalancers") || len(d.Warnings) != 2 {
		t.Errorf("warnings:\n%s", w)
	}
	got, err := platform.DecodeBody[desired]("", d.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.Cluster != "c" || got.Service.Role != "r" || *got.Task.Cpu != "256" || *got.Task.ContainerDefinitions[0].Environment[0].Value != "80" {
		t.Errorf("%+v", got)
	}
	want := []deploy.Version{{Kind: "CONTAINER_IMAGE", Name: "shop", Version: "sha256:abc", URL: "registry:5000/a/shop@sha256:abc"}}
	if diff := cmp.Diff(want, d.Versions); diff != "" {
		t.Error(diff)
	}
}

func TestDigestIsOfTheEffect(t *testing.T) {
	digestOf := func(edit func(files)) string {
		fl := appFiles("1", "")
		if edit != nil {
			edit(fl)
		}
		d, _, err := load(t, fl)
		if err != nil {
			t.Fatal(err)
		}
		return d.Digest
	}
	base := digestOf(nil)
	same := map[string]func(files){
		"a comment": func(f files) { f["shop/taskdef.yaml"] = "# hello\n" + f["shop/taskdef.yaml"] },
		"what AWS adds": func(f files) {
			f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "containerPort: 80", "containerPort: 80, protocol: tcp, hostPort: 80", 1)
		},
		"units": func(f files) {
			f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "cpu: 256", "cpu: .25 vCPU", 1)
		},
		"order of subnets": func(f files) {
			f["shop/servicedef.yaml"] = strings.Replace(f["shop/servicedef.yaml"], "[s-2, s-1]", "[s-1, s-2]", 1)
		},
	}
	for name, edit := range same {
		if digestOf(edit) != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	for name, edit := range map[string]func(files){
		"the image":      func(f files) { f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "shop:1", "shop:2", 1) },
		"a secret value": func(f files) { f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "hush", "hush2", 1) },
		"not essential": func(f files) {
			f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "    environment", "    essential: false\n    environment", 1)
		},
		"the count": func(f files) {
			f["shop/servicedef.yaml"] = strings.Replace(f["shop/servicedef.yaml"], "Count: 4", "Count: 5", 1)
		},
	} {
		if digestOf(edit) == base {
			t.Errorf("%s does not change the digest", name)
		}
	}
}

func TestProviderConfig(t *testing.T) {
	n, _, err := spec.Parse("piped.yaml", []byte("{region: eu-west-1, roleARN: r, tokenFile: t, settleTime: 5s, endpoint: 'http://127.0.0.1:1', other: 1}"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := providerOf(n)
	if err != nil || p.Settle.Seconds() != 5 || p.Endpoint == "" || p.RoleARN != "r" {
		t.Errorf("%+v %v", p, err)
	}
	n, _, _ = spec.Parse("piped.yaml", []byte("{region: eu-west-1, roleARN: r}"))
	if _, err := providerOf(n); err == nil || !strings.Contains(err.Error(), "piped.yaml:1") {
		t.Errorf("role without token: %v", err)
	}
}

func TestDriftAndMasking(t *testing.T) {
	w := newWorld(t)
	w.live("1")
	compare := func(edit func(files)) (string, int) {
		fl := appFiles("1", "")
		edit(fl)
		d, _, err := load(t, fl)
		if err != nil {
			t.Fatal(err)
		}
		w.d = d
		l := w.observe()
		c, err := w.p.Compare(platform.State{Desired: &d}, platform.State{Live: &l})
		if err != nil {
			t.Fatal(err)
		}
		return c.Text(), c.Count()
	}
	if s, n := compare(func(files) {}); n != 0 {
		t.Errorf("drift of nothing: %s", s)
	}
	if s, n := compare(func(f files) { f["shop/taskdef.yaml"] = strings.Replace(f["shop/taskdef.yaml"], "hush", "secret2", 1) }); n != 1 || strings.Contains(s, "hush") || strings.Contains(s, "secret2") || !strings.Contains(s, "containerDefinitions[web].environment[TOKEN].value") {
		t.Errorf("masked: %s", s)
	}
	if s, n := compare(func(f files) {
		f["shop/taskdef.yaml"] = f["shop/taskdef.yaml"][:strings.Index(f["shop/taskdef.yaml"], "    environment")]
	}); n != 1 || !strings.HasPrefix(s, "+ ") {
		t.Errorf("a removed field: %s", s)
	}
	w.f.services["shop"].Count = 9
	if s, n := compare(func(files) {}); n != 0 {
		t.Errorf("an autoscaler is no drift: %s", s)
	}
	w.f.services["shop"].Count = 3
	if s, n := compare(func(files) {}); n != 1 || !strings.Contains(s, "desiredCount: 4 → 3") {
		t.Errorf("too few: %s", s)
	}
	l := w.observe()
	for _, r := range l.State.Resources {
		for k, v := range r.Fields {
			if strings.Contains(v, "hush") {
				t.Errorf("%s shows %s=%s", r.ID, k, v)
			}
		}
	}
	if l.State.Health == deploy.HealthUnknown || len(l.State.Traffic) != 2 || l.Versions[0].Version != "1" {
		t.Errorf("state %+v", l.State)
	}
	if got := l.State.Traffic[0].Groups[0]; got.Versions["1"] == 0 || got.Healthy != got.Versions["1"] {
		t.Errorf("versions behind %+v", got)
	}
}

// TestObserveReadsOnlyItsOwn counts the calls of one observation.
func TestObserveReadsOnlyItsOwn(t *testing.T) {
	w := newWorld(t)
	w.live("1")
	calls := map[string]int{}
	w.f.before = func(op string) error { calls[op]++; return nil }
	w.observe()
	want := map[string]int{"Account": 1, "Service": 1, "Revision": 1, "Tasks": 2, "Groups": 1, "RoutesOf": 1, "Health": 2}
	if d := cmp.Diff(want, calls); d != "" {
		t.Error(d)
	}
	if _, err := w.p.Observe(context.Background(), platform.Target{App: app, Desired: w.d}); err != nil {
		t.Error(err)
	}
}
