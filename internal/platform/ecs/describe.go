package ecs

import (
	"maps"
	"strings"

	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
	"github.com/penstock-cd/penstock/internal/spec"
)

// DescribeApplication implements spec.Describer.
func (*Platform) DescribeApplication(d *spec.Decoder, app *spec.Application) {
	decodeInput(d, app)
	for _, st := range app.Stages {
		if strings.HasPrefix(st.Name, "ECS_") {
			decodeStage(d, st.Name, st.With)
		}
	}
}

// DescribeProvider implements spec.Describer.
func (*Platform) DescribeProvider(d *spec.Decoder, config spec.Node) {
	awsaccess.DecodeProvider(d, config, defaultSettle)
}

// FieldTexts implements spec.Describer. The stages and their options are those of Stages.
func (p *Platform) FieldTexts() map[string]string {
	texts := map[string]string{
		"input":                                    "What is deployed: the files of the service and of the task, and the target groups.",
		"input.serviceDefinitionFile":              "File with the service, relative to the application's folder. Without one the application is a standalone task.",
		"input.taskDefinitionFile":                 "File with the task definition, relative to the application's folder.",
		"input.accessType":                         "How requests reach the service. Requests can be split only behind a load balancer.",
		"input.autoRollback":                       "Take the way back when a deployment fails.",
		"input.clusterArn":                         "Cluster of a standalone task.",
		"input.launchType":                         "Launch type of a standalone task.",
		"input.runStandaloneTask":                  "Run the standalone task; false only registers its definition.",
		"input.awsvpcConfiguration":                "Network of a standalone task.",
		"input.awsvpcConfiguration.subnets":        "Subnets of a standalone task.",
		"input.awsvpcConfiguration.securityGroups": "Security groups of a standalone task.",
		"input.awsvpcConfiguration.assignPublicIp": "Whether a standalone task gets a public address.",
		"input.targetGroups":                       "The load balancer's target groups; the listener rules that forward to them are found by themselves.",
		"input.targetGroups.primary":               "Target group of the version that serves.",
		"input.targetGroups.canary":                "Target group of the new version while requests are split.",
		"quickSync":                                "Options of a deployment without a pipeline.",
		"quickSync.recreate":                       "Stop the old tasks before the new ones start.",
	}
	maps.Copy(texts, awsaccess.ProviderTexts("How long load balancers are given to apply a weight; Penstock's own."))
	for _, side := range []string{"primary", "canary"} {
		at := "input.targetGroups." + side
		texts[at+".targetGroupArn"] = "ARN of the target group."
		texts[at+".containerName"] = "Container that takes the requests; without it the first one."
		texts[at+".containerPort"] = "Port of the container; without it the first one it maps."
		texts[at+".loadBalancerName"] = "Classic load balancer; kept as it is."
	}
	for _, st := range p.Stages() {
		texts[st.Name] = st.Desc
		for _, o := range st.Options {
			texts[st.Name+"."+o.Name] = o.Desc
		}
	}
	return texts
}
