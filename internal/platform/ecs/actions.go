package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/platform"
)

// weighted is one group of a forward action with its relative weight.
type weighted struct {
	ARN    string
	Weight int
}

// forward returns the index of the forward action and its groups; -1 when there is none.
func forward(actions []elbtypes.Action) (int, []weighted) {
	for i, a := range actions {
		if a.Type != elbtypes.ActionTypeEnumForward {
			continue
		}
		if a.ForwardConfig == nil || len(a.ForwardConfig.TargetGroups) == 0 {
			return i, []weighted{{aws.ToString(a.TargetGroupArn), 1}}
		}
		var ws []weighted
		for _, g := range a.ForwardConfig.TargetGroups {
			w := 1 // the API's default
			if g.Weight != nil {
				w = int(*g.Weight)
			}
			ws = append(ws, weighted{aws.ToString(g.TargetGroupArn), w})
		}
		return i, ws
	}
	return -1, nil
}

// share is the percentage of a route's requests that go to a group. A single group gets everything.
func share(actions []elbtypes.Action, arn string) float64 {
	_, ws := forward(actions)
	sum, own := 0, 0
	for _, w := range ws {
		sum += w.Weight
		if w.ARN == arn {
			own += w.Weight
		}
	}
	if sum == 0 || arn == "" {
		return 0
	}
	return float64(own) * 100 / float64(sum)
}

// mentions reports whether a forward action names a group, whatever its weight.
func mentions(actions []elbtypes.Action, arn string) bool {
	_, ws := forward(actions)
	return arn != "" && slices.ContainsFunc(ws, func(w weighted) bool { return w.ARN == arn })
}

// withWeights returns the actions with the forward action's groups replaced; everything else, stickiness included, is kept.
func withWeights(actions []elbtypes.Action, ws []weighted) []elbtypes.Action {
	out := slices.Clone(actions)
	i, _ := forward(actions)
	if i < 0 {
		return out
	}
	act := out[i]
	cfg := &elbtypes.ForwardActionConfig{}
	if act.ForwardConfig != nil {
		cfg.TargetGroupStickinessConfig = act.ForwardConfig.TargetGroupStickinessConfig
	}
	for _, w := range ws {
		cfg.TargetGroups = append(cfg.TargetGroups, elbtypes.TargetGroupTuple{TargetGroupArn: aws.String(w.ARN), Weight: aws.Int32(int32(w.Weight))})
	}
	act.ForwardConfig, act.TargetGroupArn = cfg, nil
	out[i] = act
	return out
}

// splitActions gives the two groups absolute weights. A canary without weight is added only when it must be (attach) or is
// there already.
func splitActions(actions []elbtypes.Action, primary, canary string, p, c int, attach bool) []elbtypes.Action {
	ws := []weighted{{primary, p}}
	if canary != "" && (c > 0 || attach || mentions(actions, canary)) {
		ws = append(ws, weighted{canary, c})
	}
	return withWeights(actions, ws)
}

// actionsView is a list of actions as it works: weights as shares, groups in stable order.
func actionsView(actions []elbtypes.Action) []any {
	out := []any{}
	for _, a := range actions {
		if a.Type != elbtypes.ActionTypeEnumForward {
			o := plainObject(a)
			if c, ok := o["authenticateOidcConfig"].(object); ok {
				delete(c, "useExistingClientSecret")
				delete(c, "clientSecret")
			}
			out = append(out, o)
			continue
		}
		one := []elbtypes.Action{a}
		_, ws := forward(one)
		shares := object{}
		for _, w := range ws {
			shares[w.ARN] = fmt.Sprintf("%.2f", share(one, w.ARN))
		}
		o := object{"type": "forward", "shares": shares}
		if a.ForwardConfig != nil {
			if s := a.ForwardConfig.TargetGroupStickinessConfig; s != nil && aws.ToBool(s.Enabled) {
				o["stickiness"] = aws.ToInt32(s.DurationSeconds)
			}
		}
		out = append(out, o)
	}
	return out
}

func sameActions(a, b []elbtypes.Action) bool {
	return platform.Digest(actionsView(a)) == platform.Digest(actionsView(b))
}

// weightsText is a route's shares for people: "shop-blue 80 %, shop-green 20 %".
func weightsText(actions []elbtypes.Action, names func(string) string) string {
	i, ws := forward(actions)
	if i < 0 {
		return "no forward action"
	}
	slices.SortFunc(ws, func(a, b weighted) int { return cmp.Compare(a.ARN, b.ARN) })
	var parts []string
	for _, w := range ws {
		parts = append(parts, fmt.Sprintf("%s %.4g %%", names(w.ARN), share(actions, w.ARN)))
	}
	return strings.Join(parts, ", ")
}

// qualifying are the routes that a deployment shifts: their forward set contains the primary group and nothing but the two
// groups. Rules of the canary alone are test rules and are left alone. A third group beside the primary is an error.
func qualifying(routes []route, primary, canary string) ([]route, error) {
	var out []route
	for _, r := range routes {
		if !mentions(r.Actions, primary) {
			continue
		}
		_, ws := forward(r.Actions)
		for _, w := range ws {
			if w.ARN != primary && w.ARN != canary {
				return nil, fmt.Errorf("%s forwards to a third target group %s: weights over more than two groups cannot be shifted; remove it from the rule, or give this application a rule of its own", r.name(), w.ARN)
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// name is how a route is called for people: its ARN is in the claims and in the log.
func (r route) name() string {
	if r.Default {
		return "the default actions of listener " + tail(r.ARN)
	}
	return "rule " + r.Priority + " (" + tail(r.ARN) + ")"
}

// tail is the telling end of an ARN: what follows the resource type.
func tail(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	res := parts[len(parts)-1]
	if i := strings.Index(res, "/"); i >= 0 && len(parts) == 6 {
		return res[i+1:]
	}
	return res
}
