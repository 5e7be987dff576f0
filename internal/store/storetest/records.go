package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/store"
)

func records(t *testing.T, s store.Store) {
	large := bytes.Repeat([]byte("a large body "), 100_000)
	update(t, s, "p", func(tx store.Tx) error {
		_, ok, err := tx.Get(store.Agents, "k")
		if ok || err != nil {
			t.Errorf("an empty collection has a record (%v)", err)
		}
		must(t, tx.Put(store.Agents, store.Record{Key: "k", Body: []byte("one"), Index: map[string]string{"name": "a"}}))
		must(t, tx.Put(store.Agents, store.Record{Key: "empty"}))
		must(t, tx.Delete(store.Agents, "never there"))
		r, ok, err := tx.Get(store.Agents, "k") // sees its own writes
		if !ok || err != nil || string(r.Body) != "one" || r.Key != "k" || r.Index["name"] != "a" {
			t.Errorf("record = %+v, %v, %v", r, ok, err)
		}
		wantCode(t, "record without key", tx.Put(store.Agents, store.Record{}), deploy.CodeInvalid)
		return nil
	})
	update(t, s, "p", func(tx store.Tx) error {
		return tx.Put(store.Agents, store.Record{Key: "k", Body: large})
	})
	view(t, s, "p", func(tx store.Tx) error {
		r, ok, err := tx.Get(store.Agents, "k")
		if !ok || err != nil || !bytes.Equal(r.Body, large) || r.Index["name"] != "" {
			t.Errorf("replaced record: %d bytes, index %v, %v, %v", len(r.Body), r.Index, ok, err)
		}
		r, ok, err = tx.Get(store.Agents, "empty")
		if !ok || err != nil || len(r.Body) != 0 {
			t.Errorf("empty record: %+v, %v, %v", r, ok, err)
		}
		return nil
	})
	update(t, s, "p", func(tx store.Tx) error { return tx.Delete(store.Agents, "k") })
	view(t, s, "p", func(tx store.Tx) error {
		if _, ok, err := tx.Get(store.Agents, "k"); ok || err != nil {
			t.Errorf("a deleted record is there (%v)", err)
		}
		return nil
	})
}

func everyCollection(t *testing.T, s store.Store) {
	for _, c := range store.Collections() {
		index := map[string]string{}
		for i, name := range c.Index {
			index[name] = fmt.Sprintf("%s %d", name, i)
		}
		r := store.Record{Key: "k", Body: []byte(c.Name), Index: index}
		update(t, s, "p", func(tx store.Tx) error { return tx.Put(c, r) })
		view(t, s, "p", func(tx store.Tx) error {
			got, ok, err := tx.Get(c, "k")
			if !ok || err != nil {
				t.Errorf("%s: %v, %v", c.Name, ok, err)
			}
			same(t, c.Name, got, r)
			for name, v := range index {
				q := store.Query{Where: map[string][]string{name: {v}}, Contains: map[string][]string{name: {v[1:3]}}, NotAfter: map[string]string{name: v}, OrderBy: name, Limit: 1}
				got, err := tx.List(c, q)
				if err != nil {
					t.Errorf("%s by %s: %v", c.Name, name, err)
				}
				same(t, c.Name+" by "+name, got, []store.Record{r})
			}
			return nil
		})
	}
}

// fleet stores deployments d0 … d9: of application a or b in turn, two in
// three open, with timers except for d4, and names from "svc 9" down.
func fleet(t *testing.T, s store.Store) {
	update(t, s, "p", func(tx store.Tx) error {
		for i := range 10 {
			index := map[string]string{"application_id": string("ab"[i%2]), "name": fmt.Sprintf("svc %d", 9-i), "status": fmt.Sprint(i % 3)}
			var tags []string
			if i%2 == 0 {
				tags = append(tags, "even")
			}
			if i%3 != 0 {
				index["open"] = "1"
			} else {
				tags = append(tags, "third", "third")
			}
			if i != 4 {
				index["timer"] = store.Instant(moment(i))
			}
			must(t, tx.Put(store.Deployments, store.Record{Key: fmt.Sprintf("d%d", i), Body: []byte{byte(i)}, Index: index, Tags: tags}))
		}
		return nil
	})
}

func keys(rs []store.Record) []string {
	out := make([]string, len(rs))
	for i, r := range rs {
		out[i] = r.Key
	}
	return out
}

func conditions(t *testing.T, s store.Store) {
	fleet(t, s)
	for _, c := range []struct {
		name  string
		query store.Query
		want  []string
		more  int // what Count finds beyond the page
	}{
		{"all", store.Query{}, []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"}, 0},
		{"first", store.Query{Limit: 2}, []string{"d0", "d1"}, 8},
		{"last", store.Query{Limit: 2, Desc: true}, []string{"d9", "d8"}, 8},
		{"where", store.Query{Where: map[string][]string{"application_id": {"a"}}}, []string{"d0", "d2", "d4", "d6", "d8"}, 0},
		{"one of", store.Query{Where: map[string][]string{"status": {"1", "2", "9"}, "application_id": {"b"}}}, []string{"d1", "d5", "d7"}, 0},
		{"one of none", store.Query{Where: map[string][]string{"status": {}}}, nil, 0},
		{"empty column", store.Query{Where: map[string][]string{"open": {""}}}, []string{"d0", "d3", "d6", "d9"}, 0},
		{"contains", store.Query{Contains: map[string][]string{"name": {"c 3"}}}, []string{"d6"}, 0},
		{"contains no pattern", store.Query{Contains: map[string][]string{"name": {"%"}}}, nil, 0},
		{"contains other case", store.Query{Contains: map[string][]string{"name": {"SVC"}}}, nil, 0},
		{"contains both", store.Query{Contains: map[string][]string{"name": {"svc", "3"}}}, []string{"d6"}, 0},
		{"begins", store.Query{Prefix: map[string]string{"name": "svc 3"}, Where: map[string][]string{"application_id": {"a"}}}, []string{"d6"}, 0},
		{"begins, not within", store.Query{Prefix: map[string]string{"name": "vc"}}, nil, 0},
		{"of keys", store.Query{Keys: []string{"d7", "d2", "gone"}, Desc: true}, []string{"d7", "d2"}, 0},
		{"of no keys", store.Query{Keys: []string{}}, nil, 0},
		{"tagged", store.Query{Tags: []string{"even"}, Limit: 2}, []string{"d0", "d2"}, 3},
		{"tagged twice", store.Query{Tags: []string{"even", "third"}, Desc: true}, []string{"d6", "d0"}, 0},
		{"tagged, and one of", store.Query{Tags: []string{"even"}, Where: map[string][]string{"status": {"1"}}, OrderBy: "name"}, []string{"d4"}, 0},
		{"tagged by nobody", store.Query{Tags: []string{"even", "odd"}}, nil, 0},
		{"due", store.Query{NotAfter: map[string]string{"timer": store.Instant(moment(5))}}, []string{"d0", "d1", "d2", "d3", "d5"}, 0},
		{"due and open, earliest", store.Query{NotAfter: map[string]string{"timer": store.Instant(moment(9))}, Where: map[string][]string{"open": {"1"}}, OrderBy: "timer", Limit: 3}, []string{"d1", "d2", "d5"}, 2},
		{"by name", store.Query{OrderBy: "name", Limit: 3}, []string{"d9", "d8", "d7"}, 7},
		{"ties by key", store.Query{OrderBy: "application_id", Limit: 6}, []string{"d0", "d2", "d4", "d6", "d8", "d1"}, 4},
		{"ties reversed", store.Query{OrderBy: "application_id", Desc: true, Limit: 6}, []string{"d9", "d7", "d5", "d3", "d1", "d8"}, 4},
		{"after a key", store.Query{After: &store.Cursor{Key: "d7"}}, []string{"d8", "d9"}, 8},
		{"after a place", store.Query{OrderBy: "application_id", After: &store.Cursor{Value: "a", Key: "d6"}, Limit: 2}, []string{"d8", "d1"}, 8},
		{"after a record that is gone", store.Query{OrderBy: "application_id", Desc: true, After: &store.Cursor{Value: "b", Key: "d10"}, Limit: 2}, []string{"d1", "d8"}, 8},
	} {
		view(t, s, "p", func(tx store.Tx) error {
			if c.query.Limit == 0 {
				c.query.Limit = 1000
			}
			got, err := tx.List(store.Deployments, c.query)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			same(t, c.name, keys(got), c.want)
			n, err := tx.Count(store.Deployments, c.query)
			if err != nil || n != len(c.want)+c.more {
				t.Errorf("%s: count = %d, %v, want %d", c.name, n, err, len(c.want)+c.more)
			}
			return nil
		})
	}
}

// pagingUnderInserts pages through what is there at the beginning while other
// records come and go: each of them is seen exactly once.
func pagingUnderInserts(t *testing.T, s store.Store) {
	put := func(key, name string) {
		update(t, s, "p", func(tx store.Tx) error {
			return tx.Put(store.Applications, store.Record{Key: key, Index: map[string]string{"name": name}})
		})
	}
	for _, desc := range []bool{false, true} {
		for i := range 30 {
			put(fmt.Sprintf("stays-%02d", i), fmt.Sprintf("n%d", i%4))
		}
		q := store.Query{OrderBy: "name", Desc: desc, Limit: 4}
		var seen []string
		for round := 0; ; round++ {
			var page []store.Record
			view(t, s, "p", func(tx store.Tx) (err error) {
				page, err = tx.List(store.Applications, q)
				return err
			})
			if len(page) == 0 {
				break
			}
			seen = append(seen, keys(page)...)
			last := page[len(page)-1]
			q.After = &store.Cursor{Value: last.Index["name"], Key: last.Key}
			if round < 20 {
				put(fmt.Sprintf("new-%v-%02d", desc, round), fmt.Sprintf("n%d", round%4))
			}
		}
		if sorted := slices.Sorted(slices.Values(seen)); len(slices.Compact(sorted)) != len(seen) {
			t.Errorf("desc %v: a record came twice: %v", desc, seen)
		}
		for i := range 30 {
			if key := fmt.Sprintf("stays-%02d", i); !slices.Contains(seen, key) {
				t.Errorf("desc %v: %s was never seen", desc, key)
			}
		}
	}
}

func wrongQueries(t *testing.T, s store.Store) {
	unknown := store.Collection{Name: "events", Index: []string{"id"}}
	forged := store.Collection{Name: "agents", Index: []string{"body"}}
	update(t, s, "p", func(tx store.Tx) error {
		list := func(c store.Collection, q store.Query) error {
			_, err := tx.List(c, q)
			return err
		}
		_, _, got := tx.Get(unknown, "k")
		_, counted := tx.Count(store.Agents, store.Query{Where: map[string][]string{"id": {"x"}}})
		for name, err := range map[string]error{
			"get from unknown":    got,
			"put into unknown":    tx.Put(unknown, store.Record{Key: "k"}),
			"delete from unknown": tx.Delete(unknown, "k"),
			"list unknown":        list(unknown, store.Query{Limit: 1}),
			"put unknown column":  tx.Put(store.Agents, store.Record{Key: "k", Index: map[string]string{"owner": "x"}}),
			"forged columns":      list(forged, store.Query{Limit: 1, OrderBy: "body"}),
			"where":               list(store.Agents, store.Query{Limit: 1, Where: map[string][]string{"key": {"x"}}}),
			"begins":              list(store.Agents, store.Query{Limit: 1, Prefix: map[string]string{"1=1 --": "x"}}),
			"contains":            list(store.Agents, store.Query{Limit: 1, Contains: map[string][]string{"1=1 --": {"x"}}}),
			"not after":           list(store.Agents, store.Query{Limit: 1, NotAfter: map[string]string{"expires": "x"}}),
			"order":               list(store.Agents, store.Query{Limit: 1, OrderBy: "name; DROP TABLE agents"}),
			"count":               counted,
			"no limit":            list(store.Agents, store.Query{}),
			"large limit":         list(store.Agents, store.Query{Limit: 1001}),
		} {
			wantCode(t, name, err, deploy.CodeInvalid)
		}
		return nil
	})
}
