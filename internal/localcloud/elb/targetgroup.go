package elb

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type targetGroup struct {
	Desc       types.TargetGroup // LoadBalancerArns stays empty here; it is worked out
	Attributes map[string]string
	Tags       []types.Tag

	targets []*target // in order of registration
	users   []string  // ARNs of the load balancers that forward to it
}

func (g *targetGroup) arn() string  { return aws.ToString(g.Desc.TargetGroupArn) }
func (g *targetGroup) name() string { return aws.ToString(g.Desc.TargetGroupName) }

func (g *targetGroup) describe() types.TargetGroup {
	d := g.Desc
	d.LoadBalancerArns = slices.Clone(g.users)
	return d
}

func (e *ELB) group(arn string) *targetGroup {
	return find(e.state.TargetGroups, arn, (*targetGroup).arn)
}

// checkOptions is what CreateTargetGroup and ModifyTargetGroup have in common.
type checkOptions struct {
	enabled            *bool
	protocol           types.ProtocolEnum
	port, path         *string
	interval, timeout  *int32
	healthy, unhealthy *int32
	matcher            *types.Matcher
}

// CreateTargetGroup makes a target group. A repeat with the same settings
// answers with the existing one (API: "This operation is idempotent").
func (e *ELB) CreateTargetGroup(_ context.Context, in *elbv2.CreateTargetGroupInput) (*elbv2.CreateTargetGroupOutput, error) {
	desc, err := newGroup(in)
	if err != nil {
		return nil, err
	}
	out := &elbv2.CreateTargetGroupOutput{}
	err = e.change(func() error {
		if g := find(e.state.TargetGroups, *in.Name, (*targetGroup).name); g != nil {
			if !sameGroup(g.Desc, desc) || !sameTags(g.Tags, in.Tags) {
				return refuse(codeDuplicateGroup, "A target group with the same name '%s' exists, but with different settings", *in.Name)
			}
			out.TargetGroups = []types.TargetGroup{g.describe()}
			return nil
		}
		desc.TargetGroupArn = aws.String(e.arn("targetgroup/" + *in.Name + "/" + e.newID()))
		g := &targetGroup{Desc: desc, Attributes: map[string]string{}, Tags: slices.Clone(in.Tags)}
		e.state.TargetGroups = append(e.state.TargetGroups, g)
		out.TargetGroups = []types.TargetGroup{g.describe()}
		return nil
	})
	return result(out, err)
}

func newGroup(in *elbv2.CreateTargetGroupInput) (types.TargetGroup, error) {
	d := types.TargetGroup{
		TargetGroupName: in.Name, TargetType: in.TargetType, Protocol: in.Protocol, Port: in.Port,
		VpcId: in.VpcId, IpAddressType: in.IpAddressType, ProtocolVersion: in.ProtocolVersion,
	}
	if err := checkName("Target group", in.Name); err != nil {
		return d, err
	}
	if err := checkTags(in.Tags); err != nil {
		return d, err
	}
	if err := groupKind(&d); err != nil {
		return d, err
	}
	// Defaults: API, CreateTargetGroup; the timeout of 5 s is the guide's, which
	// is also what the service answers.
	d.HealthCheckEnabled = aws.Bool(true)
	d.HealthCheckProtocol = types.ProtocolEnumHttp
	d.HealthCheckPort = aws.String("traffic-port")
	d.HealthCheckPath = aws.String("/")
	d.HealthCheckIntervalSeconds = aws.Int32(30)
	d.HealthCheckTimeoutSeconds = aws.Int32(5)
	d.HealthyThresholdCount = aws.Int32(5)
	d.UnhealthyThresholdCount = aws.Int32(2)
	d.Matcher = &types.Matcher{HttpCode: aws.String("200")}
	err := applyChecks(&d, checkOptions{
		in.HealthCheckEnabled, in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath, in.HealthCheckIntervalSeconds,
		in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
	})
	return d, err
}

// groupKind checks type, protocol, port and network of a new group.
func groupKind(d *types.TargetGroup) error {
	switch d.TargetType {
	case "":
		d.TargetType = types.TargetTypeEnumInstance
	case types.TargetTypeEnumInstance, types.TargetTypeEnumIp:
	default:
		return unsupported(fmt.Sprintf("target type '%s'", d.TargetType))
	}
	switch d.Protocol {
	case "":
		return invalid("A protocol must be specified for target groups with target type '%s'", d.TargetType)
	case types.ProtocolEnumHttp:
	default:
		return unsupported(fmt.Sprintf("target group protocol '%s'", d.Protocol))
	}
	if d.Port == nil {
		return invalid("A port must be specified for target groups with target type '%s'", d.TargetType)
	}
	if err := inRange("port", *d.Port, 1, 65535); err != nil {
		return err
	}
	if aws.ToString(d.VpcId) == "" {
		return invalid("A VPC ID must be specified for target groups with target type '%s'", d.TargetType)
	}
	if v := aws.ToString(d.ProtocolVersion); v != "" && v != "HTTP1" {
		return unsupported("protocol version '" + v + "'")
	}
	d.ProtocolVersion = aws.String("HTTP1")
	if d.IpAddressType == "" {
		d.IpAddressType = types.TargetGroupIpAddressTypeEnumIpv4
	}
	if d.IpAddressType != types.TargetGroupIpAddressTypeEnumIpv4 {
		return unsupported(fmt.Sprintf("IP address type '%s'", d.IpAddressType))
	}
	return nil
}

func sameGroup(a, b types.TargetGroup) bool {
	return a.TargetType == b.TargetType && a.Protocol == b.Protocol && *a.Port == *b.Port && *a.VpcId == *b.VpcId &&
		*a.HealthCheckPath == *b.HealthCheckPath && *a.HealthCheckPort == *b.HealthCheckPort &&
		*a.HealthCheckIntervalSeconds == *b.HealthCheckIntervalSeconds && *a.HealthCheckTimeoutSeconds == *b.HealthCheckTimeoutSeconds &&
		*a.HealthyThresholdCount == *b.HealthyThresholdCount && *a.UnhealthyThresholdCount == *b.UnhealthyThresholdCount &&
		*a.Matcher.HttpCode == *b.Matcher.HttpCode
}

// applyChecks sets the given health check options after checking their ranges
// (API, CreateTargetGroup).
func applyChecks(d *types.TargetGroup, o checkOptions) error {
	if o.enabled != nil && !*o.enabled {
		return invalid("Health check enabled must be true for target groups with target type '%s'", d.TargetType)
	}
	switch o.protocol {
	case "", types.ProtocolEnumHttp:
	case types.ProtocolEnumHttps:
		return unsupported("health check protocol 'HTTPS'")
	default:
		return invalid("Health check protocol '%s' is not supported for target groups with protocol '%s'", o.protocol, d.Protocol)
	}
	numbers := []struct {
		name      string
		from      *int32
		into      **int32
		low, high int32
	}{
		{"healthCheckIntervalSeconds", o.interval, &d.HealthCheckIntervalSeconds, 5, 300},
		{"healthCheckTimeoutSeconds", o.timeout, &d.HealthCheckTimeoutSeconds, 2, 120},
		{"healthyThresholdCount", o.healthy, &d.HealthyThresholdCount, 2, 10},
		{"unhealthyThresholdCount", o.unhealthy, &d.UnhealthyThresholdCount, 2, 10},
	}
	for _, n := range numbers {
		if n.from == nil {
			continue
		}
		if err := inRange(n.name, *n.from, n.low, n.high); err != nil {
			return err
		}
		*n.into = aws.Int32(*n.from)
	}
	if *d.HealthCheckIntervalSeconds <= *d.HealthCheckTimeoutSeconds {
		return invalid("Health check interval must be greater than the timeout.")
	}
	return applyCheckRequest(d, o)
}

// applyCheckRequest sets port, path and matcher.
func applyCheckRequest(d *types.TargetGroup, o checkOptions) error {
	if o.port != nil {
		if n, err := strconv.Atoi(*o.port); *o.port != "traffic-port" && (err != nil || n < 1 || n > 65535) {
			return invalid("Health check port '%s' must be 'traffic-port' or a number between 1 and 65535", *o.port)
		}
		d.HealthCheckPort = aws.String(*o.port)
	}
	if o.path != nil {
		if !strings.HasPrefix(*o.path, "/") || len(*o.path) > 1024 {
			return invalid("Health check path '%s' must begin with a '/' character and have at most 1024 characters", *o.path)
		}
		d.HealthCheckPath = aws.String(*o.path)
	}
	if o.matcher != nil {
		if o.matcher.GrpcCode != nil || o.matcher.HttpCode == nil {
			return invalid("Health check matcher must name HTTP codes")
		}
		if _, err := parseMatcher(*o.matcher.HttpCode); err != nil {
			return err
		}
		d.Matcher = &types.Matcher{HttpCode: aws.String(*o.matcher.HttpCode)}
	}
	return nil
}

// codeRange is one part of a matcher, both ends included.
type codeRange struct{ low, high int }

// parseMatcher reads "200", "200,202" or "200-299". The range for HTTP groups
// is 200 to 499 (API, CreateTargetGroup, Matcher).
func parseMatcher(s string) ([]codeRange, error) {
	var out []codeRange
	for _, part := range strings.Split(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		low, err1 := strconv.Atoi(first)
		high, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || low > high || low < 200 || high > 499 {
			return nil, invalid("Health check matcher HTTP code '%s' must be within 200 and 499", s)
		}
		out = append(out, codeRange{low, high})
	}
	return out, nil
}

// ModifyTargetGroup changes the health checks of a group; they hold from the
// next check of each target on.
func (e *ELB) ModifyTargetGroup(_ context.Context, in *elbv2.ModifyTargetGroupInput) (*elbv2.ModifyTargetGroupOutput, error) {
	if in.TargetGroupArn == nil {
		return nil, required("targetGroupArn")
	}
	out := &elbv2.ModifyTargetGroupOutput{}
	err := e.change(func() error {
		g := e.group(*in.TargetGroupArn)
		if g == nil {
			return errNoGroup()
		}
		d := g.Desc
		if err := applyChecks(&d, checkOptions{
			in.HealthCheckEnabled, in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath, in.HealthCheckIntervalSeconds,
			in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
		}); err != nil {
			return err
		}
		g.Desc = d
		out.TargetGroups = []types.TargetGroup{g.describe()}
		return nil
	})
	return result(out, err)
}

// DescribeTargetGroups lists groups: all, by ARN, by name, or those a load
// balancer uses.
func (e *ELB) DescribeTargetGroups(_ context.Context, in *elbv2.DescribeTargetGroupsInput) (*elbv2.DescribeTargetGroupsOutput, error) {
	given := 0
	for _, yes := range []bool{in.LoadBalancerArn != nil, len(in.Names) > 0, len(in.TargetGroupArns) > 0} {
		if yes {
			given++
		}
	}
	if given > 1 {
		return nil, invalid("Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time")
	}
	out := &elbv2.DescribeTargetGroupsOutput{}
	err := e.read(func() error {
		found, err := e.selectGroups(in)
		if err != nil {
			return err
		}
		found, next, err := page(found, (*targetGroup).arn, in.Marker, in.PageSize)
		for _, g := range found {
			out.TargetGroups = append(out.TargetGroups, g.describe())
		}
		out.NextMarker = next
		return err
	})
	return result(out, err)
}

func (e *ELB) selectGroups(in *elbv2.DescribeTargetGroupsInput) ([]*targetGroup, error) {
	if arn := aws.ToString(in.LoadBalancerArn); arn != "" {
		if e.loadBalancer(arn) == nil {
			return nil, errNoLoadBalancer()
		}
		var used []*targetGroup
		for _, g := range e.state.TargetGroups {
			if slices.Contains(g.users, arn) {
				used = append(used, g)
			}
		}
		return used, nil
	}
	found, err := choose(e.state.TargetGroups, in.TargetGroupArns, (*targetGroup).arn, errNoGroup)
	if err != nil {
		return nil, err
	}
	return choose(found, in.Names, (*targetGroup).name, errNoGroup)
}

// DeleteTargetGroup removes a group that no listener and no rule uses; its
// targets are forgotten. Deleting an unknown one succeeds.
func (e *ELB) DeleteTargetGroup(_ context.Context, in *elbv2.DeleteTargetGroupInput) (*elbv2.DeleteTargetGroupOutput, error) {
	if in.TargetGroupArn == nil {
		return nil, required("targetGroupArn")
	}
	err := e.change(func() error {
		g := e.group(*in.TargetGroupArn)
		if g == nil {
			return nil
		}
		if len(g.users) > 0 {
			return refuse(codeInUse, "Target group '%s' is currently in use by a listener or a rule", g.arn())
		}
		for _, t := range g.targets {
			t.stopTimer()
		}
		e.state.TargetGroups = slices.DeleteFunc(e.state.TargetGroups, func(o *targetGroup) bool { return o == g })
		return nil
	})
	return result(&elbv2.DeleteTargetGroupOutput{}, err)
}
