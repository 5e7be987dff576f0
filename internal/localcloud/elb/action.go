package elb

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func sticky(f *types.ForwardActionConfig) bool {
	return f.TargetGroupStickinessConfig != nil && aws.ToBool(f.TargetGroupStickinessConfig.Enabled)
}

func forwardsTo(f *types.ForwardActionConfig, arn string) bool {
	return slices.ContainsFunc(f.TargetGroups, func(t types.TargetGroupTuple) bool { return *t.TargetGroupArn == arn })
}

func errNeedsGroupStickiness() error {
	return refuse(codeInvalidConfig, "You must enable group stickiness on a rule if you enabled target stickiness on one of its target groups")
}

// normalActions checks the actions of a listener or rule and returns them as
// the API shows them. Each rule has exactly one forward, redirect or
// fixed-response action, and it comes last (guide, "Rule actions"); as the
// authentication actions that could come before are not simulated, there is
// exactly one action.
func (e *ELB) normalActions(actions []types.Action) ([]types.Action, error) {
	if len(actions) == 0 {
		return nil, required("actions")
	}
	if err := checkOrder(actions); err != nil {
		return nil, err
	}
	out := slices.Clone(actions)
	slices.SortStableFunc(out, func(a, b types.Action) int { return int(aws.ToInt32(a.Order)) - int(aws.ToInt32(b.Order)) })
	final := 0
	for _, a := range out {
		switch a.Type {
		case types.ActionTypeEnumForward, types.ActionTypeEnumRedirect, types.ActionTypeEnumFixedResponse:
			final++
		case "":
			return nil, required("actions.1.member.type")
		case types.ActionTypeEnumAuthenticateOidc, types.ActionTypeEnumAuthenticateCognito, types.ActionTypeEnumJwtValidation:
			return nil, unsupported(fmt.Sprintf("action type '%s'", a.Type))
		default:
			return nil, refuse(codeInvalidAction, "The action type '%s' is not valid", a.Type)
		}
	}
	if final != 1 {
		return nil, refuse(codeTooManyActions, "Only one action of type 'forward', 'redirect' or 'fixed-response' can be specified")
	}
	for i := range out {
		var err error
		if out[i], err = e.normalAction(out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkOrder: the order is 1 to 50000, needed and unique as soon as there are
// several actions (API, Action, Order).
func checkOrder(actions []types.Action) error {
	seen := map[int32]bool{}
	for _, a := range actions {
		if a.Order == nil {
			if len(actions) > 1 {
				return invalid("An action order must be specified for each action when there are several")
			}
			continue
		}
		if err := inRange("actions.order", *a.Order, 1, 50000); err != nil {
			return err
		}
		if seen[*a.Order] {
			return invalid("The action order '%d' was given twice", *a.Order)
		}
		seen[*a.Order] = true
	}
	return nil
}

func (e *ELB) normalAction(a types.Action) (types.Action, error) {
	isForward := a.Type == types.ActionTypeEnumForward
	isRedirect := a.Type == types.ActionTypeEnumRedirect
	isFixed := a.Type == types.ActionTypeEnumFixedResponse
	if (a.TargetGroupArn != nil || a.ForwardConfig != nil) && !isForward || a.RedirectConfig != nil && !isRedirect || a.FixedResponseConfig != nil && !isFixed {
		return a, refuse(codeInvalidAction, "The action configuration does not match the action type '%s'", a.Type)
	}
	out := types.Action{Type: a.Type, Order: a.Order}
	var err error
	switch {
	case isForward:
		if out.ForwardConfig, err = e.normalForward(a); err == nil && len(out.ForwardConfig.TargetGroups) == 1 {
			out.TargetGroupArn = out.ForwardConfig.TargetGroups[0].TargetGroupArn
		}
	case isRedirect:
		out.RedirectConfig, err = normalRedirect(a.RedirectConfig)
	case isFixed:
		out.FixedResponseConfig, err = normalFixed(a.FixedResponseConfig)
	}
	return out, err
}

// normalForward: 1 to 5 groups, weights 0 to 999, each group once; a weight
// for each as soon as there are several; TargetGroupArn beside ForwardConfig
// only with the same single group (API, Action; guide, "Forward actions").
func (e *ELB) normalForward(a types.Action) (*types.ForwardActionConfig, error) {
	cfg := a.ForwardConfig
	switch {
	case cfg == nil && a.TargetGroupArn == nil:
		return nil, invalid("A target group ARN or a forward configuration must be specified for actions of type 'forward'")
	case cfg == nil || len(cfg.TargetGroups) == 0 && a.TargetGroupArn != nil:
		var stick *types.TargetGroupStickinessConfig
		if cfg != nil {
			stick = cfg.TargetGroupStickinessConfig
		}
		cfg = &types.ForwardActionConfig{
			TargetGroups: []types.TargetGroupTuple{{TargetGroupArn: a.TargetGroupArn}}, TargetGroupStickinessConfig: stick,
		}
	case a.TargetGroupArn != nil && (len(cfg.TargetGroups) != 1 || aws.ToString(cfg.TargetGroups[0].TargetGroupArn) != *a.TargetGroupArn):
		return nil, invalid("You cannot specify both a target group ARN and a forward configuration with a different target group")
	}
	if n := len(cfg.TargetGroups); n < 1 || n > 5 {
		return nil, invalid("A forward action must have between 1 and 5 target groups, not %d", n)
	}
	out := &types.ForwardActionConfig{}
	for _, t := range cfg.TargetGroups {
		tuple, err := e.normalTuple(t, len(cfg.TargetGroups) > 1)
		if err != nil {
			return nil, err
		}
		if forwardsTo(out, *tuple.TargetGroupArn) {
			return nil, invalid("The target group '%s' was given twice in a forward action", *tuple.TargetGroupArn)
		}
		out.TargetGroups = append(out.TargetGroups, tuple)
	}
	return out, e.normalStickiness(out, cfg.TargetGroupStickinessConfig)
}

func (e *ELB) normalTuple(t types.TargetGroupTuple, several bool) (types.TargetGroupTuple, error) {
	switch {
	case t.TargetGroupArn == nil:
		return t, required("actions.1.member.forwardConfig.targetGroups.1.member.targetGroupArn")
	case e.group(*t.TargetGroupArn) == nil:
		return t, errNoGroup()
	case t.Weight == nil && several:
		return t, invalid("A weight must be specified for each target group when a forward action has several")
	case t.Weight == nil:
		return types.TargetGroupTuple{TargetGroupArn: t.TargetGroupArn, Weight: aws.Int32(1)}, nil
	}
	return types.TargetGroupTuple{TargetGroupArn: t.TargetGroupArn, Weight: aws.Int32(*t.Weight)},
		inRange("weight", *t.Weight, 0, 999)
}

func (e *ELB) normalStickiness(out *types.ForwardActionConfig, in *types.TargetGroupStickinessConfig) error {
	out.TargetGroupStickinessConfig = &types.TargetGroupStickinessConfig{Enabled: aws.Bool(false)}
	if in != nil {
		cp := *in
		cp.Enabled = aws.Bool(aws.ToBool(in.Enabled))
		out.TargetGroupStickinessConfig = &cp
		if *cp.Enabled && cp.DurationSeconds == nil {
			return invalid("A target group stickiness duration must be specified when stickiness is enabled")
		}
		if cp.DurationSeconds != nil {
			if err := inRange("targetGroupStickinessConfig.durationSeconds", *cp.DurationSeconds, 1, 604800); err != nil {
				return err
			}
		}
	}
	if len(out.TargetGroups) > 1 && !sticky(out) {
		for _, t := range out.TargetGroups {
			if e.group(*t.TargetGroupArn).attribute("stickiness.enabled") == "true" {
				return errNeedsGroupStickiness()
			}
		}
	}
	return nil
}

// normalRedirect: API, RedirectActionConfig. Protocol, host, port or path must
// change or else the client would come back for ever.
func normalRedirect(in *types.RedirectActionConfig) (*types.RedirectActionConfig, error) {
	if in == nil {
		return nil, invalid("A redirect configuration must be specified for actions of type 'redirect'")
	}
	if !slices.Contains(in.StatusCode.Values(), in.StatusCode) {
		return nil, invalid("The redirect status code '%s' must be HTTP_301 or HTTP_302", in.StatusCode)
	}
	def := func(s *string, d string) *string {
		if s == nil {
			return aws.String(d)
		}
		return aws.String(*s)
	}
	out := &types.RedirectActionConfig{
		StatusCode: in.StatusCode, Protocol: def(in.Protocol, "#{protocol}"), Host: def(in.Host, "#{host}"),
		Port: def(in.Port, "#{port}"), Path: def(in.Path, "/#{path}"), Query: def(in.Query, "#{query}"),
	}
	if p := *out.Protocol; p != "HTTP" && p != "HTTPS" && p != "#{protocol}" {
		return nil, invalid("The redirect protocol '%s' must be HTTP, HTTPS or #{protocol}", p)
	}
	if n, err := strconv.Atoi(*out.Port); *out.Port != "#{port}" && (err != nil || n < 1 || n > 65535) {
		return nil, invalid("The redirect port '%s' must be #{port} or a number between 1 and 65535", *out.Port)
	}
	if !strings.HasPrefix(*out.Path, "/") {
		return nil, invalid("The redirect path '%s' must begin with a '/' character", *out.Path)
	}
	if len(*out.Host) < 1 || len(*out.Host) > 128 || len(*out.Path) > 128 || len(*out.Query) > 128 {
		return nil, invalid("Host, path and query of a redirect have at most 128 characters")
	}
	if *out.Protocol == "#{protocol}" && *out.Host == "#{host}" && *out.Port == "#{port}" && *out.Path == "/#{path}" {
		return nil, refuse(codeInvalidAction, "The redirect configuration is not valid because it creates a loop.")
	}
	return out, nil
}

var fixedStatus = regexp.MustCompile(`^[245]\d\d$`)

// normalFixed: API, FixedResponseActionConfig; the body has at most 1024
// characters.
func normalFixed(in *types.FixedResponseActionConfig) (*types.FixedResponseActionConfig, error) {
	if in == nil {
		return nil, invalid("A fixed-response configuration must be specified for actions of type 'fixed-response'")
	}
	if !fixedStatus.MatchString(aws.ToString(in.StatusCode)) {
		return nil, invalid("The fixed response status code '%s' must be 2XX, 4XX or 5XX", aws.ToString(in.StatusCode))
	}
	contentTypes := []string{"", "text/plain", "text/css", "text/html", "application/javascript", "application/json"}
	if !slices.Contains(contentTypes, aws.ToString(in.ContentType)) {
		return nil, invalid("The fixed response content type '%s' is not valid", *in.ContentType)
	}
	if len(aws.ToString(in.MessageBody)) > 1024 {
		return nil, invalid("The fixed response message body has more than 1024 characters")
	}
	cp := *in
	return &cp, nil
}
