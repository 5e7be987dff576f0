package ecs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/penstock-cd/penstock/internal/platform"
)

// repeatAfter is how long the SDK waits before it repeats a call once.
const repeatAfter = 150 * time.Millisecond

// awsCloud is the cloud through the AWS SDK.
type awsCloud struct {
	ecs    *ecs.Client
	elb    *elb.Client
	sts    *sts.Client
	region string
	limit  time.Duration // of one call, the SDK's one retry included

	mu      sync.Mutex
	account string
}

// connectAWS builds the clients of one platform provider.
func connectAWS(ctx context.Context, p provider, opt Options) (*awsCloud, error) {
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
	return &awsCloud{ecs: ecs.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg), region: cfg.Region, limit: limit}, nil
}

// defaultCallLimit is a third of the session lease (architecture, rule 12): a call that takes longer might still be written
// when another process has taken over.
const defaultCallLimit = 3 * time.Second

// bound gives a call its deadline.
func (a *awsCloud) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, a.limit)
}

// Account implements services. The answer is kept: credentials of one client stay in one account.
func (a *awsCloud) Account(ctx context.Context) (string, error) {
	a.mu.Lock()
	known := a.account
	a.mu.Unlock()
	if known != "" {
		return known, nil
	}
	// Not under the lock: who waits for a lock does not end with its context, and two answers are the same.
	ctx, cancel := a.bound(ctx)
	defer cancel()
	out, err := a.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", classify("sts:GetCallerIdentity", err)
	}
	known = aws.ToString(out.Account) + "/" + a.region
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = known
	return known, nil
}

// under runs one ECS operation under its deadline; the caller classifies the error.
func under[I, O any](ctx context.Context, a *awsCloud, do func(context.Context, *I, ...func(*ecs.Options)) (*O, error), in *I) (*O, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	return do(ctx, in)
}

// call runs one API operation under its deadline and classifies its error.
func call[I, O any](ctx context.Context, a *awsCloud, op string, do func(context.Context, *I) (*O, error), in *I) (*O, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	out, err := do(ctx, in)
	return out, classify(op, err)
}
