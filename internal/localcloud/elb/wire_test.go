package elb_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/penstock-cd/penstock/internal/localcloud/awswire"
	"github.com/penstock-cd/penstock/internal/localcloud/elb"
	"github.com/penstock-cd/penstock/internal/localcloud/runtime/memory"
)

// newClient is the SDK's client of a load balancer behind a real endpoint.
func newClient(t *testing.T) (*elbv2.Client, *elb.ELB) {
	t.Helper()
	lb := elb.New(elb.Options{Prober: memory.New(nil)})
	t.Cleanup(lb.Close)
	srv := httptest.NewServer(awswire.NewServer(awswire.Config{
		Lookup: func(id string) (awswire.Credential, bool) {
			return awswire.Credential{AccessKeyID: "AKID", SecretAccessKey: "secret"}, id == "AKID"
		},
		Now: time.Now, RequestID: func() string { return "req-1" }, Log: slog.New(slog.DiscardHandler),
	}, lb.Service()))
	t.Cleanup(srv.Close)
	return elbv2.New(elbv2.Options{
		Region: "us-east-1", BaseEndpoint: &srv.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	}), lb
}

func must[T any](t *testing.T, out T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What the SDK's client reads back over the wire is what was asked for, with
// the defaults filled in.
func TestThroughTheSDK(t *testing.T) {
	c, lb := newClient(t)
	ctx := context.Background()
	made, err := c.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Subnets: []string{"a", "b"}, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v & <w>")}}})
	lbARN := must(t, made, err).LoadBalancers[0].LoadBalancerArn
	group := func(name string) *string {
		out, err := c.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
			Name: &name, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp, VpcId: aws.String("vpc-1"),
		})
		return must(t, out, err).TargetGroups[0].TargetGroupArn
	}
	blue, green := group("blue"), group("green")
	want := []types.Action{{Type: types.ActionTypeEnumForward, Order: aws.Int32(1), ForwardConfig: &types.ForwardActionConfig{
		TargetGroups:                []types.TargetGroupTuple{{TargetGroupArn: blue, Weight: aws.Int32(80)}, {TargetGroupArn: green, Weight: aws.Int32(20)}},
		TargetGroupStickinessConfig: &types.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(60)},
	}}}
	created, err := c.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lbARN, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: want})
	listener := must(t, created, err).Listeners[0].ListenerArn
	conditions := []types.RuleCondition{{Field: aws.String("query-string"), QueryStringConfig: &types.QueryStringConditionConfig{
		Values: []types.QueryStringKeyValuePair{{Key: aws.String("version"), Value: aws.String("canary")}},
	}}}
	ruled, err := c.CreateRule(ctx, &elbv2.CreateRuleInput{ListenerArn: listener, Priority: aws.Int32(7), Conditions: conditions, Actions: want})
	must(t, ruled, err)

	rules, err := c.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: listener})
	got := must(t, rules, err).Rules
	ignore := cmpopts.IgnoreUnexported(
		types.Action{}, types.ForwardActionConfig{}, types.TargetGroupTuple{}, types.TargetGroupStickinessConfig{}, types.RuleCondition{},
		types.QueryStringConditionConfig{}, types.QueryStringKeyValuePair{}, types.TargetHealth{},
	)
	if len(got) != 2 || *got[0].Priority != "7" || *got[1].Priority != "default" || !*got[1].IsDefault {
		t.Fatalf("rules %+v", got)
	}
	for _, r := range got {
		if diff := cmp.Diff(want, r.Actions, ignore); diff != "" {
			t.Errorf("rule %s: %s", *r.Priority, diff)
		}
	}
	if diff := cmp.Diff(conditions, got[0].Conditions, ignore, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	tags, err := c.DescribeTags(ctx, &elbv2.DescribeTagsInput{ResourceArns: []string{*lbARN}})
	if d := must(t, tags, err).TagDescriptions; len(d) != 1 || *d[0].Tags[0].Value != "v & <w>" {
		t.Errorf("tags %+v", d)
	}

	lb.Register(*blue, "task", "127.0.1.1", 0)
	health, err := c.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: blue})
	h := must(t, health, err).TargetHealthDescriptions
	wantHealth := &types.TargetHealth{
		State: types.TargetHealthStateEnumInitial, Reason: types.TargetHealthReasonEnumRegistrationInProgress,
		Description: aws.String("Target registration is in progress"),
	}
	if len(h) != 1 || *h[0].Target.Id != "127.0.1.1" || *h[0].Target.Port != 80 {
		t.Fatalf("health %+v", h)
	}
	if diff := cmp.Diff(wantHealth, h[0].TargetHealth, ignore); diff != "" {
		t.Error(diff)
	}
}

func TestTypedErrorsThroughTheSDK(t *testing.T) {
	c, _ := newClient(t)
	ctx := context.Background()
	none := aws.String("arn:aws:elasticloadbalancing:us-east-1:000000000000:x/none")
	_, err := c.DescribeListeners(ctx, &elbv2.DescribeListenersInput{ListenerArns: []string{*none}})
	if e := (*types.ListenerNotFoundException)(nil); !errors.As(err, &e) {
		t.Errorf("listener: %v", err)
	}
	_, err = c.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: none})
	if e := (*types.TargetGroupNotFoundException)(nil); !errors.As(err, &e) {
		t.Errorf("target group: %v", err)
	}
	_, err = c.DeleteRule(ctx, &elbv2.DeleteRuleInput{RuleArn: none})
	if e := (*types.RuleNotFoundException)(nil); !errors.As(err, &e) {
		t.Errorf("rule: %v", err)
	}
	_, err = c.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{"none"}})
	if e := (*types.LoadBalancerNotFoundException)(nil); !errors.As(err, &e) {
		t.Errorf("load balancer: %v", err)
	}
	_, err = c.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{PageSize: aws.Int32(401)})
	if e := smithy.APIError(nil); !errors.As(err, &e) || e.ErrorCode() != "ValidationError" {
		t.Errorf("page size: %v", err)
	}
}

func TestServiceHasEveryOperation(t *testing.T) {
	_, lb := newClient(t)
	if got := len(lb.Service().Operations()); got != 28 {
		t.Errorf("%d operations", got)
	}
	for _, name := range []string{"DescribeRules", "SetRulePriorities", "ModifyLoadBalancerAttributes"} {
		if _, ok := lb.Service().Operation(name); !ok {
			t.Errorf("no operation %s", name)
		}
	}
}
