package sqlite

import (
	"fmt"
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

// columns lists the columns of a record: key, content (body or summary) and the
// index columns.
func columns(c store.Collection, content string) string {
	var b strings.Builder
	b.WriteString(`"key", ` + content)
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
	err = t.rows("SELECT "+columns(c, "body")+" FROM "+c.Name+` WHERE project_id = ? AND "key" = ?`, []any{t.project, key}, t.gather(c, false, &out))
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
	if !c.Summary && len(r.Summary) > 0 {
		return invalid("collection %s keeps no summaries", c.Name)
	}
	if !c.Tagged && len(r.Tags) > 0 {
		return invalid("collection %s keeps no tags", c.Name)
	}
	old, err := t.columnsOf(c, r.Key)
	if err != nil {
		return during("put into", c, err)
	}
	if old != nil {
		err = t.replace(c, r, old)
	} else {
		err = t.insert(c, r)
	}
	if err == nil && c.Tagged {
		err = t.putTags(c, r, old)
	}
	if err == nil && remembered(c) && (old == nil || old[text] != r.Index[text]) {
		err = t.changed(c)
	}
	return during("put into", c, err)
}

// columnsOf reads the index columns of a record; nil when there is none.
func (t *tx) columnsOf(c store.Collection, key string) (map[string]string, error) {
	list, into := "1", []any{new(int)}
	values := make([]string, len(c.Index))
	for i, name := range c.Index {
		list += `, "` + name + `"`
		into = append(into, &values[i])
	}
	there, err := t.row("SELECT "+list+" FROM "+c.Name+` WHERE project_id = ? AND "key" = ?`, []any{t.project, key}, into...)
	if err != nil || !there {
		return nil, err
	}
	old := make(map[string]string, len(values))
	for i, name := range c.Index {
		old[name] = values[i]
	}
	return old, nil
}

func (t *tx) insert(c store.Collection, r store.Record) error {
	into, args := "project_id, "+columns(c, "body"), []any{t.project, r.Key, t.codec.encode(r.Body)}
	for _, name := range c.Index {
		args = append(args, r.Index[name])
	}
	if c.Summary {
		into, args = into+", summary", append(args, t.codec.encode(r.Summary))
	}
	_, err := t.exec("INSERT INTO "+c.Name+" ("+into+") VALUES (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
	return err
}

// replace writes the content and the columns that change. Most records are
// written again and again with few of them: what stays costs no write to its
// index.
func (t *tx) replace(c store.Collection, r store.Record, old map[string]string) error {
	set, args := "body = ?", []any{t.codec.encode(r.Body)}
	for _, name := range c.Index {
		if r.Index[name] != old[name] {
			set, args = set+`, "`+name+`" = ?`, append(args, r.Index[name])
		}
	}
	if c.Summary {
		set, args = set+", summary = ?", append(args, t.codec.encode(r.Summary))
	}
	_, err := t.exec("UPDATE "+c.Name+" SET "+set+` WHERE project_id = ? AND "key" = ?`, append(args, t.project, r.Key)...)
	return err
}

// Delete implements store.Records.
func (t *tx) Delete(c store.Collection, key string) error {
	c, err := t.enter("delete", c, t.writable())
	if err != nil {
		return err
	}
	var old map[string]string
	if c.Tagged {
		if old, err = t.columnsOf(c, key); err != nil {
			return during("delete from", c, err)
		}
	}
	_, err = t.exec("DELETE FROM "+c.Name+` WHERE project_id = ? AND "key" = ?`, t.project, key)
	if err == nil && old != nil {
		err = t.putTags(c, store.Record{Key: key}, old)
	}
	if err == nil && old != nil && remembered(c) {
		err = t.changed(c)
	}
	return during("delete from", c, err)
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

// gather adds rows with the columns of a record to out; their content is the
// body, or the summary.
func (t *tx) gather(c store.Collection, summaries bool, out *[]store.Record) func(func(...any) error) error {
	values := make([]string, len(c.Index))
	return func(scan func(...any) error) error {
		var r store.Record
		var stored []byte
		into := []any{&r.Key, &stored}
		for i := range values {
			into = append(into, &values[i])
		}
		err := scan(into...)
		if err != nil {
			return err
		}
		content, err := t.codec.decode(stored)
		if err != nil {
			return fmt.Errorf("record %s: %w", r.Key, err)
		}
		if r.Body = content; summaries {
			r.Body, r.Summary = nil, content
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
