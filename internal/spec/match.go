package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPattern is the longest path pattern, in bytes.
const maxPattern = 4096

// Matcher decides whether a path, relative to the repository root and with slashes, is meant by a list of patterns. The zero
// Matcher matches nothing.
//
// Patterns are globs anchored at the root: * and ? stay within a path element, ** crosses any number of them, [...], ( | )
// and + keep their regular-expression meaning, . and $ are plain. A pattern that names a directory matches everything below
// it. One that starts with ! excludes what earlier ones matched. Empty patterns are ignored.
type Matcher struct {
	patterns []string
	rules    []pathRule
}

type pathRule struct {
	exclude bool
	expr    *regexp.Regexp
}

// CompilePatterns compiles a list of patterns. The error names the pattern that is wrong.
func CompilePatterns(patterns []string) (Matcher, error) {
	var m Matcher
	for _, p := range patterns {
		if err := m.add(p); err != nil {
			return Matcher{}, err
		}
	}
	return m, nil
}

func (m *Matcher) add(pattern string) error {
	m.patterns = append(m.patterns, pattern)
	text := strings.TrimSpace(pattern)
	if text == "" {
		return nil
	}
	if len(text) > maxPattern {
		return fmt.Errorf("the pattern has %d bytes; at most %d are allowed", len(text), maxPattern)
	}
	body, exclude := strings.CutPrefix(text, "!")
	body = strings.TrimSpace(body)
	if exclude && body == "" {
		return fmt.Errorf("the pattern \"!\" excludes nothing; write a path after it")
	}
	expr, err := regexp.Compile(globExpr(cleanPattern(body)))
	if err != nil {
		var bad *syntax.Error
		if errors.As(err, &bad) { // the expression itself means nothing to the writer of a glob
			return fmt.Errorf("the pattern %s is not valid: %s", quote(pattern), bad.Code)
		}
		return fmt.Errorf("the pattern %s is not valid: %w", quote(pattern), err)
	}
	m.rules = append(m.rules, pathRule{exclude, expr})
	return nil
}

// Match says whether the path is meant. The path itself and each directory above it are tried, and the last pattern that
// matches decides.
func (m Matcher) Match(path string) bool {
	path = strings.TrimPrefix(path, "./")
	matched := false
	for _, rule := range m.rules {
		if rule.exclude == matched && rule.matches(path) {
			matched = !rule.exclude
		}
	}
	return matched
}

func (r pathRule) matches(path string) bool {
	for path != "" {
		if r.expr.MatchString(path) {
			return true
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return false
		}
		path = path[:i]
	}
	return false
}

// Empty says that the matcher matches nothing because it has no pattern.
func (m Matcher) Empty() bool { return len(m.rules) == 0 }

// Patterns are the patterns as given.
func (m Matcher) Patterns() []string { return slices.Clone(m.patterns) }

// Equal compares the patterns.
func (m Matcher) Equal(other Matcher) bool { return slices.Equal(m.patterns, other.patterns) }

// cleanPattern removes ./ in front, a slash at the end and doubled slashes.
func cleanPattern(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	for strings.HasPrefix(p, "./") {
		p = p[2:]
	}
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// globExpr translates one pattern to an anchored regular expression.
func globExpr(p string) string {
	var b strings.Builder
	b.WriteString("(?s)^(?:")
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			if i+1 >= len(p) || p[i+1] != '*' {
				b.WriteString("[^/]*")
				continue
			}
			for i+1 < len(p) && p[i+1] == '*' {
				i++
			}
			if i+1 < len(p) && p[i+1] == '/' {
				i++
				b.WriteString("(.*/)?")
			} else {
				b.WriteString(".*")
			}
		case '?':
			b.WriteString("[^/]")
		case '.', '$':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '^':
			// Only [^ has a meaning in a glob.
			if i == 0 || p[i-1] != '[' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		case '\\':
			// A backslash makes the next character plain.
			r, size := utf8.DecodeRuneInString(p[i+1:])
			if size == 0 {
				b.WriteString(`\\`)
				continue
			}
			b.WriteString(regexp.QuoteMeta(string(r)))
			i += size
		default:
			b.WriteByte(c)
		}
	}
	b.WriteString(")$")
	return b.String()
}

// Patterns reads a list of path patterns; each wrong one is an error at its own place.
func (o *Object) Patterns(key string, dst *Matcher) {
	var m Matcher
	o.note(key, PatternsType)
	for _, item := range o.list(key) {
		text := ""
		if !item.Exists() || !o.d.text(item, &text) {
			continue
		}
		if err := m.add(text); err != nil {
			o.d.Fail(item, "patterns are globs such as services/api/** or *.md", "%s", err)
		}
	}
	if len(m.patterns) > 0 {
		*dst = m
	}
}

// MarshalJSON writes the patterns as given.
func (m Matcher) MarshalJSON() ([]byte, error) { return json.Marshal(m.patterns) }
