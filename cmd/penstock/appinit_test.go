package main

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/spec"
)

// TestYAMLTextIsReadAsWritten holds that any text comes back, alone and in a list.
func TestYAMLTextIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[ -~äß本]*`), rapid.SampledFrom([]string{"yes", "1.0", "~", "null", "- a", "a: b", "&x", "!t", "a #b", " a", "007", "", "\t", "a\nb", "{", "%"})).Draw(t, "text")
		one, err := yamlText(s)
		if err != nil {
			t.Fatal(err)
		}
		list, err := yamlList([]string{s, "x"})
		if err != nil {
			t.Fatal(err)
		}
		n, _, err := spec.Parse("", []byte("one: "+one+"\nlist: "+list+"\n"))
		if err != nil {
			t.Fatalf("%q, %q: %v", one, list, err)
		}
		items := n.Get("list").Items()
		if v := n.Get("one"); v.Kind() != spec.StringNode || v.Text() != s || len(items) != 2 || items[0].Kind() != spec.StringNode || items[0].Text() != s {
			t.Errorf("%q became %q and %q", s, one, list)
		}
	})
}
