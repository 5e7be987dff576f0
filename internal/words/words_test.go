package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// reasonName is how constants of reason codes are called, reasonCode how codes look.
var (
	reasonName = regexp.MustCompile(`^(Reason|Note|Unsettled)[A-Z]`)
	reasonCode = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	argument   = regexp.MustCompile(`\{([a-zA-Z]+)\}`)
	listed     = regexp.MustCompile(`args: ([a-zA-Z, ]+)`)
)

// tree is what the source says about reason codes.
type tree struct {
	codes map[string]string          // code → constant, with its package
	args  map[string]map[string]bool // code → arguments that its comment or a call names
}

// readTree reads the constants of reason codes, and the calls that make reasons.
func readTree(t *testing.T) tree {
	t.Helper()
	out := tree{codes: map[string]string{}, args: map[string]map[string]bool{}}
	files := map[string]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "../gen/") {
			return err
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		files[filepath.ToSlash(path)] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	inPackage := map[string]string{} // directory + constant → code
	for path, f := range files {
		dir := filepath.ToSlash(filepath.Dir(path))
		if dir == "../deploy" || dir == "../agent" || strings.HasPrefix(dir, "../platform/") {
			out.constants(dir, f, inPackage)
		}
	}
	for path, f := range files {
		out.calls(filepath.ToSlash(filepath.Dir(path)), f, inPackage)
	}
	return out
}

func (x *tree) constants(dir string, f *ast.File, inPackage map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Names) != 1 || len(v.Values) != 1 || !reasonName.MatchString(v.Names[0].Name) {
			return true
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil || !reasonCode.MatchString(code) {
			return true
		}
		inPackage[dir+" "+v.Names[0].Name] = code
		x.codes[code] = dir + " " + v.Names[0].Name
		comment := v.Doc.Text() + v.Comment.Text()
		for _, m := range argument.FindAllStringSubmatch(comment, -1) {
			x.note(code, m[1])
		}
		for _, m := range listed.FindAllStringSubmatch(comment, -1) {
			for _, a := range strings.Split(m[1], ",") {
				x.note(code, strings.Fields(a + " ")[0])
			}
		}
		return true
	})
}

// calls notes the arguments that calls of Why give to a code.
func (x *tree) calls(dir string, f *ast.File, inPackage map[string]string) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 || !strings.HasSuffix(nameOf(call.Fun), "Why") {
			return true
		}
		code := inPackage[dir+" "+nameOf(call.Args[0])]
		if sel, ok := call.Args[0].(*ast.SelectorExpr); ok && nameOf(sel.X) == "deploy" {
			code = inPackage["../deploy "+sel.Sel.Name]
		}
		for i := 1; i < len(call.Args); i += 2 {
			if lit, ok := call.Args[i].(*ast.BasicLit); ok && code != "" {
				if a, err := strconv.Unquote(lit.Value); err == nil {
					x.note(code, a)
				}
			}
		}
		return true
	})
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func (x *tree) note(code, arg string) {
	if x.args[code] == nil {
		x.args[code] = map[string]bool{}
	}
	x.args[code][arg] = true
}

func TestEveryReasonHasASentence(t *testing.T) {
	found := readTree(t)
	if len(found.codes) < 80 {
		t.Fatalf("only %d reason codes were found: the test looks at the wrong places", len(found.codes))
	}
	for code, constant := range found.codes {
		if !Known(code) {
			t.Errorf("%s (%s) has no sentence: add it to internal/words", code, constant)
		}
	}
	all := map[string]string{}
	for _, catalogue := range []map[string]string{sentences, agent, ecs, fake} {
		for code := range catalogue {
			if _, twice := all[code]; twice {
				t.Errorf("%s has two sentences", code)
			}
		}
		maps.Copy(all, catalogue)
	}
	for code, text := range all {
		if found.codes[code] == "" {
			t.Errorf("%s has a sentence, but nothing gives it", code)
		}
		for _, m := range argument.FindAllStringSubmatch(text, -1) {
			if !found.args[code][m[1]] {
				t.Errorf("%s: the sentence names {%s}, which neither the comment at its constant nor any call does", code, m[1])
			}
		}
		if strings.Count(text, "[") != strings.Count(text, "]") || strings.Count(text, "{") != strings.Count(text, "}") || strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q: brackets that do not close, or a full stop", code, text)
		}
	}
}

func TestSentence(t *testing.T) {
	for _, x := range []struct {
		why  deploy.Reason
		want string
	}{
		{deploy.Reason{}, ""},
		{deploy.Why(deploy.ReasonCancelled, "by", "ann"), "cancelled by ann"},
		{deploy.Why(deploy.ReasonCancelled, "by", "ann", "note", "wrong {by} [commit]"), "cancelled by ann: wrong {by} [commit]"},
		{deploy.Why("ECS_SETTLING", "until", "2026-11-23T23:08:13Z"), "waiting until 23:08:13 UTC: load balancers apply weights later than they show them"},
		{deploy.Why("ECS_SETTLING", "until", "2026-11-24T01:08:13.5+02:00"), "waiting until 23:08:13 UTC: load balancers apply weights later than they show them"},
		{deploy.Why(deploy.ReasonWaited, "duration", "2m30s"), "waited 2m30s"},
		{deploy.Why(deploy.ReasonWaited, "duration", "25s"), "waited 25s"},
		{deploy.Why(deploy.ReasonWaited, "duration", "15m0s"), "waited 15m"},
		{deploy.Why(deploy.ReasonWaited, "duration", "1h0m0s"), "waited 1h"},
		{deploy.Why(deploy.ReasonWaited, "duration", "0s"), "waited 0s"},
		{deploy.Why("ECS_TASKS_FAILING", "count", "3", "set", "s", "reason", "OutOfMemory", "container", "web"), "tasks of task set s stop with an error (3 so far); the last one: OutOfMemory, container web"},
		{deploy.Why("NOBODY_KNOWS", "b", "2", "a", "1"), `NOBODY_KNOWS a="1" b="2"`},
	} {
		if got := Sentence(x.why); got != x.want {
			t.Errorf("%v:\n got %q\nwant %q", x.why, got, x.want)
		}
	}
}

func TestFill(t *testing.T) {
	args := map[string]string{"a": "1", "empty": ""}
	for entry, want := range map[string]string{
		"": "", "plain": "plain", "{a}{a}": "11", "x{missing}y": "xy", "[{missing} gone]{a}": "1", "[{empty}]": "", "[{a}] [{a}{missing}]!": "1 !", "open [{a}": "open [{a}", "{a": "{a", "a}b": "a}b", "}{": "}{",
	} {
		if got := fill(entry, args); got != want {
			t.Errorf("fill(%q) = %q, want %q", entry, got, want)
		}
	}
}
