package ecs

import (
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// Dump is the state in a short form for people and tests.
type Dump struct {
	Clusters []DumpCluster `json:"clusters"`
	// Revisions are all task definitions, inactive ones too, by family and number.
	Revisions []DumpRevision `json:"revisions"`
}

// DumpRevision is one task definition revision of a Dump.
type DumpRevision struct {
	ARN    string            `json:"arn"`
	Active bool              `json:"active"`
	Image  string            `json:"image"` // of the first container
	Tags   map[string]string `json:"tags,omitempty"`
}

// DumpCluster is one cluster of a Dump.
type DumpCluster struct {
	Name     string        `json:"name"`
	Services []DumpService `json:"services"`
	Tasks    []DumpTask    `json:"tasks"`
}

// DumpService is one service of a Dump.
type DumpService struct {
	Name       string        `json:"name"`
	Status     string        `json:"status"`
	Controller string        `json:"controller"`
	Desired    int32         `json:"desiredCount"`
	TaskSets   []DumpTaskSet `json:"taskSets"`
	// Events are the messages, newest first.
	Events []string `json:"events"`
}

// DumpTaskSet is one task set (or rolling deployment) of a Dump.
type DumpTaskSet struct {
	ID             string  `json:"id"`
	ExternalID     string  `json:"externalId,omitempty"`
	Status         string  `json:"status"`
	TaskDefinition string  `json:"taskDefinition"`
	Scale          float64 `json:"scale"`
	Computed       int32   `json:"computedDesiredCount"`
	Pending        int32   `json:"pendingCount"`
	Running        int32   `json:"runningCount"`
	Steady         bool    `json:"steady"`
	Failures       int     `json:"failures"`
	TargetGroup    string  `json:"targetGroup,omitempty"`

	Tags map[string]string `json:"tags,omitempty"`
}

// DumpTask is one task of a Dump.
type DumpTask struct {
	ID            string       `json:"id"`
	Group         string       `json:"group"`
	Set           string       `json:"taskSet,omitempty"`
	Definition    string       `json:"taskDefinition"`
	Image         string       `json:"image"`
	IP            string       `json:"ip"`
	Ports         []int32      `json:"ports,omitempty"`
	LastStatus    string       `json:"lastStatus"`
	StopCode      string       `json:"stopCode,omitempty"`
	StoppedReason string       `json:"stoppedReason,omitempty"`
	StartedAt     *time.Time   `json:"startedAt,omitempty"`
	StoppedAt     *time.Time   `json:"stoppedAt,omitempty"`
	Targets       []DumpTarget `json:"targets,omitempty"`
}

// DumpTarget is a task's registration with a target group.
type DumpTarget struct {
	TargetGroup string `json:"targetGroup"`
	Port        int32  `json:"port"`
	Health      string `json:"health"`
}

// Dump returns the present state, not delayed by any lag.
func (c *ECS) Dump() Dump {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Dump{Clusters: []DumpCluster{}, Revisions: []DumpRevision{}}
	for _, name := range slices.Sorted(maps.Keys(c.st.Families)) {
		for _, r := range c.st.Families[name].Revisions {
			d := DumpRevision{ARN: r.ARN, Active: r.Active, Tags: dumpTags(r.Tags)}
			if cs := r.Def.V.ContainerDefinitions; len(cs) > 0 {
				d.Image = aws.ToString(cs[0].Image)
			}
			out.Revisions = append(out.Revisions, d)
		}
	}
	for _, cl := range c.st.sortedClusters() {
		d := DumpCluster{Name: cl.Name, Services: []DumpService{}, Tasks: []DumpTask{}}
		for _, s := range cl.sortedServices() {
			d.Services = append(d.Services, dumpService(cl, s))
		}
		for _, t := range cl.sortedTasks() {
			d.Tasks = append(d.Tasks, c.dumpTask(t))
		}
		out.Clusters = append(out.Clusters, d)
	}
	return out
}

func dumpService(cl *cluster, s *service) DumpService {
	d := DumpService{Name: s.Name, Status: s.Status, Controller: string(s.Controller), Desired: s.DesiredCount, TaskSets: []DumpTaskSet{}, Events: []string{}}
	for _, set := range s.Sets {
		pending, running := counts(cl.tasksOf(s, set))
		ds := DumpTaskSet{
			ID: set.ID, ExternalID: aws.ToString(set.ExternalID), Status: set.Status, TaskDefinition: set.TaskDefinition, Scale: set.Scale,
			Computed: set.Computed, Pending: pending, Running: running, Steady: set.Stable, Failures: set.Failures, Tags: dumpTags(set.Tags),
		}
		if len(set.LoadBalancers) > 0 {
			ds.TargetGroup = aws.ToString(set.LoadBalancers[0].TargetGroupArn)
		}
		d.TaskSets = append(d.TaskSets, ds)
	}
	for _, ev := range s.Events {
		d.Events = append(d.Events, ev.Message)
	}
	return d
}

func dumpTags(ts []types.Tag) map[string]string {
	var out map[string]string
	for _, t := range ts {
		if out == nil {
			out = map[string]string{}
		}
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

func (c *ECS) dumpTask(t *task) DumpTask {
	d := DumpTask{
		ID: t.ID, Group: t.Group, Set: t.Set, Definition: t.Definition, IP: t.IP, LastStatus: t.LastStatus, StopCode: string(t.StopCode),
		StoppedReason: t.StoppedReason, StartedAt: optionalTime(t.StartedAt), StoppedAt: optionalTime(t.StoppedAt),
	}
	if len(t.Containers) > 0 {
		d.Image, d.Ports = t.Containers[0].Image, t.Containers[0].Ports
	}
	for _, target := range t.Targets {
		state, _ := c.cfg.Balancer.Health(target.Group, t.IP)
		d.Targets = append(d.Targets, DumpTarget{TargetGroup: target.Group, Port: target.Port, Health: state})
	}
	return d
}

// exiter is a runtime that can end a task with a chosen exit code.
type exiter interface{ Exit(taskID string, code int) }

// exitKilled is the exit code of a process ended by SIGKILL: 128 + 9.
const exitKilled = 137

// Kill ends a running task's processes at once, as a crash would; the scheduler learns of it from the runtime. It reports whether the task runs.
func (c *ECS) Kill(taskID string) bool {
	c.mu.Lock()
	_, t := c.st.findTask(taskID)
	if t == nil || !t.Launched || t.LastStatus == statusStopped {
		c.mu.Unlock()
		return false
	}
	c.later(func() {
		if rt, ok := c.cfg.Runtime.(exiter); ok {
			rt.Exit(taskID, exitKilled)
			return
		}
		c.cfg.Runtime.Stop(taskID, 0)
	})
	c.unlock()
	return true
}
