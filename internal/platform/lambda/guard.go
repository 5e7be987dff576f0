package lambda

import (
	"context"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Guard implements platform.Guarded: the alias against the journal, and whether the versions that it sends to can be invoked.
// What the invocations end with is for the metrics to judge.
func (p *Platform) Guard(ctx context.Context, h platform.Held) (platform.Breach, error) {
	c, _, err := p.client(ctx, h.ProviderConfig)
	if err != nil {
		return platform.Breach{}, err
	}
	d, err := platform.DecodeBody[desired]("desired state", h.Desired.Body)
	if err != nil {
		return platform.Breach{}, err
	}
	snap, err := platform.DecodeBody[snapshot]("snapshot", h.Live.Body)
	if err != nil || h.Stage.Name == stageBack {
		return platform.Breach{}, err
	}
	found, err := c.Alias(ctx, d.Name, d.Alias)
	if err != nil {
		return platform.Breach{}, err
	}
	served, err := servedBy(ctx, c, d.Name, found)
	if err != nil {
		return platform.Breach{}, err
	}
	b := platform.Breach{}
	if found != nil {
		b.Traffic = []deploy.Traffic{traffic(d, found, served)}
	}
	rec, known, err := platform.Recall[routeRecord](h.Journal, keyRoute)
	if err != nil {
		return b, err
	}
	if why := foreign(d, rec, known, snap.Alias, found, h.Now); !why.IsZero() {
		b.Kind, b.Reason = platform.BreachForeign, why
		return b, nil
	}
	fresh, _, err := platform.Recall[versionRecord](h.Journal, keyVersion)
	if err != nil {
		return b, err
	}
	for _, n := range found.numbers() {
		v, ok := served[n]
		if n != fresh.Number || ok && v.broken() == "" {
			continue
		}
		b.Kind, b.Reason = platform.BreachHealth, deploy.Why(ReasonGone, "what", "version "+n)
		if ok {
			b.Reason = deploy.Why(ReasonBroken, "function", d.Name, "version", n, "reason", v.broken())
		}
		return b, nil
	}
	return b, nil
}
