package ecs

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// defaultStopTimeout is the time between SIGTERM and SIGKILL (API, ContainerDefinition.stopTimeout: 30 seconds by default, at most 120 on Fargate).
const defaultStopTimeout = 30 * time.Second

// newServiceTask makes a task of a set.
func (c *ECS) newServiceTask(cl *cluster, s *service, set *taskSet) *task {
	t := c.newTask(cl, set.TaskDefinition)
	t.Group, t.Service, t.Set, t.StartedBy = "service:"+s.Name, s.Name, set.ID, set.ID
	t.LaunchType, t.PlatformVersion, t.Network = set.LaunchType, set.PlatformVersion, set.Network
	t.ManagedTags, t.ExecuteCommand = s.ManagedTags, s.ExecuteCommand
	for _, lb := range set.LoadBalancers {
		t.Targets = append(t.Targets, target{Group: aws.ToString(lb.TargetGroupArn), Port: aws.ToInt32(lb.ContainerPort)})
	}
	switch s.PropagateTags {
	case types.PropagateTagsService:
		t.Tags = slices.Clone(s.Tags)
	case types.PropagateTagsTaskDefinition:
		if rev, ok := c.st.definition(set.TaskDefinition); ok {
			t.Tags = slices.Clone(rev.Tags)
		}
	}
	if s.ManagedTags { // DG "Tagging": the two tags ECS adds itself
		t.Tags = withTags(t.Tags, []types.Tag{
			{Key: aws.String("aws:ecs:clusterName"), Value: aws.String(cl.Name)}, {Key: aws.String("aws:ecs:serviceName"), Value: aws.String(s.Name)},
		})
	}
	return t
}

// newTask makes a task of a task definition's ARN, PROVISIONING, with its containers.
func (c *ECS) newTask(cl *cluster, definition string) *task {
	id := hexID(c.rnd)
	t := &task{
		ID: id, ARN: c.arn("task/" + cl.Name + "/" + id), Cluster: cl.Name, IP: c.address(), Seq: c.seq(), Definition: definition,
		LastStatus: statusProvisioning, DesiredStatus: statusRunning, CreatedAt: c.now(), StopTimeout: 0, Version: 1,
	}
	if rev, ok := c.st.definition(definition); ok {
		for _, def := range rev.Def.V.ContainerDefinitions {
			t.Containers = append(t.Containers, c.newContainer(cl, id, def))
			timeout := defaultStopTimeout
			if def.StopTimeout != nil {
				timeout = time.Duration(*def.StopTimeout) * time.Second
			}
			t.StopTimeout = max(t.StopTimeout, timeout)
		}
	}
	cl.Tasks[id] = t
	return t
}

func (c *ECS) newContainer(cl *cluster, taskID string, def types.ContainerDefinition) container {
	id := dashedID(c.rnd)
	ct := container{
		Name: aws.ToString(def.Name), Image: aws.ToString(def.Image), Status: statusPending, Essential: essential(def),
		ARN: c.arn("container/" + cl.Name + "/" + taskID + "/" + id),
	}
	for _, port := range def.PortMappings {
		ct.Ports = append(ct.Ports, aws.ToInt32(port.ContainerPort))
	}
	return ct
}

// essential: "If the essential parameter is omitted, a container is assumed to be essential" (API, ContainerDefinition).
func essential(def types.ContainerDefinition) bool { return def.Essential == nil || *def.Essential }

// spec is what the runtime starts: the task definition's containers with the overrides of the task.
func (c *ECS) spec(t *task) (TaskSpec, error) {
	rev, ok := c.st.definition(t.Definition)
	if !ok {
		return TaskSpec{}, fmt.Errorf("task definition %s is gone", t.Definition)
	}
	spec := TaskSpec{ID: t.ID, Group: t.Group, IP: t.IP}
	for _, def := range rev.Def.V.ContainerDefinitions {
		out := ContainerSpec{
			Name: aws.ToString(def.Name), Image: aws.ToString(def.Image), Command: slices.Clone(def.Command),
			Env: environment(nil, def.Environment), Essential: essential(def),
		}
		if err := c.addSecrets(out.Env, def.Secrets); err != nil {
			return TaskSpec{}, err
		}
		for _, port := range def.PortMappings {
			out.Ports = append(out.Ports, int(aws.ToInt32(port.ContainerPort)))
		}
		if o := override(t.Overrides, out.Name); o != nil {
			if o.Command != nil {
				out.Command = slices.Clone(o.Command)
			}
			out.Env = environment(out.Env, o.Environment)
		}
		spec.Containers = append(spec.Containers, out)
	}
	return spec, nil
}

// addSecrets puts the values of parameters and secrets into a container's environment. DG "Stopped task error codes": what cannot be fetched ends the task
// with a ResourceInitializationError before it starts.
func (c *ECS) addSecrets(env map[string]string, secrets []types.Secret) error {
	for _, secret := range secrets {
		if c.cfg.Secret == nil {
			return fmt.Errorf("ResourceInitializationError: unable to pull secrets: no secret store")
		}
		value, err := c.cfg.Secret(aws.ToString(secret.ValueFrom))
		if err != nil {
			return fmt.Errorf("ResourceInitializationError: unable to pull secrets or registry auth: %w", err)
		}
		env[aws.ToString(secret.Name)] = value
	}
	return nil
}

func override(o *types.TaskOverride, name string) *types.ContainerOverride {
	if o == nil {
		return nil
	}
	for i := range o.ContainerOverrides {
		if aws.ToString(o.ContainerOverrides[i].Name) == name {
			return &o.ContainerOverrides[i]
		}
	}
	return nil
}

func environment(base map[string]string, pairs []types.KeyValuePair) map[string]string {
	env := maps.Clone(base)
	if env == nil {
		env = map[string]string{}
	}
	for _, pair := range pairs {
		env[aws.ToString(pair.Name)] = aws.ToString(pair.Value)
	}
	return env
}
