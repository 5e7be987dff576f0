package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// image writes a small one with every file that is needed but those left out.
func image(t *testing.T, without ...string) options {
	t.Helper()
	dir := t.TempDir()
	o := options{rootfs: filepath.Join(dir, "root"), program: filepath.Join(dir, "penstock"), out: filepath.Join(dir, "out"), arch: "amd64", version: "v1"}
	for _, name := range append(needed(), "usr/bin/passwd") {
		if name == program || strings.Contains(strings.Join(without, " "), name) {
			continue
		}
		file := filepath.Join(o.rootfs, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(o.rootfs, "usr/bin/passwd"), 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("git", filepath.Join(o.rootfs, "usr/bin/git-link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.program, []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := o.write(); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAnImageIsReadBack(t *testing.T) {
	a, b := image(t), image(t)
	s, err := readBack(a.out)
	if err != nil {
		t.Fatal(err)
	}
	again, err := readBack(b.out)
	if err != nil || again.digest != s.digest {
		t.Errorf("the same files gave %s and %s, %v", s.digest, again.digest, err)
	}
	if s.user != "10001:10001" || s.layers != 2 {
		t.Errorf("%+v", s)
	}
	if h := s.files[program]; h.Mode != 0o755 || h.Uid != 0 {
		t.Errorf("the program: %+v", h)
	}
	if h := s.files["usr/bin/passwd"]; h.Mode&0o6000 != 0 {
		t.Errorf("a program that takes root's rights: %o", h.Mode)
	}
	if h := s.files["usr/bin/git-link"]; h.Linkname != "git" {
		t.Errorf("a link: %+v", h)
	}
}

func TestADamagedImageIsRefused(t *testing.T) {
	for _, name := range []string{"usr/bin/git", "etc/ssl/certs/ca-certificates.crt", "bin/sh"} {
		if _, err := readBack(image(t, name).out); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	o := image(t)
	blobs, err := filepath.Glob(filepath.Join(o.out, "blobs", "sha256", "*"))
	if err != nil || len(blobs) != 4 {
		t.Fatalf("%v, %v", blobs, err)
	}
	for _, blob := range blobs {
		good, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		bad := append([]byte{}, good...)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(blob, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readBack(o.out); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s with a bit changed: %v", blob, err)
		}
		if err := os.WriteFile(blob, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readBack(t.TempDir()); err == nil {
		t.Error("an empty folder is read as an image")
	}
	if err := (summary{user: "root"}).judge(); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("an image of root: %v", err)
	}
}
