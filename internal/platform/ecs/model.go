package ecs

import (
	"cmp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// Kind is the `kind` word of the application files of this platform.
const Kind = "ECSApp"

// The stages. Users may write all but ROLLBACK.
const (
	stageSync    = "ECS_SYNC"
	stageCanary  = "ECS_CANARY_ROLLOUT"
	stagePrimary = "ECS_PRIMARY_ROLLOUT"
	stageRoute   = "ECS_TRAFFIC_ROUTING"
	stageClean   = "ECS_CANARY_CLEAN"
	stageBack    = "ROLLBACK"
)

// Words of the ECS API that steps reason with.
const (
	statusPrimary  = "PRIMARY"
	statusActive   = "ACTIVE"
	statusDraining = "DRAINING"
	external       = "EXTERNAL"
	accessELB      = "ELB"
	// maxSets is the limit of task sets of one service (Amazon ECS service quotas); one place is kept for the way back.
	maxSets = 5
)

// taskDefinition is the content of a task definition in the form in which it is registered.
type taskDefinition = ecs.RegisterTaskDefinitionInput

// desired is what the files of a commit declare: the Body of platform.Desired.
type desired struct {
	Cluster    string          `json:"cluster,omitempty"`
	Name       string          `json:"name,omitempty"` // of the service; empty for a standalone task
	Count      int             `json:"count,omitempty"`
	Access     string          `json:"access"`
	Primary    *targetGroup    `json:"primary,omitempty"`
	Canary     *targetGroup    `json:"canary,omitempty"`
	Service    serviceFields   `json:"service"`
	Shape      setShape        `json:"shape"`
	Tags       tags            `json:"tags,omitempty"`
	Task       *taskDefinition `json:"task"`
	Standalone *standalone     `json:"standalone,omitempty"`
	Recreate   bool            `json:"recreate,omitempty"`
	Native     *native         `json:"native,omitempty"` // of the controller ECS
	Settle     time.Duration   `json:"settle"`
	AppDir     string          `json:"-"`
}

// targetGroup is where the tasks of one side register.
type targetGroup struct {
	ARN          string `json:"arn"`
	Container    string `json:"container,omitempty"`
	Port         int    `json:"port,omitempty"`
	LoadBalancer string `json:"loadBalancer,omitempty"`
}

// standalone says how a task without a service is run.
type standalone struct {
	Run            bool     `json:"run"`
	LaunchType     string   `json:"launchType"`
	Subnets        []string `json:"subnets,omitempty"`
	AssignPublicIP string   `json:"assignPublicIp,omitempty"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
}

type tags = map[string]string

// serviceFields are the fields of a service besides its count. UpdateService changes only the first group on a service with
// the EXTERNAL controller (UpdateService API reference).
type serviceFields struct {
	PlacementConstraints []ecstypes.PlacementConstraint `json:"placementConstraints,omitempty"`
	PlacementStrategy    []ecstypes.PlacementStrategy   `json:"placementStrategy,omitempty"`
	Grace                int32                          `json:"healthCheckGracePeriodSeconds,omitempty"`
	ManagedTags          bool                           `json:"enableECSManagedTags,omitempty"`
	PropagateTags        ecstypes.PropagateTags         `json:"propagateTags,omitempty"`

	Deployment  *ecstypes.DeploymentConfiguration    `json:"deploymentConfiguration,omitempty"`
	Role        string                               `json:"roleArn,omitempty"`
	Scheduling  ecstypes.SchedulingStrategy          `json:"schedulingStrategy,omitempty"`
	Exec        bool                                 `json:"enableExecuteCommand,omitempty"`
	Rebalancing ecstypes.AvailabilityZoneRebalancing `json:"availabilityZoneRebalancing,omitempty"`
}

// setShape is what an EXTERNAL service takes on the task set.
type setShape struct {
	LoadBalancers   []ecstypes.LoadBalancer                 `json:"loadBalancers,omitempty"`
	Network         *ecstypes.NetworkConfiguration          `json:"networkConfiguration,omitempty"`
	LaunchType      ecstypes.LaunchType                     `json:"launchType,omitempty"`
	Capacity        []ecstypes.CapacityProviderStrategyItem `json:"capacityProviderStrategy,omitempty"`
	PlatformVersion string                                  `json:"platformVersion,omitempty"`
	Registries      []ecstypes.ServiceRegistry              `json:"serviceRegistries,omitempty"`
	Connect         *ecstypes.ServiceConnectConfiguration   `json:"serviceConnectConfiguration,omitempty"` // services of the ECS controller only
}

// service is a live service with its task sets.
type service struct {
	ARN        string        `json:"arn"`
	Name       string        `json:"name"`
	Status     string        `json:"status"`
	Controller string        `json:"controller"`
	Count      int           `json:"count"`
	Running    int           `json:"running"`
	Pending    int           `json:"pending"`
	Fields     serviceFields `json:"fields"`
	Tags       tags          `json:"tags,omitempty"`
	Sets       []taskSet     `json:"sets,omitempty"`
	// Events are the service's messages, newest first: for people, no part of the state.
	Events []deploy.ResourceEvent `json:"-"`
	// Native is set for the controller ECS; Sets are its revisions then.
	Native *nativeService `json:"native,omitempty"`
}

// taskSet is a live task set.
type taskSet struct {
	ARN      string    `json:"arn"`
	ID       string    `json:"id"` // what its tasks were started by
	Status   string    `json:"status"`
	Revision string    `json:"revision"` // ARN of its task definition
	Scale    float64   `json:"scale"`    // percent of the service's count
	Computed int       `json:"computed"`
	Running  int       `json:"running"`
	Pending  int       `json:"pending"`
	Steady   bool      `json:"steady"`
	Shape    setShape  `json:"shape"`
	Tags     tags      `json:"tags,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Group    string    `json:"group,omitempty"` // of the controller ECS: the target group that was resolved
}

// revision is a registered task definition.
type revision struct {
	ARN      string          `json:"arn"`
	Content  *taskDefinition `json:"content"`
	Tags     tags            `json:"tags,omitempty"`
	Inactive bool            `json:"inactive,omitempty"`
}

// task is a live or stopped task.
type task struct {
	ARN, Status, Desired string
	Set                  string // what it was started by
	Health               string
	StopCode, Stopped    string // why it stopped
	Container            string // the container that ended with an error
	ExitCode             *int32
	ContainerReason      string
	Addresses            []string // of its network interfaces
	Revision             string
	Created              time.Time
}

// group is a target group.
type group struct {
	ARN           string   `json:"arn"`
	Name          string   `json:"name"`
	LoadBalancers []string `json:"loadBalancers,omitempty"`
}

// target is one target of a group.
type target struct {
	ID     string
	State  string // initial, healthy, unhealthy, unused, draining, unavailable
	Detail string
}

// route is a listener rule, or the default actions of a listener.
type route struct {
	ARN      string            `json:"arn"` // of the rule, or of the listener for default actions
	Listener string            `json:"listener"`
	Default  bool              `json:"default,omitempty"`
	Priority string            `json:"priority,omitempty"`
	Actions  []elbtypes.Action `json:"actions"`
	Rule     string            `json:"rule,omitempty"` // ARN of the default rule that the default actions belong to
}

// snapshot is the live state of an application: the Body of platform.Live.
type snapshot struct {
	Account   string              `json:"account"` // account/region
	Service   *service            `json:"service,omitempty"`
	Revisions map[string]revision `json:"revisions,omitempty"` // of the task sets, by ARN
	Groups    map[string]group    `json:"groups,omitempty"`
	Routes    []route             `json:"routes,omitempty"` // those that mention one of the application's groups
	Latest    *revision           `json:"latest,omitempty"` // newest active revision of a standalone task
}

// primary is the service's primary task set, nil when there is none.
func (s *service) primary() *taskSet {
	if s == nil {
		return nil
	}
	for i := range s.Sets {
		if s.Sets[i].Status == statusPrimary {
			return &s.Sets[i]
		}
	}
	return nil
}

// set finds a task set that is not draining.
func (s *service) set(arn string) *taskSet {
	if s == nil || arn == "" {
		return nil
	}
	for i := range s.Sets {
		if s.Sets[i].ARN == arn && s.Sets[i].Status != statusDraining {
			return &s.Sets[i]
		}
	}
	return nil
}

// draining lists the ARNs of the task sets that are on their way out.
func (s *service) draining() []string {
	var out []string
	for _, t := range s.Sets {
		if t.Status == statusDraining {
			out = append(out, t.ARN)
		}
	}
	return out
}

func (s *snapshot) primary() *taskSet { return s.Service.primary() }

// sorted returns the routes in a stable order.
func sortedRoutes(rs []route) []route {
	slices.SortFunc(rs, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.ARN, b.ARN))
	})
	return rs
}
