package repotest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Written in pieces so that this file does not contain what it looks for.
var (
	machinePath  = regexp.MustCompile("(^|[^A-Za-z0-9._~/*-])/(work|root|home/[a-z][a-z0-9_-]*|Users/[A-Za-z]+)/")
	registryHost = regexp.MustCompile(`(proxy\.` + `golang\.org|registry\.` + `npmjs\.org|registry\.` + `yarnpkg\.com|deb\.` + `debian\.org|"resolved":\s*"https?:)`)
)

// text gives a file's content, nil when it is not text.
func (r *repository) text(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(r.root, name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 {
		return nil
	}
	return b
}

// foreignPlace gives what a line says about one machine or one network, or "".
func foreignPlace(line string) string {
	if m := machinePath.FindString(line); m != "" {
		return "a path of one machine"
	}
	if m := registryHost.FindString(line); m != "" {
		return "a registry's host (for npm: omit-lockfile-registry-resolved=true in .npmrc)"
	}
	return ""
}

func TestNoMachinePathsOrRegistryHosts(t *testing.T) {
	r := repo(t)
	for _, name := range r.files {
		if path.Base(name) == "go.sum" {
			continue
		}
		for i, line := range strings.Split(string(r.text(t, name)), "\n") {
			if what := foreignPlace(line); what != "" {
				t.Errorf("%s:%d: %s", name, i+1, what)
			}
		}
	}
}

func TestForeignPlaces(t *testing.T) {
	for line, bad := range map[string]bool{
		"dir: /" + "work/main":                                true,
		"see `/" + "root/go/pkg`":                             true,
		"/" + "home/jo/src":                                   true,
		"https://example.com/" + "work/x":                     false,
		"a/" + "root/b":                                       false,
		`"resolved": "` + "https://host/a.tgz\"":              true,
		"GOPROXY=https://proxy." + "golang.org":               true,
		"https://pkg.go.dev/golang.org/x/tools is a web page": false,
	} {
		if got := foreignPlace(line) != ""; got != bad {
			t.Errorf("%q: found = %v, want %v", line, got, bad)
		}
	}
}

func TestEveryExampleIsListed(t *testing.T) {
	r := repo(t)
	var examples []string
	for _, name := range r.files {
		if within(name, "examples") && path.Base(name) == "app.pipecd.yaml" {
			examples = append(examples, strings.TrimPrefix(path.Dir(name), "examples/"))
		}
	}
	if len(examples) == 0 {
		return
	}
	list, err := fs.ReadFile(r.root, "examples/README.md")
	if err != nil {
		t.Fatalf("the examples are listed nowhere: %v", err)
	}
	linked := map[string]bool{}
	for _, l := range links(string(list)) {
		linked[path.Clean(l.target)] = true
	}
	for _, dir := range examples {
		if !linked[dir] && !linked[dir+"/app.pipecd.yaml"] {
			t.Errorf("examples/README.md has no link to %s", dir)
		}
	}
}

// link is an inline link of a Markdown file, or the target of a reference.
type link struct {
	line   int
	target string
}

var (
	inlineLink = regexp.MustCompile(`\]\(<?([^)>\s]+)>?(?:\s+"[^"]*")?\)`)
	refLink    = regexp.MustCompile(`^\s{0,3}\[[^\]]+\]:\s*<?([^>\s]+)`)
	codeSpan   = regexp.MustCompile("`[^`]*`")
)

// links lists the links of a Markdown text; what stands in code is none.
func links(text string) []link {
	var found []link
	for i, line := range prose(text) {
		for _, re := range []*regexp.Regexp{inlineLink, refLink} {
			for _, m := range re.FindAllStringSubmatch(line, -1) {
				found = append(found, link{i + 1, m[1]})
			}
		}
	}
	return found
}

// prose gives the lines of a Markdown text with everything in code emptied.
func prose(text string) []string {
	lines := strings.Split(text, "\n")
	fence := ""
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")):
			fence, lines[i] = trimmed[:3], ""
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
			lines[i] = ""
		default:
			lines[i] = codeSpan.ReplaceAllString(line, "")
		}
	}
	return lines
}

// anchors are the names that headings of a Markdown text get.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	inCode := prose(text)
	for i, line := range strings.Split(text, "\n") {
		if inCode[i] == "" || !strings.HasPrefix(line, "#") {
			continue
		}
		slug := strings.Map(func(c rune) rune {
			switch {
			case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
				return unicode.ToLower(c)
			case c == ' ':
				return '-'
			}
			return -1
		}, strings.TrimSpace(strings.TrimLeft(line, "#")))
		name := slug
		for n := 1; found[name]; n++ {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		found[name] = true
	}
	return found
}

func TestLinksInDocsResolve(t *testing.T) {
	r := repo(t)
	for _, name := range r.files {
		if path.Ext(name) != ".md" || strings.Contains(name, "testdata/") {
			continue
		}
		for _, l := range links(string(r.text(t, name))) {
			if why := r.broken(name, l.target); why != "" {
				t.Errorf("%s:%d: link to %s: %s", name, l.line, l.target, why)
			}
		}
	}
}

// broken gives the reason why a link of a file leads nowhere, or "". The web is not asked.
func (r *repository) broken(from, target string) string {
	if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	if !fs.ValidPath(to) {
		return "leads out of the repository"
	}
	info, err := fs.Stat(r.root, to)
	switch {
	case err != nil:
		return "there is no such file"
	case anchor == "" || info.IsDir() || path.Ext(to) != ".md":
		return ""
	}
	text, err := fs.ReadFile(r.root, to)
	if err != nil {
		return err.Error()
	}
	if !anchors(string(text))[anchor] {
		return "there is no such heading"
	}
	return ""
}

func TestLinks(t *testing.T) {
	const text = "# Two words: `code`\n[a](b.md \"title\") and ![p](<c.png>) `[no](x)`\n```\n[no](y)\n```\n[r]: d.md#two\n# Two words: `code`\n"
	var got []string
	for _, l := range links(text) {
		got = append(got, fmt.Sprintf("%d %s", l.line, l.target))
	}
	if want := "2 b.md,2 c.png,6 d.md#two"; strings.Join(got, ",") != want {
		t.Errorf("links = %v, want %s", got, want)
	}
	names := anchors(text)
	if !names["two-words-code"] || !names["two-words-code-1"] {
		t.Errorf("anchors = %v", names)
	}
}
