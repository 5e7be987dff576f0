package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Agrees reports whether a state that was kept is the fold of its events: what
// it says must be so in the fold. A field that only the fold has is no
// difference, because a newer version may derive more from the same facts.
func Agrees(kept []byte, folded any) (bool, error) {
	text, err := json.Marshal(folded)
	if err != nil {
		return false, fmt.Errorf("encode the fold: %w", err)
	}
	was, err := plain(kept)
	if err != nil {
		return false, fmt.Errorf("read the state that is kept: %w", err)
	}
	now, err := plain(text)
	return err == nil && within(was, now), err
}

func plain(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return v, d.Decode(&v)
}

// within reports whether everything that a says is so in b.
func within(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		o, ok := b.(map[string]any)
		for k, v := range a {
			ok = ok && within(v, o[k])
		}
		return ok
	case []any:
		l, ok := b.([]any)
		ok = ok && len(l) == len(a)
		for i := 0; ok && i < len(a); i++ {
			ok = within(a[i], l[i])
		}
		return ok
	}
	return reflect.DeepEqual(a, b)
}
