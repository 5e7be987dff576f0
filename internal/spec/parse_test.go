package spec

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func mustParse(t *testing.T, text string) Node {
	t.Helper()
	n, _, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPlainScalars(t *testing.T) {
	for text, want := range map[string]any{
		"yes": true, "Y": true, "On": true, "TRUE": true, "n": false, "NO": false, "off": false, "False": false,
		"yEs": "yEs", "oN": "oN", "tRue": "tRue",
		"~": nil, "null": nil, "NULL": nil, "": nil, "nUll": "nUll",
		"10": int64(10), "-3": int64(-3), "+3": int64(3), "010": int64(8), "0x10": int64(16), "0b11": int64(3), "0o17": int64(15),
		"1_000": int64(1000), "09": float64(9), "1e2": 100.0, "1.10": 1.1, ".5": 0.5, "1.": 1.0, "-1.5e-1": -0.15,
		"99999999999999999999": 1e20, ".inf": math.Inf(1), "-.INF": math.Inf(-1),
		"1:30": "1:30", "2024-01-01": "2024-01-01", "1.2.3": "1.2.3", "10s": "10s", "20%": "20%", "Inf": "Inf", "0x1p4": "0x1p4", "-": "-", "+": "+", ".": ".",
		"!!str 10": "10", "!!str yes": "yes", "!!int 7": int64(7), "!!float 7": 7.0, "!!binary aGk=": "hi", "!custom x": "x", "!!null ''": nil,
		`"yes"`: "yes", `'10'`: "10", `"~"`: "~", `""`: "",
	} {
		if text == "-" {
			continue // an empty list item, not a scalar
		}
		got := mustParse(t, "k: "+text).Get("k").Value()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	if got := mustParse(t, "k: .nan").Get("k").Value().(float64); !math.IsNaN(got) {
		t.Errorf(".nan is %v", got)
	}
	if got := mustParse(t, "k: |\n  10\n").Get("k").Value(); got != "10\n" {
		t.Errorf("a block text is %#v", got)
	}
}

func TestKeys(t *testing.T) {
	n := mustParse(t, "on: a\n1: b\n010: c\n1.5: d\n'yes': e\nName: f\nname: g\n")
	if diff := cmp.Diff([]string{"true", "1", "8", "1.5", "yes", "Name", "name"}, n.Keys()); diff != "" {
		t.Error(diff)
	}
	if got := n.Get("NAME"); got.Text() != "g" || got.Path() != "name" || got.Pos().Line != 7 {
		t.Errorf("got %s at %s, line %d; want the lower-case key", got.Text(), got.Path(), got.Pos().Line)
	}
	for _, bad := range []string{"? [a]\n: b", "~: x", "? {a: b}\n: c"} {
		if _, _, err := Parse("f", []byte(bad)); err == nil || !strings.Contains(err.Error(), "a key must be a text") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDuplicateKeyKeepsTheLast(t *testing.T) {
	n, warnings, err := Parse("f.yaml", []byte("a:\n  b: 1\n  b: 2\n"))
	if err != nil || n.Get("a").Get("b").Value() != int64(2) {
		t.Fatalf("%v %v", n.Value(), err)
	}
	want := Warnings{{File: "f.yaml", Line: 2, Column: 3, Path: "a.b", Message: "the key is given again on line 3; this one is not used", Hint: "remove one of the two"}}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestMerge(t *testing.T) {
	n := mustParse(t, "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\none: {b: 9, <<: *x}\nmany:\n  <<: [*y, *x]\n  c: 9\nplain: {'<<': kept}\n")
	for path, want := range map[string]string{"one": `{"a":1,"b":9}`, "many": `{"a":1,"b":2,"c":9}`, "plain": `{"\u003c\u003c":"kept"}`} {
		got, err := json.Marshal(n.Get(path))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, want %s (%v)", path, got, want, err)
		}
	}
	if got := n.Get("many").Get("a").Path(); got != "many.a" {
		t.Errorf("a merged key is at %s", got)
	}
}

func TestFirstDocumentOnly(t *testing.T) {
	n := mustParse(t, "---\na: 1\n---\nb: [never read\n")
	if diff := cmp.Diff(map[string]any{"a": int64(1)}, n.Value()); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{"", "# comment\n", "---\n---\na: 1\n", "\ufeff"} {
		if got := mustParse(t, empty).Kind(); got != NullNode {
			t.Errorf("%q is %v", empty, got)
		}
	}
}

func TestPositions(t *testing.T) {
	n := mustParse(t, "\ufeffé: {ü: [1, x]}\nlist:\n  - a: b\nempty:\n")
	for _, c := range []struct {
		node Node
		want string
		path string
	}{
		{n.Get("é").Get("ü").Items()[1], "test.yaml:1:12", "é.ü[1]"},
		{n.Get("list").Items()[0].Get("a"), "test.yaml:3:8", "list[0].a"},
		{n.Get("list").Items()[0].Get("gone"), "test.yaml:3:5", "list[0].gone"},
		{n.Get("gone").Get("further"), "test.yaml:1:1", "gone.further"},
	} {
		if c.node.Pos().String() != c.want || c.node.Path() != c.path {
			t.Errorf("%s at %s, want %s at %s", c.node.Path(), c.node.Pos(), c.path, c.want)
		}
	}
	if (Node{}).Get("x").Kind() != MissingNode || (Node{}).Path() != "" {
		t.Error("the zero node is not missing")
	}
}

// TestHostileFiles holds files that are small and would be expensive to read naively; each has a bounded cost and an error
// with a place, or is read.
func TestHostileFiles(t *testing.T) {
	var bomb, chain strings.Builder
	bomb.WriteString("a0: &a0 [x]\n")
	chain.WriteString("a0: &a0 {k0: v}\n")
	for i := 1; i < 30; i++ {
		prev := "*a" + string(rune('0'+(i-1)%10))
		name := "&a" + string(rune('0'+i%10))
		bomb.WriteString("k" + strings.Repeat("x", i) + ": " + name + " [" + strings.Repeat(prev+", ", 20) + "]\n")
		chain.WriteString("k" + strings.Repeat("x", i) + ": " + name + " {<<: " + prev + "}\n")
	}
	files := map[string]struct{ text, want string }{
		"alias bomb":       {bomb.String(), "aliases expand to more than"},
		"merge chain":      {chain.String(), ""},
		"self":             {"a: &a {b: *a}", "contains itself"},
		"self merge":       {"a: &a {<<: *a}", "contains itself"},
		"too large":        {strings.Repeat("#", MaxBytes+1), "at most 1048576 are read"},
		"flow depth":       {strings.Repeat("[", 5000), "not valid YAML"},
		"block depth":      {strings.Repeat("- ", 5000) + "x", "nested more than 64 deep"},
		"long key path":    {"{? " + strings.Repeat("k", 100_000) + " : [" + strings.Repeat("!!int x, ", 2000) + "]}", "and 1900 more problems"},
		"many duplicates":  {strings.Repeat("a: 1\n", 100_000), ""},
		"not text":         {"a: \xff\xfe", "not UTF-8"},
		"unusual newlines": {"a: 1\rb: 2\r\nc: [", "not valid YAML"},
	}
	for name, f := range files {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, _, err := Parse("f.yaml", []byte(f.text))
			if took := time.Since(start); took > maxFuzzTime {
				t.Errorf("took %v", took)
			}
			if f.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			list, ok := err.(Errors)
			if !ok || !strings.Contains(list[len(list)-1].Error(), f.want) && !strings.Contains(list[0].Error(), f.want) {
				t.Fatalf("got %.300v, want %s", err, f.want)
			}
			checkPlaces(t, []byte(f.text), list)
		})
	}
}

func TestNodeEqualIgnoresPlaceAndOrder(t *testing.T) {
	a := mustParse(t, "a: 1\nb: [x, {c: yes}]\n")
	b := mustParse(t, `{"b": ["x", {"c": true}],    "a": 1}`)
	if !a.Equal(b) || a.Equal(b.Get("b")) || (Node{}).Equal(mustParse(t, "~")) {
		t.Error("Equal is wrong")
	}
}

func TestMarshalJSONOfWhatJSONLacks(t *testing.T) {
	got, err := json.Marshal(mustParse(t, "[.inf, .nan, {a: -.inf}, 1.5, yes, ~]"))
	if want := `["+Inf","NaN",{"a":"-Inf"},1.5,true,null]`; err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
}
