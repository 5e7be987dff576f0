package change

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type (
	m = map[string]any
	l = []any
)

var ecsLike = Options{
	Keys:      map[string]string{"containers": "name", "**.environment": "name"},
	Sensitive: []string{"**.environment.*.value"},
	Ignore:    []string{"revision"},
}

func TestDiff(t *testing.T) {
	from := m{"revision": 1, "cpu": "256", "gone": true, "containers": l{
		m{"name": "web", "image": "shop:1", "environment": l{m{"name": "A", "value": "s3cret"}, m{"name": "B", "value": "x"}}},
		m{"name": "old", "image": "o:1"},
	}}
	to := m{"revision": 2, "cpu": "512", "containers": l{
		m{"name": "side", "image": "s:1", "environment": l{m{"name": "K", "value": "hidden"}}},
		m{"name": "web", "image": "shop:2", "environment": l{m{"name": "B", "value": "x"}, m{"name": "A", "value": "s4cret"}}},
	}}
	got := Diff(from, to, ecsLike)
	want := []Change{
		{Path: "containers[old]", Op: Removed, From: `{"image":"o:1","name":"old"}`},
		{Path: "containers[side]", Op: Added, To: `{"environment":[{"name":"K","value":"••••"}],"image":"s:1","name":"side"}`, Masked: true},
		{Path: "containers[web].environment[A].value", Op: Changed, From: Masked, To: Masked, Masked: true},
		{Path: "containers[web].image", Op: Changed, From: "shop:1", To: "shop:2"},
		{Path: "cpu", Op: Changed, From: "256", To: "512"},
		{Path: "gone", Op: Removed, From: "true"},
	}
	if d := cmp.Diff(want, got.Items); d != "" {
		t.Fatal(d)
	}
	text := got.Text()
	for _, line := range []string{"~ cpu: 256 → 512", "- gone: removed true", "~ containers[web].environment[A].value: changed (value hidden)", "+ containers[side]: added"} {
		if !strings.Contains(text, line) {
			t.Errorf("text lacks %q:\n%s", line, text)
		}
	}
	if s := got.Summary(); !strings.HasSuffix(s, "and 3 more") {
		t.Errorf("summary = %q", s)
	}
	b, err := json.Marshal(got)
	if err != nil || strings.Contains(string(b), "cret") || strings.Contains(string(b), "hidden") {
		t.Errorf("json = %s, %v", b, err)
	}
}

func TestDuplicateKeysAndIndexLists(t *testing.T) {
	a := m{"containers": l{m{"name": "w"}, m{"name": "w", "x": 1}}, "args": l{"a", "b"}}
	b := m{"containers": l{m{"name": "w"}, m{"name": "w", "x": 2}}, "args": l{"a"}}
	got := Diff(a, b, ecsLike)
	want := []Change{
		{Path: "args[1]", Op: Removed, From: "b"},
		{Path: "containers[w#2].x", Op: Changed, From: "1", To: "2"},
	}
	if d := cmp.Diff(want, got.Items); d != "" {
		t.Fatal(d)
	}
}

func TestBounded(t *testing.T) {
	to := m{}
	for i := range 50 {
		to[fmt.Sprintf("k%02d", i)] = strings.Repeat("ä", 2000)
	}
	got := Diff(m{}, to, Options{Limit: 10})
	if len(got.Items) != 10 || got.Dropped != 40 || got.Count() != 50 {
		t.Fatalf("items %d dropped %d", len(got.Items), got.Dropped)
	}
	if n := len([]rune(got.Items[0].To)); n != maxValue+1 {
		t.Errorf("value has %d runes", n)
	}
	if !strings.Contains(got.Text(), "… and 40 more") {
		t.Error(got.Text())
	}
}

func values() *rapid.Generator[any] {
	var gen *rapid.Generator[any]
	leaf := rapid.OneOf(rapid.Map(rapid.StringMatching(`[a-z]{0,4}`), toAny[string]), rapid.Map(rapid.IntRange(0, 9), toAny[int]), rapid.Map(rapid.Bool(), toAny[bool]))
	var build func(depth int) *rapid.Generator[any]
	build = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Map(rapid.MapOfN(rapid.StringMatching(`[a-c]`), build(depth-1), 0, 3), toAny[map[string]any]),
			rapid.Map(rapid.SliceOfN(build(depth-1), 0, 3), toAny[[]any]))
	}
	gen = build(3)
	return gen
}

func toAny[T any](v T) any { return v }

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := values().Draw(t, "a"), values().Draw(t, "b")
		if c := Diff(a, a, Options{}); !c.Empty() {
			t.Fatalf("a value differs from itself: %s", c.Text())
		}
		ab, ba := Diff(a, b, Options{}), Diff(b, a, Options{})
		if (canonical(plain(a)) == canonical(plain(b))) != ab.Empty() {
			t.Fatalf("equal but changed, or unequal but not: %s", ab.Text())
		}
		var back []Change
		back = append(back, ba.Items...)
		for i, c := range back {
			c.From, c.To = c.To, c.From
			switch c.Op {
			case Added:
				c.Op = Removed
			case Removed:
				c.Op = Added
			}
			back[i] = c
		}
		if d := cmp.Diff(ab.Items, back); d != "" {
			t.Fatalf("the way back is not the mirror: %s", d)
		}
		if !slices.IsSortedFunc(ab.Items, func(x, y Change) int { return strings.Compare(x.Path, y.Path) }) {
			t.Fatal("not sorted")
		}
	})
}

func TestMaskingNeverLeaks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := func(name string) string { return "SECRET" + rapid.StringMatching(`[a-z]{3,8}`).Draw(t, name) }
		env := func(label string) any {
			var out l
			for i := range rapid.IntRange(0, 3).Draw(t, label) {
				out = append(out, m{"name": fmt.Sprint("E", rapid.IntRange(0, 3).Draw(t, label+"n")), "value": secret(label + fmt.Sprint(i))})
			}
			return m{"containers": l{m{"name": rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+"c"), "environment": out}}}
		}
		c := Diff(env("from"), env("to"), ecsLike)
		b, _ := json.Marshal(c)
		if s := string(b) + c.Text() + c.Summary(); strings.Contains(s, "SECRET") {
			t.Fatalf("leaks: %s", s)
		}
	})
}

func TestKeyedListOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list l
		for i := range rapid.IntRange(0, 6).Draw(t, "n") {
			list = append(list, m{"name": fmt.Sprint(i), "v": rapid.Int().Draw(t, "v")})
		}
		shuffled := l(rapid.Permutation(list).Draw(t, "order"))
		if c := Diff(m{"containers": list}, m{"containers": shuffled}, ecsLike); !c.Empty() && len(list) > 0 {
			t.Fatal(c.Text())
		}
	})
}

func TestDocuments(t *testing.T) {
	opt := Options{Keys: map[string]string{"**.environment": "name"}, Sensitive: []string{"**.environment.*.value"}, Noise: []string{"status.**", "**.revision"}}
	from := m{"image": "shop:1", "revision": 7, "task": m{"environment": l{m{"value": "s3cret", "name": "B"}, m{"name": "A", "value": "t"}}, "script": "a\nb\n"}, "status": m{"running": 2}}
	to := m{"image": "shop:2", "task": m{"environment": l{m{"name": "A", "value": "t"}}, "none": l{}, "flag": "true", "odd": "- x: \x01"}}
	got := Diff(from, to, opt)
	for _, it := range got.Items {
		if it.Path == "revision" || strings.HasPrefix(it.Path, "status") {
			t.Errorf("noise is compared: %v", it)
		}
	}
	a, b := got.Documents()
	wantA := `image: shop:1
revision: 7
status:
  running: 2
task:
  environment:
    - name: A
      value: ••••
    - name: B
      value: ••••
  script: |
    a
    b
`
	wantB := `image: shop:2
task:
  environment:
    - name: A
      value: ••••
  flag: "true"
  none: []
  odd: "- x: \u0001"
`
	if d := cmp.Diff(Document{Text: wantA, Noise: []int{1, 2, 3}}, a); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(Document{Text: wantB}, b); d != "" {
		t.Error(d)
	}
	if x, y := (Changes{}).Documents(); x.Text != "" || y.Text != "" {
		t.Error("changes out of nothing have documents")
	}
}

func TestDocumentIsBounded(t *testing.T) {
	big := m{}
	for i := range 200 {
		big[fmt.Sprintf("k%03d", i)] = strings.Repeat("x", 64<<10)
	}
	_, doc := Diff(m{}, big, Options{}).Documents()
	if len(doc.Text) > maxDocument+200 || !strings.Contains(doc.Text, "the rest is left out") {
		t.Errorf("%d bytes, ends with %q", len(doc.Text), doc.Text[len(doc.Text)-80:])
	}
}
