package spec

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/tools/txtar"
)

// unseen are the broken files that a schema cannot refuse, with the reason.
var unseen = map[string]string{
	"commit-matcher-regexp.txtar":             "the syntax of a regular expression",
	"drift-ignore-field.txtar":                "the syntax of a field",
	"piped-git.txtar":                         "two fields that exclude each other",
	"piped-key-not-base64.txtar":              "base64",
	"piped-two-keys.txtar":                    "two fields that exclude each other",
	"piped-plan-preview.txtar":                "a sign",
	"piped-event-repo.txtar":                  "two entries of one name",
	"piped-slack.txtar":                       "a field that another one demands",
	"timeout-negative.txtar":                  "a sign",
	"skip-on-pattern.txtar":                   "the syntax of a pattern",
	"plugins-none.txtar":                      "no platform",
	"plugins-two.txtar":                       "two platforms",
	"plugins-multicluster.txtar":              "no platform",
	"wait-duration-missing-plugin-form.txtar": "a duration that only one form demands",
}

// unusual are accepted files whose keys have unusual capitals: the decoder matches keys in any case, a schema cannot.
var unusual = map[string]bool{"yaml-1.1.yaml": true, "piped-unknown-keys.yaml": true}

// TestSchemaAgreesWithDecoder: what the decoder accepts, the schema accepts; what it refuses the schema refuses where it can.
func TestSchemaAgreesWithDecoder(t *testing.T) {
	schemas := map[Kind]*jsonschema.Schema{}
	for _, kind := range DescribedKinds() {
		schemas[kind] = compile(t, kind)
	}
	for _, file := range glob(t, "testdata/ok/*.yaml") {
		root, _, err := Parse(file, readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		if unusual[filepath.Base(file)] {
			continue
		}
		if err := schemas[Kind(root.Get("kind").Text())].Validate(root.Value()); err != nil {
			t.Errorf("%s is accepted by the decoder: %v", file, err)
		}
	}
	left := maps.Clone(unseen)
	for _, file := range glob(t, "testdata/bad/*.txtar") {
		name := filepath.Base(file)
		_, expected := unseen[name]
		delete(left, name)
		in := txtar.Parse(readFile(t, file)).Files[0]
		root, _, err := Parse(in.Name, in.Data)
		if err != nil {
			continue // no YAML: no editor gets as far as a schema
		}
		kind := ECSApp
		if strings.HasPrefix(in.Name, "piped") {
			kind = PipedFile
		}
		if k := Kind(root.Get("kind").Text()); schemas[k] != nil {
			kind = k
		}
		if strings.HasPrefix(in.Name, "piped") {
			kind = PipedFile
		}
		err = schemas[kind].Validate(root.Value())
		if (err == nil) != expected {
			t.Errorf("%s: the schema says %v", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("%s is listed as unseen and does not exist", name)
	}
}

// TestEveryKeyOfEveryFileIsInTheSchema: no key of an accepted file is known to the decoder alone.
func TestEveryKeyOfEveryFileIsInTheSchema(t *testing.T) {
	for _, file := range glob(t, "testdata/ok/*.yaml") {
		root, _, err := Parse(file, readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		_, warnings, err := decodeByName(filepath.Base(file), readFile(t, file))
		if err != nil {
			t.Fatal(err)
		}
		shape, err := Describe(Kind(root.Get("kind").Text()), nil)
		if err != nil {
			t.Fatal(err)
		}
		checkKeys(t, root, shape, warnings)
	}
}

func checkKeys(t *testing.T, n Node, s *Shape, warnings Warnings) {
	for _, key := range n.Keys() {
		child := n.Get(key)
		f := s.Field(key)
		if v := slices.IndexFunc(s.Variants, func(v *Shape) bool { return v.Key == n.Get(s.Switch).Text() && v.Field(key) != nil }); v >= 0 {
			f = s.Variants[v].Field(key)
		}
		switch {
		case f == nil && s.Type == ObjectType && !s.Open && len(s.Fields) > 0:
			if !slices.ContainsFunc(warnings, func(w Error) bool { return w.Path == child.Path() }) {
				t.Errorf("%s: %s is decoded and not described", child.Pos(), child.Path())
			}
		case f != nil:
			checkKeys(t, child, f, warnings)
			for _, item := range child.Items() {
				if f.Item != nil {
					checkKeys(t, item, f.Item, warnings)
				}
			}
		}
	}
}

func compile(t *testing.T, kind Kind) *jsonschema.Schema {
	t.Helper()
	shape, err := Describe(kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := shape.JSONSchema(string(kind))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}
