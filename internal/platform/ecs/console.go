package ecs

import (
	"net/url"
	"strings"
)

// consoleURL is where the AWS console shows a resource, "" where it has no such page or the partition has a console of its
// own that we have not seen. Addresses are those that the console itself shows.
func consoleURL(kind, arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[1] != "aws" {
		return ""
	}
	region, res := parts[3], strings.Split(parts[5], "/")
	ecs := "https://" + region + ".console.aws.amazon.com/ecs/v2/"
	switch {
	case kind == "Service" && len(res) == 3:
		return ecs + "clusters/" + url.PathEscape(res[1]) + "/services/" + url.PathEscape(res[2]) + "/health?region=" + region
	case kind == "TaskSet" && len(res) == 4:
		return ecs + "clusters/" + url.PathEscape(res[1]) + "/services/" + url.PathEscape(res[2]) + "/deployments?region=" + region
	case kind == "Task" && len(res) == 3:
		return ecs + "clusters/" + url.PathEscape(res[1]) + "/tasks/" + url.PathEscape(res[2]) + "/configuration?region=" + region
	case kind == "TaskDefinition" && len(res) == 2:
		family, revision, _ := strings.Cut(res[1], ":")
		return ecs + "task-definitions/" + url.PathEscape(family) + "/" + url.PathEscape(revision) + "/containers?region=" + region
	case kind == "TargetGroup":
		return "https://" + region + ".console.aws.amazon.com/ec2/home?region=" + region + "#TargetGroup:targetGroupArn=" + arn
	case kind == "ListenerRule" && strings.HasPrefix(parts[5], "listener-rule/"):
		return "https://" + region + ".console.aws.amazon.com/ec2/home?region=" + region + "#ListenerRuleDetails:ruleArn=" + arn
	}
	return ""
}
