package spec

import (
	"regexp"
	"slices"
	"strings"
)

// SharedFolder is the folder at the root of a repository that holds what its applications share.
const SharedFolder = ".pipe"

// Shared is a decoded file of the shared folder: analysis templates, or event definitions in their older form.
type Shared struct {
	// File is the name given to [ReadShared].
	File string
	Kind Kind
	// Metrics, Logs and HTTPS are the checks that ANALYSIS stages name as templates.
	Metrics, Logs, HTTPS map[string]AnalysisCheck
	Events               []SharedEvent
}

// SharedEvent replaces values in files when an event of its name and labels arrives.
type SharedEvent struct {
	Name         string
	Labels       map[string]string
	Replacements []SharedReplacement
}

// SharedReplacement is one place of one file; the name of the file starts at the root of the repository.
type SharedReplacement struct {
	Replacement
	At Node // the name of the file
}

// IsSharedFile says whether a file, by its path in the repository, is one that is read as shared.
func IsSharedFile(name string) bool {
	rest, below := strings.CutPrefix(name, SharedFolder+"/")
	return below && slices.ContainsFunc([]string{".yaml", ".yml", ".json"}, func(end string) bool { return strings.HasSuffix(rest, end) })
}

// ReadShared decodes a file of the shared folder. The error is an [Errors] with every problem; the value is nil then.
func ReadShared(file string, data []byte) (*Shared, Warnings, error) {
	root, warnings, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	d, out := NewDecoder(), &Shared{File: file}
	out.read(d, root)
	more, err := d.Finish()
	if err != nil {
		return nil, nil, err
	}
	warnings = append(warnings, more...)
	sortProblems(warnings)
	return out, warnings, nil
}

func (s *Shared) read(d *Decoder, root Node) {
	o := d.envelope(root)
	if o == nil {
		return
	}
	kind := root.Get("kind")
	s.Kind = Kind(kind.Text())
	switch spec := o.Object("spec"); s.Kind {
	case AnalysisTemplate:
		s.templates(spec)
	case EventWatcherFile:
		s.events(spec)
	default:
		d.Fail(kind, "files of "+SharedFolder+" have kind AnalysisTemplate or EventWatcher", "%s is not shared by applications", quote(kind.Text()))
		spec.ignoreAll()
	}
}

// templates decodes the checks by their names. A check that lacks what every check needs is refused here, and not by the
// first deployment that uses it.
func (s *Shared) templates(o *Object) {
	s.Metrics = namedChecks(o, "metrics", readMetric)
	s.Logs = namedChecks(o, "logs", func(c *Object) AnalysisCheck {
		out := readCheck(c)
		c.String("provider", &out.Provider)
		c.String("query", &out.Query)
		return out
	})
	s.HTTPS = namedChecks(o, "https", readHTTPCheck)
	o.d.Warn(o.Self(), "", "analysis is not active in this version; no stage uses a template")
}

func namedChecks(o *Object, key string, read func(*Object) AnalysisCheck) map[string]AnalysisCheck {
	n := o.Node(key)
	list := o.d.Object(n)
	list.ignoreAll()
	o.recordNamed(key, n)
	out := map[string]AnalysisCheck{}
	for _, name := range n.Keys() {
		c := o.d.Object(n.Get(name))
		if c.Has("template") {
			c.Fail("template", "write the check itself", "a template cannot be made of another one")
		}
		out[name] = read(c)
		c.refuses("template")
	}
	return out
}

func (s *Shared) events(o *Object) {
	for _, e := range o.Objects("events") {
		var one SharedEvent
		e.Required("name", "replacements")
		e.String("name", &one.Name)
		e.StringMap("labels", &one.Labels)
		for _, r := range e.Objects("replacements") {
			one.Replacements = append(one.Replacements, sharedReplacement(r))
		}
		s.Events = append(s.Events, one)
	}
	o.d.Warn(o.Self(), "", "events are not active in this version; no file is changed when one arrives")
}

func sharedReplacement(o *Object) SharedReplacement {
	r := SharedReplacement{At: o.Node("file")}
	o.Required("file")
	o.String("file", &r.File)
	o.String("yamlField", &r.YAMLField)
	o.String("jsonField", &r.JSONField)
	o.String("HCLField", &r.HCLField)
	o.String("regex", &r.Regex)
	o.checkRegexp("regex", r.Regex)
	o.refuses("jsonField", "HCLField")
	for key, v := range map[string]string{"jsonField": r.JSONField, "HCLField": r.HCLField} {
		if v != "" {
			o.Fail(key, "use yamlField or regex", "there is no replacement by %s", key)
		}
	}
	if r.YAMLField != "" && !strings.HasPrefix(r.YAMLField, "$") {
		o.Fail("yamlField", "for example $.spec.image", "the path must start with $")
	}
	if re, err := regexp.Compile(r.Regex); err == nil && r.Regex != "" && re.NumSubexp() == 0 {
		o.Fail("regex", "put brackets around the part to replace: image: app:(.*)", "the expression has no group; only a group is replaced")
	}
	switch {
	case r.YAMLField == "" && r.Regex == "" && r.JSONField == "" && r.HCLField == "" && !o.broken:
		o.d.Fail(o.Self(), "", "one of yamlField, regex is required")
	case r.YAMLField != "" && r.Regex != "":
		o.Warn("regex", "keep one of the two", "yamlField is given too; the expression is not used")
	}
	return r
}
