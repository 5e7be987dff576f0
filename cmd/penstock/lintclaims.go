package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// claimed is what one application file claims.
type claimed struct {
	platform.FileClaim
	file        string // for people
	tree        string // root of the repository
	kind        string
	environment string
}

// claimsOf asks the platform, if it can tell.
func claimsOf(p linter, app *spec.Application, d platform.Desired, r *workTree, at string) []claimed {
	c, ok := p.(platform.Claimant)
	if !ok {
		return nil
	}
	var out []claimed
	for _, one := range c.FileClaims(app, d) {
		out = append(out, claimed{FileClaim: one, file: r.display(at), tree: r.dir, kind: string(p.Kind()), environment: environment(app.Labels)})
	}
	return out
}

// environment is what an application's labels say of it; empty when they say nothing.
func environment(labels map[string]string) string {
	return cmp.Or(labels["env"], labels["environment"])
}

// disputes compares what the applications of a repository claim.
func disputes(all []claimed) []problem {
	var out []problem
	for i, later := range all {
		for _, first := range all[:i] {
			if p, ok := dispute(first, later); ok {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// dispute compares two claims. Where the files do not tell the account, two equal names are only a warning.
func dispute(first, later claimed) (problem, bool) {
	same := first.tree == later.tree && first.file != later.file && first.kind == later.kind && first.Kind == later.Kind && first.Name == later.Name
	certain := first.Scope != "" && first.Scope == later.Scope
	differ := first.environment != later.environment
	switch {
	case !same, first.Scope != "" && later.Scope != "" && first.Scope != later.Scope, later.Shared && !differ:
		return problem{}, false
	}
	pos := later.At.Pos()
	p := problem{
		File: later.file, Line: max(1, pos.Line), Column: max(1, pos.Column), Severity: "error", Path: later.At.Path(), Doc: docClaims,
		Message: fmt.Sprintf("%s and %s both claim the %s %s (%s, %s)", later.file, first.file, later.Kind, later.Name, envWords(later.environment), envWords(first.environment)),
		Hint:    "name another " + later.Kind + " in one of the two files, or remove one of them",
	}
	if !certain {
		p.Severity = "warning"
		p.Message += ", unless they are deployed to different accounts or regions"
		p.Hint = "give the cluster as an ARN, so that the account is known, or " + p.Hint
	}
	return p, true
}

func envWords(env string) string {
	if env == "" {
		return "no environment"
	}
	return "environment " + env
}

func sortClaims(all []claimed) {
	slices.SortStableFunc(all, func(a, b claimed) int { return cmp.Compare(a.file, b.file) })
}
