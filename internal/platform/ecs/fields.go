package ecs

import (
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/internal/spec"
)

// verdict is what becomes of a field of the API in a service file.
type verdict string

// The verdicts. There is no other: a field of a newer SDK fails the test that walks all of them until it has one.
const (
	verdictService verdict = "service"  // written to the service, and back on the way back
	verdictTaskSet verdict = "task-set" // the new task set is created with it
	verdictFixed   verdict = "fixed"    // written when the service is created; a difference later needs a new service, and the plan says so
	verdictChecked verdict = "checked"  // only one value is accepted
	verdictNone    verdict = "none"     // cannot be had in a service of this controller; said as a warning
	verdictOurs    verdict = "ours"     // set by Penstock: identities and tokens
)

// fieldVerdict is a verdict with the reason where a reader of the file needs one.
type fieldVerdict struct {
	verdict
	why, hint string
}

// serviceVerdicts is the verdict of every field of CreateService and UpdateService, by its name in the SDK. With the EXTERNAL
// controller CreateService takes only what does not belong to a task set, CreateTaskSet takes seven fields of a service, and
// UpdateService changes five and the count (API reference of the three).
func serviceVerdicts() map[string]fieldVerdict {
	out := map[string]fieldVerdict{
		"LoadBalancers":        {verdictNone, "load balancers belong to task sets", "name the target groups in input.targetGroups"},
		"TaskDefinition":       {verdictNone, "the task definition is the file that input.taskDefinitionFile names", "remove it"},
		"DeploymentController": {verdict: verdictChecked},
	}
	for _, f := range []string{"DesiredCount", "PlacementConstraints", "PlacementStrategy", "HealthCheckGracePeriodSeconds", "EnableECSManagedTags", "PropagateTags", "Tags"} {
		out[f] = fieldVerdict{verdict: verdictService}
	}
	for _, f := range []string{"NetworkConfiguration", "LaunchType", "CapacityProviderStrategy", "PlatformVersion", "ServiceRegistries"} {
		out[f] = fieldVerdict{verdict: verdictTaskSet}
	}
	for _, f := range []string{"DeploymentConfiguration", "Role", "EnableExecuteCommand", "SchedulingStrategy", "AvailabilityZoneRebalancing"} {
		out[f] = fieldVerdict{verdict: verdictFixed}
	}
	for _, f := range []string{"ServiceName", "Cluster", "Service", "ClientToken", "ForceNewDeployment"} {
		out[f] = fieldVerdict{verdict: verdictOurs}
	}
	const hint = "remove it; services that need it have the controller ECS"
	for f, what := range map[string]string{
		"ServiceConnectConfiguration": "Service Connect", "VolumeConfigurations": "volumes that are set up at launch", "VpcLatticeConfigurations": "VPC Lattice",
		"Monitoring": "its own monitoring", "GatewayConnectors": "gateway connectors",
	} {
		out[f] = fieldVerdict{verdictNone, "a task set of a service with the EXTERNAL controller cannot have " + what, hint}
	}
	return out
}

// nativeNone are the fields that the ECS controller knows and a deployment does not write.
func nativeNone() []string {
	return []string{"VolumeConfigurations", "VpcLatticeConfigurations", "Monitoring", "GatewayConnectors"}
}

// withoutEffect warns of fields that are understood and cannot be had. What has no verdict is unknown to the API, or is what
// DescribeServices shows besides.
func (l *loader) withoutEffect(n spec.Node, des *desired) {
	for name, v := range serviceVerdicts() {
		if des.Native != nil {
			if !slices.Contains(nativeNone(), name) {
				continue
			}
			v.why, v.hint = "deployments do not write it, and leave what the service has", "remove it, and set it up beside Penstock"
		} else if v.verdict != verdictNone {
			continue
		}
		for _, key := range n.Keys() {
			at := n.Get(key)
			if strings.EqualFold(key, name) && at.Exists() && len(at.Items())+len(at.Keys())+len(at.Text()) > 0 {
				l.d.Warn(at, v.hint, "has no effect: %s", v.why)
			}
		}
	}
}

// laterFields are the keys of a service file that the live service does not have under this name.
func laterFields() []string {
	return []string{
		"cluster", "role", "clientToken", "forceNewDeployment", "service",
		"serviceConnectConfiguration", "volumeConfigurations", "vpcLatticeConfigurations", "monitoring", "gatewayConnectors",
	}
}
