package lambda

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Version implements versions.
func (a *awsCloud) Version(ctx context.Context, name, number string) (*version, error) {
	out, err := read(ctx, a, "GetFunction", a.api.GetFunction, &lambda.GetFunctionInput{FunctionName: &name, Qualifier: &number})
	if err != nil || out == nil || out.Configuration == nil {
		return nil, err
	}
	v := versionFrom(out.Configuration, out.Code)
	return &v, nil
}

// Versions implements versions.
func (a *awsCloud) Versions(ctx context.Context, name string) ([]version, error) {
	var out []version
	in := &lambda.ListVersionsByFunctionInput{FunctionName: &name}
	for {
		page, err := read(ctx, a, "ListVersionsByFunction", a.api.ListVersionsByFunction, in)
		if err != nil || page == nil {
			return out, err
		}
		for _, c := range page.Versions {
			if v := versionFrom(&c, nil); v.Number != latest {
				out = append(out, v)
			}
		}
		if aws.ToString(page.NextMarker) == "" {
			return out, nil
		}
		in.Marker = page.NextMarker
	}
}

// Publish implements versions.
func (a *awsCloud) Publish(ctx context.Context, name, sha, revision, description string) (*version, error) {
	out, err := call(ctx, a, "PublishVersion", a.api.PublishVersion, &lambda.PublishVersionInput{
		FunctionName: &name, CodeSha256: set(sha), RevisionId: set(revision), Description: &description,
	})
	if err != nil {
		return nil, err
	}
	return &version{
		ARN: aws.ToString(out.FunctionArn), Number: aws.ToString(out.Version), Description: aws.ToString(out.Description), Sha: aws.ToString(out.CodeSha256),
		State: string(out.State),
	}, nil
}

// DeleteVersion implements versions.
func (a *awsCloud) DeleteVersion(ctx context.Context, name, number string) error {
	_, err := read(ctx, a, "DeleteFunction", a.api.DeleteFunction, &lambda.DeleteFunctionInput{FunctionName: &name, Qualifier: &number})
	return err
}

// Alias implements aliases.
func (a *awsCloud) Alias(ctx context.Context, function, name string) (*alias, error) {
	out, err := read(ctx, a, "GetAlias", a.api.GetAlias, &lambda.GetAliasInput{FunctionName: &function, Name: &name})
	if err != nil || out == nil {
		return nil, err
	}
	found := &alias{ARN: aws.ToString(out.AliasArn), Version: aws.ToString(out.FunctionVersion), Description: aws.ToString(out.Description), Revision: aws.ToString(out.RevisionId)}
	if out.RoutingConfig != nil && len(out.RoutingConfig.AdditionalVersionWeights) > 0 {
		found.Weights = out.RoutingConfig.AdditionalVersionWeights
	}
	return found, nil
}

// CreateAlias implements aliases.
func (a *awsCloud) CreateAlias(ctx context.Context, function, name string, to alias) error {
	in := &lambda.CreateAliasInput{FunctionName: &function, Name: &name, FunctionVersion: &to.Version, Description: set(to.Description)}
	if len(to.Weights) > 0 {
		in.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: to.Weights}
	}
	_, err := call(ctx, a, "CreateAlias", a.api.CreateAlias, in)
	return err
}

// SetAlias implements aliases. Without a routing configuration the old one would stay, so an empty one is written.
func (a *awsCloud) SetAlias(ctx context.Context, function, name string, to alias) error {
	weights := map[string]float64{}
	maps.Copy(weights, to.Weights)
	_, err := call(ctx, a, "UpdateAlias", a.api.UpdateAlias, &lambda.UpdateAliasInput{
		FunctionName: &function, Name: &name, FunctionVersion: &to.Version, RevisionId: set(to.Revision),
		RoutingConfig: &types.AliasRoutingConfiguration{AdditionalVersionWeights: weights},
	})
	return err
}

// DeleteAlias implements aliases.
func (a *awsCloud) DeleteAlias(ctx context.Context, function, name string) error {
	_, err := read(ctx, a, "DeleteAlias", a.api.DeleteAlias, &lambda.DeleteAliasInput{FunctionName: &function, Name: &name})
	return err
}
