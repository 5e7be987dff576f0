package spec

import (
	"strings"
	"testing"
)

// TestEveryFieldIsExplained: what the decoders ask for has a text, and no text is left over.
func TestEveryFieldIsExplained(t *testing.T) {
	used := map[string]bool{}
	for _, kind := range DescribedKinds() {
		root, err := Describe(kind, nil)
		if err != nil {
			t.Fatal(err)
		}
		root.Walk(func(s *Shape) {
			key, text := textOf(fieldTexts(), s.Path)
			used[key] = true
			hidden := s.Type == AnyType && (s.Key == "timeout" || s.Key == "skipOn")
			if text == "" && s.Path != "" && !strings.HasSuffix(s.Path, "[]") && !hidden {
				t.Errorf("%s: no text for %s", kind, s.Path)
			}
		})
	}
	for key := range fieldTexts() {
		if !used[key] {
			t.Errorf("the text of %q belongs to no field", key)
		}
	}
	if _, err := Describe("ECSAp", nil); err == nil || !strings.Contains(err.Error(), "did you mean ECSApp?") {
		t.Errorf("an unknown kind: %v", err)
	}
}
