package sqlite

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/penstock-cd/penstock/internal/store"
)

// Bounds of what is kept in memory: records of one collection, and how many of
// them lead to their rows; more are found faster by walking over all.
const (
	maxEntries  = 50_000
	fewByLookup = 500
)

// lexicon keeps texts and tags of records in memory, where words and several
// tags are found in less than a millisecond. What it keeps is of a generation,
// which every change of them counts up in its transaction: a view reads the
// number in its snapshot and uses what is of the same one, so it never sees
// what its snapshot does not have.
type lexicon struct {
	mu sync.Mutex
	of map[[2]string]*entries // by project and collection
}

// entries are the texts and tags of one collection at one generation.
type entries struct {
	generation int64
	keys       []string
	texts      []string
	tags       [][]int // each record's, as places in names
	names      []string
	place      map[string]int // of each key in keys
	named      map[string]int // of each tag in names
}

// remembered says that a collection's texts and tags are kept in memory: one
// whose texts are shared has a way of its own.
func remembered(c store.Collection) bool { return c.Tagged && !c.SharedText }

// changed counts the generation up.
func (t *tx) changed(c store.Collection) error {
	_, err := t.exec("INSERT INTO generations VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", t.project, c.Name)
	return err
}

// entries gives the texts and tags of the snapshot; nil when they are not kept,
// and in a transaction that writes, whose changes are nobody else's yet.
func (t *tx) entries(c store.Collection) (*entries, error) {
	if !t.readOnly || !remembered(c) {
		return nil, nil
	}
	var n int64
	if _, err := t.row("SELECT n FROM generations WHERE project_id = ? AND collection = ?", []any{t.project, c.Name}, &n); err != nil {
		return nil, err
	}
	at := [2]string{t.project, c.Name}
	t.lexicon.mu.Lock()
	e := t.lexicon.of[at]
	t.lexicon.mu.Unlock()
	if e == nil || e.generation != n {
		var err error
		if e, err = t.readEntries(c, n); err != nil {
			return nil, err
		}
		t.lexicon.keep(at, e)
	}
	if e.keys == nil {
		return nil, nil
	}
	return e, nil
}

// keep remembers the newest.
func (l *lexicon) keep(at [2]string, e *entries) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.of[at]; old == nil || old.generation < e.generation {
		l.of[at] = e
	}
}

// readEntries reads a collection; of one that is too large it keeps nothing.
func (t *tx) readEntries(c store.Collection, generation int64) (*entries, error) {
	e := &entries{generation: generation, place: map[string]int{}, named: map[string]int{}}
	var n int
	if _, err := t.row("SELECT coalesce(sum(n), 0) FROM "+c.Name+"_tally WHERE project_id = ?", []any{t.project}, &n); err != nil || n > maxEntries {
		return e, err
	}
	e.keys, e.texts, e.tags = make([]string, 0, n), make([]string, 0, n), make([][]int, n)
	err := t.rows(`SELECT "key", "text" FROM `+c.Name+" INDEXED BY "+c.Name+"_wide WHERE project_id = ?", []any{t.project}, func(scan func(...any) error) error {
		var key, text string
		err := scan(&key, &text)
		e.place[key] = len(e.keys)
		e.keys, e.texts = append(e.keys, key), append(e.texts, text)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = t.rows(`SELECT "key", tag FROM tags WHERE project_id = ? AND collection = ?`, []any{t.project, c.Name}, func(scan func(...any) error) error {
		var key, tag string
		err := scan(&key, &tag)
		id, ok := e.named[tag]
		if !ok {
			id = len(e.names)
			e.names, e.named[tag] = append(e.names, tag), id
		}
		i := e.place[key]
		e.tags[i] = append(e.tags[i], id)
		return err
	})
	return e, err
}

// find lists the records that have all words and tags of a query.
func (e *entries) find(q store.Query) []int {
	want := make([]int, len(q.Tags))
	for i, tag := range q.Tags {
		id, ok := e.named[tag]
		if !ok {
			return nil
		}
		want[i] = id
	}
	var out []int
	for i, have := range e.tags {
		if !slices.ContainsFunc(want, func(id int) bool { return !slices.Contains(have, id) }) && hasAll(e.texts[i], q.Contains[text]) {
			out = append(out, i)
		}
	}
	return out
}

func hasAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// keysOf renders records as a list for json_each: one value, however many.
func (e *entries) keysOf(found []int) (string, error) {
	keys := make([]string, len(found))
	for i, at := range found {
		keys[i] = e.keys[at]
	}
	b, err := json.Marshal(keys)
	return string(b), err
}

// byLexicon counts the tags of what a query selects, from memory; ok is false
// when they are not kept there.
func (t *tx) byLexicon(c store.Collection, q store.Query, prefix string, limit int) (out []store.Tally, ok bool, err error) {
	e, err := t.entries(c)
	if e == nil || err != nil {
		return nil, false, err
	}
	var found []int
	if onlyEntries(q) {
		found = e.find(q)
	} else if found, err = t.places(c, q, e); err != nil {
		return nil, false, err
	}
	counts := make([]int, len(e.names))
	for _, i := range found {
		for _, id := range e.tags[i] {
			counts[id]++
		}
	}
	for id, n := range counts {
		if n > 0 && strings.HasPrefix(e.names[id], prefix) {
			out = append(out, store.Tally{Values: []string{e.names[id]}, N: n})
		}
	}
	slices.SortFunc(out, func(a, b store.Tally) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Values[0], b.Values[0]))
	})
	return out[:min(len(out), limit)], true, nil
}

// onlyEntries says that a query asks for nothing but words and tags.
func onlyEntries(q store.Query) bool {
	if _, other := q.Contains[text]; len(q.Contains) > 1 || len(q.Contains) == 1 && !other {
		return false
	}
	return len(q.Where)+len(q.Prefix)+len(q.NotAfter) == 0 && q.Keys == nil
}

// places selects the rows of a query and gives their places in memory.
func (t *tx) places(c store.Collection, q store.Query, e *entries) (found []int, err error) {
	from, w, err := t.from(c, q, manyToCount)
	if err != nil {
		return nil, err
	}
	err = t.rows(`SELECT "key" FROM `+from+w.text.String(), w.args, func(scan func(...any) error) error {
		var key string
		err := scan(&key)
		found = append(found, e.place[key])
		return err
	})
	return found, err
}
