package spec

import "testing"

// TestSchemaOfSharedFilesAgreesWithDecoder: of shared files too, both accept the same as far as a schema can see.
func TestSchemaOfSharedFilesAgreesWithDecoder(t *testing.T) {
	for kind, texts := range map[Kind]map[string]bool{
		AnalysisTemplate: {
			"{metrics: {a: {provider: p, query: q, interval: 1m, expected: {max: 1}}, b: {provider: p, query: q, interval: 1m}}, logs: {c: {query: q}}, https: {d: {url: u, expectedCode: 200}}}": true,
			"{metrics: {a: {template: {name: b}}}}": false,
			"{metrics: {a: 7}}":                     false,
			"{metrics: []}":                         false,
			"{metrics: {a: {provider: p, query: q, interval: 1m, strategy: GUESS}}}": false,
			"{metrics: {a: {provider: p, query: q, interval: often}}}":               false,
			"{https: {a: {url: u, expectedCode: 200, wrong: 1}}}":                    false,
			"{metric: {}}": false,
			"{logs: {}}":   true,
		},
		EventWatcherFile: {
			"{events: [{name: a, labels: {b: c}, replacements: [{file: f, yamlField: $.a}, {file: f, regex: '(a)'}]}]}": true,
			"{events: [{name: a, replacements: []}]}":                          false,
			"{events: [{replacements: [{file: f, yamlField: $.a}]}]}":          false,
			"{events: [{name: a, replacements: [{yamlField: $.a}]}]}":          false,
			"{events: [{name: a, replacements: [{file: f, jsonField: $.a}]}]}": false,
			"{events: [{name: a, replacements: [{file: f, HCLField: a}]}]}":    false,
			"{events: [], templates: {}}":                                      false,
			"{events: []}":                                                     true,
		},
	} {
		schema := compile(t, kind)
		for text, fine := range texts {
			data := []byte("apiVersion: pipecd.dev/v1beta1\nkind: " + string(kind) + "\nspec: " + text + "\n")
			root, _, err := Parse("f", data)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = ReadShared("f", data)
			if (err == nil) != fine {
				t.Errorf("%s: the decoder says %v", text, err)
			}
			if err := schema.Validate(root.Value()); (err == nil) != fine {
				t.Errorf("%s: the schema says %v", text, err)
			}
		}
	}
}
