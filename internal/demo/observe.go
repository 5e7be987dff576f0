package demo

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// sample is what the data plane would do with a request at one moment.
type sample struct {
	at       time.Time
	expected map[string]float64 // share of versions by effective weights and targets
	weights  map[string]float64 // percent per variant, as the API shows
	unwell   bool               // a target that was healthy fails its checks
}

// observer samples the data plane beside the load client. What it predicts from
// weights and targets is compared with what the clients counted.
type observer struct {
	w  *world
	mu sync.Mutex
	s  []sample
}

// watch samples until the context ends.
func (o *observer) watch(ctx context.Context) {
	tick := time.NewTicker(bucket)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s := o.w.target.sample()
			o.mu.Lock()
			o.s = append(o.s, s)
			o.mu.Unlock()
		}
	}
}

// routed reads what each node of the load balancer applies now and who is
// behind each group.
func (w *world) routed() sample {
	s := sample{at: time.Now(), expected: map[string]float64{}, weights: map[string]float64{}}
	groups, unwell := w.targets()
	s.unwell = unwell
	var nodes []router.NodeWeights
	for _, n := range w.cloud.Router().Effective(w.stage.listener) {
		if n.Default {
			nodes = append(nodes, n)
		}
	}
	for _, n := range nodes {
		total := 0
		for _, g := range n.Groups {
			total += g.Weight
		}
		for _, g := range n.Groups {
			if total == 0 {
				continue
			}
			part := float64(g.Weight) / float64(total) / float64(len(nodes))
			for v, share := range groups[g.ARN] {
				s.expected[v] += part * share
			}
		}
	}
	s.weights = w.shownWeights()
	return s
}

// targets tells for each group how its usable targets are spread over versions.
func (w *world) targets() (groups map[string]map[string]float64, unwell bool) {
	healthy, all := map[string]map[string]int{}, map[string]map[string]int{}
	note := func(m map[string]map[string]int, group, version string) {
		if m[group] == nil {
			m[group] = map[string]int{}
		}
		m[group][version]++
	}
	for _, c := range w.cloud.ECS().Dump().Clusters {
		for _, t := range c.Tasks {
			_, version, _ := strings.Cut(t.Image, ":")
			for _, x := range t.Targets {
				switch x.Health {
				case "healthy":
					note(healthy, x.TargetGroup, version)
					note(all, x.TargetGroup, version)
				case "unhealthy":
					unwell = true
					note(all, x.TargetGroup, version)
				case "initial":
					note(all, x.TargetGroup, version)
				}
			}
		}
	}
	groups = map[string]map[string]float64{}
	for group, versions := range all {
		if len(healthy[group]) > 0 {
			versions = healthy[group]
		}
		sum := 0
		for _, n := range versions {
			sum += n
		}
		groups[group] = map[string]float64{}
		for v, n := range versions {
			groups[group][v] = float64(n) / float64(sum)
		}
	}
	return groups, unwell
}

// shownWeights is what the API shows, in percent per variant.
func (w *world) shownWeights() map[string]float64 {
	out := map[string]float64{}
	snap := w.cloud.ELB().Routes(w.stage.listener)
	for _, r := range snap.Rules {
		if !r.Default || r.Action.Forward == nil {
			continue
		}
		total := 0
		for _, g := range r.Action.Forward.Groups {
			total += g.Weight
		}
		for _, g := range r.Action.Forward.Groups {
			name := map[string]string{w.stage.primary: "primary", w.stage.canary: "canary"}[g.ARN]
			if total > 0 {
				out[name] = 100 * float64(g.Weight) / float64(total)
			}
		}
	}
	return out
}

// expectedBetween averages what the data plane should have done in a span.
func (o *observer) expectedBetween(from, to time.Time) map[string]float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	out, n := map[string]float64{}, 0
	for _, s := range o.s {
		if k := bucketOf(s.at); k < bucketOf(from) || k >= bucketOf(to) {
			continue
		}
		n++
		for v, x := range s.expected {
			out[v] += x
		}
	}
	for v := range out {
		out[v] /= float64(n)
	}
	return out
}

// first returns the first instant behind from at which the condition held.
func (o *observer) first(from time.Time, want func(sample) bool) (time.Time, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.s {
		if !s.at.Before(from) && want(s) {
			return s.at, true
		}
	}
	return time.Time{}, false
}

// failedOn counts the requests that the router gave to a group and answered
// with a server error.
func (w *world) failedOn(group string) int {
	n := 0
	for _, c := range w.cloud.Router().Stats() {
		if c.TargetGroupARN == group && c.Status >= 500 {
			n += int(c.Requests)
		}
	}
	return n
}
