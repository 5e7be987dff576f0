package world

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/penstock-cd/penstock/internal/localcloud/ecs"
)

// defaultRule is the ARN of the listener's default rule.
func (a *AWS) defaultRule(ctx context.Context) (string, error) {
	out, err := a.ELB.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: &a.Listener})
	if err != nil {
		return "", err
	}
	return *out.Rules[0].RuleArn, nil
}

// NativeFiles are Files of an application whose service has the deployment
// controller ECS with a strategy ("CANARY", or with more of the deployment
// configuration behind it: "LINEAR, bakeTimeInMinutes: 1").
func (a *AWS) NativeFiles(name, image, strategy, body string) map[string]string {
	files := maps.Clone(a.Files(name, image, body))
	files[path.Join(name, "servicedef.yaml")] = "cluster: demo\nserviceName: " + name + "\ndesiredCount: 4\ndeploymentController: {type: ECS}\nlaunchType: FARGATE\n" +
		"deploymentConfiguration: {strategy: " + strategy + "}\n" +
		"networkConfiguration:\n  awsvpcConfiguration: {subnets: [subnet-1], assignPublicIp: ENABLED}\n" +
		"loadBalancers:\n- advancedConfiguration:\n    productionListenerRule: " + a.Rule + "\n    roleArn: arn:aws:iam::123456789012:role/ecs-load-balancers\n"
	return files
}

// CommitNative commits a version of an application whose service has the
// deployment controller ECS.
func (w *World) CommitNative(name, image, strategy, body string) string {
	w.T.Helper()
	return w.commitECS(name, image, w.AWS.NativeFiles(name, image, strategy, body))
}

// settled are the weights of a service at rest: under the controller ECS the two
// groups change roles with every deployment, and the tasks tell which one serves.
func (a *AWS) settled() string {
	for _, s := range services(a.Cloud.ECS().Dump()) {
		native := s.Controller == "ECS"
		if native && slices.ContainsFunc(s.TaskSets, func(t ecs.DumpTaskSet) bool { return t.TargetGroup == a.Canary }) {
			return "0/100"
		}
	}
	return "100/0"
}

// revisions are the running revisions of a service of the controller ECS, in the
// form of TaskSets.
func (a *AWS) revisions(service string) (out []string, native bool) {
	dump := a.Cloud.ECS().Dump()
	images := map[string]string{}
	for _, r := range dump.Revisions {
		images[r.ARN] = r.Image
	}
	for _, s := range services(dump) {
		if s.Name != service || s.Controller != "ECS" || s.Status != "ACTIVE" {
			continue
		}
		native = true
		for _, t := range s.TaskSets {
			if t.Status != "DRAINING" {
				out = append(out, fmt.Sprintf("%s:%s×%d", t.Status, images[t.TaskDefinition], t.Running))
			}
		}
	}
	return out, native
}
