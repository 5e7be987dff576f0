package server

import (
	"testing"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
)

// ownChange lets ann start a deployment that waits for an answer of anybody.
func (p *process) ownChange() (id string) {
	r := p.r
	r.Helper()
	app := p.register("web")
	approval := func(digest string) deploy.Plan {
		pl := plan(digest)
		pl.Stages = pl.Stages[2:3]
		pl.Stages[0].Approvers = []string{"ann", "bob", "key:bot"}
		return pl
	}
	first := p.moved("", sha1, app)
	must[deploy.Deployment](r)(p.report(first, planned(1, approval("d1"))))
	must[*connect.Response[penstockv1.SkipStageResponse]](r)(r.person("bob").SkipStage(r.Context(), connect.NewRequest(&penstockv1.SkipStageRequest{DeploymentId: first, StageId: "ok"})))
	ann := penstockv1connect.NewApplicationServiceClient(r.client(), "http://server", as(r.credential("ann", policy.RoleOperator)))
	id = must[*connect.Response[penstockv1.SyncApplicationResponse]](r)(ann.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: app}))).Msg.DeploymentId
	must[deploy.Deployment](r)(p.report(id, planned(1, approval("d2"))))
	return id
}

// TestApprovalRules: what a project asks of every answer is decided by the
// server, by whatever way the answer comes, from the moment the rule is set.
func TestApprovalRules(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		id := p.ownChange()
		set := func(author, note bool) {
			m := &penstockv1.UpdateProjectRequest{ApprovalNotByAuthor: &author, ApprovalNeedsNote: &note}
			got := must[*connect.Response[penstockv1.UpdateProjectResponse]](r)(r.project.UpdateProject(r.Context(), connect.NewRequest(m))).Msg.Project
			if got.ApprovalNotByAuthor != author || got.ApprovalNeedsNote != note {
				r.Errorf("project %v", got)
			}
		}
		approve := func(who, note string) error {
			_, err := r.person(who).ApproveStage(r.Context(), connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: id, StageId: "ok", Note: note}))
			return err
		}
		skip := func(who, note string) error {
			_, err := r.person(who).SkipStage(r.Context(), connect.NewRequest(&penstockv1.SkipStageRequest{DeploymentId: id, StageId: "ok", Note: note}))
			return err
		}
		for name, want := range map[string]bool{"ann": true, "bob": false} {
			got, err := r.person(name).GetDeployment(r.Context(), connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))
			if err != nil || got.Msg.Deployment.Own != want {
				r.Errorf("%s reads own %v, %v", name, got.Msg.Deployment.Own, err)
			}
		}
		set(true, true)
		wantCode(r, "one's own", approve("ann", "fine"), deploy.CodeRefused, deploy.RefusedAuthor)
		wantCode(r, "one's own, skipped", skip("ann", "fine"), deploy.CodeRefused, deploy.RefusedAuthor)
		wantCode(r, "no note", approve("bob", ""), deploy.CodeRefused, deploy.RefusedNoNote)
		wantCode(r, "blanks", approve("bob", " \n"), deploy.CodeRefused, deploy.RefusedNoNote)
		wantCode(r, "skipped without a note", skip("bob", ""), deploy.CodeRefused, deploy.RefusedNoNote)
		_, err := r.person("ann").RejectStage(r.Context(), connect.NewRequest(&penstockv1.RejectStageRequest{DeploymentId: id, StageId: "ok"}))
		wantCode(r, "rejected without a note", err, deploy.CodeRefused, deploy.RefusedNoNote)
		if s := r.deployment(id).Stages[0]; s.Status != "RUNNING" || len(s.Given) != 0 {
			r.Errorf("refused answers left %v", s)
		}
		set(true, false)
		if err := approve("bob", ""); err != nil {
			r.Error(err)
		}
		if d := r.deployment(id); d.Status != "SUCCESS" {
			r.Errorf("approved by another person it is %s", d.Status)
		}
	})
}

// TestAuthorMayReject: who finds a fault in their own change stops it.
func TestAuthorMayReject(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		id, yes := p.ownChange(), true
		must[*connect.Response[penstockv1.UpdateProjectResponse]](r)(r.project.UpdateProject(r.Context(), connect.NewRequest(&penstockv1.UpdateProjectRequest{ApprovalNotByAuthor: &yes})))
		if _, err := r.person("ann").RejectStage(r.Context(), connect.NewRequest(&penstockv1.RejectStageRequest{DeploymentId: id, StageId: "ok"})); err != nil {
			r.Error(err)
		}
	})
}

// TestSkipIsNoWayPastTheApprovers: who may not approve a stage may not skip it,
// whatever their role.
func TestSkipIsNoWayPastTheApprovers(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		id := p.ownChange()
		made := must[*connect.Response[penstockv1.CreateAPIKeyResponse]](r)(r.project.CreateAPIKey(r.Context(), connect.NewRequest(&penstockv1.CreateAPIKeyRequest{Name: "other", Role: "admin"})))
		other := penstockv1connect.NewDeploymentServiceClient(r.client(), "http://server", as(made.Msg.Key))
		skip := &penstockv1.SkipStageRequest{DeploymentId: id, StageId: "ok"}
		_, err := other.SkipStage(r.Context(), connect.NewRequest(skip))
		wantCode(r, "skipped by somebody who is no approver", err, deploy.CodeRefused, deploy.RefusedNotApprover)
		if s := r.deployment(id).Stages[0]; s.Status != "RUNNING" {
			r.Errorf("it is %s", s.Status)
		}
		if _, err := r.person("bob").SkipStage(r.Context(), connect.NewRequest(skip)); err != nil {
			r.Errorf("an approver skips: %v", err)
		}
		if s := r.deployment(id).Stages[0]; s.Status != "SKIPPED" {
			r.Errorf("it is %s", s.Status)
		}
	})
}

// TestKeysAreNotPeople: a key stands among approvers as key:NAME; one that is
// named like a person answers for nobody, and for the author it is the author's.
func TestKeysAreNotPeople(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		id := p.ownChange()
		approve := func(key string) error {
			made := must[*connect.Response[penstockv1.CreateAPIKeyResponse]](r)(r.project.CreateAPIKey(r.Context(), connect.NewRequest(&penstockv1.CreateAPIKeyRequest{Name: key, Role: "operator"})))
			c := penstockv1connect.NewDeploymentServiceClient(r.client(), "http://server", as(made.Msg.Key))
			_, err := c.ApproveStage(r.Context(), connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: id, StageId: "ok"}))
			return err
		}
		wantCode(r, "a key named like an approver", approve("bob"), deploy.CodeRefused, deploy.RefusedNotApprover)
		if err := approve("bot"); err != nil {
			r.Error(err)
		}
		if given := r.deployment(id).Stages[0].Given; len(given) != 1 || given[0].By != "key:bot" {
			r.Errorf("given %v", given)
		}
	})
}
