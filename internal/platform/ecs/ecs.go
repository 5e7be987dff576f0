package ecs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Options are the hooks of New. The zero value talks to AWS as the provider's config says.
type Options = awsaccess.Options

// Platform deploys to Amazon ECS. It is safe for use by several goroutines.
type Platform struct {
	opt     Options
	connect func(context.Context, provider, Options) (cloud, error)

	mu      sync.Mutex
	clients map[provider]cloud
	low     map[string]int // reads in a row with too few healthy targets, by deployment and group
}

// New returns the platform.
func New(opt Options) *Platform {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	return &Platform{
		opt: opt, clients: map[provider]cloud{}, low: map[string]int{},
		connect: func(ctx context.Context, p provider, o Options) (cloud, error) {
			c, err := connectAWS(ctx, p, o)
			if err != nil {
				return nil, err
			}
			return newFenced(c, time.Now), nil
		},
	}
}

// Kind implements platform.Platform.
func (*Platform) Kind() deploy.Kind { return Kind }

// Stages implements platform.Platform.
func (*Platform) Stages() []platform.StageInfo {
	return []platform.StageInfo{
		{
			Name: stageSync, Desc: "Replaces the running version at once: starts the new task set, makes it primary, scales the former one down.",
			Options: []platform.OptionInfo{{Name: "recreate", Type: "bool", Default: "false", Desc: "Stop the old tasks before the new ones start."}},
		},
		{
			Name: stageCanary, Desc: "Starts the new version as a task set of its own behind the canary target group.",
			Options: []platform.OptionInfo{{Name: "scale", Type: "percent", Desc: "Size of the canary in percent of the service's desired count."}},
		},
		{
			Name: stageRoute, Desc: "Shifts requests between the primary and the canary target group by weight.",
			Options: []platform.OptionInfo{
				{Name: "primary", Type: "percent", Desc: "Share of the primary group; the canary gets the rest."},
				{Name: "canary", Type: "percent", Desc: "Share of the canary group; the primary gets the rest."},
			},
		},
		{Name: stagePrimary, Desc: "Starts the new version behind the primary target group, makes it primary and scales the former one to 0."},
		{Name: stageClean, Desc: "Removes the canary's tasks once no request can reach them."},
	}
}

// client returns the cloud of a provider; clients are kept as long as the process lives.
func (p *Platform) client(ctx context.Context, config spec.Node) (cloud, provider, error) {
	prov, err := providerOf(config)
	if err != nil {
		return nil, prov, platform.Final(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.clients[prov]; ok {
		return c, prov, nil
	}
	c, err := p.connect(ctx, prov, p.opt)
	if err != nil {
		return nil, prov, err
	}
	p.clients[prov] = c
	return c, prov, nil
}
