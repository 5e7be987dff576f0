package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// Limits on tags, the same on every taggable ECS resource (SDK, "basic restrictions that apply to tags").
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// checkTags judges the tags a call adds to those a resource has.
func checkTags(have, add []types.Tag) error {
	seen := map[string]bool{}
	for _, tag := range add {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case key == "" || len([]rune(key)) > maxTagKey:
			return errInvalid("The tag key %q must have 1 to %d characters.", key, maxTagKey)
		case len([]rune(value)) > maxTagValue:
			return errInvalid("The value of tag %q must have at most %d characters.", key, maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return errInvalid("Tag keys starting with 'aws:' are reserved for system use: %q.", key)
		case seen[key]:
			return errInvalid("Duplicate tag keys found: %q.", key)
		}
		seen[key] = true
	}
	if n := len(withTags(have, add)); n > maxTags {
		return errInvalid("The maximum number of tags is %d; there would be %d.", maxTags, n)
	}
	return nil
}

// withTags returns have with add put over it, in a new slice.
func withTags(have, add []types.Tag) []types.Tag {
	out := slices.Clone(have)
	for _, tag := range add {
		at := slices.IndexFunc(out, func(t types.Tag) bool { return aws.ToString(t.Key) == aws.ToString(tag.Key) })
		if at < 0 {
			out = append(out, tag)
		} else {
			out[at] = tag
		}
	}
	return out
}

// tagsOf finds the tags of any resource by its ARN.
func (st *state) tagsOf(arn *string) (*[]types.Tag, error) {
	ref := aws.ToString(arn)
	parts := strings.SplitN(ref, ":", 6)
	if len(parts) != 6 || parts[2] != "ecs" {
		return nil, errInvalid("The specified resource ARN %q is not valid.", ref)
	}
	for _, f := range st.Families {
		for _, rev := range f.Revisions {
			if rev.ARN == ref {
				return &rev.Tags, nil
			}
		}
	}
	for _, cl := range st.Clusters {
		if tags := cl.tagsOf(ref); tags != nil {
			return tags, nil
		}
	}
	return nil, awserr.New("ResourceNotFoundException", "The specified resource could not be found: %s", ref)
}

func (cl *cluster) tagsOf(arn string) *[]types.Tag {
	if cl.ARN == arn {
		return &cl.Tags
	}
	for _, s := range cl.Services {
		if s.ARN == arn && s.Status != serviceInactive {
			return &s.Tags
		}
		for _, set := range s.Sets {
			if set.ARN == arn {
				return &set.Tags
			}
		}
	}
	if t := cl.task(arn); t != nil && t.ARN == arn {
		return &t.Tags
	}
	return nil
}

func (c *ECS) tagResource(_ context.Context, in *awsecs.TagResourceInput) (*awsecs.TagResourceOutput, error) {
	tags, err := c.st.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkTags(*tags, in.Tags); err != nil {
		return nil, err
	}
	*tags = withTags(*tags, in.Tags)
	return &awsecs.TagResourceOutput{}, nil
}

func (c *ECS) untagResource(_ context.Context, in *awsecs.UntagResourceInput) (*awsecs.UntagResourceOutput, error) {
	tags, err := c.st.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	*tags = slices.DeleteFunc(slices.Clone(*tags), func(t types.Tag) bool { return slices.Contains(in.TagKeys, aws.ToString(t.Key)) })
	return &awsecs.UntagResourceOutput{}, nil
}

func (c *ECS) listTagsForResource(st *state, in *awsecs.ListTagsForResourceInput) (*awsecs.ListTagsForResourceOutput, error) {
	tags, err := st.tagsOf(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListTagsForResourceOutput{Tags: orEmpty(*tags)}, nil
}
