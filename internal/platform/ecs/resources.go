package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/deploy"
)

// maxResources bounds a live state report; tasks are left out first.
const maxResources = 400

// state renders the observation as a resource tree: service, task sets, tasks, target groups, rules.
func (o *observation) state(d *desired, app deploy.Ref) deploy.LiveState {
	var out deploy.LiveState
	s := o.snap.Service
	if s == nil {
		if r := o.snap.Latest; r != nil {
			out.Resources = append(out.Resources, deploy.Resource{ID: r.ARN, Kind: "TaskDefinition", Name: tail(r.ARN), Health: deploy.HealthHealthy, Version: versionText(r.Content), Fields: environment(r.Content)})
			out.Health = deploy.HealthHealthy
		} else {
			out.Health = deploy.HealthUnknown
		}
		return out
	}
	out.Resources = append(out.Resources, serviceResource(s))
	for _, t := range s.Sets {
		out.Resources = append(out.Resources, o.setResource(d, s, t))
	}
	for _, arn := range d.groupARNs() {
		out.Resources = append(out.Resources, o.groupResource(d, s, arn))
	}
	for _, r := range o.snap.Routes {
		out.Resources = append(out.Resources, deploy.Resource{ID: r.ARN, Parent: s.ARN, Kind: "ListenerRule", Name: r.name(), Health: deploy.HealthHealthy, Status: weightsText(r.Actions, o.groupName)})
		if d.Native != nil && d.Native.Rule != "" && r.ARN != d.Native.Rule && r.Rule != d.Native.Rule {
			continue // test traffic
		}
		if mentions(r.Actions, d.primaryARN()) {
			out.Traffic = append(out.Traffic, traffic(d, r, o.health, o.versionsBehind(d)))
		}
	}
	out.Health = deploy.HealthOf(out.Resources)
	for _, t := range s.Sets {
		ts := o.tasks[t.ID]
		slices.SortStableFunc(ts, func(a, b task) int {
			return cmp.Or(cmp.Compare(boolInt(a.Status == "STOPPED"), boolInt(b.Status == "STOPPED")), b.Created.Compare(a.Created), cmp.Compare(a.ARN, b.ARN))
		})
		for _, k := range ts {
			if len(out.Resources) >= maxResources {
				out.Truncated++
				continue
			}
			out.Resources = append(out.Resources, taskResource(t, k, versionText(o.snap.Revisions[t.Revision].Content)))
		}
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func serviceResource(s *service) deploy.Resource {
	h := deploy.HealthHealthy
	if s.Status != statusActive {
		h = deploy.HealthProgressing
	} else if s.Pending > 0 || s.Running < s.Count {
		h = deploy.HealthProgressing
	}
	return deploy.Resource{
		Events: s.Events,
		ID:     s.ARN, Kind: "Service", Name: s.Name, Health: h, Status: s.Status,
		Fields: map[string]string{"desired": fmt.Sprint(s.Count), "running": fmt.Sprint(s.Running), "pending": fmt.Sprint(s.Pending), "controller": s.Controller},
	}
}

func (o *observation) setResource(d *desired, s *service, t taskSet) deploy.Resource {
	h := deploy.HealthProgressing
	var why deploy.Reason
	switch broken := failures(o.tasks[t.ID], t.ID); {
	case t.Status == statusDraining:
		why = deploy.Why(ReasonDraining, "set", tail(t.ARN), "running", fmt.Sprint(t.Running))
	case t.Running >= t.Computed && t.Pending == 0:
		h = deploy.HealthHealthy
	case len(broken) >= failuresTell:
		h = deploy.HealthUnhealthy
		last := broken[len(broken)-1]
		why = deploy.Why(ReasonTasksFailing, "count", fmt.Sprint(len(broken)), "set", tail(t.ARN), "reason", stopText(last), "container", last.Container, "exitCode", exitText(last))
	default:
		why = deploy.Why(ReasonStabilizing, "set", tail(t.ARN), "running", fmt.Sprint(t.Running), "desired", fmt.Sprint(t.Computed), "pending", fmt.Sprint(t.Pending))
	}
	content := o.snap.Revisions[t.Revision].Content
	f := environment(content)
	for k, v := range map[string]string{"scale": fmt.Sprintf("%g %%", t.Scale), "desired": fmt.Sprint(t.Computed), "running": fmt.Sprint(t.Running), "pending": fmt.Sprint(t.Pending), "taskDefinition": tail(t.Revision)} {
		f[k] = v
	}
	return deploy.Resource{ID: t.ARN, Parent: s.ARN, Kind: "TaskSet", Name: tail(t.ARN), Health: h, Status: t.Status, Variant: variant(d, t), Version: versionText(content), Fields: f, Created: t.Created, Reason: why}
}

// variant says which side a task set serves.
func variant(d *desired, t taskSet) string {
	if t.Group != "" {
		if t.Group == d.canaryARN() {
			return "canary"
		}
		return "primary"
	}
	for _, lb := range t.Shape.LoadBalancers {
		if arn := aws.ToString(lb.TargetGroupArn); arn != "" && arn == d.canaryARN() {
			return "canary"
		}
	}
	if t.Status == statusPrimary {
		return "primary"
	}
	if t.Tags[tagRole] == roleCanary {
		return "canary"
	}
	return ""
}

// environment lists the names of environment variables with masked values.
func environment(t *taskDefinition) map[string]string {
	f := map[string]string{}
	if t == nil {
		return f
	}
	for _, c := range t.ContainerDefinitions {
		f["image/"+aws.ToString(c.Name)] = aws.ToString(c.Image)
		for _, e := range c.Environment {
			f["env/"+aws.ToString(c.Name)+"/"+aws.ToString(e.Name)] = "••••"
		}
	}
	return f
}

func versionText(t *taskDefinition) string {
	if vs := versionsOf(t); len(vs) > 0 {
		return vs[0].Version
	}
	return ""
}

func taskResource(t taskSet, k task, version string) deploy.Resource {
	h := deploy.HealthProgressing
	var why deploy.Reason
	switch {
	case k.Status == "STOPPED" && failed(k):
		h = deploy.HealthUnhealthy
		why = deploy.Why(ReasonTaskFailed, "task", tail(k.ARN), "reason", stopText(k), "container", k.Container, "exitCode", exitText(k))
	case k.Status == "STOPPED":
		h = deploy.HealthUnknown
	case k.Health == "UNHEALTHY":
		h = deploy.HealthUnhealthy
	case k.Status == "RUNNING":
		h = deploy.HealthHealthy
	}
	f := map[string]string{}
	if k.Stopped != "" || k.StopCode != "" {
		f["stopCode"], f["stoppedReason"] = k.StopCode, k.Stopped
	}
	if k.ExitCode != nil {
		f["exitCode"], f["container"] = fmt.Sprint(*k.ExitCode), k.Container
	}
	if k.ContainerReason != "" {
		f["containerReason"] = k.ContainerReason
	}
	return deploy.Resource{ID: k.ARN, Parent: t.ARN, Kind: "Task", Name: tail(k.ARN), Health: h, Status: k.Status, Version: version, Fields: f, Created: k.Created, Reason: why}
}

func (o *observation) groupResource(d *desired, s *service, arn string) deploy.Resource {
	ts := o.health[arn]
	healthy := healthyTargets(ts)
	side := "primary"
	if arn == d.canaryARN() {
		side = "canary"
	}
	h := deploy.HealthHealthy
	f := map[string]string{"healthy": fmt.Sprint(healthy), "targets": fmt.Sprint(len(ts))}
	down, detail := 0, ""
	for _, t := range ts {
		if t.State != "healthy" {
			f["target/"+t.ID] = strings.TrimSpace(t.State + " " + t.Detail)
		}
		if t.State == "unhealthy" {
			h = deploy.HealthUnhealthy
			down, detail = down+1, cmp.Or(detail, t.Detail)
		} else if t.State == "initial" && h == deploy.HealthHealthy {
			h = deploy.HealthProgressing
		}
	}
	var why deploy.Reason
	switch h {
	case deploy.HealthUnhealthy:
		why = deploy.Why(ReasonTargetsDown, "group", o.groupName(arn), "unhealthy", fmt.Sprint(down), "total", fmt.Sprint(len(ts)), "detail", detail)
	case deploy.HealthProgressing:
		why = deploy.Why(ReasonTargetsStarting, "group", o.groupName(arn), "healthy", fmt.Sprint(healthy), "needed", fmt.Sprint(len(ts)))
	}
	return deploy.Resource{ID: arn, Parent: s.ARN, Kind: "TargetGroup", Name: o.groupName(arn), Health: h, Variant: side, Fields: f, Reason: why}
}

func (o *observation) groupName(arn string) string {
	if g, ok := o.snap.Groups[arn]; ok && g.Name != "" {
		return g.Name
	}
	return tail(arn)
}

// versionsBehind counts, by group, the healthy targets of each version.
func (o *observation) versionsBehind(d *desired) map[string]map[string]int {
	version := map[string]string{} // address → version
	for _, t := range o.snap.Service.Sets {
		for _, k := range o.tasks[t.ID] {
			for _, a := range k.Addresses {
				if k.Status == "RUNNING" {
					version[a] = versionText(o.snap.Revisions[t.Revision].Content)
				}
			}
		}
	}
	out := map[string]map[string]int{}
	for _, arn := range d.groupARNs() {
		m := map[string]int{}
		for _, t := range o.health[arn] {
			if v := version[t.ID]; v != "" && t.State == "healthy" {
				m[v]++
			}
		}
		out[arn] = m
	}
	return out
}

// traffic is one route in the contract's words.
func traffic(d *desired, r route, health map[string][]target, versions map[string]map[string]int) deploy.Traffic {
	t := deploy.Traffic{Route: r.name()}
	_, ws := forward(r.Actions)
	for _, w := range ws {
		side := "other"
		switch w.ARN {
		case d.primaryARN():
			side = "primary"
		case d.canaryARN():
			side = "canary"
		}
		s := deploy.Share{Group: w.ARN, Variant: side, Percent: share(r.Actions, w.ARN), Healthy: healthyTargets(health[w.ARN]), Total: len(health[w.ARN])}
		if v := versions[w.ARN]; len(v) > 0 {
			s.Versions = v
		}
		t.Groups = append(t.Groups, s)
	}
	return t
}

func healthyTargets(ts []target) int {
	n := 0
	for _, t := range ts {
		if t.State == "healthy" {
			n++
		}
	}
	return n
}

// joined lists ARNs for a reason, bounded.
func joined(arns []string) string {
	names := make([]string, 0, len(arns))
	for _, a := range arns {
		names = append(names, tail(a))
	}
	if len(names) > 8 {
		names = append(names[:8], fmt.Sprintf("and %d more", len(names)-8))
	}
	return strings.Join(names, ", ")
}
