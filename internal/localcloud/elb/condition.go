package elb

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/penstock-cd/penstock/internal/localcloud/router"
)

// Limits of a rule (guide, "Quotas": condition values 5, wildcards 6 per rule).
// The chapter on rules speaks of three strings per condition besides; the
// service takes up to five in one, and so does this.
const (
	maxConditionValues    = 5
	maxConditionWildcards = 6
	maxConditionLength    = 128
)

// checkConditions checks the conditions of a rule and returns them as the API
// shows them: host-header and path-pattern carry their values twice, in Values
// and in their own configuration.
func checkConditions(in []types.RuleCondition) ([]types.RuleCondition, error) {
	if len(in) == 0 {
		return nil, invalid("A rule must have at least one condition")
	}
	var out []types.RuleCondition
	values, wildcards := 0, 0
	seen := map[string]bool{}
	for _, c := range in {
		n, err := normalCondition(c)
		if err != nil {
			return nil, err
		}
		field := *n.Field
		// Guide: at most one host-header, http-request-method, path-pattern and
		// source-ip condition; any number of http-header and query-string ones.
		if seen[field] && field != "http-header" && field != "query-string" {
			return nil, invalid("A rule can only have one '%s' condition", field)
		}
		seen[field] = true
		texts := conditionTexts(n)
		values += len(texts)
		for _, t := range texts {
			wildcards += strings.Count(t, "*") + strings.Count(t, "?")
		}
		out = append(out, n)
	}
	if values > maxConditionValues {
		return nil, invalid("A rule can only have '%d' condition values", maxConditionValues)
	}
	if wildcards > maxConditionWildcards {
		return nil, invalid("A rule can only have '%d' condition wildcards", maxConditionWildcards)
	}
	return out, nil
}

// conditionTexts lists what counts as a value of a normal condition.
func conditionTexts(c types.RuleCondition) []string {
	var out []string
	switch {
	case c.HostHeaderConfig != nil:
		out = append(slices.Clone(c.HostHeaderConfig.Values), c.HostHeaderConfig.RegexValues...)
	case c.PathPatternConfig != nil:
		out = append(slices.Clone(c.PathPatternConfig.Values), c.PathPatternConfig.RegexValues...)
	case c.HttpHeaderConfig != nil:
		out = append(slices.Clone(c.HttpHeaderConfig.Values), c.HttpHeaderConfig.RegexValues...)
	case c.HttpRequestMethodConfig != nil:
		out = c.HttpRequestMethodConfig.Values
	case c.SourceIpConfig != nil:
		out = c.SourceIpConfig.Values
	case c.QueryStringConfig != nil:
		for _, kv := range c.QueryStringConfig.Values {
			out = append(out, aws.ToString(kv.Key)+"="+aws.ToString(kv.Value))
		}
	}
	return out
}

func normalCondition(c types.RuleCondition) (types.RuleCondition, error) {
	out := types.RuleCondition{Field: c.Field}
	if err := oneConfig(c); err != nil {
		return out, err
	}
	if len(c.RegexValues) > 0 {
		return out, unsupported("RegexValues beside a condition's own configuration")
	}
	switch field := aws.ToString(c.Field); field {
	case "":
		return out, invalid("A condition field must be specified")
	case "host-header":
		cfg := c.HostHeaderConfig
		if cfg == nil {
			cfg = &types.HostHeaderConditionConfig{Values: c.Values}
		}
		out.Values, out.HostHeaderConfig = slices.Clone(cfg.Values), cfg
		return out, checkTexts(field, cfg.Values, cfg.RegexValues, hostForm)
	case "path-pattern":
		cfg := c.PathPatternConfig
		if cfg == nil {
			cfg = &types.PathPatternConditionConfig{Values: c.Values}
		}
		out.Values, out.PathPatternConfig = slices.Clone(cfg.Values), cfg
		return out, checkTexts(field, cfg.Values, cfg.RegexValues, pathForm)
	case "http-header":
		return normalHeader(out, c.HttpHeaderConfig)
	case "http-request-method":
		if c.HttpRequestMethodConfig == nil {
			return out, errNoConfig(field)
		}
		out.HttpRequestMethodConfig = c.HttpRequestMethodConfig
		return out, checkTexts(field, c.HttpRequestMethodConfig.Values, nil, methodForm)
	case "query-string":
		return normalQuery(out, c.QueryStringConfig)
	case "source-ip":
		return normalSource(out, c.SourceIpConfig)
	default:
		return out, invalid("Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", field)
	}
}

func errNoConfig(field string) error {
	return invalid("A configuration must be specified for conditions with field '%s'", field)
}

// oneConfig refuses a condition whose configuration is of another field, and
// one that gives its values twice.
func oneConfig(c types.RuleCondition) error {
	given := map[string]bool{
		"host-header": c.HostHeaderConfig != nil, "path-pattern": c.PathPatternConfig != nil, "http-header": c.HttpHeaderConfig != nil,
		"http-request-method": c.HttpRequestMethodConfig != nil, "query-string": c.QueryStringConfig != nil, "source-ip": c.SourceIpConfig != nil,
	}
	field := aws.ToString(c.Field)
	for name, yes := range given {
		if yes && name != field {
			return invalid("The condition configuration for '%s' does not match the condition field '%s'", name, field)
		}
	}
	plain := field == "host-header" || field == "path-pattern"
	if len(c.Values) > 0 && (!plain || given[field] && !slices.Equal(c.Values, conditionTexts(c))) {
		return invalid("You cannot specify both condition values and a configuration for field '%s'", field)
	}
	return nil
}

var (
	// API, HostHeaderConditionConfig: at least one ".", only letters after the
	// last one; wildcards are let through there too.
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9_.*?-]*\.[A-Za-z*?]+$`)
	pathForm   = regexp.MustCompile(`^[A-Za-z0-9_.$/~"'@:+&*?;=%(),!-]+$`)
	methodForm = regexp.MustCompile(`^[A-Z_-]{1,40}$`)
	headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}$")
)

func checkTexts(field string, values, regexes []string, form *regexp.Regexp) error {
	if len(values)+len(regexes) == 0 {
		return invalid("A condition value must be specified for field '%s'", field)
	}
	for _, v := range values {
		if v == "" || len(v) > maxConditionLength {
			return invalid("Condition value '%s' of field '%s' must have 1 to %d characters", v, field, maxConditionLength)
		}
		if form != nil && !form.MatchString(v) {
			return invalid("Condition value '%s' contains a character that is not valid for field '%s'", v, field)
		}
	}
	for _, re := range regexes {
		if _, err := regexp.Compile(re); err != nil || len(re) > maxConditionLength {
			return invalid("Condition regular expression '%s' of field '%s' is not valid", re, field)
		}
	}
	return nil
}

func normalHeader(out types.RuleCondition, cfg *types.HttpHeaderConditionConfig) (types.RuleCondition, error) {
	if cfg == nil {
		return out, errNoConfig("http-header")
	}
	name := aws.ToString(cfg.HttpHeaderName)
	if !headerForm.MatchString(name) {
		return out, invalid("The HTTP header name '%s' is not valid", name)
	}
	if strings.EqualFold(name, "host") {
		return out, invalid("The host header cannot be used in an 'http-header' condition; use 'host-header'")
	}
	out.HttpHeaderConfig = cfg
	return out, checkTexts("http-header", cfg.Values, cfg.RegexValues, nil)
}

func normalQuery(out types.RuleCondition, cfg *types.QueryStringConditionConfig) (types.RuleCondition, error) {
	if cfg == nil || len(cfg.Values) == 0 {
		return out, errNoConfig("query-string")
	}
	for _, kv := range cfg.Values {
		if aws.ToString(kv.Value) == "" || len(*kv.Value) > maxConditionLength || len(aws.ToString(kv.Key)) > maxConditionLength {
			return out, invalid("A query string condition needs a value; keys and values have at most %d characters", maxConditionLength)
		}
	}
	out.QueryStringConfig = cfg
	return out, nil
}

func normalSource(out types.RuleCondition, cfg *types.SourceIpConditionConfig) (types.RuleCondition, error) {
	if cfg == nil || len(cfg.Values) == 0 {
		return out, errNoConfig("source-ip")
	}
	for _, v := range cfg.Values {
		if _, err := netip.ParsePrefix(v); err != nil {
			return out, invalid("The source IP '%s' is not in CIDR format", v)
		}
		if v == "255.255.255.255/32" {
			return out, invalid("The source IP '%s' cannot be used", v)
		}
	}
	out.SourceIpConfig = cfg
	return out, nil
}

// routeConditions turns checked conditions into what the data plane evaluates.
func routeConditions(in []types.RuleCondition) []router.Condition {
	var out []router.Condition
	for _, c := range in {
		rc := router.Condition{Field: *c.Field}
		var regexes []string
		switch {
		case c.HostHeaderConfig != nil:
			rc.Values, regexes = c.HostHeaderConfig.Values, c.HostHeaderConfig.RegexValues
		case c.PathPatternConfig != nil:
			rc.Values, regexes = c.PathPatternConfig.Values, c.PathPatternConfig.RegexValues
		case c.HttpHeaderConfig != nil:
			rc.Header, rc.Values, regexes = *c.HttpHeaderConfig.HttpHeaderName, c.HttpHeaderConfig.Values, c.HttpHeaderConfig.RegexValues
		case c.HttpRequestMethodConfig != nil:
			rc.Values = c.HttpRequestMethodConfig.Values
		case c.QueryStringConfig != nil:
			for _, kv := range c.QueryStringConfig.Values {
				rc.Query = append(rc.Query, router.KeyValue{Key: aws.ToString(kv.Key), Value: aws.ToString(kv.Value)})
			}
		case c.SourceIpConfig != nil:
			for _, v := range c.SourceIpConfig.Values {
				if p, err := netip.ParsePrefix(v); err == nil {
					rc.Prefixes = append(rc.Prefixes, p.Masked())
				}
			}
		}
		for _, re := range regexes {
			if compiled, err := regexp.Compile(re); err == nil {
				rc.Regex = append(rc.Regex, compiled)
			}
		}
		out = append(out, rc)
	}
	return out
}
