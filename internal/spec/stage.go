package spec

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Names of the stages that every platform has.
const (
	StageWait       = "WAIT"
	StageApproval   = "WAIT_APPROVAL"
	StageAnalysis   = "ANALYSIS"
	StageScriptRun  = "SCRIPT_RUN"
	StageCustomSync = "CUSTOM_SYNC"
)

// Stage is one step of the pipeline.
type Stage struct {
	// ID is unique in the pipeline; stage-<index> when the file gives none.
	ID string
	// Name is the upper-case stage name.
	Name string
	Desc string
	// Timeout limits the stage; always more than 0.
	Timeout time.Duration
	SkipOn  SkipOn
	// With holds the options, undecoded. Unknown keys in it are tolerated. Open it with [Decoder.With].
	With Node
	Pos  Pos
	// Inactive is empty, or says why this version does not carry out the stage.
	Inactive string

	// Options of the generic stages; the one that belongs to Name is set.
	Wait       *WaitOptions
	Approval   *ApprovalOptions
	Script     *ScriptOptions
	Analysis   *AnalysisOptions
	CustomSync *ScriptOptions
}

// SkipOn says when a stage is skipped: the commit message starts with one of the prefixes, or every changed file matches.
type SkipOn struct {
	CommitMessagePrefixes []string
	Paths                 Matcher
}

// Empty says that the stage is never skipped by itself.
func (s SkipOn) Empty() bool { return len(s.CommitMessagePrefixes) == 0 && s.Paths.Empty() }

// Skip decides for a commit. Without changed files (no earlier deployment to compare with) paths never skip.
func (s SkipOn) Skip(commitMessage string, changed []string) bool {
	for _, prefix := range s.CommitMessagePrefixes {
		if strings.HasPrefix(commitMessage, prefix) {
			return true
		}
	}
	for _, file := range changed {
		if !s.Paths.Match(file) {
			return false
		}
	}
	return len(changed) > 0 && !s.Paths.Empty()
}

// WaitOptions are the options of WAIT; Duration is more than 0.
type WaitOptions struct{ Duration time.Duration }

// ApprovalOptions are the options of WAIT_APPROVAL. No approvers means anybody who has the permission. MinApproverNum is at
// least 1. Timeout is the stage's timeout.
type ApprovalOptions struct {
	Approvers      []string
	MinApproverNum int
	Timeout        time.Duration
}

// ScriptOptions are the options of SCRIPT_RUN and CUSTOM_SYNC.
type ScriptOptions struct {
	Run, OnRollback string
	Env             map[string]string
	Timeout         time.Duration
}

// pipeline decodes the stages.
func (r *appReader) pipeline(o *Object) {
	taken := map[string]bool{}
	items := o.Objects("stages")
	for _, item := range items {
		if id := item.Self().Get("id"); id.Kind() == StringNode {
			taken[id.Text()] = false
		}
	}
	for i, item := range items {
		item.lenientStage()
		s := r.stage(item)
		s.ID = r.stageID(item, i, taken)
		r.app.Stages = append(r.app.Stages, s)
	}
}

// lenientStage makes a stage and all below it tolerate unknown keys.
func (o *Object) lenientStage() {
	o.n = o.n.WithLenient()
	if o.shape != nil {
		o.shape.Lenient = true
	}
}

// stageID takes the id of the file or makes one; ids in the result are unique.
func (r *appReader) stageID(o *Object, index int, taken map[string]bool) string {
	id := ""
	o.String("id", &id)
	if id != "" && taken[id] {
		o.Warn("id", "give every stage its own id, or none", "the id %s is used twice; this stage gets another one", quote(id))
		id = ""
	}
	if id == "" {
		id = fmt.Sprintf("stage-%d", index)
		for n := 0; ; n++ {
			if _, used := taken[id]; !used {
				break
			}
			id = fmt.Sprintf("stage-%d-%d", index, n)
		}
	}
	taken[id] = true
	return id
}

func (r *appReader) stage(o *Object) Stage {
	s := Stage{Pos: o.Self().Pos()}
	o.String("desc", &s.Desc)
	o.Required("name")
	o.String("name", &s.Name)
	o.variant("name", s.Name, "with")
	o.words("name", r.ownStages(), r.otherStages())
	o.note("name", TextType).AnyWord = r.app.Kind == PluginApp
	s.With = o.Node("with")
	with := r.d.Object(s.With)
	if with.broken {
		s.With = Node{&node{kind: MissingNode, file: s.Pos.File, line: s.Pos.Line, column: s.Pos.Column, parent: o.n.p, key: "with"}, true}
	}
	s.Timeout = r.stageTimeout(o, with, s.Name)
	s.SkipOn = r.stageSkip(o, with, s.Name)
	r.stageName(o, &s)
	if !r.genericOptions(with, &s) {
		with.ignoreAll() // the platform opens it again and looks for unknown keys
	}
	return s
}

// ignoreAll makes every key known.
func (o *Object) ignoreAll() {
	if o.n.Kind() == ObjectNode {
		for i := range o.n.p.fields {
			o.known[&o.n.p.fields[i]] = true
		}
	}
	if o.shape != nil {
		o.shape.Open = true
	}
}

// stageName checks that the stage can be carried out for this application, and otherwise says why not.
func (r *appReader) stageName(o *Object, s *Stage) {
	switch s.Name {
	case "", StageWait, StageApproval:
		return
	case StageAnalysis, StageScriptRun, StageCustomSync:
		s.Inactive = s.Name + " stages are not active in this version"
	case "ROLLBACK", "CUSTOM_SYNC_ROLLBACK", "SCRIPT_RUN_ROLLBACK":
		o.Fail("name", "remove the stage; autoRollback decides whether there is one", "%s is added by the planner and cannot be written in a pipeline", s.Name)
		return
	default:
		if slices.Contains(r.info.Stages, s.Name) {
			return
		}
		s.Inactive = r.foreignStage(o, s.Name)
	}
	if o.sort != nil {
		o.sort.Inactive = s.Inactive
	}
	if s.Inactive != "" {
		o.Warn("name", "", "%s; a deployment with this pipeline fails before anything is changed", s.Inactive)
	}
}

// ownStages are the names of the stages that the application may have, otherStages those of other platforms, which are
// accepted with a warning.
func (r *appReader) ownStages() []string {
	return append([]string{StageWait, StageApproval, StageAnalysis, StageScriptRun, StageCustomSync}, r.info.Stages...)
}

func (r *appReader) otherStages() []string {
	var out []string
	for _, k := range r.kinds {
		for _, s := range k.Stages {
			if !slices.Contains(r.info.Stages, s) {
				out = append(out, s)
			}
		}
	}
	return out
}

// foreignStage gives the reason why a stage is of no use here. An unknown name is an error, except in the plugin form, where
// a plugin of another system may offer it.
func (r *appReader) foreignStage(o *Object, name string) string {
	known := r.ownStages()
	for _, k := range r.kinds {
		if slices.Contains(k.Stages, name) {
			return fmt.Sprintf("%s is a stage of %s, and this application is deployed to %s", name, k.Platform, r.info.Platform)
		}
	}
	if r.app.Kind == PluginApp {
		return fmt.Sprintf("%s is not a stage of this version", quote(name))
	}
	hint := suggest(name, known)
	if hint == "" {
		hint = "stages of this application are " + strings.Join(known, ", ")
	}
	o.Fail("name", hint, "unknown stage %s", quote(name))
	return ""
}

// timesInWith says which stages of the older kinds have timeout and skipOn among their options.
func timesInWith(name string) bool {
	switch name {
	case StageWait, StageApproval, StageAnalysis, StageScriptRun, StageCustomSync:
		return true
	}
	return false
}

// stageTimeout reads the limit from both places it may stand in. The older kinds obey the one under with, the plugin form the
// one of the stage.
func (r *appReader) stageTimeout(o, with *Object, name string) time.Duration {
	var outer, inner time.Duration
	o.Duration("timeout", &outer)
	o.note("timeout", DurationType).Default = shortDuration(DefaultTimeout)
	if timesInWith(name) {
		with.Duration("timeout", &inner)
	} else if with.Has("timeout") {
		with.Warn("timeout", "write it beside name and with", "has no effect under with in %s", name)
	}
	if outer < 0 || inner < 0 {
		r.d.Fail(o.Self(), "", "the timeout of a stage must not be negative")
	}
	first, second := inner, outer
	if r.app.Kind == PluginApp {
		first, second = outer, inner
	}
	if first != 0 && second != 0 && first != second {
		o.Warn("timeout", "keep one of the two", "the timeout is given twice; %s applies", first)
	}
	for _, d := range []time.Duration{first, second} {
		if d > 0 {
			return d
		}
	}
	return DefaultTimeout
}

// stageSkip reads skipOn from both places, with the same precedence as the timeout.
func (r *appReader) stageSkip(o, with *Object, name string) SkipOn {
	outer := readSkipOn(o.Object("skipOn"))
	var inner SkipOn
	if timesInWith(name) {
		inner = readSkipOn(with.Object("skipOn"))
	} else if with.Has("skipOn") {
		with.Warn("skipOn", "write it beside name and with", "has no effect under with in %s", name)
	}
	if r.app.Kind == PluginApp {
		outer, inner = inner, outer
	}
	if inner.Empty() {
		return outer
	}
	if !outer.Empty() {
		o.Warn("skipOn", "keep one of the two", "skipOn is given twice; in a file of kind %s one of them is not used", r.app.Kind)
	}
	return inner
}

func readSkipOn(o *Object) SkipOn {
	var s SkipOn
	o.Strings("commitMessagePrefixes", &s.CommitMessagePrefixes)
	o.Patterns("paths", &s.Paths)
	return s
}

// genericOptions decodes the options of the stages that every platform has; false for any other.
func (r *appReader) genericOptions(with *Object, s *Stage) bool {
	switch s.Name {
	case StageWait:
		s.Wait = r.waitOptions(with, s)
	case StageApproval:
		s.Approval = r.approvalOptions(with, s)
	case StageScriptRun:
		s.Script = &ScriptOptions{Timeout: s.Timeout}
		with.String("run", &s.Script.Run)
		with.String("onRollback", &s.Script.OnRollback)
		with.StringMap("env", &s.Script.Env)
		if r.app.Kind == PluginApp {
			with.Required("run")
		}
	case StageCustomSync:
		s.CustomSync = &ScriptOptions{Timeout: s.Timeout}
		with.String("run", &s.CustomSync.Run)
		with.StringMap("envs", &s.CustomSync.Env)
		with.Required("run")
	case StageAnalysis:
		s.Analysis = readAnalysis(with)
	default:
		return false
	}
	return true
}

// waitOptions: the older kinds wait a minute when no duration above 0 is given; the plugin form demands one.
func (r *appReader) waitOptions(with *Object, s *Stage) *WaitOptions {
	w := &WaitOptions{}
	with.Duration("duration", &w.Duration)
	if r.app.Kind != PluginApp {
		with.note("duration", DurationType).Default = shortDuration(DefaultWait)
	}
	n := with.Node("duration")
	switch {
	case n.Exists() && n.Kind() == StringNode && w.Duration == 0 && !isZeroDuration(n):
		w.Duration = DefaultWait // wrong, and reported
	case w.Duration > 0:
	case r.app.Kind == PluginApp:
		with.Fail("duration", "for example duration: 5m", "a WAIT stage needs a duration above 0")
	default:
		with.Warn("duration", "write duration: 1m to make it visible", "without a duration above 0 the stage waits one minute")
	}
	if w.Duration <= 0 {
		w.Duration = DefaultWait
	}
	if w.Duration >= s.Timeout {
		with.Warn("duration", "raise the timeout of the stage", "the stage times out after %s, before it has waited %s", s.Timeout, w.Duration)
	}
	return w
}

func isZeroDuration(n Node) bool {
	d, _, problem := parseDuration(n)
	return problem == "" && d == 0
}

func (r *appReader) approvalOptions(with *Object, s *Stage) *ApprovalOptions {
	a := &ApprovalOptions{Timeout: s.Timeout}
	with.Strings("approvers", &a.Approvers)
	with.IntOr("minApproverNum", &a.MinApproverNum, 1)
	if a.MinApproverNum < 1 {
		with.Fail("minApproverNum", "", "must be at least 1")
	}
	if n := len(a.Approvers); n > 0 && n < a.MinApproverNum {
		with.Warn("minApproverNum", "name more approvers", "approvals needed: %d; approvers named: %d; the stage can never be approved", a.MinApproverNum, n)
	}
	return a
}
