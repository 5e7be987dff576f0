package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/git"
	"github.com/penstock-cd/penstock/internal/git/gitexec"
	"github.com/penstock-cd/penstock/internal/spec"
)

// onDisk stands for the commit when files are read as they lie there.
const onDisk = "disk"

// workTree is a repository as it lies on disk. It reads no file outside of its
// root, not through symbolic links either.
type workTree struct {
	root *os.Root
	dir  string // absolute
	from string // absolute: where names for people begin
}

// repository opens the tree that a file belongs to.
func (o *lintOptions) repository(name string) (*workTree, error) {
	from, err := filepath.Abs(o.s.path("."))
	if err != nil {
		return nil, err
	}
	file, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	dir := ""
	if o.root != "" {
		if dir, err = filepath.Abs(o.s.path(o.root)); err != nil {
			return nil, err
		}
		if !below(dir, file) {
			return nil, usagef("%s does not lie below --root %s", name, o.root)
		}
	} else {
		dir = rootOf(file, from)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &workTree{root: root, dir: dir, from: from}, nil
}

// rootOf finds the root of the repository of a file.
func rootOf(file, from string) string {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if below(from, file) {
		return from
	}
	return filepath.Dir(file)
}

func below(dir, file string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// inside is the name of a file in the repository.
func (r *workTree) inside(name string) string {
	abs, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	rel, err := filepath.Rel(r.dir, abs)
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}

// ReadFile implements platform.Files.
func (r *workTree) ReadFile(ctx context.Context, name string) ([]byte, error) {
	f, err := r.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	}
	if err := r.elsewhere(ctx, name); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, spec.MaxBytes+1))
	if err == nil && git.IsLFSPointer(data) {
		return nil, inLFS(name)
	}
	return data, err
}

// elsewhereError is a file that an agent does not find in the repository.
type elsewhereError struct{ what, hint string }

func (e *elsewhereError) Error() string { return e.what + "; " + e.hint }

func inLFS(name string) error {
	return &elsewhereError{name + " is kept in Git LFS: " + git.LFSDetail, git.LFSHint}
}

// elsewhere refuses what a checkout shows and an agent does not find: a file of a
// submodule, and the content of one in Git LFS.
func (r *workTree) elsewhere(ctx context.Context, name string) error {
	attributed := false
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if _, err := r.root.Lstat(path.Join(dir, ".git")); err == nil && dir != "." {
			return &elsewhereError{name + " lies in the submodule " + dir + ", and submodules are not fetched", "move the files into this repository, or give the other repository to the agent"}
		}
		if text, err := r.root.ReadFile(path.Join(dir, ".gitattributes")); err == nil && strings.Contains(string(text), "filter=lfs") {
			attributed = true
		}
		if dir == "." || dir == "/" {
			break
		}
	}
	if !attributed {
		return nil
	}
	out, err := gitexec.New(gitexec.Options{}).Run(ctx, "", nil, "-C", r.dir, "check-attr", "-z", "filter", "--", name)
	if err == nil && strings.HasSuffix(string(out), "\x00filter\x00lfs\x00") {
		return inLFS(name)
	}
	return nil // without git, or outside of a repository, the pointer itself would have told
}

// display is the name of a file of the repository for people: as seen from
// where the program runs.
func (r *workTree) display(file string) string {
	abs := filepath.Join(r.dir, filepath.FromSlash(file))
	if rel, err := filepath.Rel(r.from, abs); err == nil && (below(r.from, abs) || strings.Count(rel, "..") < 3) {
		return rel
	}
	return abs
}

// problems makes remarks of warnings and an error, in the order of the files'
// lines. Without a source nothing of the files' content is shown.
func (r *workTree) problems(x explainer, warnings spec.Warnings, err error, source func(file string) []byte) []problem {
	var out []problem
	file := x.file
	add := func(list []spec.Error, severity string) {
		for _, e := range list {
			if e.File == "" {
				e.File = file
			}
			hint, doc := x.explain(e)
			p := problem{
				File: r.display(e.File), Line: max(1, e.Line), Column: max(1, e.Column), Severity: severity,
				Path: e.Path, Message: strings.ReplaceAll(e.Message, " at commit "+onDisk, ""), Hint: hint, Doc: doc,
			}
			if source != nil {
				p.excerpt = e.Excerpt(source(e.File))
			}
			out = append(out, p)
		}
	}
	if err != nil {
		var list spec.Errors
		if errors.As(spec.Join(err), &list) {
			add(list, "error")
		}
	}
	add(warnings, "warning")
	sortProblems(out, r.display(file))
	return out
}

// sortProblems orders by place, the application file before those that it names.
func sortProblems(list []problem, first string) {
	slices.SortStableFunc(list, func(a, b problem) int {
		return cmp.Or(
			-cmp.Compare(boolInt(a.File == first), boolInt(b.File == first)),
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
		)
	})
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
