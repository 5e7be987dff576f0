package blob

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// FuzzHex holds that what passes as a digest may become part of a path.
func FuzzHex(f *testing.F) {
	for _, s := range []string{Digest(nil), "", "sha256:", "sha256:../../../../../../../../../../../../../../../../../../../../../etc", strings.ToUpper(Digest([]byte("x"))), "md5:0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		digits, err := Hex(text)
		if err != nil {
			if deploy.CodeOf(err) != deploy.CodeInvalid {
				t.Errorf("%v", err)
			}
			return
		}
		if text != prefix+digits || !filepath.IsLocal(digits) || strings.ContainsAny(digits, `/\.`) {
			t.Errorf("%q gives %q", text, digits)
		}
	})
}
