package ecs

import "time"

// Runtime starts and stops tasks. Implemented by runtime/process and runtime/memory.
type Runtime interface {
	// Start launches the containers of one task and returns at once. Events go to report: never before Start returned, never concurrently for one task.
	Start(spec TaskSpec, report func(TaskEvent)) error
	// Stop asks the task to end: SIGTERM, then SIGKILL after grace. Unknown ids are ignored.
	Stop(taskID string, grace time.Duration)
}

// TaskSpec is all a runtime needs to start a task.
type TaskSpec struct {
	// ID is the last part of the task's ARN: 32 hexadecimal digits.
	ID string
	// Group is "service:web" or "family:x", as in DescribeTasks.
	Group string
	// IP is the task's own loopback address (127.x.y.z), unique while the task lives.
	IP string
	// Containers are started together, in the order of the task definition.
	Containers []ContainerSpec
}

// ContainerSpec is one container of a task, overrides applied.
type ContainerSpec struct {
	Name, Image string
	Command     []string
	Env         map[string]string
	// Ports are the container ports: the process listens on IP:port.
	Ports     []int
	Essential bool
}

// Kinds of TaskEvent.
const (
	// EventRunning says that all containers are up.
	EventRunning = "running"
	// EventExited says that one container ended.
	EventExited = "exited"
	// EventFailed says that the task could not start.
	EventFailed = "failed"
)

// TaskEvent is what a runtime reports about a task.
type TaskEvent struct {
	TaskID    string
	Container string
	// Kind is one of EventRunning, EventExited, EventFailed.
	Kind     string
	ExitCode int
	// Reason is for people, for example `CannotPullContainerError: image "x" is not in the catalogue`.
	Reason string
}

// Balancer is what the scheduler needs from the load balancer. Implemented by *elb.ELB.
type Balancer interface {
	// TargetGroupAttached reports whether the group exists and whether any listener or rule forwards to it.
	TargetGroupAttached(arn string) (exists, attached bool)
	// Register adds a target; it becomes initial, then healthy or unhealthy by real checks.
	Register(tgARN, id string, ip string, port int)
	// Deregister makes a target draining for the group's deregistration delay; requests already sent may finish.
	Deregister(tgARN, id string)
	// Health returns "initial", "healthy", "unhealthy", "draining", "unused", or "" when the target is unknown or gone, and since when.
	Health(tgARN, id string) (state string, since time.Time)
	// Shift gives the target groups of a rule's forward action new weights, as ECS does during a service deployment.
	Shift(ruleARN string, weights map[string]int32) error
	// RuleGroups lists the target groups that a rule forwards to; none when there is no such rule.
	RuleGroups(ruleARN string) []string
}
