package main

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// cancelling is a writer at whose first byte a person presses Ctrl-C.
type cancelling struct {
	bytes.Buffer
	cancel context.CancelFunc
}

func (w *cancelling) Write(b []byte) (int, error) {
	w.cancel()
	return w.Buffer.Write(b)
}

func TestInterruptEndsFollowing(t *testing.T) {
	f := newFakeServer()
	srv := httptest.NewServer(f.handler())
	defer srv.Close()
	defer f.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var errs bytes.Buffer
	s := testStreams(nil, 0, map[string]string{"PENSTOCK_SERVER": srv.URL, "PENSTOCK_TOKEN": tokenAdmin, "PENSTOCK_CONFIG": t.TempDir() + "/c.json"})
	s.Out, s.Err = &cancelling{cancel: cancel}, &errs
	if code := run(ctx, []string{"deployment", "follow", "d-wait"}, s); code != exitInterrupted {
		t.Errorf("exit code %d, want %d; %s", code, exitInterrupted, errs.String())
	}
	if got := errs.String(); got != "penstock deployment follow: interrupted\n" {
		t.Errorf("said %q", got)
	}
}

func TestExitCodes(t *testing.T) {
	for code, want := range map[deploy.Code]int{
		deploy.CodeNotFound: 3, deploy.CodeDenied: 4, deploy.CodeUnauthorized: 4, deploy.CodeRefused: 5, deploy.CodeConflict: 5, deploy.CodeExists: 5,
		deploy.CodeInvalid: 1, deploy.CodeUnavailable: 1, deploy.CodeInternal: 1,
	} {
		if got := exitCode(t.Context(), deploy.Errorf(code, "x")); got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
	if got := exitCode(t.Context(), usagef("wrong: %w", deploy.Errorf(deploy.CodeNotFound, "x"))); got != exitUsage {
		t.Errorf("usage: %d", got)
	}
	if got := exitCode(t.Context(), errors.New("x")); got != exitError {
		t.Errorf("other: %d", got)
	}
}

// The help names every exit code, because scripts rely on them.
func TestHelpNamesTheExitCodes(t *testing.T) {
	for _, want := range []string{"0  done", "1  error", "2  wrong usage", "3  not found", "4  not logged in", "5  refused", "6  timed out", "10  the", "11  the", "12  the"} {
		if !strings.Contains(rootHelp, want) {
			t.Errorf("%q is missing", want)
		}
	}
}
