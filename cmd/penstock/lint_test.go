package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/penstock-cd/penstock/internal/spec"
)

// TestEveryFindingIsExplained runs lint over every broken and every accepted file of the decoders' tests: each finding has a
// place, a hint, and a link to a heading that exists.
func TestEveryFindingIsExplained(t *testing.T) {
	dir := t.TempDir()
	cases := 0
	for _, pattern := range []string{"../../internal/spec/testdata/bad/*.txtar", "../../internal/platform/ecs/testdata/bad/*.txtar", "../../internal/spec/testdata/ok/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			cases++
			writeCase(t, filepath.Join(dir, strings.NewReplacer("/", "-", ".", "").Replace(file)), file, data)
		}
	}
	for name, text := range brokenShared() {
		cases++
		writeShared(t, dir, name, text)
	}
	var out bytes.Buffer
	s := processStreams()
	s.Out, s.Err, s.Dir, s.Width = &out, &bytes.Buffer{}, dir, 0
	if code := run(context.Background(), []string{"lint", "-o", "json"}, s); code != exitError {
		t.Fatalf("exit code %d", code)
	}
	var r lintResult
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if cases < 100 || r.Errors < 100 {
		t.Fatalf("%d files, %d errors", cases, r.Errors)
	}
	links := map[string]bool{docsBase + docClaims: true}
	native, shared := 0, map[string]int{}
	for _, p := range r.Problems {
		if strings.Contains(p.File, "native-") {
			native++
		}
		if name, ok := strings.CutPrefix(filepath.ToSlash(p.File), spec.SharedFolder+"/"); ok {
			if shared[name]++; p.Doc != docsBase+docShared {
				t.Errorf("%s is explained by %s", p.File, p.Doc)
			}
		}
		if p.File == "" || p.Line < 1 || p.Column < 1 || p.Hint == "" || p.Message == "" || p.Doc == "" {
			t.Errorf("incomplete: %+v", p)
		}
		links[p.Doc] = true
	}
	if native < 18 || len(shared) != len(brokenShared()) || shared["templates.yaml"] < 7 || shared["events.yaml"] < 8 {
		t.Errorf("findings: %d for the controller ECS, of shared files %v", native, shared)
	}
	for link := range links {
		followLink(t, link)
	}
	if len(links) < 8 {
		t.Errorf("only %d different links", len(links))
	}
}

// brokenShared are files of the shared folder with every mistake that is looked for.
func brokenShared() map[string]string {
	const head = "apiVersion: pipecd.dev/v1beta1\nkind: "
	return map[string]string{
		"templates.yaml": head + `AnalysisTemplate
spec:
  wrong: 1
  metrics:
    again: {template: {name: another}}
    when: {provider: p, query: q, interval: often}
    number: 7
    open: {}
  logs:
    none: {}
  https:
    nowhere: {interval: 1m}
`,
		"events.yaml": head + `EventWatcher
spec:
  wrong: 1
  events:
    - {}
    - name: a
      replacements:
        - {}
        - {file: f}
        - {file: f, jsonField: x}
        - {file: f, HCLField: x}
        - {file: f, yamlField: spec.image}
        - {file: f, regex: "("}
        - {file: f, regex: image}
        - {file: f, yamlField: $.a, regex: "(a)"}
`,
		"other.yaml":  head + "ECSApp\nspec: {}\n",
		"syntax.yaml": "a: [\n",
	}
}

func writeShared(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, spec.SharedFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, spec.SharedFolder, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeCase writes the files of one case into a folder of its own.
func writeCase(t *testing.T, dir, file string, data []byte) {
	t.Helper()
	files := []txtar.File{{Name: "app.yaml", Data: data}}
	if strings.HasSuffix(file, ".txtar") {
		files = txtar.Parse(data).Files
	}
	for _, f := range files {
		name := filepath.Base(f.Name)
		if strings.HasPrefix(name, "app") || strings.HasPrefix(filepath.Base(file), "piped") && strings.HasSuffix(file, ".yaml") {
			name = "app.pipecd.yaml"
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)

// followLink looks for the page and the heading of a link into the documentation.
func followLink(t *testing.T, link string) {
	t.Helper()
	page, anchor, ok := strings.Cut(strings.TrimPrefix(link, docsBase), "#")
	data, err := os.ReadFile(filepath.Join(docsDir, page))
	if err != nil || !ok || !strings.HasPrefix(link, docsBase) {
		t.Errorf("%s: no such page, or no heading: %v", link, err)
		return
	}
	for line := range strings.Lines(string(data)) {
		text, heading := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		slug := strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), ""), " ", "-")
		if strings.HasPrefix(line, "#") && heading && slug == anchor {
			return
		}
	}
	t.Errorf("%s: the page has no such heading", link)
}
