package server

import (
	"fmt"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func TestListsAreCompleteOverPages(t *testing.T) {
	onRig(t, func(o *Options) { o.Project = ProjectConfig{ID: "default", Name: "d", AutoRegister: true} }, func(r *rig) {
		p := r.join2("a", "one")
		var want []string
		var files []*penstockv1.DiscoveredApplication
		for i := range 23 {
			want = append(want, fmt.Sprintf("app-%02d", i))
			files = append(files, file(want[i], "p"))
		}
		p.files(files...)
		list := func(m *penstockv1.ListApplicationsRequest) (names []string, last *penstockv1.ListApplicationsResponse) {
			for pages := 0; ; pages++ {
				res, err := r.apps.ListApplications(r.Context(), connect.NewRequest(m))
				if err != nil || pages > 30 {
					r.Fatalf("%v after %d pages", err, pages)
				}
				for _, a := range res.Msg.Applications {
					names = append(names, a.Name)
				}
				if size := int(m.Page.GetPageSize()); size > 0 && len(res.Msg.Applications) > size {
					r.Errorf("%d on a page of %d", len(res.Msg.Applications), size)
				}
				if res.Msg.Page.NextPageToken == "" {
					return names, res.Msg
				}
				m.Page = &penstockv1.PageRequest{PageSize: m.Page.GetPageSize(), PageToken: res.Msg.Page.NextPageToken}
			}
		}
		for _, size := range []int32{0, 1, 7, 22, 23, 24, 200} {
			got, last := list(&penstockv1.ListApplicationsRequest{Page: &penstockv1.PageRequest{PageSize: size}})
			if diff := cmp.Diff(want, got); diff != "" || last.Total != 23 || last.Cursor == "" {
				r.Errorf("page size %d, total %d (-want +got):\n%s", size, last.Total, diff)
			}
		}
		for name, x := range map[string]struct {
			m    *penstockv1.ListApplicationsRequest
			want int
		}{
			"query":            {&penstockv1.ListApplicationsRequest{Query: "APP-1"}, 10},
			"labels":           {&penstockv1.ListApplicationsRequest{Labels: map[string]string{"team": "app-07"}, Page: &penstockv1.PageRequest{PageSize: 2}}, 1},
			"kind":             {&penstockv1.ListApplicationsRequest{Kinds: []string{"FakeApp"}}, 23},
			"another kind":     {&penstockv1.ListApplicationsRequest{Kinds: []string{"ECSApp"}}, 0},
			"sync state":       {&penstockv1.ListApplicationsRequest{SyncStates: []string{"UNKNOWN"}}, 23},
			"other sync state": {&penstockv1.ListApplicationsRequest{SyncStates: []string{"SYNCED"}}, 0},
			"display":          {&penstockv1.ListApplicationsRequest{Displays: []string{"SUCCESS"}}, 0},
		} {
			if got, _ := list(x.m); len(got) != x.want {
				r.Errorf("%s: %d, want %d", name, len(got), x.want)
			}
		}
		for name, page := range map[string]*penstockv1.PageRequest{"negative": {PageSize: -1}, "too large": {PageSize: 201}, "foreign token": {PageToken: "x!"}} {
			_, err := r.apps.ListApplications(r.Context(), connect.NewRequest(&penstockv1.ListApplicationsRequest{Page: page}))
			wantCode(r, "applications, "+name, err, deploy.CodeInvalid, "")
			_, err = r.deploys.ListEvents(r.Context(), connect.NewRequest(&penstockv1.ListEventsRequest{StreamKind: "agent", StreamId: p.agent, Page: page}))
			wantCode(r, "events, "+name, err, deploy.CodeInvalid, "")
		}
	})
}

func TestDeploymentsAreListedNewestFirst(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, first := p.running("web", "d1")
		app, second := p.running("other", "d2")
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed)), step(1, "back", 0, "DONE", "")} {
			if _, err := p.report(second, m); err != nil {
				r.Fatal(err)
			}
		}
		list := func(m *penstockv1.ListDeploymentsRequest) []string {
			var ids []string
			for _, d := range must[*connect.Response[penstockv1.ListDeploymentsResponse]](r)(r.deploys.ListDeployments(r.Context(), connect.NewRequest(m))).Msg.Deployments {
				ids = append(ids, d.Id)
			}
			return ids
		}
		for name, x := range map[string]struct {
			m    *penstockv1.ListDeploymentsRequest
			want []string
		}{
			"all":           {&penstockv1.ListDeploymentsRequest{}, []string{second, first}},
			"status":        {&penstockv1.ListDeploymentsRequest{Statuses: []string{"RUNNING"}}, []string{first}},
			"what is read":  {&penstockv1.ListDeploymentsRequest{Statuses: []string{"ROLLED_BACK"}}, []string{second}},
			"its status":    {&penstockv1.ListDeploymentsRequest{Statuses: []string{"FAILURE", "SUCCESS"}}, []string{second}},
			"application":   {&penstockv1.ListDeploymentsRequest{ApplicationId: app}, []string{second}},
			"name of one":   {&penstockv1.ListDeploymentsRequest{ApplicationId: "WEB"}, []string{first}},
			"part of names": {&penstockv1.ListDeploymentsRequest{Query: "E"}, []string{second, first}},
			"labels":        {&penstockv1.ListDeploymentsRequest{Labels: map[string]string{"team": "web"}}, []string{first}},
			"kind":          {&penstockv1.ListDeploymentsRequest{Kinds: []string{"ECSApp"}}, nil},
		} {
			if diff := cmp.Diff(x.want, list(x.m)); diff != "" {
				r.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		_, err := r.deploys.ListDeployments(r.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{ApplicationId: "nothing"}))
		wantCode(r, "an unknown application", err, deploy.CodeNotFound, "")
		var seqs []int64
		req := &penstockv1.ListEventsRequest{StreamKind: "deployment", StreamId: second, Page: &penstockv1.PageRequest{PageSize: 3}}
		for {
			res := must[*connect.Response[penstockv1.ListEventsResponse]](r)(r.deploys.ListEvents(r.Context(), connect.NewRequest(req))).Msg
			for _, e := range res.Events {
				seqs = append(seqs, e.Seq)
			}
			if res.Page.NextPageToken == "" {
				break
			}
			req.Page.PageToken = res.Page.NextPageToken
		}
		for i, s := range seqs {
			if s != int64(i+1) {
				r.Fatalf("events %v", seqs)
			}
		}
		if int64(len(seqs)) != r.deployment(second).Seq {
			r.Errorf("%d events of %d", len(seqs), r.deployment(second).Seq)
		}
	})
}

func TestNothingIsSeenAcrossProjects(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, id := p.running("web", "d1")
		secret, _, err := r.srv.issue(r.Context(), entry{project: "other"}, credential{Kind: "session", Project: "other", Owner: "eve", Role: "admin", ExpiresAt: r.srv.now().AddDate(1, 0, 0)}, noFact)
		if err != nil {
			r.Fatal(err)
		}
		r.token = secret
		own := *r
		own.apps, own.deploys = newClients(r, secret)
		_, err = own.apps.GetApplication(r.Context(), connect.NewRequest(&penstockv1.GetApplicationRequest{Application: app}))
		wantCode(r, "application", err, deploy.CodeNotFound, "")
		_, err = own.apps.GetLiveState(r.Context(), connect.NewRequest(&penstockv1.GetLiveStateRequest{ApplicationId: app}))
		wantCode(r, "live state", err, deploy.CodeNotFound, "")
		_, err = own.deploys.GetDeployment(r.Context(), connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
		wantCode(r, "deployment", err, deploy.CodeNotFound, "")
		_, err = own.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: id}))
		wantCode(r, "cancel", err, deploy.CodeNotFound, "")
		_, err = own.deploys.GetChanges(r.Context(), connect.NewRequest(&penstockv1.GetChangesRequest{DeploymentId: id}))
		wantCode(r, "changes", err, deploy.CodeNotFound, "")
		_, over := own.stageLog(r.Context(), &penstockv1.ReadStageLogRequest{DeploymentId: id, StageId: "roll"})
		wantCode(r, "log", <-over, deploy.CodeNotFound, "")
		events, err := own.deploys.ListEvents(r.Context(), connect.NewRequest(&penstockv1.ListEventsRequest{StreamKind: "deployment", StreamId: id}))
		if err != nil || len(events.Msg.Events) != 0 {
			r.Errorf("events %v %v", events, err)
		}
		got, _ := own.watch(r.Context(), &penstockv1.WatchRequest{})
		types(got)
		if _, err := p.report(id, step(1, "roll", 0, "DONE", "")); err != nil {
			r.Fatal(err)
		}
		if seen, _ := types(got); len(seen) != 0 {
			r.Errorf("watched %v", seen)
		}
	})
}
