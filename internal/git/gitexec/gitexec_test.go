package gitexec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseVersion(t *testing.T) {
	tests := map[string]Version{
		"git version 2.39.5\n":                {2, 39},
		"git version 2.36":                    {2, 36},
		"git version 2.39.5 (Apple Git-154)":  {2, 39},
		"git version 2.47.0.windows.1":        {2, 47},
		"git version 3.0-rc1 (unknown build)": {},
	}
	for in, want := range tests {
		got, err := ParseVersion(in)
		if want == (Version{}) {
			if err == nil {
				t.Errorf("%q parsed as %v", in, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%q: %v %v", in, got, err)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "git")
	script := "#!/bin/sh\necho git version 2.30.2\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Path: fake}).CheckVersion(t.Context())
	if !errors.Is(err, ErrTooOld) || !strings.Contains(err.Error(), "2.30") || !strings.Contains(err.Error(), "2.36") {
		t.Errorf("old git: %v", err)
	}
	for _, path := range []string{"no-such-git-anywhere", filepath.Join(t.TempDir(), "git")} {
		if _, err := New(Options{Path: path}).CheckVersion(t.Context()); !errors.Is(err, ErrMissing) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := New(Options{}).CheckVersion(t.Context()); err != nil {
		t.Errorf("the real one: %v", err)
	}
}

func TestSurroundingsDoNotMatter(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[user]\n\tname = Somebody\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_CONFIG_PARAMETERS", "'user.name=Somebody'")
	out, err := New(Options{Settings: []Setting{{"penstock.test", "yes"}}}).Run(t.Context(), "", nil, "config", "--list")
	if err != nil {
		t.Fatal(err)
	}
	if s := string(out); strings.Contains(s, "Somebody") || !strings.Contains(s, "penstock.test=yes") || !strings.Contains(s, "gc.auto=0") {
		t.Errorf("configuration:\n%s", s)
	}
}

func TestExitErrorHasGitsWords(t *testing.T) {
	_, err := New(Options{}).Run(t.Context(), t.TempDir(), nil, "rev-parse", "HEAD")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Command != "rev-parse" || !strings.Contains(exit.Stderr, "not a git repository") {
		t.Fatalf("%v", err)
	}
}

func TestCancelTakesHelpersWithIt(t *testing.T) {
	dir := t.TempDir()
	fake, pipe := filepath.Join(dir, "git"), filepath.Join(dir, "started")
	// A helper that would hold the output open for a minute.
	script := "#!/bin/sh\ntouch " + pipe + "\nsleep 60 &\nwait\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := New(Options{Path: fake}).Run(ctx, "", nil, "fetch")
		done <- err
	}()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if _, err := os.Stat(pipe); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command did not start")
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the helper kept the command alive")
	}
}
