package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"hash"
	"strings"
)

// webhookKey is all that is kept of a webhook secret: the states of SHA-256
// behind the two blocks that HMAC makes of it (RFC 2104, section 4, describes
// the same to save time). Signatures can be checked with it, and the secret,
// which somebody may use elsewhere too, cannot be read from a database or a
// backup.
type webhookKey struct {
	Inner []byte `json:"inner"`
	Outer []byte `json:"outer"`
	// Signing is the key of a secret of the form "whsec_" and base64, with which
	// GitLab signs; nil for other secrets.
	Signing *webhookKey `json:"signing,omitempty"`
}

// newWebhookKey makes the key of a secret; nil for none.
func newWebhookKey(secret string) *webhookKey {
	if secret == "" {
		return nil
	}
	k := hmacKey([]byte(secret))
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(raw) > 0 {
			k.Signing = hmacKey(raw)
		}
	}
	return k
}

// hmacKey is what HMAC makes of a key before it sees a message.
func hmacKey(key []byte) *webhookKey {
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
	if k == nil {
		return nil
	}
	inner, outer := behind(k.Inner), behind(k.Outer)
	if inner == nil || outer == nil {
		return nil
	}
	inner.Write(body)
	outer.Write(inner.Sum(nil))
	return outer.Sum(nil)
}

// equal tells, in constant time, whether two keys were made of the same secret.
func (k *webhookKey) equal(other *webhookKey) bool {
	a, b := k.sum(nil), other.sum(nil)
	return a != nil && b != nil && hmac.Equal(a, b)
}

func behind(state []byte) hash.Hash {
	h := sha256.New()
	if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) != nil {
		return nil
	}
	return h
}
