package elb

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Limits of tags (API, "Tag your load balancer"): 50 per resource, keys of 1
// to 128 characters, values of up to 256, "aws:" is reserved.
const maxTags = 50

func checkTags(tags []types.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.ToString(t.Key)
		switch {
		case key == "" || utf8.RuneCountInString(key) > 128:
			return invalid("The tag key '%s' must have 1 to 128 characters", key)
		case utf8.RuneCountInString(aws.ToString(t.Value)) > 256:
			return invalid("The value of tag '%s' has more than 256 characters", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("The tag key '%s' cannot begin with 'aws:'", key)
		case seen[key]:
			return refuse(codeDuplicateTag, "The tag key '%s' was given twice", key)
		}
		seen[key] = true
	}
	if len(tags) > maxTags {
		return refuse(codeTooManyTags, "At most %d tags can be on a resource", maxTags)
	}
	return nil
}

func sameTags(a, b []types.Tag) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(t types.Tag) bool {
		return !slices.ContainsFunc(b, func(o types.Tag) bool {
			return aws.ToString(t.Key) == aws.ToString(o.Key) && aws.ToString(t.Value) == aws.ToString(o.Value)
		})
	})
}

// tagsOf finds the tags of any resource by its ARN.
func (e *ELB) tagsOf(arn string) (*[]types.Tag, error) {
	if l := e.loadBalancer(arn); l != nil {
		return &l.Tags, nil
	}
	if g := e.group(arn); g != nil {
		return &g.Tags, nil
	}
	if ln := e.listener(arn); ln != nil {
		return &ln.Tags, nil
	}
	if _, r := e.rule(arn); r != nil {
		return &r.Tags, nil
	}
	switch {
	case strings.Contains(arn, ":loadbalancer/"):
		return nil, errNoLoadBalancer()
	case strings.Contains(arn, ":targetgroup/"):
		return nil, errNoGroup()
	case strings.Contains(arn, ":listener-rule/"):
		return nil, errNoRule()
	case strings.Contains(arn, ":listener/"):
		return nil, errNoListener()
	}
	return nil, invalid("'%s' is not a valid load balancer, target group, listener or rule ARN", arn)
}

// AddTags adds or overwrites tags of the named resources.
func (e *ELB) AddTags(_ context.Context, in *elbv2.AddTagsInput) (*elbv2.AddTagsOutput, error) {
	if len(in.ResourceArns) == 0 {
		return nil, required("resourceArns")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err := e.change(func() error {
		merged := make([][]types.Tag, len(in.ResourceArns))
		for i, arn := range in.ResourceArns {
			tags, err := e.tagsOf(arn)
			if err != nil {
				return err
			}
			if merged[i] = mergeTags(*tags, in.Tags); len(merged[i]) > maxTags {
				return refuse(codeTooManyTags, "At most %d tags can be on a resource", maxTags)
			}
		}
		for i, arn := range in.ResourceArns {
			tags, _ := e.tagsOf(arn)
			*tags = merged[i]
		}
		return nil
	})
	return result(&elbv2.AddTagsOutput{}, err)
}

func mergeTags(old, add []types.Tag) []types.Tag {
	out := slices.Clone(old)
	for _, t := range add {
		i := slices.IndexFunc(out, func(o types.Tag) bool { return *o.Key == *t.Key })
		if i < 0 {
			out = append(out, t)
		} else {
			out[i] = t
		}
	}
	return out
}

// RemoveTags removes tags by key; unknown keys are ignored.
func (e *ELB) RemoveTags(_ context.Context, in *elbv2.RemoveTagsInput) (*elbv2.RemoveTagsOutput, error) {
	if len(in.ResourceArns) == 0 {
		return nil, required("resourceArns")
	}
	err := e.change(func() error {
		for _, arn := range in.ResourceArns {
			if _, err := e.tagsOf(arn); err != nil {
				return err
			}
		}
		for _, arn := range in.ResourceArns {
			tags, _ := e.tagsOf(arn)
			*tags = slices.DeleteFunc(slices.Clone(*tags), func(t types.Tag) bool {
				return slices.Contains(in.TagKeys, *t.Key)
			})
		}
		return nil
	})
	return result(&elbv2.RemoveTagsOutput{}, err)
}

// DescribeTags lists the tags of up to 20 resources (API, ResourceArns).
func (e *ELB) DescribeTags(_ context.Context, in *elbv2.DescribeTagsInput) (*elbv2.DescribeTagsOutput, error) {
	switch n := len(in.ResourceArns); {
	case n == 0:
		return nil, required("resourceArns")
	case n > 20:
		return nil, invalid("Only 20 resources can be described per call")
	}
	out := &elbv2.DescribeTagsOutput{}
	err := e.read(func() error {
		for _, arn := range in.ResourceArns {
			tags, err := e.tagsOf(arn)
			if err != nil {
				return err
			}
			out.TagDescriptions = append(out.TagDescriptions, types.TagDescription{
				ResourceArn: aws.String(arn), Tags: slices.Clone(*tags),
			})
		}
		return nil
	})
	return result(out, err)
}
