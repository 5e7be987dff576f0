package server

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
	"github.com/penstock-cd/penstock/internal/policy"
)

// person calls as an operator of that name.
func (r *rig) person(name string) penstockv1connect.DeploymentServiceClient {
	r.Helper()
	return penstockv1connect.NewDeploymentServiceClient(r.client(), "http://server", as(r.credential(name, policy.RoleOperator)))
}

// waits brings a deployment to its WAIT.
func (p *process) waits(path string) (app, id string) {
	p.r.Helper()
	app, id = p.running(path, path)
	if _, err := p.report(id, step(1, "roll", 0, "DONE", "")); err != nil {
		p.r.Fatal(err)
	}
	return app, id
}

// asks brings a deployment to its approval, by skipping the WAIT.
func (p *process) asks(path string) (app, id string) {
	p.r.Helper()
	app, id = p.waits(path)
	if _, err := p.r.deploys.SkipStage(p.r.Context(), connect.NewRequest(&penstockv1.SkipStageRequest{DeploymentId: id, StageId: "wait", Note: "in a hurry"})); err != nil {
		p.r.Fatal(err)
	}
	return app, id
}

func TestApprove(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.asks("web")
		seen := r.deployment(id)
		if s := seen.Stages[1]; s.Status != "SKIPPED" || s.Reason.Args["note"] != "in a hurry" {
			r.Errorf("the skipped stage: %v", s)
		}
		approve := func(who, request, stage string, seq int64) error {
			_, err := r.person(who).ApproveStage(r.Context(), connect.NewRequest(&penstockv1.ApproveStageRequest{RequestId: request, DeploymentId: id, StageId: stage, SeenSeq: seq}))
			return err
		}
		wantCode(r, "on an old screen", approve("ann", "", "ok", seen.Seq-1), deploy.CodeRefused, deploy.RefusedStaleView)
		wantCode(r, "by somebody else", approve("carl", "", "ok", seen.Seq), deploy.CodeRefused, deploy.RefusedNotApprover)
		wantCode(r, "another stage", approve("ann", "", "roll", seen.Seq), deploy.CodeRefused, deploy.RefusedState)
		wantCode(r, "an unknown stage", approve("ann", "", "x", seen.Seq), deploy.CodeNotFound, "")
		if err := approve("ann", "r1", "ok", seen.Seq); err != nil {
			r.Fatal(err)
		}
		if err := approve("ann", "r1", "ok", seen.Seq); err != nil {
			r.Errorf("the repeated request: %v; it gets the first answer although the screen is old by now", err)
		}
		wantCode(r, "approved before", approve("bob", "", "ok", 0), deploy.CodeRefused, deploy.RefusedState)
		d := r.deployment(id)
		if d.Stages[2].Status != "SUCCESS" || len(d.Stages[2].Given) != 1 || d.Stages[3].Status != "RUNNING" {
			r.Errorf("stages %v", d.Stages)
		}
		_, err := r.person("ann").RejectStage(r.Context(), connect.NewRequest(&penstockv1.RejectStageRequest{RequestId: "r1", DeploymentId: id, StageId: "ok"}))
		wantCode(r, "the request id of the approval for a rejection", err, deploy.CodeConflict, "")
	})
}

func TestRejectGoesBack(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.asks("web")
		res, err := r.person("bob").RejectStage(r.Context(), connect.NewRequest(&penstockv1.RejectStageRequest{DeploymentId: id, StageId: "ok", Note: "no"}))
		if err != nil || res.Msg.Deployment.Status != "ROLLING_BACK" || res.Msg.Deployment.Failed.Args["by"] != "bob" {
			r.Errorf("%v %v", res, err)
		}
		_, err = r.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: id}))
		wantCode(r, "cancel on the way back", err, deploy.CodeRefused, deploy.RefusedState)
	})
}

func TestCancel(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		for i, x := range []struct{ choice, display string }{{"", "ROLLING_BACK"}, {"FORCE", "ROLLING_BACK"}, {"NEVER", "NEEDS_ATTENTION"}} {
			_, id := p.waits("web" + itoa(i))
			res, err := r.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: id, Choice: x.choice, Note: "n"}))
			if err != nil || res.Msg.Deployment.Display != x.display || res.Msg.Deployment.Cancel.Note != "n" {
				r.Errorf("choice %q: %v %v", x.choice, res, err)
			}
		}
		cancel := func(m *penstockv1.CancelDeploymentRequest) error {
			_, err := r.deploys.CancelDeployment(r.Context(), connect.NewRequest(m))
			return err
		}
		wantCode(r, "an unknown choice", cancel(&penstockv1.CancelDeploymentRequest{DeploymentId: "x", Choice: "MAYBE"}), deploy.CodeInvalid, "")
		wantCode(r, "an unknown deployment", cancel(&penstockv1.CancelDeploymentRequest{DeploymentId: "x"}), deploy.CodeNotFound, "")
		wantCode(r, "a long note", cancel(&penstockv1.CancelDeploymentRequest{DeploymentId: "x", Note: string(make([]byte, maxNote+1))}), deploy.CodeTooLarge, "")
		// One that waits in the queue ends before its first write, and the queue moves on.
		app, running := p.waits("queue")
		sync := func() string {
			return must[*connect.Response[penstockv1.SyncApplicationResponse]](r)(r.apps.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: app}))).Msg.DeploymentId
		}
		first, second := sync(), sync()
		if err := cancel(&penstockv1.CancelDeploymentRequest{DeploymentId: first}); err != nil {
			r.Fatal(err)
		}
		if err := cancel(&penstockv1.CancelDeploymentRequest{DeploymentId: running, Choice: "NEVER"}); err != nil {
			r.Fatal(err)
		}
		if a := r.application(app); a.CurrentDeploymentId != second || len(a.Queue) != 0 {
			r.Errorf("current %s, queue %v, want %s", a.CurrentDeploymentId, a.Queue, second)
		}
	})
}

func TestSyncOnceForEachRequest(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		sync := func(request, strategy string) (string, error) {
			res, err := r.apps.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{RequestId: request, ApplicationId: app, Strategy: strategy}))
			if err != nil {
				return "", err
			}
			return res.Msg.DeploymentId, nil
		}
		_, err := sync("0", "")
		wantCode(r, "no agent has read the branch", err, deploy.CodeRefused, deploy.RefusedState)
		_, err = sync("0", "SLOW")
		wantCode(r, "an unknown strategy", err, deploy.CodeInvalid, "")
		p.moved("", "A", app)
		first, err := sync("1", "QUICK_SYNC")
		if err != nil {
			r.Fatal(err)
		}
		if again, err := sync("1", "QUICK_SYNC"); err != nil || again != first {
			r.Errorf("repeat: %s %v, want %s", again, err, first)
		}
		_, err = sync("1", "PIPELINE")
		wantCode(r, "the same request id, another wish", err, deploy.CodeConflict, "")
		if d := r.deployment(first); d.Trigger.Strategy != "QUICK_SYNC" || d.Trigger.By != "admin" || d.Trigger.Commit.Hash != "A" {
			r.Errorf("trigger %v", d.Trigger)
		}
		if other, err := sync("", ""); err != nil || other == first {
			r.Errorf("without an id: %s %v", other, err)
		}
		for i := range maxQueue {
			_, err = sync("more"+itoa(i), "")
		}
		wantCode(r, "a full queue", err, deploy.CodeExhausted, "")
		time.Sleep(requestLife + 30*time.Minute)
		if _, ok := r.record("default", "requests", "user:admin/1"); ok {
			r.Error("the answer to an old request is kept")
		}
	})
}

func TestRetry(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		retry := func(request string) (string, error) {
			res, err := r.deploys.RetryDeployment(r.Context(), connect.NewRequest(&penstockv1.RetryDeploymentRequest{RequestId: request, DeploymentId: id}))
			if err != nil {
				return "", err
			}
			return res.Msg.DeploymentId, nil
		}
		_, err := retry("1")
		wantCode(r, "a running one", err, deploy.CodeRefused, deploy.RefusedState)
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed)), step(1, "back", 0, "DONE", "")} {
			if _, err := p.report(id, m); err != nil {
				r.Fatal(err)
			}
		}
		next := must[string](r)(retry("1"))
		if again, err := retry("1"); err != nil || again != next || next == id {
			r.Errorf("repeat: %s %v, first %s", again, err, next)
		}
		if d := r.deployment(next); d.Trigger.RetryOf != id || d.Trigger.Commit.Hash != r.deployment(id).Trigger.Commit.Hash {
			r.Errorf("trigger %v", d.Trigger)
		}
	})
}

func TestDelete(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, id := p.waits("web")
		remove := func(request string) error {
			_, err := r.apps.DeleteApplication(r.Context(), connect.NewRequest(&penstockv1.DeleteApplicationRequest{RequestId: request, ApplicationId: app}))
			return err
		}
		wantCode(r, "while it is deployed", remove("1"), deploy.CodeRefused, deploy.RefusedState)
		if _, err := r.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: id, Choice: "NEVER"})); err != nil {
			r.Fatal(err)
		}
		if err := remove("2"); err != nil {
			r.Fatal(err)
		}
		if err := remove("2"); err != nil {
			r.Errorf("the repeat: %v", err)
		}
		wantCode(r, "once more", remove("3"), deploy.CodeNotFound, "")
		if got := r.deployment(id); got.ApplicationName != "web" {
			r.Error("its deployments are gone")
		}
		list := must[*connect.Response[penstockv1.ListApplicationsResponse]](r)(r.apps.ListApplications(r.Context(), connect.NewRequest(&penstockv1.ListApplicationsRequest{}))).Msg
		if len(list.Applications) != 0 || list.Total != 0 {
			r.Errorf("%d of %d applications", len(list.Applications), list.Total)
		}
		if w := p.work(); len(w.Applications) != 0 || len(w.Assignments) != 0 {
			r.Errorf("work %v", w)
		}
		p.files(file("web", "p"))
		if got := discoveredPaths(r); len(got) != 1 {
			r.Errorf("the file is not offered again: %v", got)
		}
	})
}
