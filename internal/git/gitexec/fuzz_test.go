package gitexec

import "testing"

// FuzzVersion holds that a version is not less than itself and that what is printed is read again.
func FuzzVersion(f *testing.F) {
	for _, s := range []string{"git version 2.39.5", "git version 2.39.5 (Apple Git-154)", "git version 2.36.0.windows.1", "git version 2", "", "git version .", "git version -1.-2", "hub version 1.2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVersion(text)
		if err != nil {
			return
		}
		again, err := ParseVersion("git version " + v.String())
		if err != nil || again != v || v.Less(v) {
			t.Errorf("%q is %v, which is %v, %v", text, v, again, err)
		}
	})
}
