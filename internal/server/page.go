package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// Bounds of a page.
const (
	defaultPage = 50
	largestPage = 200
)

type page[T any] struct {
	items []T
	next  string
}

// pageOf reads one page of the bodies of a collection.
func pageOf[T any](b *book, c store.Collection, q store.Query, req *penstockv1.PageRequest) (page[T], error) {
	return readPage(b, c, q, req, func(r store.Record) (v T, err error) {
		err = decodeBody(r, &v)
		return v, err
	})
}

// readPage reads one page of a collection, each record with read.
func readPage[T any](b *book, c store.Collection, q store.Query, req *penstockv1.PageRequest, read func(store.Record) (T, error)) (page[T], error) {
	var out page[T]
	size, err := pageSize(req, defaultPage)
	if err != nil {
		return out, err
	}
	if t := req.GetPageToken(); t != "" {
		after, err := readToken(t)
		if err != nil {
			return out, err
		}
		q.After = &after
	}
	q.Limit = size + 1
	recs, err := b.List(c, q)
	if err != nil {
		return out, err
	}
	if len(recs) > size {
		recs = recs[:size]
		last := recs[size-1]
		out.next = writeToken(store.Cursor{Key: last.Key, Value: last.Index[q.OrderBy]})
	}
	out.items = make([]T, len(recs))
	for i, r := range recs {
		if out.items[i], err = read(r); err != nil {
			return out, err
		}
	}
	return out, nil
}

// summaryOf reads the summary of a deployment.
func summaryOf(r store.Record) (*penstockv1.Deployment, error) {
	m, err := wire.ReadDeploymentSummary(r.Summary)
	if err != nil {
		return nil, fmt.Errorf("read the summary of %s: %w", r.Key, err)
	}
	return m, nil
}

// pageSize reads the size of a page; 0 is the default.
func pageSize(req *penstockv1.PageRequest, other int) (int, error) {
	switch size := int(req.GetPageSize()); {
	case size == 0:
		return other, nil
	case size < 0 || size > largestPage:
		return 0, deploy.Errorf(deploy.CodeInvalid, "page_size is 1 to %d", largestPage)
	default:
		return size, nil
	}
}

func writeToken(c store.Cursor) string {
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b)
}

func readToken(t string) (store.Cursor, error) {
	var c store.Cursor
	b, err := base64.RawURLEncoding.DecodeString(t)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || len(t) > 2000 {
		return c, deploy.Errorf(deploy.CodeInvalid, "the page token was not made by this server")
	}
	return c, nil
}

// cursor is the place in the change stream that a snapshot contains.
func (b *book) cursor() (string, error) {
	_, newest, err := b.Since(1<<62, 1)
	return b.s.writeCursor(newest), err
}

// writeCursor binds a position to the incarnation of the store: a cursor of
// another one starts over.
func (s *Server) writeCursor(pos int64) string {
	return s.opt.Store.Incarnation() + "." + strconv.FormatInt(pos, 10)
}
