package elb

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func TestAttributes(t *testing.T) {
	w := newWorld(t, Options{})
	set := func(key, value string) error {
		_, err := w.e.ModifyTargetGroupAttributes(t.Context(), &elbv2.ModifyTargetGroupAttributesInput{
			TargetGroupArn: &w.blue, Attributes: []types.TargetGroupAttribute{{Key: &key, Value: &value}},
		})
		return err
	}
	wantCode(t, "delay", set("deregistration_delay.timeout_seconds", "3600"), "")
	wantCode(t, "delay too long", set("deregistration_delay.timeout_seconds", "3601"), codeValidation)
	wantCode(t, "unknown", set("colour", "red"), codeValidation)
	wantCode(t, "not simulated", set("slow_start.duration_seconds", "30"), codeInvalidConfig)
	wantCode(t, "not simulated, default", set("slow_start.duration_seconds", "0"), "")
	out, err := w.e.DescribeTargetGroupAttributes(t.Context(), &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: &w.green})
	w.must(err)
	for _, a := range out.Attributes {
		if *a.Key == "deregistration_delay.timeout_seconds" && *a.Value != "300" {
			t.Errorf("default delay %s", *a.Value)
		}
	}
	w.must(w.route(w.split(1, 1)))
	wantCode(t, "sticky target in a group without stickiness", set("stickiness.enabled", "true"), codeInvalidConfig)
	w.must(w.route(to(w.blue)))
	wantCode(t, "sticky target of the only group", set("stickiness.enabled", "true"), "")
	wantCode(t, "second group without group stickiness", w.route(w.split(1, 1)), codeInvalidConfig)

	_, err = w.e.ModifyLoadBalancerAttributes(t.Context(), &elbv2.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: &w.lb,
		Attributes:      []types.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: aws.String("true")}},
	})
	w.must(err)
	_, err = w.e.DeleteLoadBalancer(t.Context(), &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &w.lb})
	wantCode(t, "protected", err, codeNotPermitted)

	_, err = w.e.ModifyListenerAttributes(t.Context(), &elbv2.ModifyListenerAttributesInput{
		ListenerArn: &w.listener,
		Attributes:  []types.ListenerAttribute{{Key: aws.String("routing.http.response.server.enabled"), Value: aws.String("false")}},
	})
	w.must(err)
	if !w.e.Routes(w.listener).HideServer {
		t.Error("the listener's attribute does not reach the data plane")
	}
}

func TestTags(t *testing.T) {
	w := newWorld(t, Options{})
	ctx, rule := t.Context(), w.makeRule(1)
	all := []string{w.lb, w.blue, w.listener, rule}
	tag := func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }
	_, err := w.e.AddTags(ctx, &elbv2.AddTagsInput{ResourceArns: all, Tags: []types.Tag{tag("team", "red"), tag("env", "prod")}})
	w.must(err)
	_, err = w.e.AddTags(ctx, &elbv2.AddTagsInput{ResourceArns: all[:1], Tags: []types.Tag{tag("team", "blue")}})
	w.must(err)
	_, err = w.e.RemoveTags(ctx, &elbv2.RemoveTagsInput{ResourceArns: all[1:], TagKeys: []string{"env", "none"}})
	w.must(err)
	out, err := w.e.DescribeTags(ctx, &elbv2.DescribeTagsInput{ResourceArns: all})
	w.must(err)
	if d := out.TagDescriptions; len(d) != 4 || len(d[0].Tags) != 2 || *d[0].Tags[0].Value != "blue" || len(d[3].Tags) != 1 {
		t.Errorf("tags %+v", out.TagDescriptions)
	}
	for _, c := range []struct {
		arn  string
		tags []types.Tag
		code string
	}{
		{w.lb, []types.Tag{tag("a", "1"), tag("a", "2")}, codeDuplicateTag},
		{w.lb, []types.Tag{tag("aws:x", "1")}, codeValidation},
		{w.lb, []types.Tag{tag("", "1")}, codeValidation},
		{w.lb + "0", []types.Tag{tag("a", "1")}, "LoadBalancerNotFound"},
		{w.blue + "0", []types.Tag{tag("a", "1")}, "TargetGroupNotFound"},
		{rule + "0", []types.Tag{tag("a", "1")}, "RuleNotFound"},
		{w.listener + "0", []types.Tag{tag("a", "1")}, "ListenerNotFound"},
		{"nonsense", []types.Tag{tag("a", "1")}, codeValidation},
	} {
		_, err := w.e.AddTags(ctx, &elbv2.AddTagsInput{ResourceArns: []string{c.arn}, Tags: c.tags})
		wantCode(t, c.arn, err, c.code)
	}
}

func TestSameSeedSameNames(t *testing.T) {
	a, b, c := newWorld(t, Options{Seed: 7}), newWorld(t, Options{Seed: 7}), newWorld(t, Options{Seed: 8})
	if a.listener != b.listener || a.blue != b.blue {
		t.Errorf("%s and %s differ", a.listener, b.listener)
	}
	if a.listener == c.listener {
		t.Error("another seed gave the same names")
	}
	for _, form := range []struct{ arn, prefix string }{
		{a.lb, "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/web/"},
		{a.blue, "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/blue/"},
		{a.listener, "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/web/"},
		{a.makeRule(1), "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/"},
	} {
		if !strings.HasPrefix(form.arn, form.prefix) {
			t.Errorf("%s does not begin with %s", form.arn, form.prefix)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	w := newWorld(t, Options{Seed: 7})
	w.makeRule(5)
	w.must(w.route(w.split(80, 20)))
	saved, err := w.e.Save()
	w.must(err)

	again := New(Options{Seed: 7})
	t.Cleanup(again.Close)
	var told []string
	again.Watch(func(arn string) { told = append(told, arn) })
	w.must(again.Load(saved))
	if len(told) != 1 || told[0] != w.listener {
		t.Errorf("told about %v", told)
	}
	if got := again.Routes(w.listener).Rules; len(got) != 2 || got[1].Action.Forward.Groups[1].Weight != 20 {
		t.Errorf("rules after loading: %+v", got)
	}
	out, err := again.CreateTargetGroup(t.Context(), groupInput("new"))
	w.must(err)
	if arn := *out.TargetGroups[0].TargetGroupArn; strings.HasSuffix(w.lb+" "+w.blue+" "+w.green, arn[len(arn)-16:]) {
		t.Errorf("id used twice: %s", arn)
	}
	if err := again.Load([]byte("{")); err == nil {
		t.Error("broken state was loaded")
	}
}
