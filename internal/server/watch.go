package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

const (
	// watchBatch is how many events one message names.
	watchBatch = 200
	// watchGap is how far a cursor may be behind before the reader is told to
	// read everything again.
	watchGap = 5000
	// watchBeat is how often a quiet stream says that it stands, where it is,
	// and checks that its reader may still read. A page that hears nothing for
	// two beats says so, which is to be within 10 s of a cut.
	watchBeat = 4 * time.Second
)

// Watch implements WatchService: it tells what changed since a cursor. The
// stream carries names of things, not things; the reader reads them again.
func (s *Server) Watch(ctx context.Context, req *connect.Request[penstockv1.WatchRequest], stream *connect.ServerStream[penstockv1.WatchResponse]) error {
	project := who(ctx).Project
	w := s.hub.watch(project)
	defer s.hub.unwatch(w)
	pos, reset, err := s.startOf(ctx, project, req.Msg.Cursor)
	if err != nil {
		return err
	}
	if err := stream.Send(&penstockv1.WatchResponse{Cursor: s.writeCursor(pos), Reset_: reset}); err != nil {
		return err
	}
	beat := time.NewTicker(watchBeat)
	defer beat.Stop()
	for {
		if pos, err = s.sendSince(ctx, project, pos, req.Msg, stream); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.hub.done:
			return errStopping()
		case <-beat.C:
			if err := s.beat(ctx, req.Header(), pos, stream); err != nil {
				return err
			}
			continue
		case <-w.ping:
		}
		if err := s.sendSide(s.hub.drain(w), pos, req.Msg, stream); err != nil {
			return err
		}
	}
}

// beat moves the cursor of a reader who filters, so that it never falls too far
// behind, keeps proxies from closing the stream, and ends it when the
// credential was taken back meanwhile.
func (s *Server) beat(ctx context.Context, h http.Header, pos int64, stream *connect.ServerStream[penstockv1.WatchResponse]) error {
	if _, err := s.authenticate(ctx, h); err != nil {
		return err
	}
	return stream.Send(&penstockv1.WatchResponse{Cursor: s.writeCursor(pos)})
}

// startOf reads a cursor. One of another incarnation, or one that is too old,
// starts over.
func (s *Server) startOf(ctx context.Context, project, cursor string) (pos int64, reset bool, err error) {
	var newest int64
	err = s.view(ctx, project, func(b *book) error {
		_, newest, err = b.Since(1<<62, 1)
		return err
	})
	if err != nil || cursor == "" {
		return newest, false, err
	}
	inc, text, _ := strings.Cut(cursor, ".")
	p, perr := strconv.ParseInt(text, 10, 64)
	if perr != nil || p < 0 || inc != s.opt.Store.Incarnation() || p > newest || newest-p > watchGap {
		return newest, true, nil
	}
	return p, false, nil
}

func (s *Server) sendSince(ctx context.Context, project string, pos int64, req *penstockv1.WatchRequest, stream *connect.ServerStream[penstockv1.WatchResponse]) (int64, error) {
	for {
		var events []store.Stored
		err := s.view(ctx, project, func(b *book) (err error) {
			events, _, err = b.Since(pos, watchBatch)
			return err
		})
		if err != nil || len(events) == 0 {
			return pos, err
		}
		pos = events[len(events)-1].Pos
		out := &penstockv1.WatchResponse{Cursor: s.writeCursor(pos)}
		for _, e := range events {
			c := &penstockv1.Change{StreamKind: string(e.Stream.Kind), StreamId: e.Stream.ID, Type: string(e.Type), ApplicationId: e.Topic, At: wire.Time(e.At)}
			if watched(c, req) {
				out.Changes = append(out.Changes, c)
			}
		}
		if len(out.Changes) > 0 {
			if err := stream.Send(out); err != nil {
				return pos, err
			}
		}
		if len(events) < watchBatch {
			return pos, nil
		}
	}
}

func (s *Server) sendSide(side []sideChange, pos int64, req *penstockv1.WatchRequest, stream *connect.ServerStream[penstockv1.WatchResponse]) error {
	out := &penstockv1.WatchResponse{Cursor: s.writeCursor(pos)}
	for _, x := range side {
		c := &penstockv1.Change{StreamKind: x.kind, StreamId: x.id, Type: x.typ, ApplicationId: x.app, At: wire.Time(s.now())}
		if watched(c, req) {
			out.Changes = append(out.Changes, c)
		}
	}
	if len(out.Changes) == 0 {
		return nil
	}
	return stream.Send(out)
}

func watched(c *penstockv1.Change, req *penstockv1.WatchRequest) bool {
	return wants(req.StreamKinds, c.StreamKind) &&
		(req.ApplicationId == "" || req.ApplicationId == c.ApplicationId) &&
		(req.DeploymentId == "" || req.DeploymentId == c.StreamId)
}
