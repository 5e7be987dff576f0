package awswire

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
)

// formNode is one level of a Query form: "Actions.member.1.Type=forward" is the path Actions, member, 1, Type with a value at its end.
type formNode struct {
	value    string
	children map[string]*formNode
}

// maxFormDepth bounds nesting; the deepest real path (rule actions' forward configuration) has nine parts.
const maxFormDepth = 32

func parseForm(values url.Values) (*formNode, error) {
	root := &formNode{}
	for key, vals := range values {
		parts := strings.Split(key, ".")
		if len(parts) > maxFormDepth {
			return nil, fmt.Errorf("parameter %q is nested too deeply", key)
		}
		node := root
		for _, part := range parts {
			if node.children == nil {
				node.children = map[string]*formNode{}
			}
			next := node.children[part]
			if next == nil {
				next = &formNode{}
				node.children[part] = next
			}
			node = next
		}
		node.value = vals[len(vals)-1]
	}
	return root, nil
}

// decodeForm reads a Query form into an SDK input type. The SDK's field names are the wire names, so reflection suffices. Unknown parameters are
// ignored, as AWS does.
func decodeForm(values url.Values, into any) error {
	root, err := parseForm(values)
	if err != nil {
		return err
	}
	return formStruct(root, reflect.ValueOf(into).Elem())
}

func formStruct(node *formNode, v reflect.Value) error {
	for name, child := range node.children {
		field := fieldByWireName(v, name)
		if !field.IsValid() || !field.CanSet() || name == "ResultMetadata" {
			continue
		}
		if err := formValue(child, field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func formValue(node *formNode, v reflect.Value) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if v.Type() == timeType {
		t, err := time.Parse(time.RFC3339, node.value)
		if err != nil {
			return fmt.Errorf("%q is not a timestamp", node.value)
		}
		v.Set(reflect.ValueOf(t))
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return formStruct(node, v)
	case reflect.Slice:
		return formSlice(node, v)
	case reflect.Map:
		return formMap(node, v)
	default:
		return formScalar(node.value, v)
	}
}

func formSlice(node *formNode, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		blob, err := base64.StdEncoding.DecodeString(node.value)
		v.SetBytes(blob)
		return err
	}
	items := node
	if member := node.children["member"]; member != nil {
		items = member
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(items.children)))
	for _, index := range numericKeys(items) {
		item := reflect.New(v.Type().Elem()).Elem()
		if err := formValue(items.children[strconv.Itoa(index)], item); err != nil {
			return fmt.Errorf("member %d: %w", index, err)
		}
		v.Set(reflect.Append(v, item))
	}
	return nil
}

func formMap(node *formNode, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	entries := node.children["entry"]
	if entries == nil {
		return nil
	}
	for _, index := range numericKeys(entries) {
		entry := entries.children[strconv.Itoa(index)]
		key, value := entry.children["key"], entry.children["value"]
		if key == nil || value == nil {
			return fmt.Errorf("entry %d needs key and value", index)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := formValue(value, item); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.value).Convert(v.Type().Key()), item)
	}
	return nil
}

func numericKeys(node *formNode) []int {
	keys := make([]int, 0, len(node.children))
	for key := range node.children {
		if n, err := strconv.Atoi(key); err == nil && strconv.Itoa(n) == key {
			keys = append(keys, n)
		}
	}
	sort.Ints(keys)
	return keys
}

func formScalar(text string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		v.SetBool(b)
	case reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a number of %d bits", text, v.Type().Bits())
		}
		v.SetInt(n)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		v.SetFloat(f)
	default:
		return fmt.Errorf("a %s cannot be decoded", v.Type())
	}
	return nil
}
