package sqlite

import (
	"bytes"
	"testing"

	"github.com/penstock-cd/penstock/internal/store"
)

// FuzzBody holds that a stored body is read as it was written and that a damaged one is an error or text, never a panic or all
// of the memory.
func FuzzBody(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add([]byte{plain})
	f.Add([]byte{compressed})
	f.Add([]byte{2, 'x'})
	f.Add(c.encode(bytes.Repeat([]byte("long "), compressAbove)))
	f.Add(c.encode([]byte(`{"a":1}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, err := c.decode(data); err == nil && len(got) > maxBody {
			t.Errorf("%d bytes of %d", len(got), len(data))
		}
		for _, body := range [][]byte{data, bytes.Repeat(data, 1+compressAbove/(1+len(data)))} {
			got, err := c.decode(c.encode(body))
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes came back as %d: %v", len(body), len(got), err)
			}
		}
	})
}

// FuzzInstant holds that an instant is read as it was written.
func FuzzInstant(f *testing.F) {
	for _, s := range []string{"", "2026-11-28T15:43:56.000000001Z", "2026-11-28T15:43:56+09:00", "0001-01-01T00:00:00Z", "x", "9999-12-31T23:59:59.999999999Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := parseInstant(text)
		if err != nil {
			return
		}
		if again, err := parseInstant(store.Instant(at)); err != nil || !again.Equal(at) {
			t.Errorf("%q is %v, which is %v, %v", text, at, again, err)
		}
	})
}
