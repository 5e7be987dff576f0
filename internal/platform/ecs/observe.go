package ecs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/errgroup"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// Observe implements platform.Platform. It reads only what the application owns; independent reads run side by side, so
// that the whole takes about as long as four calls one after the other.
func (p *Platform) Observe(ctx context.Context, t platform.Target) (platform.Live, error) {
	c, prov, err := p.client(ctx, t.ProviderConfig)
	if err != nil {
		return platform.Live{}, err
	}
	d, err := platform.DecodeBody[desired]("desired state", t.Desired.Body)
	if err != nil {
		return platform.Live{}, err
	}
	o, err := observe(ctx, c, d, true)
	if err != nil {
		return platform.Live{}, fmt.Errorf("observe %s: %w", t.App.Name, err)
	}
	d.orient(o.snap)
	live, err := o.live(d, t.App)
	if err == nil && prov.Endpoint == "" && p.opt.Endpoint == "" {
		for i, r := range live.State.Resources {
			live.State.Resources[i].URL = consoleURL(r.Kind, r.ID)
		}
	}
	return live, err
}

// observation is a snapshot with what is shown beside it but belongs to no rollback.
type observation struct {
	snap   *snapshot
	health map[string][]target // by group
	tasks  map[string][]task   // by what started them
	mu     sync.Mutex
}

// observe reads the live state. With details it also reads tasks and target health.
func observe(ctx context.Context, c cloud, d *desired, details bool) (*observation, error) {
	o := &observation{snap: &snapshot{Revisions: map[string]revision{}, Groups: map[string]group{}}, health: map[string][]target{}, tasks: map[string][]task{}}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		o.snap.Account, err = c.Account(ctx)
		return err
	})
	if d.Standalone != nil {
		g.Go(func() (err error) {
			o.snap.Latest, err = c.Revision(ctx, aws.ToString(d.Task.Family))
			return err
		})
		return o, g.Wait()
	}
	g.Go(func() error { return o.service(ctx, c, d, details) })
	if arns := d.groupARNs(); len(arns) > 0 {
		g.Go(func() error { return o.routes(ctx, c, d, arns) })
		if details {
			for _, arn := range arns {
				g.Go(func() error { return o.targets(ctx, c, arn) })
			}
		}
	}
	err := g.Wait()
	o.serving()
	return o, err
}

// groupARNs are the target groups that the application owns.
func (d *desired) groupARNs() []string {
	if d.Access != accessELB || d.Primary == nil {
		return nil
	}
	arns := []string{d.Primary.ARN}
	if d.Canary != nil {
		arns = append(arns, d.Canary.ARN)
	}
	return arns
}

func (d *desired) primaryARN() string {
	if d.Access != accessELB || d.Primary == nil {
		return ""
	}
	return d.Primary.ARN
}

func (d *desired) canaryARN() string {
	if d.primaryARN() == "" || d.Canary == nil {
		return ""
	}
	return d.Canary.ARN
}

func (o *observation) service(ctx context.Context, c cloud, d *desired, details bool) error {
	s, err := c.Service(ctx, d.Cluster, d.Name)
	if err != nil || s == nil {
		return err
	}
	o.snap.Service = s
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	seen := map[string]bool{}
	for _, t := range s.Sets {
		if t.Status != statusDraining && !seen[t.Revision] {
			seen[t.Revision] = true
			g.Go(func() error { return o.revision(ctx, c, t.Revision) })
		}
		if !details || t.Scale == 0 && t.Running == 0 {
			continue
		}
		for _, stopped := range []bool{false, true} {
			g.Go(func() error {
				ts, err := c.Tasks(ctx, d.Cluster, t.ID, stopped)
				o.mu.Lock()
				defer o.mu.Unlock()
				o.tasks[t.ID] = append(o.tasks[t.ID], ts...)
				return err
			})
		}
	}
	return g.Wait()
}

func (o *observation) revision(ctx context.Context, c cloud, arn string) error {
	r, err := c.Revision(ctx, arn)
	if err != nil || r == nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.snap.Revisions[arn] = *r
	return nil
}

// routes finds the rules of the load balancers of our groups that mention one of them.
func (o *observation) routes(ctx context.Context, c cloud, d *desired, arns []string) error {
	gs, err := c.Groups(ctx, arns)
	if err != nil {
		return err
	}
	var lbs []string
	for _, g := range gs {
		o.snap.Groups[g.ARN] = g
		lbs = append(lbs, g.LoadBalancers...)
	}
	slices.Sort(lbs)
	all, err := c.RoutesOf(ctx, slices.Compact(lbs))
	if err != nil {
		return err
	}
	for _, r := range all {
		if mentions(r.Actions, d.primaryARN()) || mentions(r.Actions, d.canaryARN()) {
			o.snap.Routes = append(o.snap.Routes, r)
		}
	}
	return nil
}

func (o *observation) targets(ctx context.Context, c cloud, arn string) error {
	ts, err := c.Health(ctx, arn)
	if deploy.CodeOf(err) == deploy.CodeNotFound || awsCode(err) == "TargetGroupNotFound" {
		return nil // Plan says that the group is missing
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.health[arn] = ts
	return err
}

// live renders an observation in the contract's words.
func (o *observation) live(d *desired, app deploy.Ref) (platform.Live, error) {
	body, err := json.Marshal(o.snap)
	if err != nil {
		return platform.Live{}, fmt.Errorf("encode live state: %w", err)
	}
	l := platform.Live{Exists: o.snap.Service != nil, Account: o.snap.Account, Body: body}
	switch {
	case o.snap.Service != nil:
		l.Digest = platform.Digest(liveView(o.snap))
		if t := o.snap.primary(); t != nil {
			l.Versions = versionsOf(o.snap.Revisions[t.Revision].Content)
		}
		l.Unsettled = unsettled(o.snap, d)
		for _, t := range o.snap.Service.Sets {
			if id := t.Tags[awsaccess.TagDeployment]; id != "" && !slices.Contains(l.Makers, id) {
				l.Makers = append(l.Makers, id)
			}
		}
	case o.snap.Latest != nil:
		l.Exists, l.Digest, l.Versions = true, platform.Digest(liveView(o.snap)), versionsOf(o.snap.Latest.Content)
	}
	l.State = o.state(d, app)
	l.State.Digest = l.Digest
	return l, nil
}

// unsettled lists why a deployment should not start from here.
func unsettled(s *snapshot, d *desired) []deploy.Reason {
	var out []deploy.Reason
	if n := s.Service.Native; n != nil && !n.Rollout.over() {
		out = append(out, deploy.Why(UnsettledRollout, "deployment", n.Rollout.ARN, "status", n.Rollout.Status))
	}
	prim := s.primary()
	if prim == nil {
		out = append(out, deploy.Why(UnsettledNoPrimary, "service", s.Service.Name))
	} else if prim.Running < prim.Computed {
		out = append(out, deploy.Why(UnsettledCapacity, "running", fmt.Sprint(prim.Running), "desired", fmt.Sprint(prim.Computed), "set", prim.ARN))
	}
	var others []string
	for _, t := range s.Service.Sets {
		if t.Status == statusActive && t.Scale > 0 {
			others = append(others, t.ARN)
		}
	}
	if len(others) > 0 {
		out = append(out, deploy.Why(UnsettledSets, "sets", joined(others)))
	}
	for _, r := range s.Routes {
		if sh := share(r.Actions, d.canaryARN()); sh > 0 && mentions(r.Actions, d.primaryARN()) {
			out = append(out, deploy.Why(UnsettledSplit, "share", fmt.Sprintf("%.4g", sh), "route", r.name()))
		}
	}
	return out
}
