package server

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

func TestEachMovementDeploysOnce(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		seen := map[string]bool{}
		ids := map[string]bool{}
		for _, m := range [][2]string{{"", "A"}, {"A", "B"}, {"B", "A"}} { // A→B→A: three movements
			first, err := p.head(m[0], m[1], due(app))
			if err != nil {
				r.Fatal(err)
			}
			again, err := p.head(m[0], m[1], due(app))
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(first.String(), again.String()); diff != "" {
				r.Errorf("the repeat of %v got another answer:\n%s", m, diff)
			}
			seen[first.MovementId], ids[first.DeploymentIds[0]] = true, true
		}
		if len(seen) != 3 || len(ids) != 3 {
			r.Errorf("%d movements, %d deployments, want 3 of each", len(seen), len(ids))
		}
		a := r.application(app)
		if a.Head.Hash != "A" || a.CurrentDeploymentId == "" || len(a.Queue) != 1 {
			r.Errorf("head %s, current %q, queue %v: the second commit is superseded by the third", a.Head.Hash, a.CurrentDeploymentId, a.Queue)
		}
		old := must[*connect.Response[penstockv1.ListDeploymentsResponse]](r)(r.deploys.ListDeployments(r.Context(), connect.NewRequest(&penstockv1.ListDeploymentsRequest{Statuses: []string{"CANCELLED"}})))
		if len(old.Msg.Deployments) != 1 || old.Msg.Deployments[0].Reason.Code != deploy.ReasonSuperseded {
			r.Errorf("superseded: %v", old.Msg.Deployments)
		}
	})
}

// join2 registers an identity and begins one process of it.
func (r *rig) join2(agent, name string) *process {
	r.Helper()
	id, key := r.agent(agent)
	return r.join(id, key, name)
}

func TestAReportBehindTheRecordIsToldTheHead(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		p.moved("", "A", app)
		res, err := p.head("X", "B", due(app))
		if err != nil || res.Head != "A" || res.MovementId != "" || len(res.DeploymentIds) != 0 {
			r.Errorf("answer %v %v, want head A and nothing else", res, err)
		}
		if r.application(app).Head.Hash != "A" {
			r.Error("the report was taken")
		}
	})
}

func TestFirstSightOfAnApplicationNeedsNoMovement(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		if _, err := p.head("", "A"); err != nil {
			r.Fatal(err)
		}
		app := p.register("web")
		if id := p.moved("A", "A", app); r.deployment(id).Status != "PENDING" {
			r.Error("not pending")
		}
	})
}

func TestWhatAReportHeadMustHold(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p, other := r.join2("a", "one"), r.join2("b", "two")
		app := p.register("web")
		_, err := p.head("", "")
		wantCode(r, "no head", err, deploy.CodeInvalid, "")
		_, err = p.link.ReportHead(r.Context(), connect.NewRequest(&penstockv1.ReportHeadRequest{SessionId: p.session, RepoId: "other", Branch: "main", New: "A"}))
		wantCode(r, "an undeclared repository", err, deploy.CodeInvalid, "")
		_, err = p.link.ReportHead(r.Context(), connect.NewRequest(&penstockv1.ReportHeadRequest{SessionId: other.session, RepoId: "repo", New: "A"}))
		wantCode(r, "somebody else's session", err, deploy.CodeUnauthorized, reasonSessionOver)
		res, err := other.head("", "A", due(app), due("gone"))
		if err != nil || len(res.DeploymentIds) != 0 {
			r.Errorf("candidates of another agent, or gone: %v %v; they are left out and the rest goes on", res, err)
		}
		_, err = p.head("", "A", &penstockv1.Candidate{ApplicationId: app, Why: "no json"})
		wantCode(r, "a reason that is none", err, deploy.CodeInvalid, "")
	})
}

func TestAnUnusableFileIsShownAndDeploysNothing(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		bad := due(app)
		bad.InvalidDetail = strings.Repeat("<é\n", 9000) // larger than an event, and each sign escaped
		res, err := p.head("", "A", bad)
		if err != nil || len(res.DeploymentIds) != 0 {
			r.Fatalf("%v %v", res, err)
		}
		a := r.application(app)
		if a.SyncState != "INVALID_CONFIG" || !strings.HasPrefix(a.InvalidDetail, "<é\n") || !utf8.ValidString(a.InvalidDetail) {
			r.Errorf("state %s, detail of %d bytes", a.SyncState, len(a.InvalidDetail))
		}
		good := due(app)
		good.Name, good.Description, good.Labels = "Web", strings.Repeat("ü", 5000), map[string]string{}
		for i := range 500 {
			good.Labels[fmt.Sprintf("%03d", i)] = strings.Repeat("&", 500)
		}
		if res, err = p.head("A", "B", good); err != nil || len(res.DeploymentIds) != 1 {
			r.Fatalf("%v %v", res, err)
		}
		if a = r.application(app); a.InvalidDetail != "" || a.Name != "Web" || len(a.Labels) != maxLabels {
			r.Errorf("%s %q with %d labels", a.InvalidDetail, a.Name, len(a.Labels))
		}
	})
}

func TestAnUnreadableRepositoryIsNotedOnce(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		fail := func() {
			r.Helper()
			_, err := p.link.ReportHead(r.Context(), connect.NewRequest(&penstockv1.ReportHeadRequest{SessionId: p.session, RepoId: "repo", Branch: "main", Error: "no route"}))
			if err != nil {
				r.Fatal(err)
			}
		}
		told := func() string {
			res := must[*connect.Response[penstockv1.ListAgentsResponse]](r)(r.project.ListAgents(r.Context(), connect.NewRequest(&penstockv1.ListAgentsRequest{})))
			return res.Msg.Agents[0].Repositories[0].Error
		}
		fail()
		fail()
		if told() != "no route" {
			r.Errorf("error %q", told())
		}
		if _, err := p.head("", "A"); err != nil || told() != "" {
			r.Errorf("%v, error %q behind a head", err, told())
		}
	})
}

func TestDisabledApplicationsAreNotDeployed(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		set := func(on bool) {
			r.Helper()
			if _, err := r.apps.SetApplicationEnabled(r.Context(), connect.NewRequest(&penstockv1.SetApplicationEnabledRequest{ApplicationId: app, Enabled: on})); err != nil {
				r.Fatal(err)
			}
		}
		set(false)
		if res, err := p.head("", "A", due(app)); err != nil || len(res.DeploymentIds) != 0 {
			r.Errorf("%v %v", res, err)
		}
		if a := r.application(app); a.Head.Hash != "A" || !a.Disabled {
			r.Errorf("the movement was not noted: %v", a)
		}
		_, err := r.apps.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: app}))
		wantCode(r, "sync", err, deploy.CodeRefused, deploy.RefusedState)
		set(true)
		p.moved("A", "B", app)
	})
}

func discoveredPaths(r *rig) []string {
	res := must[*connect.Response[penstockv1.ListDiscoveredApplicationsResponse]](r)(r.apps.ListDiscoveredApplications(r.Context(), connect.NewRequest(&penstockv1.ListDiscoveredApplicationsRequest{})))
	var out []string
	for _, a := range res.Msg.Applications {
		out = append(out, a.Path)
	}
	return out
}

func TestFilesAreOffered(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		if p.files(file("one", "p"), file("two", "p", "q"), file("two", "p", "q")) {
			r.Error("registered although the project does not say so")
		}
		if diff := cmp.Diff([]string{"one", "two"}, discoveredPaths(r)); diff != "" {
			r.Error(diff)
		}
		many := make([]*penstockv1.DiscoveredApplication, 1500)
		for i := range many {
			many[i] = file(fmt.Sprintf("dir/%04d", i), "p")
		}
		p.files(many...)
		p.files(file("three", "p"))
		if diff := cmp.Diff([]string{"three"}, discoveredPaths(r)); diff != "" {
			r.Errorf("files that are gone are still offered:\n%s", diff)
		}
		add := func(m *penstockv1.AddApplicationRequest) (*connect.Response[penstockv1.AddApplicationResponse], error) {
			m.AgentId, m.RepoId = p.agent, "repo"
			return r.apps.AddApplication(r.Context(), connect.NewRequest(m))
		}
		broken := file("broken", "p")
		broken.InvalidDetail = "app.pipecd.yaml:3:1: unknown field"
		p.files(file("three", "p"), file("two", "p", "q"), broken)
		for name, x := range map[string]struct {
			m    *penstockv1.AddApplicationRequest
			code deploy.Code
			text string
		}{
			"a file that nobody saw": {&penstockv1.AddApplicationRequest{Path: "nowhere"}, deploy.CodeNotFound, "penstock app discover"},
			"an unusable file":       {&penstockv1.AddApplicationRequest{Path: "broken"}, deploy.CodeInvalid, "app.pipecd.yaml:3:1"},
			"no provider of two":     {&penstockv1.AddApplicationRequest{Path: "two"}, deploy.CodeInvalid, "p, q"},
			"an unknown provider":    {&penstockv1.AddApplicationRequest{Path: "two", Provider: "x"}, deploy.CodeInvalid, "p, q"},
		} {
			_, err := add(x.m)
			wantCode(r, name, err, x.code, "")
			if err != nil && !strings.Contains(err.Error(), x.text) {
				r.Errorf("%s: %v does not say %q", name, err, x.text)
			}
		}
		first := must[*connect.Response[penstockv1.AddApplicationResponse]](r)(add(&penstockv1.AddApplicationRequest{RequestId: "1", Path: "/three/", Name: "Three"}))
		if a := first.Msg.Application; a.Provider != "p" || a.Name != "Three" || a.RemoteUrl != "https://git.example/org/repo.git" {
			r.Errorf("added %v", a)
		}
		again := must[*connect.Response[penstockv1.AddApplicationResponse]](r)(add(&penstockv1.AddApplicationRequest{RequestId: "1", Path: "/three/", Name: "Three"}))
		if first.Msg.Application.Id != again.Msg.Application.Id {
			r.Error("the repeated request made another application")
		}
		_, err := add(&penstockv1.AddApplicationRequest{RequestId: "2", Path: "three"})
		wantCode(r, "registered already", err, deploy.CodeExists, "")
		_, err = add(&penstockv1.AddApplicationRequest{RequestId: "1", Path: "two", Provider: "q"})
		wantCode(r, "a request id for something else", err, deploy.CodeConflict, "")
	})
}

func TestFilesRegisterThemselvesWhereTheProviderIsBeyondDoubt(t *testing.T) {
	onRig(t, func(o *Options) { o.Project = ProjectConfig{ID: "default", Name: "d", AutoRegister: true} }, func(r *rig) {
		p := r.join2("a", "one")
		bad := file("bad", "p")
		bad.InvalidDetail = "x"
		nameless := file("dir/nameless", "p")
		nameless.Name = ""
		if !p.files(file("one", "p"), file("one", "p"), file("two", "p", "q"), file("none"), bad, nameless) {
			r.Fatal("nothing was registered")
		}
		if diff := cmp.Diff([]string{"bad", "none", "two"}, discoveredPaths(r)); diff != "" {
			r.Error(diff)
		}
		got := p.work()
		if len(got.Applications) != 2 || len(got.Repositories) != 1 || len(got.Repositories[0].Applications) != 2 {
			r.Errorf("work: %v", got)
		}
		if p.files(file("one", "p")) {
			r.Error("registered twice")
		}
		if r.application("nameless").Path != "dir/nameless" {
			r.Error("an application without a name is not found by its directory")
		}
	})
}

func TestFilesOfRepositoriesThatAreGoneAreForgotten(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		p.files(file("one", "p"))
		_, err := p.link.Hello(r.Context(), connect.NewRequest(&penstockv1.HelloRequest{MinVersion: 1, MaxVersion: 1, ProcessId: "one"}))
		if err != nil {
			r.Fatal(err)
		}
		if got := discoveredPaths(r); len(got) != 0 {
			r.Errorf("still offered: %v", got)
		}
	})
}

func TestSameRemote(t *testing.T) {
	const want = "github.com/org/repo"
	for _, u := range []string{
		"https://github.com/org/repo", "https://github.com/org/repo.git", "https://github.com/org/repo/", "HTTPS://GitHub.com/Org/Repo.git", "https://user:pw@github.com/org/repo.git",
		"https://github.com:443/org/repo", "http://github.com:80/org/repo", "git@github.com:org/repo.git", "git@github.com:/org/repo", "ssh://git@github.com/org/repo.git",
		"ssh://git@github.com:22/org/repo", "git://github.com/org/repo.git", " https://github.com/org/repo ", "github.com/org/repo",
	} {
		if got := sameRemote(u); got != want {
			t.Errorf("sameRemote(%q) = %q, want %q", u, got, want)
		}
	}
	for _, u := range []string{"https://github.com/org/other", "https://gitlab.com/org/repo", "https://github.com:8443/org/repo", "https://github.com.evil.example/org/repo", "https://evil.example/github.com/org/repo", "https://github.com@evil.example/org/repo", ""} {
		if got := sameRemote(u); got == want {
			t.Errorf("sameRemote(%q) = %q", u, got)
		}
	}
}

func TestTheRemoteIsKeptWithoutItsPassword(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:secret@git.example/org/repo": "https://git.example/org/repo", "https://token@git.example/org/repo": "https://git.example/org/repo",
		"ssh://git@git.example/org/repo": "ssh://git@git.example/org/repo", "git@git.example:org/repo": "git@git.example:org/repo", "/srv/repo": "/srv/repo",
	} {
		if got := withoutUser(in); got != want {
			t.Errorf("withoutUser(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestThingsAreSpreadOverProcesses(t *testing.T) {
	live := []session{{ID: "01"}, {ID: "02"}, {ID: "03"}}
	n := map[string]int{}
	moved := 0
	for i := range 300 {
		key := fmt.Sprintf("app/%c%c", 'a'+i%26, 'a'+i/26)
		was := responsible(key, live)
		n[was]++
		if now := responsible(key, live[:2]); was != "03" && now != was {
			moved++
		}
	}
	if moved != 0 {
		t.Errorf("%d keys of processes that stay moved", moved)
	}
	for _, x := range live {
		if n[x.ID] < 60 {
			t.Errorf("process %s has %d of 300", x.ID, n[x.ID])
		}
	}
	if responsible("x", nil) != "" {
		t.Error("nobody is somebody")
	}
}
