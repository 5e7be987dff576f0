package ecs

import (
	"context"
	"maps"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// resourceName is the rule for names of clusters, services and families: "Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens
// are allowed" (SDK).
func resourceName(s string) bool {
	return len(s) <= 255 && regexp.MustCompile(`^[a-zA-Z0-9_-]+$`).MatchString(s)
}

func (c *ECS) createCluster(_ context.Context, in *awsecs.CreateClusterInput) (*awsecs.CreateClusterOutput, error) {
	name := aws.ToString(in.ClusterName)
	if name == "" {
		name = "default"
	}
	if !resourceName(name) {
		return nil, errInvalid("Cluster name %q is not valid.", name)
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	cl := c.st.Clusters[name]
	if cl == nil { // creating a cluster that exists returns it unchanged
		cl = &cluster{
			Name: name, ARN: c.arn("cluster/" + name), Seq: c.seq(), Settings: in.Settings, Tags: in.Tags,
			Services: map[string]*service{}, Tasks: map[string]*task{},
		}
		c.st.Clusters[name] = cl
	}
	out := clusterView(cl, true)
	return &awsecs.CreateClusterOutput{Cluster: &out}, nil
}

// maxDescribed is how many clusters or tasks one call may name (SDK: "A list of up to 100").
const maxDescribed = 100

func (c *ECS) describeClusters(st *state, in *awsecs.DescribeClustersInput) (*awsecs.DescribeClustersOutput, error) {
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	if len(refs) > maxDescribed {
		return nil, errInvalid("Clusters cannot have more than %d elements.", maxDescribed)
	}
	out := &awsecs.DescribeClustersOutput{Clusters: []types.Cluster{}, Failures: []types.Failure{}}
	for _, ref := range refs {
		cl, err := st.cluster(&ref)
		if err != nil {
			out.Failures = append(out.Failures, c.missing(ref, "cluster/"))
			continue
		}
		out.Clusters = append(out.Clusters, clusterView(cl, slices.Contains(in.Include, types.ClusterFieldTags)))
	}
	return out, nil
}

// missing is how Describe operations answer for what does not exist: status 200 with a failure of reason MISSING.
func (c *ECS) missing(ref, kind string) types.Failure {
	if len(ref) < 4 || ref[:4] != "arn:" {
		ref = c.arn(kind + ref)
	}
	return types.Failure{Arn: aws.String(ref), Reason: aws.String("MISSING")}
}

func (c *ECS) listClusters(st *state, in *awsecs.ListClustersInput) (*awsecs.ListClustersOutput, error) {
	arns := slices.Sorted(func(yield func(string) bool) {
		for cl := range maps.Values(st.Clusters) {
			if !yield(cl.ARN) {
				return
			}
		}
	})
	items, next, err := page(arns, same, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListClustersOutput{ClusterArns: items, NextToken: next}, nil
}

func same(s string) string { return s }
