package ecs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/sync/errgroup"
)

// elbBatch is how many rules or listeners one call takes by ARN.
const elbBatch = 20

// Groups implements routes.
func (a *awsCloud) Groups(ctx context.Context, arns []string) ([]group, error) {
	out, err := call(ctx, a, "elasticloadbalancing:DescribeTargetGroups", func(ctx context.Context, in *elb.DescribeTargetGroupsInput) (*elb.DescribeTargetGroupsOutput, error) {
		return a.elb.DescribeTargetGroups(ctx, in)
	}, &elb.DescribeTargetGroupsInput{TargetGroupArns: arns})
	if awsCode(err) == "TargetGroupNotFound" && len(arns) > 1 {
		return a.eachGroup(ctx, arns)
	}
	if awsCode(err) == "TargetGroupNotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var gs []group
	for _, g := range out.TargetGroups {
		gs = append(gs, group{ARN: aws.ToString(g.TargetGroupArn), Name: aws.ToString(g.TargetGroupName), LoadBalancers: g.LoadBalancerArns})
	}
	return gs, nil
}

// eachGroup asks for one group at a time, because one missing group fails the whole list.
func (a *awsCloud) eachGroup(ctx context.Context, arns []string) ([]group, error) {
	var all []group
	for _, arn := range arns {
		gs, err := a.Groups(ctx, []string{arn})
		if err != nil {
			return nil, err
		}
		all = append(all, gs...)
	}
	return all, nil
}

// Health implements routes.
func (a *awsCloud) Health(ctx context.Context, arn string) ([]target, error) {
	out, err := call(ctx, a, "elasticloadbalancing:DescribeTargetHealth", func(ctx context.Context, in *elb.DescribeTargetHealthInput) (*elb.DescribeTargetHealthOutput, error) {
		return a.elb.DescribeTargetHealth(ctx, in)
	}, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn)})
	if err != nil {
		return nil, err
	}
	var ts []target
	for _, d := range out.TargetHealthDescriptions {
		t := target{}
		if d.Target != nil {
			t.ID = aws.ToString(d.Target.Id)
		}
		if h := d.TargetHealth; h != nil {
			t.State, t.Detail = string(h.State), string(h.Reason)
			if s := aws.ToString(h.Description); s != "" {
				t.Detail += ": " + s
			}
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// RoutesOf implements routes: all listeners of the load balancers, then their rules side by side.
func (a *awsCloud) RoutesOf(ctx context.Context, loadBalancers []string) ([]route, error) {
	var listeners []elbtypes.Listener
	for _, lb := range loadBalancers {
		in := &elb.DescribeListenersInput{LoadBalancerArn: aws.String(lb)}
		for {
			out, err := a.listeners(ctx, in)
			if err != nil {
				return nil, err
			}
			listeners = append(listeners, out.Listeners...)
			if aws.ToString(out.NextMarker) == "" {
				break
			}
			in.Marker = out.NextMarker
		}
	}
	found := make([][]route, len(listeners))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, l := range listeners {
		found[i] = []route{defaultRoute(l)}
		if l.Protocol != elbtypes.ProtocolEnumHttp && l.Protocol != elbtypes.ProtocolEnumHttps {
			continue // only application load balancers have rules
		}
		g.Go(func() error {
			rules, def, err := a.rules(gctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn}, aws.ToString(l.ListenerArn))
			found[i][0].Rule = def
			found[i] = append(found[i], rules...)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return sortedRoutes(slices.Concat(found...)), nil
}

func defaultRoute(l elbtypes.Listener) route {
	arn := aws.ToString(l.ListenerArn)
	return route{ARN: arn, Listener: arn, Default: true, Priority: "default", Actions: l.DefaultActions}
}

func (a *awsCloud) listeners(ctx context.Context, in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
	return call(ctx, a, "elasticloadbalancing:DescribeListeners", func(ctx context.Context, in *elb.DescribeListenersInput) (*elb.DescribeListenersOutput, error) {
		return a.elb.DescribeListeners(ctx, in)
	}, in)
}

// rules reads all pages of rules. Of the default rule only the ARN is said: the listener's default actions stand for it.
func (a *awsCloud) rules(ctx context.Context, in *elb.DescribeRulesInput, listener string) ([]route, string, error) {
	var all []route
	byDefault := ""
	for {
		out, err := call(ctx, a, "elasticloadbalancing:DescribeRules", func(ctx context.Context, in *elb.DescribeRulesInput) (*elb.DescribeRulesOutput, error) {
			return a.elb.DescribeRules(ctx, in)
		}, in)
		if err != nil {
			return nil, "", err
		}
		for _, r := range out.Rules {
			if aws.ToBool(r.IsDefault) {
				byDefault = aws.ToString(r.RuleArn)
			} else {
				all = append(all, route{ARN: aws.ToString(r.RuleArn), Listener: listener, Priority: aws.ToString(r.Priority), Actions: r.Actions})
			}
		}
		if aws.ToString(out.NextMarker) == "" {
			return all, byDefault, nil
		}
		in.Marker = out.NextMarker
	}
}

// Reread implements routes: two calls side by side, however many routes there are up to a batch.
func (a *awsCloud) Reread(ctx context.Context, known []route) ([]route, error) {
	var defaults, rules []string
	listener, rule := map[string]string{}, map[string]string{}
	for _, r := range known {
		listener[r.ARN], rule[r.ARN] = r.Listener, r.Rule
		if r.Default {
			defaults = append(defaults, r.ARN)
		} else {
			rules = append(rules, r.ARN)
		}
	}
	var a1, a2 []route
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		a1, err = rereadBatches(defaults, func(arns []string) ([]route, error) {
			out, err := a.listeners(gctx, &elb.DescribeListenersInput{ListenerArns: arns})
			if err != nil {
				return nil, err
			}
			var rs []route
			for _, l := range out.Listeners {
				rs = append(rs, defaultRoute(l))
			}
			return rs, nil
		})
		return err
	})
	g.Go(func() (err error) {
		a2, err = rereadBatches(rules, func(arns []string) ([]route, error) {
			rs, _, err := a.rules(gctx, &elb.DescribeRulesInput{RuleArns: arns}, "")
			return rs, err
		})
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(a1, a2)
	for i := range all {
		all[i].Listener, all[i].Rule = listener[all[i].ARN], rule[all[i].ARN]
	}
	return sortedRoutes(all), nil
}

// rereadBatches reads by ARN in batches; a missing one makes its batch be read one by one.
func rereadBatches(arns []string, read func([]string) ([]route, error)) ([]route, error) {
	var all []route
	for batch := range slices.Chunk(arns, elbBatch) {
		rs, err := read(batch)
		if c := awsCode(err); c == "RuleNotFound" || c == "ListenerNotFound" {
			if len(batch) == 1 {
				continue
			}
			for _, arn := range batch {
				one, err := rereadBatches([]string{arn}, read)
				if err != nil {
					return nil, err
				}
				all = append(all, one...)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, rs...)
	}
	return all, nil
}

// SetActions implements routes. Actions replace all actions of the rule.
func (a *awsCloud) SetActions(ctx context.Context, r route, actions []elbtypes.Action) error {
	if r.Default {
		_, err := call(ctx, a, "elasticloadbalancing:ModifyListener", func(ctx context.Context, in *elb.ModifyListenerInput) (*elb.ModifyListenerOutput, error) {
			return a.elb.ModifyListener(ctx, in)
		}, &elb.ModifyListenerInput{ListenerArn: aws.String(r.ARN), DefaultActions: writable(actions)})
		return err
	}
	_, err := call(ctx, a, "elasticloadbalancing:ModifyRule", func(ctx context.Context, in *elb.ModifyRuleInput) (*elb.ModifyRuleOutput, error) {
		return a.elb.ModifyRule(ctx, in)
	}, &elb.ModifyRuleInput{RuleArn: aws.String(r.ARN), Actions: writable(actions)})
	return err
}

// writable makes described actions acceptable as input: the secret of an OIDC client is never shown and must be kept by
// name, and a target group beside a forward configuration is allowed only when it is the single one.
func writable(actions []elbtypes.Action) []elbtypes.Action {
	out := slices.Clone(actions)
	for i, act := range out {
		if c := act.AuthenticateOidcConfig; c != nil && c.ClientSecret == nil {
			keep := *c
			keep.UseExistingClientSecret = aws.Bool(true)
			out[i].AuthenticateOidcConfig = &keep
		}
		if act.ForwardConfig != nil && len(act.ForwardConfig.TargetGroups) > 1 {
			out[i].TargetGroupArn = nil
		}
	}
	return out
}
