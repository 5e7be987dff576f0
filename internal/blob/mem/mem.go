// Package mem keeps blobs in memory, for tests.
package mem

import (
	"bytes"
	"context"
	"sync"

	"github.com/penstock-cd/penstock/internal/blob"
)

// Store is an empty store when zero. It implements blob.Store.
type Store struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

var _ blob.Store = (*Store)(nil)

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, data []byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	if err := blob.Check(data); err != nil {
		return "", err
	}
	digest := blob.Digest(data)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.blobs == nil {
		s.blobs = map[string][]byte{}
	}
	s.blobs[digest] = bytes.Clone(data)
	return digest, nil
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, digest string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := blob.Hex(digest); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.blobs[digest]
	if !ok {
		return nil, blob.Missing(digest)
	}
	return bytes.Clone(data), nil
}
