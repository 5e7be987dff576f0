// Package file keeps blobs in a directory, compressed, one file each:
// ab/cdef….zst for the digest sha256:abcdef…. A file is written under another
// name, forced to disk and renamed, so that a name never stands for a part.
package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/penstock-cd/penstock/internal/blob"
	"github.com/penstock-cd/penstock/internal/deploy"
)

const (
	// unfinished is the folder of files that are being written.
	unfinished = "tmp"
	// leftOver is the age at which a file there belongs to nobody any more.
	leftOver = time.Hour
)

// Store is a directory. It implements blob.Store.
type Store struct {
	dir  string
	root *os.Root
	enc  *zstd.Encoder
	dec  *zstd.Decoder
}

var _ blob.Store = (*Store)(nil)

// Open opens a directory, which it makes if needed, and removes what a crash
// left half written.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, unfinished), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of blobs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory of blobs: %w", err)
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	// Twice the content bounds what a damaged file can ask for.
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(2*blob.MaxBytes))
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	s := &Store{dir: dir, root: root, enc: enc, dec: dec}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("remove unfinished blobs: %w", err), s.Close())
	}
	return s, nil
}

// Close releases the directory.
func (s *Store) Close() error {
	s.dec.Close()
	return s.root.Close()
}

// sweep leaves young files alone: another process may be writing them.
func (s *Store) sweep() error {
	return fs.WalkDir(s.root.FS(), unfinished, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && time.Since(info.ModTime()) < leftOver {
			return nil
		}
		return errors.Join(err, s.root.Remove(name))
	})
}

func place(digest string) (string, error) {
	digits, err := blob.Hex(digest)
	if err != nil {
		return "", err
	}
	return path.Join(digits[:2], digits[2:]+".zst"), nil
}

// Put implements blob.Store. A damaged file is replaced.
func (s *Store) Put(ctx context.Context, data []byte) (string, error) {
	if ctx.Err() != nil {
		return "", fmt.Errorf("store a blob: %w", context.Cause(ctx))
	}
	if err := blob.Check(data); err != nil {
		return "", err
	}
	digest := blob.Digest(data)
	if _, err := s.Get(ctx, digest); err == nil {
		return digest, nil
	}
	name, err := place(digest)
	if err != nil {
		return "", err
	}
	if err := s.write(name, s.enc.EncodeAll(data, nil)); err != nil {
		return "", fmt.Errorf("store a blob: %w", s.explain(err))
	}
	return digest, nil
}

// write makes a file that is complete and on disk, with its name, on return.
func (s *Store) write(name string, data []byte) (err error) {
	tmp := path.Join(unfinished, rand.Text())
	defer func() {
		if err != nil {
			_ = s.root.Remove(tmp)
		}
	}()
	f, err := s.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	folder := path.Dir(name)
	if err := s.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := s.root.Rename(tmp, name); err != nil {
		return err
	}
	return errors.Join(s.flush(folder), s.flush("."))
}

// flush forces the names of a folder to disk.
func (s *Store) flush(folder string) error {
	f, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, digest string) ([]byte, error) {
	name, err := place(digest)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("read a blob: %w", context.Cause(ctx))
	}
	packed, err := s.root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.Missing(digest)
	}
	if err != nil {
		return nil, fmt.Errorf("read a blob: %w", s.explain(err))
	}
	where := filepath.Join(s.dir, filepath.FromSlash(name))
	if len(packed) == 0 { // the decoder takes no frame at all for empty content
		return nil, blob.Damaged(digest, where, io.ErrUnexpectedEOF)
	}
	data, err := s.dec.DecodeAll(packed, nil)
	if err != nil {
		return nil, blob.Damaged(digest, where, err)
	}
	if got := blob.Digest(data); got != digest {
		return nil, blob.Damaged(digest, where, fmt.Errorf("its content is %s", got))
	}
	return data, nil
}

// explain says what to do about an error of the file system.
func (s *Store) explain(err error) error {
	what := ""
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		what = "the disk is full: free space on it and try again"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		what = "the directory of blobs cannot be used: check its owner and mode, and whether the disk is mounted read-only"
	default:
		return err
	}
	return &deploy.Error{Code: deploy.CodeUnavailable, Object: s.dir, Message: what, Err: err}
}
