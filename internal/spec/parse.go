package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds of one file. They are far above what people write and keep a hostile file from costing more than milliseconds.
const (
	// MaxBytes is the largest file that is read.
	MaxBytes = 1 << 20
	// MaxDepth is how deep lists and objects may be nested.
	MaxDepth = 64
	// maxAliased is how many values may come out of aliases and merges, so that a few lines cannot stand for billions.
	maxAliased = 20_000
)

// Parse reads the first document of a YAML or JSON file into positioned nodes. The name is used in messages only. The error
// is an [Errors]. An empty file gives a null node.
func Parse(file string, data []byte) (Node, Warnings, error) {
	if len(data) > MaxBytes {
		return Node{}, nil, Errors{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), MaxBytes)}}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if err := checkText(file, data); err != nil {
		return Node{}, nil, Errors{*err}
	}
	var doc yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err == nil {
		err = loader.Load(&doc)
	}
	if errors.Is(err, io.EOF) {
		return Node{p: &node{kind: NullNode, file: file, line: 1, column: 1}}, nil, nil
	}
	if err != nil {
		return Node{}, nil, Errors{syntaxError(file, data, err)}
	}
	b := &builder{file: file, lines: strings.Count(normalBreaks(string(data)), "\n") + 1, open: map[*yaml.Node]bool{}}
	root := &doc
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		root = root.Content[0]
	}
	top := b.build(root, slot{}, 0)
	if len(b.errs.list) > 0 {
		return Node{}, nil, Errors(b.errs.sorted())
	}
	return Node{p: top}, Warnings(b.warns.sorted()), nil
}

// checkText refuses what is not readable text, with the place, which the YAML library does not give.
func checkText(file string, data []byte) *Error {
	line, column := 1, 1
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		problem := ""
		switch {
		case r == utf8.RuneError && size == 1:
			problem = "the file is not UTF-8 text"
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r > 0x7f && r < 0xa0 && r != 0x85, r == 0xfeff, r == 0xfffe, r == 0xffff:
			problem = fmt.Sprintf("the control character %U is not allowed", r)
		}
		if problem != "" {
			return &Error{File: file, Line: line, Column: column, Message: problem, Hint: "save the file as plain UTF-8"}
		}
		rest = rest[size:]
		column++
		if r == '\n' || r == '\r' && !bytes.HasPrefix(rest, []byte("\n")) || r == 0x85 || r == 0x2028 || r == 0x2029 {
			line, column = line+1, 1
		}
	}
	return nil
}

// syntaxError translates the YAML library's error. Where the library only knows the end of an unclosed bracket, its start
// is named, because that is the line to look at.
func syntaxError(file string, data []byte, err error) Error {
	out := Error{File: file, Line: 1, Column: 1, Message: "the file is not valid YAML: " + err.Error()}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return out
	}
	out.Message = "not valid YAML: " + load.Message
	if load.ContextMsg != "" {
		out.Message += " " + load.ContextMsg
		if load.ContextMark.Line > 0 && load.ContextMark.Line != load.Mark.Line {
			out.Message += fmt.Sprintf(" that starts on line %d", load.ContextMark.Line)
		}
	}
	mark := load.Mark
	if mark.Line == 0 {
		mark = load.ContextMark
	}
	if mark.Line > 0 {
		out.Line, out.Column = mark.Line, max(mark.Column, 1)
	}
	// An unclosed construct is noticed at the end of the file, which may be one past its last line.
	if last := strings.Count(normalBreaks(string(data)), "\n") + 1; out.Line > last {
		out.Line, out.Column = last, 1
	}
	if strings.HasPrefix(strings.TrimLeft(mustLine(data, out.Line), " "), "\t") {
		out.Hint = "indent with spaces, not tabs"
	} else if strings.Contains(load.Message, "mapping values are not allowed") {
		out.Hint = "check the indentation, and quote a text that contains a colon"
	}
	return out
}

func mustLine(data []byte, n int) string {
	line, _ := lineOf(data, n)
	return line
}

// builder turns the library's nodes into ours: aliases and merges are expanded, scalars get their types.
type builder struct {
	file    string
	lines   int
	errs    problems
	warns   problems
	open    map[*yaml.Node]bool // anchors being expanded, to find one that contains itself
	aliased int                 // values made from aliases so far
	inAlias int
	stopped bool // a bound was passed; nothing more is built
}

func (b *builder) problem(y *yaml.Node, hint, format string, args ...any) {
	line, column := b.place(y)
	b.errs.add(Error{File: b.file, Line: line, Column: column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// place keeps positions inside the file: the library puts an empty value at the end one line too far.
func (b *builder) place(y *yaml.Node) (line, column int) {
	line, column = max(y.Line, 1), max(y.Column, 1)
	if line > b.lines {
		return b.lines, 1
	}
	return line, column
}

// slot is where a value stands in its parent. It is known before the value is built, so that problems inside have a path.
type slot struct {
	parent *node
	key    string
	index  int
}

func (b *builder) build(y *yaml.Node, at slot, depth int) *node {
	p := &node{file: b.file, parent: at.parent, key: at.key, index: at.index}
	p.line, p.column = b.place(y)
	if b.stopped {
		return p
	}
	if depth > MaxDepth {
		b.stopped = true
		b.problem(y, "", "lists and objects are nested more than %d deep", MaxDepth)
		return p
	}
	if b.inAlias > 0 {
		if b.aliased++; b.aliased > maxAliased {
			b.stopped = true
			b.problem(y, "", "aliases expand to more than %d values", maxAliased)
			return p
		}
	}
	switch y.Kind {
	case yaml.AliasNode:
		b.alias(y, p, depth)
	case yaml.MappingNode:
		b.object(y, p, depth)
	case yaml.SequenceNode:
		p.kind = ListNode
		for i, item := range y.Content {
			p.items = append(p.items, b.build(item, slot{parent: p, index: i}, depth+1))
		}
	case yaml.ScalarNode:
		b.scalar(y, p)
	default:
		p.kind = NullNode
	}
	return p
}

// alias copies what the alias stands for into p, keeping the place of the alias itself.
func (b *builder) alias(y *yaml.Node, p *node, depth int) {
	if b.open[y.Alias] || y.Alias == nil {
		b.problem(y, "", "the anchor %s contains itself", quote(y.Value))
		return
	}
	b.open[y.Alias] = true
	b.inAlias++
	copied := b.build(y.Alias, slot{p.parent, p.key, p.index}, depth)
	b.inAlias--
	delete(b.open, y.Alias)
	line, column := p.line, p.column
	*p = *copied
	p.line, p.column = line, column
	for _, item := range p.items {
		item.parent = p
	}
	for _, f := range p.fields {
		f.value.parent = p
	}
}

func (b *builder) scalar(y *yaml.Node, p *node) {
	quoted := y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case y.Style&yaml.TaggedStyle != 0:
		if !resolveTagged(p, y.ShortTag(), y.Value) {
			b.problem(y, "", "%s cannot be read as %s", quote(y.Value), y.ShortTag())
		}
	case quoted:
		p.kind, p.text = StringNode, y.Value
	default:
		resolvePlain(p, y.Value)
	}
}

// object fills p with the keys of a mapping. A repeated key keeps its last value; keys from << fill only what is absent.
func (b *builder) object(y *yaml.Node, p *node, depth int) {
	p.kind = ObjectNode
	seen := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content) && !b.stopped; i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, ok := b.key(key, depth)
		if !ok {
			continue
		}
		line, column := b.place(key)
		f := field{key: name, line: line, column: column, value: b.build(value, slot{parent: p, key: name}, depth+1)}
		at, repeated := seen[name]
		if !repeated {
			seen[name] = len(p.fields)
			p.fields = append(p.fields, f)
			continue
		}
		b.warns.add(Error{
			File: b.file, Line: p.fields[at].line, Column: p.fields[at].column, Path: f.value.path(),
			Message: fmt.Sprintf("the key is given again on line %d; this one is not used", line), Hint: "remove one of the two",
		})
		p.fields[at] = f
	}
	for _, m := range merges {
		b.merge(m, p, seen, depth)
	}
}

// key reads an object key as text.
func (b *builder) key(y *yaml.Node, depth int) (string, bool) {
	k := b.build(y, slot{}, depth+1)
	if b.stopped {
		return "", false
	}
	name, ok := k.keyText()
	if !ok {
		b.problem(y, "", "a key must be a text, found %s", k.kind)
	}
	return name, ok
}

// merge adds the keys of one << value: an object, or a list of objects of which earlier ones win.
func (b *builder) merge(y *yaml.Node, p *node, seen map[string]int, depth int) {
	b.inAlias++
	defer func() { b.inAlias-- }()
	source := b.build(y, slot{parent: p, key: "<<"}, depth)
	list := []*node{source}
	if source.kind == ListNode {
		list = source.items
	}
	for _, one := range list {
		if one.kind != ObjectNode {
			if !b.stopped && len(b.errs.list) == 0 {
				b.problem(y, "write <<: *name, where &name marks an object", "<< needs an object or a list of objects, found %s", one.kind)
			}
			return
		}
		for _, f := range one.fields {
			if _, ok := seen[f.key]; ok {
				continue
			}
			seen[f.key] = len(p.fields)
			f.value.parent = p
			p.fields = append(p.fields, f)
		}
	}
}
