package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// summary is what a layout holds.
type summary struct {
	digest, user string
	layers       int
	size         int64
	files        map[string]tar.Header
}

// needed are the files without which the program cannot do its work: git, ssh for
// repositories over ssh, a shell for git to start ssh with, wget for health checks,
// and the certificates of the web.
func needed() []string {
	return []string{program, "usr/bin/git", "usr/lib/git-core/git-remote-https", "usr/bin/ssh", "bin/sh", "usr/bin/wget", "etc/ssl/certs/ca-certificates.crt", "etc/passwd"}
}

// readBack reads a layout as a run-time does: from the index down, every digest and size checked.
func readBack(dir string) (s summary, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if err != nil || !strings.Contains(string(data), `"imageLayoutVersion":"1.0.0"`) {
		return s, errors.Join(errors.New("no OCI layout"), err)
	}
	var list index
	if data, err = os.ReadFile(filepath.Join(dir, "index.json")); err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Manifests) != 1 {
		return s, errors.Join(errors.New("the index names no single image"), err)
	}
	var m manifest
	var c config
	s.digest = list.Manifests[0].Digest
	if err := decode(dir, list.Manifests[0], typeManifest, &m); err != nil {
		return s, err
	}
	if err := decode(dir, m.Config, typeConfig, &c); err != nil {
		return s, err
	}
	if len(m.Layers) != len(c.RootFS.DiffIDs) {
		return s, errors.New("the number of layers differs between manifest and configuration")
	}
	s.user, s.layers, s.files = c.Config.User, len(m.Layers), map[string]tar.Header{}
	for i, l := range m.Layers {
		s.size += l.Size
		if err := readLayer(dir, l, c.RootFS.DiffIDs[i], s.files); err != nil {
			return s, fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return s, s.judge()
}

// judge refuses an image that could not run an agent, or would run it as root.
func (s summary) judge() error {
	if name, _, _ := strings.Cut(s.user, ":"); name == "" || name == "0" || name == "root" {
		return fmt.Errorf("the image runs as %q", s.user)
	}
	var missing []string
	for _, name := range needed() {
		if _, ok := s.files[name]; !ok {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return fmt.Errorf("the image lacks %s", strings.Join(missing, ", "))
	}
	if h := s.files[home]; h.Uid != uid {
		return fmt.Errorf("/%s belongs to %d", home, h.Uid)
	}
	for name, h := range s.files {
		if h.Mode&0o6000 != 0 {
			return fmt.Errorf("%s takes another user's rights", name)
		}
	}
	return nil
}

func open(dir string, d descriptor) (*os.File, error) {
	f, err := os.Open(blobPath(dir, d.Digest))
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err == nil && (n != d.Size || digest(h) != d.Digest) {
		err = fmt.Errorf("%s is damaged: it has %d bytes and %s", d.Digest, n, digest(h))
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func decode(dir string, d descriptor, mediaType string, into any) error {
	f, err := open(dir, d)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if d.MediaType != mediaType {
		return fmt.Errorf("%s is %s and not %s", d.Digest, d.MediaType, mediaType)
	}
	return json.NewDecoder(f).Decode(into)
}

func readLayer(dir string, d descriptor, diff string, files map[string]tar.Header) error {
	f, err := open(dir, d)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	zip, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	h := sha256.New()
	content := io.TeeReader(zip, h)
	r := tar.NewReader(content)
	for {
		entry, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		files[path.Clean(entry.Name)] = *entry
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	if digest(h) != diff {
		return fmt.Errorf("its content is %s and not %s", digest(h), diff)
	}
	return nil
}
