package lambda

import (
	"maps"
	"slices"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// object is a decoded JSON object.
type object = map[string]any

// Tags besides those that the platforms on AWS share: which source the code of $LATEST came from, and what AWS made of it.
const (
	tagSource = "penstock-source"
	tagCode   = "penstock-code-sha256"
)

// userTags leaves out what Penstock, PipeCD and AWS set themselves.
func userTags(t tags) tags {
	out := tags{}
	for k, v := range t {
		if !awsaccess.Managed(k) {
			out[k] = v
		}
	}
	return out
}

// configView is a configuration as it works: what AWS takes where nothing is said is filled in, what has no order is sorted.
// The order of layers has a meaning.
func configView(c config) object {
	o := object{"role": c.Role, "memory": c.Memory, "timeout": c.Timeout, "ephemeralStorage": object{"size": max(c.Storage, minStorage)}}
	arch := c.Architecture
	if arch == "" {
		arch = defaultArchitecture
	}
	o["architecture"] = arch
	if c.Handler != "" {
		o["handler"] = c.Handler
	}
	if c.Runtime != "" {
		o["runtime"] = c.Runtime
	}
	if len(c.Environment) > 0 {
		env := object{}
		for k, v := range c.Environment {
			env[k] = v
		}
		o["environments"] = env
	}
	if len(c.Layers) > 0 {
		o["layers"] = texts(c.Layers)
	}
	if len(c.Subnets)+len(c.SecurityGroups) > 0 {
		o["vpcConfig"] = object{"subnetIds": texts(sorted(c.Subnets)), "securityGroupIds": texts(sorted(c.SecurityGroups))}
	}
	return o
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func tagView(t tags) object {
	out := object{}
	for k, v := range userTags(t) {
		out[k] = v
	}
	return out
}

// sourceView is where code comes from, in the words of a manifest.
func sourceView(s source) object {
	if s.Image != "" {
		return object{"image": s.Image}
	}
	o := object{"s3Bucket": s.Bucket, "s3Key": s.Key}
	if s.ObjectVersion != "" {
		o["s3ObjectVersion"] = s.ObjectVersion
	}
	return o
}

// desiredView is what the files declare, as it works.
func desiredView(d *desired) object {
	return object{"name": d.Name, "alias": d.Alias, "function": configView(d.Config), "code": sourceView(d.Source), "tags": tagView(d.Tags)}
}

// contentView is a version by what it does when it is invoked; its number and its time are none of that.
func contentView(v version) object {
	o := configView(v.Config)
	o["codeSha256"], o["package"] = v.Sha, v.Package
	return o
}

// liveView is the live state as it works: two are equal when users cannot tell them apart. What lies in $LATEST serves nobody.
func liveView(s *snapshot) object {
	if s.Function == nil {
		return object{}
	}
	o := object{"name": s.Function.Name, "tags": tagView(s.Function.Tags)}
	if s.Alias == nil {
		return o
	}
	shares := object{}
	for _, n := range s.Alias.numbers() {
		key := platform.Digest(contentView(s.Versions[n]))
		have, _ := shares[key].(float64)
		shares[key] = have + s.Alias.percent(n)
	}
	o["alias"] = shares
	return o
}

// codeOf is where the code of a live version came from, in the words of a manifest: AWS tells it of images; of zips the tags
// of the function do, as long as nobody else has uploaded since.
func codeOf(v version, t tags, d *desired) object {
	if v.Image != "" {
		return object{"image": v.Image}
	}
	if t[tagCode] == v.Sha && t[tagSource] == d.Source.id() {
		return sourceView(d.Source)
	}
	return object{"sha256": v.Sha}
}

// merged is a with what b says on top.
func merged(a, b tags) tags {
	out := maps.Clone(a)
	if out == nil {
		out = tags{}
	}
	maps.Copy(out, b)
	return out
}
