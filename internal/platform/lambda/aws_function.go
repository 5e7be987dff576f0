package lambda

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Function implements functions.
func (a *awsCloud) Function(ctx context.Context, name string) (*function, error) {
	out, err := read(ctx, a, "GetFunction", a.api.GetFunction, &lambda.GetFunctionInput{FunctionName: &name})
	if err != nil || out == nil || out.Configuration == nil {
		return nil, err
	}
	v := versionFrom(out.Configuration, out.Code)
	return &function{ARN: v.ARN, Name: name, Latest: v, Tags: out.Tags}, nil
}

// versionFrom brings what AWS tells of a function or version into the words of this package.
func versionFrom(c *types.FunctionConfiguration, from *types.FunctionCodeLocation) version {
	v := version{
		ARN: aws.ToString(c.FunctionArn), Number: aws.ToString(c.Version), Description: aws.ToString(c.Description), Package: string(c.PackageType),
		Sha: aws.ToString(c.CodeSha256), State: string(c.State), StateReason: aws.ToString(c.StateReason), Update: string(c.LastUpdateStatus),
		UpdateWhy: aws.ToString(c.LastUpdateStatusReason), Revision: aws.ToString(c.RevisionId), Modified: aws.ToString(c.LastModified),
		Config: config{
			Role: aws.ToString(c.Role), Handler: aws.ToString(c.Handler), Runtime: string(c.Runtime), Memory: aws.ToInt32(c.MemorySize), Timeout: aws.ToInt32(c.Timeout),
			Storage: minStorage, Architecture: defaultArchitecture,
		},
	}
	if v.Package == "" {
		v.Package = packageZip
	}
	if from != nil {
		v.Image = aws.ToString(from.ImageUri)
	}
	if c.EphemeralStorage != nil {
		v.Config.Storage = aws.ToInt32(c.EphemeralStorage.Size)
	}
	if len(c.Architectures) > 0 {
		v.Config.Architecture = string(c.Architectures[0])
	}
	if c.Environment != nil {
		v.Config.Environment = c.Environment.Variables
	}
	for _, l := range c.Layers {
		v.Config.Layers = append(v.Config.Layers, aws.ToString(l.Arn))
	}
	if c.VpcConfig != nil {
		v.Config.SecurityGroups, v.Config.Subnets = c.VpcConfig.SecurityGroupIds, c.VpcConfig.SubnetIds
	}
	if c.DeadLetterConfig != nil {
		v.DeadLetters = aws.ToString(c.DeadLetterConfig.TargetArn)
	}
	return v
}

// CreateFunction implements functions.
func (a *awsCloud) CreateFunction(ctx context.Context, d *desired, t tags) error {
	c, from := d.Config, d.Source
	in := &lambda.CreateFunctionInput{
		FunctionName: &d.Name, Role: &c.Role, MemorySize: &c.Memory, Timeout: &c.Timeout, Tags: t, PackageType: types.PackageType(d.Source.pack()),
		Architectures: []types.Architecture{types.Architecture(c.Architecture)}, EphemeralStorage: &types.EphemeralStorage{Size: &c.Storage}, Layers: c.Layers,
		Code: &types.FunctionCode{ImageUri: set(from.Image), S3Bucket: set(from.Bucket), S3Key: set(from.Key), S3ObjectVersion: set(from.ObjectVersion)},
	}
	if d.Source.Image == "" {
		in.Handler, in.Runtime = &c.Handler, types.Runtime(c.Runtime)
	}
	if len(c.Environment) > 0 {
		in.Environment = &types.Environment{Variables: c.Environment}
	}
	if len(c.Subnets) > 0 {
		in.VpcConfig = &types.VpcConfig{SubnetIds: c.Subnets, SecurityGroupIds: c.SecurityGroups}
	}
	_, err := call(ctx, a, "CreateFunction", a.api.CreateFunction, in)
	return err
}

// set is a text for AWS, nothing for "".
func set(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Configure implements functions. A field that is left out stays as it is, so what shall be gone is written empty.
func (a *awsCloud) Configure(ctx context.Context, name string, have, want config, revision string) error {
	in := &lambda.UpdateFunctionConfigurationInput{FunctionName: &name, RevisionId: set(revision)}
	if have.Role != want.Role {
		in.Role = &want.Role
	}
	if have.Handler != want.Handler && want.Handler != "" {
		in.Handler = &want.Handler
	}
	if have.Runtime != want.Runtime && want.Runtime != "" {
		in.Runtime = types.Runtime(want.Runtime)
	}
	if have.Memory != want.Memory {
		in.MemorySize = &want.Memory
	}
	if have.Timeout != want.Timeout {
		in.Timeout = &want.Timeout
	}
	if have.Storage != want.Storage {
		in.EphemeralStorage = &types.EphemeralStorage{Size: &want.Storage}
	}
	if !maps.Equal(have.Environment, want.Environment) {
		in.Environment = &types.Environment{Variables: merged(nil, want.Environment)}
	}
	if !slices.Equal(have.Layers, want.Layers) {
		in.Layers = append([]string{}, want.Layers...)
	}
	if !slices.Equal(sorted(have.Subnets), sorted(want.Subnets)) || !slices.Equal(sorted(have.SecurityGroups), sorted(want.SecurityGroups)) {
		in.VpcConfig = &types.VpcConfig{SubnetIds: append([]string{}, want.Subnets...), SecurityGroupIds: append([]string{}, want.SecurityGroups...)}
	}
	_, err := call(ctx, a, "UpdateFunctionConfiguration", a.api.UpdateFunctionConfiguration, in)
	return err
}

// Upload implements functions. The architecture is a field of the code.
func (a *awsCloud) Upload(ctx context.Context, name string, from source, architecture, revision string) (string, error) {
	out, err := call(ctx, a, "UpdateFunctionCode", a.api.UpdateFunctionCode, &lambda.UpdateFunctionCodeInput{
		FunctionName: &name, RevisionId: set(revision), Architectures: []types.Architecture{types.Architecture(architecture)},
		ImageUri: set(from.Image), S3Bucket: set(from.Bucket), S3Key: set(from.Key), S3ObjectVersion: set(from.ObjectVersion),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.CodeSha256), nil
}

// Tag implements functions.
func (a *awsCloud) Tag(ctx context.Context, arn string, write tags, remove []string) error {
	if len(remove) > 0 {
		if _, err := call(ctx, a, "UntagResource", a.api.UntagResource, &lambda.UntagResourceInput{Resource: &arn, TagKeys: remove}); err != nil {
			return err
		}
	}
	if len(write) == 0 {
		return nil
	}
	_, err := call(ctx, a, "TagResource", a.api.TagResource, &lambda.TagResourceInput{Resource: &arn, Tags: write})
	return err
}

// DeleteFunction implements functions.
func (a *awsCloud) DeleteFunction(ctx context.Context, name string) error {
	_, err := read(ctx, a, "DeleteFunction", a.api.DeleteFunction, &lambda.DeleteFunctionInput{FunctionName: &name})
	return err
}
