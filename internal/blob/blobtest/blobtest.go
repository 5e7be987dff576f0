// Package blobtest is the suite that every implementation of blob.Store passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/deploy"
)

// Run checks a store. open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for name, test := range map[string]func(*testing.T, blob.Store){
		"put and get":  putAndGet,
		"known digest": knownDigest,
		"missing":      missing,
		"bad digests":  badDigests,
		"size limit":   sizeLimit,
		"copies":       copies,
		"concurrent":   concurrent,
		"cancelled":    cancelled,
		"any content":  anyContent,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, s blob.Store, data []byte) string {
	t.Helper()
	digest, err := s.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func want(t *testing.T, s blob.Store, digest string, data []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), digest)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("get %s: %d bytes, %v, want %d", digest, len(got), err, len(data))
	}
}

func putAndGet(t *testing.T, s blob.Store) {
	a, b := put(t, s, []byte("a")), put(t, s, []byte("b"))
	if again := put(t, s, []byte("a")); again != a || a == b {
		t.Errorf("digests %s, %s and %s", a, b, again)
	}
	want(t, s, a, []byte("a"))
	want(t, s, b, []byte("b"))
}

func knownDigest(t *testing.T, s blob.Store) {
	// The first test vector of the algorithm's standard (FIPS 180-4), and the empty message.
	for text, digest := range map[string]string{
		"abc": "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		"":    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	} {
		if got := put(t, s, []byte(text)); got != digest {
			t.Errorf("digest of %q = %s, want %s", text, got, digest)
		}
		want(t, s, digest, []byte(text))
	}
}

func missing(t *testing.T, s blob.Store) {
	put(t, s, []byte("something else"))
	_, err := s.Get(t.Context(), blob.Digest([]byte("never stored")))
	if !errors.Is(err, blob.ErrNotFound) || deploy.CodeOf(err) != deploy.CodeNotFound {
		t.Errorf("a digest that is not stored: %v", err)
	}
}

func badDigests(t *testing.T, s blob.Store) {
	good := put(t, s, []byte("a"))
	for _, bad := range []string{
		"", "sha256:", good[:len(good)-1], good + "0", strings.ToUpper(good), "sha512:" + good[7:], "sha256:" + strings.ToUpper(good[7:]),
		good[7:], "sha256:../" + good[10:], "sha256:" + strings.Repeat("/", 64), strings.Repeat("x", 1<<20),
	} {
		_, err := s.Get(t.Context(), bad)
		if deploy.CodeOf(err) != deploy.CodeInvalid || len(err.Error()) > 300 {
			t.Errorf("digest %.80q: %.300v", bad, err)
		}
	}
}

func sizeLimit(t *testing.T, s blob.Store) {
	data := make([]byte, blob.MaxBytes+1)
	x := uint32(1)
	for i := range data { // hard to compress
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	if _, err := s.Put(t.Context(), data); deploy.CodeOf(err) != deploy.CodeTooLarge {
		t.Errorf("one byte too much: %v", err)
	}
	want(t, s, put(t, s, data[1:]), data[1:])
	zeros := make([]byte, blob.MaxBytes)
	want(t, s, put(t, s, zeros), zeros)
}

func copies(t *testing.T, s blob.Store) {
	data := []byte("content")
	digest := put(t, s, data)
	data[0] = 'X'
	got, err := s.Get(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	got[1] = 'X'
	want(t, s, digest, []byte("content"))
}

func concurrent(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 8 {
				data := []byte(fmt.Sprintf("blob %d", (i+j)%5))
				digest, err := s.Put(t.Context(), data)
				if err != nil {
					t.Error(err)
					return
				}
				want(t, s, digest, data)
			}
		})
	}
	wg.Wait()
}

func cancelled(t *testing.T, s blob.Store) {
	why := errors.New("no longer wanted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := s.Put(ctx, []byte("a")); !errors.Is(err, why) {
		t.Errorf("put: %v", err)
	}
	if _, err := s.Get(ctx, blob.Digest([]byte("a"))); !errors.Is(err, why) {
		t.Errorf("get: %v", err)
	}
}

func anyContent(t *testing.T, s blob.Store) {
	rapid.Check(t, func(rt *rapid.T) {
		data := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "data")
		digest, err := s.Put(t.Context(), data)
		if err != nil || digest != blob.Digest(data) {
			rt.Fatalf("put: %s, %v", digest, err)
		}
		got, err := s.Get(t.Context(), digest)
		if err != nil || !bytes.Equal(got, data) {
			rt.Fatalf("get: %x, %v, want %x", got, err, data)
		}
	})
}
