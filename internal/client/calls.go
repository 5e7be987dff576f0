package client

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// stamper puts the credential, the user agent and, for a mutation, a request
// id into every call: a repeat of the same request is answered, not done again.
type stamper struct{ token, agent string }

type headers interface{ Set(key, value string) }

func (s stamper) stamp(h headers) {
	if s.token != "" {
		h.Set("Authorization", "Bearer "+s.token)
	}
	h.Set("User-Agent", s.agent)
}

// WrapUnary implements connect.Interceptor.
func (s stamper) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		s.stamp(req.Header())
		if m, ok := req.Any().(proto.Message); ok {
			giveRequestID(m.ProtoReflect())
		}
		return next(ctx, req)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (s stamper) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		s.stamp(conn.RequestHeader())
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (s stamper) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// giveRequestID fills an empty request_id. Ids are ordered by time.
func giveRequestID(m protoreflect.Message) {
	f := m.Descriptor().Fields().ByName("request_id")
	if f == nil || f.Kind() != protoreflect.StringKind || m.Get(f).String() != "" {
		return
	}
	if id, err := uuid.NewV7(); err == nil {
		m.Set(f, protoreflect.ValueOfString(id.String()))
	}
}

// retrier asks again when a read could not be answered. A mutation is never
// repeated by itself: a person should see that its outcome is unknown.
type retrier struct{}

const (
	readTries      = 5
	firstReadPause = 100 * time.Millisecond
	readPauseLimit = 2 * time.Second
)

// WrapUnary implements connect.Interceptor.
func (retrier) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if _, ok := ctx.Deadline(); !ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, DefaultCallLimit)
			defer cancel()
		}
		if req.Spec().IdempotencyLevel != connect.IdempotencyNoSideEffects {
			return next(ctx, req)
		}
		pause := backoff.NewExponentialBackOff()
		pause.InitialInterval, pause.MaxInterval = firstReadPause, readPauseLimit
		return backoff.Retry(ctx, func() (connect.AnyResponse, error) {
			res, err := next(ctx, req)
			if err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
				return res, backoff.Permanent(err)
			}
			return res, err
		}, backoff.WithBackOff(pause), backoff.WithMaxTries(readTries))
	}
}

// WrapStreamingClient implements connect.Interceptor. Streams are resumed by
// those who read them, because only they know from where.
func (retrier) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (retrier) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
