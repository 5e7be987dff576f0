package server

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/index"
	"github.com/penstock-cd/penstock/internal/policy"
	"github.com/penstock-cd/penstock/internal/store"
)

// item is what a list can be asked about, in the words of the requests.
type item struct {
	id, name, text string
	by             map[string]string // value of each facet
	labels         map[string]string
	people         []string
	order          map[string]string // what each sort compares
}

// picks draws from a fixed sequence: the same fleet and the same questions in each run.
type picks struct{ *rand.Rand }

func (p picks) of(words ...string) string { return words[p.IntN(len(words))] }

func (p picks) some(words ...string) []string {
	if p.IntN(4) > 0 {
		return nil
	}
	return slices.Compact([]string{p.of(words...), p.of(words...)})
}

var (
	listKinds = []string{"ECSApp", "FakeApp"}
	listTeams = []string{"pay", "find", "Core"}
	listEnvs  = []string{"dev", "prod"}
	displays  = []string{"SUCCESS", "ROLLED_BACK", "NEEDS_ATTENTION", "CANCELLED"}
	healths   = []string{"HEALTHY", "UNHEALTHY", "PROGRESSING", "UNKNOWN"}
)

func (p picks) ref(i int) deploy.Ref {
	return deploy.Ref{
		ID: fmt.Sprintf("app-%03d", i), Name: fmt.Sprintf("Svc-%d", i/2), Kind: deploy.Kind(p.of(listKinds...)), AgentID: p.of("a1", "a2"), Provider: p.of("p1", "p2"),
		Path: "dir/" + p.of("x", "y"), Labels: map[string]string{"team": p.of(listTeams...), "env": p.of(listEnvs...)},
	}
}

func ended(display string) (deploy.Status, deploy.End) {
	switch display {
	case "ROLLED_BACK":
		return deploy.StatusFailure, deploy.EndSnapshot
	case "NEEDS_ATTENTION":
		return deploy.StatusFailure, deploy.EndNeedsAttention
	}
	return deploy.Status(display), deploy.EndDeclared
}

// applications puts a fleet into the store and returns what is to be found; one in ten was deleted.
func (p picks) applications(r *rig, n int) (out []item) {
	r.put(func(tx store.Tx) error {
		for i := range n {
			a := deploy.Application{Ref: p.ref(i), ProjectID: "default", Disabled: p.IntN(5) == 0, LastDisplay: p.of(append(displays, "")...), Deleted: i%10 == 9}
			if a.LastDisplay != "" {
				a.LastAt = time.Unix(int64(p.IntN(1000)), 0)
			}
			if p.IntN(2) == 0 {
				a.LastGood = &deploy.Good{}
			}
			health := p.of(healths...)
			rec, err := index.Application(a, health)
			if err != nil {
				return err
			}
			if err := tx.Put(store.Applications, rec); err != nil {
				return err
			}
			if a.Deleted {
				continue
			}
			x := itemOf(a.Ref)
			maps.Copy(x.by, map[string]string{"sync_state": string(a.Sync()), "health": health, "display": cmp.Or(a.LastDisplay, "NONE"), "enabled": fmt.Sprint(!a.Disabled)})
			for sort, column := range sorts {
				x.order[sort] = rec.Index[column]
			}
			out = append(out, x)
		}
		return nil
	})
	return out
}

func (p picks) deployments(r *rig, n int) (out []item) {
	r.put(func(tx store.Tx) error {
		for i := range n {
			display := p.of(displays...)
			d := deploy.Deployment{ID: fmt.Sprintf("d-%03d", i), ProjectID: "default", App: p.ref(i % 40), Trigger: deploy.Trigger{Kind: deploy.TriggerKind(p.of("ON_COMMIT", "ON_COMMAND")), By: p.of("", "Ann", "bob")}}
			d.Trigger.Commit.Email = p.of("", "ann@example.com", "eve@example.com")
			d.Status, d.End = ended(display)
			rec, err := index.Deployment(d)
			if err != nil {
				return err
			}
			if err := tx.Put(store.Deployments, rec); err != nil {
				return err
			}
			x := itemOf(d.App)
			x.id, x.people = d.ID, []string{strings.ToLower(d.Trigger.By), strings.TrimSuffix(d.Trigger.Commit.Email, "@example.com")}
			maps.Copy(x.by, map[string]string{"status": display, "trigger": string(d.Trigger.Kind)})
			x.order = map[string]string{"": d.ID, "newest": d.ID, "oldest": d.ID}
			out = append(out, x)
		}
		return nil
	})
	return out
}

func itemOf(a deploy.Ref) item {
	text := strings.ToLower(a.Name + "\n" + a.Path)
	for k, v := range a.Labels {
		text += "\n" + k + "=" + strings.ToLower(v)
	}
	return item{
		id: a.ID, name: strings.ToLower(a.Name), text: text, labels: a.Labels, order: map[string]string{},
		by: map[string]string{"kind": string(a.Kind), "agent_id": a.AgentID, "provider": a.Provider},
	}
}

func (r *rig) put(f func(store.Tx) error) {
	r.Helper()
	if err := r.st.Update(r.Context(), "default", f); err != nil {
		r.Fatal(err)
	}
}

// asked is a question to the model: what was chosen of each facet, and the rest.
type asked struct {
	chosen map[string][]string
	labels map[string]string
	words  string
	mine   string
	sort   string
	desc   bool
}

// through says whether a filter other than one lets an item through.
func (q asked) through(x item, but string) bool {
	for facet, chosen := range q.chosen {
		if facet != but && len(chosen) > 0 && !slices.Contains(chosen, x.by[facet]) {
			return false
		}
	}
	for k, v := range q.labels {
		if x.labels[k] != v {
			return false
		}
	}
	for _, w := range strings.Fields(strings.ToLower(q.words)) {
		if !strings.Contains(x.text, w) {
			return false
		}
	}
	return q.mine == "" || slices.Contains(x.people, q.mine)
}

// answer lists ids in order and counts facets, looking at every item.
func (q asked) answer(all []item) (ids []string, facets map[string]map[string]int) {
	facets = map[string]map[string]int{}
	var found []item
	for _, x := range all {
		for facet, v := range x.by {
			if q.through(x, facet) {
				if facets[facet] == nil {
					facets[facet] = map[string]int{}
				}
				facets[facet][v]++
			}
		}
		if q.through(x, "") {
			found = append(found, x)
		}
	}
	slices.SortFunc(found, func(a, b item) int {
		d := cmp.Or(cmp.Compare(a.order[q.sort], b.order[q.sort]), cmp.Compare(a.id, b.id))
		if q.desc {
			return -d
		}
		return d
	})
	for _, x := range found {
		ids = append(ids, x.id)
	}
	return ids, facets
}

func counted2(facets []*penstockv1.Facet) map[string]map[string]int {
	out := map[string]map[string]int{}
	for _, f := range facets {
		if f.Name == "label" || len(f.Values) == 0 {
			continue
		}
		out[f.Name] = map[string]int{}
		for _, v := range f.Values {
			out[f.Name][v.Value] = int(v.Count)
		}
	}
	return out
}

// labelsMap draws labels that all must be there.
func (p picks) labelsMap() map[string]string {
	out := map[string]string{}
	if p.IntN(4) == 0 {
		out["team"] = p.of(listTeams...)
	}
	if p.IntN(4) == 0 {
		out["env"] = p.of(listEnvs...)
	}
	return out
}

// TestListApplicationsAgainstModel compares pages, totals and counts of choices with a model that looks at everything.
func TestListApplicationsAgainstModel(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := picks{rand.New(rand.NewPCG(1, 2))}
		all := p.applications(r, 60)
		for range 120 {
			q := asked{labels: p.labelsMap(), words: p.of("", "", "", "SVC-1", "dir/x pay", "env=prod", "nothing"), sort: p.of(slices.Sorted(maps.Keys(sorts))...), desc: p.IntN(2) == 0}
			m := &penstockv1.ListApplicationsRequest{
				Query: q.words, Labels: q.labels, Sort: q.sort, Facets: true, Kinds: p.some(listKinds...), SyncStates: p.some("SYNCED", "UNKNOWN"), Displays: p.some(append(displays, "NONE")...),
				Healths: p.some(healths...), AgentIds: p.some("a1", "a2"), Providers: p.some("p1"),
			}
			if q.desc {
				m.Sort = "-" + cmp.Or(q.sort, "name")
			}
			q.chosen = map[string][]string{"kind": m.Kinds, "sync_state": m.SyncStates, "display": m.Displays, "health": m.Healths, "agent_id": m.AgentIds, "provider": m.Providers}
			if p.IntN(3) == 0 {
				on := p.IntN(2) == 0
				m.Enabled, q.chosen["enabled"] = &on, []string{fmt.Sprint(on)}
			}
			want, facets := q.answer(all)
			var got []string
			m.Page = &penstockv1.PageRequest{PageSize: int32(1 + p.IntN(30))}
			for {
				res, err := r.apps.ListApplications(r.Context(), connect.NewRequest(m))
				if err != nil {
					r.Fatal(err)
				}
				for _, a := range res.Msg.Applications {
					got = append(got, a.Id)
				}
				if diff := gocmp.Diff(facets, counted2(res.Msg.Facets)); diff != "" || int(res.Msg.Total) != len(want) {
					r.Fatalf("%v: total %d, want %d; facets (-want +got):\n%s", m, res.Msg.Total, len(want), diff)
				}
				if m.Page.PageToken = res.Msg.Page.NextPageToken; m.Page.PageToken == "" {
					break
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				r.Fatalf("%v (-want +got):\n%s", m, diff)
			}
		}
	})
}

// TestListDeploymentsAgainstModel is the same for the history, "mine" among it.
func TestListDeploymentsAgainstModel(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := picks{rand.New(rand.NewPCG(3, 4))}
		all := p.deployments(r, 150)
		_, ann := newClients(r, r.credential("Ann", policy.RoleViewer))
		for range 120 {
			q := asked{labels: p.labelsMap(), words: p.of("", "", "", "SVC-1", "dir/x pay", "nothing"), sort: p.of("", "newest", "oldest"), mine: p.of("", "", "ann")}
			q.desc = q.sort != "oldest"
			m := &penstockv1.ListDeploymentsRequest{
				Query: q.words, Labels: q.labels, Sort: q.sort, Facets: true, Mine: q.mine != "", Kinds: p.some(listKinds...), Statuses: p.some("SUCCESS", "ROLLED_BACK", "NEEDS_ATTENTION"),
				Triggers: p.some("ON_COMMIT"), AgentIds: p.some("a1", "a2"), Providers: p.some("p1", "p2"),
			}
			q.chosen = map[string][]string{"kind": m.Kinds, "status": m.Statuses, "trigger": m.Triggers, "agent_id": m.AgentIds, "provider": m.Providers}
			if slices.Contains(m.Statuses, "SUCCESS") { // whose way back may also be meant
				q.chosen["status"] = displaysOf(m.Statuses)
			}
			want, facets := q.answer(all)
			var got []string
			m.Page = &penstockv1.PageRequest{PageSize: int32(1 + p.IntN(70))}
			for {
				res, err := ann.ListDeployments(r.Context(), connect.NewRequest(m))
				if err != nil {
					r.Fatal(err)
				}
				for _, d := range res.Msg.Deployments {
					got = append(got, d.Id)
				}
				if diff := gocmp.Diff(facets, counted2(res.Msg.Facets)); diff != "" || int(res.Msg.Total) != len(want) {
					r.Fatalf("%v: total %d, want %d; facets (-want +got):\n%s", m, res.Msg.Total, len(want), diff)
				}
				if m.Page.PageToken = res.Msg.Page.NextPageToken; m.Page.PageToken == "" {
					break
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				r.Fatalf("%v (-want +got):\n%s", m, diff)
			}
		}
	})
}
