package lambda

import (
	"fmt"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/internal/deploy"
	"github.com/penstock-cd/penstock/internal/platform"
)

// label is what people call a version: what it was published as, its image's tag, or its number.
func label(v version) string {
	if name, _, ours := strings.Cut(v.Description, mark); ours && name != "" {
		return name
	}
	if v.Image != "" {
		_, tag := platform.SplitImage(v.Image)
		return tag
	}
	return "version " + v.Number
}

// mark stands in the description of a version that Penstock published, behind its label and before the token.
const mark = " (penstock "

// describe is the description of a version.
func describe(d *desired, token string) string {
	name := versionOf(d).Version
	if len(name) > 180 { // a description has at most 256 characters
		name = name[:180]
	}
	return name + mark + token + ")"
}

func liveVersion(v version) deploy.Version {
	if v.Image != "" {
		name, tag := platform.SplitImage(v.Image)
		return deploy.Version{Kind: "CONTAINER_IMAGE", Name: name, Version: tag, URL: v.Image}
	}
	return deploy.Version{Kind: "LAMBDA_VERSION", Name: v.Number, Version: label(v)}
}

// state renders the observation as a resource tree: function, alias, the versions that the alias sends to.
func state(s *snapshot, d *desired) deploy.LiveState {
	out := deploy.LiveState{Health: deploy.HealthUnknown}
	f := s.Function
	if f == nil {
		return out
	}
	fields := environment(f.Latest.Config)
	fields["latest"] = f.Latest.Sha
	out.Resources = append(out.Resources, deploy.Resource{
		ID: f.ARN, Kind: "Function", Name: f.Name, Health: health(f.Latest), Status: status(f.Latest), Fields: fields, Reason: trouble(f.Name, f.Latest), Created: modified(f.Latest),
	})
	if s.Alias == nil {
		out.Health = deploy.HealthOf(out.Resources)
		return out
	}
	out.Resources = append(out.Resources, deploy.Resource{
		ID: s.Alias.ARN, Parent: f.ARN, Kind: "Alias", Name: d.Alias, Health: deploy.HealthHealthy, Status: s.Alias.text(), Fields: map[string]string{"version": s.Alias.Version},
	})
	for _, n := range s.Alias.numbers() {
		v := s.Versions[n]
		fields := environment(v.Config)
		fields["codeSha256"], fields["share"] = v.Sha, fmt.Sprintf("%.4g %%", s.Alias.percent(n))
		if v.Image != "" {
			fields["image"] = v.Image
		}
		out.Resources = append(out.Resources, deploy.Resource{
			ID: v.ARN, Parent: s.Alias.ARN, Kind: "Version", Name: n, Health: health(v), Status: v.State, Variant: variant(s.Alias, n), Version: label(v), Fields: fields,
			Reason: trouble(f.Name, v), Created: modified(v),
		})
	}
	out.Traffic = []deploy.Traffic{traffic(d, s.Alias, s.Versions)}
	out.Health = deploy.HealthOf(out.Resources)
	return out
}

// variant says which side of the alias a version is: the alias's own version is the primary one.
func variant(a *alias, number string) string {
	if number == a.Version {
		return "primary"
	}
	return "canary"
}

// traffic is the alias in the contract's words. A version counts as one target, healthy while it is Active.
func traffic(d *desired, a *alias, versions map[string]version) deploy.Traffic {
	t := deploy.Traffic{Route: d.Name + ":" + d.Alias}
	for _, n := range a.numbers() {
		v, known := versions[n]
		s := deploy.Share{Group: n, Variant: variant(a, n), Percent: a.percent(n), Total: 1}
		if known && works(v) {
			s.Healthy, s.Versions = 1, map[string]int{label(v): 1}
		}
		t.Groups = append(t.Groups, s)
	}
	return t
}

// works reports whether a version can be invoked. One that was idle for weeks is Inactive and wakes up when it is.
func works(v version) bool {
	return v.State == stateActive || v.State == stateInactive || v.State == ""
}

func health(v version) deploy.Health {
	switch {
	case v.broken() != "":
		return deploy.HealthUnhealthy
	case v.busy() != "":
		return deploy.HealthProgressing
	}
	return deploy.HealthHealthy
}

func status(v version) string {
	if v.Update != "" && v.Update != "Successful" {
		return v.State + ", update " + v.Update
	}
	return v.State
}

func trouble(name string, v version) deploy.Reason {
	if why := v.broken(); why != "" {
		return deploy.Why(ReasonBroken, "function", name, "version", v.Number, "reason", why)
	}
	if state := v.busy(); state != "" {
		return deploy.Why(ReasonUpdating, "function", name, "state", state)
	}
	return deploy.Reason{}
}

// modified is when a version was made, as far as AWS's text tells (ISO 8601 without a colon in the zone).
func modified(v version) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05.000-0700", v.Modified)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// environment lists the names of environment variables with masked values, and what else people look for.
func environment(c config) map[string]string {
	f := map[string]string{"memory": fmt.Sprintf("%d MB", c.Memory), "timeout": fmt.Sprintf("%d s", c.Timeout), "architecture": c.Architecture, "role": c.Role}
	if c.Runtime != "" {
		f["runtime"], f["handler"] = c.Runtime, c.Handler
	}
	for k := range c.Environment {
		f["env/"+k] = "••••"
	}
	return f
}
