package spec

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// SchemaDialect is the JSON Schema version that is written: the newest that editors understand everywhere.
const SchemaDialect = "http://json-schema.org/draft-07/schema#"

// Patterns of texts in a schema, in the syntax that JavaScript and Go share.
const (
	durationPattern = `^[-+]?(0|([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$`
	percentPattern  = `^[-+]?[0-9]+%?$`
)

// otherSpellings are keys that documentation in the field spells differently; files match keys in any case, a schema cannot.
func otherSpellings() map[string]string {
	return map[string]string{"repoId": "repoID", "slackUsers": "slackusers", "slackGroups": "slackgroups", "HCLField": "hclField"}
}

// JSONSchema writes the shape of a file as a JSON Schema. It accepts whatever the decoders accept as long as keys have their
// usual spelling, and refuses what can be seen without knowing other fields or files.
func (s *Shape) JSONSchema(title string) ([]byte, error) {
	m := s.schema()
	m["$schema"] = SchemaDialect
	m["title"] = title
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(data, '\n'), nil
}

type schema = map[string]any

// schema writes one value. Null counts as absent everywhere, so it is permitted unless the value is required.
func (s *Shape) schema() schema {
	m := s.typed()
	if text := s.describe(); text != "" {
		m["description"] = text
	}
	if s.Default != "" {
		m["default"] = s.defaultValue()
	}
	return m
}

func (s *Shape) describe() string {
	text := s.Text
	if s.Inactive != "" {
		text = strings.TrimSpace(text + " Note: " + s.Inactive + ".")
	}
	return text
}

func (s *Shape) defaultValue() any {
	switch s.Type {
	case BoolType:
		return s.Default == "true"
	case WholeType:
		return json.Number(s.Default)
	}
	return s.Default
}

func (s *Shape) typed() schema {
	switch s.Type {
	case ObjectType:
		return s.object()
	case ListType:
		return s.sized(schema{"type": s.orNull("array"), "items": s.Item.schema()}, "minItems")
	case TextsType, PatternsType:
		return s.sized(schema{"type": s.orNull("array"), "items": schema{"type": []string{"string", "null"}}}, "minItems")
	case NamedType:
		return schema{"type": s.orNull("object"), "additionalProperties": s.Item.schema()}
	case MapType:
		return schema{"type": s.orNull("object"), "additionalProperties": schema{"type": []string{"string", "null"}}}
	case TextType:
		return s.text()
	case IDType:
		return s.sized(schema{"type": s.orNull("string", "integer")}, "minLength")
	case BoolType:
		return schema{"type": s.orNull("boolean")}
	case WholeType:
		return schema{"type": s.orNull("integer")}
	case NumberType:
		return schema{"type": s.orNull("number")}
	case DurationType:
		return schema{"type": s.orNull("string", "integer", "number"), "pattern": durationPattern, "minimum": 0, "maximum": 0}
	case PercentType:
		return schema{"type": s.orNull("string", "integer"), "pattern": percentPattern}
	case ReplicasType:
		return schema{"type": s.orNull("string", "number"), "pattern": percentPattern}
	}
	return schema{}
}

func (s *Shape) orNull(types ...string) any {
	if !s.Required {
		types = append(types, "null")
	}
	if len(types) == 1 {
		return types[0]
	}
	return types
}

func (s *Shape) sized(m schema, key string) schema {
	if s.Required {
		m[key] = 1
	}
	return m
}

// text writes a text; the words come first, so that an editor offers them and nothing else.
func (s *Shape) text() schema {
	if len(s.Words) == 0 {
		return s.sized(schema{"type": s.orNull("string")}, "minLength")
	}
	choices := []schema{{"enum": s.Words}}
	if len(s.Also) > 0 {
		quoted := make([]string, len(s.Also))
		for i, w := range s.Also {
			quoted[i] = regexp.QuoteMeta(w)
		}
		choices = append(choices, schema{"type": "string", "pattern": "^(" + strings.Join(quoted, "|") + ")$"})
	}
	if s.AnyWord {
		choices = append(choices, schema{"type": "string", "minLength": 1})
	}
	if !s.Required {
		choices = append(choices, schema{"type": "null"}, schema{"type": "string", "maxLength": 0})
	}
	if len(choices) == 1 {
		return schema{"enum": s.Words}
	}
	return schema{"anyOf": choices}
}

func (s *Shape) object() schema {
	m := schema{"type": s.orNull("object")}
	props := schema{}
	s.properties(props, m, s)
	m["properties"] = props
	if !s.Lenient && !s.Open && len(s.Fields) > 0 {
		m["additionalProperties"] = false
	}
	var all []schema
	for _, keys := range s.OneOf {
		any := make([]schema, len(keys))
		for i, k := range keys {
			any[i] = schema{"required": []string{k}}
		}
		all = append(all, schema{"anyOf": any})
	}
	for _, v := range s.Variants {
		all = append(all, s.when(v))
	}
	if len(all) > 0 {
		m["allOf"] = all
	}
	return m
}

// properties writes the fields of from into props, and into m those that must be there.
func (s *Shape) properties(props, m schema, from *Shape) {
	var required []string
	for _, f := range from.Fields {
		if f.Type == AnyType && f.Text == "" && s.Lenient && !s.isVariantKey(f.Key) {
			continue // known to the decoder only so that it can say what is wrong with it
		}
		props[f.Key] = f.schema()
		other, twoWays := otherSpellings()[f.Key]
		if twoWays {
			props[other] = props[f.Key]
		}
		if f.Required && !twoWays {
			required = append(required, f.Key)
		}
	}
	if len(required) > 0 {
		m["required"] = required
	}
}

func (s *Shape) isVariantKey(key string) bool {
	for _, v := range s.Variants {
		if v.Field(key) != nil {
			return true
		}
	}
	return false
}

// when writes what holds for one value of the deciding key; its default holds when the key is absent.
func (s *Shape) when(v *Shape) schema {
	test := schema{"properties": schema{s.Switch: schema{"const": v.Key}}}
	if f := s.Field(s.Switch); f == nil || f.Default != v.Key {
		test["required"] = []string{s.Switch}
	}
	then, props := schema{}, schema{}
	s.properties(props, then, v)
	then["properties"] = props
	return schema{"if": test, "then": then}
}
