package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// What the caller is not told stands in the log under the id that the caller gets.
func TestAnErrorOfOursIsFoundInTheLog(t *testing.T) {
	var log bytes.Buffer
	s := &Server{log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, cause := range []error{errors.New("disk on fire"), &deploy.Error{Code: deploy.CodeUnavailable, Message: "try again", Err: errors.New("disk on fire")}} {
		log.Reset()
		var told *connect.Error
		if !errors.As(s.wireError("/x/Y", cause), &told) {
			t.Fatalf("%v is no error of the wire", cause)
		}
		id := told.Meta().Get(requestHeader)
		if len(id) != 12 || !strings.Contains(log.String(), "request="+id) || !strings.Contains(log.String(), "disk on fire") {
			t.Errorf("id %q, log: %s", id, log.String())
		}
		if strings.Contains(told.Message(), "fire") {
			t.Errorf("the caller is told %q", told.Message())
		}
	}
}

// A refusal says all there is to say: it has no id to look for.
func TestARefusalHasNoID(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	var told *connect.Error
	if !errors.As(s.wireError("/x/Y", deploy.Errorf(deploy.CodeNotFound, "no such thing")), &told) || told.Meta().Get(requestHeader) != "" {
		t.Errorf("told %v, meta %v", told, told.Meta())
	}
}
