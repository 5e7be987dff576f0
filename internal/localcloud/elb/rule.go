package elb

import (
	"context"
	"reflect"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// maxRules per load balancer, default rules not counted (guide, "Quotas").
const maxRules = 100

type rule struct {
	Desc types.Rule
	Tags []types.Tag
}

func (r *rule) arn() string     { return aws.ToString(r.Desc.RuleArn) }
func (r *rule) isDefault() bool { return aws.ToBool(r.Desc.IsDefault) }

// order is the priority as a number; the default rule comes last.
func (r *rule) order() int {
	if r.isDefault() {
		return 1 << 30
	}
	n, _ := strconv.Atoi(aws.ToString(r.Desc.Priority))
	return n
}

func (e *ELB) rule(arn string) (*listener, *rule) {
	for _, ln := range e.state.Listeners {
		if r := find(ln.Rules, arn, (*rule).arn); r != nil {
			return ln, r
		}
	}
	return nil, nil
}

func sameActions(a, b []types.Action) bool { return reflect.DeepEqual(a, b) }

// sortRules keeps the order of evaluation. The slice is replaced, because
// snapshots may still hold the old one.
func (l *listener) sortRules() {
	next := slices.Clone(l.Rules)
	slices.SortStableFunc(next, func(a, b *rule) int { return a.order() - b.order() })
	l.Rules = next
}

func (l *listener) priorityTaken(p int32, except *rule) bool {
	return slices.ContainsFunc(l.Rules, func(r *rule) bool { return r != except && r.order() == int(p) })
}

func checkPriority(p *int32) error {
	if p == nil {
		return required("priority")
	}
	return inRange("priority", *p, 1, 50000)
}

// CreateRule adds a rule before the default rule.
func (e *ELB) CreateRule(_ context.Context, in *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
	if in.ListenerArn == nil {
		return nil, required("listenerArn")
	}
	if err := checkPriority(in.Priority); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if len(in.Transforms) > 0 {
		return nil, unsupported("rule transforms")
	}
	conditions, err := checkConditions(in.Conditions)
	if err != nil {
		return nil, err
	}
	out := &elbv2.CreateRuleOutput{}
	err = e.change(func() error {
		ln := e.listener(*in.ListenerArn)
		if ln == nil {
			return errNoListener()
		}
		if ln.priorityTaken(*in.Priority, nil) {
			return refuse(codePriorityInUse, "Priority '%d' is currently in use", *in.Priority)
		}
		if e.countRules(*ln.Desc.LoadBalancerArn) >= maxRules {
			return refuse(codeTooManyRules, "A load balancer can have at most %d rules", maxRules)
		}
		actions, err := e.actionsFor(*ln.Desc.LoadBalancerArn, in.Actions)
		if err != nil {
			return err
		}
		r := &rule{Tags: slices.Clone(in.Tags), Desc: types.Rule{
			RuleArn: aws.String(ln.ruleARN(e.newID())), IsDefault: aws.Bool(false),
			Priority: aws.String(strconv.Itoa(int(*in.Priority))), Conditions: conditions, Actions: actions,
		}}
		ln.Rules = append(slices.Clone(ln.Rules), r)
		ln.sortRules()
		e.touch(ln.arn())
		out.Rules = []types.Rule{r.Desc}
		return nil
	})
	return result(out, err)
}

func (e *ELB) countRules(lbARN string) int {
	n := 0
	for _, ln := range e.state.Listeners {
		if *ln.Desc.LoadBalancerArn == lbARN {
			n += len(ln.Rules) - 1
		}
	}
	return n
}

// DescribeRules lists the rules of a listener in order of evaluation, or by ARN.
func (e *ELB) DescribeRules(_ context.Context, in *elbv2.DescribeRulesInput) (*elbv2.DescribeRulesOutput, error) {
	byListener := aws.ToString(in.ListenerArn)
	switch {
	case byListener == "" && len(in.RuleArns) == 0:
		return nil, invalid("You must specify either listener rule ARNs or a listener ARN")
	case byListener != "" && len(in.RuleArns) > 0:
		return nil, invalid("Listener rule ARNs and a listener ARN cannot be specified at the same time")
	}
	out := &elbv2.DescribeRulesOutput{}
	err := e.read(func() error {
		found, err := e.selectRules(byListener, in.RuleArns)
		if err != nil {
			return err
		}
		found, next, err := page(found, (*rule).arn, in.Marker, in.PageSize)
		for _, r := range found {
			out.Rules = append(out.Rules, r.Desc)
		}
		out.NextMarker = next
		return err
	})
	return result(out, err)
}

func (e *ELB) selectRules(listenerARN string, arns []string) ([]*rule, error) {
	if listenerARN != "" {
		ln := e.listener(listenerARN)
		if ln == nil {
			return nil, errNoListener()
		}
		return ln.Rules, nil
	}
	var out []*rule
	for _, arn := range arns {
		_, r := e.rule(arn)
		if r == nil {
			return nil, errNoRule()
		}
		out = append(out, r)
	}
	return out, nil
}

// ModifyRule replaces the actions, the conditions or both; each is replaced
// whole (API). The default rule is changed through its listener.
func (e *ELB) ModifyRule(_ context.Context, in *elbv2.ModifyRuleInput) (*elbv2.ModifyRuleOutput, error) {
	if in.RuleArn == nil {
		return nil, required("ruleArn")
	}
	if len(in.Transforms) > 0 {
		return nil, unsupported("rule transforms")
	}
	var conditions []types.RuleCondition
	if in.Conditions != nil {
		var err error
		if conditions, err = checkConditions(in.Conditions); err != nil {
			return nil, err
		}
	}
	if in.Actions == nil && in.Conditions == nil {
		return nil, invalid("You must specify actions or conditions to modify a rule")
	}
	out := &elbv2.ModifyRuleOutput{}
	err := e.change(func() error {
		ln, r := e.rule(*in.RuleArn)
		switch {
		case r == nil:
			return errNoRule()
		case r.isDefault():
			return refuse(codeNotPermitted, "Default rule '%s' cannot be modified", r.arn())
		}
		next := r.Desc
		if in.Actions != nil {
			actions, err := e.actionsFor(*ln.Desc.LoadBalancerArn, in.Actions)
			if err != nil {
				return err
			}
			next.Actions = actions
		}
		if conditions != nil {
			next.Conditions = conditions
		}
		r.Desc = next
		e.touch(ln.arn())
		out.Rules = []types.Rule{r.Desc}
		return nil
	})
	return result(out, err)
}

// SetRulePriorities moves rules, all or none; priorities may be exchanged in
// one call.
func (e *ELB) SetRulePriorities(_ context.Context, in *elbv2.SetRulePrioritiesInput) (*elbv2.SetRulePrioritiesOutput, error) {
	if len(in.RulePriorities) == 0 {
		return nil, required("rulePriorities")
	}
	for _, p := range in.RulePriorities {
		if p.RuleArn == nil {
			return nil, required("rulePriorities.1.member.ruleArn")
		}
		if err := checkPriority(p.Priority); err != nil {
			return nil, err
		}
	}
	out := &elbv2.SetRulePrioritiesOutput{}
	err := e.change(func() error {
		wanted := map[string]int32{}
		listeners := map[string]*listener{}
		for _, p := range in.RulePriorities {
			ln, r := e.rule(*p.RuleArn)
			switch {
			case r == nil:
				return errNoRule()
			case r.isDefault():
				return refuse(codeNotPermitted, "The priority of default rule '%s' cannot be modified", r.arn())
			}
			wanted[r.arn()], listeners[ln.arn()] = *p.Priority, ln
		}
		for _, ln := range listeners {
			if err := ln.checkPriorities(wanted); err != nil {
				return err
			}
		}
		for _, ln := range e.state.Listeners {
			if listeners[ln.arn()] != nil {
				out.Rules = append(out.Rules, ln.setPriorities(wanted)...)
				e.touch(ln.arn())
			}
		}
		return nil
	})
	return result(out, err)
}

func (l *listener) checkPriorities(wanted map[string]int32) error {
	taken := map[int]bool{}
	for _, r := range l.Rules {
		p := r.order()
		if w, ok := wanted[r.arn()]; ok {
			p = int(w)
		}
		if taken[p] {
			return refuse(codePriorityInUse, "Priority '%d' is currently in use", p)
		}
		taken[p] = true
	}
	return nil
}

func (l *listener) setPriorities(wanted map[string]int32) []types.Rule {
	var out []types.Rule
	for _, r := range l.Rules {
		if w, ok := wanted[r.arn()]; ok {
			r.Desc.Priority = aws.String(strconv.Itoa(int(w)))
			out = append(out, r.Desc)
		}
	}
	l.sortRules()
	return out
}

// DeleteRule removes a rule that is not the default one.
func (e *ELB) DeleteRule(_ context.Context, in *elbv2.DeleteRuleInput) (*elbv2.DeleteRuleOutput, error) {
	if in.RuleArn == nil {
		return nil, required("ruleArn")
	}
	err := e.change(func() error {
		ln, r := e.rule(*in.RuleArn)
		switch {
		case r == nil:
			return errNoRule()
		case r.isDefault():
			return refuse(codeNotPermitted, "Default rule '%s' cannot be deleted", r.arn())
		}
		ln.Rules = slices.DeleteFunc(slices.Clone(ln.Rules), func(o *rule) bool { return o == r })
		e.touch(ln.arn())
		return nil
	})
	return result(&elbv2.DeleteRuleOutput{}, err)
}
