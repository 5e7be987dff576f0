package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/internal/spec"
)

// describers are the platforms that describe their part of the files, by kind.
func describers() map[spec.Kind]spec.Describer {
	return describersOf(linters())
}

func describersOf(platforms []linter) map[spec.Kind]spec.Describer {
	out := map[spec.Kind]spec.Describer{}
	for _, p := range platforms {
		if d, ok := p.(spec.Describer); ok {
			out[spec.Kind(p.Kind())] = d
		}
	}
	return out
}

// jsonSchema writes the schema of a kind of file.
func jsonSchema(kind spec.Kind) ([]byte, error) {
	shape, err := spec.Describe(kind, describers())
	if err != nil {
		return nil, err
	}
	return shape.JSONSchema("Penstock: kind " + string(kind))
}

func newSchemaCommand(s streams) *cobra.Command {
	var kinds []string
	for _, k := range spec.DescribedKinds() {
		kinds = append(kinds, string(k))
	}
	return &cobra.Command{
		Use:   "schema KIND",
		Short: "Print the JSON Schema of a kind of file, for editors",
		Long: `Print the JSON Schema of a kind of file, made of what this version decodes. Editors complete fields and show mistakes with it.
Kinds: ` + strings.Join(kinds, ", ") + ".",
		Example:   "  penstock schema ECSApp > app.schema.json",
		ValidArgs: kinds,
		Args:      exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := jsonSchema(spec.Kind(args[0]))
			if err != nil {
				return usagef("%w", err)
			}
			_, err = s.Out.Write(data)
			return err
		},
	}
}
