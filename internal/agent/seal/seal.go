// Package seal encrypts what only the agent may read: the pinned desired state
// and the snapshot of a deployment, which the control plane keeps as a blob.
// The key is derived from the agent's key, so every process of the same agent
// opens what another one sealed, and nobody else does.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrWrongKey is the error of Open for a blob that another key sealed, that was
// sealed for another use, or that was changed.
var ErrWrongKey = errors.New("sealed with another key, for another use, or damaged")

// magic begins every sealed blob; its last byte is the version of the form.
var magic = []byte("pstk\x01")

const keyInfo = "penstock pinned state v1"

// Key seals and opens. Make it with New.
type Key struct{ aead cipher.AEAD }

// New derives a key from an agent's key, which must not be empty.
func New(agentKey string) (*Key, error) {
	if agentKey == "" {
		return nil, errors.New("seal: the agent's key is empty")
	}
	k, err := hkdf.Key(sha256.New, []byte(agentKey), nil, keyInfo, 32)
	if err != nil {
		return nil, fmt.Errorf("seal: derive key: %w", err)
	}
	block, err := aes.NewCipher(k)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return &Key{aead}, nil
}

// Seal encrypts data (AES-256-GCM, random nonce). The use, a deployment id for
// instance, must be named again to open it.
func (k *Key) Seal(use string, data []byte) []byte {
	nonce := make([]byte, k.aead.NonceSize())
	rand.Read(nonce) //nolint:errcheck // never fails: the program ends instead
	out := append(bytes.Clone(magic), nonce...)
	return k.aead.Seal(out, nonce, data, []byte(use))
}

// Open decrypts what Seal returned.
func (k *Key) Open(use string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, magic)
	if !ok || len(rest) < k.aead.NonceSize() {
		return nil, fmt.Errorf("%w: this is no sealed blob", ErrWrongKey)
	}
	data, err := k.aead.Open(nil, rest[:k.aead.NonceSize()], rest[k.aead.NonceSize():], []byte(use))
	if err != nil {
		return nil, ErrWrongKey
	}
	return data, nil
}
