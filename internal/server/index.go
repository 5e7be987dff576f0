package server

import (
	"context"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// What lists filter, sort and search by is worked out here, when a record is
// kept, so that no request looks into bodies.

// Prefixes of tags.
const (
	tagLabel = "label:"
	tagWho   = "who:"
)

// never stands in last_at before the first deployment, in front of all times.
const never = "-"

// keepDeployment stores the fold of a deployment with its index.
func (b *book) keepDeployment(d deploy.Deployment) error {
	rec := store.Record{Index: map[string]string{
		"application_id": d.App.ID, "status": string(d.Status), "name": lower(d.App.Name), "display": d.Display(), "kind": string(d.App.Kind),
		"trigger": string(d.Trigger.Kind), "agent_id": d.App.AgentID, "provider": d.App.Provider, "commit": lower(d.Trigger.Commit.Hash), "text": textOf(d.App),
	}}
	if !d.Status.Terminal() {
		rec.Index["open"] = "1"
		rec.Index["timer"] = store.Instant(engine.Due(d).At)
	}
	rec.Tags = labelTags(d.App.Labels)
	for _, name := range peopleOf(d) {
		rec.Tags = append(rec.Tags, tagWho+name)
	}
	return keepRecord(b, store.Deployments, d.ID, d, rec)
}

// keepApplication stores the fold of an application with its index. The health
// is what was noted last.
func (b *book) keepApplication(a deploy.Application) error {
	if a.Deleted {
		return keepRecord(b, store.Applications, a.ID, a, store.Record{})
	}
	old, _, err := b.Get(store.Applications, a.ID)
	if err != nil {
		return err
	}
	health := old.Index["health"]
	if health == "" {
		health = string(deploy.HealthUnknown)
	}
	return b.indexApplication(a, health)
}

func (b *book) indexApplication(a deploy.Application, health string) error {
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
	return keepRecord(b, store.Applications, a.ID, a, store.Record{
		Index: map[string]string{
			"name": name, "agent_id": a.AgentID, "repo_id": a.RepoID, "kind": string(a.Kind), "provider": a.Provider, "sync": sync, "health": health,
			"display": display, "enabled": enabled, "last_at": at, "text": textOf(a.Ref), "by_health": by(healthRank, health), "by_sync": by(syncRank, sync),
			"by_display": by(displayRank, display), "by_kind": string(a.Kind) + " " + name, "attention": attention(sync, health, display) + " " + name,
		},
		Tags: labelTags(a.Labels),
	})
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
		out = append(out, tagLabel+k+"="+v)
	}
	return out
}

// textOf is what the words of a person are looked for in.
func textOf(a deploy.Ref) string {
	var b strings.Builder
	b.WriteString(a.Name + "\n" + a.Path)
	for _, t := range labelTags(a.Labels) {
		b.WriteString("\n" + strings.TrimPrefix(t, tagLabel))
	}
	return clip(lower(b.String()), 2000)
}

// peopleOf lists, in lower case, whose deployment it is: committer, who started
// it, and the approvers a running stage waits for. A committer is known by
// name, by address and by the address's local part, because one of them is
// what the person logs in with.
func peopleOf(d deploy.Deployment) []string {
	seen, out := map[string]bool{"": true}, []string(nil)
	add := func(name string) {
		if name = lower(strings.TrimSpace(name)); !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	add(d.Trigger.By)
	local, _, _ := strings.Cut(d.Trigger.Commit.Email, "@")
	add(d.Trigger.Commit.Author)
	add(d.Trigger.Commit.Email)
	add(local)
	if i := d.Current(); i >= 0 && d.Stages[i].Type == deploy.StageApproval && !d.Status.Terminal() {
		for _, a := range d.Stages[i].Approvers {
			add(a)
		}
	}
	return out
}

// noteHealth keeps the health of the newest observation where lists read it: a
// small value with its time beside the record, and in the index when it changed.
func (s *Server) noteHealth(ctx context.Context, project, id string, h deploy.Health, at time.Time) error {
	if h == "" {
		h = deploy.HealthUnknown
	}
	if err := s.opt.Store.Side().PutSide(ctx, project, "health", id, at, []byte(h)); err != nil {
		return err
	}
	differs := false
	err := s.view(ctx, project, func(b *book) error {
		rec, ok, err := b.Get(store.Applications, id)
		differs = ok && rec.Index["health"] != string(h)
		return err
	})
	if err != nil || !differs {
		return err
	}
	return s.opt.Store.Update(ctx, project, func(tx store.Tx) error {
		b := &book{Tx: tx, s: s, project: project, now: s.now()}
		a, err := b.application(id)
		if deploy.CodeOf(err) == deploy.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return b.indexApplication(a, string(h))
	})
}

// reindexBatch bounds one transaction of reindex.
const reindexBatch = 200

// reindex works out the index of records that an older version kept.
func (s *Server) reindex(ctx context.Context, project string) error {
	apps := store.Query{Where: map[string][]string{"enabled": {""}}, NotAfter: map[string]string{"name": anyName}, Limit: reindexBatch}
	if err := reindexAll(ctx, s, project, store.Applications, apps, (*book).foldAnew); err != nil {
		return err
	}
	return reindexAll(ctx, s, project, store.Deployments, store.Query{Where: map[string][]string{"display": {""}}, Limit: reindexBatch}, (*book).keepDeployment)
}

// foldAnew keeps an application as this version folds it, which may be more than
// an older version did. One whose stream does not lead to its state is told and
// kept as it is: a server must not fail to start because of it.
func (b *book) foldAnew(a deploy.Application) error {
	stored, err := b.Read(store.Stream{Kind: deploy.StreamApplication, ID: a.ID}, 0, int(a.Seq))
	if err != nil {
		return err
	}
	events := make([]deploy.Event, len(stored))
	for i, e := range stored {
		events[i] = e.Event
	}
	folded, err := engine.FoldApp(events)
	if err == nil && folded.Seq != a.Seq {
		err = deploy.Errorf(deploy.CodeInternal, "it is at event %d and its stream has %d", a.Seq, folded.Seq)
	}
	if err != nil {
		b.tell("fold an application anew", a.ID, err)
		return b.keepApplication(a)
	}
	return b.keepApplication(folded)
}

func reindexAll[T any](ctx context.Context, s *Server, project string, c store.Collection, q store.Query, keep func(*book, T) error) error {
	old := 0
	err := s.view(ctx, project, func(b *book) (err error) { old, err = b.Count(c, q); return err })
	for n := 0; err == nil && n < old; n += reindexBatch {
		err = s.update(ctx, entry{project: project, actor: "server"}, func(b *book) error {
			recs, err := b.List(c, q)
			if err != nil {
				return err
			}
			for _, rec := range recs {
				var v T
				if err := decodeBody(rec, &v); err != nil {
					return err
				}
				if err := keep(b, v); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return err
}
