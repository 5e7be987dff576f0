package spec

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

// checkPlaces fails when a problem names a place that the file does not have.
func checkPlaces(t *testing.T, data []byte, list []Error) {
	t.Helper()
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for _, e := range list {
		line, ok := lineOf(data, e.Line)
		if !ok {
			t.Errorf("line %d is not in the file: %v", e.Line, e)
			continue
		}
		if e.Column < 1 || e.Column > utf8.RuneCountInString(line)+1 {
			t.Errorf("column %d is not in line %q: %v", e.Column, line, e)
		}
		if e.File == "" || e.Message == "" {
			t.Errorf("incomplete: %#v", e)
		}
		if e.Excerpt(data) == "" {
			t.Errorf("no excerpt for %v", e)
		}
	}
}
