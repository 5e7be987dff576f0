package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/spec"
)

// inSharedFolder says whether a file may be one that the applications of a repository share. Whether its folder is the one
// at the root is seen when the repository is known.
func inSharedFolder(name string) bool {
	parts := strings.Split(filepath.ToSlash(name), "/")
	i := slices.Index(parts[:len(parts)-1], spec.SharedFolder)
	return i >= 0 && spec.IsSharedFile(strings.Join(parts[i:], "/"))
}

// lintShared checks a file of the shared folder: analysis templates, and events with the files that they change.
func lintShared(ctx context.Context, r *workTree, at string, data []byte) []problem {
	x := newExplainer("", at, "", nil)
	x.shared = true
	if !spec.IsSharedFile(at) {
		return r.problems(x, spec.Warnings{{File: at, Line: 1, Column: 1, Message: "not read: the shared folder " + spec.SharedFolder + " is the one at the root of the repository", Hint: "move the file there"}}, nil, nil)
	}
	shared, warnings, err := spec.ReadShared(at, data)
	if shared != nil {
		warnings = append(warnings, replacedFiles(ctx, r, shared)...)
		if shared.Kind == spec.AnalysisTemplate && strings.Count(at, "/") > 1 {
			warnings = append(warnings, spec.Error{File: at, Line: 1, Column: 1, Message: "templates are looked for in " + spec.SharedFolder + " itself, not in folders below it", Hint: "move the file up"})
		}
	}
	return r.problems(x, warnings, err, func(file string) []byte {
		text, rerr := r.ReadFile(ctx, file)
		if rerr != nil || pipedKind.Match(text) {
			return nil
		}
		return text
	})
}

// replacedFiles looks for the files that events change.
func replacedFiles(ctx context.Context, r *workTree, shared *spec.Shared) spec.Warnings {
	var out spec.Warnings
	for _, e := range shared.Events {
		for _, one := range e.Replacements {
			_, err := r.ReadFile(ctx, one.File)
			if one.File == "" || err == nil {
				continue
			}
			hint := "names start at the root of the repository"
			if !errors.Is(err, fs.ErrNotExist) {
				hint = err.Error()
			}
			out = append(out, one.At.Errorf(hint, "the repository has no file %s that could be changed", one.File))
		}
	}
	return out
}
