package ecs

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/spec"
)

// FileClaims implements platform.Claimant: the service and its target groups, or the family of a standalone task. A target
// group lies in the account and region of its service, so its ARN tells where a cluster is that is given by name only.
func (*Platform) FileClaims(app *spec.Application, d platform.Desired) []platform.FileClaim {
	var des desired
	if err := json.Unmarshal(d.Body, &des); err != nil {
		return nil // the files have errors of their own
	}
	if des.Standalone != nil {
		return []platform.FileClaim{{
			Kind: "task family", Name: aws.ToString(des.Task.Family), Scope: arnScope(des.Cluster), Shared: true, At: app.Input.Get("taskDefinitionFile"),
		}}
	}
	var out []platform.FileClaim
	scope := arnScope(des.Cluster)
	for _, side := range []struct {
		key   string
		group *targetGroup
	}{{"primary", des.Primary}, {"canary", des.Canary}} {
		if side.group == nil {
			continue
		}
		scope = cmp.Or(scope, arnScope(side.group.ARN))
		at := app.Input.Get("targetGroups").Get(side.key).Get("targetGroupArn")
		out = append(out, platform.FileClaim{Kind: "target group", Name: side.group.ARN, Scope: "arn", At: at})
	}
	cluster := cmp.Or(des.Cluster[strings.LastIndex(des.Cluster, "/")+1:], "default")
	return append(out, platform.FileClaim{Kind: "service", Name: cluster + "/" + des.Name, Scope: scope, At: app.Input.Get("serviceDefinitionFile")})
}

// arnScope is account and region of an ARN; empty for anything else.
func arnScope(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || parts[3] == "" || parts[4] == "" {
		return ""
	}
	return parts[4] + "/" + parts[3]
}
