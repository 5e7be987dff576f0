package ecs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/platform"
)

// fenced is a cloud whose reads of a service are never older than what this process wrote to it. ECS is eventually
// consistent: for up to visibleLimit a read may show the service as it was before a write, and then a snapshot, a
// verification or a next step would be about a state that is over. Such an answer is an error that asking again cures. What
// contradicts a write for longer was changed by somebody else, and is shown.
type fenced struct {
	cloud
	now func() time.Time

	mu    sync.Mutex
	wrote map[string]map[string]fence // by service, then by what was written
	asked map[string]rolloutFence     // by service: the last write to a service deployment
	shown map[string]seenRollout      // by service
}

// fence is what a read must show for some time behind a write.
type fence struct {
	at    time.Time
	what  string
	shown func(*service) bool // of nil for a service that is not there
}

func newFenced(c cloud, now func() time.Time) *fenced {
	return &fenced{cloud: c, now: now, wrote: map[string]map[string]fence{}, asked: map[string]rolloutFence{}, shown: map[string]seenRollout{}}
}

// note keeps what was written under a key and forgets what it outdates: everything below the key.
func (f *fenced) note(err error, cluster, name, key, what string, shown func(*service) bool) {
	if err != nil {
		return // refused, or in doubt: the ledger and the unseen limits look after that
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.wrote[cluster+"/"+name]
	if of == nil {
		of = map[string]fence{}
		f.wrote[cluster+"/"+name] = of
	}
	maps.DeleteFunc(of, func(k string, _ fence) bool { return k == key || strings.HasPrefix(k, key+"/") })
	of[key] = fence{f.now(), what, shown}
}

// Service implements cloud.
func (f *fenced) Service(ctx context.Context, cluster, name string) (*service, error) {
	s, err := f.cloud.Service(ctx, cluster, name)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.wrote[cluster+"/"+name]
	maps.DeleteFunc(of, func(_ string, w fence) bool { return f.now().Sub(w.at) >= visibleLimit })
	if len(of) == 0 {
		delete(f.wrote, cluster+"/"+name)
	}
	for _, key := range slices.Sorted(maps.Keys(of)) { // in the same order every time: people read the first one
		if w := of[key]; !w.shown(s) {
			return nil, platform.Retryable(fmt.Errorf("ecs:DescribeServices %s: the answer is older than what was written %s ago: %s", name, f.now().Sub(w.at).Round(time.Second), w.what), time.Second)
		}
	}
	if why := f.behind(s, f.shown[cluster+"/"+name]); why != "" {
		return nil, platform.Retryable(fmt.Errorf("ecs:DescribeServices %s: the answer is older than one of a moment ago: %s", name, why), time.Second)
	}
	return s, nil
}

// CreateService implements cloud.
func (f *fenced) CreateService(ctx context.Context, in newService) error {
	err := f.cloud.CreateService(ctx, in)
	f.note(err, in.Cluster, in.Name, "service", "the service was created", serving)
	return err
}

// DeleteService implements cloud. Its task sets go with it, and are no part of a service that is created again.
func (f *fenced) DeleteService(ctx context.Context, cluster, name string) error {
	err := f.cloud.DeleteService(ctx, cluster, name)
	for _, arn := range f.sets(cluster, name) {
		f.note(err, cluster, name, "set/"+arn, "task set "+tail(arn)+" went with its service", gone(arn))
	}
	f.note(err, cluster, name, "service", "the service was deleted", func(s *service) bool { return !serving(s) })
	return err
}

// sets lists the task sets of a service that something was written to.
func (f *fenced) sets(cluster, name string) (arns []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range slices.Sorted(maps.Keys(f.wrote[cluster+"/"+name])) {
		if arn, ok := strings.CutPrefix(k, "set/"); ok {
			arns = append(arns, strings.TrimSuffix(arn, "/scale"))
		}
	}
	return arns
}

// gone reports whether a task set is not shown, or as one that drains.
func gone(arn string) func(*service) bool {
	return func(s *service) bool { return s.set(arn) == nil }
}

// CreateTaskSet implements cloud.
func (f *fenced) CreateTaskSet(ctx context.Context, in newTaskSet) (string, error) {
	arn, err := f.cloud.CreateTaskSet(ctx, in)
	f.note(err, in.Cluster, in.Service, "set/"+arn, "task set "+tail(arn)+" was created", func(s *service) bool { return s.set(arn) != nil })
	return arn, err
}

// ScaleTaskSet implements cloud.
func (f *fenced) ScaleTaskSet(ctx context.Context, cluster, name, set string, scale float64) error {
	err := f.cloud.ScaleTaskSet(ctx, cluster, name, set, scale)
	f.note(err, cluster, name, "set/"+set+"/scale", fmt.Sprintf("task set %s was scaled to %g %%", tail(set), scale), func(s *service) bool {
		return s.set(set) == nil || s.set(set).Scale == scale
	})
	return err
}

// SetPrimary implements cloud.
func (f *fenced) SetPrimary(ctx context.Context, cluster, name, set string) error {
	err := f.cloud.SetPrimary(ctx, cluster, name, set)
	f.note(err, cluster, name, "primary", "task set "+tail(set)+" became the primary one", func(s *service) bool {
		return s.set(set) == nil || s.set(set).Status == statusPrimary
	})
	return err
}

// DeleteTaskSet implements cloud.
func (f *fenced) DeleteTaskSet(ctx context.Context, cluster, name, set string, force bool) error {
	err := f.cloud.DeleteTaskSet(ctx, cluster, name, set, force)
	f.note(err, cluster, name, "set/"+set, "task set "+tail(set)+" was deleted", gone(set))
	return err
}

// serving reports whether a service is there and takes deployments.
func serving(s *service) bool { return s != nil && s.Status == statusActive }
