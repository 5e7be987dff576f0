package ecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/penstock-cd/penstock/internal/platform"
)

// throttleWait is how long a throttled call is put off: the token buckets of ECS and ELB refill several times a second, and
// the agent's loop backs off further by itself.
const throttleWait = 2 * time.Second

// expiredWait is how long a call waits for new credentials.
const expiredWait = 10 * time.Second

// classify says what an error of AWS means for the step: throttling and faults of the service are tried again, missing
// rights are said with what to do, a refused parameter is final.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	var api smithy.APIError
	var params smithy.InvalidParamsError
	switch {
	case errors.As(err, &params):
		return platform.Final(fmt.Errorf("%s: %w", op, err))
	case strings.Contains(err.Error(), "get identity:") && !errors.As(err, &api):
		return platform.Retryable(fmt.Errorf("%s: there are no usable AWS credentials; check profile, credentialsFile or roleARN of the platform provider: %w", op, err), 0)
	case !errors.As(err, &api):
		return platform.Retryable(fmt.Errorf("%s: AWS cannot be reached: %w", op, err), 0)
	}
	code, msg := api.ErrorCode(), api.ErrorMessage()
	var plain error = &worded{fmt.Sprintf("%s: %s: %s", op, code, msg), err}
	switch code {
	case "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "RequestThrottled", "RequestThrottledException", "SlowDown", "PriorRequestNotComplete", "BandwidthLimitExceeded":
		return platform.Retryable(plain, throttleWait)
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException":
		return platform.Final(fmt.Errorf("%w: allow this action in the policy of the role that the agent uses", plain))
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
		// They are renewed sooner or later; a way back that gave up here would leave traffic where it is.
		return platform.Retryable(fmt.Errorf("%w: the agent's credentials have expired; renew them, the step is tried again until its deadline", plain), expiredWait)
	case "UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSignatureException", "MissingAuthenticationToken", "IncompleteSignature":
		return platform.Final(fmt.Errorf("%w: AWS does not know the agent's credentials; check profile, credentialsFile or roleARN of the platform provider", plain))
	case "ClusterNotFoundException":
		return platform.Final(fmt.Errorf("%w: create the cluster, or correct its name in the service definition", plain))
	case "ServerException", "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException", "UpdateInProgressException", "ConflictException":
		return platform.Retryable(plain, 0)
	case "InvalidParameterException", "ClientException":
		return platform.Final(parameterError(plain, msg))
	}
	if api.ErrorFault() == smithy.FaultServer {
		return platform.Retryable(plain, 0)
	}
	return platform.Final(plain)
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

// worded is an error of AWS in one short line; the SDK's own wraps it in request ids and attempts.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

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
func awsCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
