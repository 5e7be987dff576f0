package world

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/engine"
	"github.com/penstock-cd/penstock/internal/store"
)

// Stream is a recorded stream beside the state that the server keeps of it.
type Stream struct {
	Kind   deploy.StreamKind `json:"kind"`
	ID     string            `json:"id"`
	Events []deploy.Event    `json:"events"`
	State  json.RawMessage   `json:"state"`
}

// Streams reads every deployment and application stream of the record.
func (w *World) Streams() []Stream { return w.streams(nil) }

// streams leaves out those whose state is the known one.
func (w *World) streams(known map[string]string) []Stream {
	w.T.Helper()
	var out []Stream
	w.View(func(tx store.Tx) error {
		for kind, c := range map[deploy.StreamKind]store.Collection{deploy.StreamApplication: store.Applications, deploy.StreamDeployment: store.Deployments} {
			recs, err := tx.List(c, store.Query{Limit: 1000})
			if err != nil {
				return err
			}
			for _, r := range recs {
				if known[r.Key] == string(r.Body) {
					continue
				}
				stored, err := tx.Read(store.Stream{Kind: kind, ID: r.Key}, 0, deploy.MaxDeploymentEvents)
				if err != nil {
					return err
				}
				s := Stream{Kind: kind, ID: r.Key, State: r.Body}
				for _, e := range stored {
					s.Events = append(s.Events, e.Event)
				}
				out = append(out, s)
			}
		}
		return nil
	})
	return out
}

// Verify folds the stream and compares with the state that was kept.
func (s Stream) Verify() error {
	var folded any
	var err error
	if s.Kind == deploy.StreamApplication {
		folded, err = engine.FoldApp(s.Events)
	} else {
		folded, err = engine.Fold(s.Events)
	}
	if err != nil {
		return fmt.Errorf("fold %s %s: %w", s.Kind, s.ID, err)
	}
	got, err := json.Marshal(folded)
	if err != nil {
		return err
	}
	var want bytes.Buffer
	if err := json.Compact(&want, s.State); err != nil {
		return err
	}
	if !bytes.Equal(got, want.Bytes()) {
		return fmt.Errorf("%s %s: the fold of its %d events is not its state:\nfold  %s\nstate %s", s.Kind, s.ID, len(s.Events), got, want.Bytes())
	}
	return nil
}

// Memory is what a checker has seen, so that it can tell what changed.
type Memory struct {
	finished map[string]string
	open     map[string]string // deployment that is at work, by application
	known    map[string]string // state that was checked, by stream
}

// Again makes the next check look at everything, not only at what changed.
func (m *Memory) Again() { m.known = nil }

// CheckRecord checks the record: folds equal states, finished deployments stay
// as they are, states move along the table, one deployment of an application
// runs at a time.
func (w *World) CheckRecord(m *Memory) {
	w.T.Helper()
	if w.host.current() == nil {
		return
	}
	if m.finished == nil {
		m.finished, m.open = map[string]string{}, map[string]string{}
	}
	if m.known == nil {
		m.known = map[string]string{}
	}
	changed := w.streams(m.known)
	for _, s := range changed {
		m.known[s.ID] = string(s.State)
		var d deploy.Deployment
		if s.Kind == deploy.StreamDeployment && json.Unmarshal(s.State, &d) == nil && d.Status.Terminal() && m.open[d.App.ID] == d.ID {
			delete(m.open, d.App.ID)
		}
	}
	for _, s := range changed {
		if err := s.Verify(); err != nil {
			w.Problemf("%v", err)
		}
		if s.Kind != deploy.StreamDeployment {
			continue
		}
		w.checkStream(s)
		w.checkEvidence(s)
		var d deploy.Deployment
		if err := json.Unmarshal(s.State, &d); err != nil {
			w.Problemf("state of %s: %v", s.ID, err)
			continue
		}
		if was := m.finished[d.ID]; was != "" && was != string(s.State) {
			w.Problemf("deployment %s was finished and changed:\n%s\n%s", d.ID, was, s.State)
		}
		if d.Status.Terminal() {
			m.finished[d.ID] = string(s.State)
		} else if !d.AdmittedAt.IsZero() {
			if other := m.open[d.App.ID]; other != "" && other != d.ID {
				w.Problemf("application %s has two open deployments, %s and %s", d.App.Name, other, d.ID)
			}
			m.open[d.App.ID] = d.ID
		}
	}
}

// CheckCloud checks what the fake cloud saw and the objects that are left.
func (w *World) CheckCloud() {
	for _, b := range w.Cloud.Broken() {
		w.Problemf("traffic: %s", b)
	}
}

// CheckEnds checks every finished deployment that nothing came after: the live
// state is what was declared, or what was there before, or a person was told;
// and no object is left that nobody owns. Call it when the world is at rest.
func (w *World) CheckEnds() {
	w.T.Helper()
	w.View(func(tx store.Tx) error {
		recs, err := tx.List(store.Applications, store.Query{Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range recs {
			var a deploy.Application
			if err := json.Unmarshal(r.Body, &a); err != nil {
				return err
			}
			check := w.checkECSEnd
			switch a.Kind {
			case "FakeApp":
				check = w.checkEnd
			case "LambdaApp":
				check = w.checkLambdaEnd
			}
			if err := check(tx, a); err != nil {
				return err
			}
		}
		if w.AWS != nil {
			return w.checkECSObjects(tx)
		}
		return nil
	})
}

// ending is the newest deployment of an application, and whether there is an end
// of it to judge. One that is not over is a problem.
func (w *World) ending(tx store.Tx, a deploy.Application) (d deploy.Deployment, ok bool, err error) {
	if a.LastID == "" {
		return d, false, nil
	}
	if d, err = load[deploy.Deployment](tx, store.Deployments, a.LastID); err != nil {
		return d, false, err
	}
	if !d.Status.Terminal() {
		w.Problemf("deployment %s of %s has not ended: %s, due %+v", d.ID, a.Name, d.Status, engine.Due(d))
		return d, false, nil
	}
	return d, d.Plan != nil && d.End != deploy.EndNone && d.End != deploy.EndNeedsAttention, nil
}

func (w *World) checkEnd(tx store.Tx, a deploy.Application) error {
	d, ok, err := w.ending(tx, a)
	if err != nil || !ok {
		return err
	}
	s, exists := w.Cloud.Service(a.Name)
	digest := "nothing"
	if exists && len(s.Sets) > 0 {
		digest = s.Digest()
	}
	switch {
	case d.End == deploy.EndDeclared && len(d.Plan.Versions) > 0 && !s.Serves(d.Plan.Versions[0].Version):
		w.Problemf("%s of %s is DECLARED, live is %s", d.ID, a.Name, s.Text(time.Now()))
	case d.End == deploy.EndDeclared && d.LiveDigest != "" && digest != d.LiveDigest:
		w.Problemf("%s of %s is DECLARED with digest %s, live is %s", d.ID, a.Name, d.LiveDigest, s.Text(time.Now()))
	case d.End == deploy.EndSnapshot && d.Plan.FirstDeploy && exists:
		w.Problemf("%s of %s went back to nothing, live is %s", d.ID, a.Name, s.Text(time.Now()))
	case d.End == deploy.EndSnapshot && !d.Plan.FirstDeploy && digest != d.Plan.LiveDigest:
		w.Problemf("%s of %s is SNAPSHOT, but live is %s", d.ID, a.Name, s.Text(time.Now()))
	}
	return w.checkObjects(tx, d, s.IDs())
}

// checkObjects compares what the cloud has with the ledger of the last run.
func (w *World) checkObjects(tx store.Tx, d deploy.Deployment, live map[string]string) error {
	recs, err := tx.List(store.Journal, store.Query{Where: map[string][]string{"deployment_id": {d.ID}}, Limit: 1000})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, r := range recs {
		var e deploy.JournalEntry
		if err := json.Unmarshal(r.Body, &e); err != nil {
			return err
		}
		if len(e.Key) < len(deploy.JournalObjectPrefix) || e.Key[:len(deploy.JournalObjectPrefix)] != deploy.JournalObjectPrefix {
			continue
		}
		var o deploy.LedgerObject
		if err := json.Unmarshal(e.Value, &o); err != nil {
			return err
		}
		if o.State == deploy.LedgerIntended || o.State == deploy.LedgerCreated {
			w.Problemf("%s ended %s with %s %s still %s in its ledger", d.ID, d.Display(), o.Type, o.ID, o.State)
		}
		known[o.ID] = o.State == deploy.LedgerKept
	}
	for id, creator := range live {
		if creator == d.ID && !known[id] && d.Failed.Code != deploy.ReasonMadeBefore { // its record is older than what it made
			w.Problemf("%s left %s, which its ledger does not account for", d.ID, id)
		}
	}
	return nil
}

func load[T any](tx store.Tx, c store.Collection, key string) (T, error) {
	var v T
	rec, ok, err := tx.Get(c, key)
	if err != nil || !ok {
		return v, fmt.Errorf("record %s: found %v, %w", key, ok, err)
	}
	return v, json.Unmarshal(rec.Body, &v)
}
