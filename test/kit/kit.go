// Package kit builds what the slow tests and the bench share: the cluster and load balancer that a team's Terraform would
// have made, the files of an application, an agent's configuration, and a git host's push event.
package kit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const vpc = "vpc-0a1b2c3d4e5f60718"

// Cluster is an ECS cluster with a load balancer.
type Cluster struct {
	ARN, Balancer string
	elb           *elbv2.Client
}

// Route is one listener that forwards to a primary and a canary target group.
type Route struct{ Listener, Primary, Canary string }

// NewCluster makes an empty cluster and a load balancer without listeners.
func NewCluster(ctx context.Context, conf aws.Config, name string) (Cluster, error) {
	c := Cluster{elb: elbv2.NewFromConfig(conf)}
	made, err := awsecs.NewFromConfig(conf).CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String(name)})
	if err != nil {
		return c, err
	}
	c.ARN = aws.ToString(made.Cluster.ClusterArn)
	lb, err := c.elb.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{
		Name: aws.String(name), Type: types.LoadBalancerTypeEnumApplication, Subnets: []string{"subnet-0a1b2c3d4e5f60718", "subnet-0b1b2c3d4e5f60718"},
	})
	if err != nil {
		return c, err
	}
	c.Balancer = aws.ToString(lb.LoadBalancers[0].LoadBalancerArn)
	return c, nil
}

// NewRoute makes two target groups and a listener on the port that gives everything to the primary.
func (c Cluster) NewRoute(ctx context.Context, name string, port int32) (r Route, err error) {
	if r.Primary, err = c.NewGroup(ctx, name+"-primary"); err != nil {
		return r, err
	}
	if r.Canary, err = c.NewGroup(ctx, name+"-canary"); err != nil {
		return r, err
	}
	l, err := c.elb.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: aws.String(c.Balancer), Port: aws.Int32(port), Protocol: types.ProtocolEnumHttp, DefaultActions: r.actions(100),
	})
	if err != nil {
		return r, err
	}
	r.Listener = aws.ToString(l.Listeners[0].ListenerArn)
	return r, nil
}

// NewGroup makes a target group with AWS's shortest health check (5 s) and a deregistration delay of 1 s.
func (c Cluster) NewGroup(ctx context.Context, name string) (string, error) {
	g, err := c.elb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
		Name: aws.String(name), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: aws.String(vpc), TargetType: types.TargetTypeEnumIp,
		HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2),
		HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(2),
	})
	if err != nil {
		return "", err
	}
	arn := aws.ToString(g.TargetGroups[0].TargetGroupArn)
	_, err = c.elb.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: aws.String(arn), Attributes: []types.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("1")},
	}})
	return arn, err
}

// SetWeights writes the listener's weights, as somebody at a console does: canary percent, and the rest for the primary.
func (c Cluster) SetWeights(ctx context.Context, r Route, canary int32) error {
	_, err := c.elb.ModifyListener(ctx, &elbv2.ModifyListenerInput{ListenerArn: aws.String(r.Listener), DefaultActions: r.actions(100 - canary)})
	return err
}

func (r Route) actions(primary int32) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
		{TargetGroupArn: aws.String(r.Primary), Weight: aws.Int32(primary)}, {TargetGroupArn: aws.String(r.Canary), Weight: aws.Int32(100 - primary)},
	}}}}
}

// AppFile is app.pipecd.yaml of an application; stages are the items of its pipeline, one a line, none for quick sync.
func AppFile(name string, r Route, stages ...string) string {
	file := fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: ECSApp
spec:
  name: %s
  input:
    serviceDefinitionFile: servicedef.yaml
    taskDefinitionFile: taskdef.yaml
    targetGroups:
      primary:
        targetGroupArn: %s
        containerName: web
        containerPort: 8080
      canary:
        targetGroupArn: %s
        containerName: web
        containerPort: 8080
`, name, r.Primary, r.Canary)
	if len(stages) > 0 {
		file += "  pipeline:\n    stages:\n"
	}
	for _, s := range stages {
		file += "      - " + s + "\n"
	}
	return file
}

// ServiceFile is the service definition of an application with so many tasks.
func ServiceFile(cluster, name string, count int) string {
	return fmt.Sprintf(`cluster: %s
serviceName: %s
desiredCount: %d
deploymentController:
  type: EXTERNAL
launchType: FARGATE
networkConfiguration:
  awsvpcConfiguration:
    subnets: [subnet-0a1b2c3d4e5f60718]
    securityGroups: [sg-0a1b2c3d4e5f60718]
    assignPublicIp: DISABLED
`, cluster, name, count)
}

// TaskFile is the task definition of a version: the demo service that answers with it.
func TaskFile(family, version string) string {
	return fmt.Sprintf(`family: %s
networkMode: awsvpc
requiresCompatibilities: [FARGATE]
cpu: "256"
memory: "512"
containerDefinitions:
  - name: web
    image: demo:%s
    essential: true
    portMappings:
      - containerPort: 8080
        protocol: tcp
`, family, version)
}

// Agent is what an agent's configuration says.
type Agent struct {
	Project, ID, Key, Server, Endpoint string
	// Settle is the provider's settle time, for example "1s".
	Settle string
	// Repositories are remotes by their id; all on branch main.
	Repositories map[string]string
	// More is added below spec, two spaces deep.
	More string
}

// ConfigData is the configuration as --config-data takes it.
func (a Agent) ConfigData() string {
	var repos strings.Builder
	for id, remote := range a.Repositories {
		fmt.Fprintf(&repos, "    - repoId: %s\n      remote: %s\n      branch: main\n", id, remote)
	}
	file := fmt.Sprintf(`apiVersion: pipecd.dev/v1beta1
kind: Piped
spec:
  projectID: %s
  pipedID: %s
  pipedKeyData: %s
  apiAddress: %s
  repositories:
%s  platformProviders:
    - name: ecs
      type: ECS
      config:
        region: us-east-1
        endpoint: %s
        settleTime: %s
%s`, a.Project, a.ID, base64.StdEncoding.EncodeToString([]byte(a.Key)), a.Server, repos.String(), a.Endpoint, a.Settle, a.More)
	return base64.StdEncoding.EncodeToString([]byte(file))
}

// Push tells the control plane of a push to main, signed as GitHub signs its webhooks (X-Hub-Signature-256).
func Push(ctx context.Context, server, project, secret, remote string) error {
	body := fmt.Appendf(nil, `{"ref":"refs/heads/main","repository":{"clone_url":%q}}`, remote)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server+"/webhooks/github/"+project, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		why, _ := io.ReadAll(io.LimitReader(res.Body, 1024))
		return fmt.Errorf("the webhook was answered %s: %s", res.Status, bytes.TrimSpace(why))
	}
	return nil
}
