package sqlite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/store"
)

const (
	maxList = 1000
	// maxValues bounds the values of all conditions of a query.
	maxValues = 10_000
)

// declared returns the collection as the contract declares it: table and
// column names in a statement come from there, never from a caller.
func declared(c store.Collection) (store.Collection, error) {
	for _, d := range store.Collections() {
		if d.Name == c.Name {
			return d, nil
		}
	}
	return store.Collection{}, invalid("there is no collection %q", c.Name)
}

// column returns the quoted name of an index column.
func column(c store.Collection, name string) (string, error) {
	if !slices.Contains(c.Index, name) {
		return "", invalid("collection %s has no column %q, it has %s", c.Name, name, strings.Join(c.Index, ", "))
	}
	return `"` + name + `"`, nil
}

// columns lists the columns of a record: key, body and the index columns.
func columns(c store.Collection) string {
	var b strings.Builder
	b.WriteString(`"key", body`)
	for _, name := range c.Index {
		b.WriteString(`, "` + name + `"`)
	}
	return b.String()
}

// Get implements store.Records.
func (t *tx) Get(c store.Collection, key string) (store.Record, bool, error) {
	c, err := t.enter("get", c, t.ready())
	if err != nil {
		return store.Record{}, false, err
	}
	var out []store.Record
	err = t.rows("SELECT "+columns(c)+" FROM "+c.Name+` WHERE project_id = ? AND "key" = ?`, []any{t.project, key}, t.gather(c, &out))
	if err != nil || len(out) == 0 {
		return store.Record{}, false, during("get from", c, err)
	}
	return out[0], true, nil
}

// Put implements store.Records.
func (t *tx) Put(c store.Collection, r store.Record) error {
	c, err := t.enter("put", c, t.writable())
	if err != nil {
		return err
	}
	if r.Key == "" {
		return invalid("put into %s: a record needs a key", c.Name)
	}
	for name := range r.Index {
		if _, err := column(c, name); err != nil {
			return err
		}
	}
	args := []any{t.project, r.Key, t.codec.encode(r.Body)}
	set := "body = excluded.body"
	for _, name := range c.Index {
		args = append(args, r.Index[name])
		set += `, "` + name + `" = excluded."` + name + `"`
	}
	_, err = t.exec("INSERT INTO "+c.Name+" (project_id, "+columns(c)+") VALUES (?"+strings.Repeat(", ?", len(args)-1)+
		`) ON CONFLICT (project_id, "key") DO UPDATE SET `+set, args...)
	return during("put into", c, err)
}

// Delete implements store.Records.
func (t *tx) Delete(c store.Collection, key string) error {
	c, err := t.enter("delete", c, t.writable())
	if err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM "+c.Name+` WHERE project_id = ? AND "key" = ?`, t.project, key)
	return during("delete from", c, err)
}

// List implements store.Records.
func (t *tx) List(c store.Collection, q store.Query) ([]store.Record, error) {
	c, err := t.enter("list", c, t.ready())
	if err != nil {
		return nil, err
	}
	if q.Limit < 1 || q.Limit > maxList {
		return nil, invalid("list %s: a limit from 1 to %d is needed, not %d", c.Name, maxList, q.Limit)
	}
	w, err := t.where(c, q)
	if err != nil {
		return nil, err
	}
	order, err := w.order(c, q)
	if err != nil {
		return nil, err
	}
	var out []store.Record
	err = t.rows("SELECT "+columns(c)+" FROM "+c.Name+w.text.String()+order+" LIMIT ?", append(w.args, q.Limit), t.gather(c, &out))
	if err != nil {
		return nil, during("list", c, err)
	}
	return out, nil
}

// Count implements store.Records.
func (t *tx) Count(c store.Collection, q store.Query) (int, error) {
	c, err := t.enter("count", c, t.ready())
	if err != nil {
		return 0, err
	}
	w, err := t.where(c, q)
	if err != nil {
		return 0, err
	}
	var n int
	_, err = t.row("SELECT count(*) FROM "+c.Name+w.text.String(), w.args, &n)
	return n, during("count", c, err)
}

// enter begins a call: the transaction must be ready and the collection known.
func (t *tx) enter(what string, c store.Collection, ready error) (store.Collection, error) {
	if ready != nil {
		return c, fmt.Errorf("%s %s: %w", what, c.Name, ready)
	}
	return declared(c)
}

func during(what string, c store.Collection, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, c.Name, err)
	}
	return nil
}

// gather adds rows with the columns of a record to out.
func (t *tx) gather(c store.Collection, out *[]store.Record) func(func(...any) error) error {
	values := make([]string, len(c.Index))
	return func(scan func(...any) error) error {
		var r store.Record
		var body []byte
		into := []any{&r.Key, &body}
		for i := range values {
			into = append(into, &values[i])
		}
		err := scan(into...)
		if err != nil {
			return err
		}
		if r.Body, err = t.codec.decode(body); err != nil {
			return fmt.Errorf("record %s: %w", r.Key, err)
		}
		if len(c.Index) > 0 {
			r.Index = make(map[string]string, len(c.Index))
			for i, name := range c.Index {
				r.Index[name] = values[i]
			}
		}
		*out = append(*out, r)
		return nil
	}
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

// where renders the conditions of a query. Columns go in order of their names:
// the same shape of query is the same prepared statement.
func (t *tx) where(c store.Collection, q store.Query) (*condition, error) {
	w := &condition{args: []any{t.project}}
	w.text.WriteString(" WHERE project_id = ?")
	for _, name := range slices.Sorted(maps.Keys(q.Where)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		values := q.Where[name]
		if len(values)+len(w.args) > maxValues {
			return nil, invalid("query of %s: more than %d values", c.Name, maxValues)
		}
		if len(values) == 0 {
			w.and("false") // one of none
			continue
		}
		w.and(col + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")")
		for _, v := range values {
			w.args = append(w.args, v)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(q.Contains)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		w.and("instr("+col+", ?) > 0", q.Contains[name])
	}
	for _, name := range slices.Sorted(maps.Keys(q.NotAfter)) {
		col, err := column(c, name)
		if err != nil {
			return nil, err
		}
		w.and(col+" > '' AND "+col+" <= ?", q.NotAfter[name])
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
