package ecs

import (
	"context"
	"fmt"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// rolloutFence is what reads of service deployments must show for some time behind a write.
type rolloutFence struct {
	at    time.Time
	what  string
	shown func([]rollout) bool // of a list, newest first
}

// seenRollout is the newest service deployment that a read has shown, when it was shown in this state first.
type seenRollout struct {
	newest rollout
	arns   map[string]bool // of all that were shown with it
	at     time.Time
}

// CreateNative implements cloud: a service that was deleted a moment ago may be there again.
func (f *fenced) CreateNative(ctx context.Context, in newService, n nativeDeploy) error {
	err := f.cloud.CreateNative(ctx, in, n)
	f.note(err, in.Cluster, in.Name, "service", "the service was created", serving)
	f.begun(err, in.Cluster, in.Name, n.Revision)
	return err
}

// Deploy implements cloud. The same again starts nothing, so that a service deployment counts that was not there before.
func (f *fenced) Deploy(ctx context.Context, cluster, name string, n nativeDeploy) error {
	err := f.cloud.Deploy(ctx, cluster, name, n)
	f.noteConfig(err, cluster, name, n.Config, n.Exec)
	f.begun(err, cluster, name, n.Revision)
	return err
}

// Configure implements cloud.
func (f *fenced) Configure(ctx context.Context, cluster, name string, c *ecstypes.DeploymentConfiguration, exec bool) error {
	err := f.cloud.Configure(ctx, cluster, name, c, exec)
	f.noteConfig(err, cluster, name, c, exec)
	return err
}

func (f *fenced) noteConfig(err error, cluster, name string, c *ecstypes.DeploymentConfiguration, exec bool) {
	f.note(err, cluster, name, "config", "its deployment configuration was changed", func(s *service) bool {
		return s != nil && sameConfig(s.Fields.Deployment, c) && s.Fields.Exec == exec
	})
}

func (f *fenced) begun(err error, cluster, name, revision string) {
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	service := cluster + "/" + name
	seen := f.shown[service]
	before := seen.arns
	seen.at = time.Time{} // what was over is the past now
	f.shown[service] = seen
	f.asked[service] = rolloutFence{f.now(), "a service deployment was started", func(all []rollout) bool {
		for _, r := range all {
			if r.Revision == revision && !before[r.ARN] {
				return true
			}
		}
		return false
	}}
}

// Continue implements cloud.
func (f *fenced) Continue(ctx context.Context, arn, pause string) error {
	err := f.cloud.Continue(ctx, arn, pause)
	f.told(err, arn, "a pause was ended", func(r rollout) bool { return r.Pause != pause })
	return err
}

// TurnBack implements cloud.
func (f *fenced) TurnBack(ctx context.Context, arn string) error {
	err := f.cloud.TurnBack(ctx, arn)
	f.told(err, arn, "it was told to go back", func(r rollout) bool { return r.turnedBack() || r.over() })
	return err
}

// told keeps what was written to one service deployment. One that is not listed any more contradicts nothing.
func (f *fenced) told(err error, arn, what string, shown func(rollout) bool) {
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for service, seen := range f.shown {
		if !seen.arns[arn] {
			continue
		}
		f.asked[service] = rolloutFence{f.now(), what, func(all []rollout) bool {
			for _, r := range all {
				if r.ARN == arn {
					return shown(r)
				}
			}
			return true
		}}
	}
}

// Rollouts implements cloud.
func (f *fenced) Rollouts(ctx context.Context, cluster, name string) ([]rollout, error) {
	all, err := f.cloud.Rollouts(ctx, cluster, name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	service := cluster + "/" + name
	if w, ok := f.asked[service]; ok {
		switch age := f.now().Sub(w.at); {
		case age >= visibleLimit:
			delete(f.asked, service)
		case !w.shown(all):
			return nil, platform.Retryable(fmt.Errorf("ecs:ListServiceDeployments %s: the answer is older than what was written %s ago: %s", name, age.Round(time.Second), w.what), time.Second)
		}
	}
	f.look(service, all)
	return all, nil
}

// look keeps what a list of service deployments shows.
func (f *fenced) look(service string, all []rollout) {
	if len(all) == 0 {
		return
	}
	was, now := f.shown[service], seenRollout{newest: all[0], arns: map[string]bool{}, at: f.now()}
	for _, r := range all {
		now.arns[r.ARN] = true
	}
	if was.newest.ARN == now.newest.ARN && was.newest.Status == now.newest.Status {
		now.at = was.at
	}
	f.shown[service] = now
}

// behind tells why a service is older than a service deployment whose end was read: its tasks are the answer then.
func (f *fenced) behind(s *service, seen seenRollout) string {
	if s == nil || s.Native == nil || f.now().Sub(seen.at) >= visibleLimit {
		return ""
	}
	own := 0
	for _, t := range s.Sets {
		if t.Revision == seen.newest.Revision {
			own++
		}
	}
	switch {
	case seen.newest.Status == rolloutSuccessful && (own == 0 || own < len(s.Sets)):
		return fmt.Sprintf("service deployment %s was successful", tail(seen.newest.ARN))
	case seen.newest.Status == rolloutBack && own > 0:
		return fmt.Sprintf("service deployment %s had gone back", tail(seen.newest.ARN))
	}
	return ""
}
