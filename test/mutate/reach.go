package mutate

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/cover"
)

// Reached is what a run has reached of the code.
type Reached map[string][]cover.ProfileBlock // by path below the root of the repository

// ReadProfile reads a coverage profile; module is the path that its file names
// begin with.
func ReadProfile(file, module string) (Reached, error) {
	profiles, err := cover.ParseProfiles(file)
	if err != nil {
		return nil, fmt.Errorf("the profile of what is reached: %w", err)
	}
	out := Reached{}
	for _, p := range profiles {
		for _, b := range p.Blocks {
			if b.Count > 0 {
				path := strings.TrimPrefix(p.FileName, module+"/")
				out[path] = append(out[path], b)
			}
		}
	}
	return out, nil
}

// Has tells whether the place of a mutant was run.
func (r Reached) Has(m Mutant) bool {
	return slices.ContainsFunc(r[m.Path()], func(b cover.ProfileBlock) bool {
		after := m.Line > b.StartLine || m.Line == b.StartLine && m.Column >= b.StartCol
		before := m.Line < b.EndLine || m.Line == b.EndLine && m.Column < b.EndCol
		return after && before
	})
}
