package server

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
	"github.com/penstock-cd/penstock/internal/gen/penstock/v1/penstockv1connect"
)

func (r *rig) decisions() penstockv1connect.DecisionServiceClient {
	return penstockv1connect.NewDecisionServiceClient(r.client(), "http://server", as(r.token))
}

// asking is a question whose answer is on its way.
type asking chan *penstockv1.AskResponse

func (r *rig) ask(m *penstockv1.AskRequest) asking {
	out := make(asking, 1)
	go func() {
		res, err := r.decisions().Ask(r.Context(), connect.NewRequest(m))
		if err != nil {
			r.Error(err)
			out <- nil
			return
		}
		out <- res.Msg
	}()
	synctest.Wait()
	return out
}

// reply answers the only question of a process.
func (p *process) reply(text, live string) {
	p.r.Helper()
	qs := p.work().Questions
	if len(qs) != 1 {
		p.r.Fatalf("%d questions, want 1", len(qs))
	}
	data, err := json.Marshal(deploy.Answer{Text: text, Changes: json.RawMessage(`{}`), Before: json.RawMessage(`{"text":"image: v1\n"}`), After: json.RawMessage(`{"text":"image: v2\n"}`), LiveDigest: live, Plan: &deploy.Plan{
		Strategy: deploy.StrategyPipeline, Account: "acc", Stages: []deploy.PlanStage{{ID: "s", Name: "WAIT", Type: deploy.StageWait}},
	}})
	if err != nil {
		p.r.Fatal(err)
	}
	digest, err := p.link.PutBlob(p.r.Context(), connect.NewRequest(&penstockv1.PutBlobRequest{SessionId: p.session, Data: data}))
	if err != nil {
		p.r.Fatal(err)
	}
	_, err = p.link.AnswerQuestion(p.r.Context(), connect.NewRequest(&penstockv1.AnswerQuestionRequest{
		SessionId: p.session, QuestionId: qs[0].Id, Digest: digest.Msg.Digest, LiveDigest: live,
	}))
	if err != nil {
		p.r.Fatal(err)
	}
	synctest.Wait()
}

const (
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
)

func TestAsk(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "p1")
		app := p.register("web")
		ask := &penstockv1.AskRequest{Application: app, Kind: "PLAN"}
		if got := <-r.ask(ask); got.Refused.GetCode() != deploy.ReasonNoCommit {
			t.Errorf("before a head is known: %v", got)
		}
		p.moved("", sha1, app)
		stop := p.keepAlive()
		first, second := r.ask(ask), r.ask(ask)
		if got := p.work().Questions; len(got) != 1 || got[0].Commit != sha1 || got[0].Strategy != "AUTO" || got[0].Application == "" || got[0].Limit.AsDuration() <= 0 {
			t.Fatalf("questions %v", got)
		}
		p.reply("~ image: v1 → v2\n", "live1")
		a, b := <-first, <-second
		if a.Text != "~ image: v1 → v2\n" || a.Plan.GetStrategy() != "PIPELINE" || len(a.Stages) != 1 || !a.Plan.HasChanges || a.Digest == "" || a.Before.GetText() != "image: v1\n" || a.After.GetText() != "image: v2\n" {
			t.Errorf("answer %v", a)
		}
		if diff := cmp.Diff(a.QuestionId, b.QuestionId); diff != "" {
			t.Errorf("the second did not join the first: %s", diff)
		}
		// The answer is given again only as long as the observed state is the one it is about.
		if _, err := p.link.ReportLive(r.Context(), connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: &penstockv1.LiveState{Digest: "live1"}})); err != nil {
			t.Fatal(err)
		}
		if got := <-r.ask(ask); !got.Cached || got.Digest != a.Digest {
			t.Errorf("not from the cache: %v", got)
		}
		if _, err := p.link.ReportLive(r.Context(), connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: &penstockv1.LiveState{Digest: "live2"}})); err != nil {
			t.Fatal(err)
		}
		late := r.ask(&penstockv1.AskRequest{Application: app, Kind: "PLAN", Limit: durationpb.New(5 * time.Second)})
		if got := <-late; got.Refused.GetCode() != deploy.ReasonNoAnswer || got.Cached {
			t.Errorf("nobody answered: %v", got)
		}
		stop()
		time.Sleep(time.Minute)
		if got := <-r.ask(ask); got.Refused.GetCode() != deploy.ReasonNoAgent {
			t.Errorf("no agent: %v", got)
		}
	})
}

// TestQuestionOfADeadProcess is answered by another one.
func TestQuestionOfADeadProcess(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		one, two := r.join(id, key, "p1"), r.join(id, key, "p2")
		app := one.register("web")
		if _, err := one.head("", sha1, &penstockv1.Candidate{ApplicationId: app}); err != nil {
			t.Fatal(err)
		}
		waiting := r.ask(&penstockv1.AskRequest{Application: app, Kind: "DIFF", Limit: durationpb.New(60 * time.Second)})
		asked, other := one, two
		if len(asked.work().Questions) == 0 {
			asked, other = two, one
		}
		if len(asked.work().Questions) != 1 || len(other.work().Questions) != 0 {
			t.Fatal("the question is not with exactly one process")
		}
		stop := other.keepAlive() // the other one is dead
		time.Sleep(15 * time.Second)
		other.reply("", "live")
		stop()
		if got := <-waiting; got.Refused != nil || got.LiveDigest != "live" {
			t.Errorf("answer %v", got)
		}
	})
}

func TestAskIsBoundedAndChecked(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "p1")
		app := p.register("web")
		if _, err := p.head("", sha1, &penstockv1.Candidate{ApplicationId: app}); err != nil {
			t.Fatal(err)
		}
		defer p.keepAlive()()
		for _, bad := range []*penstockv1.AskRequest{
			{Application: app, Kind: "WRITE"},
			{Application: app, Kind: "DIFF", Strategy: "AUTO"},
			{Application: app, Kind: "PLAN", Strategy: "SLOW"},
			{Application: app, Kind: "PLAN", Commit: "--upload-pack=x"},
			{Application: app, Kind: "PLAN", Limit: durationpb.New(time.Hour)},
			{Application: app, Kind: "PLAN", Limit: durationpb.New(-1)},
		} {
			_, err := r.decisions().Ask(r.Context(), connect.NewRequest(bad))
			wantCode(t, bad.String(), err, deploy.CodeInvalid, "")
		}
		var open []asking
		for i := range openOfApp {
			open = append(open, r.ask(&penstockv1.AskRequest{Application: app, Kind: "DIFF", Commit: sha1[:39] + string("abcdef"[i])}))
		}
		if got := <-r.ask(&penstockv1.AskRequest{Application: app, Kind: "DIFF", Commit: sha2}); got.Refused.GetCode() != deploy.ReasonTooManyQuestions {
			t.Errorf("one too many: %v", got)
		}
		for _, a := range open {
			if got := <-a; got.Refused.GetCode() != deploy.ReasonNoAnswer {
				t.Errorf("nobody answered: %v", got)
			}
		}
		another, otherKey := r.agent("b")
		q := r.join(another, otherKey, "q")
		waiting := r.ask(&penstockv1.AskRequest{Application: app, Kind: "DIFF"})
		_, err := q.link.AnswerQuestion(r.Context(), connect.NewRequest(&penstockv1.AnswerQuestionRequest{
			SessionId: q.session, QuestionId: p.work().Questions[0].Id, Reason: why(deploy.ReasonPlanFailed, "detail", "x"),
		}))
		wantCode(t, "another agent's answer", err, deploy.CodeDenied, "")
		_, err = p.link.AnswerQuestion(r.Context(), connect.NewRequest(&penstockv1.AnswerQuestionRequest{SessionId: p.session, QuestionId: p.work().Questions[0].Id}))
		wantCode(t, "an answer that says nothing", err, deploy.CodeInvalid, "")
		_, err = p.link.AnswerQuestion(r.Context(), connect.NewRequest(&penstockv1.AnswerQuestionRequest{
			SessionId: p.session, QuestionId: p.work().Questions[0].Id, Reason: why(deploy.ReasonInvalidConfig, "detail", "x"),
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := <-waiting; got.Refused.GetCode() != deploy.ReasonInvalidConfig {
			t.Errorf("refused: %v", got)
		}
	})
}

func (r *rig) commands(m *penstockv1.ListCommandsRequest) []*penstockv1.Command {
	r.Helper()
	return must[*connect.Response[penstockv1.ListCommandsResponse]](r)(r.decisions().ListCommands(r.Context(), connect.NewRequest(m))).Msg.Commands
}

func (r *rig) newest() *penstockv1.Command {
	r.Helper()
	all := r.commands(&penstockv1.ListCommandsRequest{Mine: true})
	if len(all) == 0 {
		r.Fatal("no commands")
	}
	return all[0]
}

// TestCommandLife follows commands from sent to their end, through the loss of
// the agent.
func TestCommandLife(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "p1")
		app := p.register("web")
		if _, err := p.head("", sha1, &penstockv1.Candidate{ApplicationId: app}); err != nil {
			t.Fatal(err)
		}
		sync := func(request string) string {
			t.Helper()
			return must[*connect.Response[penstockv1.SyncApplicationResponse]](r)(r.apps.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{
				RequestId: request, ApplicationId: app, Note: "because",
			}))).Msg.DeploymentId
		}
		d := sync("r1")
		if again := sync("r1"); again != d || len(r.commands(&penstockv1.ListCommandsRequest{})) != 1 {
			t.Error("a repeated request is a second command")
		}
		c := r.newest()
		if c.State != "PICKED_UP" || c.Kind != "SYNC" || c.Note != "because" || c.Actor != "user:admin" || c.RequestId != "r1" || c.DeploymentId != d {
			t.Errorf("command %v", c)
		}
		if got := r.deployment(d).Trigger.Note; got != "because" {
			t.Errorf("the note of the sync became %q", got)
		}
		behind := sync("r2")
		if c := r.newest(); c.State != "SENT" || c.Reason.GetCode() != deploy.ReasonQueued || c.Reason.Args["ahead"] != d {
			t.Errorf("queued command %v", c)
		}
		if _, err := p.report(d, planned(1, plan("d1"))); err != nil {
			t.Fatal(err)
		}
		if c := r.commands(&penstockv1.ListCommandsRequest{DeploymentId: d})[0]; c.State != "RUNNING" || c.Reason != nil {
			t.Errorf("running command %v", c)
		}
		time.Sleep(20 * time.Second) // the process is dead
		if c := r.commands(&penstockv1.ListCommandsRequest{DeploymentId: d})[0]; c.State != "RUNNING" || c.Reason.GetCode() != deploy.ReasonAgentLost || c.ChangesAt == nil {
			t.Errorf("command without an agent %v", c)
		}
		time.Sleep(pickUpLimit)
		if c := r.commands(&penstockv1.ListCommandsRequest{DeploymentId: d})[0]; c.State != "FAILED" || c.Reason.GetCode() != deploy.ReasonAgentLost {
			t.Errorf("command whose agent is lost %v", c)
		}
		if _, err := r.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: d, Choice: "NEVER", Note: "stop"})); err != nil {
			t.Fatal(err)
		}
		if c := r.newest(); c.Kind != "CANCEL" || c.State != "FINISHED" || c.Note != "stop" {
			t.Errorf("cancel %v", c)
		}
		if c := r.commands(&penstockv1.ListCommandsRequest{DeploymentId: behind})[0]; c.State != "SENT" || c.Reason.GetCode() != deploy.ReasonNoAgent || c.ChangesAt == nil {
			t.Errorf("command that nobody has taken %v", c)
		}
		time.Sleep(pickUpLimit + time.Second)
		if c := r.commands(&penstockv1.ListCommandsRequest{DeploymentId: behind})[0]; c.State != "FAILED" || c.Reason.GetCode() != deploy.ReasonNotPickedUp {
			t.Errorf("command that nobody took %v", c)
		}
		if got := r.deployment(behind); got.Status != "FAILURE" {
			t.Errorf("its deployment would still begin: %s", got.Status)
		}
		if got := r.commands(&penstockv1.ListCommandsRequest{ApplicationId: app}); len(got) != 3 {
			t.Errorf("%d commands of the application, want 3", len(got))
		}
		if got, err := penstockv1connect.NewDecisionServiceClient(r.client(), "http://server", as(r.credential("eve", "viewer"))).ListCommands(r.Context(), connect.NewRequest(&penstockv1.ListCommandsRequest{Mine: true})); err != nil || len(got.Msg.Commands) != 0 {
			t.Errorf("another person's own commands: %v %v", got, err)
		}
	})
}

// complete carries a deployment of a plan with one step through.
func (p *process) complete(id, digest string) {
	p.r.Helper()
	one := plan(digest)
	one.Stages = one.Stages[:1]
	epoch := p.r.deployment(id).Epoch
	if _, err := p.report(id, planned(epoch, one)); err != nil {
		p.r.Fatal(err)
	}
	if _, err := p.report(id, step(epoch, "roll", 0, "DONE", "")); err != nil {
		p.r.Fatal(err)
	}
}

func TestRollBackTo(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "p1")
		defer p.keepAlive()()
		app := p.register("web")
		old := p.moved("", sha1, app)
		p.complete(old, "d1")
		newer := p.moved(sha1, sha2, app)
		back := func(to, note string) (string, error) {
			res, err := r.deploys.RollBackTo(r.Context(), connect.NewRequest(&penstockv1.RollBackToRequest{DeploymentId: to, Note: note}))
			if err != nil {
				return "", err
			}
			return res.Msg.DeploymentId, nil
		}
		_, err := back(old, " ")
		wantCode(t, "without a note", err, deploy.CodeInvalid, "")
		_, err = back(newer, "x")
		wantCode(t, "to one that is not good", err, deploy.CodeRefused, deploy.RefusedState)
		p.complete(newer, "d2")
		d := must[string](r)(back(old, "errors in the shop"))
		got := r.deployment(d)
		if got.Trigger.RollbackTo != old || got.Trigger.Commit.Hash != sha1 || got.Trigger.Kind != "ON_COMMAND" || got.Trigger.Note != "errors in the shop" {
			t.Errorf("trigger %v", got.Trigger)
		}
		p.complete(d, "d1")
		a := r.application(app)
		if a.LastGood.Commit.Hash != sha1 || a.Hold == nil || a.Hold.Commit.Hash != sha2 || a.Hold.Reason.Code != deploy.ReasonRollBackTo || a.SyncState != "OUT_OF_SYNC" {
			t.Errorf("application %v", a)
		}
		// Git touches the file without changing what it declares: it stays held. Another state goes out.
		third := p.moved(sha2, "3333333333333333333333333333333333333333", app)
		if _, err := p.report(third, planned(r.deployment(third).Epoch, plan("d2"))); err != nil {
			t.Fatal(err)
		}
		if got := r.deployment(third); got.Status != "CANCELLED" || got.Reason.Code != deploy.ReasonHeld {
			t.Errorf("the held state came back: %s %v", got.Status, got.Reason)
		}
		p.complete(p.moved("3333333333333333333333333333333333333333", "4444444444444444444444444444444444444444", app), "d3")
		if a := r.application(app); a.Hold != nil || a.SyncState != "SYNCED" {
			t.Errorf("still held: %v", a)
		}
		if c := r.newest(); c.Kind != "ROLL_BACK_TO" || c.State != "FINISHED" {
			t.Errorf("command %v", c)
		}
	})
}

// TestApproveWhatWasSeen refuses an approval of other changes than those of the deployment.
func TestApproveWhatWasSeen(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		id, key := r.agent("a")
		p := r.join(id, key, "p1")
		defer p.keepAlive()()
		d := p.moved("", sha1, p.register("web"))
		one := plan("d1")
		one.Stages, one.ChangesBlob = one.Stages[2:3], "sha256:seen"
		one.Stages[0].Approvers = []string{"admin"}
		if _, err := p.report(d, planned(1, one)); err != nil {
			t.Fatal(err)
		}
		approve := func(seen string) error {
			_, err := r.deploys.ApproveStage(r.Context(), connect.NewRequest(&penstockv1.ApproveStageRequest{DeploymentId: d, StageId: "ok", Note: "fine", SeenDigest: seen}))
			return err
		}
		wantCode(t, "another diff", approve("sha256:other"), deploy.CodeRefused, deploy.RefusedStaleView)
		if err := approve("sha256:seen"); err != nil {
			t.Fatal(err)
		}
		if got := r.deployment(d).Stages[0].Given; len(got) != 1 || got[0].SeenDigest != "sha256:seen" || got[0].Note != "fine" {
			t.Errorf("approval %v", got)
		}
	})
}
