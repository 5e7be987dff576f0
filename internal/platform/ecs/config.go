package ecs

import (
	"cmp"
	"time"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// defaultSettle is how long load balancers are given to apply a weight (architecture, rule 10).
const defaultSettle = 30 * time.Second

// provider is the `config` of a platform provider of type ECS in the agent's file.
type provider = awsaccess.Provider

func providerOf(n spec.Node) (provider, error) { return awsaccess.ProviderOf(n, defaultSettle) }

// input is `input` and `quickSync` of an application file.
type input struct {
	ServiceFile, TaskFile string
	Access                string
	Primary, Canary       *targetGroup
	Cluster               string
	Standalone            standalone
	Recreate              bool
}

func decodeInput(d *spec.Decoder, app *spec.Application) input {
	var in input
	o := d.Object(app.Input)
	o.String("serviceDefinitionFile", &in.ServiceFile)
	o.StringOr("taskDefinitionFile", &in.TaskFile, "taskdef.json")
	o.Enum("accessType", &in.Access, accessELB, accessELB, "SERVICE_DISCOVERY")
	back := true // read by spec; here only its type is checked
	o.Bool("autoRollback", &back)
	o.String("clusterArn", &in.Cluster)
	o.StringOr("launchType", &in.Standalone.LaunchType, "FARGATE")
	in.Standalone.Run = app.Kind != spec.PluginApp
	o.Bool("runStandaloneTask", &in.Standalone.Run)
	vpc := o.Object("awsvpcConfiguration")
	vpc.Strings("subnets", &in.Standalone.Subnets)
	vpc.Strings("securityGroups", &in.Standalone.SecurityGroups)
	vpc.Enum("assignPublicIp", &in.Standalone.AssignPublicIP, "", "ENABLED", "DISABLED")
	groups := o.Object("targetGroups")
	in.Primary = decodeGroup(groups, "primary")
	in.Canary = decodeGroup(groups, "canary")
	if in.Canary != nil && in.Primary == nil {
		groups.Warn("canary", "add targetGroups.primary", "has no effect without a primary target group")
		in.Canary = nil
	}
	if in.Primary != nil && in.Canary != nil && in.Primary.ARN == in.Canary.ARN && in.Canary.ARN != "" {
		groups.Fail("canary", "a canary needs a target group of its own", "the primary and the canary target group are the same")
	}
	d.Object(app.QuickSync).Bool("recreate", &in.Recreate)
	return in
}

func decodeGroup(groups *spec.Object, key string) *targetGroup {
	o := groups.Object(key)
	if !o.Exists() {
		return nil
	}
	g := &targetGroup{}
	o.Required("targetGroupArn")
	o.String("targetGroupArn", &g.ARN)
	o.String("containerName", &g.Container)
	o.Int("containerPort", &g.Port)
	o.String("loadBalancerName", &g.LoadBalancer)
	if g.Port < 0 || g.Port > 65535 {
		o.Fail("containerPort", "", "must be between 1 and 65535, found %d", g.Port)
	}
	return g
}

// options are the resolved options of a stage.
type options struct {
	Scale    int      `json:"scale,omitempty"`    // ECS_CANARY_ROLLOUT
	Primary  int      `json:"primary"`            // ECS_TRAFFIC_ROUTING, and a sync that undoes a split
	Canary   int      `json:"canary"`             //
	Recreate bool     `json:"recreate,omitempty"` // ECS_SYNC
	Routes   []string `json:"routes,omitempty"`   // what will be written
	Count    int      `json:"count,omitempty"`    // to write; 0 leaves it
	Lower    bool     `json:"lower,omitempty"`    // the file itself was changed to fewer
	Pauses   bool     `json:"pauses,omitempty"`   // the service deployment is held by pauses
}

// decodeStage reads the options of one stage of the pipeline.
func decodeStage(d *spec.Decoder, name string, with spec.Node) options {
	o := d.Object(with)
	o.Ignore("timeout", "skipOn")
	var out options
	switch name {
	case stageCanary:
		o.Percent("scale", &out.Scale)
		if out.Scale < 1 || out.Scale > 100 {
			o.Fail("scale", "for example scale: 30", "the size of the canary must be between 1 and 100 percent, found %d", out.Scale)
		}
	case stageRoute:
		var primary, canary int
		o.Percent("primary", &primary)
		o.Percent("canary", &canary)
		for key, v := range map[string]int{"primary": primary, "canary": canary} {
			if v < 0 || v > 100 {
				o.Fail(key, "", "must be between 0 and 100 percent, found %d", v)
			}
		}
		out.Primary, out.Canary = split(primary, canary)
		if primary > 0 && canary > 0 && primary+canary != 100 {
			o.Warn("canary", "leave one of the two out", "has no effect: primary is %d, so the canary gets %d", primary, 100-primary)
		}
	case stageSync:
		o.Bool("recreate", &out.Recreate)
	}
	return out
}

// split resolves the percentages: primary from 1 to 100 decides, else canary from 1 to 100, else everything is primary.
func split(primary, canary int) (int, int) {
	switch {
	case primary >= 1 && primary <= 100:
		return primary, 100 - primary
	case canary >= 1 && canary <= 100:
		return 100 - canary, canary
	}
	return 100, 0
}

// loadBalancer is the entry of a task set behind a group. A missing container or port falls back to the first container and
// its first port.
func (g *targetGroup) container(t *taskDefinition) (string, int) {
	name, port := g.Container, g.Port
	for _, c := range t.ContainerDefinitions {
		if name != "" && (c.Name == nil || *c.Name != name) {
			continue
		}
		if name == "" && c.Name != nil {
			name = *c.Name
		}
		if port == 0 && len(c.PortMappings) > 0 && c.PortMappings[0].ContainerPort != nil {
			port = int(*c.PortMappings[0].ContainerPort)
		}
		break
	}
	return cmp.Or(name, g.Container), port
}
