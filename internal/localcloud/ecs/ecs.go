package ecs

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs/schemas"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/clock"
)

// Timing is how long the parts of a task's life take that no process is responsible for.
type Timing struct {
	// Provision is the time a task stays PROVISIONING (network interface, placement).
	Provision time.Duration
	// Deprovision is the time a task stays DEPROVISIONING.
	Deprovision time.Duration
	// Watch is how often the scheduler looks at target health while tasks are registered or draining; 0 means one second.
	Watch time.Duration
	// Shift is how long a service deployment waits behind a change of weights until the load balancer's nodes have it.
	Shift time.Duration
}

// Config is what the control plane needs from the outside.
type Config struct {
	// Account is the twelve-digit account, Region the region, in every ARN.
	Account, Region string
	// Seed fixes all identifiers.
	Seed     uint64
	Clock    clock.Clock
	Runtime  Runtime
	Balancer Balancer
	Timing   Timing
	// Lag returns how old the state is that one read sees; nil or zero reads the present. It is asked once per read.
	Lag func() time.Duration
	// MaxLag bounds what Lag returns; history older than that is forgotten. Zero keeps no history.
	MaxLag time.Duration
	// Secret returns the value behind a container secret's valueFrom (an SSM parameter or a Secrets Manager secret); may be nil.
	Secret func(valueFrom string) (string, error)
	// Network is the second number of the tasks' addresses, 127.Network.x.y; 0 means 10.
	Network byte
	// Changed is called after every change, without locks held; may be nil.
	Changed func()
	Log     *slog.Logger
}

// ECS is the control plane and scheduler. All state is behind one mutex; what happens later is on timers of the clock.
type ECS struct {
	cfg Config

	mu       sync.Mutex
	st       *state
	rnd      *rand.Rand // identifiers of objects
	evRnd    *rand.Rand // identifiers of events, apart so that a read that notices something does not change what follows
	history  []version
	watch    clock.Timer
	closed   bool
	advanced bool     // a service deployment has moved since the last settle
	effects  []func() // calls to the runtime, made in order once the mutex is free

	running sync.Mutex // held while effects run, so that their order is kept

	events eventQueue
}

// version is the state as it was from an instant on.
type version struct {
	at time.Time
	st *state
}

// New returns an empty control plane.
func New(cfg Config) *ECS {
	if cfg.Timing.Watch <= 0 {
		cfg.Timing.Watch = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &ECS{cfg: cfg, st: newState(), rnd: rand.New(rand.NewPCG(cfg.Seed, 0xec5)), evRnd: rand.New(rand.NewPCG(cfg.Seed, 0xe7e))}
}

// Service returns the operations for the wire.
func (c *ECS) Service() awswire.Service {
	return awswire.JSON("ecs", schemas.AmazonEC2ContainerServiceV20141113,
		awswire.Op(write(c, c.createCluster)), awswire.Op(read(c, c.describeClusters)), awswire.Op(read(c, c.listClusters)),
		awswire.Op(write(c, c.createService)), awswire.Op(read(c, c.describeServices)), awswire.Op(read(c, c.listServices)),
		awswire.Op(write(c, c.updateService)), awswire.Op(write(c, c.deleteService)),
		awswire.Op(write(c, c.registerTaskDefinition)), awswire.Op(read(c, c.describeTaskDefinition)),
		awswire.Op(write(c, c.deregisterTaskDefinition)), awswire.Op(read(c, c.listTaskDefinitions)),
		awswire.Op(write(c, c.createTaskSet)), awswire.Op(read(c, c.describeTaskSets)), awswire.Op(write(c, c.updateTaskSet)),
		awswire.Op(write(c, c.deleteTaskSet)), awswire.Op(write(c, c.updateServicePrimaryTaskSet)),
		awswire.Op(write(c, c.runTask)), awswire.Op(write(c, c.stopTask)), awswire.Op(read(c, c.listTasks)), awswire.Op(read(c, c.describeTasks)),
		awswire.Op(read(c, c.listServiceDeployments)), awswire.Op(read(c, c.describeServiceDeployments)), awswire.Op(read(c, c.describeServiceRevisions)),
		awswire.Op(write(c, c.stopServiceDeployment)), awswire.Op(write(c, c.continueServiceDeployment)),
		awswire.Op(write(c, c.tagResource)), awswire.Op(write(c, c.untagResource)), awswire.Op(read(c, c.listTagsForResource)),
	)
}

// Close stops the scheduler and asks the runtime to end every task. Timers that fire afterwards do nothing.
func (c *ECS) Close() {
	c.mu.Lock()
	if c.watch != nil {
		c.watch.Stop()
	}
	c.closed = true
	for _, t := range c.st.sortedTasks() {
		if t.Launched && t.LastStatus != statusStopped {
			c.later(func() { c.cfg.Runtime.Stop(t.ID, t.StopTimeout) })
		}
	}
	c.mu.Unlock()
	c.runEffects()
}

// now is the clock's time in whole milliseconds, as the wire carries it.
func (c *ECS) now() time.Time { return c.cfg.Clock.Now().UTC().Truncate(time.Millisecond) }

// later notes a call into the runtime. It is made without the mutex, because a runtime may report an event from within it.
func (c *ECS) later(f func()) { c.effects = append(c.effects, f) }

// unlock ends a change: the mutex is freed and the noted calls are made in order.
func (c *ECS) unlock() {
	c.mu.Unlock()
	c.runEffects()
	if c.cfg.Changed != nil {
		c.cfg.Changed()
	}
}

func (c *ECS) runEffects() {
	c.running.Lock()
	defer c.running.Unlock()
	for {
		c.mu.Lock()
		effects := c.effects
		c.effects = nil
		c.mu.Unlock()
		if len(effects) == 0 {
			return
		}
		for _, f := range effects {
			f()
		}
	}
}

// after runs f under the mutex once d has passed, unless the scheduler is closed by then.
func (c *ECS) after(d time.Duration, f func()) {
	c.cfg.Clock.AfterFunc(d, func() {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return
		}
		f()
		c.settle()
		c.unlock()
	})
}

// settle follows every change: stability is judged again, the history grows and the watch is armed when it is needed.
func (c *ECS) settle() {
	now := c.now()
	for _, cl := range c.st.sortedClusters() {
		for _, s := range cl.sortedServices() {
			c.judge(cl, s, now)
		}
	}
	c.advanced = false
	c.advanceAll()
	c.remember(now)
	c.armWatch()
}

// remember keeps a copy of the state for reads that lag behind.
func (c *ECS) remember(now time.Time) {
	if c.cfg.MaxLag <= 0 {
		return
	}
	c.history = append(c.history, version{at: now, st: c.st.clone()})
	cut := 0
	for cut+1 < len(c.history) && now.Sub(c.history[cut+1].at) > c.cfg.MaxLag {
		cut++
	}
	c.history = c.history[cut:]
}

// view is the state one read sees: the present one, or the newest that is at least as old as the lag.
func (c *ECS) view() *state {
	if c.cfg.Lag == nil || len(c.history) == 0 {
		return c.st
	}
	lag := c.cfg.Lag()
	if lag <= 0 {
		return c.st
	}
	limit := c.now().Add(-lag)
	for i := len(c.history) - 1; i >= 0; i-- {
		if !c.history[i].at.After(limit) {
			return c.history[i].st
		}
	}
	if c.history[0].st.Generation > 1 {
		return c.history[0].st
	}
	return newState()
}

func errInvalid(format string, args ...any) *awserr.Error {
	return awserr.New("InvalidParameterException", format, args...)
}

func errServer() *awserr.Error {
	return &awserr.Error{Code: "ServerException", Message: "Service Unavailable. Please try again later.", Status: 500}
}

func errClient(format string, args ...any) *awserr.Error {
	return awserr.New("ClientException", format, args...)
}
