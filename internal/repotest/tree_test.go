package repotest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/penstock-cd/penstock"

// goFile is one parsed Go file; name and dir are slash-separated paths below the root.
type goFile struct {
	name, dir string
	test      bool
	set       *token.FileSet
	ast       *ast.File
}

// at gives file:line of a node, for messages.
func (f *goFile) at(n ast.Node) string {
	return f.set.Position(n.Pos()).String()
}

// under tells whether the file is in dir or below it.
func (f *goFile) under(dir string) bool { return within(f.dir, dir) }

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// generated folders are nobody's hand: only the import table looks at them.
func generated(dir string) bool { return within(dir, "internal/gen") || within(dir, "web/src/gen") }

// repository is what the tests look at, read once.
type repository struct {
	root  fs.FS
	files []string // all files but those that are built, downloaded or ignored by git
	gos   []*goFile
}

var load = sync.OnceValues(func() (*repository, error) {
	dir, err := findRoot()
	if err != nil {
		return nil, err
	}
	r := &repository{root: os.DirFS(dir)}
	if err := fs.WalkDir(r.root, ".", r.visit); err != nil {
		return nil, err
	}
	return r, nil
})

func repo(t *testing.T) *repository {
	t.Helper()
	r, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// findRoot goes up from the test's folder to the main module's go.mod.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", os.ErrNotExist
		}
		dir = up
	}
}

func (r *repository) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if d.IsDir() {
		switch path.Base(name) {
		case ".git", "node_modules", ".cache", "rapid", "coverage", "test-results", "playwright-report":
			return fs.SkipDir
		}
		if name == "bin" || name == "web/dist" {
			return fs.SkipDir
		}
		return nil
	}
	if !d.Type().IsRegular() || name == ".git" { // in a second worktree .git is a file
		return nil
	}
	r.files = append(r.files, name)
	if path.Ext(name) != ".go" || strings.Contains(name, "testdata/") {
		return nil
	}
	f, err := r.parse(name)
	if err != nil {
		return err
	}
	r.gos = append(r.gos, f)
	return nil
}

func (r *repository) parse(name string) (*goFile, error) {
	src, err := fs.ReadFile(r.root, name)
	if err != nil {
		return nil, err
	}
	return parseGo(name, string(src))
}

func parseGo(name, src string) (*goFile, error) {
	f := &goFile{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), set: token.NewFileSet()}
	var err error
	f.ast, err = parser.ParseFile(f.set, name, src, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func mustParse(t *testing.T, name, src string) *goFile {
	t.Helper()
	f, err := parseGo(name, src)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
