package lambda

import (
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// answer is a version in the form in which most operations answer; the SDK's output types differ in name alone.
func answer(v *version) *awslambda.CreateFunctionOutput {
	f := v.Config
	return &awslambda.CreateFunctionOutput{
		Architectures: f.Architectures, CodeSha256: f.CodeSha256, CodeSize: f.CodeSize, DeadLetterConfig: f.DeadLetterConfig, Description: f.Description,
		Environment: f.Environment, EphemeralStorage: f.EphemeralStorage, FunctionArn: f.FunctionArn, FunctionName: f.FunctionName, Handler: f.Handler,
		KMSKeyArn: f.KMSKeyArn, LastModified: f.LastModified, LastUpdateStatus: f.LastUpdateStatus, LastUpdateStatusReason: f.LastUpdateStatusReason,
		LastUpdateStatusReasonCode: f.LastUpdateStatusReasonCode, Layers: f.Layers, MemorySize: f.MemorySize, PackageType: f.PackageType, RevisionId: f.RevisionId,
		Role: f.Role, Runtime: f.Runtime, State: f.State, StateReason: f.StateReason, StateReasonCode: f.StateReasonCode, Timeout: f.Timeout,
		TracingConfig: f.TracingConfig, Version: f.Version, VpcConfig: f.VpcConfig,
	}
}

// publishVersion makes a version of $LATEST. API: "Lambda doesn't publish a version if the function's configuration and code haven't changed since the
// last version."
func (c *Lambda) publishVersion(in *awslambda.PublishVersionInput) (*awslambda.PublishVersionOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	if err := f.changeable(in.RevisionId); err != nil {
		return nil, err
	}
	if sha := aws.ToString(in.CodeSha256); sha != "" && sha != aws.ToString(f.Latest.Config.CodeSha256) {
		return nil, invalid("CodeSHA256 (%s) is different from current CodeSHA256 in $LATEST (%s). Please try again with the CodeSHA256 in $LATEST.", sha, aws.ToString(f.Latest.Config.CodeSha256))
	}
	if last := f.Versions[f.Last]; last != nil && same(last, f.Latest) {
		return (*awslambda.PublishVersionOutput)(answer(last)), nil
	}
	return (*awslambda.PublishVersionOutput)(answer(c.newVersion(f, aws.ToString(in.Description)))), nil
}

// newVersion freezes $LATEST under the next number; numbers are never used again.
func (c *Lambda) newVersion(f *function, description string) *version {
	f.Newest++
	number := strconv.Itoa(f.Newest)
	v := &version{Config: f.Latest.Config, Code: f.Latest.Code, Key: c.id()}
	v.Config.FunctionArn, v.Config.Version = aws.String(f.ARN+":"+number), aws.String(number)
	v.Config.RevisionId = aws.String(c.id())
	v.Config.LastUpdateStatus, v.Config.LastUpdateStatusReason = types.LastUpdateStatusSuccessful, nil
	v.Config.State, v.Config.StateReason, v.Config.StateReasonCode = types.StatePending, aws.String("The function is being created."), types.StateReasonCodeCreating
	if description != "" {
		v.Config.Description = aws.String(description)
	}
	f.Versions[number], f.Last = v, number
	c.settle(v)
	return v
}

// same reports whether publishing would give the same version again.
func same(v, w *version) bool {
	a, b := v.Config, w.Config
	envA, envB := map[string]string{}, map[string]string{}
	if a.Environment != nil {
		envA = a.Environment.Variables
	}
	if b.Environment != nil {
		envB = b.Environment.Variables
	}
	layers := func(list []types.Layer) (out []string) {
		for _, l := range list {
			out = append(out, aws.ToString(l.Arn))
		}
		return out
	}
	vpc := func(v *types.VpcConfigResponse) (out []string) {
		if v != nil {
			out = append(slices.Clone(v.SubnetIds), v.SecurityGroupIds...)
		}
		return out
	}
	target := func(d *types.DeadLetterConfig) string {
		if d == nil {
			return ""
		}
		return aws.ToString(d.TargetArn)
	}
	return aws.ToString(a.CodeSha256) == aws.ToString(b.CodeSha256) && aws.ToString(a.Role) == aws.ToString(b.Role) && aws.ToString(a.Handler) == aws.ToString(b.Handler) &&
		a.Runtime == b.Runtime && aws.ToInt32(a.MemorySize) == aws.ToInt32(b.MemorySize) && aws.ToInt32(a.Timeout) == aws.ToInt32(b.Timeout) &&
		aws.ToInt32(a.EphemeralStorage.Size) == aws.ToInt32(b.EphemeralStorage.Size) && slices.Equal(a.Architectures, b.Architectures) && maps.Equal(envA, envB) &&
		slices.Equal(layers(a.Layers), layers(b.Layers)) && slices.Equal(vpc(a.VpcConfig), vpc(b.VpcConfig)) && target(a.DeadLetterConfig) == target(b.DeadLetterConfig)
}

func (c *Lambda) listVersions(in *awslambda.ListVersionsByFunctionInput) (*awslambda.ListVersionsByFunctionOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(append([]string{latest}, f.numbers()...), in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &awslambda.ListVersionsByFunctionOutput{NextMarker: next, Versions: []types.FunctionConfiguration{}}
	for _, n := range page {
		v := f.find(n)
		out.Versions = append(out.Versions, *configOf(v, f.ARN+":"+n))
	}
	return out, nil
}
