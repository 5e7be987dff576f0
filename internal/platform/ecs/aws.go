package ecs

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// awsCloud is the cloud through the AWS SDK.
type awsCloud struct {
	*awsaccess.Access
	ecs *ecs.Client
	elb *elb.Client
}

// connectAWS builds the clients of one platform provider.
func connectAWS(ctx context.Context, p provider, opt Options) (*awsCloud, error) {
	access, err := awsaccess.Connect(ctx, p, opt)
	if err != nil {
		return nil, err
	}
	return &awsCloud{Access: access, ecs: ecs.NewFromConfig(access.Config), elb: elb.NewFromConfig(access.Config)}, nil
}

// under runs one ECS operation under its deadline; the caller classifies the error.
func under[I, O any](ctx context.Context, a *awsCloud, do func(context.Context, *I, ...func(*ecs.Options)) (*O, error), in *I) (*O, error) {
	ctx, cancel := a.Bound(ctx)
	defer cancel()
	return do(ctx, in)
}

// call runs one API operation under its deadline and classifies its error.
func call[I, O any](ctx context.Context, a *awsCloud, op string, do func(context.Context, *I) (*O, error), in *I) (*O, error) {
	ctx, cancel := a.Bound(ctx)
	defer cancel()
	out, err := do(ctx, in)
	return out, classify(op, err)
}
