package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Defaults of the generic fields.
const (
	// DefaultTimeout limits a deployment, and each stage, that names no limit.
	DefaultTimeout = 6 * time.Hour
	// DefaultOutOfSyncWindow is the least time between the end of a deployment and one that drift starts.
	DefaultOutOfSyncWindow = 5 * time.Minute
	// DefaultWait is how long a WAIT stage of the older kinds waits when it names no duration.
	DefaultWait = time.Minute
)

// Application is a decoded application file: the generic fields with every default filled in, and the platform's part as
// positioned nodes.
type Application struct {
	// File is the name given to [ReadApplication].
	File string
	// Kind is the kind word of the file. Defaults of a few options differ between ECSApp and the plugin form Application.
	Kind Kind
	// Platform is the upper-case platform name, such as ECS.
	Platform string
	// Pos is the place of spec.
	Pos Pos

	Name        string
	Labels      map[string]string
	Description string
	// AlwaysUsePipeline skips the choice between quick sync and pipeline; it has no effect without stages.
	AlwaysUsePipeline bool
	// AutoRollback is input.autoRollback if given, else planner.autoRollback if given, else the platform's default.
	AutoRollback  bool
	CommitMatcher CommitMatcher
	// Stages is the pipeline; empty means quick sync only.
	Stages  []Stage
	Trigger Trigger
	// Chain is postSync.chain: applications to deploy after this one.
	Chain []ChainEntry
	// Timeout limits the whole deployment; more than 0.
	Timeout      time.Duration
	Encryption   *Encryption
	Attachment   *Attachment
	Mentions     []Mention
	EventWatcher []EventRule
	// IgnoreFields is driftDetection.ignoreFields.
	IgnoreFields []string

	// Input and QuickSync are the platform's own objects, undecoded; missing when the file has none.
	Input, QuickSync Node
	// Section is the object that Input stands in: spec, or spec.plugins.<platform> in the plugin form. A platform finds its
	// other keys there (Kubernetes' service, Terraform's flat fields).
	Section Node
	// Plugins is spec.plugins.
	Plugins Node
}

// Stage gives the first stage with this id.
func (a *Application) Stage(id string) (Stage, bool) {
	for _, s := range a.Stages {
		if s.ID == id {
			return s, true
		}
	}
	return Stage{}, false
}

// Inactive gives the stages that this version understands but does not carry out. A plan that contains one must fail before
// its first write.
func (a *Application) Inactive() []Stage {
	var out []Stage
	for _, s := range a.Stages {
		if s.Inactive != "" {
			out = append(out, s)
		}
	}
	return out
}

// CommitMatcher forces a strategy by the commit message. Both are Go regular expressions, unanchored; empty means none.
type CommitMatcher struct {
	Pipeline, QuickSync string
	// Active says that the matcher is to be evaluated: only Kubernetes applications do.
	Active bool
}

// Trigger says what starts a deployment.
type Trigger struct {
	OnCommit struct {
		Disabled bool
		// Paths count as touching the application beside its own directory. Ignores: one changed file that matches is enough
		// for the commit not to trigger.
		Paths, Ignores Matcher
	}
	OnCommand   struct{ Disabled bool }
	OnOutOfSync struct {
		Disabled  bool
		MinWindow time.Duration
	}
	OnChain struct{ Disabled bool }
}

// ChainEntry is one block of postSync.chain.applications. Kind is an upper-case platform name.
type ChainEntry struct {
	Name, Kind string
	Labels     map[string]string
	Pos        Pos
}

// Encryption is spec.encryption: ciphertexts by name and the files, relative to the application directory, that use them.
type Encryption struct {
	EncryptedSecrets  map[string]string
	DecryptionTargets []string
	Pos               Pos
}

// Attachment is spec.attachment: files by name and the files that include them, relative to the application directory.
type Attachment struct {
	Sources map[string]string
	Targets []string
	Pos     Pos
}

// Mention is one entry of notification.mentions. Event is * or an event name without the EVENT_ prefix.
type Mention struct {
	Event                          string
	Slack, SlackUsers, SlackGroups []string
	Email                          []string
}

// EventRule is one entry of eventWatcher.
type EventRule struct {
	Name            string
	Labels          map[string]string
	HandlerType     string
	CommitMessage   string
	MakePullRequest bool
	Replacements    []Replacement
}

// Replacement changes one file when an event arrives.
type Replacement struct {
	File, YAMLField, JSONField, HCLField, Regex string
}

// ReadApplication decodes an application file. The name is used in messages. Further kinds (of remote platforms, or in
// tests) can be given. The error is an [Errors] with every problem of the generic part.
//
// The application is returned together with an error whenever its kind could be read, so that the platform's decoding can add
// its own problems; it must not be deployed then.
func ReadApplication(file string, data []byte, extra ...KindInfo) (*Application, Warnings, error) {
	root, warnings, err := Parse(file, data)
	if err != nil {
		return nil, nil, err
	}
	r := &appReader{d: NewDecoder(), app: &Application{File: file}, kinds: append(builtinKinds(), extra...)}
	known := r.envelope(root)
	if known {
		r.spec()
	}
	more, err := r.d.Finish()
	warnings = append(warnings, more...)
	sortProblems(warnings)
	if !known {
		return nil, warnings, err
	}
	return r.app, warnings, err
}

// appReader decodes one application file.
type appReader struct {
	d     *Decoder
	app   *Application
	kinds []KindInfo
	info  KindInfo
	root  Node
}

// envelope checks apiVersion and kind; false means that nothing more can be decoded.
func (r *appReader) envelope(root Node) bool {
	kind := Kind(root.Get("kind").Text())
	if kind == PluginApp {
		root = root.WithLenient()
	}
	r.root = root
	o := r.d.envelope(root)
	if o == nil {
		return false
	}
	r.app.Kind = kind
	words := []string{string(PluginApp)}
	for _, k := range r.kinds {
		if k.Kind == kind {
			r.info = k
		}
		words = append(words, string(k.Kind))
	}
	if kind == PluginApp {
		return r.platformOfPlugins(root.Get("spec"))
	}
	r.app.Platform = r.info.Platform
	if r.info.Kind == "" {
		message, hint := "unsupported kind "+quote(string(kind)), suggest(string(kind), words)
		if slices.Contains(Kinds(), kind) {
			message, hint = fmt.Sprintf("%s is not an application", kind), ""
		}
		if hint == "" {
			hint = "an application's kind is one of " + strings.Join(words, ", ")
		}
		o.Fail("kind", hint, "%s", message)
		return false
	}
	return true
}

// envelope opens the top of a file and checks apiVersion and that kind is a text. It returns nil when that fails in a way
// that makes the rest meaningless.
func (d *Decoder) envelope(root Node) *Object {
	if root.Kind() == NullNode {
		d.Fail(root, "it starts with apiVersion: "+APIVersion, "the file is empty")
		return nil
	}
	o := d.Object(root)
	if root.Kind() != ObjectNode {
		return nil
	}
	o.Ignore("spec")
	var version, kind string
	o.String("apiVersion", &version)
	o.String("kind", &kind)
	if n := o.Node("apiVersion"); !n.Exists() || n.Kind() == StringNode && version != APIVersion {
		d.Fail(n, "write apiVersion: "+APIVersion, "unsupported apiVersion %s", quote(version))
	}
	o.Required("kind")
	if kind == "" {
		return nil
	}
	return o
}

// spec decodes everything below spec.
func (r *appReader) spec() {
	a := r.app
	n := r.root.Get("spec")
	a.Pos = n.Pos()
	o := r.d.Object(n)
	o.String("name", &a.Name)
	o.StringMap("labels", &a.Labels)
	o.String("description", &a.Description)
	a.Timeout = DefaultTimeout
	o.DurationOr("timeout", &a.Timeout, DefaultTimeout)
	if a.Timeout < 0 {
		o.Fail("timeout", "", "must not be negative")
	}
	r.platformPart(o)
	r.planner(o)
	r.commitMatcher(o.Object("commitMatcher"))
	r.trigger(o.Object("trigger"))
	r.pipeline(o.Object("pipeline"))
	r.chain(o)
	r.templates(o)
	r.notification(o)
	r.events(o)
	r.drift(o)
}

// platformPart finds input, quickSync and the section they stand in.
func (r *appReader) platformPart(o *Object) {
	a := r.app
	a.Section, a.Plugins = o.Self(), o.Node("plugins")
	a.Input, a.QuickSync = o.Node("input"), o.Node("quickSync")
	if r.app.Kind == PluginApp {
		r.pluginPart(o)
		return
	}
	o.Ignore(r.info.Fields...)
	if a.Plugins.Exists() {
		r.d.Warn(a.Plugins, "", "has no effect in a file of kind %s", a.Kind)
	}
}

func (r *appReader) planner(o *Object) {
	a := r.app
	p := o.Object("planner")
	p.Bool("alwaysUsePipeline", &a.AlwaysUsePipeline)
	a.AutoRollback = r.info.AutoRollback
	p.Bool("autoRollback", &a.AutoRollback)
	// Only one key of input is generic; the platform's decoding knows the others, and reports one of a wrong type.
	if n := a.Input.Get("autoRollback"); a.Input.Kind() == ObjectNode && n.Kind() == BoolNode {
		a.AutoRollback = n.p.truth
	}
}

func (r *appReader) commitMatcher(o *Object) {
	m := &r.app.CommitMatcher
	o.String("pipeline", &m.Pipeline)
	o.String("quickSync", &m.QuickSync)
	m.Active = r.app.Platform == "KUBERNETES"
	o.checkRegexp("pipeline", m.Pipeline)
	o.checkRegexp("quickSync", m.QuickSync)
	if o.Exists() && !m.Active {
		r.d.Warn(o.Self(), "", "the commit message chooses the strategy only in Kubernetes applications; it has no effect here")
	}
}

func (r *appReader) trigger(o *Object) {
	t := &r.app.Trigger
	commit := o.Object("onCommit")
	commit.Bool("disabled", &t.OnCommit.Disabled)
	commit.Patterns("paths", &t.OnCommit.Paths)
	commit.Patterns("ignores", &t.OnCommit.Ignores)
	o.Object("onCommand").Bool("disabled", &t.OnCommand.Disabled)

	t.OnOutOfSync.Disabled, t.OnOutOfSync.MinWindow = true, DefaultOutOfSyncWindow
	drift := o.Object("onOutOfSync")
	drift.Bool("disabled", &t.OnOutOfSync.Disabled)
	drift.DurationOr("minWindow", &t.OnOutOfSync.MinWindow, DefaultOutOfSyncWindow)
	if t.OnOutOfSync.MinWindow < 0 {
		drift.Fail("minWindow", "for example 5m", "must not be negative")
	}
	t.OnChain.Disabled = true
	chain := o.Object("onChain")
	chain.Bool("disabled", &t.OnChain.Disabled)
	if !t.OnChain.Disabled {
		chain.Warn("disabled", "", "deployment chains are not active in this version; no chain starts this application")
	}
}

// checkRegexp reports a text that is not a Go regular expression.
func (o *Object) checkRegexp(key, expr string) {
	if _, err := regexp.Compile(expr); err != nil {
		o.Fail(key, "", "not a regular expression: %s", regexpProblem(err))
	}
}

// regexpProblem is the useful half of a regular expression error.
func regexpProblem(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
