package elb

import "testing"

// FuzzMatcher holds that the codes of a health check are ordered and within what the API allows.
func FuzzMatcher(f *testing.F) {
	for _, s := range []string{"200", "200,202", "200-299", "499", "500", "", "200-", "-200", "300-200", " 200 , 201 ", "200-201-202"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		codes, err := parseMatcher(text)
		if err == nil && len(codes) == 0 {
			t.Errorf("%q matches nothing and is accepted", text)
		}
		for _, c := range codes {
			if c.low > c.high || c.low < 200 || c.high > 499 {
				t.Errorf("%q gives %+v", text, c)
			}
		}
	})
}
