package engine_test

import (
	"testing"

	. "github.com/penstock-cd/penstock/internal/engine"
)

func TestAKeptStateAgreesWithItsFold(t *testing.T) {
	fold := map[string]any{"id": "a", "seq": 9, "queue": []any{map[string]any{"id": "d", "new": true}}, "lastAt": "2026-01-01T00:00:00Z"}
	for kept, want := range map[string]bool{
		`{"id":"a","seq":9,"queue":[{"id":"d","new":true}],"lastAt":"2026-01-01T00:00:00Z"}`: true,
		`{"id":"a","seq":9,"queue":[{"id":"d"}]}`:                                            true, // kept by an older version
		`{"id":"a","seq":8,"queue":[{"id":"d"}]}`:                                            false,
		`{"id":"a","seq":9,"queue":[{"id":"x"}]}`:                                            false,
		`{"id":"a","seq":9,"queue":[]}`:                                                      false,
		`{"id":"a","seq":9,"queue":[{"id":"d"}],"hold":{}}`:                                  false,
		`{"id":"a","seq":9,"queue":{"id":"d"}}`:                                              false,
		`[]`:                                                                                 false,
	} {
		if got, err := Agrees([]byte(kept), fold); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", kept, got, err, want)
		}
	}
	if _, err := Agrees([]byte(`{`), fold); err == nil {
		t.Error("a damaged state was read")
	}
}
