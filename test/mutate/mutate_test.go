package mutate

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/cover"
)

const source = `package p

import "log/slog"

type t struct{ n int }

func (x *t) f(a, b int, log *slog.Logger) bool {
	if a > b {
		log.Info("more", "by", a-b)
	}
	if a <= b {
		x.n++
		log.Info("less")
	}
	x.n += a - b
	return a == b && b != 0
}

func (x t) String() string {
	if x.n == 0 {
		return ""
	}
	return "x"
}
`

// place finds the line and column of the n-th appearance of a text.
func place(t *testing.T, text string, n int) (line, column int) {
	t.Helper()
	at := -1
	for range n {
		i := strings.Index(source[at+1:], text)
		if i < 0 {
			t.Fatalf("%q is not in the source %d times", text, n)
		}
		at += 1 + i
	}
	before := source[:at]
	return strings.Count(before, "\n") + 1, at - strings.LastIndexByte(before, '\n')
}

func TestApply(t *testing.T) {
	for _, c := range []struct{ kind, at, want string }{
		{"CONDITIONALS_BOUNDARY", "<= b", "if a < b {"},
		{"CONDITIONALS_NEGATION", "<= b", "if a > b {"},
		{"INVERT_LOGICAL", "&&", "return a == b || b != 0"},
		{"INCREMENT_DECREMENT", "++", "x.n--"},
		{"INVERT_ASSIGNMENTS", "+= a", "x.n -= a - b"},
		{"REMOVE_SELF_ASSIGNMENTS", "+= a", "x.n = a - b"},
	} {
		line, column := place(t, c.at, 1)
		got, err := Mutant{Dir: "d", File: "p.go", Kind: c.kind, Line: line, Column: column}.Apply([]byte(source))
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
			continue
		}
		was, is := strings.Split(source, "\n"), strings.Split(string(got), "\n")
		if strings.TrimSpace(is[line-1]) != c.want {
			t.Errorf("%s made %q, want %q", c.kind, is[line-1], c.want)
		}
		was[line-1], is[line-1] = "", ""
		if !slices.Equal(was, is) {
			t.Errorf("%s changed another line", c.kind)
		}
	}
	for _, m := range []Mutant{{Kind: "INVERT_LOGICAL", Line: 1, Column: 1}, {Kind: "INVERT_LOGICAL", Line: 99, Column: 1}, {Kind: "UNKNOWN", Line: 1, Column: 1}} {
		if _, err := m.Apply([]byte(source)); err == nil {
			t.Errorf("%+v was applied", m)
		}
	}
}

func TestWordsAndFiguresAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, at := range []struct {
		text string
		n    int
	}{{"> b", 1}, {"-b", 1}, {"<= b", 1}, {"==", 1}, {"==", 2}} {
		line, column := place(t, at.text, at.n)
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"type":"K","line":` + strconv.Itoa(line) + `,"column":` + strconv.Itoa(column) + `}`)
	}
	got, err := parseReport(dir, "", []byte(`{"files":[{"file_name":"p.go","mutations":[`+b.String()+`]},{"file_name":"below/q.go","mutations":[{"type":"K","line":1,"column":1}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, m := range got {
		texts = append(texts, m.Func+": "+m.Text)
	}
	want := []string{"t.f: if a <= b {", "t.f: return a == b && b != 0"}
	if !slices.Equal(texts, want) {
		t.Errorf("left are %q, want %q", texts, want)
	}
}

func TestOrderDependsOnTheMutantAlone(t *testing.T) {
	var all []Mutant
	for i := range 50 {
		all = append(all, Mutant{Dir: "d", File: "f.go", Kind: "K", Line: i, Text: "line " + strconv.Itoa(i)})
	}
	one := Shuffle(all, "a")
	moved := slices.Clone(all[:40])
	for i := range moved {
		moved[i].Line += 7
	}
	other := Shuffle(moved, "a")
	kept := slices.DeleteFunc(slices.Clone(one), func(m Mutant) bool { return m.Line >= 40 })
	if !slices.EqualFunc(kept, other, func(a, b Mutant) bool { return a.Key() == b.Key() }) {
		t.Error("the order changed with the numbers of the lines or with others that are gone")
	}
	if slices.Equal(one, all) || slices.Equal(one, Shuffle(all, "b")) {
		t.Error("the seed does not count")
	}
}

func TestReached(t *testing.T) {
	r := Reached{"d/f.go": {{StartLine: 2, StartCol: 10, EndLine: 4, EndCol: 3, Count: 1}}}
	for _, c := range []struct {
		line, column int
		want         bool
	}{{2, 9, false}, {2, 10, true}, {3, 1, true}, {4, 2, true}, {4, 3, false}} {
		if got := r.Has(Mutant{Dir: "d", File: "f.go", Line: c.line, Column: c.column}); got != c.want {
			t.Errorf("%d:%d reached: %v, want %v", c.line, c.column, got, c.want)
		}
	}
	if (Reached{"d/g.go": []cover.ProfileBlock{{EndLine: 99}}}).Has(Mutant{Dir: "d", File: "f.go", Line: 3}) {
		t.Error("another file counts")
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, "d", "p.go"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line, column := place(t, "<= b", 1)
	m := Mutant{Dir: "d", File: "p.go", Kind: "CONDITIONALS_BOUNDARY", Line: line, Column: column, Func: "t.f", Text: "if a <= b {"}
	write(strings.Replace(source, "package p", "package p\n\n// A comment moves everything down.\n", 1))
	got, ok, err := Find(root, m.Key())
	m.Line += 3
	if err != nil || !ok || got != m {
		t.Errorf("found %v, %v, %v; want %v", got, ok, err, m)
	}
	for name, text := range map[string]string{
		"another line":     strings.Replace(source, "a <= b", "a <= b+1", 1),
		"another function": strings.Replace(source, ") f(", ") g(", 1),
	} {
		write(text)
		if got, ok, err := Find(root, m.Key()); ok || err != nil {
			t.Errorf("%s: found %v, %v", name, got, err)
		}
	}
	if err := os.Remove(filepath.Join(root, "d", "p.go")); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := Find(root, m.Key()); ok || err != nil {
		t.Errorf("found in a file that is gone, %v", err)
	}
	for _, key := range []string{"", "d/p.go f KIND x `y`", "d/p.go f KIND 1 y", "p.go f KIND 1 `y`", "d/p.go f KIND 1 ``"} {
		if _, _, err := Find(root, key); err == nil {
			t.Errorf("%q is taken for a key", key)
		}
	}
}
