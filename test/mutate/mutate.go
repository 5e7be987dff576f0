// Package mutate lets a mutation tool (gremlins, tools/mutants) propose small
// mistakes in the code and builds the program with one of them in it. The
// simulator must notice each: that it can see is tried with mistakes that nobody
// chose.
//
// The tool finds the places and says what it would do there; it is not used to
// run tests, because it knows only those beside the code.
package mutate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one mistake that the tool proposes.
type Mutant struct {
	Dir    string // package folder below the root of the repository, with slashes
	File   string // name of the file
	Kind   string // the tool's name of the mistake, CONDITIONALS_NEGATION
	Line   int    // from 1
	Column int    // from 1, in bytes
	// Func is the function around it, Text its line without surrounding space.
	Func, Text string
}

// Path is the file below the root of the repository.
func (m Mutant) Path() string { return m.Dir + "/" + m.File }

// Key names the mutant by what it does, not by the number of its line: it stays
// the same when other lines of the file change.
func (m Mutant) Key() string {
	return fmt.Sprintf("%s %s %s %d `%s`", m.Path(), m.Func, m.Kind, m.Column, m.Text)
}

func (m Mutant) String() string {
	return fmt.Sprintf("%s:%d:%d: %s in %s: %s", m.Path(), m.Line, m.Column, m.Kind, m.Func, m.Text)
}

// kinds are the kinds of mistakes that the tool leaves out unless asked.
var kinds = []string{"--invert-logical", "--invert-loopctrl", "--invert-assignments", "--invert-bitwise", "--remove-self-assignments"}

// Candidates asks the tool for all mistakes that it would make in a package.
// Lines that log, measure or word an error are left out, in the order of the
// files and lines.
func Candidates(ctx context.Context, root, dir string) ([]Mutant, error) {
	tmp, err := os.MkdirTemp("", "penstock-mutants-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	out := filepath.Join(tmp, "report.json")
	args := slices.Concat([]string{"tool", "-modfile=tools/mutants/go.mod", "gremlins", "unleash", "--dry-run", "--output", out}, kinds, []string{"./" + dir})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	// The tool runs the tests beside the code for their coverage; what the
	// simulator reaches is what counts here.
	cmd.Env = append(os.Environ(), "GOFLAGS=-run=^$")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("list the mutants of %s: %w\n%s", dir, err, text)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	return parseReport(root, dir, data)
}

func parseReport(root, dir string, data []byte) ([]Mutant, error) {
	var report struct {
		Files []struct {
			FileName  string `json:"file_name"`
			Mutations []struct {
				Type         string
				Line, Column int
			}
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("the tool's report: %w", err)
	}
	var all []Mutant
	for _, f := range report.Files {
		if strings.Contains(f.FileName, "/") {
			continue // another package, below this one
		}
		src, err := os.ReadFile(filepath.Join(root, dir, f.FileName))
		if err != nil {
			return nil, err
		}
		code, err := read(f.FileName, src)
		if err != nil {
			return nil, err
		}
		for _, m := range f.Mutations {
			x := Mutant{Dir: dir, File: f.FileName, Kind: m.Type, Line: m.Line, Column: m.Column}
			if !code.describe(&x) {
				continue
			}
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b Mutant) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Kind, b.Kind))
	})
	return all, nil
}

// Shuffle gives the mutants in an order that the seed fixes: it depends on what
// a mutant does and not on how many others there are, so a change of the code
// changes the order of those alone that it touches.
func Shuffle(all []Mutant, seed string) []Mutant {
	rank := func(m Mutant) []byte {
		h := sha256.Sum256([]byte(seed + "\x00" + m.Key()))
		return h[:]
	}
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b Mutant) int { return bytes.Compare(rank(a), rank(b)) })
	return out
}

// ErrNotCompiled says that a mutant is no program: the tool looks at tokens and
// knows no types.
type ErrNotCompiled struct {
	Mutant Mutant
	Output string
}

func (e *ErrNotCompiled) Error() string {
	return fmt.Sprintf("%s does not compile:\n%s", e.Mutant, e.Output)
}

// Build compiles the tests of a package with the mutant in it, to the file bin.
// The repository is left as it is. With cover, packages to be covered, the
// binary can write a profile. The zero Mutant builds the program as it is.
func Build(ctx context.Context, root string, m Mutant, pkg, bin string, cover ...string) error {
	args := []string{"test", "-c", "-ldflags=-s -w", "-o", bin}
	if m != (Mutant{}) {
		overlay, err := writeOverlay(root, m, bin)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	if len(cover) > 0 {
		args = append(args, "-covermode=count", "-coverpkg="+strings.Join(cover, ","))
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return nil
	case m != (Mutant{}) && ctx.Err() == nil:
		return &ErrNotCompiled{Mutant: m, Output: string(text)}
	}
	return fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, text)
}

// writeOverlay writes the changed file and the map to it beside bin.
func writeOverlay(root string, m Mutant, bin string) (string, error) {
	path := filepath.Join(root, filepath.FromSlash(m.Path()))
	src, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	changed, err := m.Apply(src)
	if err != nil {
		return "", err
	}
	file := bin + ".go.mutant"
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: file}})
	if err != nil {
		return "", err
	}
	name := bin + ".overlay.json"
	return name, os.WriteFile(name, overlay, 0o600)
}
