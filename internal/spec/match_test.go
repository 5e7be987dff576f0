package spec

import (
	"encoding/json"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		yes, no  []string
	}{
		{[]string{"*.md"}, []string{"a.md", ".md"}, []string{"docs/a.md", "a.mdx", "amd"}},
		{[]string{"a?c"}, []string{"abc", "aéc"}, []string{"ac", "a/c", "abbc"}},
		{[]string{"**/*.md"}, []string{"a.md", "docs/a.md", "x/y/z/a.md"}, []string{"a.txt", "md"}},
		{[]string{"docs/**"}, []string{"docs/a", "docs/x/y"}, []string{"docs", "adocs/a"}},
		{[]string{"a/**/b"}, []string{"a/b", "a/x/b", "a/x/y/b", "a/b/c"}, []string{"ab", "a/xb"}},
		{[]string{"**"}, []string{"a", "a/b"}, nil},
		{[]string{"docs"}, []string{"docs", "docs/a", "docs/a/b"}, []string{"docs2/a", "x/docs/a"}},
		{[]string{"docs/"}, []string{"docs/a"}, []string{"docs2/a"}},
		{[]string{"./docs"}, []string{"docs/a", "./docs/a"}, []string{"x/docs"}},
		{[]string{"a//b/"}, []string{"a/b", "a/b/c"}, []string{"a/c"}},
		{[]string{"kubernetes/.*"}, []string{"kubernetes/.env", "kubernetes/.x/y"}, []string{"kubernetes/app.yaml", "kubernetes"}},
		{[]string{"a.b", "c$d"}, []string{"a.b", "c$d"}, []string{"axb", "cd"}},
		{[]string{"v[0-9]+/x", "[^a]z"}, []string{"v1/x", "v22/x", "bz"}, []string{"v/x", "az"}},
		{[]string{"(app|lib)/main.go"}, []string{"app/main.go", "lib/main.go"}, []string{"web/main.go"}},
		{[]string{`a\*b`, "^x"}, []string{"a*b", "^x"}, []string{"aab", "x"}},
		{[]string{"*.md", "!README.md"}, []string{"a.md"}, []string{"README.md"}},
		{[]string{"!README.md", "*.md"}, []string{"README.md"}, nil},
		{[]string{"src", "!src/gen", "src/gen/keep"}, []string{"src/a", "src/gen/keep"}, []string{"src/gen/x"}},
		{[]string{"!docs"}, nil, []string{"docs/a", "src/a"}},
		{[]string{"", "  "}, nil, []string{"", "a", " "}},
		{nil, nil, []string{"a", ""}},
		{[]string{" docs "}, []string{"docs/a"}, []string{"a"}},
	} {
		m, err := CompilePatterns(c.patterns)
		if err != nil {
			t.Errorf("%q: %v", c.patterns, err)
			continue
		}
		for _, p := range c.yes {
			if !m.Match(p) {
				t.Errorf("%q does not match %s", c.patterns, p)
			}
		}
		for _, p := range c.no {
			if m.Match(p) {
				t.Errorf("%q matches %s", c.patterns, p)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"!": "excludes nothing", "a[": "missing closing ]", "(a": "missing closing )", "a)": "unexpected )", "+": "missing argument to repetition operator",
		strings.Repeat("a", maxPattern+1): "at most 4096", "a\xff": "invalid UTF-8",
	} {
		if _, err := CompilePatterns([]string{"ok", pattern}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", pattern, err, want)
		}
	}
}

func TestMatcherKeepsItsPatterns(t *testing.T) {
	m, err := CompilePatterns([]string{"a", "", "!b"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil || string(data) != `["a","","!b"]` {
		t.Errorf("%s %v", data, err)
	}
	same, _ := CompilePatterns(m.Patterns())
	if !m.Equal(same) || m.Equal(Matcher{}) || m.Empty() || !(Matcher{}).Empty() {
		t.Error("Equal or Empty is wrong")
	}
}

// TestLiteralPatternMeansPrefix: a path without special characters matches itself and all below it, and nothing else.
func TestLiteralPatternMeansPrefix(t *testing.T) {
	element := rapid.StringMatching(`[a-z][a-z0-9_-]{0,4}`)
	file := rapid.Custom(func(t *rapid.T) string {
		return path.Join(rapid.SliceOfN(element, 1, 5).Draw(t, "elements")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		pattern, name := file.Draw(t, "pattern"), file.Draw(t, "name")
		m, err := CompilePatterns([]string{pattern})
		if err != nil {
			t.Fatal(err)
		}
		want := name == pattern || strings.HasPrefix(name, pattern+"/")
		if m.Match(name) != want || !m.Match(pattern+"/"+name) {
			t.Fatalf("%s on %s: %v", pattern, name, !want)
		}
		excluded, err := CompilePatterns([]string{"**", "!" + pattern})
		if err != nil || excluded.Match(name) == want {
			t.Fatalf("excluding %s: %s is wrong (%v)", pattern, name, err)
		}
	})
}

func TestSkipOn(t *testing.T) {
	paths, err := CompilePatterns([]string{"docs", "*.md"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		skip    SkipOn
		message string
		changed []string
		want    bool
	}{
		{SkipOn{CommitMessagePrefixes: []string{"hotfix:", "[skip]"}}, "[skip] now", nil, true},
		{SkipOn{CommitMessagePrefixes: []string{"hotfix:"}}, "a hotfix: now", []string{"a"}, false},
		{SkipOn{Paths: paths}, "x", []string{"docs/a", "b.md"}, true},
		{SkipOn{Paths: paths}, "x", []string{"docs/a", "main.go"}, false},
		{SkipOn{Paths: paths}, "x", nil, false},
		{SkipOn{CommitMessagePrefixes: []string{"x"}, Paths: paths}, "x", []string{"main.go"}, true},
		{SkipOn{}, "x", []string{"main.go"}, false},
	} {
		if got := c.skip.Skip(c.message, c.changed); got != c.want {
			t.Errorf("%q %v: %v", c.message, c.changed, got)
		}
	}
}
