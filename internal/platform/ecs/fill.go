package ecs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/spec"
)

// fill decodes a node into an AWS-shaped value: keys match fields whatever their case, unknown keys are warnings with the
// nearest known word, a value of the wrong type is an error at its place. Texts take bare numbers and booleans as written,
// as these files always allowed (cpu: 256).
func fill(d *spec.Decoder, n spec.Node, v reflect.Value, known ...string) {
	if !n.Exists() {
		return
	}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		fill(d, n, p.Elem(), known...)
		v.Set(p)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		fillStruct(d, n, v, known)
	case reflect.Slice:
		fillList(d, n, v)
	case reflect.Map:
		fillMap(d, n, v)
	default:
		fillScalar(d, n, v)
	}
}

func fillStruct(d *spec.Decoder, n spec.Node, v reflect.Value, known []string) {
	if n.Kind() != spec.ObjectNode {
		d.Fail(n, "", "must be an object, found %s", n.Kind())
		return
	}
	names := slices.Clone(known)
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			fields[strings.ToLower(f.Name)] = v.Field(i)
			names = append(names, strings.ToLower(f.Name[:1])+f.Name[1:])
		}
	}
	for _, key := range n.Keys() {
		f, ok := fields[strings.ToLower(key)]
		if !ok {
			if !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) }) {
				d.Warn(n.Get(key), nearest(key, names), "unknown key %q has no effect", key)
			}
			continue
		}
		fill(d, n.Get(key), f)
	}
}

func fillList(d *spec.Decoder, n spec.Node, v reflect.Value) {
	if n.Kind() != spec.ListNode {
		d.Fail(n, "put a dash and a space before each item", "must be a list, found %s", n.Kind())
		return
	}
	items := n.Items()
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		fill(d, item, out.Index(i))
	}
	v.Set(out)
}

func fillMap(d *spec.Decoder, n spec.Node, v reflect.Value) {
	if n.Kind() != spec.ObjectNode {
		d.Fail(n, "", "must be an object, found %s", n.Kind())
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, key := range n.Keys() {
		e := reflect.New(v.Type().Elem()).Elem()
		fill(d, n.Get(key), e)
		out.SetMapIndex(reflect.ValueOf(key), e)
	}
	v.Set(out)
}

func fillScalar(d *spec.Decoder, n spec.Node, v reflect.Value) {
	value := n.Value()
	switch v.Kind() {
	case reflect.String:
		if k := n.Kind(); k == spec.ObjectNode || k == spec.ListNode {
			d.Fail(n, "", "must be a text, found %s", k)
			return
		}
		v.SetString(n.Text())
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			d.Fail(n, "write true or false without quotes", "must be true or false, found %s %q", n.Kind(), n.Text())
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, ok := value.(int64)
		if !ok || v.OverflowInt(i) {
			d.Fail(n, "write the number without quotes", "must be a whole number, found %s %q", n.Kind(), n.Text())
			return
		}
		v.SetInt(i)
	case reflect.Float32, reflect.Float64:
		switch f := value.(type) {
		case int64:
			v.SetFloat(float64(f))
		case float64:
			v.SetFloat(f)
		default:
			d.Fail(n, "write the number without quotes", "must be a number, found %s %q", n.Kind(), n.Text())
		}
	default:
		d.Warn(n, "", "has no effect")
	}
}

// nearest suggests the known word that is at most two edits away.
func nearest(key string, known []string) string {
	best, word := 3, ""
	for _, k := range known {
		if e := edits(strings.ToLower(key), strings.ToLower(k)); e < best {
			best, word = e, k
		}
	}
	if word == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %s?", word)
}

// edits is the Levenshtein distance, cut off at 3.
func edits(a, b string) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			above := row[j]
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above+1, row[j-1]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}
