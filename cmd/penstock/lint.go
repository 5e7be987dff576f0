package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/builtin"
	"github.com/penstock-cd/penstock/internal/spec"
)

// linter is the part of a platform that checks files; it reaches no cloud.
type linter interface {
	Kind() deploy.Kind
	Load(ctx context.Context, src platform.Source) (platform.Desired, error)
}

// linters are the built-in platforms.
func linters() []linter {
	var out []linter
	for _, p := range builtin.Platforms(builtin.Options{}) {
		out = append(out, p)
	}
	return out
}

// problem is one remark about one place.
type problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // error or warning
	Path     string `json:"path,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
	Doc      string `json:"doc"` // where it is documented
	excerpt  string
}

type lintOptions struct {
	s         streams
	platforms []linter
	format    string
	root      string
	strict    bool
}

func newLintCommand(s streams, platforms []linter) *cobra.Command {
	o := lintOptions{s: s, platforms: platforms}
	cmd := &cobra.Command{
		Use:   "lint [FILE|DIR...]",
		Short: "Check application files, the files they name, and agent files, without a server",
		Long: `Check application files completely, as an agent would read them: the generic part, the platform's part, and the files
that they name (service and task definitions). Agent files (kind: Piped) and the shared files in .pipe at the root of a
repository are checked too. A folder is searched for all of them; without an argument it is the one that lint runs in. Applications of a repository that
claim the same thing, such as one service in two environments, are an error. It ends with 1 when there is an error, with
--strict also when there is a warning.`,
		Example: "  penstock lint\n  penstock lint services/web/app.pipecd.yaml --strict -o json\n  penstock lint . -o sarif > penstock.sarif",
		Args:    atLeast(0),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "text, json, sarif or github (annotations of a pull request)")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "a warning is an error")
	cmd.Flags().StringVar(&o.root, "root", "", "root of the repository (default: the nearest folder above the file with .git, else the folder lint runs in)")
	return cmd
}

func (o *lintOptions) run(ctx context.Context, args []string) error {
	show, ok := lintFormats[o.format]
	if !ok {
		return usagef("-o %s is not one of %s", o.format, strings.Join(sortedKeys(lintFormats), ", "))
	}
	if len(args) == 0 {
		args = []string{"."}
	}
	files, err := o.find(args)
	if err != nil {
		return err
	}
	all, err := o.lintAll(ctx, files)
	if err != nil {
		return err
	}
	r := lintResult{Files: len(files), Problems: all}
	for i := range all {
		if o.strict {
			all[i].Severity = "error"
		}
		if all[i].Severity == "error" {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
	if err := show(o, r); err != nil {
		return err
	}
	if r.Errors > 0 {
		return &statusError{code: exitError}
	}
	return nil
}

// lintAll checks every file by itself, then what the applications claim together.
func (o *lintOptions) lintAll(ctx context.Context, files []string) ([]problem, error) {
	all, claims := []problem{}, []claimed{}
	for _, f := range files {
		found, claim, err := o.lintFile(ctx, f)
		if err != nil {
			return nil, err
		}
		all, claims = append(all, found...), append(claims, claim...)
	}
	sortClaims(claims)
	all = append(all, disputes(claims)...)
	for i := range all {
		all[i].Doc = docsBase + all[i].Doc
	}
	return all, nil
}

var (
	pipedKind = regexp.MustCompile(`(?m)^\s*["']?kind["']?\s*:\s*["']?Piped\b`)
	yamlName  = regexp.MustCompile(`\.ya?ml$`)
)

// find lists the files to check. Finding nothing is an error: a slip of the
// path must not look like success.
func (o *lintOptions) find(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		name := o.s.path(arg)
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &deploy.Error{Code: deploy.CodeNotFound, Object: arg, Message: "there is no such file or folder"}
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, name)
			continue
		}
		before := len(out)
		err = filepath.WalkDir(name, func(p string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules"):
				return filepath.SkipDir
			case e.Type().IsRegular() && (spec.IsApplicationFile(e.Name()) || inSharedFolder(p) || yamlName.MatchString(e.Name()) && mayBePiped(p)):
				out = append(out, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, &deploy.Error{Code: deploy.CodeNotFound, Object: arg, Message: "the folder holds no application file (*.pipecd.yaml) and no agent file (kind: Piped)"}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func mayBePiped(name string) bool {
	data, err := readLimited(name)
	return err == nil && isPiped(data)
}

// isPiped tells an agent's file by its kind; of one that is no YAML, by its look.
func isPiped(data []byte) bool {
	if !pipedKind.Match(data) {
		return false
	}
	n, _, err := spec.Parse("", data)
	return err != nil || n.Get("kind").Text() == string(spec.PipedFile)
}

// readLimited reads a little more of a file than the decoder takes: it says then that the file is too large.
func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, spec.MaxBytes+1))
}

// lintFile checks one file and those that it names.
func (o *lintOptions) lintFile(ctx context.Context, name string) ([]problem, []claimed, error) {
	data, err := readLimited(name)
	if err != nil {
		return nil, nil, err
	}
	r, err := o.repository(name)
	if err != nil {
		return nil, nil, err
	}
	defer r.root.Close() //nolint:errcheck // only read
	at := r.inside(name)
	if isPiped(data) {
		_, warnings, err := spec.ReadPiped(at, data)
		return r.problems(newExplainer(spec.PipedFile, at, "", o.known()), warnings, err, nil), nil, nil
	}
	if inSharedFolder(at) && !spec.IsApplicationFile(at) {
		return lintShared(ctx, r, at, data), nil, nil
	}
	var claims []claimed
	x := newExplainer("", at, "", nil)
	var gone *elsewhereError
	if _, err := r.ReadFile(ctx, at); errors.As(err, &gone) {
		return r.problems(x, nil, spec.Error{File: at, Line: 1, Column: 1, Message: gone.what, Hint: gone.hint}, nil), nil, nil
	}
	app, warnings, err := spec.ReadApplication(at, data)
	dir := path.Dir(at)
	if dir == "." {
		dir = "" // the root
	}
	if app != nil {
		x = newExplainer(app.Kind, at, app.Platform, o.known())
		p, ok := o.platformOf(app)
		if !ok {
			warnings = append(warnings, spec.Error{File: at, Line: app.Pos.Line, Column: app.Pos.Column, Message: fmt.Sprintf("only the generic part was checked: no platform of this version reads kind %s (%s)", app.Kind, app.Platform), Hint: "nothing is deployed from this file by this version"})
		} else {
			desired, perr := p.Load(ctx, platform.Source{
				App:    deploy.Ref{Name: app.Name, Kind: p.Kind(), Path: dir, ConfigFile: path.Base(at)},
				Config: app, Commit: deploy.Commit{Hash: onDisk}, Files: r,
			})
			warnings, err = append(warnings, desired.Warnings...), spec.Join(err, perr)
			if perr == nil {
				claims = claimsOf(p, app, desired, r, at)
			}
		}
	}
	source := func(file string) []byte {
		text, rerr := r.ReadFile(ctx, file)
		// What could not be read as YAML and is not named as an application file may be anything: it is not shown.
		if rerr != nil || pipedKind.Match(text) || app == nil && !spec.IsApplicationFile(file) {
			return nil
		}
		return text
	}
	return r.problems(x, warnings, err, source), claims, nil
}

// known are the platforms that describe their fields.
func (o *lintOptions) known() map[spec.Kind]spec.Describer { return describersOf(o.platforms) }

// platformOf finds the platform that reads a file: by its kind word, or by the
// platform that a file of kind Application names.
func (o *lintOptions) platformOf(app *spec.Application) (linter, bool) {
	for _, p := range o.platforms {
		if string(p.Kind()) == string(app.Kind) || app.Kind == spec.PluginApp && strings.EqualFold(string(p.Kind()), app.Platform+"App") {
			return p, true
		}
	}
	return nil, false
}
