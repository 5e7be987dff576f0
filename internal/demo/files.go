package demo

import (
	"fmt"
	"strings"
	"time"
)

// appDir is the application's directory in the demo's repository.
const appDir = "shop"

// appFile renders app.pipecd.yaml: the pipeline of the issue that started the
// project, with the scenario's traffic share and, if asked for, an approval.
func appFile(primary, canary string, share int, wait time.Duration, approval bool) string {
	stages := []string{
		"      - name: ECS_CANARY_ROLLOUT\n        with: {scale: 30}",
		fmt.Sprintf("      - name: ECS_TRAFFIC_ROUTING\n        with: {canary: %d}", share),
		waitStages(wait, approval),
		"      - name: ECS_PRIMARY_ROLLOUT",
		"      - name: ECS_TRAFFIC_ROUTING\n        with: {primary: 100}",
		"      - name: ECS_CANARY_CLEAN",
	}
	if share == 100 {
		stages[0] = "      - name: ECS_CANARY_ROLLOUT\n        with: {scale: 100}"
	}
	return fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: shop
  labels:
    env: demo
  description: The demo's web shop. Commit a change to %[1]s/taskdef.yaml and watch it roll out.
  input:
    serviceDefinitionFile: servicedef.yaml
    taskDefinitionFile: taskdef.yaml
    targetGroups:
      primary:
        targetGroupArn: %[2]s
        containerName: web
        containerPort: 8080
      canary:
        targetGroupArn: %[3]s
        containerName: web
        containerPort: 8080
  pipeline:
    stages:
%[4]s
`, appDir, primary, canary, strings.Join(stages, "\n"))
}

// serviceFile renders the service definition.
func serviceFile(cluster string) string {
	return fmt.Sprintf(`cluster: %s
serviceName: shop
desiredCount: 4
deploymentController:
  type: EXTERNAL
schedulingStrategy: REPLICA
launchType: FARGATE
healthCheckGracePeriodSeconds: 10
networkConfiguration:
  awsvpcConfiguration:
    subnets: [subnet-0a1b2c3d4e5f60718]
    securityGroups: [sg-0a1b2c3d4e5f60718]
    assignPublicIp: DISABLED
`, cluster)
}

// taskFile renders the task definition of a version. env is what the demo's
// service is told to do wrong.
func taskFile(version string, env map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `family: shop
networkMode: awsvpc
requiresCompatibilities: [FARGATE]
cpu: "256"
memory: "512"
containerDefinitions:
  - name: web
    image: demo:%s
    essential: true
    stopTimeout: 10
    portMappings:
      - containerPort: 8080
        protocol: tcp
    environment:
      - name: GREETING
        value: hello from %s
`, version, version)
	for k, v := range env {
		fmt.Fprintf(&b, "      - name: %s\n        value: %q\n", k, v)
	}
	return b.String()
}
