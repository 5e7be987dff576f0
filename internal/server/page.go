package server

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
)

// Bounds of a page.
const (
	defaultPage = 50
	largestPage = 200
	// scanBatch and scanLimit bound the work for one page when a filter that
	// is not indexed lets few records through.
	scanBatch = 200
	scanLimit = 20000
)

type page[T any] struct {
	items []T
	next  string
	total int // records that the indexed conditions select
}

// pageOf reads one page of a collection: the indexed conditions are in q, the
// others in want.
func pageOf[T any](b *book, c store.Collection, q store.Query, req *penstockv1.PageRequest, want func(T) bool) (page[T], error) {
	var out page[T]
	size := int(req.GetPageSize())
	switch {
	case size == 0:
		size = defaultPage
	case size < 0 || size > largestPage:
		return out, deploy.Errorf(deploy.CodeInvalid, "page_size is 1 to %d", largestPage)
	}
	if t := req.GetPageToken(); t != "" {
		after, err := readToken(t)
		if err != nil {
			return out, err
		}
		q.After = &after
	}
	total := q
	total.After, total.Limit = nil, 0
	var err error
	if out.total, err = b.Count(c, total); err != nil {
		return out, err
	}
	q.Limit = scanBatch
	for scanned := 0; scanned < scanLimit; scanned += scanBatch {
		recs, err := b.List(c, q)
		if err != nil {
			return out, err
		}
		for _, r := range recs {
			q.After = &store.Cursor{Key: r.Key, Value: r.Index[q.OrderBy]}
			var v T
			if err := decodeBody(r, &v); err != nil {
				return out, err
			}
			if !want(v) {
				continue
			}
			if len(out.items) == size {
				return out, nil
			}
			out.items = append(out.items, v)
			out.next = writeToken(*q.After)
		}
		if len(recs) < scanBatch {
			out.next = ""
			return out, nil
		}
	}
	out.next = writeToken(*q.After)
	return out, nil
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
