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
	total := q
	total.After, total.Limit = nil, 0
	if out.total, err = b.Count(c, total); err != nil {
		return out, err
	}
	q.Limit = min(size+1, scanBatch) // mostly enough: many lists have no further filter
	for scanned := 0; scanned < scanLimit; q.Limit = scanBatch {
		recs, err := b.List(c, q)
		if err != nil {
			return out, err
		}
		scanned += q.Limit
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
		if len(recs) < q.Limit {
			out.next = ""
			return out, nil
		}
	}
	out.next = writeToken(*q.After)
	return out, nil
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
