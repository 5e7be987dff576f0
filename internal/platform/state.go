package platform

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/internal/change"
)

// DecodeBody reads the body of a Desired or Live that was pinned; what names it
// in the error. No body is the zero value.
func DecodeBody[T any](what string, b json.RawMessage) (*T, error) {
	v := new(T)
	if len(b) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return nil, Final(fmt.Errorf("read the pinned %s: %w", what, err))
	}
	return v, nil
}

// Digest is the hash of a view: equal for equal effect.
func Digest(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Views are how the states of a platform are seen when they are compared. D and
// L are what the bodies of Desired and Live hold.
type Views[D, L any] struct {
	Desired func(*D) map[string]any                  // whole
	Live    func(*L) map[string]any                  // by effect
	Drift   func(*D, *L) (want, have map[string]any) // both brought to what can be compared and changed
	Options change.Options
}

// Compare is Platform.Compare by views: two desired states are compared whole,
// two live states by effect, and desired against live is drift.
func Compare[D, L any](from, to State, v Views[D, L]) (change.Changes, error) {
	fromD, fromL, err := side[D, L](from)
	if err != nil {
		return change.Changes{}, err
	}
	toD, toL, err := side[D, L](to)
	if err != nil {
		return change.Changes{}, err
	}
	switch {
	case fromD != nil && toL != nil:
		want, have := v.Drift(fromD, toL)
		return change.Diff(want, have, v.Options), nil
	case fromL != nil && toD != nil:
		want, have := v.Drift(toD, fromL)
		return change.Diff(have, want, v.Options), nil
	case fromD != nil && toD != nil:
		return change.Diff(v.Desired(fromD), v.Desired(toD), v.Options), nil
	case fromL != nil && toL != nil:
		return change.Diff(v.Live(fromL), v.Live(toL), v.Options), nil
	}
	return change.Changes{}, fmt.Errorf("compare: each side needs exactly one state")
}

func side[D, L any](s State) (d *D, l *L, err error) {
	if s.Desired != nil {
		d, err = DecodeBody[D]("desired state", s.Desired.Body)
	} else if s.Live != nil {
		l, err = DecodeBody[L]("live state", s.Live.Body)
	}
	return d, l, err
}

// SplitImage finds name and tag or digest of an image reference, "latest" where
// it has none; a port of the registry is not a tag.
func SplitImage(ref string) (name, version string) {
	rest, hash, hashed := strings.Cut(ref, "@")
	last := rest[strings.LastIndex(rest, "/")+1:]
	name, version, _ = strings.Cut(last, ":")
	if hashed && version == "" {
		version = hash
	}
	if version == "" {
		version = "latest"
	}
	return name, version
}
