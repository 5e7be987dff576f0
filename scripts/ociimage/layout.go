package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	user    = "10001" // of nobody else, and not root
	uid     = 10001
	home    = "var/lib/penstock"
	program = "usr/local/bin/penstock"

	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type options struct{ rootfs, program, out, arch, version string }

// descriptor names a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// config is the image's own description; Config uses the names that every run-time reads.
type config struct {
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	Created      time.Time `json:"created"`
	Config       struct {
		User       string
		Env        []string
		Entrypoint []string
		WorkingDir string
		Volumes    map[string]struct{}
		Labels     map[string]string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// write makes the layout anew.
func (o options) write() error {
	if o.rootfs == "" || o.program == "" || o.out == "" {
		return errors.New("-rootfs, -program and -out are needed")
	}
	if err := os.RemoveAll(o.out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(o.out, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	m := manifest{SchemaVersion: 2, MediaType: typeManifest}
	c := config{Architecture: o.arch, OS: "linux", Created: time.Unix(0, 0).UTC()}
	c.Config.User, c.Config.WorkingDir = user+":"+user, "/"+home
	c.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/" + home}
	c.Config.Entrypoint = []string{"/" + program}
	c.Config.Volumes = map[string]struct{}{"/" + home: {}}
	c.Config.Labels = map[string]string{"org.opencontainers.image.title": "penstock", "org.opencontainers.image.version": o.version}
	c.RootFS.Type = "layers"
	for _, fill := range []func(*tar.Writer) error{o.base, o.binary} {
		d, diff, err := o.layer(fill)
		if err != nil {
			return err
		}
		m.Layers, c.RootFS.DiffIDs = append(m.Layers, d), append(c.RootFS.DiffIDs, diff)
	}
	var err error
	if m.Config, err = o.blob(typeConfig, c); err != nil {
		return err
	}
	named, err := o.blob(typeManifest, m)
	if err != nil {
		return err
	}
	named.Annotations = map[string]string{"org.opencontainers.image.ref.name": o.version}
	list, err := json.Marshal(index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{named}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "index.json"), list, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}

func digest(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

func (o options) blob(mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	h := sha256.New()
	h.Write(data)
	d := descriptor{MediaType: mediaType, Digest: digest(h), Size: int64(len(data))}
	return d, os.WriteFile(blobPath(o.out, d.Digest), data, 0o644)
}

func blobPath(dir, digest string) string {
	return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// layer writes a compressed archive; diff is the digest of what is in it.
func (o options) layer(fill func(*tar.Writer) error) (d descriptor, diff string, err error) {
	f, err := os.CreateTemp(o.out, "layer-")
	if err != nil {
		return d, "", err
	}
	defer f.Close() //nolint:errcheck // closed below; this is for errors
	outer, inner := sha256.New(), sha256.New()
	zip := gzip.NewWriter(io.MultiWriter(f, outer))
	w := tar.NewWriter(io.MultiWriter(zip, inner))
	if err := errors.Join(fill(w), w.Close(), zip.Close()); err != nil {
		return d, "", err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return d, "", err
	}
	d = descriptor{MediaType: typeLayer, Digest: digest(outer), Size: size}
	return d, digest(inner), errors.Join(f.Chmod(0o644), f.Close(), os.Rename(f.Name(), blobPath(o.out, d.Digest)))
}

// base is the root file system, everything root's and of no time, with the home of the program.
func (o options) base(w *tar.Writer) error {
	err := filepath.WalkDir(o.rootfs, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == o.rootfs {
			return err
		}
		name, err := filepath.Rel(o.rootfs, p)
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return add(w, h, filepath.ToSlash(name), p)
	})
	if err != nil {
		return err
	}
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: home + "/", Mode: 0o750, Uid: uid, Gid: uid, ModTime: time.Unix(0, 0)})
}

func (o options) binary(w *tar.Writer) error {
	info, err := os.Stat(o.program)
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	h.Mode = 0o755
	return add(w, h, program, o.program)
}

// add writes one entry without what differs from machine to machine.
func add(w *tar.Writer, h *tar.Header, name, file string) error {
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = name, 0, 0, "", ""
	h.ModTime, h.AccessTime, h.ChangeTime = time.Unix(0, 0), time.Time{}, time.Time{}
	h.Mode &^= 0o6000 // nothing takes another user's rights
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || h.Typeflag != tar.TypeReg {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	_, err = io.Copy(w, f)
	return err
}
