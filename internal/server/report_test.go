package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// running brings a deployment of a new application to its first stage.
func (p *process) running(path, digest string) (app, id string) {
	p.r.Helper()
	app = p.register(path)
	old := p.r.headOf(p)
	id = p.moved(old, old, app)
	if d, err := p.report(id, planned(1, plan(digest))); err != nil || d.Status != deploy.StatusRunning {
		p.r.Fatalf("planned: %v %v", d.Status, err)
	}
	return app, id
}

// headOf makes sure that the branch has a head and returns it.
func (r *rig) headOf(p *process) string {
	r.Helper()
	for _, w := range p.work().Repositories {
		if w.Head != "" {
			return w.Head
		}
	}
	if _, err := p.head("", "H"); err != nil {
		r.Fatal(err)
	}
	return "H"
}

func TestTheRepeatedReportGetsTheFirstAnswer(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		m := step(1, "roll", 0, "DONE", "")
		m.EventId = "e1"
		first, err := p.report(id, m)
		if err != nil || first.Stages[0].Status != deploy.StageSuccess || first.Stages[1].Status != deploy.StageRunning {
			r.Fatalf("%v %v", first.Stages, err)
		}
		again, err := p.report(id, m)
		if err != nil || again.Seq != first.Seq {
			r.Errorf("repeat: seq %d → %d, %v", first.Seq, again.Seq, err)
		}
		_, err = p.report(id, step(1, "roll", 0, "DONE", ""))
		wantCode(r, "the same step as another event", err, deploy.CodeRefused, deploy.RefusedAttemptClosed)
	})
}

// Behind a restored backup an epoch is given a second time: another process of the
// same agent may know it, and does not hold the deployment for that.
func TestTheEpochAloneDoesNotMakeAHolder(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		other := r.join(p.agent, p.key, "two")
		for name, m := range map[string]*penstockv1.ReportRequest{
			"a step":    step(1, "roll", 0, "DONE", ""),
			"a failure": step(1, "roll", 0, "FAILED", why("X")),
			"waiting":   step(1, "roll", 0, "WAITING", why("X")),
		} {
			_, err := other.report(id, m)
			wantCode(r, name, err, deploy.CodeRefused, deploy.RefusedStaleEpoch)
		}
		entry := &penstockv1.JournalEntry{Key: "x", Value: "1"}
		_, err := other.link.PutJournal(r.Context(), connect.NewRequest(&penstockv1.PutJournalRequest{SessionId: other.session, DeploymentId: id, Epoch: 1, Entries: []*penstockv1.JournalEntry{entry}}))
		wantCode(r, "an entry of the journal", err, deploy.CodeRefused, deploy.RefusedStaleEpoch)
		if d, err := p.report(id, step(1, "roll", 0, "DONE", "")); err != nil || d.Stages[0].Status != deploy.StageSuccess {
			r.Errorf("the holder's report: %v, %v", d.Stages, err)
		}
	})
}

func TestReportsAreGuarded(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p, other := r.join2("a", "one"), r.join2("b", "two")
		app, id := p.running("web", "d1")
		long := strings.Repeat("x", maxRequestID+1)
		for name, x := range map[string]struct {
			m      *penstockv1.ReportRequest
			code   deploy.Code
			reason string
		}{
			"an old epoch":          {step(0, "roll", 0, "DONE", ""), deploy.CodeRefused, deploy.RefusedStaleEpoch},
			"an unknown stage":      {step(1, "nothing", 0, "DONE", ""), deploy.CodeNotFound, ""},
			"a stage to come":       {step(1, "last", 0, "DONE", ""), deploy.CodeRefused, deploy.RefusedAttemptClosed},
			"a step to come":        {step(1, "roll", 1, "DONE", ""), deploy.CodeRefused, deploy.RefusedDuplicate},
			"no progress":           {step(1, "roll", 0, "", ""), deploy.CodeInvalid, ""},
			"failed without reason": {step(1, "roll", 0, "FAILED", ""), deploy.CodeInvalid, ""},
			"a reason that is none": {step(1, "roll", 0, "FAILED", "{"), deploy.CodeInvalid, ""},
			"nothing":               {&penstockv1.ReportRequest{Epoch: 1}, deploy.CodeInvalid, ""},
			"planned again":         {planned(1, plan("d1")), deploy.CodeRefused, deploy.RefusedAttemptClosed},
			"waiting, old epoch":    {step(0, "roll", 0, "WAITING", why("X")), deploy.CodeRefused, deploy.RefusedStaleEpoch},
			"waiting, not at work":  {step(1, "last", 0, "WAITING", why("X")), deploy.CodeRefused, deploy.RefusedAttemptClosed},
			"a very long event id":  {&penstockv1.ReportRequest{EventId: long, Epoch: 1}, deploy.CodeInvalid, ""},
		} {
			_, err := p.report(id, x.m)
			wantCode(r, name, err, x.code, x.reason)
		}
		_, err := p.link.Report(r.Context(), connect.NewRequest(&penstockv1.ReportRequest{SessionId: p.session, DeploymentId: id, Epoch: 1}))
		wantCode(r, "no event id", err, deploy.CodeInvalid, "")
		// Another identity has no business here, whatever it knows.
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "DONE", ""), step(1, "roll", 0, "WAITING", why("X"))} {
			_, err = other.report(id, m)
			wantCode(r, "another agent", err, deploy.CodeDenied, "")
		}
		ctx := r.Context()
		_, err = other.link.PutJournal(ctx, connect.NewRequest(&penstockv1.PutJournalRequest{SessionId: other.session, DeploymentId: id, Epoch: 1}))
		wantCode(r, "another agent's journal", err, deploy.CodeDenied, "")
		_, err = other.link.AppendLog(ctx, connect.NewRequest(&penstockv1.AppendLogRequest{SessionId: other.session, DeploymentId: id, StageId: "roll", Attempt: 1, Epoch: 1}))
		wantCode(r, "another agent's log", err, deploy.CodeDenied, "")
		_, err = other.link.ReportLive(ctx, connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: other.session, ApplicationId: app, LiveState: &penstockv1.LiveState{}}))
		wantCode(r, "another agent's live state", err, deploy.CodeDenied, "")
		_, err = p.link.ReportLive(ctx, connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app}))
		wantCode(r, "no live state", err, deploy.CodeInvalid, "")
		if d := r.deployment(id); d.Stages[0].Status != "RUNNING" || d.Stages[0].Waiting != nil {
			r.Errorf("a refused report had an effect: %v", d.Stages[0])
		}
		// It fails, is brought back, and is then closed.
		if _, err = p.report(id, step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed, "detail", strings.Repeat("<", 40000)))); err != nil {
			r.Fatal(err)
		}
		if _, err = p.report(id, step(1, "back", 0, "DONE", "")); err != nil {
			r.Fatal(err)
		}
		_, err = p.report(id, step(1, "back", 0, "DONE", ""))
		wantCode(r, "finished", err, deploy.CodeRefused, deploy.RefusedTerminal)
		_, err = p.report(id, step(1, "back", 0, "WAITING", why("X")))
		wantCode(r, "waiting, finished", err, deploy.CodeRefused, deploy.RefusedTerminal)
		_, err = p.link.PutJournal(ctx, connect.NewRequest(&penstockv1.PutJournalRequest{SessionId: p.session, DeploymentId: id, Epoch: 1}))
		wantCode(r, "journal, finished", err, deploy.CodeRefused, deploy.RefusedTerminal)
		d := r.deployment(id)
		if d.Display != "ROLLED_BACK" || d.Failed.Code != deploy.ReasonStepFailed || len(d.Failed.Args["detail"]) < 100 {
			r.Errorf("%s because %v", d.Display, d.Failed.GetCode())
		}
		if a := r.application(app); a.Hold == nil || a.SyncState != "OUT_OF_SYNC" {
			r.Errorf("not held: %v", a)
		}
	})
}

func TestAPlanThatCouldNeverEndFailsWhereItIsSeen(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app := p.register("web")
		head := r.headOf(p)
		for name, change := range map[string]func(*deploy.Plan){
			"no deadline": func(x *deploy.Plan) { x.Timeout = 0 }, "no steps": func(x *deploy.Plan) { x.Stages[0].Steps = nil }, "no id": func(x *deploy.Plan) { x.Stages[0].ID = "" },
			"one id for two": func(x *deploy.Plan) { x.Rollback[0].ID = "roll" }, "unknown type": func(x *deploy.Plan) { x.Stages[1].Type = "X" },
			"too large": func(x *deploy.Plan) { x.Account = strings.Repeat("a", 20000) },
		} {
			next := head + "x"
			id := p.moved(head, next, app)
			head = next
			x := plan("d")
			change(&x)
			d, err := p.report(id, planned(1, x))
			if err != nil || d.Status != deploy.StatusFailure || d.Reason.Code != deploy.ReasonPlanFailed || d.Reason.Args["detail"] == "" {
				r.Errorf("%s: %s because %v, %v", name, d.Status, d.Reason, err)
			}
		}
	})
}

func TestClaimsNameTheirHolder(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, first := p.running("web", "d1")
		app := p.register("other")
		head := r.headOf(p)
		id := p.moved(head, head, app)
		d, err := p.report(id, planned(1, plan("d1")))
		if err != nil || d.Status != deploy.StatusFailure || d.Reason.Code != deploy.ReasonClaimed || d.Reason.Args["holder"] != first || d.Reason.Args["claim"] != "service/acc/d1" {
			r.Fatalf("%s because %v, %v; want the holder %s", d.Status, d.Reason, err, first)
		}
		if _, err := r.deploys.CancelDeployment(r.Context(), connect.NewRequest(&penstockv1.CancelDeploymentRequest{DeploymentId: first, Choice: "NEVER"})); err != nil {
			r.Fatal(err)
		}
		next := p.moved(head, "I", app)
		if d, err = p.report(next, planned(1, plan("d1"))); err != nil || d.Status != deploy.StatusRunning {
			r.Errorf("the claim was not released at the end: %s because %v, %v", d.Status, d.Reason, err)
		}
	})
}

func TestAHeldStateComesBackByAPersonOnly(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, id := p.running("web", "d1")
		for _, m := range []*penstockv1.ReportRequest{step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed)), step(1, "back", 0, "DONE", "")} {
			if _, err := p.report(id, m); err != nil {
				r.Fatal(err)
			}
		}
		head := r.headOf(p)
		again := p.moved(head, "I", app)
		d, err := p.report(again, planned(1, plan("d1")))
		if err != nil || d.Status != deploy.StatusCancelled || d.Reason.Code != deploy.ReasonHeld || d.Reason.Args["deployment"] != id {
			r.Errorf("a commit with the held state: %s because %v, %v", d.Status, d.Reason, err)
		}
		sync := must[*connect.Response[penstockv1.SyncApplicationResponse]](r)(r.apps.SyncApplication(r.Context(), connect.NewRequest(&penstockv1.SyncApplicationRequest{ApplicationId: app})))
		if d, err = p.report(sync.Msg.DeploymentId, planned(1, plan("d1"))); err != nil || d.Status != deploy.StatusRunning {
			r.Errorf("a person's sync of the held state: %s because %v, %v", d.Status, d.Reason, err)
		}
	})
}

func TestJournalAndLedger(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		_, id := p.running("web", "d1")
		put := func(epoch int64, e ...*penstockv1.JournalEntry) error {
			_, err := p.link.PutJournal(r.Context(), connect.NewRequest(&penstockv1.PutJournalRequest{SessionId: p.session, DeploymentId: id, Epoch: epoch, Entries: e}))
			return err
		}
		if err := put(1, &penstockv1.JournalEntry{Key: "object/a", Value: `{"type":"taskSet","token":"t","state":"INTENDED"}`}, &penstockv1.JournalEntry{Key: "note", Value: `1`, Stage: "roll", Attempt: 1}); err != nil {
			r.Fatal(err)
		}
		if err := put(1, &penstockv1.JournalEntry{Key: "object/a", Value: `{"type":"taskSet","token":"t","id":"arn","state":"CREATED"}`}); err != nil {
			r.Fatal(err)
		}
		wantCode(r, "an old epoch", put(0, &penstockv1.JournalEntry{Key: "x", Value: "1"}), deploy.CodeRefused, deploy.RefusedStaleEpoch)
		for _, bad := range []*penstockv1.JournalEntry{{Value: "1"}, {Key: "x", Value: "{"}, {Key: "x", Value: `"` + strings.Repeat("x", maxJournalEntry) + `"`}, {Key: strings.Repeat("k", 501), Value: "1"}} {
			wantCode(r, "a bad entry", put(1, bad), deploy.CodeInvalid, "")
		}
		full := make([]*penstockv1.JournalEntry, maxJournalEntries)
		for i := range full {
			full[i] = &penstockv1.JournalEntry{Key: "k" + itoa(i), Value: "1"}
		}
		wantCode(r, "too many entries", put(1, full...), deploy.CodeTooLarge, "")
		if err := put(1, full[:maxJournalEntries-2]...); err != nil {
			r.Fatal(err)
		}
		if err := put(1, full[:10]...); err != nil {
			r.Errorf("replacing entries of a full journal: %v", err)
		}
		got := must[*connect.Response[penstockv1.GetDeploymentResponse]](r)(r.deploys.GetDeployment(r.Context(), connect.NewRequest(&penstockv1.GetDeploymentRequest{DeploymentId: id}))).Msg
		if len(got.Ledger) != 1 || got.Ledger[0].Id != "arn" || got.Ledger[0].State != "CREATED" {
			r.Errorf("ledger %v", got.Ledger)
		}
		a := p.work().Assignments
		if len(a) != 1 || len(a[0].Journal) != maxJournalEntries {
			r.Errorf("the assignment carries %d entries", len(a[0].GetJournal()))
		}
	})
}

func TestBlobsOpenForThoseWhoseDeploymentRefersToThem(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p, other := r.join2("a", "one"), r.join2("b", "two")
		ctx := r.Context()
		put := func(data string) string {
			return must[*connect.Response[penstockv1.PutBlobResponse]](r)(p.link.PutBlob(ctx, connect.NewRequest(&penstockv1.PutBlobRequest{SessionId: p.session, Data: []byte(data)}))).Msg.Digest
		}
		get := func(p *process, digest string) (string, error) {
			res, err := p.link.GetBlob(ctx, connect.NewRequest(&penstockv1.GetBlobRequest{SessionId: p.session, Digest: digest}))
			if err != nil {
				return "", err
			}
			return string(res.Msg.Data), nil
		}
		pinned, loose := put("sealed"), put("loose")
		changes := put(`{"summary":"1 change","text":"~ image","changes":{"items":[]},"before":{"text":"image: v1\nrunning: 2\n","noise":[1]},"after":{"text":"image: v2\n"}}`)
		app := p.register("web")
		head := r.headOf(p)
		id := p.moved(head, head, app)
		x := plan("d1")
		x.PinnedBlob, x.ChangesBlob = pinned, changes
		if _, err := p.report(id, planned(1, x)); err != nil {
			r.Fatal(err)
		}
		if got, err := get(p, pinned); err != nil || got != "sealed" {
			r.Errorf("own blob: %q %v", got, err)
		}
		_, err := get(p, loose)
		wantCode(r, "a blob that no deployment refers to", err, deploy.CodeNotFound, "")
		_, err = get(p, "")
		wantCode(r, "no digest", err, deploy.CodeNotFound, "")
		_, err = get(other, pinned)
		wantCode(r, "another agent's blob", err, deploy.CodeNotFound, "")
		_, err = other.link.PutBlob(ctx, connect.NewRequest(&penstockv1.PutBlobRequest{SessionId: p.session, Data: []byte("x")}))
		wantCode(r, "put under another session", err, deploy.CodeUnauthorized, reasonSessionOver)
		c := must[*connect.Response[penstockv1.GetChangesResponse]](r)(r.deploys.GetChanges(ctx, connect.NewRequest(&penstockv1.GetChangesRequest{DeploymentId: id}))).Msg
		if c.Text != "~ image" || c.Json != `{"items":[]}` || c.Before.GetText() != "image: v1\nrunning: 2\n" || !slices.Equal(c.Before.GetNoise(), []int32{1}) || c.After.GetText() != "image: v2\n" {
			r.Errorf("changes %v", c)
		}
	})
}

func TestWhatAStepWaitsForIsShownBesideTheRecord(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, id := p.running("web", "d1")
		before := r.deployment(id).Seq
		if _, err := p.report(id, step(1, "roll", 0, "WAITING", why("FAKE_STARTING", "healthy", "1", "want", "2"))); err != nil {
			r.Fatal(err)
		}
		d := r.deployment(id)
		if d.Stages[0].Waiting.GetCode() != "FAKE_STARTING" || d.Seq != before || d.Stages[0].WaitingSince == nil {
			r.Errorf("waiting %v, seq %d → %d", d.Stages[0].Waiting, before, d.Seq)
		}
		live := &penstockv1.LiveState{Health: "HEALTHY", Resources: make([]*penstockv1.Resource, maxResources+5)}
		for i := range live.Resources {
			live.Resources[i] = &penstockv1.Resource{Id: itoa(i)}
		}
		if _, err := p.link.ReportLive(r.Context(), connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: live})); err != nil {
			r.Fatal(err)
		}
		got := must[*connect.Response[penstockv1.GetLiveStateResponse]](r)(r.apps.GetLiveState(r.Context(), connect.NewRequest(&penstockv1.GetLiveStateRequest{ApplicationId: app}))).Msg.LiveState
		if len(got.Resources) != maxResources || got.Truncated != 5 || !got.At.AsTime().Equal(time.Now()) {
			r.Errorf("%d resources, %d left out, at %v", len(got.Resources), got.Truncated, got.At.AsTime())
		}
		if a := r.application(app); a.Health != "HEALTHY" || !a.AgentOnline || a.AgentName != "a" {
			r.Errorf("application %v", a)
		}
	})
}

func TestWhatRoutesDidIsKeptForThePicture(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, _ := p.running("web", "d1")
		begin := time.Now()
		look := func(canary float64) {
			r.Helper()
			live := &penstockv1.LiveState{Health: "HEALTHY", Traffic: []*penstockv1.Traffic{{Route: "rule", Groups: []*penstockv1.Share{
				{Group: "p", Variant: "primary", Percent: 100 - canary, Healthy: 4, Total: 4, Versions: map[string]int32{"v1": 4}},
				{Group: "c", Variant: "canary", Percent: canary, Healthy: 1, Total: 1, Versions: map[string]int32{"v2": 1}},
			}}}}
			if _, err := p.link.ReportLive(r.Context(), connect.NewRequest(&penstockv1.ReportLiveRequest{SessionId: p.session, ApplicationId: app, LiveState: live})); err != nil {
				r.Fatal(err)
			}
		}
		read := func(since time.Time) string {
			r.Helper()
			m := must[*connect.Response[penstockv1.GetLiveStateResponse]](r)(r.apps.GetLiveState(r.Context(), connect.NewRequest(&penstockv1.GetLiveStateRequest{ApplicationId: app, TrafficSince: timestamppb.New(since)}))).Msg
			var out []string
			for _, x := range m.Traffic {
				out = append(out, fmt.Sprintf("%v-%v:%v", x.At.AsTime().Sub(begin).Milliseconds(), x.Until.AsTime().Sub(begin).Milliseconds(), x.Traffic[0].Groups[1].Percent))
			}
			return strings.Join(out, " ")
		}
		for _, percent := range []float64{0, 0, 20, 20, 20, 0} {
			look(percent)
			time.Sleep(20 * time.Millisecond) // of the bubble
		}
		if got, want := read(begin.Add(-time.Second)), "0-20:0 40-80:20 100-100:0"; got != want {
			r.Errorf("samples %q, want %q", got, want)
		}
		if got, want := read(begin.Add(30*time.Millisecond)), "40-80:20 100-100:0"; got != want {
			r.Errorf("samples since %q, want %q", got, want)
		}
		for i := range maxTrafficSamples + 10 {
			look(float64(i%2 + 1))
		}
		if n := strings.Count(read(begin), ":"); n != maxTrafficSamples {
			r.Errorf("%d samples are kept", n)
		}
	})
}

func TestFunctionsOfTransactionsMayRunTwice(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		r.st.twice.Store(true)
		p := r.join2("a", "one")
		app, id := p.running("web", "d1")
		if _, err := p.report(id, step(1, "roll", 0, "FAILED", why(deploy.ReasonStepFailed))); err != nil {
			r.Fatal(err)
		}
		if _, err := p.report(id, step(1, "back", 0, "DONE", "")); err != nil {
			r.Fatal(err)
		}
		res, err := p.head(r.headOf(p), "I", due(app))
		if err != nil || len(res.DeploymentIds) != 1 {
			r.Errorf("answer %v %v", res, err)
		}
		_, _, metrics := r.get("GET", "/metrics", nil, "")
		if !strings.Contains(metrics, `penstock_deployments_total{display="ROLLED_BACK",kind="FakeApp",project="default"} 1`) {
			r.Error("the finished deployment was not counted once")
		}
	})
}
