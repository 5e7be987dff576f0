package lambda

import (
	"context"
	"log/slog"
	"sync"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// Options are the hooks of New. The zero value talks to AWS as the provider's config says.
type Options = awsaccess.Options

// Platform deploys to AWS Lambda. It is safe for use by several goroutines.
type Platform struct {
	opt     Options
	connect func(context.Context, provider, Options) (cloud, error)

	mu      sync.Mutex
	clients map[provider]cloud
}

// New returns the platform.
func New(opt Options) *Platform {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	return &Platform{
		opt: opt, clients: map[provider]cloud{},
		connect: func(ctx context.Context, p provider, o Options) (cloud, error) {
			return connectAWS(ctx, p, o)
		},
	}
}

// Kind implements platform.Platform.
func (*Platform) Kind() deploy.Kind { return Kind }

// Stages implements platform.Platform.
func (*Platform) Stages() []platform.StageInfo {
	return []platform.StageInfo{
		{Name: stageSync, Desc: "Publishes the new version and sends all invocations of the alias to it at once."},
		{Name: stageCanary, Desc: "Publishes the new version; nobody is sent to it yet."},
		{
			Name: stagePromote, Desc: "Sends a share of the alias's invocations to the new version.",
			Options: []platform.OptionInfo{{Name: "percent", Type: "percent", Default: "0", Desc: "Share of the new version; the former one gets the rest."}},
		},
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
