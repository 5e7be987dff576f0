package spec

import "strings"

// At finds the shape of a path such as spec.pipeline.stages[1].with.scale, or nil.
func (s *Shape) At(path string) *Shape {
	return s.at(strings.Split(listMarks.ReplaceAllString(path, ".[]"), "."))
}

func (s *Shape) at(words []string) *Shape {
	switch {
	case s == nil || len(words) == 0 || words[0] == "":
		return s
	case words[0] == "[]":
		return s.Item.at(words[1:])
	}
	for _, v := range s.Variants {
		if found := v.Field(words[0]).at(words[1:]); found != nil {
			return found
		}
	}
	return s.Field(words[0]).at(words[1:])
}

// Hint says in one line what belongs here: what it is for, its type and its default.
func (s *Shape) Hint() string {
	var b strings.Builder
	b.WriteString(s.Key)
	if s.Type != AnyType {
		b.WriteString(" is a " + string(s.Type))
	}
	if s.Default != "" {
		b.WriteString(", " + s.Default + " when left out")
	}
	if s.Text != "" {
		b.WriteString(": " + strings.TrimSuffix(strings.ToLower(s.Text[:1])+s.Text[1:], "."))
	}
	return strings.Replace(b.String(), " a object", " an object", 1)
}
