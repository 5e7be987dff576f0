package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Decoder collects the problems of decoding one or more nodes. A platform uses one per part that it decodes:
//
//	d := spec.NewDecoder()
//	in := d.Object(app.Input)
//	in.StringOr("taskDefinitionFile", &out.TaskDefinitionFile, "taskdef.json")
//	in.Enum("accessType", &out.AccessType, "ELB", "ELB", "SERVICE_DISCOVERY")
//	groups := in.Object("targetGroups")
//	groups.Object("primary").String("targetGroupArn", &out.Primary)
//	in.Ignore("autoRollback") // decoded by spec
//	warnings, err := d.Finish()
//
// Finish reports every key that was never asked for.
type Decoder struct {
	errs    problems
	warns   problems
	objects []*Object
	rec     *recorder // nil unless what is asked for is noted
}

// NewDecoder returns an empty decoder.
func NewDecoder() *Decoder { return &Decoder{} }

// Fail records an error at a node. The hint says what to do and may be empty.
func (d *Decoder) Fail(n Node, hint, format string, args ...any) {
	d.errs.add(n.Errorf(hint, format, args...))
}

// Warn records a warning at a node.
func (d *Decoder) Warn(n Node, hint, format string, args ...any) {
	e := n.Errorf(hint, format, args...)
	d.warned(n, e.Message)
	d.warns.add(e)
}

// Object opens an object for decoding. A missing or null node is an object without keys; anything else is an error and then
// treated as such.
func (d *Decoder) Object(n Node) *Object {
	o := &Object{d: d, n: n, known: map[*field]bool{}, shape: d.shapeOf(n)}
	switch n.Kind() {
	case ObjectNode:
		d.objects = append(d.objects, o)
	case MissingNode, NullNode:
	default:
		o.broken = true
		d.Fail(n, "", "must be an object, found %s", found(n))
	}
	return o
}

// With opens the options of a stage. The keys timeout and skipOn, which every stage may have there, are already known.
func (d *Decoder) With(s Stage) *Object {
	o := d.Object(s.With)
	o.Ignore("timeout", "skipOn")
	return o
}

// Finish looks for unknown keys in every opened object and returns all that was found, in the order of the lines. The error
// is nil or an [Errors].
func (d *Decoder) Finish() (Warnings, error) {
	for _, o := range d.objects {
		o.unknown()
	}
	d.objects = nil
	var err error
	if list := d.errs.sorted(); len(list) > 0 {
		err = Errors(list)
	}
	return Warnings(d.warns.sorted()), err
}

// Object decodes the keys of one object. Every method reads one key by its name, whatever its case, and leaves the
// destination as it was when the key is absent or null; the methods ending in Or also replace a zero value by the default.
// A value of the wrong type is an error and leaves the destination alone.
type Object struct {
	d      *Decoder
	n      Node
	known  map[*field]bool
	names  []string
	broken bool

	// What is asked for is noted in shape, and of the keys in sorted, in the variant sort; nil when nothing is noted.
	shape, sort *Shape
	sorted      []string
}

// Self is the node of the object.
func (o *Object) Self() Node { return o.n }

// Exists says that the object is in the file.
func (o *Object) Exists() bool { return o.n.Exists() || o.shape != nil }

// Has says that the key is there with a value that is not null.
func (o *Object) Has(key string) bool { return o.Node(key).Exists() }

// Node is the value of a key, undecoded. The key counts as known.
func (o *Object) Node(key string) Node {
	o.names = append(o.names, key)
	if o.n.Kind() == ObjectNode {
		o.markKnown(key)
	}
	n := o.n.Get(key)
	o.ask(key, n)
	return n
}

func (o *Object) markKnown(key string) {
	var marked []*field
	for i := range o.n.p.fields {
		f := &o.n.p.fields[i]
		if strings.EqualFold(f.key, key) {
			if !o.known[f] {
				marked = append(marked, f)
			}
			o.known[f] = true
		}
	}
	if len(marked) < 2 {
		return
	}
	used := o.n.p.field(key)
	for _, f := range marked {
		if f != used {
			o.d.Warn(Node{f.value, o.n.lenient}, "remove one of the two", "also given as %s on line %d, which is used", quote(used.key), used.line)
		}
	}
}

// Ignore makes keys known without decoding them.
func (o *Object) Ignore(keys ...string) {
	for _, key := range keys {
		o.Node(key)
	}
}

// Required reports each of the keys that is absent, null or an empty text or list.
func (o *Object) Required(keys ...string) {
	if o.broken {
		return
	}
	for _, key := range keys {
		n := o.Node(key)
		if o.shape != nil {
			o.home(key).ask(key).Required = true
		}
		switch {
		case !n.Exists():
			o.d.Fail(n, "", "is required")
		case n.Kind() == StringNode && n.p.text == "", n.Kind() == ListNode && len(n.p.items) == 0:
			o.d.Fail(n, "", "must not be empty")
		}
	}
}

// demand is Required for keys that are needed only because of what other keys say; the record does not call them required.
func (o *Object) demand(keys ...string) {
	noted := o.shape
	o.shape = nil
	o.Required(keys...)
	o.shape = noted
}

// String reads a text. An unquoted number or boolean is an error, because YAML has already changed its meaning.
func (o *Object) String(key string, dst *string) {
	o.note(key, TextType)
	if n := o.Node(key); n.Exists() {
		o.d.text(n, dst)
	}
}

// StringOr reads a text with a default for an absent or empty one.
func (o *Object) StringOr(key string, dst *string, def string) {
	o.String(key, dst)
	o.note(key, TextType).Default = def
	if *dst == "" {
		*dst = def
	}
}

// Enum reads a text that must be one of the allowed words, exactly. An absent or empty one becomes def.
func (o *Object) Enum(key string, dst *string, def string, allowed ...string) {
	s := o.note(key, TextType)
	s.Words, s.Default = allowed, def
	n := o.Node(key)
	word := ""
	if n.Exists() && !o.d.text(n, &word) {
		return
	}
	if word == "" {
		*dst = def
		return
	}
	for _, a := range allowed {
		if word == a {
			*dst = word
			return
		}
	}
	o.d.Fail(n, suggest(word, allowed), "%s is not known; it must be one of %s", quote(word), strings.Join(allowed, ", "))
}

// Bool reads true or false (also yes, no, on, off, y, n without quotes). Set the default in dst before; an explicit false is
// kept.
func (o *Object) Bool(key string, dst *bool) {
	o.note(key, BoolType).Default = strconv.FormatBool(*dst)
	n := o.Node(key)
	switch n.Kind() {
	case MissingNode, NullNode:
	case BoolNode:
		*dst = n.p.truth
	default:
		o.d.Fail(n, "write true or false without quotes", "must be true or false, found %s", found(n))
	}
}

// BoolPtr reads a boolean of which it matters whether it was given at all.
func (o *Object) BoolPtr(key string, dst **bool) {
	o.note(key, BoolType)
	if n := o.Node(key); n.Exists() {
		var b bool
		o.Bool(key, &b)
		if n.Kind() == BoolNode {
			*dst = &b
		}
	}
}

// Int reads a whole number. A quoted number is an error.
func (o *Object) Int(key string, dst *int) {
	o.note(key, WholeType)
	n := o.Node(key)
	if !n.Exists() {
		return
	}
	if i, ok := n.p.asWhole(); ok {
		*dst = int(i)
		return
	}
	hint := ""
	if n.Kind() == StringNode {
		hint = "write the number without quotes"
	}
	o.d.Fail(n, hint, "must be a whole number, found %s", found(n))
}

// IntOr reads a whole number with a default for an absent one or 0.
func (o *Object) IntOr(key string, dst *int, def int) {
	o.Int(key, dst)
	o.note(key, WholeType).Default = strconv.Itoa(def)
	if *dst == 0 {
		*dst = def
	}
}

// FloatPtr reads a number of which it matters whether it was given at all.
func (o *Object) FloatPtr(key string, dst **float64) {
	o.note(key, NumberType)
	n := o.Node(key)
	switch n.Kind() {
	case MissingNode, NullNode:
	case IntNode, FloatNode:
		f := n.p.number
		*dst = &f
	default:
		o.d.Fail(n, "write the number without quotes", "must be a number, found %s", found(n))
	}
}

// Duration reads a text such as 10s, 1h30m or 300ms. A number without a unit is an error: the system these files come from
// reads it as nanoseconds, people mean seconds. Only 0 needs no unit.
func (o *Object) Duration(key string, dst *time.Duration) {
	o.note(key, DurationType)
	n := o.Node(key)
	if !n.Exists() {
		return
	}
	v, hint, err := parseDuration(n)
	if err != "" {
		o.d.Fail(n, hint, "%s", err)
		return
	}
	*dst = v
}

// DurationOr reads a duration with a default for an absent one or 0.
func (o *Object) DurationOr(key string, dst *time.Duration, def time.Duration) {
	o.Duration(key, dst)
	o.note(key, DurationType).Default = shortDuration(def)
	if *dst == 0 {
		*dst = def
	}
}

// Percent reads a whole percentage: 20, "20", 20% and "20%" are the same. The range is not checked here.
func (o *Object) Percent(key string, dst *int) {
	o.note(key, PercentType)
	n := o.Node(key)
	if !n.Exists() {
		return
	}
	v, ok := parsePercent(n)
	if !ok {
		o.d.Fail(n, "write it like 20 or 20%", "must be a whole percentage, found %s", found(n))
		return
	}
	*dst = v
}

// Replicas reads a count of pods or tasks: a number, or a percentage of the running ones.
func (o *Object) Replicas(key string, dst *Replicas) {
	o.note(key, ReplicasType)
	n := o.Node(key)
	if !n.Exists() {
		return
	}
	v, ok := parseReplicas(n)
	if !ok {
		o.d.Fail(n, "write it like 3 or 20%", "must be a number or a whole percentage, found %s", found(n))
		return
	}
	*dst = v
}

// Strings reads a list of texts. A single text in place of the list is an error.
func (o *Object) Strings(key string, dst *[]string) {
	o.note(key, TextsType)
	items := o.list(key)
	if items == nil {
		return
	}
	out := make([]string, len(items))
	for i, item := range items {
		if item.Exists() {
			o.d.text(item, &out[i])
		}
	}
	*dst = out
}

// StringMap reads an object whose values are all texts. Its keys keep their case.
func (o *Object) StringMap(key string, dst *map[string]string) {
	o.note(key, MapType)
	n := o.Node(key)
	switch n.Kind() {
	case MissingNode, NullNode:
		return
	case ObjectNode:
	default:
		o.d.Fail(n, "", "must be an object of texts, found %s", found(n))
		return
	}
	out := make(map[string]string, len(n.p.fields))
	for _, f := range n.p.fields {
		v := ""
		if f.value.kind != NullNode {
			o.d.text(Node{f.value, n.lenient}, &v)
		}
		out[f.key] = v
	}
	*dst = out
}

// Object opens the object under a key; see [Decoder.Object].
func (o *Object) Object(key string) *Object {
	n := o.Node(key)
	child := o.d.Object(n)
	child.broken = child.broken || o.broken
	return child
}

// Objects opens every object of a list. A null item is an object without keys.
func (o *Object) Objects(key string) []*Object {
	items := o.list(key)
	if o.shape != nil {
		items = o.recordItems(key, items)
	}
	out := make([]*Object, len(items))
	for i, item := range items {
		out[i] = o.d.Object(item)
	}
	return out
}

// Fail records an error at a key.
func (o *Object) Fail(key, hint, format string, args ...any) {
	o.d.Fail(o.Node(key), hint, format, args...)
}

// Warn records a warning at a key.
func (o *Object) Warn(key, hint, format string, args ...any) {
	o.d.Warn(o.Node(key), hint, format, args...)
}

func (o *Object) list(key string) []Node {
	n := o.Node(key)
	switch n.Kind() {
	case MissingNode, NullNode:
	case ListNode:
		return n.Items()
	default:
		o.d.Fail(n, "put a dash and a space before each item", "must be a list, found %s", found(n))
	}
	return nil
}

// text reads a scalar text into dst.
func (d *Decoder) text(n Node, dst *string) bool {
	switch n.Kind() {
	case StringNode:
		*dst = n.p.text
		return true
	case BoolNode, IntNode, FloatNode:
		d.Fail(n, fmt.Sprintf("write \"%s\" in quotes", n.p.text), "must be a text, found %s", found(n))
	default:
		d.Fail(n, "", "must be a text, found %s", found(n))
	}
	return false
}

// unknown reports the keys that nobody asked for: as errors, or as warnings where unknown keys are tolerated.
func (o *Object) unknown() {
	for i := range o.n.p.fields {
		f := &o.n.p.fields[i]
		if o.known[f] {
			continue
		}
		e := Error{File: o.n.p.file, Line: f.line, Column: f.column, Message: "unknown key " + quote(f.key)}
		to := &o.d.errs
		if o.n.lenient {
			e.Message += " has no effect"
			to = &o.d.warns
		}
		if !to.full() { // looking for a similar word costs more than the rest together
			e.Path, e.Hint = f.value.path(), suggest(f.key, o.names)
		}
		to.add(e)
	}
}

// found names a value in a message: the number 1.10, the text "x", a list.
func found(n Node) string {
	switch n.Kind() {
	case BoolNode:
		return "the boolean " + quoteBare(n.p.text)
	case IntNode, FloatNode:
		return "the number " + quoteBare(n.p.text)
	case StringNode:
		return "the text " + quote(n.p.text)
	default:
		return n.Kind().String()
	}
}

func quoteBare(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}
