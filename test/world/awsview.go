package world

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Service describes a service, "none" for one that takes no deployments: its count, where the tasks of its primary task set are placed, its Service Connect namespace, and the tags that people set.
func (a *AWS) Service(name string) string {
	out, err := a.ECS.DescribeServices(context.Background(), &awsecs.DescribeServicesInput{
		Cluster: aws.String("demo"), Services: []string{name}, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
	})
	if err != nil {
		return err.Error()
	}
	if len(out.Services) == 0 || aws.ToString(out.Services[0].Status) != "ACTIVE" {
		return "none"
	}
	s := out.Services[0]
	parts := []string{fmt.Sprint(s.DesiredCount)}
	for _, t := range s.TaskSets {
		if aws.ToString(t.Status) != "PRIMARY" {
			continue
		}
		parts = append(parts, string(t.LaunchType))
		for _, p := range t.CapacityProviderStrategy {
			parts = append(parts, fmt.Sprintf("%s:%d", aws.ToString(p.CapacityProvider), p.Weight))
		}
	}
	for _, d := range s.Deployments {
		if c := d.ServiceConnectConfiguration; aws.ToString(d.Status) == "PRIMARY" && c != nil && c.Enabled {
			parts = append(parts, "connect:"+aws.ToString(c.Namespace))
		}
	}
	return strings.TrimSpace(strings.Join(append(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ownTags(s.Tags)...), " "))
}

// Family describes the newest active revision of a family: the image of its first container, and the tags that people set.
func (a *AWS) Family(name string) string {
	out, err := a.ECS.DescribeTaskDefinition(context.Background(), &awsecs.DescribeTaskDefinitionInput{
		TaskDefinition: &name, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags},
	})
	if err != nil {
		return "none"
	}
	return strings.Join(append([]string{aws.ToString(out.TaskDefinition.ContainerDefinitions[0].Image)}, ownTags(out.Tags)...), " ")
}

func ownTags(list []ecstypes.Tag) []string {
	var out []string
	for _, t := range list {
		if k := aws.ToString(t.Key); !strings.HasPrefix(k, "pipecd-dev-") && !strings.HasPrefix(k, "penstock-") {
			out = append(out, k+"="+aws.ToString(t.Value))
		}
	}
	slices.Sort(out)
	return out
}

// Tag sets tags of a service as somebody else would.
func (a *AWS) Tag(service string, set map[string]string) error {
	ctx := context.Background()
	out, err := a.ECS.DescribeServices(ctx, &awsecs.DescribeServicesInput{Cluster: aws.String("demo"), Services: []string{service}})
	if err != nil {
		return err
	}
	var list []ecstypes.Tag
	for _, k := range slices.Sorted(maps.Keys(set)) {
		list = append(list, ecstypes.Tag{Key: aws.String(k), Value: aws.String(set[k])})
	}
	_, err = a.ECS.TagResource(ctx, &awsecs.TagResourceInput{ResourceArn: out.Services[0].ServiceArn, Tags: list})
	return err
}
