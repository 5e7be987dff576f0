package router

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzWildcard holds that a pattern matches what the regular expression of the same meaning matches.
func FuzzWildcard(f *testing.F) {
	for _, s := range [][2]string{{"/a/*", "/a/b"}, {"*", ""}, {"?", "é"}, {`\*`, "*"}, {`a\`, "a"}, {"*.*.*", "a.b.c"}, {"", ""}, {"**a", "aaa"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if strings.Contains(pattern, `\`) || !ascii(pattern) || !ascii(s) || len(pattern)+len(s) > 60 {
			_ = wildcard(pattern, s) // it must come back
			return
		}
		expr := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile(`(?s)^` + expr + `$`).MatchString(s); wildcard(pattern, s) != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, s, !want, want)
		}
	})
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0
}
