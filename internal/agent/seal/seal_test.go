package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/agent/seal"
)

func key(t interface{ Fatal(...any) }, secret string) *seal.Key {
	k, err := seal.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatWasSealedCanBeOpenedByTheSameAgentOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		use := rapid.String().Draw(t, "use")
		sealed := key(t, "agent key").Seal(use, data)
		got, err := key(t, "agent key").Open(use, sealed)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("Open = %q, %v; want %q", got, err, data)
		}
		if len(data) > 8 && bytes.Contains(sealed, data) {
			t.Fatal("the data can be read in the sealed blob")
		}
		if _, err := key(t, "new key").Open(use, sealed); !errors.Is(err, seal.ErrWrongKey) {
			t.Fatalf("another key: %v", err)
		}
		if _, err := key(t, "agent key").Open(use+"x", sealed); !errors.Is(err, seal.ErrWrongKey) {
			t.Fatalf("another use: %v", err)
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(t, "damage")
		sealed[at] ^= 1
		if _, err := key(t, "agent key").Open(use, sealed); !errors.Is(err, seal.ErrWrongKey) {
			t.Fatalf("damaged at %d: %v", at, err)
		}
	})
}

func TestShortAndEmptyInputIsRefused(t *testing.T) {
	for _, b := range [][]byte{nil, []byte("pstk"), []byte("pstk\x01short"), []byte("something else that is long enough")} {
		if _, err := key(t, "k").Open("", b); !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("Open(%q) = %v", b, err)
		}
	}
	if _, err := seal.New(""); err == nil {
		t.Error("an empty key was accepted")
	}
}

func TestEverySealIsDifferent(t *testing.T) {
	k := key(t, "k")
	if bytes.Equal(k.Seal("d", []byte("x")), k.Seal("d", []byte("x"))) {
		t.Error("the nonce was used twice")
	}
}
