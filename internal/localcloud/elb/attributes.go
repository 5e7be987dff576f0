package elb

import (
	"context"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// attribute is one attribute of a resource. One without a check has no effect
// here and can only be set to its default.
type attribute struct {
	key, def string
	check    func(value string) bool
}

func boolean(v string) bool { return v == "true" || v == "false" }

func between(low, high int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && n >= low && n <= high
	}
}

func offOr(f func(string) bool) func(string) bool {
	return func(v string) bool { return v == "off" || f(v) }
}

// groupAttributes: API, TargetGroupAttribute, those of groups with ip or
// instance targets behind an application load balancer.
func groupAttributes() []attribute {
	return []attribute{
		{"deregistration_delay.timeout_seconds", "300", between(0, 3600)},
		{"stickiness.enabled", "false", boolean},
		{"stickiness.type", "lb_cookie", nil},
		{"stickiness.lb_cookie.duration_seconds", "86400", between(1, 604800)},
		{"stickiness.app_cookie.cookie_name", "", nil},
		{"stickiness.app_cookie.duration_seconds", "86400", nil},
		{"load_balancing.algorithm.type", "round_robin", nil},
		{"load_balancing.algorithm.anomaly_mitigation", "off", nil},
		{"load_balancing.cross_zone.enabled", "use_load_balancer_configuration", nil},
		{"slow_start.duration_seconds", "0", nil},
		{"target_group_health.dns_failover.minimum_healthy_targets.count", "1", nil},
		{"target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", nil},
		{"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", between(1, 1000)},
		{"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", offOr(between(1, 100))},
	}
}

// listenerAttributes: API, ListenerAttribute.
func listenerAttributes() []attribute {
	return []attribute{{"routing.http.response.server.enabled", "true", boolean}}
}

// loadBalancerAttributes: API, LoadBalancerAttribute.
func loadBalancerAttributes() []attribute {
	return []attribute{
		{"deletion_protection.enabled", "false", boolean},
		{"idle_timeout.timeout_seconds", "60", nil},
		{"load_balancing.cross_zone.enabled", "true", nil},
		{"access_logs.s3.enabled", "false", nil},
		{"access_logs.s3.bucket", "", nil},
		{"access_logs.s3.prefix", "", nil},
		{"routing.http2.enabled", "true", nil},
		{"routing.http.drop_invalid_header_fields.enabled", "false", nil},
		{"routing.http.preserve_host_header.enabled", "false", nil},
		{"routing.http.xff_header_processing.mode", "append", nil},
		{"routing.http.xff_client_port.enabled", "false", nil},
		{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", nil},
		{"waf.fail_open.enabled", "false", nil},
	}
}

func known(attrs []attribute, key string) (attribute, bool) {
	i := slices.IndexFunc(attrs, func(a attribute) bool { return a.key == key })
	if i < 0 {
		return attribute{}, false
	}
	return attrs[i], true
}

// setting is a key and value of any resource.
type setting struct{ key, value *string }

// merged returns old with the settings applied, all or none.
func merged(attrs []attribute, old map[string]string, set []setting) (map[string]string, error) {
	if len(set) == 0 {
		return nil, required("attributes")
	}
	out := map[string]string{}
	for k, v := range old {
		out[k] = v
	}
	for _, s := range set {
		key, value := aws.ToString(s.key), aws.ToString(s.value)
		a, ok := known(attrs, key)
		switch {
		case !ok:
			return nil, invalid("The attribute key '%s' is not recognized", key)
		case a.check == nil && value != a.def:
			return nil, unsupported("attribute " + key + " = '" + value + "'")
		case a.check != nil && !a.check(value):
			return nil, invalid("The value '%s' of attribute '%s' is not valid", value, key)
		}
		out[key] = value
	}
	return out, nil
}

func valueOf(attrs []attribute, set map[string]string, key string) string {
	if v, ok := set[key]; ok {
		return v
	}
	a, _ := known(attrs, key)
	return a.def
}

func (g *targetGroup) attribute(key string) string {
	return valueOf(groupAttributes(), g.Attributes, key)
}

// intAttribute reads a numeric attribute, 0 for one that is off.
func (g *targetGroup) intAttribute(key string) int {
	n, _ := strconv.Atoi(g.attribute(key))
	return n
}

func (g *targetGroup) describeAttributes() []types.TargetGroupAttribute {
	var out []types.TargetGroupAttribute
	for _, a := range groupAttributes() {
		out = append(out, types.TargetGroupAttribute{Key: aws.String(a.key), Value: aws.String(g.attribute(a.key))})
	}
	return out
}

// DescribeTargetGroupAttributes lists all attributes of a group.
func (e *ELB) DescribeTargetGroupAttributes(_ context.Context, in *elbv2.DescribeTargetGroupAttributesInput) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
	out := &elbv2.DescribeTargetGroupAttributesOutput{}
	err := e.read(func() error {
		g := e.group(aws.ToString(in.TargetGroupArn))
		if g == nil {
			return errNoGroup()
		}
		out.Attributes = g.describeAttributes()
		return nil
	})
	return result(out, err)
}

// ModifyTargetGroupAttributes sets attributes of a group. Sticky sessions of a
// group need group stickiness in every forward action that has it among several.
func (e *ELB) ModifyTargetGroupAttributes(_ context.Context, in *elbv2.ModifyTargetGroupAttributesInput) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
	var set []setting
	for _, a := range in.Attributes {
		set = append(set, setting{a.Key, a.Value})
	}
	out := &elbv2.ModifyTargetGroupAttributesOutput{}
	err := e.change(func() error {
		g := e.group(aws.ToString(in.TargetGroupArn))
		if g == nil {
			return errNoGroup()
		}
		next, err := merged(groupAttributes(), g.Attributes, set)
		if err != nil {
			return err
		}
		if next["stickiness.enabled"] == "true" {
			for _, ln := range e.state.Listeners {
				for _, r := range ln.Rules {
					if f := r.Desc.Actions[len(r.Desc.Actions)-1].ForwardConfig; f != nil && forwardsTo(f, g.arn()) && len(f.TargetGroups) > 1 && !sticky(f) {
						return errNeedsGroupStickiness()
					}
				}
			}
		}
		g.Attributes = next
		out.Attributes = g.describeAttributes()
		return nil
	})
	return result(out, err)
}

// DescribeListenerAttributes lists all attributes of a listener.
func (e *ELB) DescribeListenerAttributes(_ context.Context, in *elbv2.DescribeListenerAttributesInput) (*elbv2.DescribeListenerAttributesOutput, error) {
	out := &elbv2.DescribeListenerAttributesOutput{}
	err := e.read(func() error {
		ln := e.listener(aws.ToString(in.ListenerArn))
		if ln == nil {
			return errNoListener()
		}
		out.Attributes = ln.describeAttributes()
		return nil
	})
	return result(out, err)
}

func (l *listener) describeAttributes() []types.ListenerAttribute {
	var out []types.ListenerAttribute
	for _, a := range listenerAttributes() {
		out = append(out, types.ListenerAttribute{
			Key: aws.String(a.key), Value: aws.String(valueOf(listenerAttributes(), l.Attributes, a.key)),
		})
	}
	return out
}

// ModifyListenerAttributes sets attributes of a listener.
func (e *ELB) ModifyListenerAttributes(_ context.Context, in *elbv2.ModifyListenerAttributesInput) (*elbv2.ModifyListenerAttributesOutput, error) {
	var set []setting
	for _, a := range in.Attributes {
		set = append(set, setting{a.Key, a.Value})
	}
	out := &elbv2.ModifyListenerAttributesOutput{}
	err := e.change(func() error {
		ln := e.listener(aws.ToString(in.ListenerArn))
		if ln == nil {
			return errNoListener()
		}
		next, err := merged(listenerAttributes(), ln.Attributes, set)
		if err != nil {
			return err
		}
		ln.Attributes = next
		out.Attributes = ln.describeAttributes()
		return nil
	})
	return result(out, err)
}

// DescribeLoadBalancerAttributes lists all attributes of a load balancer.
func (e *ELB) DescribeLoadBalancerAttributes(_ context.Context, in *elbv2.DescribeLoadBalancerAttributesInput) (*elbv2.DescribeLoadBalancerAttributesOutput, error) {
	out := &elbv2.DescribeLoadBalancerAttributesOutput{}
	err := e.read(func() error {
		l := e.loadBalancer(aws.ToString(in.LoadBalancerArn))
		if l == nil {
			return errNoLoadBalancer()
		}
		out.Attributes = l.describeAttributes()
		return nil
	})
	return result(out, err)
}

func (l *loadBalancer) describeAttributes() []types.LoadBalancerAttribute {
	var out []types.LoadBalancerAttribute
	for _, a := range loadBalancerAttributes() {
		out = append(out, types.LoadBalancerAttribute{
			Key: aws.String(a.key), Value: aws.String(valueOf(loadBalancerAttributes(), l.Attributes, a.key)),
		})
	}
	return out
}

// ModifyLoadBalancerAttributes sets attributes of a load balancer.
func (e *ELB) ModifyLoadBalancerAttributes(_ context.Context, in *elbv2.ModifyLoadBalancerAttributesInput) (*elbv2.ModifyLoadBalancerAttributesOutput, error) {
	var set []setting
	for _, a := range in.Attributes {
		set = append(set, setting{a.Key, a.Value})
	}
	out := &elbv2.ModifyLoadBalancerAttributesOutput{}
	err := e.change(func() error {
		l := e.loadBalancer(aws.ToString(in.LoadBalancerArn))
		if l == nil {
			return errNoLoadBalancer()
		}
		next, err := merged(loadBalancerAttributes(), l.Attributes, set)
		if err != nil {
			return err
		}
		l.Attributes = next
		out.Attributes = l.describeAttributes()
		return nil
	})
	return result(out, err)
}
