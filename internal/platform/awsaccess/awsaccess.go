// Package awsaccess is what the platforms on AWS have in common: how a provider's config is read, how its clients are set up
// and bounded, whose account they are for, and what the errors of AWS mean for a step. It knows no service but STS.
package awsaccess

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-cd/penstock/internal/platform"
)

// Options say how AWS is reached. The zero value talks to it as the provider's config says.
type Options struct {
	// HTTPClient carries the API calls; nil means the SDK's own.
	HTTPClient aws.HTTPClient
	// Endpoint overrides the endpoint of every provider.
	Endpoint string
	// Credentials override those of every provider.
	Credentials aws.CredentialsProvider
	// CallLimit bounds one API call with its SDK retry; 0 means 3 s, a third of the default session lease.
	CallLimit time.Duration
	// Logger is for what no stage log takes; nil discards.
	Logger *slog.Logger
}

// repeatAfter is how long the SDK waits before it repeats a call once.
const repeatAfter = 150 * time.Millisecond

// defaultCallLimit is a third of the session lease (architecture, rule 12): a call that takes longer might still be written
// when another process has taken over.
const defaultCallLimit = 3 * time.Second

// Access is the way to one account and region.
type Access struct {
	// Config is for the clients of services.
	Config aws.Config

	sts   *sts.Client
	limit time.Duration // of one call, the SDK's one retry included

	mu      sync.Mutex
	account string
}

// Connect sets up the access of one platform provider.
func Connect(ctx context.Context, p Provider, opt Options) (*Access, error) {
	load := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRetryer(func() aws.Retryer {
			// The agent's loop owns retrying; one quick repeat hides a reset connection.
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.Backoff = 2, retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return repeatAfter, nil })
			})
		}),
	}
	if p.Region != "" {
		load = append(load, awsconfig.WithRegion(p.Region))
	}
	if p.Profile != "" {
		load = append(load, awsconfig.WithSharedConfigProfile(p.Profile))
	}
	if p.CredentialsFile != "" {
		load = append(load, awsconfig.WithSharedCredentialsFiles([]string{p.CredentialsFile}))
	}
	if opt.Credentials != nil {
		load = append(load, awsconfig.WithCredentialsProvider(opt.Credentials))
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, platform.Final(fmt.Errorf("set up AWS access: %w", err))
	}
	if opt.HTTPClient != nil {
		// Set here and not as a load option: with AWS_CA_BUNDLE in the environment loading refuses a client of one's own.
		cfg.HTTPClient = opt.HTTPClient
	}
	if cfg.Region == "" {
		return nil, platform.Final(fmt.Errorf("set up AWS access: no region: set config.region of the platform provider"))
	}
	endpoint := p.Endpoint
	if opt.Endpoint != "" {
		endpoint = opt.Endpoint
	}
	if endpoint != "" {
		cfg.BaseEndpoint = aws.String(endpoint)
	}
	if p.RoleARN != "" && p.TokenFile != "" && opt.Credentials == nil {
		web := stscreds.NewWebIdentityRoleProvider(sts.NewFromConfig(cfg), p.RoleARN, stscreds.IdentityTokenFile(p.TokenFile))
		cfg.Credentials = aws.NewCredentialsCache(web)
	}
	limit := opt.CallLimit
	if limit <= 0 {
		limit = defaultCallLimit
	}
	return &Access{Config: cfg, sts: sts.NewFromConfig(cfg), limit: limit}, nil
}

// Bound gives a call its deadline.
func (a *Access) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.limit)
}

// Account is account/region of the credentials. The answer is kept: credentials of one client stay in one account.
func (a *Access) Account(ctx context.Context) (string, error) {
	a.mu.Lock()
	known := a.account
	a.mu.Unlock()
	if known != "" {
		return known, nil
	}
	// Not under the lock: who waits for a lock does not end with its context, and two answers are the same.
	ctx, cancel := a.Bound(ctx)
	defer cancel()
	out, err := a.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", Classify("sts:GetCallerIdentity", err)
	}
	known = aws.ToString(out.Account) + "/" + a.Config.Region
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = known
	return known, nil
}

// SameAccount stops before any write when the credentials lead to another account or region than the plan.
func SameAccount(ctx context.Context, c interface {
	Account(ctx context.Context) (string, error)
}, planned string,
) error {
	if planned == "" {
		return nil
	}
	found, err := c.Account(ctx)
	if err != nil {
		return err
	}
	if found != planned {
		return platform.Final(fmt.Errorf("the plan was made for account and region %s, the agent's credentials are for %s: nothing was written; correct the platform provider", planned, found))
	}
	return nil
}
