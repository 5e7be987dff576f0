package ecs

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// FuzzLoad holds that any definition files give either a desired state that is read back and compares equal with itself, or
// problems, each at a line that the file has.
func FuzzLoad(f *testing.F) {
	good := appFiles("1.2", "")
	f.Add([]byte(good["shop/servicedef.yaml"]), []byte(good["shop/taskdef.yaml"]), []byte("settleTime: 5s\n"))
	names, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		service, task := good["shop/servicedef.yaml"], good["shop/taskdef.yaml"]
		for _, x := range ar.Files {
			switch {
			case strings.Contains(x.Name, "servicedef"):
				service = string(x.Data)
			case strings.Contains(x.Name, "taskdef"):
				task = string(x.Data)
			}
		}
		f.Add([]byte(service), []byte(task), []byte("region: r\nsettleTime: 1"))
	}
	f.Fuzz(func(t *testing.T, service, task, provider []byte) {
		if n, _, err := spec.Parse("provider", provider); err == nil {
			if p, err := providerOf(n); err == nil && p.Settle < 0 {
				t.Errorf("settle time %v", p.Settle)
			}
		}
		fl := appFiles("1.2", "")
		fl["shop/servicedef.yaml"], fl["shop/taskdef.yaml"] = string(service), string(task)
		d, _, err := load(t, fl)
		if err != nil {
			placed(t, err, fl)
			return
		}
		if d.Digest == "" {
			t.Error("no digest")
		}
		if _, err := platform.DecodeBody[desired]("", d.Body); err != nil {
			t.Fatalf("what was loaded is not read back: %v", err)
		}
		again, _, err := load(t, fl)
		if err != nil || again.Digest != d.Digest {
			t.Errorf("loaded twice: %s and %s, %v", d.Digest, again.Digest, err)
		}
		c, err := New(Options{}).Compare(platform.State{Desired: &d}, platform.State{Desired: &again})
		if err != nil || !c.Empty() {
			t.Errorf("differs from itself: %+v, %v", c, err)
		}
	})
}

// placed wants every problem at a line of a file that was given.
func placed(t *testing.T, err error, fl files) {
	t.Helper()
	var list spec.Errors
	if !errors.As(err, &list) {
		t.Fatalf("not a list of problems: %v", err)
	}
	for _, p := range list {
		if lines := strings.Count(fl[p.File], "\n") + 1; p.Line > lines {
			t.Errorf("line %d of %s, which has %d: %v", p.Line, p.File, lines, p)
		}
	}
}

// FuzzImage holds that a name and a version are parts of the reference, and that a registry's port is not taken for a tag.
func FuzzImage(f *testing.F) {
	for _, s := range []string{"web", "web:1", "registry:5000/a/web", "registry:5000/a/web:1@sha256:abc", "a/web@sha256:abc", "", ":", "@", "/", "a:b/c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		name, version := platform.SplitImage(ref)
		if version == "" || strings.ContainsAny(name, "/:@") {
			t.Errorf("%q is %q and %q", ref, name, version)
		}
		if !strings.Contains(ref, name) || version != "latest" && !strings.Contains(ref, version) {
			t.Errorf("%q is %q and %q, which it does not hold", ref, name, version)
		}
	})
}

// FuzzRecords holds that whatever a journal or a pinned body of another version holds is read or refused for good: asking again
// cannot help.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{`{"arn":"a","token":"t","at":"2026-01-02T03:04:05Z"}`, `{"primary":100,"writing":true}`, `{"from":1,"to":2}`, `null`, `[]`, `{"arn":1}`, `{"task":{"containerDefinitions":[null]}}`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		j := &platform.MemJournal{Entries: map[string]json.RawMessage{keyRevision: text, keyWeights: text, keySet + "canary": text, keyCount: text, deploy.JournalObjectPrefix + "taskSet/t": text}}
		final := func(err error) {
			if again, _ := platform.CanRetry(err); err != nil && again {
				t.Errorf("asking again is said to help: %v", err)
			}
		}
		_, _, err := platform.Recall[revisionRecord](j, keyRevision)
		final(err)
		_, _, err = platform.Recall[weightsRecord](j, keyWeights)
		final(err)
		_, _, err = platform.Recall[setRecord](j, keySet+"canary")
		final(err)
		_, _, err = platform.Recall[countRecord](j, keyCount)
		final(err)
		open, err := platform.Ledger{J: j}.Open()
		final(err)
		for _, o := range open {
			if o.State != deploy.LedgerIntended && o.State != deploy.LedgerCreated {
				t.Errorf("open: %+v", o)
			}
		}
		_, err = New(Options{}).Compare(platform.State{Desired: &platform.Desired{Body: text}}, platform.State{Live: &platform.Live{Body: text}})
		final(err)
	})
}
