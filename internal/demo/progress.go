package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	penstockv1 "github.com/penstock-cd/penstock/internal/gen/penstock/v1"
)

// progress prints what happens, for a person; with JSON only the result is
// printed on the output and the rest on the error output.
type progress struct {
	o     Options
	w     *world
	to    io.Writer
	start time.Time
	stage string
	last  time.Time
}

func newProgress(o Options, w *world) *progress {
	to := o.Out
	if o.JSON {
		to = o.Err
	}
	return &progress{o: o, w: w, to: to, start: time.Now()}
}

// say prints a line with the time since the start.
func (p *progress) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.to, "%6.1fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

func (p *progress) welcome() {
	shop := p.w.target.entrance()
	if shop == "" {
		shop = "once v1 is live"
	}
	_, _ = fmt.Fprintf(p.to, `Penstock demo: %s
  page        %s   user admin   password %s
  shop        %s
  repository  %s
  CLI         export PENSTOCK_SERVER=%s PENSTOCK_TOKEN=%s

`, p.o.Scenario, p.w.server.URL, p.w.password, shop, p.w.gitURL, p.w.server.URL, p.w.token)
}

// deployment prints a line when the stage changes and every few seconds.
func (p *progress) deployment(d *penstockv1.Deployment, l *load, _ *observer) {
	name, detail := d.Display, ""
	if s := runningStage(d); s != nil {
		name = s.Name
		if s.Rollback {
			name = "way back: " + name
		}
		detail = s.GetWaiting().GetText()
		if detail == "" && int(s.Step) < len(s.Steps) {
			detail = s.Steps[s.Step]
		}
	}
	if name == p.stage && time.Since(p.last) < 5*time.Second {
		return
	}
	p.stage, p.last = name, time.Now()
	now := time.Now()
	c := l.between(now.Add(-2*time.Second), now)
	failed := l.between(p.start, now).Failed
	p.say("%-28s %s  failed %d  %s", name, bar(c.share()), failed, detail)
}

// bar draws the measured share of v2.
func bar(share map[string]float64) string {
	const width = 20
	n := int(share["v2"]*width + 0.5)
	return fmt.Sprintf("v1 %5.1f %% [%s%s] v2 %5.1f %%", 100*share["v1"], strings.Repeat("·", width-n), strings.Repeat("█", n), 100*share["v2"])
}

// result prints the end.
func (p *progress) result(r report) error {
	if p.o.JSON {
		enc := json.NewEncoder(p.o.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	_, _ = fmt.Fprintln(p.to)
	for _, s := range r.Deployment.Stages {
		_, _ = fmt.Fprintf(p.to, "  %-24s %-10s %6.1fs  %5d answers  %d failed  v2 %5.1f %%  expected %5.1f %%\n",
			s.Name, s.Status, s.EndedAt.Sub(s.StartedAt).Seconds(), s.Requests, s.Failed, 100*s.Share["v2"], 100*s.ExpectedShare["v2"])
	}
	_, _ = fmt.Fprintf(p.to, "\n  %s: %d requests, %d failed; weights %v\n", r.Deployment.Display, r.Requests.Total, r.Requests.Failed, r.Final.Weights)
	if r.RestoredSeconds != nil {
		_, _ = fmt.Fprintf(p.to, "  weights restored %.1f s after v2 began to fail its health checks\n", *r.RestoredSeconds)
	}
	if r.Problem != "" {
		_, _ = fmt.Fprintf(p.to, "  NOT AS IT SHOULD BE: %s\n", r.Problem)
		for _, e := range r.Errors {
			_, _ = fmt.Fprintf(p.to, "    %s\n", e)
		}
	}
	return nil
}

// stay tells what one can do now.
func (p *progress) stay() {
	_, _ = fmt.Fprintf(p.to, `
  The demo stays up. Look at the page, or ship a version of your own:
    git clone %s shop && cd shop
    sed -i 's/v2/v3/' %s && git commit -am "Ship v3" && git push
  Ctrl-C ends it.
`, p.w.gitURL, p.w.target.edited())
}
