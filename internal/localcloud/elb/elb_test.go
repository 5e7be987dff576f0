package elb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// world is one load balancer with two groups and a listener on the first.
type world struct {
	t           *testing.T
	e           *ELB
	lb          string
	blue, green string
	listener    string
}

func newWorld(t *testing.T, opts Options) *world {
	t.Helper()
	w := &world{t: t, e: New(opts)}
	t.Cleanup(w.e.Close)
	w.lb = w.makeLB("web")
	w.blue, w.green = w.makeGroup("blue"), w.makeGroup("green")
	out, err := w.e.CreateListener(t.Context(), &elbv2.CreateListenerInput{
		LoadBalancerArn: &w.lb, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: to(w.blue),
	})
	w.must(err)
	w.listener = *out.Listeners[0].ListenerArn
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) makeLB(name string) string {
	w.t.Helper()
	out, err := w.e.CreateLoadBalancer(context.Background(), &elbv2.CreateLoadBalancerInput{Name: &name, Subnets: []string{"subnet-a", "subnet-b"}})
	w.must(err)
	return *out.LoadBalancers[0].LoadBalancerArn
}

func groupInput(name string) *elbv2.CreateTargetGroupInput {
	return &elbv2.CreateTargetGroupInput{
		Name: &name, Port: aws.Int32(8080), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp, VpcId: aws.String("vpc-1"),
	}
}

func (w *world) makeGroup(name string) string {
	w.t.Helper()
	out, err := w.e.CreateTargetGroup(context.Background(), groupInput(name))
	w.must(err)
	return *out.TargetGroups[0].TargetGroupArn
}

// to forwards to one group.
func to(arn string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &arn}}
}

// split forwards to two groups by weight.
func (w *world) split(blue, green int32) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{
		TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: &w.blue, Weight: &blue}, {TargetGroupArn: &w.green, Weight: &green}},
	}}}
}

func (w *world) route(actions []types.Action) error {
	_, err := w.e.ModifyListener(context.Background(), &elbv2.ModifyListenerInput{ListenerArn: &w.listener, DefaultActions: actions})
	return err
}

func path(values ...string) []types.RuleCondition {
	return []types.RuleCondition{{Field: aws.String("path-pattern"), Values: values}}
}

func (w *world) makeRule(priority int32) string {
	w.t.Helper()
	out, err := w.e.CreateRule(context.Background(), &elbv2.CreateRuleInput{
		ListenerArn: &w.listener, Priority: &priority, Conditions: path(fmt.Sprintf("/%d/*", priority)), Actions: to(w.blue),
	})
	w.must(err)
	return *out.Rules[0].RuleArn
}

// wantCode checks the code of an error, "" for success.
func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *awserr.Error
	got := ""
	if errors.As(err, &e) {
		got = e.Code
		if e.HTTPStatus() != 400 {
			t.Errorf("%s: status %d", what, e.HTTPStatus())
		}
	} else if err != nil {
		t.Errorf("%s: unexpected kind of error %v", what, err)
		return
	}
	if got != code {
		t.Errorf("%s: got %q (%v), want %q", what, got, err, code)
	}
}

func TestActionValidation(t *testing.T) {
	w := newWorld(t, Options{})
	six := &types.ForwardActionConfig{}
	for i := range 6 {
		arn := w.makeGroup(fmt.Sprintf("extra-%d", i))
		six.TargetGroups = append(six.TargetGroups, types.TargetGroupTuple{TargetGroupArn: &arn, Weight: aws.Int32(1)})
	}
	five := &types.ForwardActionConfig{TargetGroups: six.TargetGroups[:5]}
	tuple := func(arn string, weight *int32) types.TargetGroupTuple {
		return types.TargetGroupTuple{TargetGroupArn: &arn, Weight: weight}
	}
	fw := func(tuples ...types.TargetGroupTuple) []types.Action {
		return []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: &types.ForwardActionConfig{TargetGroups: tuples}}}
	}
	stick := func(on bool, seconds *int32) []types.Action {
		a := w.split(1, 1)
		a[0].ForwardConfig.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: &on, DurationSeconds: seconds}
		return a
	}
	both := func(arn string, tuples ...types.TargetGroupTuple) []types.Action {
		a := fw(tuples...)
		a[0].TargetGroupArn = &arn
		return a
	}
	redirect := func(r types.RedirectActionConfig) []types.Action {
		return []types.Action{{Type: types.ActionTypeEnumRedirect, RedirectConfig: &r}}
	}
	fixed := func(f types.FixedResponseActionConfig) []types.Action {
		return []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &f}}
	}
	for _, c := range []struct {
		name    string
		actions []types.Action
		code    string
	}{
		{"no action", []types.Action{}, codeValidation},
		{"one group", to(w.green), ""},
		{"one group without weight", fw(tuple(w.green, nil)), ""},
		{"weights 0 and 999", w.split(0, 999), ""},
		{"weights are relative, not percent", w.split(300, 600), ""},
		{"weight 1000", w.split(1000, 0), codeValidation},
		{"weight -1", w.split(-1, 5), codeValidation},
		{"two groups, one without weight", fw(tuple(w.blue, aws.Int32(1)), tuple(w.green, nil)), codeValidation},
		{"a group twice", fw(tuple(w.blue, aws.Int32(1)), tuple(w.blue, aws.Int32(2))), codeValidation},
		{"five groups", []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: five}}, ""},
		{"six groups", []types.Action{{Type: types.ActionTypeEnumForward, ForwardConfig: six}}, codeValidation},
		{"unknown group", to(w.blue + "0"), "TargetGroupNotFound"},
		{"forward to nothing", []types.Action{{Type: types.ActionTypeEnumForward}}, codeValidation},
		{"ARN and the same group", both(w.blue, tuple(w.blue, nil)), ""},
		{"ARN and another group", both(w.blue, tuple(w.green, nil)), codeValidation},
		{"ARN and two groups", both(w.blue, tuple(w.blue, aws.Int32(1)), tuple(w.green, aws.Int32(1))), codeValidation},
		{"sticky without duration", stick(true, nil), codeValidation},
		{"sticky for 0 s", stick(true, aws.Int32(0)), codeValidation},
		{"sticky for 1 s", stick(true, aws.Int32(1)), ""},
		{"sticky for a week", stick(true, aws.Int32(604800)), ""},
		{"sticky for longer", stick(true, aws.Int32(604801)), codeValidation},
		{"stickiness off", stick(false, nil), ""},
		{"two final actions", []types.Action{
			{Type: types.ActionTypeEnumForward, TargetGroupArn: &w.blue, Order: aws.Int32(1)},
			{Type: types.ActionTypeEnumForward, TargetGroupArn: &w.green, Order: aws.Int32(2)},
		}, codeTooManyActions},
		{"order 0", []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &w.blue, Order: aws.Int32(0)}}, codeValidation},
		{"order 50000", []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &w.blue, Order: aws.Int32(50000)}}, ""},
		{"authentication", []types.Action{{Type: types.ActionTypeEnumAuthenticateOidc}}, codeInvalidConfig},
		{"unknown type", []types.Action{{Type: "teleport"}}, codeInvalidAction},
		{"type and configuration differ", []types.Action{{
			Type: types.ActionTypeEnumForward, TargetGroupArn: &w.blue,
			RedirectConfig: &types.RedirectActionConfig{StatusCode: "HTTP_301"},
		}}, codeInvalidAction},
		{"redirect", redirect(types.RedirectActionConfig{StatusCode: "HTTP_301", Protocol: aws.String("HTTPS"), Port: aws.String("443")}), ""},
		{"redirect in a loop", redirect(types.RedirectActionConfig{StatusCode: "HTTP_302"}), codeInvalidAction},
		{"redirect with status 307", redirect(types.RedirectActionConfig{StatusCode: "HTTP_307", Port: aws.String("443")}), codeValidation},
		{"redirect to port 0", redirect(types.RedirectActionConfig{StatusCode: "HTTP_301", Port: aws.String("0")}), codeValidation},
		{"redirect to a relative path", redirect(types.RedirectActionConfig{StatusCode: "HTTP_301", Path: aws.String("x")}), codeValidation},
		{"fixed response", fixed(types.FixedResponseActionConfig{StatusCode: aws.String("503"), ContentType: aws.String("text/plain")}), ""},
		{"fixed response 302", fixed(types.FixedResponseActionConfig{StatusCode: aws.String("302")}), codeValidation},
		{"fixed response of a type", fixed(types.FixedResponseActionConfig{StatusCode: aws.String("200"), ContentType: aws.String("image/png")}), codeValidation},
		{"fixed response too long", fixed(types.FixedResponseActionConfig{StatusCode: aws.String("200"), MessageBody: aws.String(strings.Repeat("x", 1025))}), codeValidation},
	} {
		wantCode(t, c.name, w.route(c.actions), c.code)
	}
}

func TestRefusedChangeChangesNothing(t *testing.T) {
	w := newWorld(t, Options{})
	w.must(w.route(w.split(80, 20)))
	before := w.e.Routes(w.listener)
	wantCode(t, "bad weight", w.route(w.split(80, 1000)), codeValidation)
	if after := w.e.Routes(w.listener); after.Version != before.Version || after.Rules[0].Action.Forward.Groups[1].Weight != 20 {
		t.Errorf("snapshot moved from %d to %d: %+v", before.Version, after.Version, after.Rules[0].Action.Forward)
	}
}

func TestShownActions(t *testing.T) {
	w := newWorld(t, Options{})
	out, err := w.e.DescribeListeners(t.Context(), &elbv2.DescribeListenersInput{ListenerArns: []string{w.listener}})
	w.must(err)
	a := out.Listeners[0].DefaultActions[0]
	if *a.TargetGroupArn != w.blue || *a.ForwardConfig.TargetGroups[0].Weight != 1 || *a.ForwardConfig.TargetGroupStickinessConfig.Enabled {
		t.Errorf("one group is shown both ways: %+v", a)
	}
	w.must(w.route(w.split(80, 20)))
	rules, err := w.e.DescribeRules(t.Context(), &elbv2.DescribeRulesInput{ListenerArn: &w.listener})
	w.must(err)
	if r := rules.Rules[0]; *r.Priority != "default" || !*r.IsDefault || r.Actions[0].TargetGroupArn != nil || len(r.Actions[0].ForwardConfig.TargetGroups) != 2 {
		t.Errorf("default rule %+v", r)
	}
}

func TestConditionValidation(t *testing.T) {
	w := newWorld(t, Options{})
	cond := func(field string, values ...string) types.RuleCondition {
		return types.RuleCondition{Field: &field, Values: values}
	}
	header := func(name string, values ...string) types.RuleCondition {
		return types.RuleCondition{Field: aws.String("http-header"), HttpHeaderConfig: &types.HttpHeaderConditionConfig{HttpHeaderName: &name, Values: values}}
	}
	for i, c := range []struct {
		name       string
		conditions []types.RuleCondition
		code       string
	}{
		{"none", nil, codeValidation},
		{"path", path("/a/*"), ""},
		{"no field", []types.RuleCondition{{Values: []string{"x"}}}, codeValidation},
		{"unknown field", []types.RuleCondition{cond("moon-phase", "full")}, codeValidation},
		{"no value", path(), codeValidation},
		{"five values", path("/1", "/2", "/3", "/4", "/5"), ""},
		{"six values in two conditions", append(path("/1", "/2", "/3"), cond("host-header", "a.io", "b.io", "c.io")), codeValidation},
		{"seven wildcards", path("/*/*/*/*/*/*/*"), codeValidation},
		{"path of 129 characters", path("/" + strings.Repeat("x", 128)), codeValidation},
		{"path with a space", path("/a b"), codeValidation},
		{"host", []types.RuleCondition{cond("host-header", "*.shop-1.example.com")}, ""},
		{"host without a dot", []types.RuleCondition{cond("host-header", "localhost")}, codeValidation},
		{"host with a digit at the end", []types.RuleCondition{cond("host-header", "shop.example.c0m")}, codeValidation},
		{"two paths", append(path("/a"), path("/b")...), codeValidation},
		{"two headers", []types.RuleCondition{header("X-A", "1"), header("X-B", "2")}, ""},
		{"header host", []types.RuleCondition{header("Host", "x")}, codeValidation},
		{"header with a bad name", []types.RuleCondition{header("X A", "x")}, codeValidation},
		{"method in lower case", []types.RuleCondition{{
			Field:                   aws.String("http-request-method"),
			HttpRequestMethodConfig: &types.HttpRequestMethodConditionConfig{Values: []string{"get"}},
		}}, codeValidation},
		{"source without prefix", []types.RuleCondition{{
			Field:          aws.String("source-ip"),
			SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"10.0.0.1"}},
		}}, codeValidation},
		{"source", []types.RuleCondition{{
			Field:          aws.String("source-ip"),
			SourceIpConfig: &types.SourceIpConditionConfig{Values: []string{"10.0.0.0/8"}},
		}}, ""},
		{"query without value", []types.RuleCondition{{
			Field:             aws.String("query-string"),
			QueryStringConfig: &types.QueryStringConditionConfig{Values: []types.QueryStringKeyValuePair{{Key: aws.String("k")}}},
		}}, codeValidation},
		{"configuration of another field", []types.RuleCondition{{
			Field:             aws.String("host-header"),
			PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/"}},
		}}, codeValidation},
		{"values twice, different", []types.RuleCondition{{
			Field: aws.String("path-pattern"), Values: []string{"/a"},
			PathPatternConfig: &types.PathPatternConditionConfig{Values: []string{"/b"}},
		}}, codeValidation},
	} {
		_, err := w.e.CreateRule(t.Context(), &elbv2.CreateRuleInput{
			ListenerArn: &w.listener, Priority: aws.Int32(int32(i + 1)), Conditions: c.conditions, Actions: to(w.blue),
		})
		wantCode(t, c.name, err, c.code)
	}
}

func TestTargetGroupValidation(t *testing.T) {
	w := newWorld(t, Options{})
	for i, c := range []struct {
		name string
		edit func(*elbv2.CreateTargetGroupInput)
		code string
	}{
		{"plain", func(*elbv2.CreateTargetGroupInput) {}, ""},
		{"shortest interval needs a shorter timeout", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = aws.Int32(5) }, codeValidation},
		{"shortest interval", func(in *elbv2.CreateTargetGroupInput) {
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(5), aws.Int32(2)
		}, ""},
		{"interval 4", func(in *elbv2.CreateTargetGroupInput) {
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(4), aws.Int32(2)
		}, codeValidation},
		{"interval 301", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckIntervalSeconds = aws.Int32(301) }, codeValidation},
		{"timeout 1", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckTimeoutSeconds = aws.Int32(1) }, codeValidation},
		{"healthy threshold 1", func(in *elbv2.CreateTargetGroupInput) { in.HealthyThresholdCount = aws.Int32(1) }, codeValidation},
		{"unhealthy threshold 11", func(in *elbv2.CreateTargetGroupInput) { in.UnhealthyThresholdCount = aws.Int32(11) }, codeValidation},
		{"path without slash", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckPath = aws.String("x") }, codeValidation},
		{"matcher list", func(in *elbv2.CreateTargetGroupInput) {
			in.Matcher = &types.Matcher{HttpCode: aws.String("200,301-302")}
		}, ""},
		{"matcher 500", func(in *elbv2.CreateTargetGroupInput) { in.Matcher = &types.Matcher{HttpCode: aws.String("200-500")} }, codeValidation},
		{"matcher backwards", func(in *elbv2.CreateTargetGroupInput) { in.Matcher = &types.Matcher{HttpCode: aws.String("300-200")} }, codeValidation},
		{"health check port", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckPort = aws.String("0") }, codeValidation},
		{"health checks off", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckEnabled = aws.Bool(false) }, codeValidation},
		{"TCP health check", func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckProtocol = types.ProtocolEnumTcp }, codeValidation},
		{"no port", func(in *elbv2.CreateTargetGroupInput) { in.Port = nil }, codeValidation},
		{"no protocol", func(in *elbv2.CreateTargetGroupInput) { in.Protocol = "" }, codeValidation},
		{"no VPC", func(in *elbv2.CreateTargetGroupInput) { in.VpcId = nil }, codeValidation},
		{"lambda", func(in *elbv2.CreateTargetGroupInput) { in.TargetType = types.TargetTypeEnumLambda }, codeInvalidConfig},
		{"name too long", func(in *elbv2.CreateTargetGroupInput) { in.Name = aws.String(strings.Repeat("x", 33)) }, codeValidation},
		{"name with a hyphen at the end", func(in *elbv2.CreateTargetGroupInput) { in.Name = aws.String("x-") }, codeValidation},
		{"same name, same settings", func(in *elbv2.CreateTargetGroupInput) { in.Name = aws.String("blue") }, ""},
		{"same name, other settings", func(in *elbv2.CreateTargetGroupInput) { in.Name, in.Port = aws.String("blue"), aws.Int32(9) }, codeDuplicateGroup},
	} {
		in := groupInput(fmt.Sprintf("g-%d", i))
		c.edit(in)
		_, err := w.e.CreateTargetGroup(t.Context(), in)
		wantCode(t, c.name, err, c.code)
	}
}

func TestRulePriorities(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	first, second := w.makeRule(10), w.makeRule(20)
	create := func(p *int32) error {
		_, err := w.e.CreateRule(ctx, &elbv2.CreateRuleInput{ListenerArn: &w.listener, Priority: p, Conditions: path("/x"), Actions: to(w.blue)})
		return err
	}
	wantCode(t, "taken", create(aws.Int32(10)), codePriorityInUse)
	wantCode(t, "0", create(aws.Int32(0)), codeValidation)
	wantCode(t, "50001", create(aws.Int32(50001)), codeValidation)
	wantCode(t, "none", create(nil), codeValidation)

	set := func(pairs map[string]int32) error {
		in := &elbv2.SetRulePrioritiesInput{}
		for arn, p := range pairs {
			in.RulePriorities = append(in.RulePriorities, types.RulePriorityPair{RuleArn: aws.String(arn), Priority: aws.Int32(p)})
		}
		_, err := w.e.SetRulePriorities(ctx, in)
		return err
	}
	order := func() (out []string) {
		rules, err := w.e.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: &w.listener})
		w.must(err)
		for _, r := range rules.Rules {
			out = append(out, *r.Priority+"="+(*r.RuleArn)[len(*r.RuleArn)-4:])
		}
		return out
	}
	wantCode(t, "exchange", set(map[string]int32{first: 20, second: 10}), "")
	if got := order(); !strings.HasSuffix(got[0], second[len(second)-4:]) || !strings.HasPrefix(got[2], "default=") {
		t.Errorf("order %v", got)
	}
	wantCode(t, "onto another", set(map[string]int32{first: 10}), codePriorityInUse)
	rules, err := w.e.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: &w.listener})
	w.must(err)
	def := *rules.Rules[2].RuleArn
	wantCode(t, "default rule", set(map[string]int32{def: 5}), codeNotPermitted)
	_, err = w.e.DeleteRule(ctx, &elbv2.DeleteRuleInput{RuleArn: &def})
	wantCode(t, "delete default rule", err, codeNotPermitted)
	_, err = w.e.ModifyRule(ctx, &elbv2.ModifyRuleInput{RuleArn: &def, Actions: to(w.green)})
	wantCode(t, "modify default rule", err, codeNotPermitted)
	_, err = w.e.ModifyRule(ctx, &elbv2.ModifyRuleInput{RuleArn: &first, Actions: to(w.green)})
	wantCode(t, "modify rule", err, "")
	_, err = w.e.DeleteRule(ctx, &elbv2.DeleteRuleInput{RuleArn: &first})
	wantCode(t, "delete rule", err, "")
	_, err = w.e.DeleteRule(ctx, &elbv2.DeleteRuleInput{RuleArn: &first})
	wantCode(t, "delete rule twice", err, "RuleNotFound")
}

func TestAtMostHundredRules(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range int32(100) {
		w.makeRule(i + 1)
	}
	_, err := w.e.CreateRule(t.Context(), &elbv2.CreateRuleInput{
		ListenerArn: &w.listener, Priority: aws.Int32(101), Conditions: path("/x"), Actions: to(w.blue),
	})
	wantCode(t, "rule 101", err, codeTooManyRules)
}

func TestGroupBelongsToOneLoadBalancer(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	other := w.makeLB("other")
	create := func(group string) error {
		_, err := w.e.CreateListener(ctx, &elbv2.CreateListenerInput{
			LoadBalancerArn: &other, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: to(group),
		})
		return err
	}
	wantCode(t, "group of another load balancer", create(w.blue), codeAssociationLimit)
	wantCode(t, "free group", create(w.green), "")
	_, err := w.e.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: &w.green})
	wantCode(t, "delete group in use", err, codeInUse)
	_, err = w.e.DeleteLoadBalancer(ctx, &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &other})
	wantCode(t, "delete load balancer", err, "")
	_, err = w.e.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: &w.green})
	wantCode(t, "delete free group", err, "")
	if exists, _ := w.e.TargetGroupAttached(w.green); exists {
		t.Error("a deleted group still exists")
	}
}

func TestAttachedAtWeightZero(t *testing.T) {
	w := newWorld(t, Options{})
	if exists, attached := w.e.TargetGroupAttached(w.green); !exists || attached {
		t.Errorf("new group: exists %v, attached %v", exists, attached)
	}
	w.must(w.route(w.split(100, 0)))
	if _, attached := w.e.TargetGroupAttached(w.green); !attached {
		t.Error("a group at weight 0 is not attached")
	}
	out, err := w.e.DescribeTargetGroups(t.Context(), &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: &w.lb})
	w.must(err)
	if len(out.TargetGroups) != 2 || out.TargetGroups[1].LoadBalancerArns[0] != w.lb {
		t.Errorf("groups of the load balancer: %+v", out.TargetGroups)
	}
}

func TestListeners(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	in := elbv2.CreateListenerInput{LoadBalancerArn: &w.lb, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: to(w.blue)}
	out, err := w.e.CreateListener(ctx, &in)
	wantCode(t, "the same again", err, "")
	if *out.Listeners[0].ListenerArn != w.listener {
		t.Error("the same listener was made twice")
	}
	in.DefaultActions = to(w.green)
	_, err = w.e.CreateListener(ctx, &in)
	wantCode(t, "the port again", err, codeDuplicateListener)
	in.Port, in.Protocol = aws.Int32(443), types.ProtocolEnumHttps
	_, err = w.e.CreateListener(ctx, &in)
	wantCode(t, "HTTPS without certificate", err, codeValidation)
	in.Certificates = []types.Certificate{{CertificateArn: aws.String("arn:aws:acm:x")}}
	_, err = w.e.CreateListener(ctx, &in)
	wantCode(t, "HTTPS", err, "")
	_, err = w.e.ModifyListener(ctx, &elbv2.ModifyListenerInput{ListenerArn: &w.listener, Port: aws.Int32(443)})
	wantCode(t, "onto another port", err, codeDuplicateListener)
	_, err = w.e.DescribeListeners(ctx, &elbv2.DescribeListenersInput{})
	wantCode(t, "describe nothing", err, codeValidation)
	_, err = w.e.DescribeListeners(ctx, &elbv2.DescribeListenersInput{ListenerArns: []string{w.listener + "0"}})
	wantCode(t, "describe unknown", err, "ListenerNotFound")
	_, err = w.e.DeleteListener(ctx, &elbv2.DeleteListenerInput{ListenerArn: &w.listener})
	wantCode(t, "delete", err, "")
	if w.e.Routes(w.listener).Exists {
		t.Error("a deleted listener still has routes")
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 7 {
		w.makeGroup(fmt.Sprintf("page-%d", i))
	}
	ctx, seen := t.Context(), []string{}
	in := &elbv2.DescribeTargetGroupsInput{PageSize: aws.Int32(4)}
	for pages := 0; ; pages++ {
		out, err := w.e.DescribeTargetGroups(ctx, in)
		w.must(err)
		for _, g := range out.TargetGroups {
			seen = append(seen, *g.TargetGroupName)
		}
		if in.Marker = out.NextMarker; in.Marker == nil {
			break
		}
		if pages == 0 { // removing what was seen loses nothing of the rest
			_, err := w.e.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: out.TargetGroups[2].TargetGroupArn})
			w.must(err)
		}
	}
	if len(seen) != 9 {
		t.Errorf("seen %v", seen)
	}
	for _, size := range []int32{0, 401} {
		_, err := w.e.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{PageSize: &size})
		wantCode(t, fmt.Sprint("page size ", size), err, codeValidation)
	}
	_, err := w.e.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{Marker: aws.String("%%")})
	wantCode(t, "bad marker", err, codeValidation)
}
