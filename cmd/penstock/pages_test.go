package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/spec"
)

// TestPagesHaveEveryField: each field that is decoded stands in a table of its page, or below one that does, and no table has a field
// that is not decoded.
func TestPagesHaveEveryField(t *testing.T) {
	for page, kinds := range map[string][]spec.Kind{docApplication: {spec.ECSApp, spec.PluginApp}, docPiped: {spec.PipedFile}} {
		data, err := os.ReadFile(filepath.Join(docsDir, page))
		if err != nil {
			t.Fatal(err)
		}
		rows := pageFields(string(data))
		if len(rows) < 15 {
			t.Fatalf("%s: only %d fields were found in its tables: %v", page, len(rows), rows)
		}
		known := map[string]bool{}
		for _, kind := range kinds {
			shape, err := spec.Describe(kind, describers())
			if err != nil {
				t.Fatal(err)
			}
			shape.Walk(func(s *spec.Shape) {
				at := plainPath(s.Path)
				known[at] = true
				if strings.HasPrefix(at, "spec.") && !covered(rows, at) && len(s.Fields) == 0 {
					t.Errorf("%s has no row for %s of %s", page, at, kind)
				}
			})
		}
		for row := range rows {
			if !known[row] {
				t.Errorf("%s has a row for %s, which is not decoded", page, row)
			}
		}
	}
}

// TestPageHasEveryOption: the table of stages has the options that are decoded, of stages that this version carries out.
func TestPageHasEveryOption(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(docsDir, docApplication))
	if err != nil {
		t.Fatal(err)
	}
	shape, err := spec.Describe(spec.ECSApp, describers())
	if err != nil {
		t.Fatal(err)
	}
	page := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			for _, name := range ticked.FindAllStringSubmatch(cells[1], -1) {
				page[name[1]] = true
				for _, option := range ticked.FindAllStringSubmatch(cells[2], -1) {
					page[name[1]+"."+option[1]] = true
				}
			}
		}
	}
	options := 0
	shape.Walk(func(s *spec.Shape) {
		m := stageOption.FindStringSubmatch(s.Path)
		if m == nil || m[2] == "skipOn" || len(s.Fields) > 0 || m[1] == m[2] {
			return
		}
		if options++; !page[m[1]+"."+m[2]] && m[2] != "timeout" {
			t.Errorf("%s has no option %s of %s", docApplication, m[2], m[1])
		}
	})
	if options < 8 {
		t.Errorf("only %d options are decoded", options)
	}
}

var (
	ticked      = regexp.MustCompile("`([^`]+)`")
	stageOption = regexp.MustCompile(`^spec\.pipeline\.stages\[(ECS_[A-Z_]+|WAIT|WAIT_APPROVAL|ANALYSIS|SCRIPT_RUN|CUSTOM_SYNC)\]\.with\.(\w+)$`)
	sorts       = regexp.MustCompile(`\[[^\]]*\]`)
)

// plainPath is a path without the marks of lists.
func plainPath(path string) string { return strings.ToLower(sorts.ReplaceAllString(path, "")) }

// covered reports whether a path or what it stands in has a row.
func covered(rows map[string]bool, at string) bool {
	if _, itself := rows[at]; itself {
		return true
	}
	for ; at != "spec" && at != ""; at = at[:max(0, strings.LastIndex(at, "."))] {
		if rows[at] {
			return true
		}
	}
	return false
}

// pageFields are the fields of tables whose head says what they stand in: `spec.` or `config.`. A field whose own fields have a
// table below it is false.
func pageFields(page string) map[string]bool {
	rows, prefix, inTable := map[string]bool{}, "", false
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			prefix, inTable = "", false
			continue
		}
		words := ticked.FindAllStringSubmatch(cells[1], -1)
		if !inTable {
			inTable = true
			if len(words) == 1 && strings.HasSuffix(words[0][1], ".") {
				prefix = strings.Replace(words[0][1], "config.", "spec.platformProviders.config.", 1)
			}
			if prefix == "spec." && strings.Contains(cells[2], "fields") {
				prefix = ""
			}
			continue
		}
		if prefix == "" {
			continue
		}
		last := ""
		for _, w := range words {
			name := w[1]
			if strings.HasPrefix(name, ".") {
				name = last[:max(0, strings.LastIndex(last, "."))] + name
			}
			last = name
			rows[plainPath(prefix+name)] = !strings.Contains(line, "below](") && !strings.Contains(line, "| below |")
		}
	}
	return rows
}
