package server

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/store"
)

// forget makes the records of the store what an old version left: bodies with
// hardly an index, no tags, no summaries, and no word of a version.
func (r *rig) forget() {
	r.put(func(tx store.Tx) error {
		for _, c := range []store.Collection{store.Deployments, store.Applications} {
			recs, err := listAll(tx, c, store.Query{})
			if err != nil {
				return err
			}
			for _, rec := range recs {
				if err := tx.Put(c, store.Record{Key: rec.Key, Body: rec.Body, Index: map[string]string{"name": rec.Index["name"]}}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := r.st.Update(r.Context(), store.System, func(tx store.Tx) error { return tx.Delete(store.Requests, "index/default") }); err != nil {
		r.Fatal(err)
	}
}

// TestAnOldDatabaseIsIndexed starts a server on records of an old version, more
// of them than one transaction takes: lists are what they were.
func TestAnOldDatabaseIsIndexed(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := picks{rand.New(rand.NewPCG(5, 6))}
		all := p.deployments(r, 2*reindexBatch+7)
		r.join2("a", "one").running("web", "d1")
		list := func() (*penstockv1.ListDeploymentsResponse, *penstockv1.ListApplicationsResponse) {
			d := must[*connect.Response[penstockv1.ListDeploymentsResponse]](r)(r.deploys.ListDeployments(r.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{Facets: true, Page: &penstockv1.PageRequest{PageSize: 200}})))
			a := must[*connect.Response[penstockv1.ListApplicationsResponse]](r)(r.apps.ListApplications(r.Context(), connect.NewRequest(&penstockv1.ListApplicationsRequest{Facets: true})))
			return d.Msg, a.Msg
		}
		before, apps := list()
		if int(before.Total) != len(all)+1 || apps.Total != 1 {
			r.Fatalf("%d deployments and %d applications", before.Total, apps.Total)
		}
		r.forget()
		if now, _ := list(); len(now.Facets) > 0 && cmp.Equal(counted2(now.Facets), counted2(before.Facets)) {
			r.Fatal("an index that was taken away is there")
		}
		r.restart()
		after, appsAfter := list()
		if diff := cmp.Diff(fmt.Sprint(before.Deployments, before.Facets, before.Total), fmt.Sprint(after.Deployments, after.Facets, after.Total)); diff != "" {
			r.Errorf("deployments (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(fmt.Sprint(apps.Facets, apps.Total), fmt.Sprint(appsAfter.Facets, appsAfter.Total)); diff != "" {
			r.Errorf("applications (-want +got):\n%s", diff)
		}
		if said := strings.Count(r.log.String(), "records were brought to this version"); said != 1 {
			r.Errorf("the log says %d times that records were brought to this version", said)
		}
		r.restart()
		if said := strings.Count(r.log.String(), "records were brought to this version"); said != 1 {
			r.Errorf("%d times after another start", said)
		}
	})
}

// TestListsRefuse sends lists and searches what no page sends.
func TestListsRefuse(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		many, long := make([]string, maxFilterValues+1), strings.Repeat("x", maxFilterText+1)
		labels := map[string]string{}
		for i := range maxFilterValues + 1 {
			labels[fmt.Sprint(i)], many[i] = "x", fmt.Sprint(i)
		}
		for name, m := range map[string]*penstockv1.ListDeploymentsRequest{
			"text": {Query: long}, "labels": {Labels: labels}, "statuses": {Statuses: many}, "kinds": {Kinds: many}, "triggers": {Triggers: many}, "agents": {AgentIds: many},
			"providers": {Providers: many}, "sort": {Sort: "name; drop"}, "page size": {Page: &penstockv1.PageRequest{PageSize: largestPage + 1}},
			"token": {Page: &penstockv1.PageRequest{PageToken: "%"}}, "token that is no place": {Page: &penstockv1.PageRequest{PageToken: "W10"}},
			"long token": {Page: &penstockv1.PageRequest{PageToken: strings.Repeat("A", 4000)}},
		} {
			_, err := r.deploys.ListDeployments(r.Context(), connect.NewRequest(m))
			wantCode(r, "deployments, "+name, err, deploy.CodeInvalid, "")
		}
		for name, m := range map[string]*penstockv1.ListApplicationsRequest{
			"text": {Query: long}, "labels": {Labels: labels}, "sync states": {SyncStates: many}, "displays": {Displays: many}, "healths": {Healths: many}, "sort": {Sort: "by_name"}, "two signs": {Sort: "--name"},
		} {
			_, err := r.apps.ListApplications(r.Context(), connect.NewRequest(m))
			wantCode(r, "applications, "+name, err, deploy.CodeInvalid, "")
		}
		for name, m := range map[string]*penstockv1.SearchRequest{"text": {Query: long}, "limit": {Query: "xx", Limit: searchLimit + 1}, "negative": {Query: "xx", Limit: -1}} {
			_, err := r.project.Search(r.Context(), connect.NewRequest(m))
			wantCode(r, "search, "+name, err, deploy.CodeInvalid, "")
		}
	})
}

// TestSearchFinds looks for a thing by everything that it can be called.
func TestSearchFinds(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("prod-agent", "one")
		web, d := p.running("web", "d1")
		other := p.register("team/webhooks")
		find := func(text string, limit int32) (out []string) {
			res := must[*connect.Response[penstockv1.SearchResponse]](r)(r.project.Search(r.Context(), connect.NewRequest(&penstockv1.SearchRequest{Query: text, Limit: limit})))
			for _, h := range res.Msg.Hits {
				out = append(out, h.Kind+" "+h.Id)
			}
			return out
		}
		for text, want := range map[string][]string{
			"w":                nil, // too short to mean anything
			"WE":               {"application " + web, "application " + other},
			"  hooks ":         {"application " + other},
			"team= hook":       {"application " + other},
			"prod-a":           {"agent " + p.agent},
			d:                  {"deployment " + d},
			strings.ToUpper(d): {"deployment " + d},
			"no such thing":    nil,
			"%":                nil,
		} {
			if diff := cmp.Diff(want, find(text, 0)); diff != "" {
				r.Errorf("%q (-want +got):\n%s", text, diff)
			}
		}
		if got := find("we", 1); len(got) != 1 {
			r.Errorf("a limit of one gives %v", got)
		}
	})
}
