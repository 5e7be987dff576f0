// Package index works out what lists filter, sort, count and search by, and
// the summaries that they show, so that no list looks into bodies. Whoever
// keeps a record keeps what this package makes of it in the same Put; a check
// of a data directory makes it again and compares.
package index

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
	"github.com/penstock-cd/penstock/internal/wire"
)

// Prefixes of tags.
const (
	TagLabel = "label:" // and key=value
	TagWho   = "who:"   // and a person's name in lower case
)

const (
	// never stands in last_at before the first deployment, in front of all times.
	never = "-"
	// maxText bounds what words are looked for in, in bytes.
	maxText = 2000
)

// Deployment is the record of a deployment: its fold, its index and its summary.
func Deployment(d deploy.Deployment) (store.Record, error) {
	rec := store.Record{Key: d.ID, Index: map[string]string{
		"application_id": d.App.ID, "status": string(d.Status), "name": lower(d.App.Name), "display": d.Display(), "kind": string(d.App.Kind),
		"trigger": string(d.Trigger.Kind), "agent_id": d.App.AgentID, "provider": d.App.Provider, "commit": lower(d.Trigger.Commit.Hash), "text": textOf(d.App),
	}}
	if !d.Status.Terminal() {
		rec.Index["open"] = "1"
		rec.Index["timer"] = store.Instant(engine.Due(d).At)
	}
	rec.Tags = labelTags(d.App.Labels)
	for _, name := range peopleOf(d) {
		rec.Tags = append(rec.Tags, TagWho+name)
	}
	var err error
	if rec.Body, err = body(d.ID, d); err != nil {
		return rec, err
	}
	if rec.Summary, err = wire.DeploymentSummary(d); err != nil {
		// The body replaces what is not text, which a summary refuses.
		if err = json.Unmarshal(rec.Body, &d); err == nil {
			rec.Summary, err = wire.DeploymentSummary(d)
		}
	}
	if err != nil {
		return rec, fmt.Errorf("summarise deployment %s: %w", d.ID, err)
	}
	return rec, nil
}

// Application is the record of an application: its fold and its index. Health
// is what was noted last, "" before the first time. One that was deleted has
// no index, so no list finds it.
func Application(a deploy.Application, health string) (store.Record, error) {
	text, err := body(a.ID, a)
	if err != nil || a.Deleted {
		return store.Record{Key: a.ID, Body: text}, err
	}
	if health == "" {
		health = string(deploy.HealthUnknown)
	}
	name, sync, display, enabled, at := lower(a.Name), string(a.Sync()), a.LastDisplay, "true", store.Instant(a.LastAt)
	if a.Disabled {
		enabled = "false"
	}
	if at == "" {
		at = never
	}
	if display == "" {
		display = "NONE"
	}
	by := func(rank map[string]string, v string) string { return rank[v] + v + " " + name }
	return store.Record{
		Key: a.ID, Body: text,
		Index: map[string]string{
			"name": name, "agent_id": a.AgentID, "repo_id": a.RepoID, "kind": string(a.Kind), "provider": a.Provider, "sync": sync, "health": health,
			"display": display, "enabled": enabled, "last_at": at, "text": textOf(a.Ref), "by_health": by(healthRank, health), "by_sync": by(syncRank, sync),
			"by_display": by(displayRank, display), "by_kind": string(a.Kind) + " " + name, "attention": attention(sync, health, display) + " " + name,
		},
		Tags: labelTags(a.Labels),
	}, nil
}

func body(key string, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write record %s: %w", key, err)
	}
	return b, nil
}

// Ranks put what needs a person first. What is not listed comes last.
var (
	healthRank  = map[string]string{"UNHEALTHY": "0", "PROGRESSING": "1", "UNKNOWN": "2", "HEALTHY": "3"}
	syncRank    = map[string]string{"INVALID_CONFIG": "0", "OUT_OF_SYNC": "1", "DEPLOYING": "2", "UNKNOWN": "3", "SYNCED": "4"}
	displayRank = map[string]string{"NEEDS_ATTENTION": "0", "ROLLING_BACK": "1", "FAILURE": "2", "ROLLED_BACK": "3", "RUNNING": "4", "PLANNED": "5", "PENDING": "6", "CANCELLED": "7", "SUCCESS": "8", "NONE": "9"}
)

// attention ranks an application by the worst that is known of it.
func attention(sync, health, display string) string {
	switch {
	case display == "NEEDS_ATTENTION":
		return "0"
	case health == "UNHEALTHY":
		return "1"
	case display == "ROLLING_BACK" || display == "FAILURE" || display == "ROLLED_BACK" || sync == "INVALID_CONFIG":
		return "2"
	case sync == "OUT_OF_SYNC":
		return "3"
	case sync == "DEPLOYING" || health == "PROGRESSING":
		return "4"
	case health == "UNKNOWN" || sync == "UNKNOWN":
		return "5"
	}
	return "6"
}

func labelTags(labels map[string]string) []string {
	var out []string
	for k, v := range labels {
		out = append(out, TagLabel+k+"="+v)
	}
	return out
}

// textOf is what the words of a person are looked for in: name, path, labels in
// an order of their own, so that the same application has the same text.
func textOf(a deploy.Ref) string {
	var b strings.Builder
	b.WriteString(a.Name + "\n" + a.Path)
	for _, t := range sorted(labelTags(a.Labels)) {
		b.WriteString("\n" + strings.TrimPrefix(t, TagLabel))
	}
	return clip(lower(b.String()))
}

// peopleOf lists, in lower case, whose deployment it is: its authors, and the
// approvers a running stage waits for.
func peopleOf(d deploy.Deployment) []string {
	out := d.Trigger.Authors()
	if i := d.Current(); i >= 0 && d.Stages[i].Type == deploy.StageApproval && !d.Status.Terminal() {
		for _, a := range d.Stages[i].Approvers {
			if a = lower(strings.TrimSpace(a)); a != "" && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func lower(s string) string { return strings.ToLower(s) }

// clip shortens a text at the beginning of a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
