package ecs

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/platform"
	"github.com/penstock-cd/penstock/internal/platform/awsaccess"
)

// throttleWait and expiredWait are how long a throttled call is put off, and one whose credentials have expired.
const (
	throttleWait = awsaccess.ThrottleWait
	expiredWait  = awsaccess.ExpiredWait
)

// classify says what an error of AWS means for the step. The refusals that Amazon ECS tells apart by words alone are told
// apart here.
func classify(op string, err error) error {
	var api smithy.APIError
	out := awsaccess.Classify(op, err)
	if out == nil || !errors.As(out, &api) {
		return out
	}
	switch api.ErrorCode() {
	case "ClusterNotFoundException":
		return platform.Final(fmt.Errorf("%w: create the cluster, or correct its name in the service definition", out))
	case "InvalidParameterException", "ClientException":
		return platform.Final(parameterError(out, api.ErrorMessage()))
	}
	return out
}

// parameterError tells the refusals apart that a step waits out or explains. ECS has no codes for them, only words.
func parameterError(err error, msg string) error {
	low := strings.ToLower(msg)
	switch {
	case strings.Contains(low, "exceeds the maximum limit") || strings.Contains(low, "deployments exist on the service"):
		return &apiError{codeTooManySets, err}
	case strings.Contains(low, "does not have an associated load balancer"):
		return &apiError{codeNotAttached, err}
	case strings.Contains(low, "not idempotent") || strings.Contains(low, "already exists"):
		return &apiError{codeServiceExists, err}
	}
	return err
}

// isCode reports whether an error is one of the known refusals.
func isCode(err error, code string) bool {
	var a *apiError
	return errors.As(err, &a) && a.code == code
}

// isGone reports whether an error of a call about a service or one of its task sets says that it is no longer there.
func isGone(err error) bool {
	switch awsCode(err) {
	case "TaskSetNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException":
		return true
	}
	return false
}

// awsCode is the raw error code of AWS, "" for other errors.
func awsCode(err error) string { return awsaccess.Code(err) }
