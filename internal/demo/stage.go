package demo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecs "github.com/aws/aws-sdk-go-v2/service/ecs"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud"
)

// stageSet is what a team's Terraform would have made: a cluster and a load
// balancer with two target groups. The service itself is Penstock's to make.
type stageSet struct {
	cluster, listener, primary, canary string
}

// buildStage makes it through the cloud's API, as anybody would.
func buildStage(ctx context.Context, cloud *localcloud.Cloud) (stageSet, error) {
	var s stageSet
	conf := cloud.AWSConfig()
	c, err := awsecs.NewFromConfig(conf).CreateCluster(ctx, &awsecs.CreateClusterInput{ClusterName: aws.String("demo")})
	if err != nil {
		return s, err
	}
	s.cluster = aws.ToString(c.Cluster.ClusterArn)
	elb := elbv2.NewFromConfig(conf)
	lb, err := elb.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{
		Name: aws.String("demo"), Subnets: []string{"subnet-0a1b2c3d4e5f60718", "subnet-0b1b2c3d4e5f60718"}, Type: types.LoadBalancerTypeEnumApplication,
	})
	if err != nil {
		return s, err
	}
	if s.primary, err = targetGroup(ctx, elb, "shop-primary"); err != nil {
		return s, err
	}
	if s.canary, err = targetGroup(ctx, elb, "shop-canary"); err != nil {
		return s, err
	}
	l, err := elb.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp,
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: []types.TargetGroupTuple{
			{TargetGroupArn: aws.String(s.primary), Weight: aws.Int32(100)}, {TargetGroupArn: aws.String(s.canary), Weight: aws.Int32(0)},
		}}}},
	})
	if err != nil {
		return s, err
	}
	s.listener = aws.ToString(l.Listeners[0].ListenerArn)
	if cloud.Router().Addr(s.listener) == "" {
		return s, fmt.Errorf("the load balancer opened no socket")
	}
	return s, nil
}

// targetGroup makes a group with AWS's shortest health check (5 s) and a short
// deregistration delay.
func targetGroup(ctx context.Context, elb *elbv2.Client, name string) (string, error) {
	g, err := elb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
		Name: aws.String(name), Protocol: types.ProtocolEnumHttp, Port: aws.Int32(8080), VpcId: aws.String("vpc-0a1b2c3d4e5f60718"),
		TargetType: types.TargetTypeEnumIp, HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5),
		HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(2),
	})
	if err != nil {
		return "", err
	}
	arn := aws.ToString(g.TargetGroups[0].TargetGroupArn)
	_, err = elb.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: aws.String(arn), Attributes: []types.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("5")},
	}})
	return arn, err
}

func sign(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
