package ecs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/penstock-cd/penstock/internal/platform"
)

// serving notes which target group has the users' requests.
func (o *observation) serving() {
	s := o.snap.Service
	if s == nil || s.Native == nil {
		return
	}
	if p := s.primary(); p != nil {
		s.Native.Serving = p.Group
	}
	for _, r := range ruleNamed(o.snap.Routes, s.Native.Rule) {
		best := 0.0
		_, ws := forward(r.Actions)
		for _, w := range ws {
			if sh := share(r.Actions, w.ARN); sh > best {
				best, s.Native.Serving = sh, w.ARN
			}
		}
	}
}

// nativeFields is what can be changed on a service of the ECS controller besides its tasks and its count.
func nativeFields(f serviceFields, t tags) object {
	o := serviceView(f, t)
	o["deploymentConfiguration"] = configView(f.Deployment)
	if f.Exec {
		o["enableExecuteCommand"] = true
	}
	return o
}

// nativeLiveView is the live state of a service of the ECS controller as it works. Which of the two target groups serves changes with every deployment and
// is no difference; how the requests are shared out is one.
func nativeLiveView(s *snapshot) object {
	o := object{"service": nativeFields(s.Service.Fields, s.Service.Tags), "placement": shapeView(s.Service.Native.Shape)}
	sets := []any{}
	for _, t := range s.Service.Sets {
		if t.Status == statusDraining || t.Status != statusPrimary && t.Scale == 0 {
			continue
		}
		v := object{"primary": t.Status == statusPrimary, "taskDefinition": taskView(s.Revisions[t.Revision].Content), "serves": t.Group == s.Service.Native.Serving}
		if s.Revisions[t.Revision].Content == nil {
			v["taskDefinition"] = t.Revision
		}
		sets = append(sets, v)
	}
	slices.SortFunc(sets, func(a, b any) int { return cmp.Compare(platform.Digest(a), platform.Digest(b)) })
	o["revisions"] = sets
	for _, r := range ruleNamed(s.Routes, s.Service.Native.Rule) {
		o["served"] = fmt.Sprintf("%.0f %%", share(r.Actions, s.Service.Native.Serving))
	}
	return o
}

// nativeDrift compares files and live state where one of them is of the ECS controller.
func nativeDrift(d *desired, s *snapshot, want, have object) (object, object) {
	want["deploymentController"], have["deploymentController"] = d.controller(), s.Service.Controller
	if s.Service.Native == nil || d.Native == nil {
		return want, have
	}
	w, h := nativeFields(d.Service, d.Tags), nativeFields(s.Service.Fields, s.Service.Tags)
	if d.Count > s.Service.Count {
		w["desiredCount"], h["desiredCount"] = json.Number(strconv.Itoa(d.Count)), json.Number(strconv.Itoa(s.Service.Count))
	}
	want["service"], have["service"] = w, h
	shape := shapeView(s.Service.Native.Shape)
	if v := d.Shape.PlatformVersion; v == "" || v == "LATEST" {
		delete(shape, "platformVersion") // AWS shows what LATEST was resolved to
	}
	connectDrift(d.Shape.Connect, want["placement"], shape)
	have["placement"] = shape
	if t := s.primary(); t != nil {
		have["taskDefinition"] = taskView(s.Revisions[t.Revision].Content)
	}
	for _, r := range ruleNamed(s.Routes, s.Service.Native.Rule) {
		if got := share(r.Actions, s.Service.Native.Serving); !near(got, 100) {
			have["traffic"] = object{r.ARN: fmt.Sprintf("%.4g %% to one version", got)}
		}
	}
	return want, have
}
