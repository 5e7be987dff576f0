package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
)

// FuzzOpen holds that nothing opens but what was sealed, whole and for the same use.
func FuzzOpen(f *testing.F) {
	key, err := New("an agent's key")
	if err != nil {
		f.Fatal(err)
	}
	// Sealed once with this key: the processes of a fuzzer must agree on it.
	sealed, err := base64.StdEncoding.DecodeString("cHN0awEVAOJcKeWbkRLPr9tY8JcjifZ9zY/8mW/cTMTQQJQFMLz/mA==")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("deployment"), sealed)
	f.Add([]byte("deployment"), sealed[:len(sealed)-1])
	f.Add([]byte(""), []byte("pstk\x01"))
	f.Add([]byte("x"), []byte("pstk\x02abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, use, data []byte) {
		if got, err := key.Open(string(use), data); err == nil {
			// Only the seed was made with this key.
			if !bytes.Equal(data, sealed) || string(use) != "deployment" || string(got) != "content" {
				t.Errorf("%q opens for %q", data, use)
			}
		} else if !errors.Is(err, ErrWrongKey) {
			t.Errorf("another error: %v", err)
		}
		if got, err := key.Open(string(use), key.Seal(string(use), data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("sealed and opened: %q, %v", got, err)
		}
	})
}
