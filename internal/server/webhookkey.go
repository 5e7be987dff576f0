package server

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

// webhookKey is all that is kept of a webhook secret: the states of SHA-256
// behind the two blocks that HMAC makes of it (RFC 2104, section 4, describes
// the same to save time). Signatures can be checked with it, and the secret,
// which somebody may use elsewhere too, cannot be read from a database or a
// backup.
type webhookKey struct {
	Inner []byte `json:"inner"`
	Outer []byte `json:"outer"`
}

// newWebhookKey makes the key of a secret; nil for none.
func newWebhookKey(secret string) *webhookKey {
	if secret == "" {
		return nil
	}
	key := []byte(secret)
	if len(key) > sha256.BlockSize {
		short := sha256.Sum256(key)
		key = short[:]
	}
	state := func(pad byte) []byte {
		block := make([]byte, sha256.BlockSize)
		copy(block, key)
		for i := range block {
			block[i] ^= pad
		}
		h := sha256.New()
		h.Write(block)
		b, err := h.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			panic(err) // sha256 documents that it can
		}
		return b
	}
	return &webhookKey{Inner: state(0x36), Outer: state(0x5c)}
}

// sum is the HMAC-SHA256 of a body; nil when the key cannot be read.
func (k *webhookKey) sum(body []byte) []byte {
	inner, outer := behind(k.Inner), behind(k.Outer)
	if inner == nil || outer == nil {
		return nil
	}
	inner.Write(body)
	outer.Write(inner.Sum(nil))
	return outer.Sum(nil)
}

func behind(state []byte) hash.Hash {
	h := sha256.New()
	if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) != nil {
		return nil
	}
	return h
}
