package change

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// maxDocument is how many bytes of one side are rendered; the rest is left out, and the last line says so.
const maxDocument = 3 << 20

// Document is one side of a comparison as a text for people: one line for each value, in the form of YAML, keys sorted,
// values that may be secret masked. Two equal values have equal documents; a value that is masked on both sides looks equal
// although it may differ, which Changes says.
type Document struct {
	Text string `json:"text"`
	// Noise are the lines, counted from 0 and rising, that no file declares: what the platform filled in, revision numbers,
	// states. They are not compared; a reader hides them unless asked.
	Noise []int `json:"noise,omitempty"`
}

// sides are the two values that were compared, as decoded JSON, with how.
type sides struct {
	from, to any
	by       *differ
}

// Documents renders both sides whole; it is done when asked for. Both are empty for changes that Diff did not make.
func (c Changes) Documents() (from, to Document) {
	if c.sides == nil {
		return from, to
	}
	return c.sides.by.document(c.sides.from), c.sides.by.document(c.sides.to)
}

// document renders one value.
func (d *differ) document(v any) Document {
	if v == nil {
		return Document{}
	}
	w := writer{d: d}
	w.value("", nil, d.mask(nil, v), false)
	return Document{Text: w.b.String(), Noise: w.noise}
}

type writer struct {
	d     *differ
	b     strings.Builder
	lines int
	noise []int
	full  bool
}

func (w *writer) line(text string, noise bool) {
	if w.full {
		return
	}
	if w.b.Len()+len(text) > maxDocument {
		w.full = true
		text = "# … the rest is left out: the text is larger than " + strconv.Itoa(maxDocument>>20) + " MiB"
	}
	if noise {
		w.noise = append(w.noise, w.lines)
	}
	w.lines++
	w.b.WriteString(text)
	w.b.WriteByte('\n')
}

// value writes what stands behind lead, which is the indentation with a key or the dash of a list element. What is below
// stands two spaces further in.
func (w *writer) value(lead string, segs []string, v any, noise bool) {
	noise = noise || len(segs) > 0 && anyMatch(w.d.noise, segs)
	in := strings.Repeat(" ", indentOf(lead, segs))
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			w.object(lead, in, segs, v, noise)
			return
		}
		w.line(lead+"{}", noise)
	case []any:
		if len(v) > 0 {
			if lead != "" {
				w.line(strings.TrimSuffix(lead, " "), noise)
			}
			w.list(in, segs, v, noise)
			return
		}
		w.line(lead+"[]", noise)
	case string:
		w.text(lead, in, v, noise)
	default:
		w.line(lead+text(v), noise)
	}
}

// indentOf is where the things below a value begin.
func indentOf(lead string, segs []string) int {
	if len(segs) == 0 {
		return 0
	}
	return len(lead) - len(strings.TrimLeft(lead, " ")) + 2
}

// object writes the entries of a map; behind the dash of a list the first one stands on its line.
func (w *writer) object(lead, in string, segs []string, v map[string]any, noise bool) {
	dash := strings.HasSuffix(lead, "- ")
	if lead != "" && !dash {
		w.line(strings.TrimSuffix(lead, " "), noise)
	}
	keys := make([]string, 0, len(v))
	for k := range v {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	// What tells the elements of a list apart stands first.
	if field := w.d.keyOf(segs[:max(len(segs)-1, 0)]); dash && field != "" {
		if i := slices.Index(keys, field); i > 0 {
			keys = slices.Insert(slices.Delete(keys, i, i+1), 0, field)
		}
	}
	for i, k := range keys {
		at := in
		if i == 0 && dash {
			at = lead
		}
		w.value(at+scalar(k)+": ", with(segs, k), v[k], noise)
	}
}

// list writes the elements of a list, those of a keyed one in the order of their keys.
func (w *writer) list(in string, segs []string, v []any, noise bool) {
	field := w.d.keyOf(segs)
	of, names := elements(v, field)
	if field != "" {
		slices.Sort(names)
	}
	for _, n := range names {
		w.value(in+"- ", with(segs, n), of[n], noise)
	}
}

// text writes a text on its line, or as a block when it has several.
func (w *writer) text(lead, in, s string, noise bool) {
	if !strings.Contains(s, "\n") || strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && unicode.IsControl(r) }) {
		w.line(lead+scalar(s), noise)
		return
	}
	body, ok := strings.CutSuffix(s, "\n")
	w.line(lead+map[bool]string{true: "|", false: "|-"}[ok], noise)
	for l := range strings.SplitSeq(body, "\n") {
		w.line(in+l, noise)
	}
}

// scalar is a text as YAML reads it: plain where that is the same, else in quotes.
func scalar(s string) string {
	if s == Masked || plainText(s) {
		return s
	}
	b, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(b)
}

// plainText reports whether a text needs no quotes: nothing in it means anything to YAML.
func plainText(s string) bool {
	if s == "" || slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "~"}, strings.ToLower(s)) {
		return false
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return false
	}
	for i, r := range s {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("_./+@%=", r):
		case i > 0 && (r == '-' || r == ' ' && i < len(s)-1):
		case r == ':' && i > 0 && i < len(s)-1 && s[i+1] != ' ':
		default:
			return false
		}
	}
	return s[0] != '@' && s[0] != '%' && s[0] != '='
}
