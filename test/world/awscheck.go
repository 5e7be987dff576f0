package world

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
	"github.com/penstock-cd/penstock/internal/store"
)

// Deployed is a deployment in the words of this package.
type Deployed = deploy.Deployment

// The tags by which what Penstock made is known.
const (
	tagDeployment = "penstock-deployment"
	tagRole       = "penstock-role"
	tagToken      = "penstock-step"
)

// CheckAWS checks what the router's nodes do right now against the targets that
// are there, and counts what was ever made.
func (w *World) CheckAWS() {
	a := w.AWS
	if a == nil {
		return
	}
	w.checkFunctions()
	dump := a.Cloud.ECS().Dump()
	a.mu.Lock()
	judged := a.servedLocked() && !a.meddled
	a.mu.Unlock()
	if judged {
		for _, text := range a.lacking(dump) {
			w.once("traffic: " + text)
		}
	}
	sets := map[string]int{}
	a.mu.Lock()
	for _, s := range services(dump) {
		for _, t := range s.TaskSets {
			if id := t.Tags[tagDeployment]; id != "" {
				a.made[id+" "+t.Tags[tagRole]+" "+t.Tags[tagToken]+" "+t.ID] = true
			}
		}
	}
	for key := range a.made {
		creation, _, _ := strings.Cut(key, t32(key))
		sets[creation]++
	}
	a.mu.Unlock()
	for creation, n := range sets {
		if n > 1 {
			w.once(fmt.Sprintf("creation %stook effect %d times", creation, n))
		}
	}
}

// t32 is the id at the end of a key.
func t32(key string) string { return key[strings.LastIndex(key, " ")+1:] }

// once notes a problem the first time it is seen.
func (w *World) once(text string) {
	w.watch.mu.Lock()
	defer w.watch.mu.Unlock()
	if !w.watch.said[text] {
		w.watch.said[text] = true
		w.Problemf("%s", text)
	}
}

func services(d ecs.Dump) (out []ecs.DumpService) {
	for _, c := range d.Clusters {
		out = append(out, c.Services...)
	}
	return out
}

// lacking names the groups that a node sends requests to and that have fewer
// healthy targets than their share needs. Where an image turns bad by itself or
// a target flaps, the fault, not the deployment, takes the targets away. Of services that share a
// group, the targets of one are enough.
func (a *AWS) lacking(d ecs.Dump) (out []string) {
	type wish struct{ capacity, desired int }
	wishes, frail := map[string][]wish{}, map[string]bool{} // by group
	for _, s := range services(d) {
		capacity := map[string]int{}
		for _, t := range s.TaskSets {
			if t.Status != "DRAINING" {
				capacity[t.TargetGroup] += int(t.Computed)
			}
		}
		for g, n := range capacity {
			wishes[g] = append(wishes[g], wish{n, int(s.Desired)})
		}
	}
	a.mu.Lock()
	for _, c := range d.Clusters {
		for _, t := range c.Tasks {
			b := a.behaviours[t.Image]
			for _, g := range t.Targets {
				frail[g.TargetGroup] = frail[g.TargetGroup] || b.UnhealthyAfter > 0 || b.ExitAfter > 0 || a.flapped[t.ID].After(time.Now())
			}
		}
	}
	a.mu.Unlock()
	groups := a.Cloud.ELB().Routes(a.Listener).Groups
	for _, n := range a.Cloud.Router().Effective(a.Listener) {
		total := 0
		for _, g := range n.Groups {
			total += g.Weight
		}
		for _, g := range n.Groups {
			if g.Weight == 0 || frail[g.ARN] {
				continue
			}
			healthy := 0
			for _, t := range groups[g.ARN].Targets {
				if t.Healthy {
					healthy++
				}
			}
			need := 1
			for i, x := range wishes[g.ARN] {
				if n := max(1, min((x.desired*g.Weight+total-1)/total, x.capacity)); i == 0 || n < need {
					need = n
				}
			}
			if healthy < need {
				out = append(out, fmt.Sprintf("node %d sends %d of %d to group %s, which has %d of %d healthy targets", n.Node, g.Weight, total, a.groupName(g.ARN), healthy, need))
			}
		}
	}
	return out
}

// CheckUsers notes requests of users that failed.
func (w *World) CheckUsers() {
	w.AWS.mu.Lock()
	n, text := w.AWS.failures, strings.Join(w.AWS.failed, "; ")
	w.AWS.mu.Unlock()
	if n > 0 {
		w.Problemf("%d requests of users failed: %s", n, text)
	}
}

// checkECSEnd checks the newest deployment of an application on ECS at rest.
func (w *World) checkECSEnd(tx store.Tx, a deploy.Application) error {
	d, ok, err := w.ending(tx, a)
	if err != nil || !ok {
		return err
	}
	w.AWS.mu.Lock()
	foreign := w.AWS.foreignAt
	w.AWS.mu.Unlock()
	if d.FinishedAt.Before(foreign) {
		return nil
	}
	live, err := w.observeECS(context.Background(), d)
	if err != nil {
		w.Problemf("observe %s: %v", a.Name, err)
		return nil
	}
	text := strings.Join(w.AWS.TaskSets(a.Name), " ") + " " + w.AWS.Weights()
	switch {
	case d.End == deploy.EndDeclared && live.Digest != d.LiveDigest && d.LiveDigest != "":
		w.Problemf("%s of %s is DECLARED with digest %.8s, live is %.8s: %s", d.ID, a.Name, d.LiveDigest, live.Digest, text)
	case d.End == deploy.EndSnapshot && d.Plan.FirstDeploy && live.Exists && len(w.AWS.TaskSets(a.Name)) > 0 && !strings.Contains(text, "ServiceNot"):
		w.Problemf("%s of %s went back to nothing, live is %s", d.ID, a.Name, text)
	case d.End == deploy.EndSnapshot && !d.Plan.FirstDeploy && live.Digest != d.Plan.LiveDigest:
		w.Problemf("%s of %s is SNAPSHOT, but live is %s", d.ID, a.Name, text)
	}
	if image := w.declared(a.Name, d.Trigger.Commit.Hash); d.End == deploy.EndDeclared && (!strings.HasPrefix(text, "PRIMARY:"+image+"×4 ") || !strings.HasSuffix(text, " "+w.AWS.settled())) {
		w.Problemf("%s of %s is DECLARED with image %s, live is %s", d.ID, a.Name, image, text)
	}
	return nil
}

// checkECSObjects checks that whatever was made is somebody's: of a run that is
// not over, or kept by the ledger of one that is.
func (w *World) checkECSObjects(tx store.Tx) error {
	if w.rewound.Load() {
		return nil // what was made since the backup is in no ledger: a person was told
	}
	recs, err := tx.List(store.Deployments, store.Query{Limit: 1000})
	if err != nil {
		return err
	}
	open := map[string]bool{}
	kept := map[string]deploy.LedgerState{} // by token
	for _, r := range recs {
		var d deploy.Deployment
		if err := json.Unmarshal(r.Body, &d); err != nil {
			return err
		}
		open[d.ID] = !d.Status.Terminal()
		entries, err := tx.List(store.Journal, store.Query{Where: map[string][]string{"deployment_id": {d.ID}}, Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range entries {
			var e deploy.JournalEntry
			if err := json.Unmarshal(r.Body, &e); err != nil {
				return err
			}
			if !strings.HasPrefix(e.Key, deploy.JournalObjectPrefix) {
				continue
			}
			var o deploy.LedgerObject
			if err := json.Unmarshal(e.Value, &o); err != nil {
				return err
			}
			kept[o.Token] = o.State
			if d.Status.Terminal() && d.End != deploy.EndNeedsAttention && (o.State == deploy.LedgerIntended || o.State == deploy.LedgerCreated) {
				w.Problemf("%s ended %s with %s %s still %s in its ledger", d.ID, d.Display(), o.Type, o.ID, o.State)
			}
		}
	}
	dump := w.AWS.Cloud.ECS().Dump()
	fine := []deploy.LedgerState{deploy.LedgerKept, deploy.LedgerCreated, deploy.LedgerIntended}
	for _, s := range services(dump) {
		for _, t := range s.TaskSets {
			id := t.Tags[tagDeployment]
			if s.Status != "ACTIVE" || t.Status == "DRAINING" || id == "" || open[id] {
				continue
			}
			if !slices.Contains(fine, kept[t.Tags[tagToken]]) {
				w.Problemf("%s left task set %s (%s, scale %g), which its ledger has as %q", id, t.ID, t.Tags[tagRole], t.Scale, kept[t.Tags[tagToken]])
			}
		}
	}
	var left []string
	for _, r := range dump.Revisions {
		if token := r.Tags[tagToken]; r.Active && token != "" && !slices.Contains(fine, kept[token]) {
			left = append(left, fmt.Sprintf("%s (%s)", r.ARN, kept[token]))
		}
	}
	left = append(left, w.leftVersions(func(token string) bool { return slices.Contains(fine, kept[token]) }, open)...)
	// A registration takes no token: one inert revision for each call whose end nobody saw is accepted.
	if len(left) > int(w.AWS.doubts.Load()) {
		w.Problemf("revisions or versions are left that no ledger keeps: %s", strings.Join(left, ", "))
	}
	return nil
}

// Doubt says that the end of a call may be seen by nobody: its process died, its answer was lost or it came late.
func (a *AWS) Doubt(calls int) { a.doubts.Add(int64(calls)) }

// Foreign reports when somebody else changed the weights last.
func (a *AWS) Foreign() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.foreignAt
}

// CheckHolds checks that what had to be rolled back is not deployed again by
// itself: behind a way back only another desired state or a person starts again.
func (w *World) CheckHolds() {
	w.View(func(tx store.Tx) error {
		recs, err := tx.List(store.Deployments, store.Query{Limit: 1000})
		if err != nil {
			return err
		}
		back := map[string]deploy.Deployment{} // last one that changed anything, or found nothing to change, by application
		for _, r := range recs {
			var d deploy.Deployment
			if err := json.Unmarshal(r.Body, &d); err != nil {
				return err
			}
			if d.Plan == nil || !d.Touched && d.End != deploy.EndDeclared {
				continue
			}
			was, ok := back[d.App.ID]
			if ok && len(d.Plan.Stages) > 0 && was.End == deploy.EndSnapshot && was.Plan.DesiredDigest == d.Plan.DesiredDigest && d.Trigger.Kind != deploy.OnCommand {
				w.once(fmt.Sprintf("%s deploys again what %s had to take back", d.ID, was.ID))
			}
			back[d.App.ID] = d
		}
		return nil
	})
}
