package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/spec"
)

const docsDir = "../../docs"

// TestSchemasAreFresh compares the published schemas with what is decoded; -update writes them.
func TestSchemasAreFresh(t *testing.T) {
	for _, kind := range spec.DescribedKinds() {
		data, err := jsonSchema(kind)
		if err != nil {
			t.Fatal(err)
		}
		checkPublished(t, filepath.Join(docsDir, "reference", "schema", string(kind)+".json"), string(data))
	}
}

// checkPublished compares a generated file with the one in the repository.
func checkPublished(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("%s is not what is decoded; write it anew with: go test ./cmd/penstock -run 'Fresh' -update\n%s", name, diff)
	}
}

// TestPlatformsExplainTheirFields: every field that a platform decodes has a text.
func TestPlatformsExplainTheirFields(t *testing.T) {
	for _, kind := range []spec.Kind{spec.ECSApp, spec.PluginApp, spec.PipedFile} {
		shape, err := spec.Describe(kind, describers())
		if err != nil {
			t.Fatal(err)
		}
		shape.Walk(func(s *spec.Shape) {
			if s.Text == "" && s.Path != "" && s.Type != spec.AnyType && s.Path[len(s.Path)-1] != ']' {
				t.Errorf("%s: no text for %s", kind, s.Path)
			}
		})
	}
}
