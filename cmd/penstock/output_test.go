package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func testStreams(out *bytes.Buffer, width int, env map[string]string) streams {
	return streams{Out: out, Err: out, Getenv: func(k string) string { return env[k] }, Now: func() time.Time { return testNow }, Width: width}
}

func TestTableColumnsLineUpOnATerminal(t *testing.T) {
	var out bytes.Buffer
	s := testStreams(&out, 0, nil)
	s.table([]string{"NAME", "X"}, [][]string{{"決済サービス", "1"}, {"ｶﾅ", "2"}, {"e\u0301te", "3"}, {"👍🏽", "4"}, {"", "5"}})
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if w := lipgloss.Width(line[:len(line)-1]); w != 14 {
			t.Errorf("%q: the last column begins at %d, want 14", line, w)
		}
	}
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		width int
		env   map[string]string
		want  bool
	}{
		"terminal": {80, nil, true},
		"pipe":     {0, nil, false},
		"NO_COLOR": {80, map[string]string{"NO_COLOR": "1"}, false},
		"dumb":     {80, map[string]string{"TERM": "dumb"}, false},
	} {
		s := testStreams(nil, c.width, c.env)
		if got := s.paint("FAILURE"); (got != "FAILURE") != c.want || !strings.Contains(got, "FAILURE") {
			t.Errorf("%s: %q", name, got)
		}
		if got := s.paint("a name"); got != "a name" {
			t.Errorf("%s: a word without meaning became %q", name, got)
		}
	}
}

func TestTextOfOthersCannotMoveTheCursor(t *testing.T) {
	for text, want := range map[string]string{
		"plain 日本語":             "plain 日本語",
		"a\x1b[2Jb":             "a�[2Jb",
		"a\nb\tc":               "a b c",
		"c1 \u009b31m":          "c1 �31m",
		"bidi \u202egnp.exe":    "bidi �gnp.exe",
		"bell\a":                "bell�",
		"isolate \u2066x\u2069": "isolate �x�",
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m", 2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
	s := testStreams(nil, 0, nil)
	if s.ago(nil) != "" || s.span(nil, nil) != "" || s.span(timestamppb.New(testNow), timestamppb.New(testNow.Add(-time.Hour))) != "0s" {
		t.Error("times that are missing, or run backwards")
	}
}

func TestSelector(t *testing.T) {
	l := selector{}
	for _, text := range []string{"a=1,b=x=y", "c="} {
		if err := l.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if d := cmp.Diff(selector{"a": "1", "b": "x=y", "c": ""}, l); d != "" {
		t.Error(d)
	}
	for _, text := range []string{"", "a", "=1", "a=1,"} {
		if l.Set(text) == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestTreeShowsEveryResourceOnce(t *testing.T) {
	r := func(id, parent string) *penstockv1.Resource { return &penstockv1.Resource{Id: id, Parent: parent} }
	for name, rs := range map[string][]*penstockv1.Resource{
		"none":           nil,
		"own parent":     {r("a", "a")},
		"circle":         {r("a", "b"), r("b", "a")},
		"missing parent": {r("a", "gone"), r("b", "a")},
		"same id":        {r("a", ""), r("a", ""), r("b", "a")},
		"no ids":         {r("", ""), r("", "")},
	} {
		seen := map[*penstockv1.Resource]int{}
		for _, n := range treeOf(rs) {
			seen[n.resource]++
		}
		for i, x := range rs {
			if seen[x] != 1 {
				t.Errorf("%s: resource %d is shown %d times", name, i, seen[x])
			}
		}
	}
}

func TestTrafficText(t *testing.T) {
	route := func(primary, canary float64) *penstockv1.Traffic {
		return &penstockv1.Traffic{Groups: []*penstockv1.Share{{Variant: "primary", Percent: primary}, {Group: "tg-canary", Percent: canary}}}
	}
	for _, c := range []struct {
		in   []*penstockv1.Traffic
		want string
	}{
		{nil, ""},
		{[]*penstockv1.Traffic{route(80, 20), route(80, 20)}, "primary 80 %, tg-canary 20 %"},
		{[]*penstockv1.Traffic{route(80, 20), route(100, 0)}, "primary 80 %, tg-canary 20 %; primary 100 %, tg-canary 0 %"},
		{[]*penstockv1.Traffic{route(99.5, .5)}, "primary 99.5 %, tg-canary 0.5 %"},
	} {
		if got := trafficText(c.in); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestEndCodes(t *testing.T) {
	for display, want := range map[string]int{
		"SUCCESS": exitOK, "FAILURE": exitFailure, "ROLLED_BACK": exitFailure, "CANCELLED": exitCancelled, "NEEDS_ATTENTION": exitNeedsAttention,
		"A_WORD_OF_A_NEWER_SERVER": exitFailure,
	} {
		if got := endCode(&penstockv1.Deployment{Display: display}); got != want {
			t.Errorf("%s: %d, want %d", display, got, want)
		}
	}
}

// Every command says what it is for, and none hides a mistake in its flags.
func TestEveryCommandIsDescribed(t *testing.T) {
	var out bytes.Buffer
	root := newRootCommand(testStreams(&out, 0, nil))
	todo := root.Commands()
	for len(todo) > 0 {
		c := todo[0]
		todo = append(todo[1:], c.Commands()...)
		if c.Short == "" || c.Args == nil && c.Name() != "help" && c.Parent().Name() != "completion" && c.Name() != "completion" {
			t.Errorf("%s: no description, or its arguments are not checked", c.CommandPath())
		}
	}
}
