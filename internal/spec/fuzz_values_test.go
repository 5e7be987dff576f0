package spec

import (
	"strconv"
	"strings"
	"testing"
)

// FuzzValues holds that a duration, a percentage and a size are either read so that they are written and read again alike, or
// refused in words.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"10s", "1h30m", "10", "0", "5d", "1 h", "-3s", "20%", "20%%", "%", "1e3", "0x10", "010", ".5", "NaN", ".inf", "2147483648", "9223372036854775807", "null", "[]", "'7'", "1_000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, _, err := Parse("f.yaml", []byte("v: "+text))
		if err != nil {
			return
		}
		v := n.Get("v")
		if d, _, problem := parseDuration(v); problem == "" {
			if again := value(t, d.String()); d != 0 {
				if e, _, p := parseDuration(again); e != d || p != "" {
					t.Errorf("%q is %v, which is %v: %s", text, d, e, p)
				}
			}
		} else if !strings.Contains(problem, "duration") {
			t.Errorf("%q: the problem does not say what is wanted: %s", text, problem)
		}
		if p, ok := parsePercent(v); ok {
			if q, ok := parsePercent(value(t, "'"+strconv.Itoa(p)+"%'")); !ok || q != p {
				t.Errorf("%q is %d %%, which is %d", text, p, q)
			}
		}
		if r, ok := parseReplicas(v); ok {
			again, ok := parseReplicas(value(t, "'"+r.String()+"'"))
			if !ok || again != r {
				t.Errorf("%q is %v, which is %v", text, r, again)
			}
			if r.Number > 0 && r.Number <= 100 && r.Of(10) < 1 {
				t.Errorf("%q of 10 is %d", text, r.Of(10))
			}
		}
	})
}

func value(t *testing.T, text string) Node {
	t.Helper()
	n, _, err := Parse("f.yaml", []byte("v: "+text))
	if err != nil {
		t.Fatal(err)
	}
	return n.Get("v")
}
