package elb

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type loadBalancer struct {
	Desc       types.LoadBalancer
	Attributes map[string]string
	Tags       []types.Tag
}

func (l *loadBalancer) arn() string { return aws.ToString(l.Desc.LoadBalancerArn) }

// nameForm: at most 32 characters, alphanumeric or hyphens, no hyphen at
// either end (API, CreateLoadBalancer and CreateTargetGroup, Name).
var nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)

func checkName(what string, name *string) error {
	switch {
	case name == nil:
		return required("name")
	case len(*name) > 32:
		return invalid("%s name '%s' cannot be longer than '32' characters", what, *name)
	case !nameForm.MatchString(*name):
		return invalid("%s name '%s' can only contain characters that are alphanumeric characters or hyphens(-), and must not begin or end with a hyphen", what, *name)
	}
	return nil
}

// CreateLoadBalancer makes an application load balancer. It is active at once;
// AWS takes a minute or two. A repeat with the same settings answers with the
// existing one (API: "This operation is idempotent").
func (e *ELB) CreateLoadBalancer(_ context.Context, in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
	desc, err := e.describeNew(in)
	if err != nil {
		return nil, err
	}
	out := &elbv2.CreateLoadBalancerOutput{}
	err = e.change(func() error {
		for _, l := range e.state.LoadBalancers {
			if *l.Desc.LoadBalancerName != *in.Name {
				continue
			}
			if l.Desc.Scheme != desc.Scheme || !reflect.DeepEqual(l.Desc.AvailabilityZones, desc.AvailabilityZones) || !sameTags(l.Tags, in.Tags) {
				return refuse(codeDuplicateLB, "A load balancer with the same name '%s' exists, but with different settings", *in.Name)
			}
			out.LoadBalancers = []types.LoadBalancer{l.Desc}
			return nil
		}
		id := e.newID()
		desc.LoadBalancerArn = aws.String(e.arn("loadbalancer/app/" + *in.Name + "/" + id))
		prefix := ""
		if desc.Scheme == types.LoadBalancerSchemeEnumInternal {
			prefix = "internal-"
		}
		// Not amazonaws.com: the name must never lead out of this machine.
		desc.DNSName = aws.String(fmt.Sprintf("%s%s-%010d.%s.elb.localhost", prefix, *in.Name, e.rand.Int64N(1e10), e.opts.Region))
		desc.CreatedTime = aws.Time(e.opts.Clock.Now().UTC())
		l := &loadBalancer{Desc: desc, Attributes: map[string]string{}, Tags: slices.Clone(in.Tags)}
		e.state.LoadBalancers = append(e.state.LoadBalancers, l)
		out.LoadBalancers = []types.LoadBalancer{l.Desc}
		return nil
	})
	return result(out, err)
}

func (e *ELB) describeNew(in *elbv2.CreateLoadBalancerInput) (types.LoadBalancer, error) {
	var none types.LoadBalancer
	if err := checkName("Load balancer", in.Name); err != nil {
		return none, err
	}
	if strings.HasPrefix(*in.Name, "internal-") {
		return none, invalid("Load balancer name '%s' cannot begin with 'internal-'", *in.Name)
	}
	if err := checkTags(in.Tags); err != nil {
		return none, err
	}
	if in.Type != "" && in.Type != types.LoadBalancerTypeEnumApplication {
		return none, unsupported(fmt.Sprintf("load balancer type '%s'", in.Type))
	}
	scheme := in.Scheme
	if scheme == "" {
		scheme = types.LoadBalancerSchemeEnumInternetFacing
	}
	if !slices.Contains(scheme.Values(), scheme) {
		return none, refuse("InvalidScheme", "The scheme '%s' is not valid", scheme)
	}
	zones, err := e.zones(in)
	if err != nil {
		return none, err
	}
	ipType := in.IpAddressType
	if ipType == "" {
		ipType = types.IpAddressTypeIpv4
	}
	return types.LoadBalancer{
		LoadBalancerName: in.Name, Scheme: scheme, Type: types.LoadBalancerTypeEnumApplication,
		IpAddressType: ipType, AvailabilityZones: zones, SecurityGroups: slices.Clone(in.SecurityGroups),
		VpcId: aws.String("vpc-0local00000000000"), CanonicalHostedZoneId: aws.String("Z00000000LOCAL"),
		State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnumActive},
	}, nil
}

// zones turns subnets into zones. An application load balancer needs subnets
// of at least two (API, Subnets); here every subnet lies in a zone of its own.
func (e *ELB) zones(in *elbv2.CreateLoadBalancerInput) ([]types.AvailabilityZone, error) {
	subnets := slices.Clone(in.Subnets)
	if len(subnets) > 0 && len(in.SubnetMappings) > 0 {
		return nil, invalid("You can specify either subnets or subnet mappings, not both")
	}
	for _, m := range in.SubnetMappings {
		subnets = append(subnets, aws.ToString(m.SubnetId))
	}
	if len(subnets) < 2 {
		return nil, invalid("At least two subnets in two different Availability Zones must be specified")
	}
	var zones []types.AvailabilityZone
	for i, s := range subnets {
		if slices.Contains(subnets[:i], s) {
			return nil, refuse("InvalidSubnet", "The subnet '%s' was given twice", s)
		}
		zones = append(zones, types.AvailabilityZone{
			SubnetId: aws.String(s), ZoneName: aws.String(e.opts.Region + string(rune('a'+i%26))),
		})
	}
	return zones, nil
}

// DescribeLoadBalancers lists load balancers, all or by ARN or by name.
func (e *ELB) DescribeLoadBalancers(_ context.Context, in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	out := &elbv2.DescribeLoadBalancersOutput{}
	err := e.read(func() error {
		found := e.state.LoadBalancers
		var err error
		if found, err = choose(found, in.LoadBalancerArns, (*loadBalancer).arn, errNoLoadBalancer); err != nil {
			return err
		}
		name := func(l *loadBalancer) string { return *l.Desc.LoadBalancerName }
		if found, err = choose(found, in.Names, name, func() error {
			return refuse("LoadBalancerNotFound", "Load balancers '[%s]' not found", strings.Join(in.Names, ", "))
		}); err != nil {
			return err
		}
		found, next, err := page(found, (*loadBalancer).arn, in.Marker, in.PageSize)
		for _, l := range found {
			out.LoadBalancers = append(out.LoadBalancers, l.Desc)
		}
		out.NextMarker = next
		return err
	})
	return result(out, err)
}

// DeleteLoadBalancer removes a load balancer with its listeners and rules; its
// target groups stay. Deleting an unknown one succeeds (API).
func (e *ELB) DeleteLoadBalancer(_ context.Context, in *elbv2.DeleteLoadBalancerInput) (*elbv2.DeleteLoadBalancerOutput, error) {
	if in.LoadBalancerArn == nil {
		return nil, required("loadBalancerArn")
	}
	err := e.change(func() error {
		l := e.loadBalancer(*in.LoadBalancerArn)
		if l == nil {
			return nil
		}
		if l.Attributes["deletion_protection.enabled"] == "true" {
			return refuse(codeNotPermitted, "Load balancer '%s' cannot be deleted because deletion protection is enabled", l.arn())
		}
		for _, ln := range slices.Clone(e.state.Listeners) {
			if *ln.Desc.LoadBalancerArn == l.arn() {
				e.removeListener(ln)
			}
		}
		e.state.LoadBalancers = slices.DeleteFunc(e.state.LoadBalancers, func(o *loadBalancer) bool { return o == l })
		return nil
	})
	return result(&elbv2.DeleteLoadBalancerOutput{}, err)
}

func (e *ELB) loadBalancer(arn string) *loadBalancer {
	return find(e.state.LoadBalancers, arn, (*loadBalancer).arn)
}

func find[T any](items []*T, key string, of func(*T) string) *T {
	for _, it := range items {
		if of(it) == key {
			return it
		}
	}
	return nil
}

// choose keeps the items whose key was asked for, or all when none was; an
// unknown key is an error.
func choose[T any](items []*T, keys []string, of func(*T) string, missing func() error) ([]*T, error) {
	if len(keys) == 0 {
		return items, nil
	}
	for _, k := range keys {
		if find(items, k, of) == nil {
			return nil, missing()
		}
	}
	var out []*T
	for _, it := range items {
		if slices.Contains(keys, of(it)) {
			out = append(out, it)
		}
	}
	return out, nil
}

// result drops the answer when there is an error.
func result[T any](out *T, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return out, nil
}
