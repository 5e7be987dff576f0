package ecs

import (
	"context"
	"errors"
	"testing"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// TestALostCallIsWaitedFor: behind a call without an answer nothing is over before it can take effect no more, whatever was called since.
func TestALostCallIsWaitedFor(t *testing.T) {
	t0 := time.Unix(1000, 0)
	j := &job{j: &crashJournal{}, s: platform.Step{Now: t0}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := func(after time.Duration) bool {
		t.Helper()
		j.s.Now = t0.Add(after)
		out, err := j.quiet()
		must(err)
		return out.Progress == platform.Done
	}
	if !quiet(0) {
		t.Error("nothing was called")
	}
	must(j.call(t.Context(), func() error {
		if quiet(0) {
			t.Error("who dies while a call is on its way leaves no trace of it")
		}
		return nil
	}))
	if !quiet(0) {
		t.Error("an answer is waited for that has come")
	}
	lost := errors.New("time-out")
	if err := j.call(t.Context(), func() error { return lost }); !errors.Is(err, lost) {
		t.Fatal(err)
	}
	j.s.Now = t0.Add(20 * time.Second)
	must(j.call(t.Context(), func() error { return nil }))
	if quiet(lateLimit - time.Second) {
		t.Error("the answer to a later call ends the wait for an earlier one")
	}
	if !quiet(lateLimit) {
		t.Error("it is waited for without end")
	}
}

// TestAChangedConfigurationIsWrittenBack although a late read shows it as it was before the change.
func TestAChangedConfigurationIsWrittenBack(t *testing.T) {
	file := &ecstypes.DeploymentConfiguration{Strategy: ecstypes.DeploymentStrategyBlueGreen}
	for changed, want := range map[bool]int{true: 1, false: 0} {
		c := &configCloud{config: file}
		j := &job{c: c, j: &crashJournal{}, d: &desired{}, s: platform.Step{Now: time.Unix(1000, 0)}}
		for i := range 3 {
			out, err := j.configure(t.Context(), keyConfig+"file", changed, file, false)
			if err != nil {
				t.Fatal(err)
			}
			if out.Progress == platform.Done {
				break
			}
			if i == 2 {
				t.Error("it never ends")
			}
		}
		if c.writes != want {
			t.Errorf("changed %v: written %d times, want %d", changed, c.writes, want)
		}
	}
}

type configCloud struct {
	cloud
	config *ecstypes.DeploymentConfiguration
	writes int
}

func (c *configCloud) Service(context.Context, string, string) (*service, error) {
	return &service{Status: statusActive, Fields: serviceFields{Deployment: c.config}}, nil
}

func (c *configCloud) Configure(context.Context, string, string, *ecstypes.DeploymentConfiguration, bool) error {
	c.writes++
	return nil
}
