package elb

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

type listener struct {
	Desc       types.Listener // DefaultActions stay empty here: the default rule has them
	Attributes map[string]string
	Tags       []types.Tag
	// Rules are in order of evaluation, the default rule last.
	Rules []*rule
}

func (l *listener) arn() string        { return aws.ToString(l.Desc.ListenerArn) }
func (l *listener) defaultRule() *rule { return l.Rules[len(l.Rules)-1] }

func (l *listener) describe() types.Listener {
	d := l.Desc
	d.DefaultActions = l.defaultRule().Desc.Actions
	return d
}

func (e *ELB) listener(arn string) *listener {
	return find(e.state.Listeners, arn, (*listener).arn)
}

// ruleARN turns …:listener/app/name/lb/listener into …:listener-rule/….
func (l *listener) ruleARN(id string) string {
	return strings.Replace(l.arn(), ":listener/", ":listener-rule/", 1) + "/" + id
}

// CreateListener makes a listener and its default rule. A repeat with the same
// settings answers with the existing one (API: "This operation is idempotent").
func (e *ELB) CreateListener(_ context.Context, in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
	if in.LoadBalancerArn == nil {
		return nil, required("loadBalancerArn")
	}
	desc := types.Listener{
		LoadBalancerArn: in.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol,
		Certificates: slices.Clone(in.Certificates), SslPolicy: in.SslPolicy,
	}
	if err := checkListener(&desc); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if len(in.AlpnPolicy) > 0 || in.MutualAuthentication != nil {
		return nil, unsupported("ALPN and mutual authentication of listeners")
	}
	out := &elbv2.CreateListenerOutput{}
	err := e.change(func() error {
		lb := e.loadBalancer(*in.LoadBalancerArn)
		if lb == nil {
			return errNoLoadBalancer()
		}
		actions, err := e.actionsFor(lb.arn(), in.DefaultActions)
		if err != nil {
			return err
		}
		if other := e.portTaken(lb.arn(), *in.Port, nil); other != nil {
			if other.Desc.Protocol == in.Protocol && sameActions(other.defaultRule().Desc.Actions, actions) && sameTags(other.Tags, in.Tags) {
				out.Listeners = []types.Listener{other.describe()}
				return nil
			}
			return refuse(codeDuplicateListener, "A listener already exists on this port for this load balancer '%s'", lb.arn())
		}
		desc.ListenerArn = aws.String(strings.Replace(lb.arn(), ":loadbalancer/", ":listener/", 1) + "/" + e.newID())
		ln := &listener{Desc: desc, Attributes: map[string]string{}, Tags: slices.Clone(in.Tags)}
		ln.Rules = []*rule{{Desc: types.Rule{
			RuleArn: aws.String(ln.ruleARN(e.newID())), IsDefault: aws.Bool(true), Priority: aws.String("default"), Actions: actions,
		}}}
		e.state.Listeners = append(e.state.Listeners, ln)
		e.touch(ln.arn())
		out.Listeners = []types.Listener{ln.describe()}
		return nil
	})
	return result(out, err)
}

// checkListener checks port, protocol and certificates; a listener of protocol
// HTTPS has exactly one default certificate (API, CreateListener).
func checkListener(d *types.Listener) error {
	if d.Port == nil {
		return invalid("A listener port must be specified")
	}
	if err := inRange("port", *d.Port, 1, 65535); err != nil {
		return err
	}
	switch d.Protocol {
	case types.ProtocolEnumHttp:
		if len(d.Certificates) > 0 || d.SslPolicy != nil {
			return invalid("Certificates and SSL policies cannot be specified for HTTP listeners")
		}
	case types.ProtocolEnumHttps:
		if len(d.Certificates) != 1 {
			return invalid("A certificate must be specified for HTTPS listeners")
		}
		if d.SslPolicy == nil {
			d.SslPolicy = aws.String("ELBSecurityPolicy-2016-08")
		}
	case "":
		return invalid("A listener protocol must be specified")
	default:
		return invalid("Listener protocol '%s' must be one of 'HTTPS, HTTP'", d.Protocol)
	}
	return nil
}

func (e *ELB) portTaken(lbARN string, port int32, except *listener) *listener {
	for _, ln := range e.state.Listeners {
		if ln != except && *ln.Desc.LoadBalancerArn == lbARN && *ln.Desc.Port == port {
			return ln
		}
	}
	return nil
}

// actionsFor checks actions for use behind one load balancer: a target group
// belongs to at most one (guide, "Target groups"), and a load balancer uses at
// most 100 groups (guide, "Quotas").
func (e *ELB) actionsFor(lbARN string, in []types.Action) ([]types.Action, error) {
	out, err := e.normalActions(in)
	if err != nil {
		return nil, err
	}
	used := 0
	for _, g := range e.state.TargetGroups {
		if slices.Contains(g.users, lbARN) {
			used++
		}
	}
	for _, arn := range groupsOf(out) {
		g := e.group(arn)
		if slices.ContainsFunc(g.users, func(u string) bool { return u != lbARN }) {
			return nil, refuse(codeAssociationLimit, "The following target groups cannot be associated with more than one load balancer: %s", arn)
		}
		if len(g.users) == 0 {
			used++
		}
	}
	if used > 100 {
		return nil, refuse(codeTooManyGroupsPerLB, "A load balancer can use at most 100 target groups")
	}
	return out, nil
}

func groupsOf(actions []types.Action) []string {
	var out []string
	for _, a := range actions {
		if a.ForwardConfig == nil {
			continue
		}
		for _, t := range a.ForwardConfig.TargetGroups {
			out = append(out, *t.TargetGroupArn)
		}
	}
	return out
}

// DescribeListeners lists the listeners of a load balancer, or by ARN.
func (e *ELB) DescribeListeners(_ context.Context, in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
	byLB := aws.ToString(in.LoadBalancerArn)
	switch {
	case byLB == "" && len(in.ListenerArns) == 0:
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	case byLB != "" && len(in.ListenerArns) > 0:
		return nil, invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
	}
	out := &elbv2.DescribeListenersOutput{}
	err := e.read(func() error {
		if byLB != "" && e.loadBalancer(byLB) == nil {
			return errNoLoadBalancer()
		}
		found, err := choose(e.state.Listeners, in.ListenerArns, (*listener).arn, errNoListener)
		if err != nil {
			return err
		}
		if byLB != "" {
			found = slices.DeleteFunc(slices.Clone(found), func(l *listener) bool { return *l.Desc.LoadBalancerArn != byLB })
		}
		found, next, err := page(found, (*listener).arn, in.Marker, in.PageSize)
		for _, l := range found {
			out.Listeners = append(out.Listeners, l.describe())
		}
		out.NextMarker = next
		return err
	})
	return result(out, err)
}

// ModifyListener replaces what is given; default actions are replaced whole.
func (e *ELB) ModifyListener(_ context.Context, in *elbv2.ModifyListenerInput) (*elbv2.ModifyListenerOutput, error) {
	if in.ListenerArn == nil {
		return nil, required("listenerArn")
	}
	if len(in.AlpnPolicy) > 0 || in.MutualAuthentication != nil {
		return nil, unsupported("ALPN and mutual authentication of listeners")
	}
	out := &elbv2.ModifyListenerOutput{}
	err := e.change(func() error {
		ln := e.listener(*in.ListenerArn)
		if ln == nil {
			return errNoListener()
		}
		next, err := e.modified(ln, in)
		if err != nil {
			return err
		}
		if in.DefaultActions != nil {
			actions, err := e.actionsFor(*ln.Desc.LoadBalancerArn, in.DefaultActions)
			if err != nil {
				return err
			}
			ln.defaultRule().Desc.Actions = actions
		}
		ln.Desc = next
		e.touch(ln.arn())
		out.Listeners = []types.Listener{ln.describe()}
		return nil
	})
	return result(out, err)
}

// modified is the listener's description after a change of port, protocol or
// certificates.
func (e *ELB) modified(ln *listener, in *elbv2.ModifyListenerInput) (types.Listener, error) {
	d := ln.Desc
	if in.Port != nil {
		if e.portTaken(*d.LoadBalancerArn, *in.Port, ln) != nil {
			return d, refuse(codeDuplicateListener, "A listener already exists on this port for this load balancer '%s'", *d.LoadBalancerArn)
		}
		d.Port = in.Port
	}
	if in.Protocol != "" {
		d.Protocol = in.Protocol
		if in.Protocol == types.ProtocolEnumHttp {
			d.Certificates, d.SslPolicy = nil, nil // API: removed by the change to HTTP
		}
	}
	if in.Certificates != nil {
		d.Certificates = slices.Clone(in.Certificates)
	}
	if in.SslPolicy != nil {
		d.SslPolicy = in.SslPolicy
	}
	return d, checkListener(&d)
}

// DeleteListener removes a listener with its rules.
func (e *ELB) DeleteListener(_ context.Context, in *elbv2.DeleteListenerInput) (*elbv2.DeleteListenerOutput, error) {
	if in.ListenerArn == nil {
		return nil, required("listenerArn")
	}
	err := e.change(func() error {
		ln := e.listener(*in.ListenerArn)
		if ln == nil {
			return errNoListener()
		}
		e.removeListener(ln)
		return nil
	})
	return result(&elbv2.DeleteListenerOutput{}, err)
}

func (e *ELB) removeListener(ln *listener) {
	e.touch(ln.arn())
	e.state.Listeners = slices.DeleteFunc(e.state.Listeners, func(o *listener) bool { return o == ln })
}
