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
	for _, p := range r.Problems {
		if p.File == "" || p.Line < 1 || p.Column < 1 || p.Hint == "" || p.Message == "" || p.Doc == "" {
			t.Errorf("incomplete: %+v", p)
		}
		links[p.Doc] = true
	}
	for link := range links {
		followLink(t, link)
	}
	if len(links) < 8 {
		t.Errorf("only %d different links", len(links))
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
