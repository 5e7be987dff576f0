package ecs

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/platform"
)

// diffOptions say how two views are compared: environment values, secrets in log options and the like are never shown.
func diffOptions() change.Options {
	return change.Options{
		Keys: map[string]string{"**.containerDefinitions": "name", "**.environment": "name", "**.secrets": "name", "**.volumes": "name", "**.mountPoints": "containerPath"},
		Sensitive: []string{
			"**.environment.*.value", "**.repositoryCredentials.**", "**.logConfiguration.options.*", "**.dockerLabels.*",
			"**.proxyConfiguration.properties.*.value",
		},
		Noise: []string{"filledIn.**"},
	}
}

// Compare implements platform.Platform. Two desired states are compared whole, two live states by effect. Desired against
// live is drift: what an autoscaler owns, what AWS fills in and what no deployment could change are left out, and a field
// that was removed from the file but lives on is drift too.
func (*Platform) Compare(from, to platform.State) (change.Changes, error) {
	return platform.Compare(from, to, platform.Views[desired, snapshot]{Desired: desiredView, Live: liveView, Drift: driftViews, Options: diffOptions()})
}

// filledIn is what only a live state has: identities, counts, states and the tags by which objects are found again. It is
// shown beside a difference and never part of one.
func filledIn(s *snapshot) object {
	o := object{"service": object{
		"arn": s.Service.ARN, "status": s.Service.Status, "desiredCount": s.Service.Count, "runningCount": s.Service.Running, "pendingCount": s.Service.Pending,
		"tags": s.Service.Tags,
	}}
	if t := s.primary(); t != nil {
		o["taskSet"] = object{"id": t.ID, "taskDefinition": t.Revision, "computedDesiredCount": t.Computed, "platformVersion": t.Shape.PlatformVersion, "steady": t.Steady, "tags": t.Tags}
	}
	return o
}

// driftViews bring both sides to what can be compared and changed.
func driftViews(d *desired, s *snapshot) (want, have object) {
	want = object{"taskDefinition": taskView(d.Task)}
	have = object{}
	if d.Standalone != nil {
		if s.Latest != nil {
			have["taskDefinition"] = taskView(s.Latest.Content)
		}
		return want, have
	}
	want["service"] = serviceView(d.Service, d.Tags)
	want["placement"] = placementOf(d, shapeView(d.shape(d.Primary)))
	if s.Service == nil {
		return want, have
	}
	live := serviceView(s.Service.Fields, s.Service.Tags)
	have["service"] = live
	have["filledIn"] = filledIn(s)
	if d.Native != nil || s.Service.Native != nil {
		return nativeDrift(d, s, want, have)
	}
	if d.Count > s.Service.Count {
		want["service"].(object)["desiredCount"] = json.Number(strconv.Itoa(d.Count))
		live["desiredCount"] = json.Number(strconv.Itoa(s.Service.Count))
	}
	if t := s.primary(); t != nil {
		have["taskDefinition"] = taskView(s.Revisions[t.Revision].Content)
		have["placement"] = placementOf(d, shapeView(t.Shape))
	}
	if arn := d.canaryARN(); arn != "" {
		for _, r := range s.Routes {
			if mentions(r.Actions, d.primaryARN()) && share(r.Actions, arn) > 0 {
				have["traffic"] = object{r.ARN: fmt.Sprintf("%.4g %% to the canary group", share(r.Actions, arn))}
			}
		}
	}
	return want, have
}

// placementOf leaves out what AWS chooses where the file says nothing: the platform version that LATEST was resolved to, and
// what the cluster's own strategy says where the tasks run.
func placementOf(d *desired, shape object) object {
	if v := d.Shape.PlatformVersion; v == "" || v == "LATEST" {
		delete(shape, "platformVersion")
	}
	if d.Shape.LaunchType == "" && len(d.Shape.Capacity) == 0 {
		delete(shape, "launchType")
		delete(shape, "capacityProviderStrategy")
	}
	return shape
}
