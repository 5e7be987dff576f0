package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// wireCodes translates the product's codes to those of the wire, once.
var wireCodes = map[deploy.Code]connect.Code{
	deploy.CodeInvalid:      connect.CodeInvalidArgument,
	deploy.CodeNotFound:     connect.CodeNotFound,
	deploy.CodeExists:       connect.CodeAlreadyExists,
	deploy.CodeDenied:       connect.CodePermissionDenied,
	deploy.CodeUnauthorized: connect.CodeUnauthenticated,
	deploy.CodeConflict:     connect.CodeAborted,
	deploy.CodeRefused:      connect.CodeFailedPrecondition,
	deploy.CodeExhausted:    connect.CodeResourceExhausted,
	deploy.CodeUnavailable:  connect.CodeUnavailable,
	deploy.CodeTooLarge:     connect.CodeResourceExhausted,
	deploy.CodeUnsupported:  connect.CodeUnimplemented,
	deploy.CodeInternal:     connect.CodeInternal,
}

// requestHeader carries the id under which the log tells more of an error than
// the caller is told.
const requestHeader = "X-Request-Id"

// newRequestID is short: people read it out to each other.
func newRequestID() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// wireError translates an error for the caller. What is our own fault is
// logged in full, under an id that the caller gets, and told only as such.
func (s *Server) wireError(procedure string, err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return connect.NewError(connect.CodeCanceled, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	id := ""
	var e *deploy.Error
	if !errors.As(err, &e) || e.Code == deploy.CodeInternal || wireCodes[e.Code] == 0 {
		id = newRequestID()
		s.log.Error("internal error", "procedure", procedure, "request", id, "error", err)
		e = &deploy.Error{Code: deploy.CodeInternal, Message: "the server failed; its log says why"}
	}
	told := *e
	if e.Err != nil { // the cause is for the log only: it may name files and addresses
		id = newRequestID()
		s.log.Warn("call failed", "procedure", procedure, "request", id, "error", err)
		told.Err = nil
	}
	out := connect.NewError(wireCodes[e.Code], errors.New(told.Error()))
	if id != "" {
		out.Meta().Set(requestHeader, id)
	}
	if d, derr := connect.NewErrorDetail(&penstockv1.ErrorDetail{Code: string(e.Code), Reason: e.Reason, Object: e.Object}); derr == nil {
		out.AddDetail(d)
	}
	return out
}
