package ecs

import "encoding/json"

// objects are the objects of a decoded list.
func objects(v any) []object {
	list, _ := v.([]any)
	var out []object
	for _, e := range list {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

// without deletes keys whose value is what AWS takes when nothing is said; an object that says nothing more is dropped.
func without(parent object, key string, defaults map[string]string) {
	o, ok := parent[key].(object)
	if !ok {
		return
	}
	for k, v := range defaults {
		if o[k] == v {
			delete(o, k)
		}
	}
	if len(o) == 0 {
		delete(parent, key)
	}
}

// taskDefaults drops the defaults of a task definition (API reference of RegisterTaskDefinition and of its types), and brings
// into order what has none.
func taskDefaults(o object) {
	if o["networkMode"] == "bridge" {
		delete(o, "networkMode")
	}
	without(o, "runtimePlatform", map[string]string{"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"})
	if p, ok := o["proxyConfiguration"].(object); ok {
		sortBy(p["properties"], "name")
		without(o, "proxyConfiguration", map[string]string{"type": "APPMESH"})
	}
	sortTexts(o["requiresCompatibilities"])
	for _, v := range objects(o["volumes"]) {
		without(v, "dockerVolumeConfiguration", map[string]string{"scope": "task", "driver": "local"})
		if e, ok := v["efsVolumeConfiguration"].(object); ok {
			without(e, "authorizationConfig", map[string]string{"iam": "DISABLED"})
			without(v, "efsVolumeConfiguration", map[string]string{"rootDirectory": "/", "transitEncryption": "DISABLED"})
		}
	}
	sortBy(o["volumes"], "name")
}

// containerView brings a container to how it works.
func containerView(c object, network any) {
	if _, ok := c["essential"]; !ok {
		c["essential"] = true
	}
	if c["versionConsistency"] == "enabled" {
		delete(c, "versionConsistency")
	}
	for list, key := range map[string]string{"environment": "name", "secrets": "name", "ulimits": "name", "mountPoints": "containerPath", "systemControls": "namespace"} {
		sortBy(c[list], key)
	}
	for _, p := range objects(c["portMappings"]) {
		if _, ok := p["protocol"]; !ok {
			p["protocol"] = "tcp"
		}
		if (network == "awsvpc" || network == "host") && p["hostPort"] == p["containerPort"] {
			delete(p, "hostPort")
		}
	}
	fillIn(c["healthCheck"], map[string]string{"interval": "30", "timeout": "5", "retries": "3"})
	fillIn(c["restartPolicy"], map[string]string{"restartAttemptPeriod": "300"})
	if l, ok := c["linuxParameters"].(object); ok {
		if caps, ok := l["capabilities"].(object); ok {
			sortTexts(caps["add"])
			sortTexts(caps["drop"])
		}
	}
}

// fillIn sets numbers that are not said to what AWS takes then.
func fillIn(v any, defaults map[string]string) {
	o, ok := v.(object)
	if !ok {
		return
	}
	for k, n := range defaults {
		if _, ok := o[k]; !ok {
			o[k] = json.Number(n)
		}
	}
}
