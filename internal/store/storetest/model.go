package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

// table is the model of a collection in one project.
type table map[string]store.Record

func (m table) clone() table {
	out := table{}
	for k, r := range m {
		out[k] = r
	}
	return out
}

func matches(r store.Record, q store.Query) bool {
	for name, values := range q.Where {
		if !slices.Contains(values, r.Index[name]) {
			return false
		}
	}
	for name, parts := range q.Contains {
		for _, part := range parts {
			if !strings.Contains(r.Index[name], part) {
				return false
			}
		}
	}
	for name, begin := range q.Prefix {
		if !strings.HasPrefix(r.Index[name], begin) {
			return false
		}
	}
	for _, tag := range q.Tags {
		if !slices.Contains(r.Tags, tag) {
			return false
		}
	}
	if q.Keys != nil && !slices.Contains(q.Keys, r.Key) {
		return false
	}
	for name, limit := range q.NotAfter {
		if r.Index[name] == "" || r.Index[name] > limit {
			return false
		}
	}
	return true
}

// list answers a query from the model.
func (m table) list(q store.Query) (page []store.Record, total int) {
	place := func(value, key string) int {
		if q.OrderBy == "" {
			return cmp.Compare(key, q.After.Key)
		}
		return cmp.Or(cmp.Compare(value, q.After.Value), cmp.Compare(key, q.After.Key))
	}
	for _, r := range m {
		if !matches(r, q) {
			continue
		}
		total++
		if q.After != nil {
			if d := place(r.Index[q.OrderBy], r.Key); d == 0 || (d < 0) != q.Desc {
				continue
			}
		}
		if r.Tags = nil; q.Summaries {
			r.Body = nil
		} else {
			r.Summary = nil
		}
		page = append(page, r)
	}
	slices.SortFunc(page, func(a, b store.Record) int {
		d := cmp.Or(cmp.Compare(a.Index[q.OrderBy], b.Index[q.OrderBy]), cmp.Compare(a.Key, b.Key))
		if q.Desc {
			return -d
		}
		return d
	})
	return page[:min(len(page), q.Limit)], total
}

var (
	words   = rapid.SampledFrom([]string{"", "a", "b", "ab", "A", "%", "é", "~", "zz"})
	tag     = rapid.SampledFrom([]string{"x=1", "x=2", "y"})
	someKey = rapid.SampledFrom([]string{"1", "2", "3", "4", "a", "B", "é", "a/b"})
)

func drawRecord(t *rapid.T, c store.Collection) store.Record {
	r := store.Record{Key: someKey.Draw(t, "key"), Index: map[string]string{}}
	r.Body = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "body")
	if rapid.Bool().Draw(t, "long") {
		r.Body = slices.Repeat(append(r.Body, 'x'), 300)
	}
	r.Tags = rapid.SliceOfN(tag, 0, 3).Draw(t, "tags")
	if c.Summary {
		r.Summary = rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "summary")
	}
	for _, name := range c.Index {
		r.Index[name] = words.Draw(t, name)
	}
	return r
}

func drawQuery(t *rapid.T, c store.Collection) store.Query {
	col := rapid.SampledFrom(c.Index)
	q := store.Query{Limit: rapid.IntRange(1, 10).Draw(t, "limit"), Desc: rapid.Bool().Draw(t, "desc"), Summaries: c.Summary && rapid.Bool().Draw(t, "summaries")}
	if rapid.Bool().Draw(t, "where") {
		q.Where = map[string][]string{col.Draw(t, "column"): rapid.SliceOfN(words, 0, 4).Draw(t, "one of")}
	}
	if rapid.Bool().Draw(t, "contains") {
		q.Contains = map[string][]string{col.Draw(t, "column"): rapid.SliceOfN(words, 0, 2).Draw(t, "parts")}
	}
	if rapid.Bool().Draw(t, "tags") {
		q.Tags = rapid.SliceOfNDistinct(tag, 1, 2, rapid.ID[string]).Draw(t, "tags of")
	}
	if rapid.IntRange(0, 3).Draw(t, "keys") == 0 {
		q.Keys = rapid.SliceOfN(someKey, 0, 3).Draw(t, "one of keys")
	}
	if rapid.IntRange(0, 3).Draw(t, "prefix") == 0 {
		q.Prefix = map[string]string{col.Draw(t, "column"): rapid.SampledFrom([]string{"a", "ab", "z", "é"}).Draw(t, "beginning")}
	}
	if rapid.Bool().Draw(t, "not after") {
		q.NotAfter = map[string]string{col.Draw(t, "column"): words.Draw(t, "limit")}
	}
	if rapid.Bool().Draw(t, "order") {
		q.OrderBy = col.Draw(t, "column")
	}
	if rapid.Bool().Draw(t, "after") {
		q.After = &store.Cursor{Value: words.Draw(t, "value"), Key: someKey.Draw(t, "key")}
		if q.OrderBy == "" {
			q.After.Value = ""
		}
	}
	return q
}

// recordsAgainstModel runs random transactions, some of which fail, and asks
// random questions in and after them. One store serves all runs, each in its
// own project.
func recordsAgainstModel(t *testing.T, s store.Store) {
	for _, c := range []store.Collection{store.Deployments, store.Applications} {
		t.Run(c.Name, func(t *testing.T) { againstModel(t, s, c) })
	}
}

func againstModel(t *testing.T, s store.Store, c store.Collection) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		project, m := fmt.Sprint("p", run), table{}
		for range rapid.IntRange(1, 4).Draw(rt, "transactions") {
			next := m.clone()
			fails := rapid.Bool().Draw(rt, "fails")
			err := s.Update(t.Context(), project, func(tx store.Tx) error {
				for range rapid.IntRange(1, 8).Draw(rt, "calls") {
					changeBoth(rt, tx, c, next)
				}
				ask(rt, tx, c, next)
				if fails {
					return errOwn
				}
				return nil
			})
			if fails != errors.Is(err, errOwn) {
				rt.Fatalf("update: %v", err)
			}
			if !fails {
				m = next
			}
			if err := s.View(t.Context(), project, func(tx store.Tx) error { ask(rt, tx, c, m); return nil }); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func changeBoth(t *rapid.T, tx store.Tx, c store.Collection, m table) {
	var err error
	if rapid.IntRange(0, 3).Draw(t, "change") == 0 {
		key := someKey.Draw(t, "delete")
		delete(m, key)
		err = tx.Delete(c, key)
	} else {
		r := drawRecord(t, c)
		m[r.Key] = r
		err = tx.Put(c, r)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func ask(t *rapid.T, tx store.Tx, c store.Collection, m table) {
	key := someKey.Draw(t, "get")
	got, ok, err := tx.Get(c, key)
	want, there := m[key]
	if err != nil || ok != there {
		t.Fatalf("get %q: %v, %v, want %v", key, ok, err, there)
	}
	want.Tags, want.Summary = nil, nil // reading leaves them out
	diff(t, "get "+key, got, want)
	q := drawQuery(t, c)
	page, total := m.list(q)
	list, err := tx.List(c, q)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, fmt.Sprintf("list %+v after %+v", q, q.After), list, page)
	n, err := tx.Count(c, q)
	if err != nil || n != total {
		t.Fatalf("count %+v = %d, %v, want %d", q, n, err, total)
	}
	tally(t, tx, c, m, q)
}

// tally compares the counts by values and by tags.
func tally(t *rapid.T, tx store.Tx, c store.Collection, m table, q store.Query) {
	cols := rapid.SliceOfNDistinct(rapid.SampledFrom(c.Facets), 1, 2, rapid.ID[string]).Draw(t, "count by")
	// What counts that are kept apart answer: facets, with one tag, or with words.
	facets := store.Query{Limit: 1, Where: map[string][]string{cols[0]: {"a", "ab", ""}}}
	switch rapid.IntRange(0, 3).Draw(t, "only") {
	case 0:
		q = facets
	case 1:
		q, q.Tags = facets, []string{tag.Draw(t, "tag")}
	case 2:
		q, q.Contains = facets, map[string][]string{"text": rapid.SliceOfN(words, 0, 2).Draw(t, "words")}
	}
	byValues, byTag := map[string]int{}, map[string]int{}
	for _, r := range m {
		if !matches(r, q) {
			continue
		}
		var v []string
		for _, c := range cols {
			v = append(v, r.Index[c])
		}
		byValues[strings.Join(v, "|")]++
		for _, x := range slices.Compact(slices.Sorted(slices.Values(r.Tags))) {
			if strings.HasPrefix(x, "x=") {
				byTag[x]++
			}
		}
	}
	found, err := tx.Tally(c, q, cols)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, fmt.Sprintf("tally %+v by %v", q, cols), counts(found), byValues)
	if found, err = tx.TallyTags(c, q, "x=", 10); err != nil {
		t.Fatal(err)
	}
	diff(t, fmt.Sprintf("tags of %+v", q), counts(found), byTag)
}

func counts(found []store.Tally) map[string]int {
	out := map[string]int{}
	for _, x := range found {
		if x.N > 0 {
			out[strings.Join(x.Values, "|")] += x.N
		}
	}
	return out
}

func diff[T any](t *rapid.T, what string, got, want T) {
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}

// streamsAgainstModel appends to a few streams at right and wrong places.
func streamsAgainstModel(t *testing.T, s store.Store) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		project := fmt.Sprint("p", run)
		streams, order, stored := map[string]int64{}, []string{}, map[string]bool{}
		var before int64
		for range rapid.IntRange(1, 10).Draw(rt, "appends") {
			id := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "stream")
			after := streams[id] + rapid.SampledFrom([]int64{0, 0, 0, 1, 2}).Draw(rt, "off by")
			if rapid.IntRange(0, 3).Draw(rt, "any length") == 0 {
				after = store.AnyLength
			}
			es := events(rapid.StringMatching(`[a-d]`).Draw(rt, "prefix"), rapid.SampledFrom([]int{1, 2, 3, 33, 70}).Draw(rt, "events"))
			repeated := slices.ContainsFunc(es, func(e deploy.Event) bool { return stored[e.ID] })
			err := appendEvents(t.Context(), s, project, deployment(id), after, es)
			switch {
			case repeated:
				if deploy.RefusalOf(err) != deploy.RefusedDuplicate {
					rt.Fatalf("repeated: %v", err)
				}
			case after != store.AnyLength && after != streams[id]:
				if deploy.CodeOf(err) != deploy.CodeConflict {
					rt.Fatalf("wrong place: %v", err)
				}
			case err != nil:
				rt.Fatal(err)
			default:
				streams[id] += int64(len(es))
				for _, e := range es {
					stored[e.ID] = true
					order = append(order, e.ID)
				}
			}
		}
		err := s.View(t.Context(), project, func(tx store.Tx) error {
			all, newest, err := tx.Since(0, 1000)
			var ids []string
			for _, e := range all {
				if e.Pos <= before || e.Pos > newest {
					rt.Fatalf("position %d after %d, newest %d", e.Pos, before, newest)
				}
				before = e.Pos
				ids = append(ids, e.ID)
			}
			diff(rt, "ids", ids, order)
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}
