package sqlite

import (
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/store"
)

// textTag begins the tag that a record has for its text where many have the
// same: words are looked for in the different texts, and what has them is found
// and counted by tag. The control character is in no word.
const textTag = "\x01"

// behindText stands behind the tags of texts.
const behindText = "\x02"

// putTags makes the stored tags those of the record, and the counts of each tag
// by facets, which are kept beside them. old are the columns before, nil when
// there was no record. Most records are written again and again with the same
// tags.
func (t *tx) putTags(c store.Collection, r store.Record, old map[string]string) error {
	want := slices.Clone(r.Tags)
	if c.SharedText && r.Index[text] != "" {
		want = append(want, textTag+r.Index[text])
	}
	slices.Sort(want)
	want = slices.Compact(want)
	var have []string
	if old != nil {
		err := t.rows(`SELECT tag FROM tags WHERE project_id = ? AND collection = ? AND "key" = ? ORDER BY tag`, []any{t.project, c.Name, r.Key}, func(scan func(...any) error) error {
			have = append(have, "")
			return scan(&have[len(have)-1])
		})
		if err != nil {
			return err
		}
	}
	gone, added := without(have, want), without(want, have)
	if err := t.changeTags(c, r.Key, gone, added); err != nil {
		return err
	}
	if len(gone)+len(added) > 0 && remembered(c) {
		if err := t.changed(c); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(c.Facets, func(name string) bool { return old[name] != r.Index[name] }) {
		gone, added = have, want // what stays is counted elsewhere from now on
	}
	return t.countTags(c, old, gone, r.Index, added)
}

// without lists what is in one sorted list and not in another.
func without(list, other []string) []string {
	var out []string
	for _, x := range list {
		if _, there := slices.BinarySearch(other, x); !there {
			out = append(out, x)
		}
	}
	return out
}

func (t *tx) changeTags(c store.Collection, key string, gone, added []string) error {
	if n := len(gone); n > 0 {
		args := []any{t.project, c.Name, key}
		for _, tag := range gone {
			args = append(args, tag)
		}
		if _, err := t.exec(`DELETE FROM tags WHERE project_id = ? AND collection = ? AND "key" = ? AND tag IN (?`+strings.Repeat(", ?", n-1)+")", args...); err != nil {
			return err
		}
	}
	if n := len(added); n > 0 {
		var args []any
		for _, tag := range added {
			args = append(args, t.project, c.Name, key, tag)
		}
		if _, err := t.exec(`INSERT INTO tags (project_id, collection, "key", tag) VALUES (?, ?, ?, ?)`+strings.Repeat(", (?, ?, ?, ?)", n-1), args...); err != nil {
			return err
		}
	}
	return nil
}

// countTags takes one off the counts of tags at the facets that a record had
// and adds one at those that it has.
func (t *tx) countTags(c store.Collection, from map[string]string, gone []string, to map[string]string, added []string) error {
	n := len(gone) + len(added)
	if n == 0 {
		return nil
	}
	var args []any
	count := func(tags []string, at map[string]string, by int) {
		for _, tag := range tags {
			args = append(args, t.project, tag)
			for _, name := range c.Facets {
				args = append(args, at[name])
			}
			args = append(args, by)
		}
	}
	count(gone, from, -1)
	count(added, to, 1)
	row := "(?" + strings.Repeat(", ?", len(c.Facets)+2) + ")"
	if _, err := t.exec("INSERT INTO "+c.Name+"_tags VALUES "+row+strings.Repeat(", "+row, n-1)+" ON CONFLICT DO UPDATE SET n = n + excluded.n", args...); err != nil {
		return err
	}
	if len(gone) == 0 {
		return nil
	}
	where, args := "project_id = ?", []any{t.project}
	for _, name := range c.Facets {
		where, args = where+` AND "`+name+`" = ?`, append(args, from[name])
	}
	for _, tag := range gone {
		args = append(args, tag)
	}
	_, err := t.exec("DELETE FROM "+c.Name+"_tags WHERE "+where+" AND n = 0 AND tag IN (?"+strings.Repeat(", ?", len(gone)-1)+")", args...)
	return err
}

// words lists the parts that are looked for in the text of a query which asks
// for nothing but them and facets; none when it does.
func words(c store.Collection, q store.Query) []string {
	if !c.SharedText || len(q.Contains) != 1 {
		return nil
	}
	parts := q.Contains[text]
	for _, p := range parts {
		if p == "" || strings.Contains(p, textTag) { // which are in what is no text
			return nil
		}
	}
	return parts
}

// texts is the condition that a tag is a text with all of these parts.
func (t *tx) texts(c store.Collection, parts []string) (string, []any) {
	return "tag IN (SELECT tag FROM tags_tally WHERE project_id = ? AND collection = ? AND tag >= ? AND tag < ?" +
		strings.Repeat(" AND instr(tag, ?) > 0", len(parts)) + ")", t.textArgs(c, parts)
}

func (t *tx) textArgs(c store.Collection, parts []string) []any {
	args := []any{t.project, c.Name, textTag, behindText}
	for _, p := range parts {
		args = append(args, p)
	}
	return args
}

// withWords counts the records that have all of these parts in their text.
func (t *tx) withWords(c store.Collection, parts []string) (n int, err error) {
	_, err = t.row("SELECT coalesce(sum(n), 0) FROM tags_tally WHERE project_id = ? AND collection = ? AND tag >= ? AND tag < ?"+
		strings.Repeat(" AND instr(tag, ?) > 0", len(parts)), t.textArgs(c, parts), &n)
	return n, err
}

// byTag says that the counts of tags by facets answer: besides facets the query
// has one tag, or words, and nothing else.
func byTag(c store.Collection, q store.Query) bool {
	for name := range q.Where {
		if !slices.Contains(c.Facets, name) {
			return false
		}
	}
	if !c.Tagged || len(q.Prefix)+len(q.NotAfter) > 0 || q.Keys != nil {
		return false
	}
	return len(q.Tags) == 1 && len(q.Contains) == 0 || len(q.Tags) == 0 && len(words(c, q)) > 0
}

// tagged renders the conditions of a query on the counts of tags.
func (t *tx) tagged(c store.Collection, q store.Query) (*condition, error) {
	w, err := t.where(c, store.Query{Where: q.Where}, lead{})
	if err != nil {
		return nil, err
	}
	if len(q.Tags) == 1 {
		w.and("tag = ?", q.Tags[0])
		return w, nil
	}
	text, args := t.texts(c, words(c, q))
	w.and(text, args...)
	return w, nil
}
