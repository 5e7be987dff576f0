package lambda

import (
	"fmt"
	"strings"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// manifestKind is the kind word of a function manifest.
const manifestKind = "LambdaFunction"

// Bounds of the Lambda API (API reference of CreateFunction).
const (
	minMemory, maxMemory   = 128, 32768 // MB
	maxTimeout             = 900        // seconds
	minStorage, maxStorage = 512, 10240 // MB
	maxLayers              = 5
	defaultArchitecture    = "x86_64"
)

// decodeManifest reads a function manifest. Keys that it does not know are warnings.
func decodeManifest(d *spec.Decoder, root spec.Node, des *desired) {
	env := d.Object(root.WithLenient())
	var version, kind string
	env.Required("apiVersion", "kind", "spec")
	env.Enum("apiVersion", &version, "", spec.APIVersion)
	env.Enum("kind", &kind, "", manifestKind)
	o := env.Object("spec")
	o.Required("name", "role", "memory", "timeout")
	o.String("name", &des.Name)
	if len(des.Name) > 64 || strings.Trim(des.Name, nameLetters) != "" {
		o.Fail("name", "the name alone, not an ARN", "must be 1 to 64 letters, digits, - and _, found %q", des.Name)
	}
	c := &des.Config
	o.String("role", &c.Role)
	if c.Role != "" && (!strings.HasPrefix(c.Role, "arn:") || !strings.Contains(c.Role, ":role/")) {
		o.Fail("role", "arn:aws:iam::123456789012:role/name", "must be the ARN of a role, found %q", c.Role)
	}
	c.Memory = bounded(o, "memory", 0, minMemory, maxMemory)
	c.Timeout = bounded(o, "timeout", 0, 1, maxTimeout)
	storage := o.Object("ephemeralStorage")
	c.Storage = bounded(storage, "size", minStorage, minStorage, maxStorage)
	decodeSource(o, des)
	decodeArchitecture(o, c)
	o.StringMap("environments", &c.Environment)
	o.StringMap("tags", &des.Tags)
	decodeTags(o, des.Tags)
	o.Strings("layers", &c.Layers)
	if len(c.Layers) > maxLayers {
		o.Fail("layers", "", "a function has at most %d layers, found %d", maxLayers, len(c.Layers))
	}
	if len(c.Layers) > 0 && des.Source.Image != "" {
		o.Fail("layers", "put the layers' content into the image", "a function from an image has no layers")
	}
	vpc := o.Object("vpcConfig")
	vpc.Strings("securityGroupIds", &c.SecurityGroups)
	vpc.Strings("subnetIds", &c.Subnets)
	if (len(c.SecurityGroups) == 0) != (len(c.Subnets) == 0) {
		o.Fail("vpcConfig", "give both, or leave vpcConfig out", "securityGroupIds and subnetIds work only together")
	}
}

// bounded reads a whole number within bounds; absent is def.
func bounded(o *spec.Object, key string, def, least, most int) int32 {
	n := def
	o.IntOr(key, &n, def)
	if o.Has(key) && (n < least || n > most) {
		o.Fail(key, "", "must be between %d and %d, found %d", least, most, n)
		return int32(def)
	}
	return int32(n)
}

// decodeSource reads where the code comes from: an image, else an object of S3. Git is understood and refused.
func decodeSource(o *spec.Object, des *desired) {
	s, c := &des.Source, &des.Config
	o.String("image", &s.Image)
	o.String("s3Bucket", &s.Bucket)
	o.String("s3Key", &s.Key)
	o.String("s3ObjectVersion", &s.ObjectVersion)
	from, unused := o.Object("source"), ""
	for _, key := range []string{"git", "ref", "path"} {
		from.String(key, &unused)
	}
	o.String("handler", &c.Handler)
	o.String("runtime", &c.Runtime)
	switch {
	case s.Image != "":
		for _, key := range []string{"s3Bucket", "s3Key", "s3ObjectVersion", "source", "handler", "runtime"} {
			if o.Has(key) {
				o.Warn(key, "remove it, or image", "has no effect: the code is the image")
			}
		}
		*s = source{Image: s.Image}
		c.Handler, c.Runtime = "", ""
		return
	case s.Bucket != "":
		o.Required("s3Key")
		if o.Has("source") {
			o.Warn("source", "remove it, or s3Bucket", "has no effect: the code is the object in S3")
		}
		*s = source{Bucket: s.Bucket, Key: s.Key, ObjectVersion: s.ObjectVersion}
		if s.ObjectVersion == "" {
			o.Warn("s3Bucket", "turn versioning of the bucket on and give s3ObjectVersion", "names an object without its version: what lies under the key may change without a commit, and is not deployed then")
		}
	case from.Exists():
		o.Fail("source", "build the zip in CI and name it with s3Bucket, s3Key and s3ObjectVersion", "functions are not built from git by this version")
		return
	default:
		o.Fail("image", "give image, or s3Bucket and s3Key", "the manifest names no code")
		return
	}
	o.Required("handler", "runtime")
}

func decodeArchitecture(o *spec.Object, c *config) {
	c.Architecture = defaultArchitecture
	list := o.Objects("architectures")
	for i, a := range list {
		a.Required("name")
		name := ""
		a.Enum("name", &name, defaultArchitecture, defaultArchitecture, "arm64")
		if i == 0 {
			c.Architecture = name
		}
	}
	if len(list) > 1 {
		o.Fail("architectures", "leave one of them", "a function has one architecture, found %d", len(list))
	}
}

// decodeTags refuses what would get in the way of the tags by which functions are found again.
func decodeTags(o *spec.Object, given tags) {
	for key := range given {
		if awsaccess.Managed(key) {
			o.Fail("tags", fmt.Sprintf("remove %s", key), "the tag %q belongs to the deployment", key)
		}
	}
	if len(given) > maxUserTags {
		o.Fail("tags", "", "a function has at most 50 tags, and %d of them belong to the deployment; found %d", 50-maxUserTags, len(given))
	}
}

// maxUserTags leaves place for our own: a resource has at most 50 (Lambda developer guide, "Tag quotas").
const maxUserTags = 42
