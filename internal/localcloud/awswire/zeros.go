package awswire

import (
	"reflect"
	"strings"

	"github.com/aws/smithy-go"
)

// AWS always writes counts and flags, "pendingCount":0 among them, while the SDK's encoder, made for requests, leaves zeros out. The SDK models exactly those
// members as plain numbers and booleans (others are pointers), so the encoder below adds what was left out: other clients show the members as AWS does.
type zeroFiller struct {
	smithy.ShapeSerializer
	plain map[string][]string // shape name → members that are always written
	stack []frame
}

// frame is an open structure, or (schema nil) an open list, map or union.
type frame struct {
	schema *smithy.Schema
	seen   map[string]bool
}

// withZeros is a Serializable that writes v with its zeros.
type withZeros struct{ v smithy.Serializable }

// Serialize implements smithy.Serializable.
func (w withZeros) Serialize(s smithy.ShapeSerializer) {
	plain := map[string][]string{}
	plainMembers(reflect.TypeOf(w.v), plain)
	w.v.Serialize(&zeroFiller{ShapeSerializer: s, plain: plain})
}

// plainMembers collects, for every structure reachable from t, the fields that are plain numbers or booleans. The SDK names its types after the shapes.
func plainMembers(t reflect.Type, into map[string][]string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		plainMembers(t.Elem(), into)
		return
	case reflect.Struct:
	default:
		return
	}
	if _, known := into[t.Name()]; known || t == timeType || !strings.Contains(t.PkgPath(), "/service/") {
		return
	}
	into[t.Name()] = nil
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		switch field.Type.Kind() {
		case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
			into[t.Name()] = append(into[t.Name()], field.Name)
		default:
			plainMembers(field.Type, into)
		}
	}
}

func (z *zeroFiller) push(schema *smithy.Schema) {
	z.stack = append(z.stack, frame{schema: schema, seen: map[string]bool{}})
}

func (z *zeroFiller) pop() frame {
	top := z.stack[len(z.stack)-1]
	z.stack = z.stack[:len(z.stack)-1]
	return top
}

func (z *zeroFiller) saw(s *smithy.Schema) {
	if n := len(z.stack); n > 0 && s != nil {
		z.stack[n-1].seen[strings.ToLower(s.MemberName())] = true
	}
}

// WriteStruct implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteStruct(s *smithy.Schema) {
	z.push(s)
	z.ShapeSerializer.WriteStruct(s)
}

// CloseStruct implements smithy.ShapeSerializer.
func (z *zeroFiller) CloseStruct() {
	top := z.pop()
	for _, name := range z.plain[top.schema.TargetID().Name] {
		if !top.seen[strings.ToLower(name)] {
			z.writeZero(memberNamed(top.schema, name))
		}
	}
	z.ShapeSerializer.CloseStruct()
}

func memberNamed(s *smithy.Schema, field string) *smithy.Schema {
	for name, member := range s.Members() {
		if strings.EqualFold(name, field) {
			return member
		}
	}
	return nil
}

func (z *zeroFiller) writeZero(member *smithy.Schema) {
	if member == nil {
		return
	}
	switch member.Type() {
	case smithy.ShapeTypeBoolean:
		z.ShapeSerializer.WriteBool(member, false)
	case smithy.ShapeTypeInteger:
		z.ShapeSerializer.WriteInt32(member, 0)
	case smithy.ShapeTypeLong:
		z.ShapeSerializer.WriteInt64(member, 0)
	case smithy.ShapeTypeDouble:
		z.ShapeSerializer.WriteFloat64(member, 0)
	case smithy.ShapeTypeFloat:
		z.ShapeSerializer.WriteFloat32(member, 0)
	}
}

// WriteList implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteList(s *smithy.Schema) { z.push(nil); z.ShapeSerializer.WriteList(s) }

// CloseList implements smithy.ShapeSerializer.
func (z *zeroFiller) CloseList() { z.pop(); z.ShapeSerializer.CloseList() }

// WriteMap implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteMap(s *smithy.Schema) { z.push(nil); z.ShapeSerializer.WriteMap(s) }

// CloseMap implements smithy.ShapeSerializer.
func (z *zeroFiller) CloseMap() { z.pop(); z.ShapeSerializer.CloseMap() }

// WriteUnion implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteUnion(s, variant *smithy.Schema) {
	z.push(nil)
	z.ShapeSerializer.WriteUnion(s, variant)
}

// CloseUnion implements smithy.ShapeSerializer.
func (z *zeroFiller) CloseUnion() { z.pop(); z.ShapeSerializer.CloseUnion() }

// WriteBool implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteBool(s *smithy.Schema, v bool) { z.saw(s); z.ShapeSerializer.WriteBool(s, v) }

// WriteInt32 implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteInt32(s *smithy.Schema, v int32) {
	z.saw(s)
	z.ShapeSerializer.WriteInt32(s, v)
}

// WriteInt64 implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteInt64(s *smithy.Schema, v int64) {
	z.saw(s)
	z.ShapeSerializer.WriteInt64(s, v)
}

// WriteFloat32 implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteFloat32(s *smithy.Schema, v float32) {
	z.saw(s)
	z.ShapeSerializer.WriteFloat32(s, v)
}

// WriteFloat64 implements smithy.ShapeSerializer.
func (z *zeroFiller) WriteFloat64(s *smithy.Schema, v float64) {
	z.saw(s)
	z.ShapeSerializer.WriteFloat64(s, v)
}
