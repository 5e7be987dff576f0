// Package blob is the contract for what is too large for an event: plans,
// diffs, trees, samples, live states. A blob is found by the digest of its
// content and never changed. blob/file keeps blobs in a directory, blob/mem in
// memory for tests; blobtest is the suite that every implementation passes.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// MaxBytes is the largest content of one blob.
const MaxBytes = 8 << 20

// ErrNotFound is in the chain of what Get returns for a digest that is not
// stored; its code is deploy.CodeNotFound.
var ErrNotFound = errors.New("no such blob")

// Store keeps blobs. It may be used from several goroutines.
type Store interface {
	// Put stores content and returns its digest, "sha256:" and 64 hexadecimal
	// digits. It is durable when Put returns. Storing the same again is
	// harmless. More than MaxBytes is refused (deploy.CodeTooLarge).
	Put(ctx context.Context, data []byte) (digest string, err error)
	// Get returns the content of a digest, or ErrNotFound. The content is
	// verified: a damaged blob is an error (deploy.CodeInternal), never an
	// answer. A malformed digest is deploy.CodeInvalid.
	Get(ctx context.Context, digest string) ([]byte, error)
}

const prefix = "sha256:"

// Digest returns the digest of content.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return prefix + hex.EncodeToString(sum[:])
}

// Hex returns the digits of a digest, or an error with deploy.CodeInvalid:
// only lower-case digits of the right number pass, so that they may become
// part of a path.
func Hex(digest string) (string, error) {
	if len(digest) != len(prefix)+2*sha256.Size || digest[:len(prefix)] != prefix {
		return "", notADigest(digest)
	}
	digits := digest[len(prefix):]
	for _, c := range []byte(digits) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", notADigest(digest)
		}
	}
	return digits, nil
}

func notADigest(digest string) error {
	return deploy.Errorf(deploy.CodeInvalid, "%.100q is not a digest: it is %q and 64 hexadecimal digits", digest, prefix)
}

// Check refuses content that is too large for a blob.
func Check(data []byte) error {
	if len(data) > MaxBytes {
		return deploy.Errorf(deploy.CodeTooLarge, "a blob has at most %d bytes, this one has %d", MaxBytes, len(data))
	}
	return nil
}

// Missing makes the error for a digest that is not stored.
func Missing(digest string) error {
	return &deploy.Error{Code: deploy.CodeNotFound, Object: digest, Message: "no such blob: it was removed or never stored", Err: ErrNotFound}
}

// Damaged makes the error for stored content that cannot be read or does not
// have its digest; where names its place for the person who has to look.
func Damaged(digest, where string, cause error) error {
	return &deploy.Error{
		Code: deploy.CodeInternal, Object: digest, Err: cause,
		Message: fmt.Sprintf("the blob in %s is damaged: restore it from a backup, or remove it and let what made it run again", where),
	}
}
