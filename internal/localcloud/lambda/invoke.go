package lambda

import (
	"context"
	"encoding/base64"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// invoke runs a function. It is the data plane: no call limit and no journal of writes meet it.
func (c *Lambda) invoke(ctx context.Context, in *awslambda.InvokeInput) (*awslambda.InvokeOutput, error) {
	to, err := c.choose(aws.ToString(in.FunctionName), aws.ToString(in.Qualifier), in.Payload)
	if err != nil {
		return nil, err
	}
	switch in.InvocationType {
	case types.InvocationTypeDryRun:
		return &awslambda.InvokeOutput{StatusCode: 204}, nil
	case types.InvocationTypeEvent:
		c.background.Go(func() {
			if _, err := c.cfg.Runtime.Invoke(context.WithoutCancel(ctx), to); err != nil {
				c.cfg.Log.Warn("an event was lost", "function", to.Function, "version", to.Version, "error", err)
			}
		})
		return &awslambda.InvokeOutput{StatusCode: 202}, nil
	}
	res, err := c.run(ctx, to)
	if err != nil {
		return nil, err
	}
	out := &awslambda.InvokeOutput{StatusCode: 200, Payload: res.Payload, ExecutedVersion: aws.String(to.Version)}
	if res.Error != "" {
		out.FunctionError = aws.String(res.Error)
	}
	if in.LogType == types.LogTypeTail {
		out.LogResult = aws.String(base64.StdEncoding.EncodeToString(res.Log))
	}
	return out, nil
}

func (c *Lambda) run(ctx context.Context, to Invocation) (Result, error) {
	res, err := c.cfg.Runtime.Invoke(ctx, to)
	if err != nil && ctx.Err() == nil {
		c.cfg.Log.Warn("function could not be run", "function", to.Function, "version", to.Version, "error", err)
		return res, &awserr.Error{Code: "ServiceException", Message: "The service encountered an internal error: " + err.Error(), Status: 500}
	}
	return res, err
}

// choose finds the version that answers one invocation: behind an alias by its weights, a draw for each.
func (c *Lambda) choose(ref, qualifier string, event []byte) (Invocation, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return Invocation{}, context.Canceled
	}
	f, q, err := c.function(&ref, &qualifier)
	if err != nil {
		return Invocation{}, err
	}
	number := q
	if a := f.Aliases[q]; a != nil {
		number = a.Version
		for n, weight := range a.Weights {
			if c.draw.Float64() < weight {
				number = n
			}
		}
	}
	v := f.find(number)
	if v == nil {
		return Invocation{}, missing("Function not found: %s", f.ARN+suffix(q))
	}
	if s := v.Config.State; s == types.StatePending || s == types.StateFailed {
		return Invocation{}, conflict("The operation cannot be performed at this time. The function is currently in the following state: %s", s)
	}
	if number == "" {
		number = latest
	}
	f.Invoked[number]++
	return Invocation{
		Key: v.Key, RequestID: c.id(), ARN: f.ARN + suffix(q), Function: f.Name, Version: number, Code: c.code(v), Env: c.environment(f, v, number),
		Memory: int(aws.ToInt32(v.Config.MemorySize)), Timeout: time.Duration(aws.ToInt32(v.Config.Timeout)) * time.Second, Event: event,
	}, nil
}

// environment is what a function sees besides what its runtime adds (guide, "Defined runtime environment variables").
func (c *Lambda) environment(f *function, v *version, number string) map[string]string {
	env := map[string]string{
		"AWS_LAMBDA_FUNCTION_NAME": f.Name, "AWS_LAMBDA_FUNCTION_VERSION": number, "AWS_REGION": c.cfg.Region, "AWS_DEFAULT_REGION": c.cfg.Region,
		"_HANDLER": aws.ToString(v.Config.Handler),
	}
	if v.Config.Environment != nil {
		maps.Copy(env, v.Config.Environment.Variables)
	}
	return env
}

// Call invokes a function without the wire and tells which version answered; for load inside of the program.
func (c *Lambda) Call(ctx context.Context, function, qualifier string, event []byte) (version string, res Result, err error) {
	to, err := c.choose(function, qualifier, event)
	if err != nil {
		return "", Result{}, err
	}
	res, err = c.run(ctx, to)
	return to.Version, res, err
}
