package ecs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// object is a decoded JSON object.
type object = map[string]any

// Tags besides those that the platforms on AWS share.
const (
	tagRole  = "penstock-role"
	tagToken = "penstock-step"
)

// userTags leaves out what Penstock, PipeCD and AWS set themselves.
func userTags(t tags) tags {
	out := tags{}
	for k, v := range t {
		if !awsaccess.Managed(k) {
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// plainObject brings a value to decoded JSON with AWS's spelling of keys (lower first letter) and without anything that says nothing:
// null, empty, 0, false.
func plainObject(v any) object {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var raw any
	if dec.Decode(&raw) != nil {
		return nil
	}
	o, _ := prune(raw, true).(object)
	return o
}

// prune drops what says nothing. Inside of tag maps and the like (lower false) keys keep their case.
func prune(v any, lower bool) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, e := range v {
			key := k
			if lower && k != "" {
				key = strings.ToLower(k[:1]) + k[1:]
			}
			inner := lower && key != "options" && key != "dockerLabels" && key != "driverOpts" && key != "labels" && key != "tags"
			if p := prune(e, inner); p != nil {
				out[key] = p
			} else if b, ok := e.(bool); ok && key == "essential" {
				out[key] = b
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		var out []any
		for _, e := range v {
			if p := prune(e, lower); p != nil {
				out = append(out, p)
			} else if e == "" {
				out = append(out, e) // an empty argument of a command is one
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case string:
		if v == "" {
			return nil
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && f == 0 {
			return nil
		}
	case bool:
		if !v {
			return nil
		}
	}
	return v
}

// taskView is a task definition as it works: what AWS fills in is filled in or left out on both sides.
func taskView(t *taskDefinition) object {
	if t == nil {
		return nil
	}
	o := plainObject(t)
	delete(o, "tags")
	if m := tagObject(tagMap(t.Tags)); m != nil {
		o["tags"] = m
	}
	taskDefaults(o)
	for _, k := range []string{"cpu", "memory"} {
		if s, ok := o[k].(string); ok {
			o[k] = units(s)
		}
	}
	for _, c := range objects(o["containerDefinitions"]) {
		containerView(c, o["networkMode"])
	}
	return o
}

// units writes cpu and memory as AWS does: ".5 vCPU" is 512, "1 GB" is 1024.
func units(s string) string {
	low := strings.ToLower(strings.TrimSpace(s))
	for _, u := range []string{"vcpu", "gb"} {
		if n, ok := strings.CutSuffix(low, u); ok {
			if f, err := strconv.ParseFloat(strings.TrimSpace(n), 64); err == nil {
				return strconv.Itoa(int(f * 1024))
			}
		}
	}
	return s
}

func sortBy(v any, key string) {
	list, _ := v.([]any)
	slices.SortStableFunc(list, func(a, b any) int {
		x, _ := a.(object)
		y, _ := b.(object)
		s, _ := x[key].(string)
		t, _ := y[key].(string)
		return cmp.Compare(s, t)
	})
}

// shapeView is the placement of a task set as it works.
func shapeView(s setShape) object {
	o := plainObject(s)
	if o == nil {
		o = object{}
	}
	if len(s.Capacity) == 0 && s.LaunchType == "" {
		o["launchType"] = "EC2"
	}
	if s.PlatformVersion == "LATEST" {
		delete(o, "platformVersion")
	}
	sortBy(o["capacityProviderStrategy"], "capacityProvider")
	connectView(o)
	if n, ok := o["networkConfiguration"].(object); ok {
		if v, ok := n["awsvpcConfiguration"].(object); ok {
			if v["assignPublicIp"] == nil {
				v["assignPublicIp"] = "DISABLED"
			}
			sortTexts(v["subnets"])
			sortTexts(v["securityGroups"])
		}
	}
	return o
}

func sortTexts(v any) {
	list, _ := v.([]any)
	slices.SortFunc(list, func(a, b any) int {
		x, _ := a.(string)
		y, _ := b.(string)
		return cmp.Compare(x, y)
	})
}

// fieldsView is the changeable service-level fields; what an EXTERNAL service cannot change is told apart (see fixedView).
func fieldsView(f serviceFields) object {
	changeable := serviceFields{PlacementConstraints: f.PlacementConstraints, PlacementStrategy: f.PlacementStrategy, Grace: f.Grace, ManagedTags: f.ManagedTags, PropagateTags: f.PropagateTags}
	if changeable.PropagateTags == "NONE" {
		changeable.PropagateTags = ""
	}
	o := plainObject(changeable)
	if o == nil {
		o = object{}
	}
	for _, p := range objects(o["placementStrategy"]) {
		switch f, _ := p["field"].(string); strings.ToLower(f) {
		case "host":
			p["field"] = "instanceId" // PlacementStrategy API reference: the two mean the same
		case "cpu", "memory":
			p["field"] = strings.ToUpper(f)
		}
	}
	return o
}

// fixedView is the service-level fields that only a new service can have otherwise, as far as the file sets them.
func fixedView(f serviceFields) object {
	fixed := serviceFields{Deployment: f.Deployment, Exec: f.Exec, Rebalancing: f.Rebalancing}
	if f.Role != "" && !strings.Contains(f.Role, "/aws-service-role/") {
		fixed.Role = f.Role
	}
	o := plainObject(fixed)
	if o == nil {
		o = object{}
	}
	return o
}

// serviceView is everything about a service but its count.
func serviceView(f serviceFields, t tags) object {
	o := fieldsView(f)
	if m := tagObject(t); m != nil {
		o["tags"] = m
	}
	return o
}

// tagObject is the tags that people set, or nil.
func tagObject(t tags) object {
	var m object
	for k, v := range userTags(t) {
		if m == nil {
			m = object{}
		}
		m[k] = v
	}
	return m
}

// desiredView is what the files declare, as it works.
func desiredView(d *desired) object {
	o := object{"taskDefinition": taskView(d.Task)}
	if d.Standalone != nil {
		o["standalone"] = plainObject(d.Standalone)
		o["cluster"] = d.Cluster
		return o
	}
	s := serviceView(d.Service, d.Tags)
	for k, v := range fixedView(d.Service) {
		s[k] = v
	}
	if d.Count > 0 {
		s["desiredCount"] = json.Number(strconv.Itoa(d.Count))
	}
	if d.Native != nil {
		s["deploymentConfiguration"] = configView(d.Service.Deployment)
	}
	o["service"] = object{"name": d.Name, "cluster": d.Cluster, "fields": s}
	o["placement"] = shapeView(d.shape(d.Primary))
	if d.Canary != nil {
		o["canaryTargetGroup"] = d.Canary.ARN
	}
	return o
}

// liveView is the live state as it works: two are equal when users and operators cannot tell them apart. Counts belong to
// autoscalers and identities to AWS; both are left out.
func liveView(s *snapshot) object {
	if s.Service == nil {
		if s.Latest != nil {
			return object{"taskDefinition": taskView(s.Latest.Content)}
		}
		return object{}
	}
	if s.Service.Native != nil {
		return nativeLiveView(s)
	}
	o := object{"service": serviceView(s.Service.Fields, s.Service.Tags)}
	sets := []any{}
	for _, t := range s.Service.Sets {
		if t.Status == statusDraining || t.Status != statusPrimary && t.Scale == 0 {
			continue
		}
		v := object{"primary": t.Status == statusPrimary, "scale": t.Scale, "placement": shapeView(t.Shape), "taskDefinition": taskView(s.Revisions[t.Revision].Content)}
		if s.Revisions[t.Revision].Content == nil {
			v["taskDefinition"] = t.Revision
		}
		sets = append(sets, v)
	}
	slices.SortFunc(sets, func(a, b any) int { return cmp.Compare(platform.Digest(a), platform.Digest(b)) })
	o["taskSets"] = sets
	routes := object{}
	for _, r := range s.Routes {
		routes[r.ARN] = actionsView(r.Actions)
	}
	o["routes"] = routes
	return o
}
