package spec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// maxFuzzTime is far above what any input of a fuzzer's size may take, even on a busy machine.
const maxFuzzTime = 30 * time.Second

// seeds adds every file of testdata, good and bad.
func seeds(f *testing.F) {
	good, err := filepath.Glob("testdata/ok/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range good {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	bad, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range bad {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Add([]byte("a: &a {<<: [*a]}\n? *a\n: *a"))
	f.Add([]byte("\ufeff\ta\r\r\n\u2028: !!binary ="))
}

// checkDecoded is what must hold of any file: bounded time, and every problem at a place that exists.
func checkDecoded(t *testing.T, data []byte, start time.Time, warnings Warnings, err error) {
	t.Helper()
	if took := time.Since(start); took > maxFuzzTime {
		t.Errorf("took %v", took)
	}
	checkPlaces(t, data, warnings)
	if err == nil {
		return
	}
	list, ok := err.(Errors)
	if !ok || len(list) == 0 {
		t.Fatalf("not a list of problems: %#v", err)
	}
	checkPlaces(t, data, list)
}

func FuzzApplication(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		app, warnings, err := ReadApplication("f.yaml", data)
		checkDecoded(t, data, start, warnings, err)
		if err != nil || app == nil {
			return
		}
		ids := map[string]bool{}
		for _, s := range app.Stages {
			if ids[s.ID] || s.ID == "" || s.Timeout <= 0 || s.Name == "" {
				t.Errorf("stage %+v", s)
			}
			ids[s.ID] = true
			if s.Wait != nil && s.Wait.Duration <= 0 || s.Approval != nil && s.Approval.MinApproverNum < 1 {
				t.Errorf("options of %+v", s)
			}
		}
		if app.Platform == "" || app.Timeout <= 0 {
			t.Errorf("%+v", app)
		}
		if _, err := app.Section.MarshalJSON(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzPiped(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		p, warnings, err := ReadPiped("f.yaml", data)
		checkDecoded(t, data, start, warnings, err)
		if err == nil && (p.ProjectID == "" || p.SyncInterval <= 0 || (p.PipedKeyFile == "") == (p.PipedKeyData == "")) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzShared(f *testing.F) {
	seeds(f)
	f.Add([]byte("apiVersion: pipecd.dev/v1beta1\nkind: AnalysisTemplate\nspec: {metrics: {a: {provider: p, query: q, interval: 1m, template: {}}, b: }, https: {c: {}}}"))
	f.Add([]byte("apiVersion: pipecd.dev/v1beta1\nkind: EventWatcher\nspec: {events: [{name: a, replacements: [{file: f, regex: '(a)', yamlField: $.a}, 7]}, ]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		s, warnings, err := ReadShared("f.yaml", data)
		checkDecoded(t, data, start, warnings, err)
		if err == nil && s.Kind != AnalysisTemplate && s.Kind != EventWatcherFile {
			t.Errorf("%+v", s)
		}
		if err != nil {
			return
		}
		for _, e := range s.Events {
			for _, r := range e.Replacements {
				if e.Name == "" || r.File == "" || r.YAMLField == "" && r.Regex == "" {
					t.Errorf("%+v", e)
				}
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{"**/a/*.md", "!x", "[^a-z]+(b|c)?", `\*\`, "a{2}{3}", "((((", "", "!", "./..//", "**/**/**/**/x", "\xff", "\n0"} {
		f.Add(p, "a/b/c.md")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		start := time.Now()
		m, err := CompilePatterns([]string{"**", pattern, "!" + pattern})
		if err == nil {
			if matched := m.Match(path); matched && strings.TrimSpace(pattern) == path && path != "" && !strings.ContainsAny(path, `*?[](){}|+\^/!. `) {
				t.Errorf("%q is not excluded by itself", path)
			}
		}
		if took := time.Since(start); took > maxFuzzTime {
			t.Errorf("took %v", took)
		}
	})
}
