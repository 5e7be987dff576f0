package ecs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

// Limits of RunTask (SDK): up to 10 tasks per call, 64 characters of client token, 8192 characters of overrides, 36 (128 for newer clients) of startedBy.
const (
	maxRun       = 10
	maxRunToken  = 64
	maxOverrides = 8192
	maxStartedBy = 128
)

func (c *ECS) runTask(_ context.Context, in *awsecs.RunTaskInput) (*awsecs.RunTaskOutput, error) {
	cl, err := c.st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	key := "RunTask/" + cl.Name + "/" + aws.ToString(in.ClientToken)
	if first, ok := c.st.Tokens[key]; ok && in.ClientToken != nil {
		return c.repeatRun(cl, in, first)
	}
	rev, err := c.checkRun(in)
	if err != nil {
		return nil, err
	}
	out := &awsecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	if bound(rev.Def.V.PlacementConstraints, in.PlacementConstraints) {
		// The one instance of this cloud has no attributes. API failure reasons: "MemberOf placement constraint unsatisfied."
		out.Failures = append(out.Failures, types.Failure{Reason: aws.String("MemberOf placement constraint unsatisfied.")})
		return out, nil
	}
	var ids []string
	for range runCount(in) {
		t := c.newStandalone(cl, in, rev)
		c.launch(cl, t)
		ids = append(ids, t.ID)
		out.Tasks = append(out.Tasks, c.taskView(c.st, cl, t, true))
	}
	if in.ClientToken != nil {
		c.st.Tokens[key] = token{Hash: hash(in), IDs: ids}
	}
	return out, nil
}

// repeatRun answers a repeated token with the tasks of the first call. API, RunTask: a token in use with other parameters is a ConflictException.
func (c *ECS) repeatRun(cl *cluster, in *awsecs.RunTaskInput, first token) (*awsecs.RunTaskOutput, error) {
	if first.Hash != hash(in) {
		return nil, awserr.New("ConflictException", "The RunTask request could not be processed due to conflicts. The provided clientToken is already in use with a different RunTask request.")
	}
	out := &awsecs.RunTaskOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, id := range first.IDs {
		if t := cl.Tasks[id]; t != nil {
			out.Tasks = append(out.Tasks, c.taskView(c.st, cl, t, true))
		}
	}
	return out, nil
}

// bound says whether tasks may only run on instances of certain attributes.
func bound(definition []types.TaskDefinitionPlacementConstraint, request []types.PlacementConstraint) bool {
	return slices.ContainsFunc(definition, func(p types.TaskDefinitionPlacementConstraint) bool {
		return p.Type == types.TaskDefinitionPlacementConstraintTypeMemberOf
	}) || slices.ContainsFunc(request, func(p types.PlacementConstraint) bool { return p.Type == types.PlacementConstraintTypeMemberOf })
}

func runCount(in *awsecs.RunTaskInput) int32 {
	if in.Count == nil {
		return 1
	}
	return *in.Count
}

func (c *ECS) checkRun(in *awsecs.RunTaskInput) (*revision, error) {
	switch {
	case runCount(in) < 1 || runCount(in) > maxRun:
		return nil, errInvalid("count must be between 1 and %d, was %d.", maxRun, runCount(in))
	case len(aws.ToString(in.ClientToken)) > maxRunToken:
		return nil, errInvalid("clientToken can have at most %d characters.", maxRunToken)
	case len(aws.ToString(in.StartedBy)) > maxStartedBy:
		return nil, errInvalid("startedBy can have at most %d characters.", maxStartedBy)
	case in.LaunchType != "" && len(in.CapacityProviderStrategy) > 0:
		return nil, errInvalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return nil, err
	}
	rev, err := c.st.startable(in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	if err := c.checkPlacement(rev, nil, in.NetworkConfiguration, in.LaunchType); err != nil {
		return nil, err
	}
	return rev, checkOverrides(rev, in.Overrides)
}

func checkOverrides(rev *revision, o *types.TaskOverride) error {
	if o == nil {
		return nil
	}
	if body, err := awswire.EncodeJSON(o); err == nil && len(body) > maxOverrides {
		return errInvalid("Overrides length must be at most %d.", maxOverrides)
	}
	for _, co := range o.ContainerOverrides {
		name := aws.ToString(co.Name)
		if !slices.ContainsFunc(rev.Def.V.ContainerDefinitions, func(d types.ContainerDefinition) bool { return aws.ToString(d.Name) == name }) {
			return errInvalid("Override for container named %s is not a container in the TaskDefinition.", name)
		}
	}
	return nil
}

func (c *ECS) newStandalone(cl *cluster, in *awsecs.RunTaskInput, rev *revision) *task {
	t := c.newTask(cl, rev.ARN)
	t.Group = aws.ToString(in.Group)
	if t.Group == "" { // SDK: "The default value is the family name of the task definition (for example, family:my-family-name)"
		t.Group = "family:" + *rev.Def.V.Family
	}
	t.StartedBy, t.Network, t.Overrides, t.PlatformVersion = aws.ToString(in.StartedBy), in.NetworkConfiguration, in.Overrides, in.PlatformVersion
	t.LaunchType, t.ExecuteCommand, t.ManagedTags = in.LaunchType, in.EnableExecuteCommand, in.EnableECSManagedTags
	if t.LaunchType == "" && len(in.CapacityProviderStrategy) == 0 {
		t.LaunchType = types.LaunchTypeEc2
	}
	t.Tags = slices.Clone(in.Tags)
	if in.PropagateTags == types.PropagateTagsTaskDefinition {
		t.Tags = withTags(rev.Tags, in.Tags)
	}
	return t
}

func (c *ECS) stopTask(_ context.Context, in *awsecs.StopTaskInput) (*awsecs.StopTaskOutput, error) {
	cl, err := c.st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	t := cl.task(aws.ToString(in.Task))
	if t == nil {
		return nil, errInvalid("The referenced task was not found.")
	}
	reason := aws.ToString(in.Reason)
	if reason == "" {
		reason = "Task stopped by user"
	}
	c.stop(cl, t, types.TaskStopCodeUserInitiated, reason)
	c.reconcileNamed(cl, t.Service)
	view := c.taskView(c.st, cl, t, true)
	return &awsecs.StopTaskOutput{Task: &view}, nil
}

func (c *ECS) listTasks(st *state, in *awsecs.ListTasksInput) (*awsecs.ListTasksOutput, error) {
	cl, err := st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if in.ServiceName != nil {
		if _, err := cl.service(in.ServiceName); err != nil {
			return nil, err
		}
	}
	if in.StartedBy != nil && (in.ServiceName != nil || in.Family != nil) {
		return nil, errInvalid("When startedBy is used to filter tasks it must be the only filter.") // SDK, ListTasksInput.StartedBy
	}
	arns := []string{}
	for _, t := range cl.sortedTasks() {
		if matches(cl, t, in) {
			arns = append(arns, t.ARN)
		}
	}
	slices.Sort(arns)
	items, next, err := page(arns, same, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	return &awsecs.ListTasksOutput{TaskArns: items, NextToken: next}, nil
}

func matches(cl *cluster, t *task, in *awsecs.ListTasksInput) bool {
	want := statusRunning // SDK: "The default status filter is RUNNING"
	if in.DesiredStatus != "" {
		want = string(in.DesiredStatus)
	}
	if t.DesiredStatus != want || in.ContainerInstance != nil || in.DaemonName != nil {
		return false
	}
	if in.ServiceName != nil {
		s, err := cl.service(in.ServiceName)
		if err != nil || t.Service != s.Name {
			return false
		}
	}
	if in.Family != nil {
		part, _ := lastPart(t.Definition, "task-definition")
		if name, _, _ := strings.Cut(part, ":"); name != *in.Family {
			return false
		}
	}
	return (in.StartedBy == nil || t.StartedBy == *in.StartedBy) && (in.LaunchType == "" || t.LaunchType == in.LaunchType)
}

func (c *ECS) describeTasks(st *state, in *awsecs.DescribeTasksInput) (*awsecs.DescribeTasksOutput, error) {
	cl, err := st.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 || len(in.Tasks) > maxDescribed {
		return nil, errInvalid("Tasks must have between 1 and %d elements.", maxDescribed)
	}
	tags := slices.Contains(in.Include, types.TaskFieldTags)
	out := &awsecs.DescribeTasksOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		t := cl.task(ref)
		if t == nil {
			out.Failures = append(out.Failures, c.missing(ref, "task/"+cl.Name+"/"))
			continue
		}
		out.Tasks = append(out.Tasks, c.taskView(st, cl, t, tags))
	}
	return out, nil
}
