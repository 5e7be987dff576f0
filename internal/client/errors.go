package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// translator turns errors of the wire into errors of the product.
type translator struct{ server string }

// WrapUnary implements connect.Interceptor.
func (t translator) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		return res, t.translate(req.Spec().Procedure, err)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (t translator) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return translatedConn{next(ctx, spec), t, spec.Procedure}
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (t translator) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

type translatedConn struct {
	connect.StreamingClientConn
	t         translator
	procedure string
}

// Receive implements connect.StreamingClientConn.
func (c translatedConn) Receive(msg any) error {
	return c.t.translate(c.procedure, c.StreamingClientConn.Receive(msg))
}

// translate brings an error back to the product's own form, with the
// operation before it. The end of a stream stays as it is.
func (t translator) translate(procedure string, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("%s: %w", operation(procedure), t.product(err))
}

func (t translator) product(err error) *deploy.Error {
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return &deploy.Error{Code: deploy.CodeUnavailable, Object: t.server, Message: "no answer yet", Err: end}
		}
	}
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return &deploy.Error{Code: deploy.CodeInternal, Message: err.Error()}
	}
	for _, d := range ce.Details() {
		if v, err := d.Value(); err == nil {
			if m, ok := v.(*penstockv1.ErrorDetail); ok {
				return &deploy.Error{
					Code: deploy.Code(m.Code), Reason: m.Reason, Object: m.Object, Message: strings.TrimPrefix(ce.Message(), m.Object+": "),
				}
			}
		}
	}
	// No detail: the server did not say this, something between did.
	code, ok := linkCodes[ce.Code()]
	if !ok {
		code = deploy.CodeInternal
	}
	switch {
	case ce.Code() == connect.CodeDeadlineExceeded:
		return &deploy.Error{Code: code, Object: t.server, Message: "no answer in time", Err: context.DeadlineExceeded}
	case ce.Code() == connect.CodeCanceled:
		return &deploy.Error{Code: code, Object: t.server, Message: "no answer yet", Err: context.Canceled}
	case code == deploy.CodeUnavailable:
		return &deploy.Error{Code: code, Object: t.server, Message: "the server cannot be reached: " + ce.Message()}
	}
	return &deploy.Error{Code: code, Object: t.server, Message: ce.Message()}
}

// operation makes words of a procedure: /…/CancelDeployment is "cancel deployment".
func operation(procedure string) string {
	var b strings.Builder
	runes := []rune(path.Base(procedure))
	for i, r := range runes {
		// A new word begins at a capital that does not stand within an abbreviation: WhoAmI, CreateAPIKey.
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Next says what to do about an error, in one line; empty when the message
// itself says it.
func Next(err error) string {
	var e *deploy.Error
	if !errors.As(err, &e) || strings.Contains(e.Message, "penstock ") {
		return "" // the message names a command already
	}
	switch e.Reason {
	case deploy.RefusedStaleView:
		return "look again with: penstock deployment get " + e.Object
	case deploy.RefusedTerminal:
		return "the deployment is finished; start a new one with: penstock deployment retry " + e.Object
	case deploy.RefusedNotApprover:
		return "ask one of the stage's approvers; see them with: penstock deployment get ID -o json"
	case deploy.RefusedMoreNeeded:
		return "let the approvers approve: penstock deployment approve"
	case deploy.RefusedAuthor:
		return "ask somebody else; the rule is shown by: penstock project get"
	case deploy.RefusedNoNote:
		return "say why with --note"
	case deploy.RefusedTwice:
		return "somebody else must approve too"
	case deploy.RefusedParked:
		return "upgrade the server to the version that wrote the event, or ask its operator"
	}
	switch e.Code {
	case deploy.CodeUnauthorized:
		return "log in with: penstock login SERVER; scripts set PENSTOCK_SERVER and PENSTOCK_TOKEN"
	case deploy.CodeDenied:
		return "ask an admin of the project for the right; see yours with: penstock whoami -o wide"
	case deploy.CodeConflict:
		return "somebody else changed it meanwhile: look again, then repeat"
	case deploy.CodeExhausted:
		return "wait a minute, then repeat"
	case deploy.CodeUnavailable:
		return "check the address and that the server runs: curl " + strings.TrimRight(e.Object, "/") + "/healthz"
	case deploy.CodeInternal:
		return "the server's log says more"
	case deploy.CodeUnsupported:
		return "the server may be older than this program: compare penstock version with penstock whoami"
	}
	return ""
}
