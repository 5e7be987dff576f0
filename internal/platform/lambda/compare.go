package lambda

import (
	"fmt"

	"github.com/penstock-cd/penstock/internal/change"
	"github.com/penstock-cd/penstock/internal/platform"
)

// diffOptions say how two views are compared: values of the environment are never shown.
func diffOptions() change.Options {
	return change.Options{Sensitive: []string{"**.environments.*"}, Noise: []string{"filledIn.**"}}
}

// Compare implements platform.Platform. Two desired states are compared whole, two live states by effect. Desired against
// live is drift: of the configuration what a manifest can say, of the code where it came from, of the alias that all of it
// goes to one version.
func (*Platform) Compare(from, to platform.State) (change.Changes, error) {
	return platform.Compare(from, to, platform.Views[desired, snapshot]{Desired: desiredView, Live: shownView, Drift: driftViews, Options: diffOptions()})
}

// driftViews bring both sides to what can be compared and changed.
func driftViews(d *desired, s *snapshot) (want, have object) {
	want = object{"function": configView(d.Config), "code": sourceView(d.Source), "tags": tagView(d.Tags)}
	have = object{}
	if s.Function == nil {
		return want, have
	}
	have["tags"] = tagView(s.Function.Tags)
	have["filledIn"] = filledIn(s)
	v := s.serving()
	if v == nil {
		return want, have
	}
	have["function"], have["code"] = configView(v.Config), codeOf(*v, s.Function.Tags, d)
	if len(s.Alias.numbers()) > 1 {
		have["traffic"] = object{d.Alias: s.Alias.text()}
	}
	return want, have
}

// filledIn is what only a live state has: shown beside a difference and never part of one.
func filledIn(s *snapshot) object {
	o := object{"arn": s.Function.ARN, "latest": object{"state": s.Function.Latest.State, "lastUpdateStatus": s.Function.Latest.Update, "modified": s.Function.Latest.Modified}}
	if s.Alias != nil {
		o["alias"] = object{"arn": s.Alias.ARN, "version": s.Alias.Version}
	}
	return o
}

// shownView is liveView with names that people know in place of hashes.
func shownView(s *snapshot) object {
	o := object{}
	if s.Function == nil {
		return o
	}
	o["tags"] = tagView(s.Function.Tags)
	if s.Alias == nil {
		return o
	}
	served := object{}
	for _, n := range s.Alias.numbers() {
		v := contentView(s.Versions[n])
		v["share"] = fmt.Sprintf("%.4g %%", s.Alias.percent(n))
		served[label(s.Versions[n])] = v
	}
	o["versions"] = served
	return o
}
