package index

import (
	"bytes"
	"maps"
	"slices"
	"strconv"

	"github.com/penstock-cd/penstock/internal/store"
)

// version is counted up with every change of what this package makes: the
// server then makes all records anew when it starts.
const version = 1

// noteKey is the record, in System, of the version with which a project was kept.
func noteKey(project string) string { return "index/" + project }

// Current says that every record of a project was kept with this version. The
// records are those of store.System.
func Current(r store.Records, project string) (bool, error) {
	rec, _, err := r.Get(store.Requests, noteKey(project))
	return string(rec.Body) == strconv.Itoa(version), err
}

// MarkCurrent notes that every record of a project was kept with this version.
func MarkCurrent(r store.Records, project string) error {
	return r.Put(store.Requests, store.Record{Key: noteKey(project), Body: []byte(strconv.Itoa(version))})
}

// Differs names what is kept beside the body of a record and is not what this
// package makes of it: columns, "summary", "tags".
func Differs(r store.Records, c store.Collection, want store.Record) ([]string, error) {
	one := store.Query{Keys: []string{want.Key}, Summaries: c.Summary, Limit: 1}
	found, err := r.List(c, one)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	var out []string
	for _, name := range c.Index {
		if found[0].Index[name] != want.Index[name] {
			out = append(out, name)
		}
	}
	if c.Summary && !bytes.Equal(found[0].Summary, want.Summary) {
		out = append(out, "summary")
	}
	kept := map[string]bool{}
	for _, prefix := range []string{TagLabel, TagWho} {
		tags, err := r.TallyTags(c, one, prefix, 1000)
		if err != nil {
			return out, err
		}
		for _, t := range tags {
			kept[t.Values[0]] = true
		}
	}
	wanted := map[string]bool{}
	for _, t := range want.Tags {
		wanted[t] = true
	}
	if !maps.Equal(kept, wanted) {
		out = append(out, "tags")
	}
	return out, nil
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
