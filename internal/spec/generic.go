package spec

import (
	"slices"
	"strings"
)

// chain decodes postSync.
func (r *appReader) chain(o *Object) {
	chain := o.Object("postSync").Object("chain")
	entries := chain.Objects("applications")
	for _, e := range entries {
		entry := ChainEntry{Pos: e.Self().Pos()}
		e.String("name", &entry.Name)
		e.Enum("kind", &entry.Kind, "", r.platformNames()...)
		e.StringMap("labels", &entry.Labels)
		switch {
		case !e.Has("name") && !e.Has("kind") && len(entry.Labels) == 0:
			r.d.Fail(e.Self(), "", "at least one of name, kind and labels is required")
		case !e.Has("name") && !e.Has("kind"):
			e.Warn("labels", "name the application", "labels do not select applications of a chain; this entry means every application of the project")
		}
		r.app.Chain = append(r.app.Chain, entry)
	}
	if !chain.Exists() {
		return
	}
	chain.Required("applications")
	r.d.Warn(chain.Self(), "", "deployment chains are not active in this version; no other application is started")
}

func (r *appReader) platformNames() []string {
	var out []string
	for _, k := range r.kinds {
		out = append(out, k.Platform)
	}
	return out
}

// templates decodes encryption and attachment, which turn files of the application into templates.
func (r *appReader) templates(o *Object) {
	if e := o.Object("encryption"); e.Exists() {
		enc := &Encryption{Pos: e.Self().Pos()}
		e.StringMap("encryptedSecrets", &enc.EncryptedSecrets)
		e.Strings("decryptionTargets", &enc.DecryptionTargets)
		e.Required("decryptionTargets")
		e.filled("encryptedSecrets", enc.EncryptedSecrets)
		r.app.Encryption = enc
		r.d.Warn(e.Self(), "", "encryption is not active in this version; secrets are not decrypted, and their template text stays in the files")
	}
	if t := o.Object("attachment"); t.Exists() {
		att := &Attachment{Pos: t.Self().Pos()}
		t.StringMap("sources", &att.Sources)
		t.Strings("targets", &att.Targets)
		t.Required("targets")
		t.filled("sources", att.Sources)
		r.app.Attachment = att
		r.d.Warn(t.Self(), "", "attachment is not active in this version; files are not included, and their template text stays in the files")
	}
}

// filled reports empty names and values of a map.
func (o *Object) filled(key string, m map[string]string) {
	n := o.Node(key)
	if n.Kind() != ObjectNode {
		return
	}
	for _, f := range n.p.fields {
		switch {
		case f.key == "":
			o.d.Fail(Node{f.value, false}, "", "a name must not be empty")
		case m[f.key] == "" && (f.value.kind == NullNode || f.value.kind == StringNode):
			o.d.Fail(Node{f.value, false}, "", "must not be empty")
		}
	}
}

// EventNames are the notification events, without the prefix EVENT_.
func EventNames() []string {
	return []string{
		"DEPLOYMENT_TRIGGERED", "DEPLOYMENT_PLANNED", "DEPLOYMENT_APPROVED", "DEPLOYMENT_ROLLING_BACK", "DEPLOYMENT_SUCCEEDED",
		"DEPLOYMENT_FAILED", "DEPLOYMENT_CANCELLED", "DEPLOYMENT_WAIT_APPROVAL", "DEPLOYMENT_TRIGGER_FAILED", "DEPLOYMENT_STARTED",
		"APPLICATION_SYNCED", "APPLICATION_OUT_OF_SYNC", "APPLICATION_HEALTHY",
		"PIPED_STARTED", "PIPED_STOPPED",
		"STAGE_STARTED", "STAGE_SKIPPED", "STAGE_SUCCEEDED", "STAGE_FAILED", "STAGE_CANCELLED",
	}
}

func (r *appReader) notification(o *Object) {
	n := o.Object("notification")
	for _, e := range n.Objects("mentions") {
		var m Mention
		e.Required("event")
		e.String("event", &m.Event)
		e.words("event", append(EventNames(), "*"), nil)
		if m.Event != "" && m.Event != "*" && !slices.Contains(EventNames(), m.Event) {
			hint := suggest(m.Event, EventNames())
			if bare, ok := strings.CutPrefix(m.Event, "EVENT_"); ok && slices.Contains(EventNames(), bare) {
				hint = "write it without EVENT_: " + bare
			}
			e.Fail("event", hint, "unknown event %s", quote(m.Event))
		}
		e.Strings("slack", &m.Slack)
		e.Strings("slackUsers", &m.SlackUsers)
		e.Strings("slackGroups", &m.SlackGroups)
		e.Strings("email", &m.Email)
		r.app.Mentions = append(r.app.Mentions, m)
	}
	if n.Exists() {
		r.d.Warn(n.Self(), "", "notifications are not active in this version; nobody is mentioned")
	}
}

// events decodes eventWatcher. Nothing but types is checked, as files in the field rely on it.
func (r *appReader) events(o *Object) {
	list := o.Objects("eventWatcher")
	for _, e := range list {
		var rule EventRule
		matcher := e.Object("matcher")
		matcher.String("name", &rule.Name)
		matcher.StringMap("labels", &rule.Labels)
		handler := e.Object("handler")
		handler.String("type", &rule.HandlerType)
		config := handler.Object("config")
		config.String("commitMessage", &rule.CommitMessage)
		config.Bool("makePullRequest", &rule.MakePullRequest)
		for _, c := range config.Objects("replacements") {
			var one Replacement
			c.String("file", &one.File)
			c.String("yamlField", &one.YAMLField)
			c.String("jsonField", &one.JSONField)
			c.String("HCLField", &one.HCLField)
			c.String("regex", &one.Regex)
			rule.Replacements = append(rule.Replacements, one)
		}
		r.app.EventWatcher = append(r.app.EventWatcher, rule)
	}
	if len(list) > 0 {
		o.Warn("eventWatcher", "", "events are not active in this version; no file is changed when one arrives")
	}
}

func (r *appReader) drift(o *Object) {
	d := o.Object("driftDetection")
	d.Strings("ignoreFields", &r.app.IgnoreFields)
	for _, item := range d.Node("ignoreFields").Items() {
		if item.Kind() == StringNode && strings.Count(item.Text(), "#") != 1 {
			r.d.Fail(item, "write apiVersion:kind:namespace:name#field.path", "must contain exactly one #")
		}
	}
	if d.Exists() {
		r.d.Warn(d.Self(), "", "driftDetection is not active in this version; no field is left out of the comparison")
	}
}
