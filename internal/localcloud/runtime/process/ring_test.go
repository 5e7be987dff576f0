package process

import (
	"testing"

	"pgregory.net/rapid"
)

func TestRingKeepsTheLastBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 20).Draw(t, "size")
		r := newRing(size)
		var all []byte
		for _, p := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 50)).Draw(t, "writes") {
			if n, err := r.Write(p); n != len(p) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
			all = append(all, p...)
		}
		want := all[max(0, len(all)-size):]
		if got := r.bytes(); string(got) != string(want) {
			t.Fatalf("kept %q, want %q", got, want)
		}
	})
}
