package file

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Each calls f with the digest of every blob that is stored now, in order of
// digests. Blobs that are stored meanwhile may be left out.
func (s *Store) Each(ctx context.Context, f func(digest string) error) error {
	err := fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.IsDir() && name == unfinished:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		digest, ok := digestOf(name)
		if !ok {
			return nil
		}
		return f(digest)
	})
	if err != nil {
		return fmt.Errorf("go through the blobs in %s: %w", s.dir, err)
	}
	return nil
}

// digestOf is the way back from place.
func digestOf(name string) (string, bool) {
	digits, ok := strings.CutSuffix(strings.ReplaceAll(filepath.ToSlash(name), "/", ""), ".zst")
	if _, err := hex.DecodeString(digits); err != nil || !ok {
		return "", false
	}
	digest := "sha256:" + digits
	want, err := place(digest)
	return digest, err == nil && want == filepath.ToSlash(name)
}

// CopyTo writes every blob into another store and returns their number. Each
// is verified on the way: a damaged one is not copied and is an error, which
// names all that are damaged when the others are done.
func (s *Store) CopyTo(ctx context.Context, to *Store) (n int, err error) {
	var damaged []error
	err = s.Each(ctx, func(digest string) error {
		data, err := s.Get(ctx, digest)
		if err != nil {
			damaged = append(damaged, err)
			return nil
		}
		if _, err := to.Put(ctx, data); err != nil {
			return err
		}
		n++
		return nil
	})
	return n, errors.Join(append(damaged, err)...)
}
