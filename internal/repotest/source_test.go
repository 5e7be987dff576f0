package repotest

import (
	"bytes"
	"fmt"
	"go/ast"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
)

var (
	// waits are what a platform may not do: the agent's loop owns time.
	waits = []string{"Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	// clocks are what the centre may not do: the same input gives the same answer.
	clocks = append([]string{"Now", "Since", "Until"}, waits...)
)

// uses lists where a file names one of the functions of a standard package, under whatever name it imports it.
func uses(f *goFile, pkg string, names []string) []ast.Node {
	local := ""
	for _, spec := range f.ast.Imports {
		if importPath(spec.Path.Value) == pkg {
			local = path.Base(pkg)
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	var found []ast.Node
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == local && slices.Contains(names, s.Sel.Name) {
				found = append(found, s)
			}
		}
		return true
	})
	return found
}

func TestCentreHasNoClock(t *testing.T) {
	for _, f := range repo(t).gos {
		if f.test || !inCentre(f.dir) {
			continue
		}
		for _, n := range append(uses(f, "time", clocks), uses(f, "context", []string{"WithTimeout", "WithDeadline"})...) {
			t.Errorf("%s: the centre has no clock: take the time as an argument", f.at(n))
		}
	}
}

// A value of the centre may say how it looks in a log (slog.LogValuer hides secrets); writing the log is its caller's.
func TestCentreDoesNotLog(t *testing.T) {
	loggers := []string{"Logger", "Handler", "New", "Default", "With", "Log", "LogAttrs", "Debug", "Info", "Warn", "Error", "DebugContext", "InfoContext", "WarnContext", "ErrorContext"}
	for _, f := range repo(t).gos {
		if f.test || !inCentre(f.dir) {
			continue
		}
		for _, n := range uses(f, "log/slog", loggers) {
			t.Errorf("%s: the centre does not log: return the value, its caller logs it", f.at(n))
		}
	}
}

func TestPlatformsNeverWait(t *testing.T) {
	for _, f := range repo(t).gos {
		if f.test || support(f.dir) || !f.under("internal/platform") && !f.under("internal/stage") {
			continue
		}
		for _, n := range uses(f, "time", waits) {
			t.Errorf("%s: a platform never waits by itself: return \"still waiting, ask again after d\"", f.at(n))
		}
	}
}

func TestClockIsFoundUnderAnyName(t *testing.T) {
	f := mustParse(t, "internal/deploy/a.go", `package deploy
import clock "time"
func now() any { _ = clock.Second; f := clock.Now; return f() }`)
	if got := uses(f, "time", clocks); len(got) != 1 {
		t.Errorf("found %d uses of the clock, want 1", len(got))
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range repo(t).gos {
		if generated(f.dir) || strings.HasSuffix(f.ast.Name.Name, "_test") {
			continue
		}
		commented[f.dir] = commented[f.dir] || commentOf(f)
	}
	for dir, ok := range commented {
		if !ok {
			t.Errorf("%s: no file begins with a comment \"Package …\" (or \"Command …\") that tells what it is for", dir)
		}
	}
}

// commentOf tells whether the file carries its package's comment.
func commentOf(f *goFile) bool {
	if f.ast.Doc == nil {
		return false
	}
	want := "Package " + f.ast.Name.Name + " "
	if f.ast.Name.Name == "main" {
		want = "Command " + path.Base(f.dir) + " "
	}
	return strings.HasPrefix(strings.Join(strings.Fields(f.ast.Doc.Text()), " "), want)
}

func TestNoInit(t *testing.T) {
	for _, f := range repo(t).gos {
		if generated(f.dir) {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: no init: what must happen is called by whoever needs it", f.at(fn))
			}
		}
	}
}

const (
	longFile = 600  // lines: listed, a newcomer may lose the way
	tooLong  = 1000 // lines: refused, there is a second subject in it
)

func TestFilesAreShort(t *testing.T) {
	r := repo(t)
	var long []string
	for _, name := range r.files {
		if ext := path.Ext(name); ext != ".go" && ext != ".ts" && ext != ".tsx" || generated(path.Dir(name)) {
			continue
		}
		text, err := fs.ReadFile(r.root, name)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(text, []byte("\n"))
		switch {
		case lines > tooLong && !strings.Contains(path.Base(name), "test."):
			t.Errorf("%s has %d lines, over %d: split it by subject", name, lines, tooLong)
		case lines > longFile:
			long = append(long, fmt.Sprintf("%s (%d)", name, lines))
		}
	}
	if len(long) > 0 {
		t.Logf("files over %d lines, worth a look: %s", longFile, strings.Join(long, ", "))
	}
}
