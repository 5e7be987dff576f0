package elb

import (
	"github.com/penstock-cd/penstock/internal/localcloud/awserr"
)

// Codes of the errors this service answers (API, "Errors" of each operation).
const (
	codeValidation         = "ValidationError"
	codeInvalidConfig      = "InvalidConfigurationRequest"
	codeInvalidAction      = "InvalidLoadBalancerAction"
	codeNotPermitted       = "OperationNotPermitted"
	codeInUse              = "ResourceInUse"
	codePriorityInUse      = "PriorityInUse"
	codeAssociationLimit   = "TargetGroupAssociationLimit"
	codeDuplicateListener  = "DuplicateListener"
	codeDuplicateLB        = "DuplicateLoadBalancerName"
	codeDuplicateGroup     = "DuplicateTargetGroupName"
	codeDuplicateTag       = "DuplicateTagKeys"
	codeIncompatible       = "IncompatibleProtocols"
	codeInvalidTarget      = "InvalidTarget"
	codeTooManyRules       = "TooManyRules"
	codeTooManyTags        = "TooManyTags"
	codeTooManyActions     = "TooManyActions"
	codeTooManyGroupsPerLB = "TooManyUniqueTargetGroupsPerLoadBalancer"
)

// refuse makes a client error.
func refuse(code, format string, args ...any) error { return awserr.New(code, format, args...) }

func invalid(format string, args ...any) error { return refuse(codeValidation, format, args...) }

func required(member string) error {
	return invalid("1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// unsupported refuses what AWS can do and this local cloud does not.
func unsupported(what string) error {
	return refuse(codeInvalidConfig, "%s is not simulated by the local cloud", what)
}

func errNoLoadBalancer() error {
	return refuse("LoadBalancerNotFound", "One or more load balancers not found")
}

func errNoGroup() error    { return refuse("TargetGroupNotFound", "One or more target groups not found") }
func errNoListener() error { return refuse("ListenerNotFound", "One or more listeners not found") }
func errNoRule() error     { return refuse("RuleNotFound", "One or more rules not found") }

// rangeError refuses a number outside its documented range.
func inRange(member string, v, low, high int32) error {
	if v < low || v > high {
		return invalid("'%s' must be between %d and %d, not %d", member, low, high, v)
	}
	return nil
}
