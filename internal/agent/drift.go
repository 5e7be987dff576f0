package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/client"
	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// driftDoubts is how many observations in a row must show the same difference
// before it is told: a cloud whose reads lag is no drift.
const driftDoubts = 2

// driftRule is trigger.onOutOfSync of an application's file.
type driftRule struct {
	Enabled bool
	Window  time.Duration
}

// driftWatch is what a reporter knows of one application's drift.
type driftWatch struct {
	digest string // of the differences that were seen last
	seen   int    // observations in a row
	blob   string // that holds them
	said   string // error that was logged
}

// compare holds an observation against what the last good deployment declared.
// It returns nil when that says nothing: a deployment is at work, nothing good
// is known or its commit cannot be read any more, or the difference was seen
// only now.
func (r *liveReporter) compare(app deploy.Application, live platform.Live, observed error) *client.Comparison {
	good := app.LastGood
	if observed != nil || app.Current != "" || good == nil || good.Commit.Hash != r.loaded || r.a.deploys(app.ID) {
		r.drift.seen = 0
		return nil
	}
	c := &client.Comparison{Good: good.DeploymentID, Last: app.LastID, Deploys: r.rule.Enabled, MinWindow: r.rule.Window}
	diff, err := r.difference(app, live)
	if err != nil {
		r.doubt(err)
		return nil
	}
	if c.Count = diff.Count(); c.Count == 0 {
		r.drift = driftWatch{}
		r.a.met.compared.WithLabelValues("same").Inc()
		return c
	}
	r.a.met.compared.WithLabelValues("drift").Inc()
	c.Digest, c.Summary = driftDigest(diff), diff.Summary()
	if c.Digest != r.drift.digest {
		r.drift = driftWatch{digest: c.Digest}
	}
	if r.drift.seen++; r.drift.seen < driftDoubts {
		return nil
	}
	if r.drift.blob == "" {
		if r.drift.blob, err = r.a.putChanges(r.ctx, diff); err != nil {
			r.doubt(err)
			return nil
		}
		r.log.Warn("what is live differs from what the last good deployment declared", "deployment", good.DeploymentID, "summary", c.Summary)
	}
	c.Blob = r.drift.blob
	return c
}

func (r *liveReporter) difference(app deploy.Application, live platform.Live) (_ change.Changes, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("a comparison panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error of the platform: %v", p)
		}
	}()
	p, err := r.a.platform(app.Kind)
	if err != nil {
		return change.Changes{}, err
	}
	return p.Compare(platform.State{Desired: &r.desired}, platform.State{Live: &live})
}

// doubt logs once why nothing can be said.
func (r *liveReporter) doubt(err error) {
	r.a.met.compared.WithLabelValues("error").Inc()
	if text := err.Error(); text != r.drift.said {
		r.drift.said = text
		r.log.Warn("what is live cannot be compared with what is declared", "error", err)
	}
}

// driftDigest names a difference: equal differences have equal ones. Values are
// masked in it, so a secret that changed twice is the same difference.
func driftDigest(c change.Changes) string {
	b, err := json.Marshal(c)
	if err != nil {
		return ""
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:16])
}
