package ecs

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
)

func (c *ECS) registerTaskDefinition(ctx context.Context, in *awsecs.RegisterTaskDefinitionInput) (*awsecs.RegisterTaskDefinitionOutput, error) {
	if err := checkDefinition(in); err != nil {
		return nil, err
	}
	name := *in.Family
	f := c.st.Families[name]
	if f == nil {
		f = &family{Name: name}
		c.st.Families[name] = f
	}
	number := int32(len(f.Revisions) + 1)
	rev := &revision{ARN: c.arn(fmt.Sprintf("task-definition/%s:%d", name, number)), Active: true, Tags: in.Tags}
	rev.Def.V = &types.TaskDefinition{
		TaskDefinitionArn: &rev.ARN, Family: in.Family, Revision: number, Status: types.TaskDefinitionStatusActive,
		ContainerDefinitions: withDefaults(in), Cpu: in.Cpu, Memory: in.Memory, NetworkMode: networkMode(in), RequiresCompatibilities: in.RequiresCompatibilities,
		Compatibilities: compatibilities(in), ExecutionRoleArn: in.ExecutionRoleArn, TaskRoleArn: in.TaskRoleArn, Volumes: orEmpty(in.Volumes),
		PlacementConstraints: orEmpty(in.PlacementConstraints), EphemeralStorage: in.EphemeralStorage, EnableFaultInjection: in.EnableFaultInjection,
		InferenceAccelerators: in.InferenceAccelerators, //nolint:staticcheck // deprecated by AWS, still in definitions that are registered
		IpcMode:               in.IpcMode, PidMode: in.PidMode, ProxyConfiguration: in.ProxyConfiguration,
		RuntimePlatform: in.RuntimePlatform, RegisteredAt: aws.Time(c.now()), RegisteredBy: c.caller(ctx),
	}
	f.Revisions = append(f.Revisions, rev)
	return &awsecs.RegisterTaskDefinitionOutput{TaskDefinition: rev.Def.V, Tags: rev.Tags}, nil
}

// caller is the ARN of whoever signed the call.
func (c *ECS) caller(ctx context.Context) *string {
	return aws.String("arn:aws:iam::" + c.cfg.Account + ":user/" + awswire.Caller(ctx))
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// checkDefinition applies the rules of RegisterTaskDefinition (API; DG "Task definition parameters").
func checkDefinition(in *awsecs.RegisterTaskDefinitionInput) error {
	if !resourceName(aws.ToString(in.Family)) {
		return errClient("Family contains invalid characters or is empty: %q.", aws.ToString(in.Family))
	}
	if err := checkTags(nil, in.Tags); err != nil {
		return err
	}
	if len(in.ContainerDefinitions) == 0 {
		return errClient("Container list cannot be empty.")
	}
	names := map[string]bool{}
	anyEssential := false
	for _, def := range in.ContainerDefinitions {
		if err := checkContainer(in, def); err != nil {
			return err
		}
		if names[*def.Name] {
			return errClient("Container names must be unique; %q is used twice.", *def.Name)
		}
		names[*def.Name] = true
		anyEssential = anyEssential || essential(def)
	}
	if !anyEssential {
		return errClient("At least one container must be marked as essential.")
	}
	return checkFargate(in)
}

func checkContainer(in *awsecs.RegisterTaskDefinitionInput, def types.ContainerDefinition) error {
	switch {
	case !resourceName(aws.ToString(def.Name)):
		return errClient("Container.name contains invalid characters or is empty: %q.", aws.ToString(def.Name))
	case aws.ToString(def.Image) == "":
		return errClient("Container.image should not be null or empty.")
	case def.StopTimeout != nil && *def.StopTimeout < 0:
		return errClient("Container.stopTimeout must not be negative.")
	}
	for _, port := range def.PortMappings {
		container, host := aws.ToInt32(port.ContainerPort), aws.ToInt32(port.HostPort)
		if container < 1 || container > 65535 {
			return errClient("Invalid container port %d of container %s.", container, *def.Name)
		}
		// API, PortMapping.hostPort: with awsvpc or host networking it is blank or the same as the container port.
		if networkMode(in) == types.NetworkModeAwsvpc && host != 0 && host != container {
			return errClient("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
		}
	}
	for _, secret := range def.Secrets {
		if aws.ToString(secret.Name) == "" || aws.ToString(secret.ValueFrom) == "" {
			return errClient("A secret of container %s needs name and valueFrom.", *def.Name)
		}
	}
	return nil
}

func checkFargate(in *awsecs.RegisterTaskDefinitionInput) error {
	if !slices.Contains(in.RequiresCompatibilities, types.CompatibilityFargate) {
		return nil
	}
	if in.NetworkMode != types.NetworkModeAwsvpc {
		return errClient("Fargate only supports network mode 'awsvpc'.")
	}
	if aws.ToString(in.Cpu) == "" || aws.ToString(in.Memory) == "" {
		return errClient("Fargate requires that 'cpu' and 'memory' be defined at the task level.")
	}
	return nil
}

// networkMode: "If no network mode is specified, the default is bridge" (API).
func networkMode(in *awsecs.RegisterTaskDefinitionInput) types.NetworkMode {
	if in.NetworkMode == "" {
		return types.NetworkModeBridge
	}
	return in.NetworkMode
}

func compatibilities(in *awsecs.RegisterTaskDefinitionInput) []types.Compatibility {
	out := []types.Compatibility{types.CompatibilityEc2}
	if in.NetworkMode == types.NetworkModeAwsvpc && aws.ToString(in.Cpu) != "" && aws.ToString(in.Memory) != "" {
		out = append(out, types.CompatibilityFargate)
	}
	return out
}

// withDefaults fills what AWS fills in the answer: essential, empty lists, the protocol and, with awsvpc, the host port.
func withDefaults(in *awsecs.RegisterTaskDefinitionInput) []types.ContainerDefinition {
	out := slices.Clone(in.ContainerDefinitions)
	for i := range out {
		def := &out[i]
		def.Essential = aws.Bool(essential(*def))
		def.Environment, def.MountPoints, def.VolumesFrom = orEmpty(def.Environment), orEmpty(def.MountPoints), orEmpty(def.VolumesFrom)
		def.PortMappings = slices.Clone(orEmpty(def.PortMappings))
		for j := range def.PortMappings {
			port := &def.PortMappings[j]
			if port.Protocol == "" {
				port.Protocol = types.TransportProtocolTcp
			}
			if port.HostPort == nil {
				port.HostPort = aws.Int32(0)
				if networkMode(in) == types.NetworkModeAwsvpc {
					port.HostPort = port.ContainerPort
				}
			}
		}
	}
	return out
}

func (c *ECS) describeTaskDefinition(st *state, in *awsecs.DescribeTaskDefinitionInput) (*awsecs.DescribeTaskDefinitionOutput, error) {
	rev, ok := st.definition(aws.ToString(in.TaskDefinition))
	if !ok {
		return nil, errClient("Unable to describe task definition.")
	}
	out := &awsecs.DescribeTaskDefinitionOutput{TaskDefinition: rev.Def.V}
	if slices.Contains(in.Include, types.TaskDefinitionFieldTags) {
		out.Tags = orEmpty(rev.Tags)
	}
	return out, nil
}

func (c *ECS) deregisterTaskDefinition(_ context.Context, in *awsecs.DeregisterTaskDefinitionInput) (*awsecs.DeregisterTaskDefinitionOutput, error) {
	ref := aws.ToString(in.TaskDefinition)
	part, _ := lastPart(ref, "task-definition")
	if !hasRevision(part) { // SDK: "You must specify a revision"
		return nil, errInvalid("Invalid revision number. Number: %s", part)
	}
	rev, ok := c.st.definition(ref)
	if !ok {
		return nil, errClient("The specified task definition does not exist.")
	}
	if rev.Active {
		def := *rev.Def.V
		def.Status, def.DeregisteredAt = types.TaskDefinitionStatusInactive, aws.Time(c.now())
		rev.Active, rev.Def.V = false, &def
	}
	return &awsecs.DeregisterTaskDefinitionOutput{TaskDefinition: rev.Def.V}, nil
}

func hasRevision(part string) bool {
	for i := range part {
		if part[i] == ':' {
			return true
		}
	}
	return false
}

func (c *ECS) listTaskDefinitions(st *state, in *awsecs.ListTaskDefinitionsInput) (*awsecs.ListTaskDefinitionsOutput, error) {
	type item struct{ key, arn string }
	var items []item
	for _, name := range slices.Sorted(maps.Keys(st.Families)) {
		if in.FamilyPrefix != nil && *in.FamilyPrefix != name {
			continue // despite its name the parameter is the full family name (SDK)
		}
		for i, rev := range st.Families[name].Revisions {
			if active := in.Status != types.TaskDefinitionStatusInactive; active == rev.Active {
				items = append(items, item{key: fmt.Sprintf("%s:%09d", name, i+1), arn: rev.ARN})
			}
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		if a.key < b.key {
			return -1
		}
		return 1
	})
	if in.Sort == types.SortOrderDesc {
		slices.Reverse(items)
		for i := range items { // keys of a page run upwards
			items[i].key = fmt.Sprintf("%09d", i)
		}
	}
	got, next, err := page(items, func(i item) string { return i.key }, in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	out := &awsecs.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{}, NextToken: next}
	for _, i := range got {
		out.TaskDefinitionArns = append(out.TaskDefinitionArns, i.arn)
	}
	return out, nil
}
