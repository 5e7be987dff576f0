package spec

import (
	"slices"
	"strings"
)

// platformOfPlugins finds the platform of a file of kind Application: the one platform named under spec.plugins, else the
// one that all platform stages belong to.
func (r *appReader) platformOfPlugins(n Node) bool {
	plugins := n.Get("plugins")
	var found []KindInfo
	for _, k := range r.kinds {
		if k.Plugin != "" && plugins.Get(k.Plugin).Kind() != MissingNode {
			found = append(found, k)
		}
	}
	if len(found) == 0 && !plugins.Get("kubernetes_multicluster").Exists() {
		found = r.platformsOfStages(n.Get("pipeline").Get("stages"))
	}
	switch len(found) {
	case 1:
		r.info = found[0]
		r.app.Platform = r.info.Platform
		return true
	case 0:
		r.d.Fail(plugins, "name one of "+strings.Join(r.pluginNames(), ", ")+" there", "no platform: a file of kind Application names its platform under spec.plugins")
	default:
		r.d.Fail(plugins, "split the file into one application per platform", "%s and %s are both given; an application has one platform", found[0].Plugin, found[1].Plugin)
	}
	return false
}

func (r *appReader) platformsOfStages(stages Node) []KindInfo {
	var out []KindInfo
	for _, k := range r.kinds {
		for _, s := range stages.Items() {
			if slices.Contains(k.Stages, s.Get("name").Text()) {
				out = append(out, k)
				break
			}
		}
	}
	return out
}

func (r *appReader) pluginNames() []string {
	var out []string
	for _, k := range r.kinds {
		if k.Plugin != "" {
			out = append(out, k.Plugin)
		}
	}
	return out
}

// pluginPart takes input and quickSync from the platform's section; a value there wins over one directly under spec.
func (r *appReader) pluginPart(o *Object) {
	a := r.app
	plugins := o.Object("plugins")
	section := plugins.Object(r.info.Plugin)
	a.Section = section.Self()
	section.Ignore(r.info.Fields...)
	if r.info.Kind == TerraformApp {
		section.Ignore(terraformFlat()...)
	}
	for key, dst := range map[string]*Node{"input": &a.Input, "quickSync": &a.QuickSync} {
		inner := section.Node(key)
		if inner.Exists() && dst.Exists() {
			r.d.Warn(*dst, "remove it", "not used, because spec.plugins.%s.%s is given", r.info.Plugin, key)
		}
		if inner.Exists() || !dst.Exists() {
			*dst = inner
		}
	}
	for _, helper := range []string{"wait", "waitapproval", "scriptrun"} {
		plugins.Object(helper)
	}
	plugins.Object("analysis").Ignore("appCustomArgs")
}

// terraformFlat are the keys that the plugin form of Terraform has without an input level.
func terraformFlat() []string {
	return []string{"workspace", "terraformVersion", "vars", "varFiles", "commandFlags", "commandEnvs"}
}
