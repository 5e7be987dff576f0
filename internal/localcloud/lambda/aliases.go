package lambda

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

var aliasName = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,128}$`)

func (c *Lambda) createAlias(in *awslambda.CreateAliasInput) (*awslambda.CreateAliasOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.Name)
	if !aliasName.MatchString(name) || strings.Trim(name, "0123456789") == "" {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)", name)
	}
	if f.Aliases[name] != nil {
		return nil, conflict("Alias already exists: %s", f.ARN+":"+name)
	}
	a := &alias{Name: name, ARN: f.ARN + ":" + name, Version: aws.ToString(in.FunctionVersion), Description: aws.ToString(in.Description)}
	if err := f.point(a, in.RoutingConfig); err != nil {
		return nil, err
	}
	a.Revision = c.id()
	f.Aliases[name] = a
	return (*awslambda.CreateAliasOutput)(a.answer()), nil
}

// point checks where an alias shall send to (guide, "Lambda aliases, weighted alias"): at most two published versions with
// the same role and the same dead-letter target.
func (f *function) point(a *alias, routing *types.AliasRoutingConfiguration) error {
	v := f.find(a.Version)
	if v == nil || a.Version == "" {
		return missing("Function not found: %s", f.ARN+suffix(a.Version))
	}
	if routing == nil {
		return nil
	}
	a.Weights = nil
	if len(routing.AdditionalVersionWeights) > 1 {
		return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
	}
	for n, weight := range routing.AdditionalVersionWeights {
		other := f.Versions[n]
		switch {
		case n == latest || a.Version == latest:
			return invalid("$LATEST is not supported for an alias pointing to more than 1 version")
		case other == nil:
			return missing("Function not found: %s", f.ARN+suffix(n))
		case n == a.Version:
			return invalid("Invalid function version %s. Function version %s is already included in routing configuration.", n, n)
		case weight < 0 || weight > 1:
			return invalid("Invalid value %v for weight: it must be between 0 and 1", weight)
		case aws.ToString(other.Config.Role) != aws.ToString(v.Config.Role):
			return invalid("Versions %s and %s must have the same IAM role", a.Version, n)
		case deadLetters(other) != deadLetters(v):
			return invalid("Versions %s and %s must have the same dead letter queue configuration", a.Version, n)
		}
		a.Weights = map[string]float64{n: weight}
	}
	return nil
}

func deadLetters(v *version) string {
	if v.Config.DeadLetterConfig == nil {
		return ""
	}
	return aws.ToString(v.Config.DeadLetterConfig.TargetArn)
}

func (a *alias) config() types.AliasConfiguration {
	out := types.AliasConfiguration{
		AliasArn: aws.String(a.ARN), Name: aws.String(a.Name), FunctionVersion: aws.String(a.Version), Description: aws.String(a.Description), RevisionId: aws.String(a.Revision),
	}
	if len(a.Weights) > 0 {
		out.RoutingConfig = &types.AliasRoutingConfiguration{AdditionalVersionWeights: maps.Clone(a.Weights)}
	}
	return out
}

// answer is an alias in the form in which operations answer; the SDK's output types differ in name alone.
func (a *alias) answer() *awslambda.GetAliasOutput {
	c := a.config()
	return &awslambda.GetAliasOutput{
		AliasArn: c.AliasArn, Name: c.Name, FunctionVersion: c.FunctionVersion, Description: c.Description, RevisionId: c.RevisionId, RoutingConfig: c.RoutingConfig,
	}
}

func (c *Lambda) alias(ref, name *string) (*function, *alias, error) {
	f, _, err := c.function(ref, nil)
	if err != nil {
		return nil, nil, err
	}
	a := f.Aliases[aws.ToString(name)]
	if a == nil {
		return nil, nil, missing("Cannot find alias arn: %s", f.ARN+":"+aws.ToString(name))
	}
	return f, a, nil
}

func (c *Lambda) getAlias(in *awslambda.GetAliasInput) (*awslambda.GetAliasOutput, error) {
	_, a, err := c.alias(in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	return a.answer(), nil
}

func (c *Lambda) listAliases(in *awslambda.ListAliasesInput) (*awslambda.ListAliasesOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range slices.Sorted(maps.Keys(f.Aliases)) {
		if v := aws.ToString(in.FunctionVersion); v == "" || f.Aliases[n].Version == v || f.Aliases[n].Weights[v] > 0 {
			names = append(names, n)
		}
	}
	page, next, err := paged(names, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &awslambda.ListAliasesOutput{NextMarker: next, Aliases: []types.AliasConfiguration{}}
	for _, n := range page {
		out.Aliases = append(out.Aliases, f.Aliases[n].config())
	}
	return out, nil
}

func (c *Lambda) updateAlias(in *awslambda.UpdateAliasInput) (*awslambda.UpdateAliasOutput, error) {
	f, a, err := c.alias(in.FunctionName, in.Name)
	if err != nil {
		return nil, err
	}
	if in.RevisionId != nil && *in.RevisionId != a.Revision {
		return nil, stale("GetFunction/GetAlias")
	}
	next := *a
	if in.FunctionVersion != nil {
		next.Version = *in.FunctionVersion
	}
	if in.Description != nil {
		next.Description = *in.Description
	}
	routing := in.RoutingConfig
	if routing == nil && len(a.Weights) > 0 { // what is left out stays, and must still fit
		routing = &types.AliasRoutingConfiguration{AdditionalVersionWeights: a.Weights}
	}
	if err := f.point(&next, routing); err != nil {
		return nil, err
	}
	next.Revision = c.id()
	*a = next
	return (*awslambda.UpdateAliasOutput)(a.answer()), nil
}

func (c *Lambda) deleteAlias(in *awslambda.DeleteAliasInput) (*awslambda.DeleteAliasOutput, error) {
	f, _, err := c.function(in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	name := aws.ToString(in.Name)
	delete(f.URLs, name) // a URL goes with its alias
	delete(f.Aliases, name)
	return &awslambda.DeleteAliasOutput{}, nil
}

// resource finds the function whose tags a call is about.
func (c *Lambda) resource(arn *string) (*function, error) {
	name, q := named(aws.ToString(arn))
	if q != "" {
		return nil, invalid("Tags on function aliases and versions are not supported. Please specify either a function or a layer ARN.")
	}
	f := c.st.Functions[name]
	if f == nil {
		return nil, missing("Function not found: %s", aws.ToString(arn))
	}
	return f, nil
}

func (c *Lambda) tagResource(in *awslambda.TagResourceInput) (*awslambda.TagResourceOutput, error) {
	f, err := c.resource(in.Resource)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(f.Tags)
	maps.Copy(next, in.Tags)
	if len(next) > 50 {
		return nil, invalid("The number of tags exceeds the limit of 50")
	}
	f.Tags = next
	return &awslambda.TagResourceOutput{}, nil
}

func (c *Lambda) untagResource(in *awslambda.UntagResourceInput) (*awslambda.UntagResourceOutput, error) {
	f, err := c.resource(in.Resource)
	if err != nil {
		return nil, err
	}
	for _, k := range in.TagKeys {
		delete(f.Tags, k)
	}
	return &awslambda.UntagResourceOutput{}, nil
}

func (c *Lambda) listTags(in *awslambda.ListTagsInput) (*awslambda.ListTagsOutput, error) {
	f, err := c.resource(in.Resource)
	if err != nil {
		return nil, err
	}
	return &awslambda.ListTagsOutput{Tags: maps.Clone(f.Tags)}, nil
}
