package server

import (
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/penstock-cd/penstock/internal/deploy"
	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// deployed lets an application have a good deployment.
func (p *process) deployed(path string) (app, id string) {
	r := p.r
	app = p.register(path)
	old := r.headOf(p)
	id = p.moved(old, old, app)
	quick := plan("d1")
	quick.Stages = quick.Stages[:1]
	if _, err := p.report(id, planned(1, quick)); err != nil {
		r.Fatal(err)
	}
	if _, err := p.report(id, step(1, "roll", 0, "DONE", "")); err != nil {
		r.Fatal(err)
	}
	if d := r.deployment(id); d.Display != "SUCCESS" {
		r.Fatalf("the deployment is %s: %v", d.Display, d.Stages)
	}
	return app, id
}

// compare reports a comparison; "" for a blob's text stores none.
func (p *process) compare(app string, c *penstockv1.Comparison, changes string) error {
	r := p.r
	if changes != "" {
		c.Blob = must[*connect.Response[penstockv1.PutBlobResponse]](r)(p.link.PutBlob(r.Context(), connect.NewRequest(&penstockv1.PutBlobRequest{SessionId: p.session, Data: []byte(changes)}))).Msg.Digest
	}
	_, err := p.link.ReportLive(r.Context(), connect.NewRequest(&penstockv1.ReportLiveRequest{
		SessionId: p.session, ApplicationId: app, LiveState: &penstockv1.LiveState{Health: "HEALTHY"}, Comparison: c,
	}))
	return err
}

func TestDriftIsShownAndDeployedAgainst(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p := r.join2("a", "one")
		app, id := p.deployed("web")
		seen := func() *penstockv1.Comparison {
			return &penstockv1.Comparison{GoodDeploymentId: id, LastDeploymentId: id, Count: 1, Digest: "x", Summary: strings.Repeat("long ", 1000), Deploys: true, MinWindow: durationpb.New(time.Minute)}
		}
		if err := p.compare(app, seen(), `{"summary":"1 changed","text":"~ image","changes":{"items":[]}}`); err != nil {
			r.Fatal(err)
		}
		a := r.application(app)
		if a.SyncState != "OUT_OF_SYNC" || a.Drift.GetCount() != 1 || len(a.Drift.Summary) > maxDriftSummary+10 || a.CurrentDeploymentId != "" {
			r.Fatalf("application %v", a)
		}
		d := must[*connect.Response[penstockv1.GetDriftResponse]](r)(r.apps.GetDrift(r.Context(), connect.NewRequest(&penstockv1.GetDriftRequest{Application: a.Name}))).Msg
		if d.Text != "~ image" || d.Json != `{"items":[]}` || d.GoodDeploymentId != id {
			r.Errorf("drift %v", d)
		}
		time.Sleep(61 * time.Second)
		p.hello("two") // the lease ran out in the sleep
		for range 3 {
			if err := p.compare(app, seen(), ""); err != nil {
				r.Fatal(err)
			}
		}
		a = r.application(app)
		if a.CurrentDeploymentId == "" || len(a.Queue) != 0 {
			r.Fatalf("not deployed against, or more than once: %v", a)
		}
		if got := r.deployment(a.CurrentDeploymentId).Trigger; got.Kind != "ON_OUT_OF_SYNC" || got.Why.Code != deploy.ReasonDrift {
			r.Errorf("trigger %v", got)
		}
	})
}

func TestComparisonsThatAreRefusedOrSayNothing(t *testing.T) {
	onRig(t, nil, func(r *rig) {
		p, other := r.join2("a", "one"), r.join2("b", "two")
		app, id := p.deployed("web")
		bad := func(c *penstockv1.Comparison) *penstockv1.Comparison {
			c.GoodDeploymentId, c.LastDeploymentId = id, id
			return c
		}
		for name, c := range map[string]*penstockv1.Comparison{
			"a negative count":  bad(&penstockv1.Comparison{Count: -1}),
			"no digest":         bad(&penstockv1.Comparison{Count: 1}),
			"an endless digest": bad(&penstockv1.Comparison{Count: 1, Digest: strings.Repeat("x", 200)}),
			"an endless blob":   bad(&penstockv1.Comparison{Count: 1, Digest: "x", Blob: strings.Repeat("x", 200)}),
		} {
			wantCode(r, name, p.compare(app, c, ""), deploy.CodeInvalid, "")
		}
		wantCode(r, "another agent's application", other.compare(app, bad(&penstockv1.Comparison{Count: 1, Digest: "x"}), ""), deploy.CodeDenied, "")
		if err := p.compare(app, &penstockv1.Comparison{GoodDeploymentId: "older", LastDeploymentId: id, Count: 1, Digest: "x", Deploys: true}, ""); err != nil {
			r.Fatal(err)
		}
		if a := r.application(app); a.Drift != nil || a.SyncState != "SYNCED" || a.CurrentDeploymentId != "" {
			r.Errorf("application %v", a)
		}
		d := must[*connect.Response[penstockv1.GetDriftResponse]](r)(r.apps.GetDrift(r.Context(), connect.NewRequest(&penstockv1.GetDriftRequest{Application: app}))).Msg
		if d.Drift != nil || d.Text != "" {
			r.Errorf("drift %v", d)
		}
	})
}
