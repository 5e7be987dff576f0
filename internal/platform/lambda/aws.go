package lambda

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// awsCloud is the cloud through the AWS SDK.
type awsCloud struct {
	*awsaccess.Access
	api *lambda.Client
}

// connectAWS builds the client of one platform provider.
func connectAWS(ctx context.Context, p provider, opt awsaccess.Options) (*awsCloud, error) {
	access, err := awsaccess.Connect(ctx, p, opt)
	if err != nil {
		return nil, err
	}
	return &awsCloud{Access: access, api: lambda.NewFromConfig(access.Config)}, nil
}

// call runs one API operation under its deadline and classifies its error.
func call[I, O any](ctx context.Context, a *awsCloud, op string, do func(context.Context, *I, ...func(*lambda.Options)) (*O, error), in *I) (*O, error) {
	ctx, cancel := a.Bound(ctx)
	defer cancel()
	out, err := do(ctx, in)
	return out, classify("lambda:"+op, err)
}

// read is call for a read of something that may not be there: then the answer is nil.
func read[I, O any](ctx context.Context, a *awsCloud, op string, do func(context.Context, *I, ...func(*lambda.Options)) (*O, error), in *I) (*O, error) {
	out, err := call(ctx, a, op, do, in)
	if missing(err) {
		return nil, nil
	}
	return out, err
}
