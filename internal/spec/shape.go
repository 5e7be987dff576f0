package spec

import (
	"slices"
	"strings"
	"time"
)

// ValueType is what a decoder wants of a value.
type ValueType string

// The types, in the words of the documentation.
const (
	AnyType      ValueType = "any"
	ObjectType   ValueType = "object"
	ListType     ValueType = "list"
	TextType     ValueType = "text"
	BoolType     ValueType = "boolean"
	WholeType    ValueType = "whole number"
	NumberType   ValueType = "number"
	DurationType ValueType = "duration"
	PercentType  ValueType = "percent"
	ReplicasType ValueType = "number or percent"
	IDType       ValueType = "text or number"
	TextsType    ValueType = "list of texts"
	PatternsType ValueType = "list of patterns"
	MapType      ValueType = "map of texts"
	NamedType    ValueType = "map of objects"
)

// Shape is what the decoders ask of one value and of everything below it. It is recorded while they run, so that the schema
// and the documentation say what is decoded, not what somebody believes to be decoded; see [Describe].
type Shape struct {
	// Path is the place in the file: spec.trigger.onCommit.paths. An item of a list is [], of one sort of item [WAIT].
	Path string
	// Key is the last word of the path as it should be spelled.
	Key  string
	Type ValueType
	// Text says what the field is for.
	Text string
	// Default is what an absent value means; empty when there is none.
	Default string
	// Words are the texts that are allowed; Also are further ones that are accepted with a warning.
	Words, Also []string
	// AnyWord says that Words are those that are known, and others are accepted.
	AnyWord bool
	// Required says that the value must be there and must not be empty.
	Required bool
	// OneOf lists keys of which at least one is required.
	OneOf [][]string
	// Lenient says that unknown keys are warnings; Open that any key is fine.
	Lenient, Open bool
	// Inactive says why this version does not carry out what is configured here; empty when it does.
	Inactive string
	// Fields are the keys of an object in the order in which they are asked for, Item the items of a list or of a map of objects.
	Fields []*Shape
	Item   *Shape
	// Switch is the key whose value decides on the keys of Variants.
	Switch   string
	Variants []*Shape // Key is the value of Switch
}

// Field is the shape of a key, or nil.
func (s *Shape) Field(key string) *Shape {
	for _, f := range s.Fields {
		if strings.EqualFold(f.Key, key) {
			return f
		}
	}
	return nil
}

// Walk calls f for the shape and for everything below it.
func (s *Shape) Walk(f func(*Shape)) {
	f(s)
	for _, c := range s.children() {
		c.Walk(f)
	}
}

func (s *Shape) children() []*Shape {
	out := slices.Clone(s.Fields)
	if s.Item != nil {
		out = append(out, s.Item)
	}
	for _, v := range s.Variants {
		out = append(out, v.Fields...)
	}
	return out
}

// ask gives the shape of a key, making it when nobody asked for it before.
func (s *Shape) ask(key string) *Shape {
	if f := s.Field(key); f != nil {
		return f
	}
	f := &Shape{Key: key, Type: AnyType, Path: strings.TrimPrefix(s.Path+"."+key, ".")}
	s.Fields = append(s.Fields, f)
	return f
}

func (s *Shape) item() *Shape {
	if s.Item == nil {
		s.Item = &Shape{Key: s.Key, Type: AnyType, Path: s.Path + "[]"}
	}
	return s.Item
}

func (s *Shape) variant(value string) *Shape {
	for _, v := range s.Variants {
		if v.Key == value {
			return v
		}
	}
	v := &Shape{Key: value, Type: ObjectType, Path: strings.TrimSuffix(s.Path, "[]") + "[" + value + "]"}
	s.Variants = append(s.Variants, v)
	return v
}

func (s *Shape) oneOf(keys []string) {
	if !slices.ContainsFunc(s.OneOf, func(have []string) bool { return slices.Equal(have, keys) }) {
		s.OneOf = append(s.OneOf, keys)
	}
}

// recorder notes what decoders ask for. Shapes belong to nodes of the seed that is decoded; several seeds fill one tree.
type recorder struct {
	root  *Shape
	nodes map[*node]*Shape
}

// decoder returns a decoder that notes all that it is asked for.
func (r *recorder) decoder() *Decoder {
	d := NewDecoder()
	d.rec = r
	return d
}

func (r *recorder) begin(root Node) {
	if r.nodes == nil {
		r.nodes = map[*node]*Shape{}
	}
	r.nodes[root.p] = r.root
}

// shapeOf opens the shape of an object.
func (d *Decoder) shapeOf(n Node) *Shape {
	if d.rec == nil {
		return nil
	}
	s := d.rec.nodes[n.p]
	if s != nil {
		s.Type, s.Lenient = ObjectType, s.Lenient || n.lenient
	}
	return s
}

// warned notes the reason of a warning that what stands at a node has no effect in this version.
func (d *Decoder) warned(n Node, message string) {
	if d.rec == nil || !strings.Contains(message, "not active in this version") {
		return
	}
	if s := d.rec.nodes[n.p]; s != nil && s.Words == nil {
		s.Inactive = message
	}
}

// ask notes that a key was asked for.
func (o *Object) ask(key string, n Node) {
	if o.shape != nil {
		o.d.rec.nodes[n.p] = o.home(key).ask(key)
	}
}

// home is where a key of the object is noted: in the object, or in the variant of it.
func (o *Object) home(key string) *Shape {
	if o.sort != nil && slices.Contains(o.sorted, key) {
		return o.sort
	}
	return o.shape
}

// note gives the shape of a key with its type, or a shape that nobody looks at.
func (o *Object) note(key string, t ValueType) *Shape {
	if o.shape == nil {
		return &Shape{}
	}
	s := o.home(key).ask(key)
	s.Type = t
	return s
}

// variant says that the meaning of some keys depends on the value of another one. It is for the record only.
func (o *Object) variant(key, value string, keys ...string) {
	if o.shape == nil || value == "" {
		return
	}
	for _, k := range keys {
		o.shape.ask(k)
	}
	o.shape.Switch, o.sort, o.sorted = key, o.shape.variant(value), keys
}

// recordItems notes the items of a list; a list without any gets one, so that what is asked of an item is seen.
func (o *Object) recordItems(key string, items []Node) []Node {
	if len(items) == 0 {
		items = []Node{{p: &node{parent: o.n.p, key: key}, lenient: o.n.lenient}}
	}
	s := o.note(key, ListType)
	for _, item := range items {
		o.d.rec.nodes[item.p] = s.item()
	}
	return items
}

// recordNamed notes the objects of a map by their names, of which a map without any gets one.
func (o *Object) recordNamed(key string, n Node) {
	if o.shape == nil {
		return
	}
	s := o.note(key, NamedType)
	for _, name := range n.Keys() {
		o.d.rec.nodes[n.Get(name).p] = s.item()
	}
}

// refuses says that keys which are asked for are never accepted, for the record only.
func (o *Object) refuses(keys ...string) {
	if o.shape != nil {
		o.shape.Fields = slices.DeleteFunc(o.shape.Fields, func(f *Shape) bool { return slices.Contains(keys, f.Key) })
	}
}

// words says which texts a key may have, for the record only.
func (o *Object) words(key string, known, also []string) {
	if o.shape != nil {
		s := o.home(key).ask(key)
		s.Words, s.Also = known, also
	}
}

func shortDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
