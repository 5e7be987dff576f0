package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// NodeKind is the type of a value in a file, by YAML 1.1's rules for plain scalars.
type NodeKind uint8

// The kinds of node. MissingNode is a key that the file does not have; NullNode is one that is there without a value.
const (
	MissingNode NodeKind = iota
	NullNode
	BoolNode
	IntNode
	FloatNode
	StringNode
	ListNode
	ObjectNode
)

// String names the kind as a person would in a sentence: "a list", "an object".
func (k NodeKind) String() string {
	switch k {
	case MissingNode:
		return "nothing"
	case NullNode:
		return "no value"
	case BoolNode:
		return "a boolean"
	case IntNode, FloatNode:
		return "a number"
	case StringNode:
		return "a text"
	case ListNode:
		return "a list"
	default:
		return "an object"
	}
}

// Pos is a place in a file. Line and Column count from 1.
type Pos struct {
	File         string
	Line, Column int
}

// String gives file:line:column.
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Node is a value in a file with its place. The zero Node is a missing value without a place. Nodes are never changed after
// parsing, so they may be shared.
type Node struct {
	p *node
	// lenient says that unknown keys below this node are tolerated with a warning.
	lenient bool
}

// node is one value of the parsed tree. Aliases have been replaced by copies, so every node has one parent.
type node struct {
	kind         NodeKind
	file         string
	line, column int
	parent       *node
	key          string // of the parent object
	index        int    // in the parent list

	text   string // of a scalar, as written in the file; the value of a String
	truth  bool
	number float64
	whole  int64 // valid when kind is Int
	items  []*node
	fields []field
}

// field is one key of an object.
type field struct {
	key          string
	line, column int
	value        *node
}

// Kind is the type of the value.
func (n Node) Kind() NodeKind {
	if n.p == nil {
		return MissingNode
	}
	return n.p.kind
}

// Exists says that the value is in the file and is not null.
func (n Node) Exists() bool { return n.Kind() > NullNode }

// Pos is the place of the value; for a missing value it is the place of the object that lacks it.
func (n Node) Pos() Pos {
	if n.p == nil {
		return Pos{}
	}
	return Pos{File: n.p.file, Line: n.p.line, Column: n.p.column}
}

// Lenient says that unknown keys below this node are tolerated with a warning instead of refused.
func (n Node) Lenient() bool { return n.lenient }

// WithLenient returns the same node with unknown keys below it tolerated.
func (n Node) WithLenient() Node {
	n.lenient = true
	return n
}

// Path is where the value stands in its document, such as spec.pipeline.stages[1].with.
func (n Node) Path() string {
	if n.p == nil {
		return ""
	}
	return n.p.path()
}

func (p *node) path() string {
	var steps []string
	for ; p.parent != nil; p = p.parent {
		if p.parent.kind == ListNode {
			steps = append(steps, fmt.Sprintf("[%d]", p.index))
			continue
		}
		key := p.key
		if len(key) > maxQuoted {
			key = strings.ToValidUTF8(key[:maxQuoted], "") + "…"
		}
		steps = append(steps, "."+key)
	}
	slices.Reverse(steps)
	return strings.TrimPrefix(strings.Join(steps, ""), ".")
}

// Text is the scalar as it is written in the file (for a quoted text, what it stands for); empty for lists and objects.
func (n Node) Text() string {
	if n.p == nil {
		return ""
	}
	return n.p.text
}

// Items are the elements of a list; nil for anything else.
func (n Node) Items() []Node {
	if n.Kind() != ListNode {
		return nil
	}
	out := make([]Node, len(n.p.items))
	for i, item := range n.p.items {
		out[i] = Node{item, n.lenient}
	}
	return out
}

// Keys are the keys of an object as they are spelled, in the order of the file; nil for anything else.
func (n Node) Keys() []string {
	if n.Kind() != ObjectNode {
		return nil
	}
	out := make([]string, len(n.p.fields))
	for i, f := range n.p.fields {
		out[i] = f.key
	}
	return out
}

// Get is the value under a key of an object. Case does not matter; of several keys that differ only in case the last in byte
// order counts, normally the lower-case one. What is not there is a missing node that remembers where it was looked for.
func (n Node) Get(key string) Node {
	if n.p == nil {
		return n
	}
	if f := n.p.field(key); f != nil {
		return Node{f.value, n.lenient}
	}
	p := n.p
	return Node{&node{kind: MissingNode, file: p.file, line: p.line, column: p.column, parent: p, key: key}, n.lenient}
}

func (p *node) field(key string) *field {
	var found *field
	for i := range p.fields {
		f := &p.fields[i]
		if strings.EqualFold(f.key, key) && (found == nil || f.key > found.key) {
			found = f
		}
	}
	return found
}

// Value is the plain Go value: nil, bool, int64, float64, string, []any or map[string]any.
func (n Node) Value() any {
	if n.p == nil {
		return nil
	}
	return n.p.value()
}

func (p *node) value() any {
	switch p.kind {
	case BoolNode:
		return p.truth
	case IntNode:
		return p.whole
	case FloatNode:
		return p.number
	case StringNode:
		return p.text
	case ListNode:
		out := make([]any, len(p.items))
		for i, item := range p.items {
			out[i] = item.value()
		}
		return out
	case ObjectNode:
		out := make(map[string]any, len(p.fields))
		for _, f := range p.fields {
			out[f.key] = f.value.value()
		}
		return out
	default:
		return nil
	}
}

// MarshalJSON writes the value as JSON. Infinities and NaN, which JSON does not have, are written as text.
func (n Node) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonSafe(n.Value()))
}

func jsonSafe(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Sprint(v)
		}
	case []any:
		for i := range v {
			v[i] = jsonSafe(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = jsonSafe(v[k])
		}
	}
	return v
}

// Equal compares values, not places: two files that say the same are equal. Key order does not matter.
func (n Node) Equal(other Node) bool {
	a, errA := n.MarshalJSON()
	b, errB := other.MarshalJSON()
	return errA == nil && errB == nil && n.Kind() == other.Kind() && string(a) == string(b)
}

// Errorf is a problem at the place of this node.
func (n Node) Errorf(hint, format string, args ...any) Error {
	e := Error{Path: n.Path(), Message: fmt.Sprintf(format, args...), Hint: hint}
	pos := n.Pos()
	e.File, e.Line, e.Column = pos.File, pos.Line, pos.Column
	return e
}
