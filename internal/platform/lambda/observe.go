package lambda

import (
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// Observe implements platform.Platform. It reads only what the application owns: the function, the alias, and the versions
// that the alias sends to.
func (p *Platform) Observe(ctx context.Context, t platform.Target) (platform.Live, error) {
	c, prov, err := p.client(ctx, t.ProviderConfig)
	if err != nil {
		return platform.Live{}, err
	}
	d, err := platform.DecodeBody[desired]("desired state", t.Desired.Body)
	if err != nil {
		return platform.Live{}, err
	}
	snap, err := observe(ctx, c, d)
	if err != nil {
		return platform.Live{}, fmt.Errorf("observe %s: %w", t.App.Name, err)
	}
	live, err := liveOf(snap, d)
	if err == nil && prov.Endpoint == "" && p.opt.Endpoint == "" {
		for i, r := range live.State.Resources {
			live.State.Resources[i].URL = consoleURL(r.Kind, r.ID)
		}
	}
	return live, err
}

// observe reads the live state; independent reads run side by side.
func observe(ctx context.Context, c cloud, d *desired) (*snapshot, error) {
	s := &snapshot{}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		s.Account, err = c.Account(gctx)
		return err
	})
	g.Go(func() (err error) {
		s.Function, err = c.Function(gctx, d.Name)
		return err
	})
	g.Go(func() (err error) {
		s.Alias, err = c.Alias(gctx, d.Name, d.Alias)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if s.Function == nil {
		s.Alias = nil // it went between the two reads
		return s, nil
	}
	return s, s.served(ctx, c)
}

// served reads the versions that the alias sends to.
func (s *snapshot) served(ctx context.Context, c cloud) error {
	var err error
	if s.Versions, err = servedBy(ctx, c, s.Function.Name, s.Alias); err != nil {
		return err
	}
	for _, n := range s.Alias.numbers() {
		if _, ok := s.Versions[n]; !ok {
			return platform.Retryable(fmt.Errorf("alias %s sends to version %s, which is not shown", s.Alias.ARN, n), 0)
		}
	}
	return nil
}

// servedBy reads the versions that an alias sends to; one that is gone is left out.
func servedBy(ctx context.Context, c cloud, function string, a *alias) (map[string]version, error) {
	numbers := a.numbers()
	found := make([]*version, len(numbers))
	g, ctx := errgroup.WithContext(ctx)
	for i, n := range numbers {
		g.Go(func() (err error) {
			found[i], err = c.Version(ctx, function, n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := map[string]version{}
	for i, v := range found {
		if v != nil {
			out[numbers[i]] = *v
		}
	}
	return out, nil
}

// liveOf renders an observation in the contract's words.
func liveOf(s *snapshot, d *desired) (platform.Live, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return platform.Live{}, fmt.Errorf("encode live state: %w", err)
	}
	l := platform.Live{Exists: s.Function != nil, Account: s.Account, Body: body}
	if s.Function != nil {
		l.Digest, l.Unsettled = platform.Digest(liveView(s)), unsettled(s, d)
		for _, n := range s.Alias.numbers() {
			l.Versions = append(l.Versions, liveVersion(s.Versions[n]))
		}
	}
	l.State = state(s, d)
	l.State.Digest = l.Digest
	return l, nil
}

// unsettled lists why a deployment should not start from here.
func unsettled(s *snapshot, d *desired) []deploy.Reason {
	var out []deploy.Reason
	if len(s.Alias.numbers()) > 1 {
		out = append(out, deploy.Why(UnsettledSplit, "alias", d.Alias, "weights", s.Alias.text()))
	}
	if state := s.Function.Latest.busy(); state != "" {
		out = append(out, deploy.Why(UnsettledBusy, "function", d.Name, "state", state))
	}
	return out
}
