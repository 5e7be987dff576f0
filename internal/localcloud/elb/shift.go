package elb

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Shift gives target groups of a rule's forward action new weights, as ECS does with its infrastructure role during a service deployment. Other groups, other
// actions and stickiness stay. The default rule can be named too.
func (e *ELB) Shift(ruleARN string, weights map[string]int32) error {
	return e.change(func() error {
		ln, r := e.rule(ruleARN)
		if r == nil {
			return errNoRule()
		}
		actions := slices.Clone(r.Desc.Actions)
		left := maps.Clone(weights)
		for i, a := range actions {
			if a.ForwardConfig == nil {
				continue
			}
			config := *a.ForwardConfig
			config.TargetGroups = nil
			for _, t := range a.ForwardConfig.TargetGroups {
				if w, ok := left[aws.ToString(t.TargetGroupArn)]; ok {
					t.Weight = aws.Int32(w)
					delete(left, *t.TargetGroupArn)
				}
				config.TargetGroups = append(config.TargetGroups, t)
			}
			actions[i].ForwardConfig = &config
			actions[i].TargetGroupArn = nil
			if len(config.TargetGroups) == 1 {
				actions[i].TargetGroupArn = config.TargetGroups[0].TargetGroupArn
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("rule %s does not forward to %v", ruleARN, slices.Sorted(maps.Keys(left)))
		}
		r.Desc.Actions = actions
		e.touch(ln.arn())
		return nil
	})
}

// RuleGroups lists the target groups that a rule forwards to; none when there is no such rule.
func (e *ELB) RuleGroups(ruleARN string) []string {
	var out []string
	_ = e.read(func() error {
		if _, r := e.rule(ruleARN); r != nil {
			out = groupsOf(r.Desc.Actions)
		}
		return nil
	})
	return out
}
