package ecs

import (
	"context"

	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// cloud is what the steps need of AWS, in the words of this package. Its errors are classified already: Final or Retryable.
// What is not there is nil, not an error. Every call is one read or one write, with all pages read.
type cloud interface {
	services
	rollouts
	tasks
	routes
}

// services are services, their task sets and task definitions.
type services interface {
	// Account is account/region of the credentials.
	Account(ctx context.Context) (string, error)
	// Service reads a service with its task sets and their tags; nil when it does not exist or is INACTIVE.
	Service(ctx context.Context, cluster, name string) (*service, error)
	CreateService(ctx context.Context, in newService) error
	// UpdateService writes the fields that are set.
	UpdateService(ctx context.Context, cluster, name string, u serviceUpdate) error
	DeleteService(ctx context.Context, cluster, name string) error
	TagService(ctx context.Context, arn string, set tags, remove []string) error
	CreateTaskSet(ctx context.Context, in newTaskSet) (string, error)
	ScaleTaskSet(ctx context.Context, cluster, service, set string, scale float64) error
	SetPrimary(ctx context.Context, cluster, service, set string) error
	DeleteTaskSet(ctx context.Context, cluster, service, set string, force bool) error
	// Revision reads a revision by ARN, or the newest active one of a family.
	Revision(ctx context.Context, ref string) (*revision, error)
	// Revisions lists ARNs of active revisions of a family, newest first, at most 10.
	Revisions(ctx context.Context, family string) ([]string, error)
	Register(ctx context.Context, content *taskDefinition, t tags) (string, error)
	Deregister(ctx context.Context, arn string) error
}

// tasks are single tasks.
type tasks interface {
	// Tasks lists tasks that were started by something, running or stopped ones.
	Tasks(ctx context.Context, cluster, startedBy string, stopped bool) ([]task, error)
	RunTask(ctx context.Context, in newTask) (string, error)
	StopTask(ctx context.Context, cluster, arn, why string) error
}

// routes are target groups and listener rules.
type routes interface {
	Groups(ctx context.Context, arns []string) ([]group, error)
	Health(ctx context.Context, group string) ([]target, error)
	// RoutesOf reads all rules and default actions of load balancers.
	RoutesOf(ctx context.Context, loadBalancers []string) ([]route, error)
	// Reread reads the actions of known routes; one that is gone is left out.
	Reread(ctx context.Context, known []route) ([]route, error)
	SetActions(ctx context.Context, r route, actions []elbtypes.Action) error
}

// newService is what CreateService needs.
type newService struct {
	Cluster, Name, Token string
	Count                int
	Fields               serviceFields
	Tags                 tags
}

// serviceUpdate holds the fields to change; nil means leave.
type serviceUpdate struct {
	Count  *int
	Fields *serviceFields // the changeable group of it; only what differs from Have is sent
	Have   serviceFields
}

// newTaskSet is what CreateTaskSet needs.
type newTaskSet struct {
	Cluster, Service, Revision, Token string
	Scale                             float64
	Shape                             setShape
	Tags                              tags
}

// newTask is what RunTask needs.
type newTask struct {
	Cluster, Revision, Token, StartedBy string
	How                                 standalone
	Tags                                tags
}

// Words that the cloud's errors are told apart by; see apiError.
const (
	codeTooManySets   = "too-many-task-sets"
	codeNotAttached   = "group-not-attached"
	codeNotStarted    = "task-not-started"
	codeServiceExists = "service-exists"
)

// apiError is an error of AWS that a step can reason with.
type apiError struct {
	code string
	err  error
}

func (e *apiError) Error() string { return e.err.Error() }
func (e *apiError) Unwrap() error { return e.err }
