package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// object opens a text for decoding.
func object(t *testing.T, text string) (*Decoder, *Object) {
	t.Helper()
	d := NewDecoder()
	return d, d.Object(mustParse(t, text))
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]string{
		"10s": "10s", "1h30m": "1h30m0s", "1.5h": "1h30m0s", "300ms": "300ms", "5us": "5µs", "5µs": "5µs", "-5m": "-5m0s", `"0"`: "0s", "0": "0s", "0.0": "0s", "~": "7s", "": "7s",
		"60": "add the unit: 60s", "1.5": "add the unit: 1.5s", `"60"`: "add the unit: 60s", "1d": "write 24h", "-2d": "write -48h", "1h 30m": "without spaces: 1h30m", `"1 h"`: "without spaces: 1h",
		`""`: "found the text \"\"", "yes": "found the boolean yes", "[1s]": "found a list", "{a: b}": "found an object", "1w": "units are h, m, s",
	} {
		d, o := object(t, "k: "+text)
		got := 7 * time.Second
		o.Duration("k", &got)
		_, err := d.Finish()
		if fmt.Sprint(got) == want && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || got != 7*time.Second {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestPercentages(t *testing.T) {
	for text, want := range map[string]int{"20": 20, `"20"`: 20, "20%": 20, `"20%"`: 20, "150": 150, "-5": -5, `"+5"`: 5, "0x10": 16, "1e1": 10, "~": 99} {
		d, o := object(t, "k: "+text)
		got := 99
		o.Percent("k", &got)
		if _, err := d.Finish(); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"20.5", "20%%", `"20 %"`, `" 20"`, `""`, "yes", "[20]", ".nan", "99999999999999999999"} {
		d, o := object(t, "k: "+text)
		got := 99
		o.Percent("k", &got)
		if _, err := d.Finish(); err == nil || got != 99 {
			t.Errorf("%s: %d is accepted", text, got)
		}
	}
}

func TestReplicas(t *testing.T) {
	for text, want := range map[string]Replicas{"3": {3, false}, "1.5": {1, false}, `"3"`: {3, false}, "20%": {20, true}, `"20%"`: {20, true}, "-1": {-1, false}, "0%": {0, true}} {
		d, o := object(t, "k: "+text)
		var got Replicas
		o.Replicas("k", &got)
		if _, err := d.Finish(); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1.5%", `""`, "yes", ".nan", ".inf"} {
		d, o := object(t, "k: "+text)
		var got Replicas
		o.Replicas("k", &got)
		if _, err := d.Finish(); err == nil {
			t.Errorf("%s is accepted as %v", text, got)
		}
	}
	for _, c := range []struct {
		r             Replicas
		running, want int
		text          string
	}{{Replicas{}, 10, 1, "0"}, {Replicas{0, true}, 10, 1, "0%"}, {Replicas{20, true}, 7, 2, "20%"}, {Replicas{100, true}, 7, 7, "100%"}, {Replicas{3, false}, 7, 3, "3"}} {
		if got := c.r.Of(c.running); got != c.want || c.r.String() != c.text {
			t.Errorf("%v of %d is %d, want %d", c.r, c.running, got, c.want)
		}
	}
}

// TestAbsentNullAndZero shows what each reader does with nothing, null and the zero value.
func TestAbsentNullAndZero(t *testing.T) {
	for _, text := range []string{"{}", "{s: ~, i: ~, d: ~, b: ~, p: ~, l: ~, m: ~, o: ~, e: ~, f: ~, r: ~}", "{s: '', i: 0, d: 0s, l: [], m: {}, o: {}, e: ''}"} {
		d, o := object(t, text)
		s, i, dur, b, e := "", 0, time.Duration(0), true, ""
		var bp *bool
		var f *float64
		var l []string
		var m map[string]string
		o.StringOr("s", &s, "x")
		o.IntOr("i", &i, 5)
		o.DurationOr("d", &dur, time.Hour)
		o.Bool("b", &b)
		o.BoolPtr("b", &bp)
		o.Strings("l", &l)
		o.StringMap("m", &m)
		o.Enum("e", &e, "A", "A", "B")
		o.FloatPtr("f", &f)
		o.Ignore("p", "r", "o")
		if _, err := d.Finish(); err != nil {
			t.Fatal(err)
		}
		if s != "x" || i != 5 || dur != time.Hour || !b || bp != nil || f != nil || len(l) != 0 || len(m) != 0 || e != "A" {
			t.Errorf("%s: %q %d %v %v %v %v %v %v %q", text, s, i, dur, b, bp, f, l, m, e)
		}
	}
	d, o := object(t, "{b: no, f: 0, l: [a, ~], m: {a: ~, B: c}}")
	b := true
	var bp *bool
	var f *float64
	var l []string
	var m map[string]string
	o.Bool("b", &b)
	o.BoolPtr("b", &bp)
	o.FloatPtr("f", &f)
	o.Strings("l", &l)
	o.StringMap("m", &m)
	if _, err := d.Finish(); err != nil || b || bp == nil || *bp || f == nil || *f != 0 {
		t.Errorf("explicit false and 0 are lost: %v %v %v %v", b, bp, f, err)
	}
	if diff := cmp.Diff([]string{"a", ""}, l); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "", "B": "c"}, m); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownKeys(t *testing.T) {
	read := func(n Node) (Warnings, error) {
		d := NewDecoder()
		o := d.Object(n)
		var s string
		o.String("taskDefinitionFile", &s)
		inner := o.Object("targetGroups")
		inner.String("primary", &s)
		return d.Finish()
	}
	text := "taskDefinitonFile: x\nTARGETGROUPS:\n  primry: y\n  zzzzzz: 1\n"
	warnings, err := read(mustParse(t, text))
	want := `test.yaml:1:1: taskDefinitonFile: unknown key "taskDefinitonFile" (did you mean taskDefinitionFile?)
test.yaml:3:3: TARGETGROUPS.primry: unknown key "primry" (did you mean primary?)
test.yaml:4:3: TARGETGROUPS.zzzzzz: unknown key "zzzzzz"`
	if err == nil || len(warnings) > 0 || err.Error() != want {
		t.Errorf("%v %v", err, warnings)
	}
	warnings, err = read(mustParse(t, text).WithLenient())
	if err != nil || len(warnings) != 3 || !strings.Contains(warnings[1].Error(), `"primry" has no effect (did you mean primary?)`) {
		t.Errorf("%v %v", err, warnings)
	}
}

func TestEnum(t *testing.T) {
	d, o := object(t, "a: SERVICE_DISCOVERY\nb: elb\nc: yes\n")
	var a, b, c string
	o.Enum("a", &a, "ELB", "ELB", "SERVICE_DISCOVERY")
	o.Enum("b", &b, "ELB", "ELB", "SERVICE_DISCOVERY")
	o.Enum("c", &c, "ELB", "ELB", "SERVICE_DISCOVERY")
	_, err := d.Finish()
	want := `test.yaml:2:4: b: "elb" is not known; it must be one of ELB, SERVICE_DISCOVERY (did you mean ELB?)
test.yaml:3:4: c: must be a text, found the boolean yes (write "yes" in quotes)`
	if a != "SERVICE_DISCOVERY" || b != "" || err == nil || err.Error() != want {
		t.Errorf("%q %q %v", a, b, err)
	}
}

// TestWrongShapesAreReportedOnce: below a value of the wrong type nothing further is said to be missing.
func TestWrongShapesAreReportedOnce(t *testing.T) {
	d, o := object(t, "a: [1]\nb: {c: 3}\n")
	a := o.Object("a")
	a.Required("x", "y")
	a.Object("deep").Required("z")
	var c string
	o.Object("b").Object("c").String("d", &c)
	_, err := d.Finish()
	want := "test.yaml:1:4: a: must be an object, found a list\ntest.yaml:2:8: b.c: must be an object, found the number 3"
	if err == nil || err.Error() != want {
		t.Error(err)
	}
}

func TestStageOptionsKnowTimeoutAndSkipOn(t *testing.T) {
	app, _, err := ReadApplication("a.yaml", []byte("apiVersion: pipecd.dev/v1beta1\nkind: ECSApp\nspec:\n  pipeline:\n    stages:\n    - name: ECS_CANARY_ROLLOUT\n      with: {scale: 30%, timeout: 1m, skipOn: {}, scal: 1}\n    - name: ECS_PRIMARY_ROLLOUT\n"))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder()
	scale := 0
	d.With(app.Stages[0]).Percent("scale", &scale)
	if d.With(app.Stages[1]).Exists() {
		t.Error("a stage without options has some")
	}
	warnings, err := d.Finish()
	if err != nil || scale != 30 || len(warnings) != 1 || warnings[0].Path != "spec.pipeline.stages[0].with.scal" {
		t.Errorf("%d %v %v", scale, warnings, err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	d, o := object(t, strings.Repeat("- x\n", 5000))
	_ = o
	d2 := NewDecoder()
	for _, item := range mustParse(t, strings.Repeat("- x\n", 5000)).Items() {
		d2.Object(item)
	}
	_, err := d2.Finish()
	list := err.(Errors)
	if len(list) != maxProblems+1 || list[maxProblems].Message != "and 4900 more problems" {
		t.Errorf("%d problems, the last is %v", len(list), list[len(list)-1])
	}
	if _, err := d.Finish(); err == nil {
		t.Error("a list is taken for an object")
	}
}

func TestJoin(t *testing.T) {
	one := Error{File: "b", Line: 2, Column: 1, Message: "two"}
	got := Join(nil, one, Errors{{File: "a", Line: 9, Column: 1, Message: "first file"}, {File: "b", Line: 1, Column: 5, Message: "one"}}, fmt.Errorf("reading: %w", one), fmt.Errorf("plain"))
	want := "plain\na:9:1: first file\nb:1:5: one\nb:2:1: two\nb:2:1: two"
	if got == nil || got.Error() != want {
		t.Errorf("%v", got)
	}
	if Join(nil, nil) != nil {
		t.Error("no problems are an error")
	}
}

func TestExcerpt(t *testing.T) {
	src := []byte("a: 1\n\tü: x\n" + strings.Repeat("x", 300) + "!\n")
	for _, c := range []struct {
		line, column int
		want         string
	}{
		{1, 4, "    1 | a: 1\n      |    ^\n"},
		{2, 5, "    2 | \tü: x\n      | \t   ^\n"},
		{3, 301, "    3 | " + strings.Repeat("x", 60) + "!\n      | " + strings.Repeat(" ", 60) + "^\n"},
		{9, 1, ""},
		{0, 0, ""},
	} {
		if diff := cmp.Diff(c.want, Error{Line: c.line, Column: c.column}.Excerpt(src)); diff != "" {
			t.Errorf("%d:%d: %s", c.line, c.column, diff)
		}
	}
}
