package ecs

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// describeLimit is how many tasks one DescribeTasks call takes (API reference).
const describeLimit = 100

// Tasks implements tasks: all pages, described in batches.
func (a *awsCloud) Tasks(ctx context.Context, cluster, startedBy string, stopped bool) ([]task, error) {
	in := &ecs.ListTasksInput{Cluster: opt(cluster), StartedBy: aws.String(startedBy), DesiredStatus: ecstypes.DesiredStatusRunning}
	if stopped {
		in.DesiredStatus = ecstypes.DesiredStatusStopped
	}
	var arns []string
	for {
		out, err := call(ctx, a, "ecs:ListTasks", func(ctx context.Context, in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
			return a.ecs.ListTasks(ctx, in)
		}, in)
		if err != nil {
			return nil, err
		}
		arns = append(arns, out.TaskArns...)
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	var all []task
	for batch := range slices.Chunk(arns, describeLimit) {
		out, err := call(ctx, a, "ecs:DescribeTasks", func(ctx context.Context, in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
			return a.ecs.DescribeTasks(ctx, in)
		}, &ecs.DescribeTasksInput{Cluster: opt(cluster), Tasks: batch})
		if err != nil {
			return nil, err
		}
		if err := whole("ecs:DescribeTasks", len(batch), len(out.Tasks), out.Failures); err != nil {
			return nil, err
		}
		for _, t := range out.Tasks {
			all = append(all, taskOf(t))
		}
	}
	return all, nil
}

// whole wants an answer for everything that was asked about: a part of it would
// pass for fewer failed tasks, or none. What is said to be gone is an answer.
func whole(op string, asked, got int, failures []ecstypes.Failure) error {
	for _, f := range failures {
		if r := aws.ToString(f.Reason); r != "MISSING" {
			return platform.Retryable(fmt.Errorf("%s %s: %s %s", op, aws.ToString(f.Arn), r, aws.ToString(f.Detail)), 0)
		}
	}
	if got+len(failures) < asked {
		return platform.Retryable(fmt.Errorf("%s: the answer tells of %d, asked for were %d", op, got+len(failures), asked), 0)
	}
	return nil
}

func taskOf(t ecstypes.Task) task {
	out := task{
		ARN: aws.ToString(t.TaskArn), Status: aws.ToString(t.LastStatus), Desired: aws.ToString(t.DesiredStatus), Set: aws.ToString(t.StartedBy),
		Health: string(t.HealthStatus), StopCode: string(t.StopCode), Stopped: aws.ToString(t.StoppedReason), Revision: aws.ToString(t.TaskDefinitionArn),
		Created: aws.ToTime(t.CreatedAt),
	}
	for _, att := range t.Attachments {
		for _, d := range att.Details {
			if aws.ToString(d.Name) == "privateIPv4Address" {
				out.Addresses = append(out.Addresses, aws.ToString(d.Value))
			}
		}
	}
	for _, c := range t.Containers {
		for _, n := range c.NetworkInterfaces {
			out.Addresses = append(out.Addresses, aws.ToString(n.PrivateIpv4Address))
		}
		if c.ExitCode != nil && (out.ExitCode == nil || *out.ExitCode == 0) || out.Container == "" && aws.ToString(c.Reason) != "" {
			out.Container, out.ExitCode, out.ContainerReason = aws.ToString(c.Name), c.ExitCode, aws.ToString(c.Reason)
		}
	}
	slices.Sort(out.Addresses)
	out.Addresses = slices.Compact(out.Addresses)
	return out
}

// RunTask implements tasks: one task of exactly this revision.
func (a *awsCloud) RunTask(ctx context.Context, in newTask) (string, error) {
	input := &ecs.RunTaskInput{
		Cluster: opt(in.Cluster), TaskDefinition: aws.String(in.Revision), ClientToken: aws.String(in.Token), StartedBy: aws.String(in.StartedBy),
		LaunchType: ecstypes.LaunchType(in.How.LaunchType), Tags: tagList(in.Tags),
	}
	if len(in.How.Subnets) > 0 {
		input.NetworkConfiguration = &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: in.How.Subnets, SecurityGroups: in.How.SecurityGroups, AssignPublicIp: ecstypes.AssignPublicIp(cmp.Or(in.How.AssignPublicIP, "DISABLED")),
		}}
	}
	out, err := call(ctx, a, "ecs:RunTask", func(ctx context.Context, in *ecs.RunTaskInput) (*ecs.RunTaskOutput, error) {
		return a.ecs.RunTask(ctx, in)
	}, input)
	if err != nil {
		return "", err
	}
	if len(out.Tasks) > 0 {
		return aws.ToString(out.Tasks[0].TaskArn), nil
	}
	why := "the answer names neither a task nor a failure"
	if len(out.Failures) > 0 {
		why = aws.ToString(out.Failures[0].Reason) + " " + aws.ToString(out.Failures[0].Detail)
	}
	return "", platform.Final(&apiError{codeNotStarted, fmt.Errorf("%s", why)})
}

// StopTask implements tasks.
func (a *awsCloud) StopTask(ctx context.Context, cluster, arn, why string) error {
	_, err := call(ctx, a, "ecs:StopTask", func(ctx context.Context, in *ecs.StopTaskInput) (*ecs.StopTaskOutput, error) {
		return a.ecs.StopTask(ctx, in)
	}, &ecs.StopTaskInput{Cluster: opt(cluster), Task: aws.String(arn), Reason: aws.String(why)})
	return err
}

// opt is a text that is left out when empty.
func opt(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func tagMap(list []ecstypes.Tag) tags {
	if len(list) == 0 {
		return nil
	}
	out := make(tags, len(list))
	for _, t := range list {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func tagList(t tags) []ecstypes.Tag {
	var out []ecstypes.Tag
	for k, v := range t {
		out = append(out, ecstypes.Tag{Key: aws.String(k), Value: aws.String(v)})
	}
	slices.SortFunc(out, func(a, b ecstypes.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return out
}
