package ecs

import (
	"context"
	"errors"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// nativeCloud shows whatever state a test sets.
type nativeCloud struct {
	cloud
	svc    service
	all    []rollout
	refuse error
}

func (c *nativeCloud) Service(context.Context, string, string) (*service, error) {
	s := c.svc
	return &s, nil
}

func (c *nativeCloud) Rollouts(context.Context, string, string) ([]rollout, error) { return c.all, nil }

func (c *nativeCloud) Deploy(context.Context, string, string, nativeDeploy) error { return c.refuse }

func (c *nativeCloud) Configure(context.Context, string, string, *ecstypes.DeploymentConfiguration, bool) error {
	return c.refuse
}

func (c *nativeCloud) Continue(context.Context, string, string) error { return c.refuse }

func (c *nativeCloud) TurnBack(context.Context, string) error { return c.refuse }

// nativeState is one moment of a service: what either read shows of it.
type nativeState struct {
	config ecstypes.DeploymentStrategy
	sets   []string // their revisions, the primary one first
	all    []rollout
}

func (c *nativeCloud) show(s nativeState) {
	c.svc = service{Status: statusActive, Native: &nativeService{}}
	c.svc.Fields.Deployment = &ecstypes.DeploymentConfiguration{Strategy: s.config}
	for i, r := range s.sets {
		t := taskSet{ARN: r, Revision: r, Status: statusActive}
		if i == 0 {
			t.Status = statusPrimary
		}
		c.svc.Sets = append(c.svc.Sets, t)
	}
	c.all = s.all
}

// TestNativeReadsAreNoOlderThanOwnWrites: behind each write the answer of before is refused, as one to ask for again, and the present is shown.
func TestNativeReadsAreNoOlderThanOwnWrites(t *testing.T) {
	const blue, canary = ecstypes.DeploymentStrategyBlueGreen, ecstypes.DeploymentStrategyCanary
	former := rollout{ARN: "d1", Revision: "r1", Status: rolloutSuccessful}
	with := func(r rollout) []rollout { return []rollout{r, former} }
	rest := nativeState{config: blue, sets: []string{"r1"}, all: []rollout{former}}
	held := rollout{ARN: "d2", Revision: "r2", Status: rolloutRunning, Pause: "p1"}
	begun := nativeState{config: canary, sets: []string{"r2", "r1"}, all: with(held)}
	state := func(from nativeState, config ecstypes.DeploymentStrategy, sets []string, newest rollout) nativeState {
		from.config, from.sets, from.all = config, sets, with(newest)
		return from
	}
	deploy := func(revision string, config ecstypes.DeploymentStrategy) func(*fenced) error {
		return func(f *fenced) error {
			return f.Deploy(t.Context(), "", "", nativeDeploy{Revision: revision, Config: &ecstypes.DeploymentConfiguration{Strategy: config}})
		}
	}
	over := held
	over.Pause, over.Status = "", rolloutSuccessful
	moved := held
	moved.Pause = "p2"
	back := held
	back.Pause, back.Status = "", "ROLLBACK_REQUESTED"
	end := state(begun, canary, []string{"r2"}, over)
	again := nativeState{config: blue, sets: []string{"r1", "r2"}, all: append([]rollout{{ARN: "d3", Revision: "r1", Status: rolloutPending}}, end.all...)}
	for name, c := range map[string]struct {
		was   nativeState
		write func(*fenced) error
		is    nativeState
	}{
		"a deployment is started":   {rest, deploy("r2", canary), begun},
		"what was is started again": {end, deploy("r1", blue), again},
		"the configuration changes": {end, func(f *fenced) error {
			return f.Configure(t.Context(), "", "", &ecstypes.DeploymentConfiguration{Strategy: blue}, false)
		}, state(begun, blue, []string{"r2"}, over)},
		"a pause is ended":  {begun, func(f *fenced) error { return f.Continue(t.Context(), "d2", "p1") }, state(begun, canary, begun.sets, moved)},
		"it is turned back": {begun, func(f *fenced) error { return f.TurnBack(t.Context(), "d2") }, state(begun, canary, begun.sets, back)},
	} {
		t.Run(name, func(t *testing.T) {
			clock := time.Unix(1000, 0)
			n := &nativeCloud{}
			f := newFenced(n, func() time.Time { return clock })
			read := func() (err error) {
				_, a := f.Service(t.Context(), "", "")
				_, b := f.Rollouts(t.Context(), "", "")
				return errors.Join(a, b)
			}
			n.show(c.was)
			if err := read(); err != nil {
				t.Fatal(err)
			}
			n.refuse = errors.New("refused")
			if err := c.write(f); !errors.Is(err, n.refuse) {
				t.Fatal(err)
			}
			if err := read(); err != nil {
				t.Fatalf("a write that was refused is waited for: %v", err)
			}
			n.refuse = nil
			if err := c.write(f); err != nil {
				t.Fatal(err)
			}
			clock = clock.Add(visibleLimit - time.Second)
			_, a := f.Service(t.Context(), "", "")
			_, b := f.Rollouts(t.Context(), "", "")
			for _, err := range []error{a, b} {
				if can, _ := platform.CanRetry(err); err != nil && !can {
					t.Errorf("a late answer is not tried again: %v", err)
				}
			}
			if a == nil && b == nil {
				t.Error("the answer of before the write is shown")
			}
			n.show(c.is)
			if err := read(); err != nil {
				t.Errorf("the present is refused: %v", err)
			}
			n.show(c.was)
			clock = clock.Add(visibleLimit)
			if err := read(); err != nil {
				t.Errorf("what somebody else wrote is not shown: %v", err)
			}
		})
	}
}

// TestTasksAreNoOlderThanTheEndOfTheirDeployment: the list of service deployments and the service are two reads, of which either may be late.
func TestTasksAreNoOlderThanTheEndOfTheirDeployment(t *testing.T) {
	for status, c := range map[string]struct{ late, present []string }{
		rolloutSuccessful: {[]string{"r2", "r1"}, []string{"r2"}},
		rolloutBack:       {[]string{"r1", "r2"}, []string{"r1"}},
	} {
		clock := time.Unix(1000, 0)
		n := &nativeCloud{}
		f := newFenced(n, func() time.Time { return clock })
		over := []rollout{{ARN: "d2", Revision: "r2", Status: status}}
		n.show(nativeState{sets: c.late, all: over})
		if _, err := f.Rollouts(t.Context(), "", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Service(t.Context(), "", ""); err == nil {
			t.Errorf("%s: tasks of before the end are shown", status)
		}
		n.show(nativeState{sets: c.present, all: over})
		if _, err := f.Service(t.Context(), "", ""); err != nil {
			t.Errorf("%s: the present is refused: %v", status, err)
		}
		n.show(nativeState{sets: c.late, all: over})
		clock = clock.Add(visibleLimit)
		if _, err := f.Service(t.Context(), "", ""); err != nil {
			t.Errorf("%s: what contradicts for long is not shown: %v", status, err)
		}
	}
}
