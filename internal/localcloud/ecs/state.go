package ecs

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// state is everything the control plane knows. SDK values inside are never changed in place, so a clone shares them.
type state struct {
	// Generation grows with every history entry; NextIP and NextSeq with every task and object, for unique addresses and a stable order.
	Generation int
	NextIP     uint32
	NextSeq    int64
	Clusters   map[string]*cluster // by name
	Families   map[string]*family  // by name
	Tokens     map[string]token    // idempotency: scope and client token → what was made
}

// token is the remembered first answer of a call with a client token.
type token struct {
	Hash string
	IDs  []string
}

type cluster struct {
	Name, ARN string
	Seq       int64
	Settings  []types.ClusterSetting
	Tags      []types.Tag
	Services  map[string]*service // by name
	Tasks     map[string]*task    // by id
}

type family struct {
	Name      string
	Revisions []*revision // revision n at index n-1
}

type revision struct {
	ARN    string
	Active bool
	Def    wire[types.TaskDefinition, *types.TaskDefinition]
	Tags   []types.Tag
}

type service struct {
	Name, ARN, Cluster string
	Seq                int64
	Status             string // ACTIVE, DRAINING, INACTIVE
	Controller         types.DeploymentControllerType
	Scheduling         types.SchedulingStrategy
	DesiredCount       int32
	Grace              *int32 // seconds
	Deployment         wire[types.DeploymentConfiguration, *types.DeploymentConfiguration]
	Constraints        []types.PlacementConstraint
	Strategy           []types.PlacementStrategy
	ManagedTags        bool
	ExecuteCommand     bool
	PropagateTags      types.PropagateTags
	Role               *string
	CreatedAt          time.Time
	CreatedBy          string
	Tags               []types.Tag
	Events             []serviceEvent // newest first, at most 100
	Sets               []*taskSet     // in order of creation
	// Of the ECS controller, oldest first.
	Rollouts  []*rollout
	Revisions []*serviceRevision
}

type serviceEvent struct {
	ID, Message string
	At          time.Time
}

// taskSet is a task set, or (Hidden) the tasks of one revision of a service with the ECS controller.
type taskSet struct {
	ID, ARN, Status string // ACTIVE, PRIMARY, DRAINING
	Seq             int64
	Hidden          bool
	ExternalID      *string
	TaskDefinition  string
	LaunchType      types.LaunchType
	Providers       []types.CapacityProviderStrategyItem
	PlatformVersion *string
	Network         *types.NetworkConfiguration
	LoadBalancers   []types.LoadBalancer
	Registries      []types.ServiceRegistry
	Scale           float64 // percent
	Count           *int32  // of a hidden set whose deployment says how many tasks it may have
	Computed        int32
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Stable          bool
	StableAt        time.Time
	StartedBy       *string
	Tags            []types.Tag
	Failures        int       // unexpected ends in a row
	Failed          int       // unexpected ends ever
	RetryAt         time.Time // no start before this
	retryArmed      time.Time // the instant for which a timer is pending
	Unhealthy       map[string]bool
}

// Statuses of a task (DG "Task lifecycle states").
const (
	statusProvisioning   = "PROVISIONING"
	statusPending        = "PENDING"
	statusActivating     = "ACTIVATING"
	statusRunning        = "RUNNING"
	statusDeactivating   = "DEACTIVATING"
	statusStopping       = "STOPPING"
	statusDeprovisioning = "DEPROVISIONING"
	statusStopped        = "STOPPED"
)

// Statuses of services and task sets.
const (
	setActive       = "ACTIVE"
	setPrimary      = "PRIMARY"
	setDraining     = "DRAINING"
	serviceActive   = "ACTIVE"
	serviceDraining = "DRAINING"
	serviceInactive = "INACTIVE"
)

type task struct {
	ID, ARN, Cluster, Group, IP string
	Seq                         int64
	Service, Set                string // empty for standalone tasks
	Definition                  string
	StartedBy                   string
	LaunchType                  types.LaunchType
	PlatformVersion             *string
	Network                     *types.NetworkConfiguration
	Overrides                   *types.TaskOverride
	LastStatus, DesiredStatus   string
	Launched                    bool // the runtime knows it
	Containers                  []container
	Targets                     []target
	Registered                  bool
	CreatedAt                   time.Time
	StartedAt, StoppingAt       time.Time
	StoppedAt, ExecutionStopped time.Time
	StopCode                    types.TaskStopCode
	StoppedReason               string
	StopTimeout                 time.Duration
	Version                     int64
	Tags                        []types.Tag
	ManagedTags, ExecuteCommand bool
}

type container struct {
	Name, ARN, Image, Status, Reason string
	Essential                        bool
	ExitCode                         *int32
	Ports                            []int32
}

// target is a registration of a task with a target group.
type target struct {
	Group string
	Port  int32
}

func newState() *state {
	return &state{Clusters: map[string]*cluster{}, Families: map[string]*family{}, Tokens: map[string]token{}}
}

// clone copies all objects; the SDK values they point to are shared.
func (s *state) clone() *state {
	s.Generation++
	out := *s
	out.Tokens = nil // reads need no tokens
	out.Clusters = make(map[string]*cluster, len(s.Clusters))
	for name, cl := range s.Clusters {
		out.Clusters[name] = cl.clone()
	}
	out.Families = make(map[string]*family, len(s.Families))
	for name, f := range s.Families {
		out.Families[name] = &family{Name: f.Name, Revisions: cloneAll(f.Revisions)}
	}
	return &out
}

func (cl *cluster) clone() *cluster {
	out := *cl
	out.Services = make(map[string]*service, len(cl.Services))
	for name, s := range cl.Services {
		copied := *s
		copied.Sets = cloneAll(s.Sets)
		copied.Events = slices.Clone(s.Events)
		copied.Revisions = cloneAll(s.Revisions)
		copied.Rollouts = cloneAll(s.Rollouts)
		for _, r := range copied.Rollouts {
			r.Hooks = slices.Clone(r.Hooks)
		}
		out.Services[name] = &copied
	}
	out.Tasks = make(map[string]*task, len(cl.Tasks))
	for id, t := range cl.Tasks {
		copied := *t
		copied.Containers = slices.Clone(t.Containers)
		out.Tasks[id] = &copied
	}
	return &out
}

func cloneAll[T any](items []*T) []*T {
	out := make([]*T, len(items))
	for i, item := range items {
		copied := *item
		out[i] = &copied
	}
	return out
}

func (s *state) sortedClusters() []*cluster {
	return slices.SortedFunc(maps.Values(s.Clusters), func(a, b *cluster) int { return cmp.Compare(a.Seq, b.Seq) })
}

func (s *state) sortedTasks() []*task {
	var all []*task
	for _, cl := range s.sortedClusters() {
		all = append(all, cl.sortedTasks()...)
	}
	return all
}

func (cl *cluster) sortedServices() []*service {
	return slices.SortedFunc(maps.Values(cl.Services), func(a, b *service) int { return cmp.Compare(a.Seq, b.Seq) })
}

func (cl *cluster) sortedTasks() []*task {
	return slices.SortedFunc(maps.Values(cl.Tasks), func(a, b *task) int { return cmp.Compare(a.Seq, b.Seq) })
}

// tasksOf returns the tasks of a task set that are not STOPPED, oldest first.
func (cl *cluster) tasksOf(s *service, set *taskSet) []*task {
	var out []*task
	for _, t := range cl.sortedTasks() {
		if t.Service == s.Name && t.Set == set.ID && t.LastStatus != statusStopped {
			out = append(out, t)
		}
	}
	return out
}

func (s *service) set(id string) *taskSet {
	for _, set := range s.Sets {
		if set.ID == id {
			return set
		}
	}
	return nil
}

func (s *service) primary() *taskSet {
	for _, set := range s.Sets {
		if set.Status == setPrimary {
			return set
		}
	}
	return nil
}

// pending counts the tasks on their way up, running those that are RUNNING.
func counts(tasks []*task) (pending, running int32) {
	for _, t := range tasks {
		switch t.LastStatus {
		case statusProvisioning, statusPending, statusActivating:
			if t.DesiredStatus == statusRunning {
				pending++
			}
		case statusRunning:
			running++
		}
	}
	return pending, running
}
