package sqlite

import (
	"maps"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/store"
)

// few is how many rows a condition may leave so that its index is the way to
// them; behind it the covering index of all columns is walked in order.
const few = 1000

// Words cost a look at all texts before their index helps, so fewer rows are
// worth it. Who counts visits every row, so a tag is the way to many.
const (
	fewByWords  = few / 3
	manyToCount = 50_000
)

// walked is the column by which the wide index of a collection is ordered.
var walked = map[string]string{store.Applications.Name: "name"}

// text is the column that words are looked for within: it has no index of its
// own, the wide one has it.
const text = "text"

// List implements store.Records.
func (t *tx) List(c store.Collection, q store.Query) ([]store.Record, error) {
	c, err := t.enter("list", c, t.ready())
	if err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > maxList {
		return nil, invalid("list %s: a limit from 1 to %d is needed, not %d", c.Name, maxList, q.Limit)
	}
	content := "body"
	if q.Summaries {
		content = "summary"
	}
	if q.Summaries && !c.Summary {
		return nil, invalid("collection %s keeps no summaries", c.Name)
	}
	byTags := few
	if q.OrderBy != walked[c.Name] {
		byTags = manyToCount // to sort, every row is visited as well
	}
	from, w, err := t.from(c, q, byTags)
	if err != nil {
		return nil, err
	}
	order, err := w.order(c, q)
	if err != nil {
		return nil, err
	}
	var out []store.Record
	if from == c.Name {
		err = t.rows("SELECT "+columns(c, content)+" FROM "+c.Name+w.text.String()+order+" LIMIT ?", append(w.args, q.Limit), t.gather(c, q.Summaries, &out))
		return out, during("list", c, err)
	}
	var keys []string
	err = t.rows(`SELECT "key" FROM `+from+w.text.String()+order+" LIMIT ?", append(w.args, q.Limit), func(scan func(...any) error) error {
		keys = append(keys, "")
		return scan(&keys[len(keys)-1])
	})
	if err == nil {
		out, err = t.these(c, keys, content)
	}
	return out, during("list", c, err)
}

// these reads the records of keys in their order.
func (t *tx) these(c store.Collection, keys []string, content string) ([]store.Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	place, args := make(map[string]int, len(keys)), []any{t.project}
	for i, k := range keys {
		place[k] = i
		args = append(args, k)
	}
	var out []store.Record
	err := t.rows("SELECT "+columns(c, content)+" FROM "+c.Name+` WHERE project_id = ? AND "key" IN (?`+strings.Repeat(", ?", len(keys)-1)+")", args, t.gather(c, content == "summary", &out))
	slices.SortFunc(out, func(a, b store.Record) int { return place[a.Key] - place[b.Key] })
	return out, err
}

// Count implements store.Records.
func (t *tx) Count(c store.Collection, q store.Query) (int, error) {
	found, err := t.Tally(c, q, nil)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].N, nil
}

// Tally implements store.Records.
func (t *tx) Tally(c store.Collection, q store.Query, cols []string) ([]store.Tally, error) {
	c, err := t.enter("count", c, t.ready())
	if err != nil {
		return nil, err
	}
	var list, group string
	for _, name := range cols {
		if !slices.Contains(c.Facets, name) {
			return nil, invalid("collection %s is not counted by %q", c.Name, name)
		}
		list += `"` + name + `", `
	}
	if len(cols) > 0 {
		group = " GROUP BY " + strings.TrimSuffix(list, ", ")
	}
	q.After = nil
	from, sum, w, err := t.toCount(c, q)
	if err != nil {
		return nil, err
	}
	var out []store.Tally
	err = t.rows("SELECT "+list+sum+" FROM "+from+w.text.String()+group, w.args, gatherTally(len(cols), &out))
	return out, during("count", c, err)
}

// toCount chooses where a query is counted: in the counts that are kept of the
// collection or of its tags, or in its rows.
func (t *tx) toCount(c store.Collection, q store.Query) (from, sum string, w *condition, err error) {
	if byTag(c, q) {
		w, err = t.tagged(c, q)
		return c.Name + "_tags", "coalesce(sum(n), 0)", w, err
	}
	from, w, err = t.from(c, q, manyToCount)
	if err == nil && counted(c, q) {
		return c.Name + "_tally", "coalesce(sum(n), 0)", w, nil
	}
	return from, "count(*)", w, err
}

func gatherTally(n int, out *[]store.Tally) func(func(...any) error) error {
	return func(scan func(...any) error) error {
		x := store.Tally{Values: make([]string, n)}
		into := make([]any, 0, n+1)
		for i := range x.Values {
			into = append(into, &x.Values[i])
		}
		err := scan(append(into, &x.N)...)
		*out = append(*out, x)
		return err
	}
}

// TallyTags implements store.Records.
func (t *tx) TallyTags(c store.Collection, q store.Query, prefix string, limit int) ([]store.Tally, error) {
	c, err := t.enter("count tags of", c, t.ready())
	if err != nil {
		return nil, err
	}
	if !c.Tagged || prefix == "" || limit < 1 || limit > maxList {
		return nil, invalid("count tags of %s: tags, a prefix and a limit up to %d are needed", c.Name, maxList)
	}
	var out []store.Tally
	of := ` WHERE project_id = ? AND collection = ? AND tag >= ? AND tag < ?`
	args := []any{t.project, c.Name, prefix, prefix + last}
	if bare(q) && len(q.Where) == 0 {
		err = t.rows("SELECT tag, n FROM tags_tally"+of+" ORDER BY n DESC, tag LIMIT ?", append(args, limit), gatherTally(1, &out))
		return out, during("count tags of", c, err)
	}
	q.After = nil
	if counted(c, q) {
		w, err := t.where(c, q, lead{})
		if err != nil {
			return nil, err
		}
		w.and("tag >= ? AND tag < ?", prefix, prefix+last)
		err = t.rows("SELECT tag, sum(n) FROM "+c.Name+"_tags"+w.text.String()+" GROUP BY tag ORDER BY 2 DESC, tag LIMIT ?", append(w.args, limit), gatherTally(1, &out))
		return out, during("count tags of", c, err)
	}
	if out, ok, err := t.byLexicon(c, q, prefix, limit); ok || err != nil {
		return out, during("count tags of", c, err)
	}
	from, w, err := t.from(c, q, manyToCount)
	if err != nil {
		return nil, err
	}
	if len(q.Tags) == 1 && len(q.Where)+len(q.Contains)+len(q.Prefix)+len(q.NotAfter) == 0 && q.Keys == nil {
		from, w = "tags", &condition{args: []any{t.project, c.Name, q.Tags[0]}}
		w.text.WriteString(" WHERE project_id = ? AND collection = ? AND tag = ?")
	}
	args = append(append(w.args, args...), limit)
	err = t.rows(`SELECT x.tag, count(*) FROM (SELECT "key" FROM `+from+w.text.String()+`) k CROSS JOIN tags x`+of+` AND x."key" = k."key" GROUP BY x.tag ORDER BY 2 DESC, x.tag LIMIT ?`, args, gatherTally(1, &out))
	return out, during("count tags of", c, err)
}

// last stands behind every text with the same beginning.
const last = "\U0010ffff"

// bare says that a query has no condition but Where.
func bare(q store.Query) bool {
	return len(q.Contains)+len(q.Prefix)+len(q.NotAfter)+len(q.Tags) == 0 && q.Keys == nil
}

// counted says that the tally beside a collection answers.
func counted(c store.Collection, q store.Query) bool {
	for name := range q.Where {
		if !slices.Contains(c.Facets, name) {
			return false
		}
	}
	return len(c.Facets) > 0 && bare(q)
}

// from chooses the way to the rows of a query and renders its conditions. A
// collection without facets, and a query whose one condition is its order,
// leave the choice to the planner. SQLite keeps no statistics here, so where
// several conditions meet, what they leave is counted, as far as it matters.
func (t *tx) from(c store.Collection, q store.Query, byTags int) (string, *condition, error) {
	way, by, err := t.way(c, q, byTags)
	if err != nil {
		return "", nil, err
	}
	w, err := t.where(c, q, by)
	return way, w, err
}

// lead is what leads to the rows of a query in place of an index of its table.
type lead struct {
	tag   string
	words []string
	keys  string // a list as JSON: what has the words and the tags
	none  bool   // there are no rows
}

// way returns the table with the index to use, and what leads to few rows
// otherwise; byTags is how many a tag may lead to.
func (t *tx) way(c store.Collection, q store.Query, byTags int) (way string, by lead, err error) {
	byKey := c.Name + " INDEXED BY sqlite_autoindex_" + c.Name + "_1"
	switch ordered := len(q.NotAfter) == 0 || len(q.NotAfter) == 1 && q.NotAfter[q.OrderBy] != ""; {
	case len(c.Facets) == 0, counted(c, q) && len(q.Where) == 0:
		return c.Name, by, nil
	case len(q.Where)+len(q.Contains)+len(q.Prefix)+len(q.Tags) == 0 && q.Keys == nil && ordered:
		return c.Name, by, nil
	case q.Keys != nil:
		return byKey, by, nil
	}
	for _, name := range slices.Sorted(maps.Keys(q.Prefix)) {
		if _, err := column(c, name); err != nil {
			return "", by, err
		}
		if name == text {
			continue
		}
		return c.Name + " INDEXED BY " + c.Name + "_by_" + name, by, nil
	}
	way = c.Name + " INDEXED BY " + c.Name + "_wide"
	least := few
	for _, name := range slices.Sorted(maps.Keys(q.Where)) {
		if name == text {
			continue
		}
		n, err := t.upTo(least, c, store.Query{Where: map[string][]string{name: q.Where[name]}})
		if err != nil {
			return "", by, err
		}
		if n < least {
			way, least = c.Name+" INDEXED BY "+c.Name+"_by_"+name, n
		}
	}
	if least == few {
		least = byTags
	}
	for _, x := range q.Tags {
		var n int
		if _, err := t.row("SELECT n FROM tags_tally WHERE project_id = ? AND collection = ? AND tag = ?", []any{t.project, c.Name, x}, &n); err != nil {
			return "", by, err
		}
		if n < least {
			way, by.tag, least = byKey, x, n
		}
	}
	if parts := words(c, q); len(parts) > 0 {
		n, err := t.withWords(c, parts)
		if err != nil {
			return "", by, err
		}
		if n < min(least, fewByWords) {
			way, by = byKey, lead{words: parts, none: n == 0}
		}
	}
	if len(q.Tags)+len(q.Contains[text]) > 0 {
		e, err := t.entries(c)
		if e == nil || err != nil {
			return way, by, err
		}
		if found := e.find(q); len(found) < min(least, fewByLookup) {
			way, by = byKey, lead{none: len(found) == 0}
			by.keys, err = e.keysOf(found)
			return way, by, err
		}
	}
	return way, by, nil
}

// upTo counts the rows of one condition, at most n.
func (t *tx) upTo(n int, c store.Collection, q store.Query) (found int, err error) {
	w, err := t.where(c, q, lead{})
	if err != nil {
		return 0, err
	}
	_, err = t.row("SELECT count(*) FROM (SELECT 1 FROM "+c.Name+w.text.String()+" LIMIT ?)", append(w.args, n), &found)
	return found, err
}

// condition is a WHERE clause in the making.
type condition struct {
	text strings.Builder
	args []any
}

func (w *condition) and(text string, args ...any) {
	w.text.WriteString(" AND " + text)
	w.args = append(w.args, args...)
}

// oneOf renders a list condition; one of none is never true.
func (w *condition) oneOf(col string, values []string) error {
	if len(values)+len(w.args) > maxValues {
		return invalid("a query has more than %d values", maxValues)
	}
	if len(values) == 0 {
		w.and("false")
		return nil
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = v
	}
	w.and(col+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", args...)
	return nil
}

// where renders the conditions of a query; what leads is a list, the others are
// looked at for each row. Columns go in order of their names: the
// same shape of query is the same prepared statement.
func (t *tx) where(c store.Collection, q store.Query, by lead) (*condition, error) {
	w := &condition{args: []any{t.project}}
	w.text.WriteString(" WHERE project_id = ?")
	for _, name := range slices.Sorted(maps.Keys(q.Where)) {
		col, err := column(c, name)
		if err == nil {
			err = w.oneOf(col, q.Where[name])
		}
		if err != nil {
			return nil, err
		}
	}
	if q.Keys != nil {
		if err := w.oneOf(`"key"`, q.Keys); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Contains)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		if name == text && by.keys != "" {
			continue
		}
		for _, part := range q.Contains[name] {
			w.and("instr("+col+", ?) > 0", part)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Prefix)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		w.and(col+" >= ? AND "+col+" < ?", q.Prefix[name], q.Prefix[name]+last)
	}
	for _, name := range slices.Sorted(maps.Keys(q.NotAfter)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		w.and(col+" > '' AND "+col+" <= ?", q.NotAfter[name])
	}
	if by.none {
		w.and("false")
	} else if by.keys != "" {
		w.and(`"key" IN (SELECT value FROM json_each(?))`, by.keys)
	} else if len(by.words) > 0 {
		tags, args := t.texts(c, by.words)
		w.and(`"key" IN (SELECT "key" FROM tags WHERE project_id = ? AND collection = ? AND `+tags+")", append([]any{t.project, c.Name}, args...)...)
	}
	if len(q.Tags) > 0 && !c.Tagged {
		return nil, invalid("collection %s keeps no tags", c.Name)
	}
	for _, tag := range q.Tags {
		if by.keys != "" {
			break
		}
		if tag == by.tag {
			w.and(`"key" IN (SELECT "key" FROM tags WHERE project_id = ? AND collection = ? AND tag = ?)`, t.project, c.Name, tag)
			continue
		}
		w.and(`EXISTS (SELECT 1 FROM tags x WHERE x.project_id = ? AND x.collection = ? AND x."key" = `+c.Name+`."key" AND x.tag = ?)`, t.project, c.Name, tag)
	}
	return w, nil
}

// order adds the place to go on from and renders the order. With Desc ties are
// reversed too, so that one index serves both directions.
func (w *condition) order(c store.Collection, q store.Query) (string, error) {
	than, dir := ">", ""
	if q.Desc {
		than, dir = "<", " DESC"
	}
	if q.OrderBy == "" {
		if q.After != nil {
			w.and(`"key" `+than+" ?", q.After.Key)
		}
		return ` ORDER BY "key"` + dir, nil
	}
	col, err := column(c, q.OrderBy)
	if err != nil {
		return "", err
	}
	if q.After != nil {
		w.and("("+col+`, "key") `+than+" (?, ?)", q.After.Value, q.After.Key)
	}
	return " ORDER BY " + col + dir + `, "key"` + dir, nil
}
