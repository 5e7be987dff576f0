// Package change finds the differences between two decoded values and tells them to people: which path was added, removed
// or changed, and from what to what. Values that may be secret are masked: that they changed is said, what they were is not.
//
// The package is pure and imports the standard library only. Two values are compared as decoded JSON: maps, lists, texts,
// numbers, booleans and nil; anything else is brought to that form through encoding/json.
package change

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Op is what happened to a path.
type Op string

// The operations.
const (
	Added   Op = "ADDED"
	Removed Op = "REMOVED"
	Changed Op = "CHANGED"
)

// Masked is what stands in place of a value that must not be shown.
const Masked = "••••"

// Bounds that keep a list of changes small whatever was compared.
const (
	// DefaultLimit is how many changes are kept when Options.Limit is 0.
	DefaultLimit = 200
	// maxValue is how many characters of a value are shown.
	maxValue = 300
)

// Change is one difference.
type Change struct {
	// Path is where: object keys joined by dots, elements of keyed lists by their key, of other lists by their index:
	// taskDefinition.containerDefinitions[web].image.
	Path string `json:"path"`
	Op   Op     `json:"op"`
	// From and To are the values as JSON, shortened; texts are plain. Empty where there is none.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Masked says that From and To hide the values.
	Masked bool `json:"masked,omitempty"`
}

// Changes are the differences between two values in the order of their paths.
type Changes struct {
	Items []Change `json:"items,omitempty"`
	// Dropped is how many more there were than are kept.
	Dropped int `json:"dropped,omitempty"`
	sides   *sides
}

// Options say how two values are compared. Patterns are paths by segments joined with dots, where * stands for one segment
// (a list element is one segment) and ** for any number of them: **.environment.*.value.
type Options struct {
	// Keys names the field by which the elements of a list are told apart, by pattern of the list: {"**.environment": "name"}.
	Keys map[string]string
	// Ignore lists patterns of paths that are not compared.
	Ignore []string
	// Noise lists patterns of paths that are not compared either but stand in the documents, marked: see Document.
	Noise []string
	// Sensitive lists patterns of paths whose values are masked.
	Sensitive []string
	// Limit is how many changes are kept at most; 0 means DefaultLimit.
	Limit int
}

// Diff compares two values. Its result does not depend on the order of keys or of the elements of keyed lists.
func Diff(from, to any, opt Options) Changes {
	if opt.Limit <= 0 {
		opt.Limit = DefaultLimit
	}
	d := &differ{opt: opt, ignore: compile(opt.Ignore), noise: compile(opt.Noise), sensitive: compile(opt.Sensitive)}
	for p, k := range opt.Keys {
		d.keys = append(d.keys, keyed{strings.Split(p, "."), k})
	}
	slices.SortFunc(d.keys, func(a, b keyed) int { return slices.Compare(a.pattern, b.pattern) })
	a, b := plain(from), plain(to)
	d.compare("", nil, a, b, present(from), present(to))
	sort.SliceStable(d.out.Items, func(i, j int) bool { return d.out.Items[i].Path < d.out.Items[j].Path })
	if over := len(d.out.Items) - opt.Limit; over > 0 {
		d.out.Items, d.out.Dropped = d.out.Items[:opt.Limit:opt.Limit], over
	}
	out := d.out
	out.sides = &sides{a, b, d}
	return out
}

func present(v any) bool { return v != nil }

type keyed struct {
	pattern []string
	field   string
}

type differ struct {
	opt       Options
	keys      []keyed
	ignore    [][]string
	noise     [][]string
	sensitive [][]string
	out       Changes
}

func compile(patterns []string) [][]string {
	out := make([][]string, len(patterns))
	for i, p := range patterns {
		out[i] = strings.Split(p, ".")
	}
	return out
}

// compare descends into what both sides have and notes the rest. The path is for people, segs for patterns.
func (d *differ) compare(path string, segs []string, from, to any, hasFrom, hasTo bool) {
	if len(segs) > 0 && (anyMatch(d.ignore, segs) || anyMatch(d.noise, segs)) {
		return
	}
	fm, fok := from.(map[string]any)
	tm, tok := to.(map[string]any)
	if fok && tok {
		d.objects(path, segs, fm, tm)
		return
	}
	fl, fok := from.([]any)
	tl, tok := to.([]any)
	if fok && tok {
		d.lists(path, segs, fl, tl)
		return
	}
	switch {
	case hasFrom && !hasTo:
		d.note(Removed, path, segs, from, nil)
	case !hasFrom && hasTo:
		d.note(Added, path, segs, nil, to)
	case hasFrom && hasTo && canonical(from) != canonical(to):
		d.note(Changed, path, segs, from, to)
	}
}

func (d *differ) objects(path string, segs []string, from, to map[string]any) {
	seen := map[string]bool{}
	for _, m := range []map[string]any{from, to} {
		for k := range m {
			if seen[k] {
				continue
			}
			seen[k] = true
			f, hasF := from[k]
			t, hasT := to[k]
			name := k
			if path != "" {
				name = path + "." + k
			}
			d.compare(name, with(segs, k), f, t, hasF && f != nil, hasT && t != nil)
		}
	}
}

// lists compares keyed lists by key and others by index.
func (d *differ) lists(path string, segs []string, from, to []any) {
	field := d.keyOf(segs)
	f, fNames := elements(from, field)
	t, tNames := elements(to, field)
	for _, n := range fNames {
		other, ok := t[n]
		d.compare(path+"["+n+"]", with(segs, n), f[n], other, true, ok)
	}
	for _, n := range tNames {
		if _, ok := f[n]; !ok {
			d.compare(path+"["+n+"]", with(segs, n), nil, t[n], false, true)
		}
	}
}

// keyOf is the field that tells the elements of a list apart, "" when they are told apart by their place.
func (d *differ) keyOf(segs []string) string {
	for _, k := range d.keys {
		if match(k.pattern, segs) {
			return k.field
		}
	}
	return ""
}

// elements names the elements of a list. One that lacks the key is named by its index, a repeated one gets a number.
func elements(list []any, field string) (map[string]any, []string) {
	out := make(map[string]any, len(list))
	names := make([]string, 0, len(list))
	for i, v := range list {
		name := strconv.Itoa(i)
		if m, ok := v.(map[string]any); ok && field != "" {
			if k, ok := m[field]; ok && k != nil {
				name = text(k)
			}
		}
		unique := name
		for n := 2; ; n++ {
			if _, taken := out[unique]; !taken {
				break
			}
			unique = name + "#" + strconv.Itoa(n)
		}
		out[unique] = v
		names = append(names, unique)
	}
	return out, names
}

func (d *differ) note(op Op, path string, segs []string, from, to any) {
	c := Change{Path: path, Op: op}
	c.From, c.To, c.Masked = d.show(segs, op != Added, from), d.show(segs, op != Removed, to), false
	c.Masked = strings.Contains(c.From, Masked) || strings.Contains(c.To, Masked)
	d.out.Items = append(d.out.Items, c)
}

// show renders a value with everything masked in it that is sensitive.
func (d *differ) show(segs []string, there bool, v any) string {
	if !there {
		return ""
	}
	return shorten(text(d.mask(segs, v)))
}

func (d *differ) mask(segs []string, v any) any {
	if len(segs) > 0 && anyMatch(d.sensitive, segs) {
		return Masked
	}
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = d.mask(with(segs, k), e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = d.mask(with(segs, strconv.Itoa(i)), e)
		}
		return out
	}
	return v
}

// with returns segs and one more without sharing memory with a sibling.
func with(segs []string, s string) []string {
	return append(slices.Clip(segs), s)
}

func anyMatch(patterns [][]string, segs []string) bool {
	for _, p := range patterns {
		if match(p, segs) {
			return true
		}
	}
	return false
}

// match compares a pattern with the segments of a path.
func match(pattern, segs []string) bool {
	if len(pattern) == 0 {
		return len(segs) == 0
	}
	if pattern[0] == "**" {
		for i := 0; i <= len(segs); i++ {
			if match(pattern[1:], segs[i:]) {
				return true
			}
		}
		return false
	}
	if len(segs) == 0 || pattern[0] != "*" && pattern[0] != segs[0] {
		return false
	}
	return match(pattern[1:], segs[1:])
}

// plain brings a value to decoded JSON.
func plain(v any) any {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return string(b)
	}
	return out
}

func canonical(v any) string {
	b, _ := json.Marshal(v) // decoded JSON always encodes
	return string(b)
}

// text is a scalar as it is read, anything else as JSON.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxValue {
		return s
	}
	return string([]rune(s)[:maxValue]) + "…"
}
